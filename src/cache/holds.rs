//! Keeps in the store what this process was given, as long as the process lives.
//!
//! A hold is a shared lock (`flock(2)`) on the layer's directory or the file itself, which ends with the process however it ends. To remove
//! something, a process takes the exclusive lock, which fails while there is a hold, and then renames or unlinks it at once. So a name that
//! is there either can be held or will be gone in a moment.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How often a name is tried again while its remover has the lock, and how long between: it is gone after a system call or two.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

/// The entries that this process holds, by path.
#[derive(Debug, Clone, Default)]
pub(super) struct Holds(Arc<Mutex<BTreeMap<PathBuf, File>>>);

impl Holds {
    /// Hold what is at `path`, and note on `lock`, the file of its lock, that it was used; false when it is gone, or about to be.
    pub(super) fn hold(&self, path: &Path, lock: &Path) -> bool {
        for _ in 0..TRIES {
            let Ok(file) = File::open(path) else { return false };
            match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                // Where there are no locks, nothing is removed either.
                Err(TryLockError::Error(_)) => return true,
                Ok(()) if is_still(&file, path) => {
                    touch(lock);
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), file);
                    return true;
                }
                Ok(()) => {}
            }
        }
        false
    }
}

fn touch(lock: &Path) {
    // If this fails, the layer or file only looks older than it is.
    let lock = File::options().create(true).truncate(false).write(true).open(lock);
    let _ = lock.and_then(|lock| lock.set_modified(SystemTime::now()));
}

/// Whether `path` still leads to `file`.
pub(super) fn is_still(file: &File, path: &Path) -> bool {
    let (Ok(is), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (is.dev(), is.ino()) == (there.dev(), there.ino())
}
