//! Files kept under their digest: those from the network, once they have been fetched, and copies of images.
//!
//! A miss hands out the permission to fetch: [`FileVacancy`] holds a lock, and the beginning of the file that an earlier run got, if
//! any. The bytes that were fetched stay when the vacancy is dropped, so that the next run goes on from there.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{CacheError, POLL, Store};
use crate::base::atomic;
use crate::base::digest::Sha256Digest;
use crate::base::host;
use crate::base::lock::Lock;

/// The suffix of the name of a beginning.
pub(super) const PART: &str = ".part";

/// The result of looking for a file.
#[derive(Debug)]
pub enum FileLookup {
    /// It is there.
    Hit(PathBuf),
    /// It is not; the holder may fetch it.
    Miss(FileVacancy),
}

/// The permission to fetch one file.
#[derive(Debug)]
pub struct FileVacancy {
    part: PathBuf,
    target: PathBuf,
    store: Store,
    _lock: Lock,
}

impl FileVacancy {
    /// Where the file is put together. It may be there already, in part.
    pub fn part(&self) -> &Path {
        &self.part
    }

    /// Give the file its name. The caller has checked that it has this digest, or has copied one that does.
    ///
    /// # Errors
    /// It cannot be synced or renamed.
    pub fn keep(self) -> Result<PathBuf, CacheError> {
        let kept = || -> io::Result<()> {
            let file = File::open(&self.part)?;
            file.set_permissions(Permissions::from_mode(0o444))?;
            file.sync_all()?;
            fs::rename(&self.part, &self.target)?;
            self.target.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        };
        kept().map_err(|source| CacheError { path: self.target.clone(), source })?;
        self.store.hold(&self.target);
        Ok(self.target)
    }
}

impl Store {
    /// The file that hashes to `sha256`, if it is there. This waits for no lock and hashes nothing.
    pub fn peek_file(&self, sha256: &Sha256Digest) -> Option<PathBuf> {
        let path = self.file(sha256);
        (path.is_file() && self.hold(&path)).then_some(path)
    }

    /// The file that hashes to `sha256`, or the permission to fetch it. While another process fetches it, wait; `waiting` is called once
    /// before that.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lookup_file(&self, sha256: &Sha256Digest, waiting: impl FnOnce()) -> Result<FileLookup, CacheError> {
        let target = self.file(sha256);
        let lock_path = self.lock(&target);
        let mut waiting = Some(waiting);
        loop {
            let failed = |source| CacheError { path: lock_path.clone(), source };
            if let Some(lock) = Lock::try_exclusive(&lock_path).map_err(failed)? {
                if target.is_file() && self.hold(&target) {
                    return Ok(FileLookup::Hit(target));
                }
                let part = target.with_file_name(format!(".{sha256}{PART}"));
                return Ok(FileLookup::Miss(FileVacancy { part, target, store: self.clone(), _lock: lock }));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Remove a file whose content does not have the digest in its name.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn discard_file(&self, sha256: &Sha256Digest) -> Result<(), CacheError> {
        let path = self.file(sha256);
        atomic::remove(&path).map_err(|source| CacheError { path, source })
    }

    /// Bytes that can still be written to the store.
    ///
    /// # Errors
    /// It is gone.
    pub fn free_bytes(&self) -> Result<u64, CacheError> {
        host::free_bytes(&self.root).map_err(|source| CacheError { path: self.root.clone(), source })
    }

    fn file(&self, sha256: &Sha256Digest) -> PathBuf {
        self.root.join("v1/files").join(sha256.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_fetched_by_one_and_its_beginning_outlives_who_gave_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let sha256 = Sha256Digest::of(b"whole");
            let look = || async {
                match store.lookup_file(&sha256, || {}).await.unwrap() {
                    FileLookup::Miss(vacancy) => vacancy,
                    FileLookup::Hit(path) => panic!("{path:?}"),
                }
            };
            let vacancy = look().await;
            fs::write(vacancy.part(), "who").unwrap();
            drop(vacancy);
            assert_eq!(store.peek_file(&sha256), None);
            let vacancy = look().await;
            assert_eq!(fs::read(vacancy.part()).unwrap(), b"who");
            fs::write(vacancy.part(), "whole").unwrap();
            let mut waited = false;
            let (second, first) = tokio::join!(store.lookup_file(&sha256, || waited = true), async {
                tokio::time::sleep(POLL).await;
                vacancy.keep().unwrap()
            });
            assert!(matches!(second.unwrap(), FileLookup::Hit(path) if path == first) && waited);
            assert_eq!(fs::read(store.peek_file(&sha256).unwrap()).unwrap(), b"whole");
            assert_eq!(fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o444);
            assert_eq!(fs::read_dir(dir.path().join("v1/files")).unwrap().count(), 1);
            store.discard_file(&sha256).unwrap();
            store.discard_file(&sha256).unwrap();
            drop(look().await);
            assert!(store.free_bytes().unwrap() > 0);
        });
    }
}
