//! Makes one flat file of all layers: what is verified, and what is published.
//!
//! Once it is published, a copy of the file is kept in the store, under its digest. The next build from the same layer takes it from there:
//! flattening reads and compresses the whole disk, and a copy does not.

use std::fs::File;
use std::io;
use std::path::Path;

use tempfile::TempPath;

use super::{failure, manifest, program};
use crate::artifact::ImageRecord;
use crate::base::aside::aside;
use crate::base::atomic;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::cache::{CacheError, FileLookup, Store};
use crate::image::export::{ExportFormat, export, unused};
use crate::image::{self, Compress, Disk, Format};
use crate::recipe::Compression;
use crate::stages::Layer;

/// The kind of memory for the digests of flattened images (64 hexadecimal digits).
const FLAT: &str = "flat-1";
/// What an image in the store belongs to, before the recipe's name.
const ABOUT: &str = "image of";
/// A copy is kept only if this many bytes stay free beside it: the next build needs room for its work.
const ROOM: u64 = 4 << 30;

/// A flattened image.
pub(super) struct Flattened {
    /// The manifest's record of it.
    pub(super) record: ImageRecord,
    /// How the store can keep it; nothing if it is from there, or if its content has no key.
    pub(super) unkept: Option<Unkept>,
}

/// An image that the store does not have.
pub(super) struct Unkept {
    key: Sha256Digest,
    sha256: Sha256Digest,
    bytes: u64,
}

/// Write the disk of `sealed` to the new qcow2 `image`, without the data of deleted files. An image of the same layer that this same program
/// has written before is copied from the store.
///
/// # Errors
/// The disk cannot be read, a filesystem on it is damaged, or the host lacks space or a tool.
pub(super) async fn flatten_once(
    sealed: &Layer,
    image: &Path,
    compression: Compression,
    store: &Store,
    events: &Events,
) -> Result<Flattened, AnyFailure> {
    let task = events.task("flatten");
    let program = program::digest().await;
    let key = program.zip(sealed.mark()).map(|(program, mark)| key(program, mark, compression));
    let known = key.and_then(|key| store.recall(FLAT, &key)).and_then(|digest| String::from_utf8(digest).ok()?.parse().ok());
    if let Some(sha256) = known
        && let Some(record) = kept(&sha256, image, store, &task).await?
    {
        task.reused();
        return Ok(Flattened { record, unkept: None });
    }
    let record = flatten(sealed, image, compression, &task).await?;
    let unkept = key.map(|key| Unkept { key, sha256: record.sha256, bytes: record.bytes });
    task.done();
    Ok(Flattened { record, unkept })
}

/// All that the bytes of an image depend on: the code that writes it, the layer (by its mark, which a layer that is made again does not
/// have), and how it is compressed.
fn key(program: Sha256Digest, mark: &str, compression: Compression) -> Sha256Digest {
    Sha256Digest::of(format!("{program} {mark} {compression:?}").as_bytes())
}

/// Copy the image with this digest from the store to `image`. `None` if the store does not have it, it cannot be copied, or it has other
/// bytes: then it is flattened, which also tells whether `image` can be written.
async fn kept(sha256: &Sha256Digest, image: &Path, store: &Store, task: &Task) -> Result<Option<ImageRecord>, AnyFailure> {
    let Some(path) = store.peek_file(sha256) else { return Ok(None) };
    if copy(&path, image, "copy the image from the store", task).await.is_ok()
        && let Ok(record) = manifest::image_record(image, task).await
        && record.sha256 == *sha256
    {
        return Ok(Some(record));
    }
    // If it cannot be removed, the next build tries it in vain, too.
    let _ = store.discard_file(sha256);
    atomic::remove(image).map_err(failure::unwritable(image))?;
    Ok(None)
}

impl Unkept {
    /// Put a copy of the `image` of the recipe `name` into the store. If that fails, only time is lost: the next build flattens again.
    pub(super) async fn keep(self, image: &Path, store: &Store, name: &str, task: &Task) {
        if self.copy_into(store, image, ROOM, task).await.is_ok() {
            store.describe(&self.sha256, &format!("{ABOUT} {name}"));
            store.remember(FLAT, &self.key, self.sha256.to_string().as_bytes());
        }
    }

