//! The place of an artifact: whether a build may publish there. Nothing is made to find that out.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::directory::{FILES, Found, existing, read_manifest};
use super::error::ArtifactError;
use crate::base::atomic::NewDir;
use crate::base::digest::Sha256Digest;

/// Where an artifact is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The target; a link to a directory stands for that directory.
    target: PathBuf,
    /// The directory that is there nearest above the target.
    nearest: PathBuf,
    /// The directories between the two, which publishing makes, innermost first.
    missing: Vec<PathBuf>,
}

impl Place {
    /// Look at `target` and what is above it.
    ///
    /// # Errors
    /// It has no file name, or something above it is no directory or cannot be read.
    pub(super) fn find(target: &Path) -> Result<Self, ArtifactError> {
        let failed = |source| ArtifactError::io(target, "written")(source);
        let real = match fs::canonicalize(target) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => target.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let name = real.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_owned();
        let mut missing = Vec::new();
        for above in real.ancestors().skip(1) {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match fs::metadata(above) {
                Ok(metadata) if metadata.is_dir() => {
                    let place = Self { nearest: above.to_owned(), target: real.clone(), missing };
                    place.require_names(&name).map_err(failed)?;
                    return Ok(place);
                }
                Ok(_) => return Err(failed(io::ErrorKind::NotADirectory.into())),
                // A dangling link has the name that the directory would need.
                Err(error) if error.kind() != io::ErrorKind::NotFound || fs::symlink_metadata(above).is_ok() => return Err(failed(error)),
                Err(_) => missing.push(above.to_owned()),
            }
        }
        Err(failed(io::ErrorKind::NotFound.into()))
    }

    /// Make sure that a new directory can be made at `target`, and tell the directory that is there nearest above it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn require_writable(target: &Path) -> Result<PathBuf, ArtifactError> {
        let place = Self::find(target)?;
        place.try_to_write().map_err(ArtifactError::io(target, "written"))?;
        // Shown to people, who may have named the target by a relative path.
        Ok(std::path::absolute(&place.nearest).unwrap_or(place.nearest))
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Remove the directories that were missing, as far as they are there now and empty.
    pub(super) fn remove_made(&self) {
        for made in &self.missing {
            // One that holds something is in use, by this build or another one.
            let _ = fs::remove_dir(made);
        }
    }

    /// The file system takes the names of the target, of its draft ([`NewDir`]) and of the directories above it: none is too long for it.
    fn require_names(&self, name: &OsStr) -> io::Result<()> {
        let draft: OsString = [OsStr::new("."), name, OsStr::new(".new-xxxxxx")].into_iter().collect();
        let above = self.missing.iter().filter_map(|missing| missing.file_name());
        for name in above.chain([name, &draft]) {
            match fs::symlink_metadata(self.nearest.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// A file without a name needs the same permissions as one with a name, and is not seen (open(2): `O_TMPFILE`). A file system
    /// that has no such files says so, and there a directory is made, as a build would, and removed at once.
    fn try_to_write(&self) -> io::Result<()> {
        let unnamed = File::options().write(true).mode(0o600).custom_flags(OFlags::TMPFILE.bits().cast_signed()).open(&self.nearest);
        let Err(error) = unnamed else { return Ok(()) };
        // EISDIR is what kernels before 3.11 say, and file systems in user space that pass the flag on.
        match Errno::from_io_error(&error) {
            Some(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                NewDir::beside(&self.nearest.join(self.target.file_name().unwrap_or_default())).map(drop)
            }
            _ => Err(error),
        }
    }
}

/// The permission to replace an artifact of another content id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Refuse.
    Refuse,
    /// Replace it (`--force`).
    Force,
}

/// Whether publishing at `target` replaces an artifact: one of the content id `wanted`, or, with [`Overwrite::Force`], any.
///
/// # Errors
/// The existing file or directory is not replaced: another artifact without [`Overwrite::Force`], something that is not an artifact, or an
/// artifact with a file in it that goldsmith did not publish.
pub fn replaces(target: &Path, wanted: &Sha256Digest, overwrite: Overwrite) -> Result<bool, ArtifactError> {
    let path = || target.to_owned();
    match existing(target, wanted) {
        Found::None => return Ok(false),
        Found::NotOurs { why } => return Err(ArtifactError::NotOurs { path: path(), why }),
        Found::OtherId { id } if overwrite == Overwrite::Refuse => {
            return Err(ArtifactError::OtherId { path: path(), found: id, wanted: *wanted });
        }
        Found::OtherId { .. } | Found::SameId(_) => {}
    }
    match foreign_file(target).map_err(ArtifactError::io(target, "read"))? {
        Some(file) => Err(ArtifactError::HoldsForeign { path: path(), file }),
        None => Ok(true),
    }
}

/// A file in the artifact at `dir` that replacing it would destroy: the first by name.
fn foreign_file(dir: &Path) -> io::Result<Option<String>> {
    let manifest = read_manifest(dir).map_err(io::Error::other)?;
    let mut foreign = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !manifest.files().any(|file| file.file == name) && !FILES.contains(&name.as_str()) {
            foreign.push(name);
        }
    }
    Ok(foreign.into_iter().min())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::base::atomic::tests::names;
    use crate::base::failure::{Class, Failure};

    #[test]
    fn a_place_is_judged_and_nothing_is_made() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir(at("there")).unwrap();
        fs::write(at("file"), "").unwrap();
        symlink(at("there"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        let before = (names(temp.path()), fs::metadata(temp.path()).unwrap().mtime_nsec());
        let long = "x".repeat(246);
        for (target, expected) in [
            ("new", Ok("")),
            ("new/deep/x", Ok("")),
            ("there", Ok("")),
            ("there/x", Ok("there")),
            ("link", Ok("")),
            ("link/new/x", Ok("link")),
            ("file/x", Err("Not a directory")),
            ("file/new/x", Err("Not a directory")),
            ("dangling/x", Err("No such file")),
            // The name of the directory in the making is twelve bytes longer.
            (&long, Err("File name too long")),
            (&format!("new/{long}"), Err("File name too long")),
            (&format!("{}/x", "x".repeat(256)), Err("File name too long")),
            ("new/..", Err("invalid filename")),
        ] {
            let found = Place::require_writable(&at(target));
            match (&found, expected) {
                (Ok(nearest), Ok(name)) => assert_eq!(fs::canonicalize(nearest).unwrap(), fs::canonicalize(at(name)).unwrap(), "{target}"),
                (Err(error), Err(why)) => {
                    assert!(error.to_string().contains(why) && error.class() == Class::Host, "{target}: {error}");
                }
                _ => panic!("{target}: {found:?}"),
            }
        }
        assert_eq!((names(temp.path()), fs::metadata(temp.path()).unwrap().mtime_nsec()), before);
        assert!(names(&at("there")).is_empty());
        // There are no files without a name here, nor any others.
        assert!(Place::require_writable(Path::new("/proc/out")).is_err());
        assert_eq!(Place::require_writable(Path::new("never-there/x")).unwrap(), std::env::current_dir().unwrap());
    }
}
