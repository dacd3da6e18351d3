//! Digests of local files, remembered, so that an ISO of 4.4 GB is not hashed at every run.
//!
//! A digest is remembered under device and inode, and is valid for the size, mtime and ctime with which it was computed. As in git's index
//! (Documentation/technical/racy-git), a file that was changed just before it was read is not remembered: a second change may leave the
//! same times.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Store;
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::event::{Task, Unit};

/// The kind of memory; the number is the version of [`Remembered`].
const KIND: &str = "digest-1";
/// Longer than the steps of any file system's clock: FAT has 2 s for mtime.
const CLOCK_STEP: Duration = Duration::from_secs(3);
/// Bytes that are read before other tasks get a turn.
const PIECE: usize = 8 << 20;

/// The properties by which a file is recognised as the one that was hashed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds since 1970.
    modified: (i64, i64),
    /// The same of the last change of content or metadata, which no program can set.
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The key under which it is remembered.
    fn key(&self) -> Sha256Digest {
        Sha256Digest::of(format!("{}:{}", self.device, self.inode).as_bytes())
    }

    /// Whether any change since `now` must show in the times.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(CLOCK_STEP);
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.modified.0.max(self.changed.0) < seconds
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    identity: Identity,
    sha256: Sha256Digest,
}

impl Store {
    /// The digest of the file at `path`, from memory when the file is still the same. Other tasks get a turn between pieces: an ISO takes
    /// seconds, and ctrl-C must not wait. `what`, its name for people, is shown.
    ///
    /// # Errors
    /// It cannot be read, or was changed meanwhile.
    pub async fn digest(&self, path: &Path, what: &str, task: &Task) -> io::Result<Sha256Digest> {
        digest_at(path, what, self, task, SystemTime::now()).await
    }

    /// The digest of the file at `path` from memory. `None` when only [`Store::digest`] can tell it.
    pub fn known_digest(&self, path: &Path) -> Option<Sha256Digest> {
        recall(&Identity::of(&path.metadata().ok()?), self)
    }
}

async fn digest_at(path: &Path, what: &str, store: &Store, task: &Task, now: SystemTime) -> io::Result<Sha256Digest> {
    let mut file = File::open(path)?;
    let identity = Identity::of(&file.metadata()?);
    if let Some(sha256) = recall(&identity, store) {
        return Ok(sha256);
    }
    let step = format!("hash {what}");
    let mut piece = vec![0; PIECE];
    let mut hasher = HashingWriter::new(io::sink());
    let mut done = 0;
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        hasher.write_all(&piece[..read])?;
        done += read as u64;
        task.progress(&step, done, Some(identity.bytes), Unit::Bytes);
        tokio::task::yield_now().await;
    }
    if Identity::of(&file.metadata()?) != identity || done != identity.bytes {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "it was changed while it was read"));
    }
    let sha256 = hasher.finish().1;
    if identity.is_settled(now) {
        let key = identity.key();
        // OK to default: plain data, which JSON always takes. An empty text is not recalled.
        store.remember(KIND, &key, &serde_json::to_vec(&Remembered { identity, sha256 }).unwrap_or_default());
    }
    Ok(sha256)
}

fn recall(identity: &Identity, store: &Store) -> Option<Sha256Digest> {
    let remembered: Remembered = serde_json::from_slice(&store.recall(KIND, &identity.key())?).ok()?;
    (remembered.identity == *identity).then_some(remembered.sha256)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::event::Events;

    #[test]
    fn a_file_is_hashed_again_when_it_may_be_another_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let path = dir.path().join("iso");
        let task = Events::none().task("t");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let digest = |now| runtime.block_on(digest_at(&path, "it", &store, &task, now)).unwrap();
        // In the memory is a digest that the file never had: it comes back only if the file was not read.
        let plant = || {
            let identity = Identity::of(&fs::metadata(&path).unwrap());
            let bytes = serde_json::to_vec(&Remembered { identity: identity.clone(), sha256: Sha256Digest::of(b"planted") }).unwrap();
            store.remember(KIND, &identity.key(), &bytes);
        };
        let (now, later) = (SystemTime::now(), SystemTime::now() + CLOCK_STEP * 3);
        fs::write(&path, "one").unwrap();
        let key = Identity::of(&fs::metadata(&path).unwrap()).key();
        assert_eq!(digest(now), Sha256Digest::of(b"one"));
        assert!(store.recall(KIND, &key).is_none(), "a file that has just been written was remembered");
        assert_eq!(digest(later), Sha256Digest::of(b"one"));
        assert!(store.recall(KIND, &key).is_some());
        plant();
        assert_eq!((digest(now), store.known_digest(&path)), (Sha256Digest::of(b"planted"), Some(Sha256Digest::of(b"planted"))));
        let touched = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_secs(60);
        fs::File::options().write(true).open(&path).unwrap().set_modified(touched).unwrap();
        assert_eq!(store.known_digest(&path), None);
        assert_eq!(digest(now), Sha256Digest::of(b"one"));
        plant();
        fs::write(&path, "two!").unwrap();
        assert_eq!(digest(now), Sha256Digest::of(b"two!"));
        plant();
        store.remember(KIND, &key, b"{\"identity\":");
        assert_eq!(digest(now), Sha256Digest::of(b"two!"));
    }
}
