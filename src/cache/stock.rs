//! Lists the entries of the store, and removes those that no process uses.

use std::fs::{self, DirEntry, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::files::PART;
use super::holds::is_still;
use super::{CacheError, RUN, Store, remove};
use crate::base::claim;
use crate::base::digest::Sha256Digest;
use crate::base::host::allocated_bytes;
use crate::base::lock::Lock;

/// The kind of memory with a text about a layer or file. The number is the version of its form, which is plain text.
const ABOUT: &str = "about-1";

/// The kind of an entry in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A finished layer.
    Layer,
    /// A file that was fetched, or a flattened image.
    File,
    /// The beginning of a file that was not fetched to its end.
    Beginning,
    /// Something found out once.
    Memory,
    /// A file that a killed process left. The next run would remove it.
    Leftover,
}

/// A thing in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its name among its kind: 64 hexadecimal digits of a layer, file or beginning; `KIND/KEY` of a memory.
    pub id: String,
    /// Bytes it occupies.
    pub bytes: u64,
    /// When it was used last, as far as that was noted.
    pub used: SystemTime,
    /// A text about its origin, if that is known.
    pub about: Option<String>,
    path: PathBuf,
}

impl Entry {
    /// Where it is: to be read, and removed through the store alone.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// How the removal of an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Done,
    /// Another process uses it, and it is there still.
    InUse,
}

impl Store {
    /// Note what the layer or file `id` is to people.
    pub fn describe(&self, id: &Sha256Digest, about: &str) {
        if self.about(id).as_deref() != Some(about) {
            self.remember(ABOUT, id, about.as_bytes());
        }
    }

    /// Everything in the store but its secret and its locks, by kind and id.
    ///
    /// # Errors
    /// A directory of the store cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, CacheError> {
        let mut entries = Vec::new();
        for (name, path, metadata) in self.listed("v1/layers")?.into_iter().filter(|(name, ..)| is_id(name)) {
            entries.push(self.entry(Kind::Layer, &name, path, &metadata));
        }
        for (name, path, metadata) in self.listed("v1/files")? {
            match name.strip_prefix('.').and_then(|name| name.strip_suffix(PART)) {
                Some(id) if is_id(id) => entries.push(self.entry(Kind::Beginning, id, path, &metadata)),
                None if is_id(&name) => entries.push(self.entry(Kind::File, &name, path, &metadata)),
                _ => {}
            }
        }
        for (kind, ..) in self.listed("v1/memory")? {
            for (key, path, metadata) in self.listed(&format!("v1/memory/{kind}"))? {
                let entry = self.entry(Kind::Memory, &key, path, &metadata);
                entries.push(Entry { id: format!("{kind}/{key}"), about: None, ..entry });
            }
        }
        for (dir, prefix) in [("v1/scratch", RUN), ("v1/layers", ".")] {
            let abandoned = claim::abandoned(&self.root.join(dir), prefix).unwrap_or_default();
            for found in &abandoned {
                let name = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if let Ok(metadata) = fs::metadata(&found.path) {
                    entries.push(self.entry(Kind::Leftover, &name, found.path.clone(), &metadata));
                }
            }
        }
        entries.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        Ok(entries)
    }

    /// Take `entry` out of the store, unless another process uses it. What it belongs to is forgotten with it.
    ///
    /// # Errors
    /// It cannot be removed, or the store's file system cannot tell whether it is used.
    pub fn remove(&self, entry: &Entry) -> Result<Removal, CacheError> {
        let removed = match entry.kind {
            Kind::Layer => self.remove_held(&entry.path, |path| {
                // The rename makes the removal whole or nothing: if this process ends now, the next sweep removes a directory of this name.
                let doomed = path.with_file_name(format!(".{}.removed", entry.id));
                remove(&doomed);
                fs::rename(path, &doomed)?;
                remove_all(&doomed)
            }),
            Kind::File => self.remove_held(&entry.path, |path| fs::remove_file(path)),
            Kind::Beginning => self.remove_locked(&entry.path.with_file_name(&entry.id), || fs::remove_file(&entry.path)),
            Kind::Memory => fs::remove_file(&entry.path).map(|()| Removal::Done),
            Kind::Leftover => self.remove_abandoned(&entry.path),
        };
        let removed = match removed {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Removal::Done,
            removed => removed.map_err(|source| CacheError { path: entry.path.clone(), source })?,
        };
        if removed == Removal::Done
            && let Ok(id) = entry.id.parse()
        {
            // The note need not exist.
            let _ = fs::remove_file(self.memory(ABOUT, &id));
        }
        Ok(removed)
    }

    /// Do `work` unless another process makes what is to be at `target`.
    fn remove_locked(&self, target: &Path, work: impl FnOnce() -> io::Result<()>) -> io::Result<Removal> {
        let Some(_lock) = Lock::try_exclusive(&self.lock(target))? else { return Ok(Removal::InUse) };
        work().map(|()| Removal::Done)
    }

    /// Do `work` unless another process makes or holds what is at `path`.
    fn remove_held(&self, path: &Path, work: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Removal> {
        let Some(_lock) = Lock::try_exclusive(&self.lock(path))? else { return Ok(Removal::InUse) };
        let file = File::open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Removal::InUse),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) if is_still(&file, path) => work(path).map(|()| Removal::Done),
            Ok(()) => Ok(Removal::Done),
        }
    }

    fn remove_abandoned(&self, path: &Path) -> io::Result<Removal> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Removal::Done) };
        let abandoned = claim::abandoned(parent, name)?;
        match abandoned.iter().find(|found| found.path == path) {
            Some(found) => remove_all(&found.path).map(|()| Removal::Done),
            None if path.exists() => Ok(Removal::InUse),
            None => Ok(Removal::Done),
        }
    }

    fn about(&self, id: &Sha256Digest) -> Option<String> {
        self.recall(ABOUT, id).and_then(|bytes| String::from_utf8(bytes).ok())
    }

    fn entry(&self, kind: Kind, id: &str, path: PathBuf, metadata: &Metadata) -> Entry {
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        // A hold sets the time of the lock. Reading a memory sets the access time of its file, if the file system keeps that.
        let noted = match kind {
            Kind::Layer => fs::metadata(self.lock(&path)).and_then(|lock| lock.modified()),
            Kind::File | Kind::Beginning => fs::metadata(self.lock(&path.with_file_name(id))).and_then(|lock| lock.modified()),
            Kind::Memory => metadata.accessed(),
            Kind::Leftover => Ok(modified),
        };
        let used = noted.map_or(modified, |noted| noted.max(modified));
        let about = id.parse().ok().and_then(|id| self.about(&id));
        Entry { kind, id: id.to_owned(), bytes: allocated(&path, metadata), used, about, path }
    }

    /// What is in a directory of the store: name, path and metadata. A directory that is not there yet counts as empty.
    fn listed(&self, dir: &str) -> Result<Vec<(String, PathBuf, Metadata)>, CacheError> {
        let path = self.root.join(dir);
        let named = |entry: io::Result<DirEntry>| -> Option<(String, PathBuf, Metadata)> {
            // An entry that goes away meanwhile is left out.
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, entry.path(), entry.metadata().ok()?))
        };
        match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(CacheError { path, source }),
            Ok(entries) => Ok(entries.filter_map(named).collect()),
        }
    }
}

