//! Gives a machine its own identity at each boot, through its runner. The image under its disk is not changed.

use std::net::Ipv4Addr;

use super::network::{self, Neighbour};
use super::record::Record;
use super::volume;
use crate::base::public_key::PublicKey;
use crate::machine::runner::RunnerTask;

/// The name of the runner's task.
const TASK: &str = "personal";
/// The file that opens the consoles.
const AUTOLOGIN: &str = "autologin";
/// The address of a machine's own names when it has no network (Debian Reference, 5.1.1).
pub(super) const LOOPBACK: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
/// Lines of a file between these are ours, and are replaced.
pub(super) const NAMES_BEGIN: &str = "# goldsmith: names of this network";
pub(super) const KEYS_BEGIN: &str = "# goldsmith: keys of this machine";
pub(super) const END: &str = "# goldsmith: end";

/// The runner's task at the boot of the machine of `record`. `neighbours` are all machines of its network, including itself. `None` when
/// the machine is to stay like its image.
pub(super) fn task(record: &Record, neighbours: &[Neighbour]) -> Option<RunnerTask> {
    let mut files = Vec::new();
    let mut file = |name: &str, text: String| files.push((name.to_owned(), format!("{text}\n").into_bytes()));
    if let Some(hostname) = &record.hostname {
        file("hostname", hostname.to_string());
    }
    if !record.keys.is_empty() {
        file("keys", record.keys.iter().map(PublicKey::as_str).collect::<Vec<_>>().join("\n"));
    }
    if record.autologin {
        file(AUTOLOGIN, String::new());
    }
    if let Some(place) = &record.network {
        file("card", format!("{} {}/{}", place.mac(), place.address, place.prefix));
        file("names", names(neighbours));
    } else if let Some(hostname) = &record.hostname {
        file("names", entry(LOOPBACK, &network::names(&record.name, Some(hostname))));
    }
    if !record.volumes.is_empty() {
        file("volumes", volume::lines(&record.volumes));
    }
    (!files.is_empty()).then(|| with(files))
}

/// What the runner does at boot in a machine that is its image's in all but this: its consoles are root's without a log-in.
pub(super) fn open_consoles() -> RunnerTask {
    with(vec![(AUTOLOGIN.to_owned(), Vec::new())])
}

/// The task without what a machine is to be given, which comes later.
pub(super) fn blank() -> RunnerTask {
    with(Vec::new())
}

fn with(files: Vec<(String, Vec<u8>)>) -> RunnerTask {
    RunnerTask { name: TASK.to_owned(), script: include_bytes!("personal.sh").to_vec(), files }
}

/// The names of a network in the form that the runner takes.
pub(super) fn names(neighbours: &[Neighbour]) -> String {
    let entries: Vec<_> = neighbours.iter().map(|other| entry(other.place.address, &other.names())).collect();
    entries.join(" ")
}

/// An address and all names for it.
fn entry(address: Ipv4Addr, names: &[&str]) -> String {
    format!("{address}={}", names.join(","))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::run::network::Membership;

    fn neighbour(name: &str, hostname: Option<&str>, address: &str) -> Neighbour {
        let place = Membership { name: "lab".parse().unwrap(), address: address.parse().unwrap(), prefix: 24 };
        Neighbour { name: name.parse().unwrap(), hostname: hostname.map(|name| name.parse().unwrap()), place }
    }

    #[test]
    fn a_network_has_all_names_of_its_machines() {
        let all = [
            neighbour("web", Some("web"), "10.0.0.1"),
            neighbour("db_1", Some("db.lab.example"), "10.0.0.2"),
            neighbour("idle", None, "10.0.0.3"),
        ];
        assert_eq!(names(&all), "10.0.0.1=web 10.0.0.2=db.lab.example,db,db_1 10.0.0.3=idle");
        assert_eq!(names(&[]), "");
    }

    /// The guest's script with all its files below `dir`.
    fn script(dir: &Path) -> String {
        let dir = dir.to_str().unwrap();
        let script = include_str!("personal.sh").replace("/run/goldsmith/tasks/personal", dir);
        script.replace("/etc/hosts", &format!("{dir}/hosts")).replace("/root", &format!("{dir}/root"))
    }

    fn run(shell: &str, script: &str, words: &[&str]) {
        let status = Command::new(shell).args(["-c", script, "run"]).args(words).stdin(Stdio::null()).status();
        assert!(status.unwrap().success(), "{shell}: {words:?}");
    }

    #[test]
    fn names_are_written_over_those_before_and_nothing_else_changes() {
        for shell in ["dash", "bash"] {
            let dir = tempfile::tempdir().unwrap();
            let hosts = dir.path().join("hosts");
            fs::write(&hosts, "127.0.0.1 localhost\n127.0.1.1 master\n\n10.9.9.9 mine\n").unwrap();
            for (given, lines) in [
                (&["10.0.0.1=web", "10.0.0.2=db.lab,db"][..], "10.0.0.1 web\n10.0.0.2 db.lab db\n"),
                (&["10.0.0.1=web"], "10.0.0.1 web\n"),
                (&[], ""),
            ] {
                run(shell, &script(dir.path()), &[&["names"], given].concat());
                let block = format!("{NAMES_BEGIN}\n{lines}{END}\n");
                assert_eq!(fs::read_to_string(&hosts).unwrap(), format!("127.0.0.1 localhost\n\n10.9.9.9 mine\n{block}"), "{shell}");
            }
        }
    }

    #[test]
    fn keys_are_put_beside_those_of_the_image_and_only_once() {
        for shell in ["dash", "bash"] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("root/.ssh/authorized_keys");
            fs::create_dir(dir.path().join("root")).unwrap();
            fs::write(dir.path().join("keys"), "ssh-rsa A a\nssh-rsa B b\n").unwrap();
            let block = format!("{KEYS_BEGIN}\nssh-rsa A a\nssh-rsa B b\n{END}\n");
            for own in ["", "", "ssh-rsa C its own\n"] {
                if !own.is_empty() {
                    fs::write(&file, own).unwrap();
                }
                run(shell, &script(dir.path()), &[]);
                assert_eq!(fs::read_to_string(&file).unwrap(), format!("{own}{block}"), "{shell}");
                let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
                assert_eq!((mode(file.parent().unwrap()), mode(&file)), (0o700, 0o600));
            }
        }
    }
}
