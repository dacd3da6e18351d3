//! Journals that `ext4-view` does not replay: those without checksums, which is what every kernel of EL7 writes.
//!
//! e2fsck replays them all. But it writes, and it fails on a filesystem at an offset in a disk (1.47.0 opens the filesystem again without
//! the offset). So each filesystem is copied out first and replayed in the copy. [`replayed`] shows the result without touching the disk;
//! [`replay`] writes it back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::create::{directory_of, local, require_space};
use super::disk::Disk;
use super::error::ImageError;
use super::fat;
use super::partition::Partition;
use super::read_at::RawFile;
use super::superblock::{FilesystemType, Superblock};
use crate::base::process::{Invocation, Tool};
use crate::base::read_at::ReadAt;
use crate::hardware::Format;

/// The least time that copying and replaying one filesystem may take. A system of 1.5 GB was copied in 2 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes that a busy disk copies in a second, at the least.
const BYTES_PER_SECOND: u64 = 10 << 20;

/// Bytes that are compared and written back at once.
const CHUNK_BYTES: usize = 1 << 20;

/// A filesystem that was not unmounted, copied out and replayed.
struct Copied {
    /// Byte of the disk it begins at.
    start: u64,
    path: PathBuf,
}

/// The raw disk at `path` as the next mount would find it: the journal of each ext4 that was not unmounted is replayed, in a copy below
/// `scratch`, which must stay as long as the disk is read.
///
/// # Errors
/// The disk cannot be read, a journal cannot be replayed, or the host lacks space or e2fsck.
pub async fn replayed(path: &Path, scratch: &Path) -> Result<Disk, ImageError> {
    let disk = Disk::open_own(path, Format::Raw)?;
    let mut copies = Vec::new();
    for copied in replay_copies(&disk, scratch).await? {
        copies.push((copied.start, RawFile::open(&copied.path)?));
    }
    let bytes = Arc::new(Patched { disk: Arc::clone(disk.bytes()), copies });
    Ok(disk.showing(bytes))
}

/// Replay, on the raw disk at `path` itself, the journal of each ext4 that was not unmounted, and take the mark from each FAT that was not.
/// How many there were. `scratch` keeps copies meanwhile. Only what the replay changed is written, so the disk stays sparse.
///
/// A FAT has no journal: everything must have been synced before. Its mark would outlive every later mount (Linux 3.10,
/// fs/fat/inode.c, `fat_set_state`), and have each boot say that data may be corrupt.
///
/// # Errors
/// As [`replayed`], or the disk cannot be written. It is then not to be used.
pub async fn replay(path: &Path, scratch: &Path) -> Result<usize, ImageError> {
    let disk = Disk::open_own(path, Format::Raw)?;
    let marks = fat_marks(&disk)?;
    let copies = replay_copies(&disk, scratch).await?;
    let count = copies.len() + marks.len();
    for (at, byte) in marks {
        let file = File::options().write(true).open(path).map_err(|source| ImageError::write(path, source))?;
        file.write_all_at(&[byte], at).map_err(|source| ImageError::write(path, source))?;
    }
    for Copied { start, path: copy } in copies {
        let target = path.to_owned();
        let writing = tokio::task::spawn_blocking(move || {
            write_back(&copy, &target, start).map_err(|source| ImageError::write(&target, source))?;
            std::fs::remove_file(&copy).map_err(|source| ImageError::write(&copy, source))
        });
        writing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    }
    Ok(count)
}

/// The byte of the disk that marks each FAT which was not unmounted, and what it is without the mark.
fn fat_marks(disk: &Disk) -> Result<Vec<(u64, u8)>, ImageError> {
    let mut marks = Vec::new();
    for Partition { start, size, .. } in Partition::all(disk)? {
        let bytes = disk.slice(start, size);
        if FilesystemType::detect(&bytes) == Some(FilesystemType::Vfat) {
            let (place, state) = fat::state(&bytes).map_err(|source| ImageError::read(disk.path(), source))?;
            if state & fat::DIRTY != 0 {
                marks.push((start + place, state & !fat::DIRTY));
            }
        }
    }
    Ok(marks)
}

/// Write to `target`, from byte `start` on, what differs there from `copy`.
fn write_back(copy: &Path, target: &Path, start: u64) -> io::Result<()> {
    let copy = File::open(copy)?;
    let target = File::options().read(true).write(true).open(target)?;
    let size = copy.metadata()?.len();
    let (mut ours, mut theirs) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut at = 0;
    while at < size {
        let count = usize::try_from(size - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        copy.read_exact_at(&mut ours[..count], at)?;
        target.read_exact_at(&mut theirs[..count], start + at)?;
        if ours[..count] != theirs[..count] {
            target.write_all_at(&ours[..count], start + at)?;
        }
        at += count as u64;
    }
    Ok(())
}

/// Copy out each ext4 of `disk` that was not unmounted, and replay its journal in the copy.
async fn replay_copies(disk: &Disk, scratch: &Path) -> Result<Vec<Copied>, ImageError> {
    let mut copies = Vec::new();
    for Partition { start, size, .. } in Partition::all(disk)? {
        let bytes = disk.slice(start, size);
        if FilesystemType::detect(&bytes) == Some(FilesystemType::Ext4) && Superblock::read(&bytes).is_ok_and(|found| !found.is_clean) {
            let path = scratch.join(format!("journal-{start}"));
            replay_copy(disk, start, size, &path).await?;
            copies.push(Copied { start, path });
        }
    }
    Ok(copies)
}

/// Copy `size` bytes of the disk from `start` on to `copy`, and replay the journal there.
async fn replay_copy(disk: &Disk, start: u64, size: u64, copy: &Path) -> Result<(), ImageError> {
    let bytes = disk.info().allocated_size.min(size);
    require_space(directory_of(copy), bytes)?;
    let patience = PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND);
    // A comma in a value is doubled (qemu(1), "Standard options").
    let file = local(disk.path()).to_string_lossy().replace(',', ",,");
    Invocation::new(Tool::QemuImg)
        .args(["convert", "--image-opts"])
        .arg(format!("driver=raw,offset={start},size={size},file.driver=file,file.filename={file}"))
        .args(["-O", "raw"])
        .arg(local(copy))
        .within(patience)
        .run_with(|_| {})
        .await?;
    // `-p` makes only safe repairs and asks no questions. Without `journal_only`, e2fsck would go on to check the whole filesystem.
    Ok(Invocation::new(Tool::E2fsck).args(["-p", "-E", "journal_only"]).arg(local(copy)).within(patience).run_with(|_| {}).await?)
}

/// A disk, some runs of which are read from copies that were changed.
struct Patched {
    disk: Arc<dyn ReadAt>,
    /// Where each copy belongs.
    copies: Vec<(u64, RawFile)>,
}

impl ReadAt for Patched {
    /// A read that is not within one copy sees the disk: readers of a partition stay within it.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        for (start, copy) in &self.copies {
            if let Some(inner) = offset.checked_sub(*start)
                && inner.checked_add(buf.len() as u64).is_some_and(|end| end <= copy.len())
            {
                return copy.read_at(inner, buf);
            }
        }
        self.disk.read_at(offset, buf)
    }

    fn len(&self) -> u64 {
        self.disk.len()
    }
}
