//! Takes out of a machine's disk what `up` gave the machine at its boots ([`super::personal`]): the reverse of `personal.sh`.
//!
//! Host name, names in `/etc/hosts` and keys are in files of the disk; the consoles without a log-in and the address on a private network are
//! in memory alone. What users have changed in these files stays.

use super::personal::{END, KEYS_BEGIN, LOOPBACK, NAMES_BEGIN};
use super::record::Record;
use crate::image::{ImageError, Root};
use crate::machine::runner::RunnerTask;

/// The name of the runner's task.
const TASK: &str = "impersonal";
/// The names of the files for the task, and their places in the guest.
const HOSTNAME: (&str, &str) = ("hostname", "/etc/hostname");
const HOSTS: (&str, &str) = ("hosts", "/etc/hosts");
const KEYS: (&str, &str) = ("keys", "/root/.ssh/authorized_keys");
/// What follows the name of a file that the image does not have.
const GONE: &str = ".gone";
/// Bytes of a file of the disk that is changed.
const MAX_BYTES: u64 = 1 << 20;

/// The files that `up` writes; `None` for one that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Texts {
    hostname: Option<String>,
    hosts: Option<String>,
    keys: Option<String>,
}

impl Texts {
    /// Read them.
    ///
    /// # Errors
    /// The disk is damaged, or one is not UTF-8 or larger than such a file is.
    pub(super) fn read(root: &Root) -> Result<Self, ImageError> {
        let text = |(_, path): (&str, &str)| {
            let told = root.read_if_there(path, MAX_BYTES)?.map(String::from_utf8).transpose();
            told.map_err(|_| ImageError::NotEditable { path: root.disk().to_owned(), what: format!("{path} is not UTF-8") })
        };
        Ok(Self { hostname: text(HOSTNAME)?, hosts: text(HOSTS)?, keys: text(KEYS)? })
    }
}

/// The task that makes the files of a machine's disk, which are `now`, as they are without what `up` wrote; the image has them as `then`.
/// `None` when nothing is to be changed.
pub(super) fn task(record: &Record, now: &Texts, then: &Texts) -> Option<RunnerTask> {
    let mut files = Vec::new();
    let mut put = |name: &str, now: &Option<String>, wanted: Option<String>| {
        match wanted {
            wanted if wanted == *now => {}
            Some(text) => files.push((name.to_owned(), text.into_bytes())),
            // An empty file is one that the image has.
            None => files.push((format!("{name}{GONE}"), Vec::new())),
        }
    };
    put(HOSTNAME.0, &now.hostname, hostname(record, now, then));
    put(HOSTS.0, &now.hosts, now.hosts.as_deref().and_then(|now| hosts(now, then.hosts.as_deref())));
    put(KEYS.0, &now.keys, now.keys.as_deref().and_then(|now| keys(now, then.keys.is_some())));
    (!files.is_empty()).then(|| RunnerTask { name: TASK.to_owned(), script: include_bytes!("impersonal.sh").to_vec(), files })
}

/// The image's host name, in the place of the one that the machine was given. Another one was set in the machine, and stays.
fn hostname(record: &Record, now: &Texts, then: &Texts) -> Option<String> {
    let given = record.hostname.as_ref().map(ToString::to_string);
    let is_given = given.is_some() && now.hostname.as_deref().map(str::trim) == given.as_deref();
    if is_given { then.hostname.clone() } else { now.hostname.clone() }
}

