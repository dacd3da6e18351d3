//! The packages of an image: the database of its package manager, found in its files and read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::base::failure::{Class, Failure};
use crate::image::{FileKind, ImageError, Root};
use crate::packages::installed::{
    self, DATABASE_BYTES, DPKG_INFO, DPKG_STATUS, DPKG_STATUS_DIRECTORY, DatabaseError, EachFile, FileLists, Installation, Installed,
    InstalledFile, RPM_PLACES, RpmDatabase, SQLITE_JOURNAL, SQLITE_LOG,
};

/// Directories that are links into `/usr` on a merged system, which package databases still name.
const MERGED: [&str; 4] = ["/bin", "/sbin", "/lib", "/lib64"];

/// Why the packages of an image cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum InventoryError {
    /// The files of the database cannot be read.
    Image(#[from] ImageError),
    /// Their content cannot be read.
    Database(#[from] DatabaseError),
}

impl Failure for InventoryError {
    fn class(&self) -> Class {
        match self {
            Self::Image(error) => error.class(),
            Self::Database(error) => error.class(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.remedy(),
            Self::Database(error) => error.remedy(),
        }
    }
}

/// The packages installed in the system of `root`; `None` when it has no database of rpm or dpkg. Where it has both, dpkg's counts: Debian
/// has rpm as a package, and no system of RPM packages has dpkg's database.
///
/// # Errors
/// The database cannot be read.
pub fn installation(root: &Root) -> Result<Option<Installation>, InventoryError> {
    read(root, None)
}

/// Called with each file of each package and its real path: package databases of a merged system still say `/bin/su`.
pub type EachPath<'a> = dyn FnMut(&Installed, &InstalledFile<'_>, PathBuf) + 'a;

/// As [`installation`], and each file of each installed package is handed to `each`.
///
/// # Errors
/// As [`installation`], or a package's list of files cannot be read.
pub fn files(root: &Root, each: &mut EachPath<'_>) -> Result<Option<Installation>, InventoryError> {
    let merged = merged(root)?;
    let mut each = |package: &Installed, file: &InstalledFile<'_>| {
        each(package, file, real(&merged, Path::new(OsStr::from_bytes(file.path))));
    };
    read(root, Some(&mut each))
}

/// When the database of the system in `root` was last written, in seconds since 1970.
///
/// # Errors
/// The image cannot be read.
pub fn changed_at(root: &Root) -> Result<Option<i64>, ImageError> {
    for name in [DPKG_STATUS, DPKG_STATUS_DIRECTORY].iter().chain(&RPM_PLACES) {
        if root.exists(name)? {
            return Ok(Some(root.metadata(name)?.modified));
        }
    }
    Ok(None)
}

fn read(root: &Root, mut each: Option<&mut EachFile<'_>>) -> Result<Option<Installation>, InventoryError> {
    if let Some(found) = dpkg(root)? {
        if let Some(each) = each {
            dpkg_files(root, &found, each)?;
        }
        return Ok(Some(found));
    }
    for name in RPM_PLACES {
        let Some(bytes) = root.read_if_there(name, DATABASE_BYTES)? else { continue };
        let beside = |suffix: &str| root.read_if_there(format!("{name}{suffix}"), DATABASE_BYTES).map(Option::unwrap_or_default);
        let (log, journal) = (beside(SQLITE_LOG)?, beside(SQLITE_JOURNAL)?);
        let database = RpmDatabase { name, bytes: &bytes, log: &log, journal: &journal };
        return Ok(Some(installed::rpm(&database, each.take())?));
    }
    Ok(None)
}

fn dpkg(root: &Root) -> Result<Option<Installation>, InventoryError> {
    if let Some(status) = root.read_if_there(DPKG_STATUS, DATABASE_BYTES)? {
        return Ok(Some(installed::dpkg(&[(DPKG_STATUS, &status)], None)?));
    }
    if !root.exists(DPKG_STATUS_DIRECTORY)? {
        return Ok(None);
    }
    let mut files = Vec::new();
    for name in root.read_dir(DPKG_STATUS_DIRECTORY)? {
        let name = name.to_string_lossy().into_owned();
        if !name.ends_with(".md5sums") {
            let path = format!("{DPKG_STATUS_DIRECTORY}/{name}");
            let bytes = root.read(&path, DATABASE_BYTES)?;
            files.push((path, bytes));
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    Ok(Some(installed::dpkg(&files, None)?))
}

/// dpkg keeps the files of packages in separate lists.
fn dpkg_files(root: &Root, found: &Installation, each: &mut EachFile<'_>) -> Result<(), InventoryError> {
    for package in &found.packages {
        for name in installed::file_lists(package) {
            let path = |kind: &str| format!("{DPKG_INFO}/{name}.{kind}");
            let Some(list) = root.read_if_there(path("list"), DATABASE_BYTES)? else { continue };
            let other = |kind: &str| root.read_if_there(path(kind), DATABASE_BYTES).map(Option::unwrap_or_default);
            let (md5sums, conffiles) = (other("md5sums")?, other("conffiles")?);
            FileLists { list: &list, md5sums: &md5sums, conffiles: &conffiles }.each(&path("list"), package, each)?;
            break;
        }
    }
    Ok(())
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
    // OK to default: a path in one of the directories begins with `/`.
    if is_merged { Path::new("/usr").join(path.strip_prefix("/").unwrap_or(path)) } else { path.to_owned() }
}
