//! The planned content of a volume of files: directories of the host are walked, and their names are checked.
//!
//! Nothing is written before all files are known to fit, and all that do not fit are reported at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::directory::{self, SLOTS_MAX};
use crate::base::size::rounded;
use crate::image::error::ImageError;

/// Files and directories, at most: a distribution's whole medium has some ten thousand.
const ENTRIES_MAX: usize = 100_000;
/// Directories around a file, at most.
const DEPTH_MAX: usize = 16;
/// At most this many problems are reported.
const PROBLEMS_MAX: usize = 20;
/// Characters of a name, at most ("FAT Long Directory Entries").
const NAME_MAX: usize = 255;
/// What no long name may hold, besides control characters (same section). A slash separates names.
const FORBIDDEN: &str = "\"*:<>?\\|";
/// Bytes of a file, at most: `DIR_FileSize` has 32 bits.
const FILE_MAX: u64 = u32::MAX as u64;

/// A file or directory of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Its path in the volume; empty for the volume's own directory.
    pub path: String,
    /// The number of the directory it is in; the volume's own is in itself.
    pub parent: usize,
    /// What it is.
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// The numbers of what is in it, in the order of their names.
    Directory(Vec<usize>),
    /// Where it is on the host, and its bytes.
    File(PathBuf, u64),
}

impl Node {
    /// Its name in its directory.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Bytes of a file; a directory has none here.
    pub fn bytes(&self) -> u64 {
        match self.kind {
            Kind::File(_, bytes) => bytes,
            Kind::Directory(_) => 0,
        }
    }
}

/// Walk directories of the host, each for a path in the volume. The volume's own directory is number 0; every other comes before what it
/// holds. The order is that of the names, so it does not depend on the host's.
///
/// # Errors
/// Everything that FAT cannot hold, or a directory that cannot be read.
pub(super) fn walk(label: &str, directories: &[(&Path, &str)]) -> Result<Vec<Node>, ImageError> {
    let mut walk = Walk { found: BTreeMap::new(), problems: Vec::new() };
    walk.add("", None);
    for (dir, path) in directories {
        let mut at = String::new();
        let mut names = path.split('/').filter(|name| !name.is_empty());
        let is_there = names.all(|name| {
            join(&mut at, name);
            walk.add(&at, None)
        });
        if is_there {
            walk.directory(dir, &at)?;
        }
    }
    if walk.found.len() > ENTRIES_MAX {
        walk.problems.push(format!("there are more than {ENTRIES_MAX} files and directories"));
    }
    let nodes = walk.numbered();
    if walk.problems.is_empty() { Ok(nodes) } else { Err(ImageError::Unfit { label: label.to_owned(), problems: walk.problems }) }
}

fn join(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

struct Walk {
    /// Path as FAT compares it, to what is there.
    found: BTreeMap<String, Node>,
    problems: Vec<String>,
}

impl Walk {
    fn directory(&mut self, dir: &Path, path: &str) -> Result<(), ImageError> {
        if path.split('/').count() > DEPTH_MAX {
            self.problems.push(format!("`{path}` is more than {DEPTH_MAX} directories deep"));
            return Ok(());
        }
        let failed = |source| ImageError::read(dir, source);
        let mut entries = fs::read_dir(dir).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if self.found.len() > ENTRIES_MAX || self.problems.len() >= PROBLEMS_MAX {
                return Ok(());
            }
            let mut inner = path.to_owned();
            join(&mut inner, &entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                if self.add(&inner, None) {
                    self.directory(&entry.path(), &inner)?;
                }
            } else if kind.is_file() {
                let bytes = entry.metadata().map_err(failed)?.len();
                self.add(&inner, Some((entry.path(), bytes)));
            } else {
                self.problems.push(format!("`{inner}` is neither a file nor a directory"));
            }
        }
        Ok(())
    }

    /// Add a directory, or a file with its source and size. False when it cannot be there.
    fn add(&mut self, path: &str, file: Option<(PathBuf, u64)>) -> bool {
        if let Some(problem) = name_problem(path).or_else(|| file.as_ref().and_then(|(_, bytes)| size_problem(*bytes))) {
            self.problems.push(format!("`{path}` {problem}"));
            return false;
        }
        let kind = file.map_or(Kind::Directory(Vec::new()), |(source, bytes)| Kind::File(source, bytes));
        match self.found.get(&path.to_ascii_lowercase()) {
            None => {
                self.found.insert(path.to_ascii_lowercase(), Node { path: path.to_owned(), parent: 0, kind });
                true
            }
            Some(there) => {
                let fits = there.path == path && matches!((&there.kind, &kind), (Kind::Directory(_), Kind::Directory(_)));
                if !fits {
                    self.problems.push(format!("`{path}` is in the way of `{}`: names on FAT ignore case", there.path));
                }
                fits
            }
        }
    }

    /// Everything in its order, each directory with what it holds.
    fn numbered(&mut self) -> Vec<Node> {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut nodes: Vec<Node> = Vec::with_capacity(self.found.len());
        for (number, (key, node)) in std::mem::take(&mut self.found).into_iter().enumerate() {
            let around = key.rsplit_once('/').map_or("", |(around, _)| around);
            let parent = numbers.get(around).copied().unwrap_or_default();
            if let Some(Kind::Directory(inside)) = nodes.get_mut(parent).map(|node: &mut Node| &mut node.kind) {
                inside.push(number);
            }
            nodes.push(Node { parent, ..node });
            numbers.insert(key, number);
        }
        for (number, node) in nodes.iter().enumerate() {
            if let Kind::Directory(inside) = &node.kind
                && directory::slots(number == 0, inside.iter().map(|inside| nodes[*inside].name())) > SLOTS_MAX
            {
                self.problems.push(format!("`{}` holds more names than a directory of FAT can", node.path));
            }
        }
        nodes
    }
}

