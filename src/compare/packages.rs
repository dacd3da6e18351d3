//! The packages of two images, and which files belong to those that differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::difference::Change;
use super::error::CompareError;
use crate::image::{FileKind, ImageError, Root};
use crate::inventory;
use crate::packages::installed::{Installation, Installed, InstalledFile};

/// Directories that are links into `/usr` on a merged system, which package databases still name.
const MERGED: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// What differs.
pub(super) struct Packages {
    pub(super) changes: Vec<Change>,
    /// Paths of the packages that differ, and their names.
    pub(super) files: HashMap<PathBuf, String>,
}

/// The versions of a package, and its architectures beside them.
type Versions = BTreeMap<(String, String), BTreeSet<String>>;

/// What differs between the packages of two images. An image without a package database has none.
pub(super) fn changes(before: &Root, after: &Root) -> Result<Packages, CompareError> {
    let (old, new) = (versions(inventory::installation(before)?), versions(inventory::installation(after)?));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing: Vec<_> = keys.iter().copied().filter(|key| old.get(*key) != new.get(*key)).collect();
    let shown = |versions: Option<&BTreeSet<String>>| versions.map(|all| all.iter().cloned().collect::<Vec<_>>().join(", "));
    let change = |key: &(String, String)| {
        let is_alone = keys.iter().filter(|other| other.0 == key.0).count() == 1;
        let name = if is_alone { key.0.clone() } else { format!("{}.{}", key.0, key.1) };
        Change { name, before: shown(old.get(key)), after: shown(new.get(key)) }
    };
    let changes: Vec<Change> = differing.iter().map(|key| change(key)).collect();
    let mut files = HashMap::new();
    if !changes.is_empty() {
        let names: BTreeSet<&str> = differing.iter().map(|key| key.0.as_str()).collect();
        for root in [before, after] {
            let merged = merged(root)?;
            let mut each = |package: &Installed, file: &InstalledFile<'_>| {
                if names.contains(package.name.as_str()) {
                    files.entry(real(&merged, Path::new(OsStr::from_bytes(file.path)))).or_insert_with(|| package.name.clone());
                }
            };
            inventory::files(root, &mut each)?;
        }
    }
    Ok(Packages { changes, files })
}

fn versions(found: Option<Installation>) -> Versions {
    let mut versions = Versions::new();
    for package in found.map(|found| found.packages).unwrap_or_default() {
        let key = (package.name, package.architecture.unwrap_or_default());
        versions.entry(key).or_default().insert(package.version);
    }
    versions
}

/// Which of [`MERGED`] are links.
fn merged(root: &Root) -> Result<Vec<&'static str>, ImageError> {
    let mut found = Vec::new();
    for dir in MERGED {
        match root.symlink_metadata(dir) {
            Ok(metadata) if metadata.kind == FileKind::Symlink => found.push(dir),
            Ok(_) | Err(ImageError::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Where the file of a package really is.
fn real(merged: &[&str], path: &Path) -> PathBuf {
    let is_merged = merged.iter().any(|dir| path.starts_with(dir));
    // OK to default: what begins with one of the directories begins with `/`.
    if is_merged { Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)) } else { path.to_owned() }
}
