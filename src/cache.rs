//! Keeps directories of bytes under a stage id, and files under their digest, safe among processes. It does not know what the bytes are.
//!
//! ```text
//! STORE/
//! ├─ v1/layers/ID/        a finished layer; ID is 64 hexadecimal digits
//! ├─ v1/layers/.ID.new-*  one in the making, claimed by its maker: swept when that is gone
//! ├─ v1/files/SHA256      a file that was fetched, or an image that was flattened; read-only
//! ├─ v1/files/.SHA256.part  the beginning of one
//! ├─ v1/locks/ID          held by who makes that layer (`file-SHA256`: fetches that file); the others wait for it
//! ├─ v1/scratch/run-*     one run's scratch directory each, claimed by it
//! ├─ v1/memory/KIND/KEY   something found out once, which may be lost at any time
//! └─ secret               32 random bytes, 0600: salts are derived from it
//! ```
//!
//! A layer is only ever added whole, by a rename. A miss hands out the permission to make it: [`Lookup::Miss`] holds the lock. What was found or
//! made stays as long as the [`Store`] that gave it: `holds` says how, `stock` lists and removes.

mod digests;
mod files;
mod holds;
mod memory;
mod stock;

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::base::atomic::{Existing, NewDir};
use crate::base::claim::{self, ClaimedDir};
use crate::base::digest::Sha256Digest;
use crate::base::failure::{Class, Failure};
use crate::base::lock::Lock;
use crate::base::process::{Invocation, Tool};
use crate::base::random::random;

use holds::Holds;

pub use files::{FileLookup, FileVacancy};
pub use stock::{Entry, Kind, Removal};

/// Bytes of the store's secret.
const SECRET_BYTES: usize = 32;
/// Attempts to remove a scratch directory.
const REMOVALS: u32 = 10;
/// The prefix of the names of scratch directories.
const RUN: &str = "run-";
/// How often a waiting process looks whether another has finished a layer.
const POLL: Duration = Duration::from_millis(500);

/// A store on the local disk.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    holds: Holds,
}

/// The result of looking for a layer.
#[derive(Debug)]
pub enum Lookup<T> {
    /// It is there, and this is what it was opened as.
    Hit(T),
    /// It is not, or cannot be opened; the holder may make it.
    Miss(Vacancy),
}

/// The permission to make one layer.
#[derive(Debug)]
pub struct Vacancy {
    new: NewDir,
    target: PathBuf,
    store: Store,
    _lock: Lock,
}

impl Vacancy {
    /// Where the content is made. It is beside its final place, so that relative references to other layers hold.
    pub fn path(&self) -> &Path {
        self.new.path()
    }

    /// Give the layer its name. One that is there could not be opened, and is replaced.
    ///
    /// # Errors
    /// The content cannot be synced or renamed; nothing is left then.
    pub fn keep(self) -> Result<PathBuf, CacheError> {
        let target = self.target;
        self.new.publish(Existing::Replace).map_err(|source| CacheError { path: target.clone(), source })?;
        // To remove it, the lock must be taken first.
        self.store.hold(&target);
        Ok(target)
    }
}

