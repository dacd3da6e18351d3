//! Compares files with the package database: which package brought them, and with which mode.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::paths::is_below;
use crate::image::{FileKind, ImageError, Metadata, Root};
use crate::inventory::{self, InventoryError};
use crate::packages::installed::{Installed, InstalledFile};

/// Places whose set-uid programs are no package's, where there is no package database to ask.
const UNPACKAGED: [&str; 9] = ["/root", "/home", "/tmp", "/var", "/opt", "/srv", "/etc", "/usr/local", "/boot"];
/// What container engines keep: systems of their own, which only root can reach.
const CONTAINERS: [&str; 3] = ["/var/lib/docker", "/var/lib/containers", "/var/lib/containerd"];
/// Where nothing lasts.
const PASSING: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];
/// Bits of a mode with which a program runs as another user or group than its caller: set-uid and set-gid.
const SET_IDS: u32 = 0o6000;

/// The package that a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// The system has no package database.
    Unknown,
    /// No package.
    Nobody,
    /// A package, by its name, with the mode in its database; dpkg's has none.
    Package(String, Option<u32>),
}

/// The owners of `paths`, in their order.
///
/// # Errors
/// The image or its package database is damaged.
pub(super) fn owners(root: &Root, paths: &[PathBuf]) -> Result<Vec<Owner>, ImageError> {
    let mut found: HashMap<&Path, Owner> = paths.iter().map(|path| (path.as_path(), Owner::Nobody)).collect();
    let mut each = |package: &Installed, file: &InstalledFile<'_>, path: PathBuf| {
        if let Some(owner) = found.get_mut(path.as_path()) {
            *owner = Owner::Package(package.name.clone(), file.mode.map(|mode| mode & 0o7777));
        }
    };
    let database = inventory::files(root, &mut each).map_err(|error| match error {
        InventoryError::Image(error) => error,
        InventoryError::Database(error) => ImageError::incompatible(root.disk(), None, error.to_string()),
    })?;
    let owner = |path: &PathBuf| match (&database, found.get(path.as_path())) {
        (Some(_), Some(owner)) => owner.clone(),
        _ => Owner::Unknown,
    };
    Ok(paths.iter().map(owner).collect())
}

/// A program that runs as another user or group than its caller.
pub(super) fn is_set_id(path: &Path, file: &Metadata) -> bool {
    file.kind == FileKind::File && file.mode & SET_IDS != 0 && file.mode & 0o111 != 0 && !is_below(path, &CONTAINERS)
}

/// Such a program that no package brought, or brought without these bits.
pub(super) fn foreign_set_id(path: &Path, file: &Metadata, owner: &Owner) -> Option<String> {
    let mode = format!("mode {:04o}, owner {}", file.mode, file.uid);
    match owner {
        Owner::Unknown => is_below(path, &UNPACKAGED).then_some(mode),
        Owner::Nobody => Some(format!("{mode}, of no package")),
        Owner::Package(name, Some(own)) if file.mode & SET_IDS & !own != 0 => Some(format!("{mode}; {name} brought it with {own:04o}")),
        Owner::Package(..) => None,
    }
}

/// Something that everybody may write, outside the places that are made for it.
pub(super) fn is_open(path: &Path, file: &Metadata) -> bool {
    let is_open = match file.kind {
        FileKind::File => file.mode & 0o002 != 0,
        // With the sticky bit each user removes only what is his.
        FileKind::Directory => file.mode & 0o1002 == 0o002,
        _ => false,
    };
    is_open && !is_below(path, &PASSING) && !is_below(path, &CONTAINERS)
}

/// Such a thing, unless its package brought it so.
pub(super) fn foreign_open(_: &Path, file: &Metadata, owner: &Owner) -> Option<String> {
    match owner {
        Owner::Package(_, Some(own)) if own & 0o002 != 0 => None,
        _ => Some(format!("mode {:04o}", file.mode)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_brings_so_is_its_own() {
        let package = |mode| Owner::Package("p".to_owned(), mode);
        let file = |mode| Metadata { kind: FileKind::File, mode, uid: 0, gid: 0, size: 1, modified: 0 };
        for (path, mode, owner, expected) in [
            ("/usr/bin/su", 0o4755, package(None), None),
            ("/usr/bin/su", 0o4755, package(Some(0o4755)), None),
            ("/usr/bin/su", 0o4755, package(Some(0o755)), Some("mode 4755, owner 0; p brought it with 0755")),
            ("/usr/bin/su", 0o6755, package(Some(0o4755)), Some("mode 6755, owner 0; p brought it with 4755")),
            ("/usr/bin/su", 0o4755, Owner::Nobody, Some("mode 4755, owner 0, of no package")),
            ("/usr/bin/su", 0o4755, Owner::Unknown, None),
            ("/opt/su", 0o2755, Owner::Unknown, Some("mode 2755, owner 0")),
            ("/opt/su", 0o2755, package(None), None),
        ] {
            assert!(is_set_id(Path::new(path), &file(mode)));
            assert_eq!(foreign_set_id(Path::new(path), &file(mode), &owner).as_deref(), expected, "{path} {mode:o} {owner:?}");
        }
        for (path, mode) in [("/usr/bin/su", 0o755), ("/usr/bin/su", 0o4644), ("/var/lib/docker/overlay2/1/diff/bin/su", 0o4755)] {
            assert!(!is_set_id(Path::new(path), &file(mode)), "{path} {mode:o}");
        }
        for (owner, is_found) in [(package(Some(0o666)), false), (package(Some(0o644)), true), (package(None), true), (Owner::Nobody, true)]
        {
            assert!(is_open(Path::new("/srv/x"), &file(0o666)));
            assert_eq!(foreign_open(Path::new("/srv/x"), &file(0o666), &owner).is_some(), is_found, "{owner:?}");
        }
    }
}