/// `/etc/hosts` without the names of the machine's network. What the image calls 127.0.1.1, which went with them, is back, in its place where
/// the lines around it have stayed. `None` when nothing is left of a file that the image does not have.
fn hosts(now: &str, then: Option<&str>) -> Option<String> {
    let Some(text) = without_block(now, NAMES_BEGIN) else { return Some(now.to_owned()) };
    let Some(then) = then else { return (!text.trim().is_empty()).then_some(text) };
    let is_loopback = |line: &str| line.split_ascii_whitespace().next() == Some(&LOOPBACK.to_string());
    // The shell's `$(…)` of personal.sh takes the ends of lines at the end away.
    let rest: String = then.lines().filter(|line| !is_loopback(line)).flat_map(|line| [line, "\n"]).collect();
    if rest.trim_end() == text.trim_end() {
        return Some(then.to_owned());
    }
    let back = then.lines().filter(|line| is_loopback(line)).filter(|_| !text.lines().any(is_loopback));
    Some(back.flat_map(|line| [line, "\n"]).chain([&*text]).collect())
}

/// `authorized_keys` without the keys that the machine was given; `None` when nothing is left of a file that the image does not have.
fn keys(now: &str, image_has_it: bool) -> Option<String> {
    let text = without_block(now, KEYS_BEGIN).unwrap_or_else(|| now.to_owned());
    (image_has_it || !text.trim().is_empty()).then_some(text)
}

