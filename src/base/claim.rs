//! Directories that show whether their maker still lives, so that leftovers of a killed process can be distinguished from directories in
//! use.
//!
//! The claim is a lock on the directory itself (`flock(2)`), which ends with the process however it ends. A file system that has no such
//! locks (NFS refuses them on directories) makes directories that are never taken for abandoned.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tempfile::TempDir;

/// A new directory, ours until it is dropped, and removed then.
#[derive(Debug)]
pub struct ClaimedDir {
    dir: TempDir,
    _claim: Option<File>,
}

impl ClaimedDir {
    /// Make `PARENT/PREFIXxxxxxx` with these permission bits.
    ///
    /// # Errors
    /// The parent is not there or not writable.
    pub fn new(parent: &Path, prefix: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        loop {
            let permissions = fs::Permissions::from_mode(0o700);
            let dir = tempfile::Builder::new().prefix(prefix.as_ref()).permissions(permissions).tempdir_in(parent)?;
            // Before it was claimed, a sweep may have taken it for abandoned.
            let claim = match claim(dir.path())? {
                Claim::Ours(claim) => Some(claim),
                Claim::NoLocks => None,
                Claim::Taken => continue,
            };
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode))?;
            return Ok(Self { dir, _claim: claim });
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Leave what has its name now.
    pub fn keep(self) {
        // The caller that keeps it has the path.
        let _ = self.dir.keep();
    }

    /// Remove what has its name now.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn close(self) -> io::Result<()> {
        self.dir.close()
    }
}

/// A directory whose maker is gone. No other process can claim it while this value lives.
#[derive(Debug)]
pub struct Abandoned {
    /// Where it is.
    pub path: PathBuf,
    _claim: File,
}

/// The directories in `parent` whose names begin with `prefix` and whose makers are gone. Those of other users are passed over.
///
/// # Errors
/// `parent` cannot be read.
pub fn abandoned(parent: &Path, prefix: impl AsRef<OsStr>) -> io::Result<Vec<Abandoned>> {
    let prefix = prefix.as_ref().as_encoded_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(prefix)
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(Claim::Ours(claim)) = claim(&entry.path())
        {
            found.push(Abandoned { path: entry.path(), _claim: claim });
        }
    }
    Ok(found)
}

/// Remove the abandoned directories in `parent` whose names begin with `prefix`, as far as that is possible: what cannot be removed
/// stays, and does no harm.
pub fn sweep(parent: &Path, prefix: impl AsRef<OsStr>) {
    for abandoned in abandoned(parent, prefix).unwrap_or_default() {
        let _ = fs::remove_dir_all(&abandoned.path);
    }
}

enum Claim {
    Ours(File),
    /// Another process has it, or it is gone.
    Taken,
    /// The file system has no locks for directories.
    NoLocks,
}

fn claim(path: &Path) -> io::Result<Claim> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let dir = match File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claim::Taken),
        opened => opened?,
    };
    match dir.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(Claim::Taken),
        Err(TryLockError::Error(_)) => return Ok(Claim::NoLocks),
        Ok(()) => {}
    }
    let locked = dir.metadata()?;
    // It may have been removed, and even made again, between opening and locking.
    let there = fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (locked.dev(), locked.ino()));
    Ok(if there { Claim::Ours(dir) } else { Claim::Taken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_claims_is_abandoned() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let mine = ClaimedDir::new(parent.path(), "run-", 0o755).unwrap();
        fs::create_dir(at("run-dead")).unwrap();
        fs::create_dir(at("other")).unwrap();
        fs::write(at("run-file"), "").unwrap();
        let found = abandoned(parent.path(), "run-").unwrap();
        assert_eq!(found.iter().map(|dir| dir.path.clone()).collect::<Vec<_>>(), [at("run-dead")]);
        // It is claimed now, by the value above.
        assert!(abandoned(parent.path(), "run-").unwrap().is_empty());
        drop(found);
        sweep(parent.path(), "run-");
        let left = |name: &str| at(name).exists();
        assert!(!left("run-dead") && left("other") && left("run-file") && mine.path().is_dir());
        let path = mine.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o755);
        drop(mine);
        assert!(!path.exists());
    }
}