fn is_id(name: &str) -> bool {
    name.parse::<Sha256Digest>().is_ok()
}

fn remove_all(path: &Path) -> io::Result<()> {
    if remove(path) { Ok(()) } else { fs::remove_dir_all(path) }
}

/// Bytes that `path` and all below it occupy.
fn allocated(path: &Path, metadata: &Metadata) -> u64 {
    let mut bytes = allocated_bytes(metadata);
    if metadata.is_dir() {
        // Of what cannot be read, nothing is known.
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            bytes = bytes.saturating_add(entry.metadata().map_or(0, |metadata| allocated(&entry.path(), &metadata)));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    use super::super::{FileLookup, Lookup};
    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn layer(store: &Store, id: &Sha256Digest) -> PathBuf {
        let Lookup::Miss(vacancy) = store.lookup(id, |_| Some(()), || {}).await.unwrap() else { panic!("it is there") };
        fs::write(vacancy.path().join("disk.raw"), vec![1; 100_000]).unwrap();
        vacancy.keep().unwrap()
    }

    async fn file(store: &Store, id: &Sha256Digest) -> PathBuf {
        let FileLookup::Miss(vacancy) = store.lookup_file(id, || {}).await.unwrap() else { panic!("it is there") };
        fs::write(vacancy.part(), "whole").unwrap();
        vacancy.keep().unwrap()
    }

    fn kinds(store: &Store) -> Vec<(Kind, String)> {
        store.entries().unwrap().into_iter().map(|entry| (entry.kind, entry.id)).collect()
    }

    #[test]
    fn everything_is_listed_and_can_be_removed() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let begun = SystemTime::now() - Duration::from_secs(1);
            let ids = [&b"layer"[..], b"file", b"part"].map(Sha256Digest::of);
            {
                let maker = Store::open(dir.path()).unwrap();
                assert_eq!(maker.entries().unwrap(), []);
                layer(&maker, &ids[0]).await;
                file(&maker, &ids[1]).await;
                maker.describe(&ids[0], "install of x");
                maker.remember("test-1", &ids[0], b"found out");
                let FileLookup::Miss(vacancy) = maker.lookup_file(&ids[2], || {}).await.unwrap() else { panic!("it is there") };
                fs::write(vacancy.part(), "who").unwrap();
                maker.secret().unwrap();
                drop(vacancy);
                fs::create_dir(dir.path().join("v1/scratch/run-dead")).unwrap();
            }
            let store = Store::open(dir.path()).unwrap();
            let text = ids.map(|id| id.to_string());
            let expected = [
                (Kind::Layer, text[0].clone()),
                (Kind::File, text[1].clone()),
                (Kind::Beginning, text[2].clone()),
                (Kind::Memory, format!("about-1/{}", text[0])),
                (Kind::Memory, format!("test-1/{}", text[0])),
                (Kind::Leftover, "run-dead".to_owned()),
            ];
            assert_eq!(kinds(&store), expected);
            let entries = store.entries().unwrap();
            assert_eq!((entries[0].about.as_deref(), entries[1].about.as_deref()), (Some("install of x"), None));
            assert!(entries[0].bytes >= 100_000 && entries.iter().all(|entry| entry.used >= begun), "{entries:?}");
            for entry in &entries {
                assert_eq!(store.remove(entry).unwrap(), Removal::Done, "{entry:?}");
                // Removing what is not there is what was wanted.
                assert_eq!(store.remove(entry).unwrap(), Removal::Done, "{entry:?}");
            }
            assert_eq!(store.entries().unwrap(), []);
            assert!(dir.path().join("secret").exists() && store.peek(&ids[0]).is_none() && store.peek_file(&ids[1]).is_none());
            layer(&store, &ids[0]).await;
        });
    }

    #[test]
    fn what_another_uses_or_makes_stays() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let (user, remover) = (Store::open(dir.path()).unwrap(), Store::open(dir.path()).unwrap());
            let ids = [&b"made"[..], b"found"].map(Sha256Digest::of);
            // Held since it was made, or since it was found.
            layer(&user, &ids[0]).await;
            file(&user, &ids[0]).await;
            {
                let maker = Store::open(dir.path()).unwrap();
                layer(&maker, &ids[1]).await;
                file(&maker, &ids[1]).await;
            }
            assert!(user.peek(&ids[1]).is_some());
            assert!(matches!(user.lookup_file(&ids[1], || {}).await.unwrap(), FileLookup::Hit(_)));
            let _scratch = user.scratch().unwrap();
            let Lookup::Miss(making) = user.lookup(&Sha256Digest::of(b"making"), |_| Some(()), || {}).await.unwrap() else {
                panic!("it is there")
            };
            let fetched = Sha256Digest::of(b"fetched");
            let FileLookup::Miss(vacancy) = user.lookup_file(&fetched, || {}).await.unwrap() else { panic!("it is there") };
            fs::write(vacancy.part(), "who").unwrap();
            let entries = remover.entries().unwrap();
            assert_eq!(entries.len(), 5, "{entries:?}");
            for entry in &entries {
                assert_eq!(remover.remove(entry).unwrap(), Removal::InUse, "{entry:?}");
            }
            assert_eq!(remover.entries().unwrap(), entries);
            drop((user, vacancy));
            // The permissions to make something hold the store, too.
            assert_eq!(remover.remove(&entries[0]).unwrap(), Removal::InUse);
            drop(making);
            for entry in &entries {
                assert_eq!(remover.remove(entry).unwrap(), Removal::Done, "{entry:?}");
            }
        });
    }

    #[test]
    fn last_use_is_noted_without_touching_what_is_used() {
        on_runtime(async {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(dir.path()).unwrap();
            let id = Sha256Digest::of(b"x");
            let paths = [layer(&store, &id).await, file(&store, &id).await];
            let long_ago = SystemTime::now() - Duration::from_secs(90 * 86_400);
            for path in &paths {
                File::open(path).unwrap().set_modified(long_ago).unwrap();
                File::open(store.lock(path)).unwrap().set_modified(long_ago).unwrap();
            }
            let used = || store.entries().unwrap().iter().map(|entry| entry.used > long_ago + Duration::from_secs(1)).collect::<Vec<_>>();
            let changed = || paths.each_ref().map(|path| fs::metadata(path).map(|found| (found.ctime(), found.ctime_nsec())).unwrap());
            let before = changed();
            assert_eq!(used(), [false, false]);
            assert!(store.peek(&id).is_some() && store.peek_file(&id).is_some());
            assert_eq!((used(), changed()), (vec![true, true], before));
        });
    }
}