/// `text` without the lines from `begin` to [`END`]; `None` when there is no such block.
fn without_block(text: &str, begin: &str) -> Option<String> {
    let (mut inside, mut found) = (false, false);
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line == begin;
        found |= inside;
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != END;
    }
    found.then_some(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::base::size::ByteSize;
    use crate::run::disk::Base;
    use crate::run::record::SCHEMA;
    use crate::run::source::{Source, tests::artifact};

    fn record(hostname: Option<&str>) -> Record {
        let dir = tempfile::tempdir().unwrap();
        let source = artifact(dir.path(), &serde_json::json!({}), &[1; 4096]);
        Record {
            schema: SCHEMA,
            name: "web".parse().unwrap(),
            base: Base::of(&Source::find(&source, None).unwrap()).unwrap(),
            source,
            memory: ByteSize::gib(1),
            cpus: None,
            forwards: Vec::new(),
            isolated: false,
            hostname: hostname.map(|name| name.parse().unwrap()),
            mac: None,
            network: None,
            keys: Vec::new(),
            autologin: false,
            volumes: Vec::new(),
            warm: None,
            created: String::new(),
        }
    }

    fn texts(hostname: &str, hosts: &str, keys: Option<&str>) -> Texts {
        Texts { hostname: Some(hostname.to_owned()), hosts: Some(hosts.to_owned()), keys: keys.map(str::to_owned) }
    }

    /// The files of the disk after the task, which the guest's script has changed below `dir`.
    fn after(record: &Record, now: &Texts, then: &Texts) -> Texts {
        let Some(task) = task(record, now, then) else { return now.clone() };
        let dir = tempfile::tempdir().unwrap();
        let (work, root) = (dir.path().join("work"), dir.path().join("disk"));
        for made in [&work, &root.join("etc"), &root.join("root/.ssh")] {
            fs::create_dir_all(made).unwrap();
        }
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        for ((_, path), text) in [(HOSTNAME, &now.hostname), (HOSTS, &now.hosts), (KEYS, &now.keys)] {
            text.iter().for_each(|text| fs::write(at(path), text).unwrap());
        }
        for (name, content) in &task.files {
            fs::write(work.join(name), content).unwrap();
        }
        let script = String::from_utf8(task.script).unwrap();
        let script =
            script.replace(" /etc/", &format!(" {}/etc/", root.display())).replace(" /root/", &format!(" {}/root/", root.display()));
        let ran = Command::new("dash").args(["-c", &script]).current_dir(&work).stdin(Stdio::null()).status().unwrap();
        assert!(ran.success());
        let read = |(_, path): (&str, &str)| fs::read_to_string(at(path)).ok();
        Texts { hostname: read(HOSTNAME), hosts: read(HOSTS), keys: read(KEYS) }
    }

    const HOSTS_THEN: &str = "127.0.0.1 localhost\n127.0.1.1 master\n\n::1 localhost\n";
    const NAMES: &str = "# goldsmith: names of this network\n10.0.0.1 web\n# goldsmith: end\n";
    const GIVEN: &str = "# goldsmith: keys of this machine\nssh-rsa A a\n# goldsmith: end\n";

    #[test]
    fn what_up_wrote_goes_and_what_users_wrote_stays() {
        let then = texts("master\n", HOSTS_THEN, None);
        let given = format!("127.0.0.1 localhost\n\n::1 localhost\n{NAMES}");
        let named = record(Some("web"));
        // Nothing but what `up` wrote: the files are as in the image, and the one it made is gone.
        assert_eq!(after(&named, &texts("web\n", &given, Some(GIVEN)), &then), then);
        // A machine that was given nothing, also when its users have changed the files.
        for own in [then.clone(), texts("mine\n", "127.0.0.1 localhost\n", Some("ssh-rsa C c\n"))] {
            assert_eq!(task(&record(None), &own, &then), None);
        }
        // Lines of users beside ours. Their own name of the machine stays, too.
        let own = texts(
            "mine\n",
            &format!("127.0.0.1 localhost\n\n::1 localhost\n10.9.9.9 db\n{NAMES}# after\n"),
            Some(&format!("ssh-rsa C c\n{GIVEN}ssh-rsa D d\n")),
        );
        let left = texts(
            "mine\n",
            "127.0.1.1 master\n127.0.0.1 localhost\n\n::1 localhost\n10.9.9.9 db\n# after\n",
            Some("ssh-rsa C c\nssh-rsa D d\n"),
        );
        assert_eq!(after(&named, &own, &then), left);
        // They have given 127.0.1.1 a name themselves.
        let hosts = format!("127.0.1.1 mine\n{NAMES}");
        assert_eq!(after(&named, &texts("web\n", &hosts, None), &then), texts("master\n", "127.0.1.1 mine\n", None));
        // A key of the image is in the file, and the image has no name for 127.0.1.1.
        let then = texts("master\n", "127.0.0.1 localhost\n", Some("ssh-rsa I i\n"));
        let now = texts("web\n", &format!("127.0.0.1 localhost\n{NAMES}"), Some(&format!("ssh-rsa I i\n{GIVEN}")));
        assert_eq!(after(&named, &now, &then), then);
        // The image has no name of its own.
        let then = Texts { hostname: None, ..then };
        assert_eq!(after(&named, &now, &then), then);
    }

    #[test]
    fn an_empty_file_of_the_image_is_not_a_missing_one() {
        let named = record(Some("web"));
        let now = texts("web\n", &format!("127.0.0.1 localhost\n{NAMES}"), Some(GIVEN));
        let hosts_alone = texts("web\n", NAMES, Some(GIVEN));
        let some = |text: &str| Some(text.to_owned());
        for (now, hostname, hosts, keys) in [
            (&now, some("master\n"), some("127.0.0.1 localhost\n"), some("")),
            (&now, some("master\n"), some("127.0.0.1 localhost\n"), None),
            (&now, some(""), some("127.0.0.1 localhost\n"), some("")),
            (&now, None, some("127.0.0.1 localhost\n"), None),
            (&hosts_alone, some("master\n"), some(""), some("")),
            (&hosts_alone, some("master\n"), None, None),
        ] {
            let then = Texts { hostname, hosts, keys };
            assert_eq!(after(&named, now, &then), then);
        }
    }

    /// `personal.sh` writes what is taken back here.
    #[test]
    fn the_blocks_are_those_that_the_boot_writes() {
        let script = include_str!("personal.sh");
        for line in [NAMES_BEGIN, KEYS_BEGIN, END] {
            assert!(script.contains(&format!("'{line}'")), "{line}");
        }
        for (_, path) in [HOSTNAME, HOSTS, KEYS] {
            assert!(script.contains(path), "{path}");
            assert!(include_str!("impersonal.sh").contains(path), "{path}");
        }
    }
}
