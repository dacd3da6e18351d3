//! Decides which names a bundle's files may have: they are put on a FAT32 volume for the machine, and into a directory of the host.

use std::collections::{HashMap, HashSet};

/// Bytes of a path, at most.
const PATH_BYTES: usize = 1024;
/// Parts of a path, at most.
const PARTS: usize = 16;
/// Bytes of one part of a path, at most: Linux allows no more (`NAME_MAX`), and FAT no more UTF-16 units.
const PART_BYTES: usize = 255;
/// Slots of one directory of FAT, at most: 2 MiB of 32 bytes each ("FAT Directory Structure").
const SLOTS: usize = 65_536;
/// Characters of a name in one slot ("FAT Long Directory Entries"). Another slot has the short name.
const SLOT_CHARACTERS: usize = 13;
/// What no part may hold, besides control characters (Microsoft FAT specification 1.03, "Long Directory Entries").
const FORBIDDEN: &str = "\"*:<>?\\|";

/// The rule for paths: [`normal`] or [`inside`].
pub(super) type Naming = fn(&[u8]) -> Result<String, &'static str>;

/// A path within a bundle as we write it: parts separated by `/`, none of them `.` or `..`. Empty for the bundle's own directory.
///
/// # Errors
/// Why a file cannot have this path.
pub(super) fn normal(raw: &[u8]) -> Result<String, &'static str> {
    let path = inside(raw)?;
    path.split('/').try_for_each(fits_fat)?;
    Ok(path)
}

/// As [`normal`], for an archive whose files are not put on FAT.
pub(super) fn inside(raw: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(raw).map_err(|_| "has a name that is not UTF-8")?;
    if text.starts_with('/') {
        return Err("has an absolute path");
    }
    let mut path = String::new();
    for (count, part) in text.split('/').filter(|part| !matches!(*part, "" | ".")).enumerate() {
        if count == PARTS {
            return Err("is more than 16 directories deep");
        }
        if part == ".." {
            return Err("leads out of the directory");
        }
        if part.len() > PART_BYTES {
            return Err("has a name of more than 255 bytes");
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part);
    }
    if path.len() > PATH_BYTES { Err("has a path of more than 1024 bytes") } else { Ok(path) }
}

/// Where a symbolic link in the directory `dir` leads that says `target`, when that is a path as `named` takes it.
///
/// # Errors
/// Why it cannot be followed.
pub(super) fn resolved(dir: &str, target: &[u8], named: Naming) -> Result<String, &'static str> {
    let target = std::str::from_utf8(target).map_err(|_| "is a link to a name that is not UTF-8")?;
    if target.starts_with('/') {
        return Err("is a link to an absolute path");
    }
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part != ".." {
            parts.push(part);
        } else if parts.pop().is_none() {
            return Err("is a link that leads out of the bundle");
        }
    }
    named(parts.join("/").as_bytes()).map_err(|_| "is a link to a name that no file of a bundle can have")
}

fn fits_fat(part: &str) -> Result<(), &'static str> {
    if part.chars().any(|c| c.is_control() || FORBIDDEN.contains(c)) {
        Err("has a character in its name that FAT32, on which it travels, does not have: \" * : < > ? \\ | or a control character")
    } else if part.ends_with(['.', ' ']) {
        Err("has a name that ends with a dot or a space, which FAT32, on which it travels, drops")
    } else {
        Ok(())
    }
}

/// The paths, seen from the repository's directory, that cannot be put on the volume although each is [`normal`], with the reasons.
///
/// Names beyond ASCII: Linux shows them as they are only when the mount names their character set, and the installer's may lack it. Above
/// the repository's directory such names do not matter, because those directories are not copied.
pub(super) fn misfits<'a>(paths: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, String)> {
    let mut misfits = Vec::new();
    // Each directory with its slots; two lead to itself and to the one around it.
    let mut slots: HashMap<&str, usize> = HashMap::new();
    let mut seen: HashSet<&str> = HashSet::new();
    for path in paths {
        if let Some(odd) = path.chars().find(|c| !c.is_ascii()) {
            misfits.push((path, format!("has `{odd}` in its name, which not every reader of FAT32, on which it travels, has")));
        }
        let mut entry = path;
        while !entry.is_empty() && seen.insert(entry) {
            *slots.entry(parent(entry)).or_insert(2) += 1 + last(entry).len().div_ceil(SLOT_CHARACTERS);
            entry = parent(entry);
        }
    }
    let mut full: Vec<&str> = slots.into_iter().filter(|(_, slots)| *slots > SLOTS).map(|(dir, _)| dir).collect();
    full.sort_unstable();
    let what = || "holds more or longer names than a directory of FAT32, on which it travels, can".to_owned();
    misfits.extend(full.into_iter().map(|dir| (if dir.is_empty() { "." } else { dir }, what())));
    misfits
}

/// The directory a path is in; empty for the bundle's own.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A path's last part.
pub(super) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `path` seen from the directory `top`, when it is below it.
pub(super) fn below<'a>(path: &'a str, top: &str) -> Option<&'a str> {
    if top.is_empty() { Some(path) } else { path.strip_prefix(top)?.strip_prefix('/') }
}

