//! Advisory locks between processes.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// An exclusive lock, held until it is dropped (`flock(2)` through [`File::lock`]; not dependable on NFS).
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Take the lock at `path`, creating the file; `None` when another process holds it.
    ///
    /// # Errors
    /// The file cannot be opened or locked.
    pub fn try_exclusive(path: &Path) -> io::Result<Option<Self>> {
        Self::of(File::options().create(true).truncate(false).write(true).open(path)?)
    }

    /// Take the lock of the directory at `path`; `None` when another process holds it.
    ///
    /// # Errors
    /// The directory cannot be opened or locked.
    pub fn try_exclusive_dir(path: &Path) -> io::Result<Option<Self>> {
        Self::of(File::open(path)?)
    }

    fn of(file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_taker_waits_for_the_first_to_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::try_exclusive(&path).unwrap();
        assert!(first.is_some() && Lock::try_exclusive(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
        let first = Lock::try_exclusive_dir(dir.path()).unwrap();
        assert!(first.is_some() && Lock::try_exclusive_dir(dir.path()).unwrap().is_none());
        drop(first);
        assert!(Lock::try_exclusive_dir(dir.path()).unwrap().is_some() && Lock::try_exclusive_dir(&dir.path().join("none")).is_err());
    }
}