/// A run's own scratch directory, removed when dropped.
#[derive(Debug)]
pub struct Scratch {
    dir: ClaimedDir,
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Children that were just killed may still be writing. What is left in the end is for the next sweep.
        for _ in 0..REMOVALS {
            if remove(self.path()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Remove the directory at `path` and all in it, also files of a user namespace's ids, which only root of such a namespace can delete.
fn remove(path: &Path) -> bool {
    fs::remove_dir_all(path).is_ok() || !path.exists() || {
        Invocation::new(Tool::Shell).args(["-c", "rm -rf -- \"$1\"", "-"]).arg(path).contained().run_blocking();
        !path.exists()
    }
}

/// The store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be used: {}: {source}", path.display())]
pub struct CacheError {
    /// Where.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Failure for CacheError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("make room or give permission, or name another store: --store DIR".to_owned())
    }
}

impl Store {
    /// The store at `root`, made when missing.
    ///
    /// # Errors
    /// The directories cannot be made.
    pub fn open(root: &Path) -> Result<Self, CacheError> {
        let make = || -> io::Result<PathBuf> {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            for part in ["v1/layers", "v1/files", "v1/locks", "v1/scratch"] {
                builder.create(root.join(part))?;
            }
            root.canonicalize()
        };
        make().map(|root| Self { root, holds: Holds::default() }).map_err(|source| CacheError { path: root.to_owned(), source })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the layer `id`, if there is one. This waits for no lock. It does not say whether the layer can be used: only the
    /// code that made the layer can tell.
    pub fn peek(&self, id: &Sha256Digest) -> Option<PathBuf> {
        let path = self.layer(id);
        (path.is_dir() && self.hold(&path)).then_some(path)
    }

    /// Hold what is at `path`, and note that it was used; false when it is gone, or about to be.
    fn hold(&self, path: &Path) -> bool {
        self.holds.hold(path, &self.lock(path))
    }

    /// The lock that is held to make or remove the layer or file at `path`. The lock's time of change says when that was used last, because
    /// the times of the layer or file must not change: a file is recognised by them.
    fn lock(&self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_file = path.parent().is_some_and(|parent| parent.ends_with("files"));
        self.root.join("v1/locks").join(if is_file { format!("file-{name}") } else { name.into_owned() })
    }

    /// The layer `id` as `open` gives it, or the permission to make it, also when `open` finds that it cannot be used. While another process
    /// makes it, wait; `waiting` is called once before that.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn lookup<T>(
        &self,
        id: &Sha256Digest,
        open: impl Fn(&Path) -> Option<T>,
        waiting: impl FnOnce(),
    ) -> Result<Lookup<T>, CacheError> {
        let target = self.layer(id);
        let lock_path = self.lock(&target);
        let mut waiting = Some(waiting);
        loop {
            let failed = |source| CacheError { path: lock_path.clone(), source };
            if let Some(lock) = Lock::try_exclusive(&lock_path).map_err(failed)? {
                if target.is_dir()
                    && self.hold(&target)
                    && let Some(layer) = open(&target)
                {
                    return Ok(Lookup::Hit(layer));
                }
                let new = NewDir::beside(&target).map_err(|source| CacheError { path: target.clone(), source })?;
                return Ok(Lookup::Miss(Vacancy { new, target, store: self.clone(), _lock: lock }));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// A scratch directory for this run. What killed runs left behind is swept away first.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn scratch(&self) -> Result<Scratch, CacheError> {
        let parent = self.root.join("v1/scratch");
        let failed = |source| CacheError { path: parent.clone(), source };
        for run in claim::abandoned(&parent, RUN).map_err(failed)? {
            // What cannot be removed now is removed by the next sweep.
            remove(&run.path);
        }
        claim::sweep(&self.root.join("v1/layers"), ".");
        Ok(Scratch { dir: ClaimedDir::new(&parent, RUN, 0o700).map_err(failed)? })
    }

    /// The store's secret, made at the first use.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub fn secret(&self) -> Result<[u8; SECRET_BYTES], CacheError> {
        let path = self.root.join("secret");
        let read_or_make = || -> io::Result<[u8; SECRET_BYTES]> {
            let mut secret = [0; SECRET_BYTES];
            match fs::File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => return file?.read_exact(&mut secret).map(|()| secret),
            }
            secret = random();
            let draft = tempfile::Builder::new().prefix(".secret-").tempfile_in(&self.root)?;
            fs::OpenOptions::new().write(true).mode(0o600).open(draft.path())?.write_all(&secret)?;
            draft.as_file().sync_all()?;
            match draft.persist_noclobber(&path) {
                Ok(_) => Ok(secret),
                // Another process was quicker: use its secret.
                Err(_) => fs::File::open(&path)?.read_exact(&mut secret).map(|()| secret),
            }
        };
        read_or_make().map_err(|source| CacheError { path: path.clone(), source })
    }

    fn layer(&self, id: &Sha256Digest) -> PathBuf {
        self.root.join("v1/layers").join(id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn whole(path: &Path) -> Option<PathBuf> {
        Some(path.to_owned())
    }

    #[test]
    fn a_layer_that_cannot_be_opened_is_made_again() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let id = Sha256Digest::of(b"layer");
            let open = |path: &Path| fs::read_to_string(path.join("f")).ok();
            for (content, there) in [(None, false), (Some("x"), false), (Some("y"), true)] {
                match store.lookup(&id, open, || {}).await.unwrap() {
                    Lookup::Hit(found) => assert!(there && found == "x"),
                    Lookup::Miss(vacancy) => {
                        assert!(!there);
                        let written = content.map(|content| fs::write(vacancy.path().join("f"), content));
                        written.transpose().unwrap();
                        vacancy.keep().unwrap();
                    }
                }
            }
            assert_eq!(fs::read_dir(dir.path().join("v1/layers")).unwrap().count(), 1);
        });
    }

    #[test]
    fn a_layer_is_made_once_and_an_abandoned_one_never() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let id = Sha256Digest::of(b"layer");
            let Lookup::Miss(vacancy) = store.lookup(&id, whole, || {}).await.unwrap() else { panic!("nothing can be there yet") };
            drop(vacancy);
            assert_eq!(store.peek(&id), None);
            let Lookup::Miss(vacancy) = store.lookup(&id, whole, || {}).await.unwrap() else { panic!("an abandoned layer was kept") };
            fs::write(vacancy.path().join("f"), "x").unwrap();
            let (mut waited, path) = (false, vacancy.path().to_owned());
            let second = async {
                match store.lookup(&id, whole, || waited = true).await.unwrap() {
                    Lookup::Hit(path) => path,
                    Lookup::Miss(_) => panic!("the same layer was made twice"),
                }
            };
            let first = async {
                tokio::time::sleep(POLL).await;
                vacancy.keep().unwrap()
            };
            let (second, first) = tokio::join!(second, first);
            assert!(waited && !path.exists());
            assert_eq!((Some(first), fs::read_to_string(second.join("f")).unwrap()), (store.peek(&id), "x".into()));
        });
    }

    #[test]
    fn a_sweep_takes_what_crashed_runs_left_and_nothing_else() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let mine = store.scratch().unwrap();
            fs::create_dir_all(dir.path().join("v1/scratch/run-dead/tree")).unwrap();
            let id = Sha256Digest::of(b"dead");
            fs::create_dir_all(dir.path().join(format!("v1/layers/.{id}.new-x"))).unwrap();
            let other = store.scratch().unwrap();
            let mut left: Vec<_> = fs::read_dir(dir.path().join("v1/scratch")).unwrap().map(|e| e.unwrap().path()).collect();
            left.sort();
            let mut expected = [mine.path().to_owned(), other.path().to_owned()];
            expected.sort();
            assert_eq!(left, expected);
            assert_eq!(fs::read_dir(dir.path().join("v1/layers")).unwrap().count(), 0);
        });
    }

    #[test]
    fn the_secret_stays_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let secret = store.secret().unwrap();
        assert_ne!(secret, [0; SECRET_BYTES]);
        assert_eq!(store.secret().unwrap(), secret);
        let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(dir.path().join("secret")).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
