//! systemd-boot's menu: entries of type 1 and 2 of the Boot Loader Specification (UAPI.1) on the ESP and on the XBOOTLDR partition, their
//! order, and the one that is booted by default.
//!
//! The EFI variables of the machine are not taken into account: they say which entry was chosen last, or is chosen once.

use std::cmp::Ordering;
use std::path::Path;

use super::entries::{Keys, MAX_ENTRIES, MAX_ENTRY_BYTES};
use super::entry::{BootEntry, BootFile, ESP_PLACES, MAX_CONFIG_BYTES, Mechanism, is_file};
use super::glob;
use super::unified::{self, Program, Unified};
use super::versions::version_order;
use crate::image::error::ImageError;
use crate::image::filesystem::FileKind;
use crate::image::root::Root;

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    /// The name of its file in small letters, without counters.
    id: String,
    /// How often it may still be tried, and how often it was.
    tries: Option<(u64, u64)>,
    sort_key: Option<String>,
    machine_id: String,
    version: String,
    entry: BootEntry,
}

impl Item {
    /// The order of the menu (UAPI.1, "Sorting"; systemd 257, src/boot/boot.c, `boot_entry_compare`).
    fn order(&self, other: &Self) -> Ordering {
        let is_spent = |item: &Self| matches!(item.tries, Some((0, _)));
        is_spent(self)
            .cmp(&is_spent(other))
            .then(self.sort_key.is_none().cmp(&other.sort_key.is_none()))
            .then_with(|| match (&self.sort_key, &other.sort_key) {
                (Some(a), Some(b)) => {
                    a.cmp(b).then_with(|| self.machine_id.cmp(&other.machine_id)).then_with(|| version_order(&other.version, &self.version))
                }
                _ => Ordering::Equal,
            })
            .then_with(|| version_order(&other.id, &self.id))
            .then_with(|| match (self.tries, other.tries) {
                (Some((left, done)), Some((other_left, other_done))) => other_left.cmp(&left).then(done.cmp(&other_done)),
                _ => Ordering::Equal,
            })
    }
}

/// What systemd-boot starts by default; `None` when no filesystem has entries for it.
///
/// # Errors
/// Something cannot be read, or the default is no Linux.
pub(super) fn default_entry(root: &Root) -> Result<Option<BootEntry>, ImageError> {
    let (mut items, mut pattern) = (Vec::new(), None);
    for place in ESP_PLACES.into_iter().filter(|place| root.is_mount_point(Path::new(place))) {
        if pattern.is_none()
            && let Some(bytes) = root.read_if_there(format!("{place}/loader/loader.conf"), MAX_CONFIG_BYTES)?
        {
            pattern = Keys::of_systemd(&String::from_utf8_lossy(&bytes)).last("default").map(str::to_lowercase);
        }
        for name in files(root, &format!("{place}/loader/entries"), ".conf")? {
            items.extend(of_type_1(root, place, &name)?);
        }
        for name in files(root, &format!("{place}/EFI/Linux"), ".efi")? {
            items.extend(of_type_2(root, place, &name)?);
        }
    }
    items.sort_by(Item::order);
    Ok(choose(&items, pattern.as_deref()).map(|item| item.entry.clone()))
}

/// The one that fits `pattern` and stands first, or the first. `@saved` and its like ask EFI variables, which an image does not have.
fn choose<'a>(items: &'a [Item], pattern: Option<&str>) -> Option<&'a Item> {
    let pattern = pattern.filter(|pattern| !pattern.starts_with('@'));
    pattern.and_then(|pattern| items.iter().find(|item| glob::fits(pattern, &item.id))).or(items.first())
}

/// The files of `dir` that systemd-boot looks at; none when there is no such directory.
fn files(root: &Root, dir: &str, suffix: &str) -> Result<Vec<String>, ImageError> {
    let found = match root.entries(dir) {
        Err(ImageError::Absent { .. } | ImageError::OtherKind { .. }) => return Ok(Vec::new()),
        found => found?,
    };
    let is_ours = |name: &str| {
        let name = name.to_lowercase();
        !name.starts_with('.') && !name.starts_with("auto-") && name.ends_with(suffix)
    };
    let files = found.into_iter().filter(|entry| entry.metadata.kind == FileKind::File);
    let names: Vec<String> = files.filter_map(|entry| entry.name.into_string().ok()).filter(|name| is_ours(name)).collect();
    if names.len() > MAX_ENTRIES {
        let what = format!("{dir} holds {} entries, {MAX_ENTRIES} at most are read", names.len());
        return Err(ImageError::incompatible(root.disk(), None, what));
    }
    Ok(names)
}

/// An entry's id and counters: `foo+3-1.conf` is `foo.conf`, which may be tried 3 times and was tried once (UAPI.1, "Boot counting").
fn id(name: &str) -> (String, Option<(u64, u64)>) {
    let lower = name.to_lowercase();
    let counted = || {
        let (stem, suffix) = lower.rsplit_once('.')?;
        let (stem, counters) = stem.rsplit_once('+')?;
        let (left, done) = counters.split_once('-').unwrap_or((counters, "0"));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok())?;
        Some((format!("{stem}.{suffix}"), (number(left)?, number(done)?)))
    };
    match counted() {
        Some((id, tries)) => (id, Some(tries)),
        None => (lower, None),
    }
}