/// Why the last name of `path` cannot be on the volume. Linux shows other characters than ASCII only when the character set is named at the
/// mount, and an installer may not even have it.
fn name_problem(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if name.len() > NAME_MAX {
        Some(format!("has a name of more than {NAME_MAX} bytes"))
    } else if name.ends_with(['.', ' ']) {
        Some("has a name that ends with a dot or a space, which FAT drops".to_owned())
    } else {
        let wrong = name.chars().find(|c| !matches!(c, ' '..='~') || FORBIDDEN.contains(*c))?;
        Some(format!("has `{}` in its name, which not every reader of FAT has", wrong.escape_debug()))
    }
}

fn size_problem(bytes: u64) -> Option<String> {
    (bytes > FILE_MAX).then(|| format!("has {}; FAT has no files of 4 GiB and more", rounded(bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    /// The problems of a directory that is made by `prepare`.
    fn problems(prepare: impl Fn(&Path)) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        match walk("X", &[(dir.path(), "repo")]) {
            Err(ImageError::Unfit { problems, .. }) => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fat_cannot_hold_is_refused_by_name_and_all_at_once() {
        let found = problems(|dir| {
            for name in ["A.rpm", "a.rpm", "a:b", "b ", "c.", "ü", "new\nline", "fine (1) + [x] {y} ~,;=@&%$#!'`^_-.x"] {
                fs::write(dir.join(name), "").unwrap();
            }
            fs::write(dir.join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
            symlink("/etc", dir.join("link")).unwrap();
            File::create(dir.join("big")).unwrap().set_len(1 << 32).unwrap();
            File::create(dir.join("biggest")).unwrap().set_len((1 << 32) - 1).unwrap();
            fs::create_dir_all(dir.join("d/".repeat(DEPTH_MAX))).unwrap();
            fs::create_dir(dir.join("D")).unwrap();
        });
        let deep = format!("`repo{}` is more than 16 directories deep", "/d".repeat(DEPTH_MAX));
        let expected = [
            "`repo/a.rpm` is in the way of `repo/A.rpm`: names on FAT ignore case",
            "`repo/a:b` has `:` in its name, which not every reader of FAT has",
            "`repo/b ` has a name that ends with a dot or a space, which FAT drops",
            "`repo/big` has 4.00 GiB; FAT has no files of 4 GiB and more",
            "`repo/c.` has a name that ends with a dot or a space, which FAT drops",
            &deep,
            "`repo/link` is neither a file nor a directory",
            "`repo/new\nline` has `\\n` in its name, which not every reader of FAT has",
            "`repo/ü` has `ü` in its name, which not every reader of FAT has",
            "`repo/\u{fffd}` has `\u{fffd}` in its name, which not every reader of FAT has",
        ];
        // `D` comes before `d`, so `d` is the one that cannot be added.
        let others: Vec<String> =
            found.into_iter().filter(|line| line != "`repo/d` is in the way of `repo/D`: names on FAT ignore case").collect();
        assert!(others.iter().map(String::as_str).eq(expected.into_iter().filter(|line| *line != deep)), "{others:#?}");
        assert_eq!(problems(|dir| fs::create_dir_all(dir.join("d/".repeat(DEPTH_MAX))).unwrap()), [deep]);
    }

    #[test]
    fn a_directory_has_no_more_names_than_fat_counts() {
        // There are 20 slots for the long name and one for the short.
        let with = |count: usize| {
            let dir = tempfile::tempdir().unwrap();
            for number in 0..count {
                fs::write(dir.path().join(format!("{number:0>255}")), "").unwrap();
            }
            walk("X", &[(dir.path(), "r")]).map(|nodes| nodes.len())
        };
        assert_eq!(with((SLOTS_MAX - 2) / 21).unwrap(), 2 + (SLOTS_MAX - 2) / 21);
        assert_eq!(
            with((SLOTS_MAX - 2) / 21 + 1).unwrap_err().to_string(),
            "the volume X cannot be made: `r` holds more names than a directory of FAT can"
        );
    }

    #[test]
    fn directories_are_laid_over_each_other_and_files_never() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        fs::create_dir_all(one.join("x")).unwrap();
        fs::create_dir_all(two.join("x")).unwrap();
        fs::write(one.join("x/f"), "1").unwrap();
        fs::write(two.join("x/g"), "2").unwrap();
        let paths = |nodes: Vec<Node>| nodes.into_iter().map(|node| node.path).collect::<Vec<_>>();
        let both = walk("X", &[(&one, "a/b"), (&two, "a/b/")]).unwrap();
        assert_eq!(both[2].parent, 1);
        assert_eq!(paths(both), ["", "a", "a/b", "a/b/x", "a/b/x/f", "a/b/x/g"]);
        assert_eq!(paths(walk("X", &[(&one, "")]).unwrap()), ["", "x", "x/f"]);
        let error = |directories: &[(&Path, &str)]| walk("X", directories).unwrap_err().to_string();
        assert!(error(&[(&one, "a"), (&one, "a")]).ends_with("`a/x/f` is in the way of `a/x/f`: names on FAT ignore case"));
        assert!(error(&[(&one, "a"), (&two, "A")]).ends_with("`A` is in the way of `a`: names on FAT ignore case"));
        assert!(error(&[(&one, "a|b")]).contains("has `|` in its name"));
        assert!(error(&[(&dir.path().join("none"), "a")]).starts_with("cannot read "));
    }
}