    /// Copy the image, if `room` bytes stay free beside it.
    async fn copy_into(&self, store: &Store, image: &Path, room: u64, task: &Task) -> Result<(), CacheError> {
        let waiting = || task.step("another goldsmith keeps this image; waiting for it");
        let FileLookup::Miss(vacancy) = store.lookup_file(&self.sha256, waiting).await? else { return Ok(()) };
        let failed = |source| CacheError { path: vacancy.part().to_owned(), source };
        if store.free_bytes()? < self.bytes.saturating_add(room) {
            return Err(failed(io::ErrorKind::StorageFull.into()));
        }
        // A part of an image is of no use: dropped before it has its name, it is removed, also when the build is interrupted.
        let _part = TempPath::try_from_path(vacancy.part()).map_err(failed)?;
        copy(image, vacancy.part(), "keep a copy in the store", task).await.map_err(failed)?;
        vacancy.keep().map(drop)
    }
}

/// Copy a file. The new one is on the disk then, and has the permissions of any file that this process makes.
async fn copy(from: &Path, to: &Path, step: &str, task: &Task) -> io::Result<()> {
    let mut source = File::open(from)?;
    let total = source.metadata()?.len();
    let mut target = File::create(to)?;
    aside(task, step, total, move |meter| io::copy(&mut meter.measure(&mut source), &mut target).and_then(|_| target.sync_all())).await
}

/// Write the disk of `sealed` to the new qcow2 `image`, without the data of deleted files, and report it.
///
/// # Errors
/// As of [`flatten_once`].
pub(super) async fn flatten(sealed: &Layer, image: &Path, compression: Compression, task: &Task) -> Result<ImageRecord, AnyFailure> {
    let path = std::path::absolute(sealed.disk()).map_err(failure::unwritable(image))?;
    let disk = Disk::open_own(&path, Format::Qcow2)?;
    let free = unused(&disk, task).await?;
    let compress = match compression {
        Compression::Zlib => Compress::Zlib,
        Compression::Zstd => Compress::ZstdSmall,
        Compression::None => Compress::Never,
    };
    export(&disk, free, ExportFormat::Qcow2(compress), image, task).await?;
    image::check(image).await?;
    Ok(manifest::image_record(image, task).await?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::process::{Invocation, Tool};

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn an_image_serves_for_nothing_but_what_it_was_made_of() {
        let [program, other] = [b"program", b"another"].map(|bytes| Sha256Digest::of(bytes));
        let first = key(program, "mark", Compression::Zstd);
        for key in
            [key(other, "mark", Compression::Zstd), key(program, "made again", Compression::Zstd), key(program, "mark", Compression::Zlib)]
        {
            assert_ne!(key, first);
        }
    }

    #[test]
    fn the_store_gives_back_what_was_kept_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let store = Store::open(&at("store")).unwrap();
        let task = Events::none().task("flatten");
        on_runtime(async {
            let create = Invocation::new(Tool::QemuImg).args(["create", "-q", "-f", "qcow2"]).arg(at("image")).arg("1M");
            create.run_with(|_| {}).await.unwrap();
            let record = manifest::image_record(&at("image"), &task).await.unwrap();
            assert!(kept(&record.sha256, &at("none"), &store, &task).await.unwrap().is_none());
            let unkept = Unkept { key: record.sha256, sha256: record.sha256, bytes: record.bytes };
            unkept.copy_into(&store, &at("image"), u64::MAX, &task).await.unwrap_err();
            assert_eq!(fs::read_dir(at("store/v1/files")).unwrap().count(), 0, "a part is left");
            unkept.copy_into(&store, &at("image"), 0, &task).await.unwrap();
            unkept.copy_into(&store, &at("image"), 0, &task).await.unwrap();
            let back = kept(&record.sha256, &at("back"), &store, &task).await.unwrap().unwrap();
            assert_eq!((back.sha256, back.bytes), (record.sha256, record.bytes));
            let mode = |name: &str| std::os::unix::fs::PermissionsExt::mode(&fs::metadata(at(name)).unwrap().permissions());
            assert_eq!(mode("back"), mode("image"), "an image that is copied can be written, as one that is made");
            // A damaged file is forgotten, and so is its copy.
            let file = store.peek_file(&record.sha256).unwrap();
            fs::remove_file(&file).unwrap();
            fs::write(&file, "damaged").unwrap();
            assert!(kept(&record.sha256, &at("damaged"), &store, &task).await.unwrap().is_none());
            assert!(store.peek_file(&record.sha256).is_none() && !at("damaged").exists());
        });
    }
}
