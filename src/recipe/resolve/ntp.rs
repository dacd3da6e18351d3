//! `system.ntp`: the settings file of the client that asks the time servers, and the checks of the image that follow from it.

use super::super::release::{Chrony, DEBIAN_CHRONY, EL7};
use super::super::tree::KeyPath;
use super::super::written::Installer;
use super::super::{Check, CheckKind, Recipe, syntax};
use super::checks::prints;
use super::content::stand_for;
use super::judge::Judge;
use super::units::{enable_once, refuse_disabled};
use crate::base::digest::Sha256Digest;
use crate::base::host_name::HostName;
use crate::base::image_path::ImagePath;
use crate::base::package::PackageName;
use crate::base::unit::UnitName;
use crate::base::word::ensure;

/// A client of NTP.
struct Client {
    /// Its unit, without `.service`.
    unit: UnitName,
    /// Its settings file.
    file: ImagePath,
    /// The content of the file.
    text: String,
}

impl Client {
    fn chrony(chrony: &Chrony, servers: &[String]) -> Self {
        Self::new(chrony.unit, chrony.file, chrony_conf(servers, chrony))
    }

    fn new(unit: &str, file: &str, text: String) -> Self {
        Self { unit: UnitName::made(unit), file: ImagePath::made(file), text }
    }
}

/// Packages of Debian with a client whose settings file goldsmith does not write.
const OTHERS: [&str; 3] = ["ntpsec", "openntpd", "ntp"];

/// Add the file, the unit and the checks that follow from the time servers of `recipe`.
pub(super) fn add(judge: &mut Judge<'_>, recipe: &mut Recipe) {
    let path = KeyPath::from("system.ntp");
    let servers = recipe.system.ntp.clone();
    judge.all_spelled(&path, &servers, time_server);
    judge.unique(&servers, "time server", |index| path.at(index), |server| Some(server.clone()));
    if servers.is_empty() {
        return;
    }
    let Some(client) = client(judge, &path, recipe, &servers) else { return };
    let title = format!("the time servers are asked by {}, which is disabled", client.unit);
    refuse_disabled(judge, recipe, &path, &client.unit, title, "remove one of the two");
    stand_for(judge, recipe, (&path, "`system.ntp`"), &client.file, client.text.clone());
    enable_once(recipe, &client.unit);
    recipe.checks.extend(checks(&client, &servers));
}

/// The client of the system. EL7 has only the one that the recipe asks for: the kickstart has `timezone --nontp`, and chrony is not in the
/// group `core`.
fn client(judge: &mut Judge<'_>, path: &KeyPath, recipe: &Recipe, servers: &[String]) -> Option<Client> {
    let named = |package: &str| recipe.packages.install.iter().any(|wanted| wanted.asks_for(package));
    match judge.installer? {
        // A group may bring it; if it does not, `check` finds no unit of that name.
        Installer::Anaconda if !named("chrony") && recipe.packages.install.iter().all(|package| package.group().is_none()) => {
            judge.wrong(path, "nothing that is installed asks time servers", "add \"chrony\" to `packages.install`");
            None
        }
        Installer::Anaconda => Some(Client::chrony(&EL7.chrony, servers)),
        Installer::Deploy if named("chrony") => Some(Client::chrony(&DEBIAN_CHRONY, servers)),
        Installer::Deploy => {
            if let Some(other) = OTHERS.iter().find(|other| named(other)) {
                let title = format!("{other} has time servers of its own, and goldsmith does not know its settings");
                let help = "install chrony in its place or leave it out, which is systemd-timesyncd; or write its file with `[[file]]`";
                let install = KeyPath::from("packages.install");
                let is_it = |text: &str| text.parse::<PackageName>().is_ok_and(|wanted| wanted.asks_for(other));
                let place = judge.place_in(&install, is_it).unwrap_or(install);
                judge.clash(path, &place, "installed here", title, help);
                return None;
            }
            // The lists of several files add up, and an empty one begins anew (timesyncd.conf(5)).
            let text = format!("[Time]\nNTP=\nNTP={}\n", servers.join(" "));
            Some(Client::new("systemd-timesyncd", "/etc/systemd/timesyncd.conf.d/goldsmith.conf", text))
        }
    }
}

/// The servers in their order, then the other settings.
fn chrony_conf(servers: &[String], chrony: &Chrony) -> String {
    servers.iter().map(|server| format!("server {server} iburst\n")).collect::<String>() + chrony.settings
}

/// The checks that the client runs, and has these servers. systemd-timesyncd reports its servers. chronyd reports only those whose addresses it
/// has found, and there is no network; it does not start with a file that it cannot read, so its file is checked.
fn checks(client: &Client, servers: &[String]) -> Vec<Check> {
    let kind = CheckKind::Service { unit: client.unit.clone(), enabled: Some(true), active: Some(true), restarting: false };
    let runs = Check { name: format!("{} runs", client.unit), kind };
    let kind = if client.unit == "systemd-timesyncd" {
        prints("timedatectl show-timesync --property=SystemNTPServers --value", &servers.join(" "), "they are")
    } else {
        let sha256 = Some(Sha256Digest::of(client.text.as_bytes()));
        CheckKind::File { path: client.file.clone(), exists: true, contains: None, sha256, mode: None, owner: None }
    };
    vec![runs, Check { name: "time servers".to_owned(), kind }]
}

/// A time server: a name or an address.
fn time_server(text: &str) -> syntax::Verdict {
    let fits = text.parse::<std::net::IpAddr>().is_ok() || text.parse::<HostName>().is_ok();
    ensure(fits, text, "a time server", "write a host name like \"ntp.example.org\", or an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_servers_are_names_and_addresses() {
        for text in ["ntp.example.org", "10.0.0.1", "fd00::1", "ntp1"] {
            assert_eq!(time_server(text), Ok(()), "{text}");
        }
        for text in ["", "a b", "ntp.example.org iburst", "-x", "[fd00::1]", "10.0.0.1:123", "a\nb", "https://a"] {
            assert!(time_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_servers_of_timesyncd_are_compared_whole() {
        let client = Client::new("systemd-timesyncd", "/file", String::new());
        for (found, fits) in [("a.lab b.lab", true), ("a.lab b.lab c.lab", false), ("x.a.lab b.lab", false), ("a.lab", false), ("", false)]
        {
            let CheckKind::Command { run, .. } = checks(&client, &["a.lab".to_owned(), "b.lab".to_owned()]).remove(1).kind else {
                panic!("it is a command")
            };
            let script = format!("timedatectl() {{ echo '{found}'; }}\n{run}");
            let ran = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            assert_eq!(ran.status.success(), fits, "{found}");
        }
    }

    #[test]
    fn the_files_say_the_servers_in_their_order() {
        let servers = ["b.lab".to_owned(), "a.lab".to_owned()];
        assert!(
            chrony_conf(&servers, &EL7.chrony).starts_with("server b.lab iburst\nserver a.lab iburst\ndriftfile /var/lib/chrony/drift\n")
        );
        for Chrony { settings, .. } in [&EL7.chrony, &DEBIAN_CHRONY] {
            assert!(settings.ends_with('\n') && !settings.contains("  "), "{settings}");
        }
    }
}