/// The entry in `place/loader/entries/name`; `None` when systemd-boot passes it over: it is for another architecture, or starts what is
/// not there.
fn of_type_1(root: &Root, place: &str, name: &str) -> Result<Option<Item>, ImageError> {
    let configuration = format!("{place}/loader/entries/{name}");
    let keys = Keys::of_systemd(&String::from_utf8_lossy(&root.read_start(&configuration, MAX_ENTRY_BYTES)?));
    if keys.last("architecture").is_some_and(|architecture| !architecture.eq_ignore_ascii_case("x64")) {
        return Ok(None);
    }
    // Paths begin at the root of the filesystem that holds the entry.
    let path = |value: &str| format!("{place}/{}", value.replace('\\', "/").trim_start_matches('/'));
    let Some((key, kernel)) = ["linux", "uki", "efi"].iter().find_map(|key| Some((*key, path(keys.last(key)?)))) else {
        return Ok(None);
    };
    if !is_file(root, &kernel)? {
        return Ok(None);
    }
    let title = keys.last("title").unwrap_or(name).to_owned();
    let (id, tries) = id(name);
    let text = |key: &str| keys.last(key).unwrap_or_default().to_owned();
    let item = |entry| Item {
        id,
        tries,
        sort_key: keys.last("sort-key").map(str::to_owned),
        machine_id: text("machine-id").to_lowercase(),
        version: text("version"),
        entry,
    };
    let arguments = keys.all("options").collect::<Vec<_>>().join(" ");
    if key != "linux" && unified::program(root, &kernel)? == Program::Unified {
        let inside = unified::read(root, &kernel)?.entry;
        let arguments = if arguments.is_empty() { inside.arguments } else { arguments };
        return Ok(Some(item(BootEntry { configuration, title, arguments, ..inside })));
    }
    let initrds = keys.all("initrd").map(|value| BootFile::whole(path(value))).collect();
    let kernel = BootFile::whole(kernel);
    Ok(Some(item(BootEntry { mechanism: Mechanism::SystemdBoot, configuration, title, kernel, initrds, arguments })))
}

/// The unified kernel image `place/EFI/Linux/name`; `None` when it has no kernel.
fn of_type_2(root: &Root, place: &str, name: &str) -> Result<Option<Item>, ImageError> {
    let path = format!("{place}/EFI/Linux/{name}");
    if unified::program(root, &path)? != Program::Unified {
        return Ok(None);
    }
    let Unified { entry, sort_key, version } = unified::read(root, &path)?;
    let (id, tries) = id(name);
    Ok(Some(Item { id, tries, sort_key: Some(sort_key), machine_id: String::new(), version, entry }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, sort_key: Option<&str>, version: &str) -> Item {
        let (id, tries) = id(name);
        let entry = BootEntry {
            mechanism: Mechanism::SystemdBoot,
            configuration: name.to_owned(),
            title: String::new(),
            kernel: BootFile::whole("/k"),
            initrds: Vec::new(),
            arguments: String::new(),
        };
        Item { id, tries, sort_key: sort_key.map(str::to_owned), machine_id: String::new(), version: version.to_owned(), entry }
    }

    #[test]
    fn counters_are_no_part_of_the_id() {
        for (name, expected, tries) in [
            ("Foo.conf", "foo.conf", None),
            ("foo+3.conf", "foo.conf", Some((3, 0))),
            ("foo+0-3.efi", "foo.efi", Some((0, 3))),
            ("foo+3-x.conf", "foo+3-x.conf", None),
            ("foo+.conf", "foo+.conf", None),
            ("a+1+2-1.conf", "a+1.conf", Some((2, 1))),
            ("foo+99999999999999999999.conf", "foo+99999999999999999999.conf", None),
        ] {
            assert_eq!(id(name), (expected.to_owned(), tries), "{name}");
        }
    }

    /// Each list stands in the menu's order; it is sorted from its reverse.
    #[test]
    fn the_menu_is_sorted_and_the_default_chosen() {
        let sorted = [
            item("x.conf", Some("a"), "1"),
            item("b-1.conf", Some("debian"), "10"),
            item("b-2.conf", Some("debian"), "9"),
            item("new+3.conf", None, ""),
            item("a-10.conf", None, ""),
            item("a-9+2-1.conf", None, ""),
            item("a-9+1-2.conf", None, ""),
            item("first+0-3.conf", Some("a"), "99"),
        ];
        let mut items: Vec<_> = sorted.iter().rev().cloned().collect();
        items.sort_by(Item::order);
        assert_eq!(items, sorted);
        for (pattern, expected) in [
            (None, "x.conf"),
            (Some("@saved"), "x.conf"),
            (Some("nothing*"), "x.conf"),
            (Some("b-*"), "b-1.conf"),
            (Some("a-9.conf"), "a-9+2-1.conf"),
            (Some("first.conf"), "first+0-3.conf"),
        ] {
            assert_eq!(choose(&items, pattern).unwrap().entry.configuration, expected, "{pattern:?}");
        }
        assert_eq!(choose(&[], None), None);
    }
}