/// The paths seen so far, to find those that are the same on FAT32, where case does not count. A tree, so that it takes no more memory than
/// the paths do.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Number of the directory and folded name in it, to what was seen there.
    nodes: HashMap<(usize, String), Node>,
}

#[derive(Debug)]
struct Node {
    /// Its number as a directory; that of the bundle's own is 0.
    number: usize,
    /// The name as written.
    name: String,
    is_file: bool,
}

impl Seen {
    /// Add a file's path and the directories it is in.
    ///
    /// # Errors
    /// The path that conflicts with it.
    pub(super) fn add(&mut self, path: &str) -> Result<(), String> {
        let mut dir = 0;
        let mut at = 0;
        for part in path.split('/') {
            let is_file = at + part.len() == path.len();
            let number = self.nodes.len() + 1;
            let key = (dir, part.to_lowercase());
            match self.nodes.get(&key) {
                Some(node) if is_file || node.is_file || node.name != part => return Err(format!("{}{}", &path[..at], node.name)),
                Some(node) => dir = node.number,
                None => {
                    self.nodes.insert(key, Node { number, name: part.to_owned(), is_file });
                    dir = number;
                }
            }
            at += part.len() + 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_one_way_or_refused() {
        for (raw, expected) in [
            (&b"./Docker/a.rpm"[..], Ok("Docker/a.rpm")),
            (b"Docker//./a+b~1.rpm", Ok("Docker/a+b~1.rpm")),
            (b"./", Ok("")),
            (b"/etc/passwd", Err("absolute")),
            (b"a/../../b", Err("leads out")),
            (b"..", Err("leads out")),
            (b"a\xff", Err("UTF-8")),
            (b"a:b", Err("FAT32")),
            (b"a\\b", Err("FAT32")),
            (b"a\nb", Err("FAT32")),
            (b"dir./x", Err("dot or a space")),
        ] {
            let found = normal(raw);
            match expected {
                Ok(path) => assert_eq!(found.as_deref(), Ok(path)),
                Err(words) => assert!(found.clone().is_err_and(|why| why.contains(words)), "{raw:?}: {found:?}"),
            }
        }
        assert!(normal("ä".repeat(127).as_bytes()).is_ok());
        assert!(normal("ä".repeat(128).as_bytes()).is_err());
        assert!(normal("a/".repeat(16).as_bytes()).is_ok());
        assert!(normal("a/".repeat(17).as_bytes()).is_err());
        assert!(normal(format!("{0}/{0}/{0}/{0}/{0}", "a".repeat(250)).as_bytes()).is_err());
    }

    #[test]
    fn links_are_followed_within_the_bundle() {
        for (dir, target, expected) in [
            ("", &b"a.rpm"[..], Ok("a.rpm")),
            ("Docker/new", b"./../old//a.rpm", Ok("Docker/old/a.rpm")),
            ("Docker", b"..", Ok("")),
            ("Docker", b"../../etc/passwd", Err("leads out of the bundle")),
            ("", b"/etc/passwd", Err("absolute path")),
            ("", b"a\xff", Err("not UTF-8")),
            ("", b"a:b", Err("no file of a bundle")),
        ] {
            let found = resolved(dir, target, normal);
            match expected {
                Ok(path) => assert_eq!(found.as_deref(), Ok(path)),
                Err(words) => assert!(found.clone().is_err_and(|why| why.contains(words)), "{target:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn paths_that_are_one_on_fat_are_found() {
        let mut seen = Seen::default();
        for (path, clash) in [
            ("a/x.rpm", None),
            ("a/y.rpm", None),
            ("a/X.rpm", Some("a/x.rpm")),
            ("a/y.rpm", Some("a/y.rpm")),
            ("A/z.rpm", Some("a")),
            ("a/y.rpm/z", Some("a/y.rpm")),
            ("a", Some("a")),
        ] {
            assert_eq!(seen.add(path).err().as_deref(), clash, "{path}");
        }
    }

    #[test]
    fn names_that_do_not_travel_are_found_below_the_repository() {
        let why = "has `ü` in its name, which not every reader of FAT32, on which it travels, has";
        assert_eq!(misfits(["a b/c+~1.rpm", "für/x.rpm", "repodata/ü"]), [("für/x.rpm", why.to_owned()), ("repodata/ü", why.to_owned())]);
        // 20 slots for a long name and one for the short; in `d`, two more are taken.
        let most = (SLOTS - 2) / 21;
        let names: Vec<String> = (0..=most).map(|number| format!("d/{number:0>255}")).collect();
        assert_eq!(misfits(names[..most].iter().map(String::as_str)), []);
        let found = misfits(names.iter().map(String::as_str));
        assert!(found.len() == 1 && found[0].0 == "d" && found[0].1.starts_with("holds more or longer names"), "{found:?}");
        assert_eq!(misfits(names.iter().map(|name| last(name)))[0].0, ".");
    }

    #[test]
    fn parts_of_paths() {
        assert_eq!((parent("a/b/c"), parent("c"), last("a/b"), last("b")), ("a/b", "", "b", "b"));
        assert_eq!((below("a/b", "a"), below("ab/c", "a"), below("a", ""), below("a", "a")), (Some("b"), None, Some("a"), None));
    }
}
