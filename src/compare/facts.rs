//! The settings of a system, as names and values.

use std::collections::BTreeMap;
use std::path::Path;

use super::difference::Change;
use crate::image::inspect::inspect_disk;
use crate::image::{Disk, FileKind, ImageError, Root};

/// Bytes of a file of accounts or settings that are read.
const MAX_BYTES: u64 = 4 << 20;
/// Where sysctl.d(5) looks, in its order of precedence, and `/etc/sysctl.conf`, which procps reads last.
const SYSCTL_DIRECTORIES: [&str; 4] = ["/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const SYSCTL_FILE: &str = "/etc/sysctl.conf";

/// Stands for the id of the image's own root filesystem.
const OWN_ROOT: &str = "(the root filesystem's)";

/// Names and values, sorted.
pub(super) type Named = BTreeMap<String, String>;

/// The settings of a system.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) system: Named,
    pub(super) units: Named,
    pub(super) users: Named,
    /// The passwords of users as they are stored. They are compared and never shown.
    passwords: Named,
    pub(super) sysctls: Named,
    pub(super) kernel_arguments: Named,
}

impl Facts {
    /// # Errors
    /// The image is damaged.
    pub(super) fn of(disk: &Disk, root: &Root) -> Result<Self, ImageError> {
        let mut facts = Self { sysctls: sysctls(root)?, ..Self::default() };
        if let Some(system) = inspect_disk(disk).system {
            let mut name = |key: &str, value: String| drop(facts.system.insert(key.to_owned(), value));
            if let Some(release) = system.os_release {
                name("distribution", release.pretty_name);
            }
            if let Some(hostname) = system.hostname {
                name("host name", hostname);
            }
            name("kernels", system.kernels.join(", "));
            name("root filesystem", system.root.filesystem.name().to_owned());
            facts.units = system.enabled_units.into_iter().map(|unit| (unit, "enabled".to_owned())).collect();
            if let Some(boot) = system.boot {
                // The id of the root filesystem differs between any two images, so it is no difference worth telling.
                facts.kernel_arguments = arguments(&boot.arguments.replace(&system.root.uuid, OWN_ROOT));
            }
        }
        facts.read_accounts(root)?;
        Ok(facts)
    }

    fn read_accounts(&mut self, root: &Root) -> Result<(), ImageError> {
        for fields in lines(root, "/etc/shadow")? {
            self.passwords.insert(fields[0].clone(), fields[1].clone());
        }
        for fields in lines(root, "/etc/passwd")? {
            let [name, password, uid, gid, _, home, shell] = &fields[..] else { continue };
            let password = self.passwords.entry(name.clone()).or_insert_with(|| password.clone());
            let password = match password.as_str() {
                "" => "an empty password",
                "*" | "x" => "no password",
                locked if locked.starts_with('!') => "no password",
                _ => "a password",
            };
            self.users.insert(name.clone(), format!("uid {uid}, gid {gid}, {home}, {shell}, {password}"));
        }
        for fields in lines(root, "/etc/group")? {
            let [name, _, gid, members] = &fields[..] else { continue };
            let members = if members.is_empty() { String::new() } else { format!(", members {members}") };
            self.users.insert(format!("group {name}"), format!("gid {gid}{members}"));
        }
        Ok(())
    }
}

/// The differences between two sets of names.
pub(super) fn changes(before: &Named, after: &Named) -> Vec<Change> {
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| Change { name: name.clone(), before: before.get(name).cloned(), after: after.get(name).cloned() };
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).map(change).collect()
}

/// The differences between the users. A different password is reported, but not its value.
pub(super) fn users(before: &Facts, after: &Facts) -> Vec<Change> {
    let mut found = changes(&before.users, &after.users);
    for (name, password) in &after.passwords {
        let is_told = found.iter().any(|change| change.name == *name);
        if !is_told && before.passwords.get(name).is_some_and(|old| old != password) {
            let (old, new) = ("a password".to_owned(), "another password".to_owned());
            found.push(Change { name: name.clone(), before: Some(old), after: Some(new) });
        }
    }
    found
}

/// Arguments by their names. A repeated argument has its values in their order.
fn arguments(text: &str) -> Named {
    let mut found = Named::new();
    for argument in text.split_whitespace() {
        let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
        let entry = found.entry(name.to_owned()).or_default();
        if !entry.is_empty() {
            entry.push(' ');
        }
        entry.push_str(value);
    }
    found
}

/// What the files of sysctl.d(5) set, the last one of a key. A file in a directory hides those of its name in later ones.
fn sysctls(root: &Root) -> Result<Named, ImageError> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for dir in SYSCTL_DIRECTORIES {
        if !root.exists(dir)? || root.metadata(dir)?.kind != FileKind::Directory {
            continue;
        }
        for name in root.read_dir(dir)? {
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(".conf") {
                files.entry(name.clone()).or_insert_with(|| format!("{dir}/{name}"));
            }
        }
    }
    let mut found = Named::new();
    for path in files.values().map(String::as_str).chain([SYSCTL_FILE]) {
        // A link to /dev/null hides the file of its name and sets nothing.
        for line in text(root, path)?.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
            if let Some((key, value)) = line.split_once('=') {
                let key = key.trim().trim_start_matches('-').replace('/', ".");
                found.insert(key, value.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    Ok(found)
}

/// The fields of each line that has two at least: passwd(5), shadow(5), group(5).
fn lines(root: &Root, path: &str) -> Result<Vec<Vec<String>>, ImageError> {
    let text = text(root, path)?;
    let lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.filter(|fields| fields.len() > 1 && !fields[0].starts_with('#')).collect())
}

/// The text of a regular file; `None` when there is no such file.
fn text(root: &Root, path: impl AsRef<Path>) -> Result<String, ImageError> {
    let path = path.as_ref();
    if !root.exists(path)? || root.metadata(path)?.kind != FileKind::File {
        return Ok(String::new());
    }
    Ok(String::from_utf8_lossy(&root.read(path, MAX_BYTES)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_by_name() {
        let named = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Named>();
        let found = changes(&named(&[("a", "1"), ("b", "2"), ("c", "3")]), &named(&[("b", "2"), ("c", "4"), ("d", "5")]));
        let found: Vec<_> = found.iter().map(|change| (change.name.as_str(), change.before.as_deref(), change.after.as_deref())).collect();
        assert_eq!(found, [("a", Some("1"), None), ("c", Some("3"), Some("4")), ("d", None, Some("5"))]);
    }

    #[test]
    fn arguments_may_stand_there_several_times() {
        let found = arguments("root=UUID=1 ro quiet console=tty0 console=ttyS0,115200");
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("console", "tty0 ttyS0,115200"), ("quiet", ""), ("ro", ""), ("root", "UUID=1")]);
    }
}
