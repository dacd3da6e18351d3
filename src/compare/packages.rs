//! The packages of two images, and which files belong to those that differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use super::difference::Change;
use super::error::CompareError;
use crate::image::Root;
use crate::inventory;
use crate::packages::installed::{Installation, Installed, InstalledFile};

/// The differences.
pub(super) struct Packages {
    pub(super) changes: Vec<Change>,
    /// Paths of the packages that differ, and their names.
    pub(super) files: HashMap<PathBuf, String>,
}

/// The versions of a package, and its architectures beside them.
type Versions = BTreeMap<(String, String), BTreeSet<String>>;

/// The differences between the packages of two images. An image without a package database has none.
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
            let mut each = |package: &Installed, _: &InstalledFile<'_>, path: PathBuf| {
                if names.contains(package.name.as_str()) {
                    files.entry(path).or_insert_with(|| package.name.clone());
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
