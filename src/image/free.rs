//! Finds the bytes of a disk that no file uses, and makes them zeros.
//!
//! A deleted file's bytes stay on the disk. `fstrim` in the guest does not remove them all: EL7's virtio_blk cannot discard (Linux 3.10,
//! drivers/block/virtio_blk.c, the feature table), and qcow2 ignores a discard that is smaller than its cluster of 64 KiB (QEMU,
//! block/qcow2-cluster.c, `qcow2_cluster_discard`). The filesystem's own record of free blocks is exact, and the host reads it without a
//! guest. So [`FreeSpace::of`] reads it, and [`clear`] lays an overlay of zeros over the disk before it is flattened.

mod ext4;
mod fat;
mod runs;
mod xfs;

use std::ops::Range;
use std::path::Path;

use super::create::{create_overlay, directory_of, local, require_space};
use super::disk::Disk;
use super::error::ImageError;
use super::partition::Partition;
use super::superblock::FilesystemType;
use crate::base::process::{Invocation, Tool};
use crate::base::read_at::ReadAt;
use crate::hardware::Format;

use runs::Unknown;

/// Bytes of a cluster of the overlay: qemu-img's default.
const CLUSTER_BYTES: u64 = 64 << 10;
/// A partition without a filesystem that is no larger belongs to a boot loader: GRUB's on GPT has 1 MiB, PowerPC's 8.
const BOOT_LOADER_BYTES: u64 = 16 << 20;
/// Bytes of one `write -z` of qemu-io, which takes less than 2 GiB at once (QEMU, qemu-io-cmds.c, `BDRV_REQUEST_MAX_BYTES`).
const WRITE_BYTES: u64 = 1 << 30;
/// Writes of one run of qemu-io: their words fit a command line, of which Linux takes 2 MiB.
const WRITES_PER_RUN: usize = 10_000;
/// The page at the start of a swap area: label, UUID and sizes (`mkswap(8)`; include/linux/swap.h, `union swap_header`).
const SWAP_HEADER_BYTES: u64 = 4096;

/// The bytes of a disk that no file uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FreeSpace {
    /// Runs of the disk's bytes, in rising order, not touching each other.
    pub runs: Vec<Range<u64>>,
    /// Partitions whose free space cannot be told, each in words: `partition 3 (btrfs)`.
    pub unread: Vec<String>,
}

impl FreeSpace {
    /// Read the free space of every partition of `disk`: ext4, XFS, FAT and swap. What lies between partitions, and small partitions without a
    /// filesystem, belong to boot loaders and are left alone. The rest of a block or cluster that a file fills in part is not free: ext4
    /// fills it with zeros, FAT does not.
    ///
    /// # Errors
    /// The disk cannot be read, or a filesystem is damaged or was not unmounted.
    pub fn of(disk: &Disk) -> Result<Self, ImageError> {
        let mut found = Self::default();
        for partition in Partition::all(disk)? {
            found.add(disk, &partition)?;
        }
        found.runs.sort_by_key(|run| run.start);
        Ok(found)
    }

    /// Bytes of all runs.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.start).sum()
    }

    /// The first run, or part of one, that holds anything but zeros.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn first_leftover(&self, disk: &Disk) -> Result<Option<Range<u64>>, ImageError> {
        for run in &self.runs {
            if !disk.bytes().is_zero(run.start, run.end - run.start).map_err(|source| ImageError::read(disk.path(), source))? {
                return Ok(Some(run.clone()));
            }
        }
        Ok(None)
    }

    fn add(&mut self, disk: &Disk, partition: &Partition) -> Result<(), ImageError> {
        let bytes = disk.slice(partition.start, partition.size);
        let kind = FilesystemType::detect(&bytes);
        let runs = match kind {
            None if bytes.len() <= BOOT_LOADER_BYTES || is_zero(disk, partition)? => return Ok(()),
            None => Err(Unknown::Incompatible(String::new())),
            Some(FilesystemType::Ext4) => ext4::free_runs(&bytes),
            Some(FilesystemType::Vfat) => fat::free_runs(&bytes),
            Some(FilesystemType::Swap) => Ok(after_swap_header(bytes.len())),
            Some(FilesystemType::Xfs) => xfs::free_runs(&bytes),
            Some(FilesystemType::Btrfs | FilesystemType::Lvm | FilesystemType::Luks) => Err(Unknown::Incompatible(String::new())),
        };
        let name = kind.map_or("unknown", FilesystemType::name);
        match runs {
            Ok(runs) => self.runs.extend(runs.into_iter().map(|run| run.start + partition.start..run.end + partition.start)),
            Err(Unknown::Incompatible(why)) if why.is_empty() => self.unread.push(format!("partition {} ({name})", partition.index)),
            Err(Unknown::Incompatible(why)) => self.unread.push(format!("partition {} ({name}: {why})", partition.index)),
            Err(Unknown::Corrupt(what)) => return Err(ImageError::corrupt(disk.path(), partition.start, format!("{name}: {what}"))),
        }
        Ok(())
    }
}

fn is_zero(disk: &Disk, partition: &Partition) -> Result<bool, ImageError> {
    let bytes = disk.slice(partition.start, partition.size);
    bytes.is_zero(0, bytes.len()).map_err(|source| ImageError::read(disk.path(), source))
}

/// Make the qcow2 overlay `overlay` over `disk`, which has the format `format`, so that all of `free` reads as zeros.
///
/// # Errors
/// There is no space, or `qemu-img` or `qemu-io` is not there or failed.
pub async fn clear(disk: &Path, format: Format, free: &FreeSpace, overlay: &Path) -> Result<(), ImageError> {
    // A cluster that a run begins or ends in is written; of the others only the table's entry, of eight bytes.
    let written = (2 * free.runs.len() as u64 + 16) * CLUSTER_BYTES + free.bytes() / CLUSTER_BYTES * 8;
    require_space(directory_of(overlay), written)?;
    create_overlay(disk, format, overlay).await?;
    let writes: Vec<String> = free.runs.iter().flat_map(writes).collect();
    for writes in writes.chunks(WRITES_PER_RUN) {
        // `unsafe` ignores flushes: a crash discards the overlay anyway.
        let invocation = Invocation::new(Tool::QemuIo).args(["-t", "unsafe", "-f", "qcow2"]);
        let invocation = writes.iter().fold(invocation, |invocation, write| invocation.args(["-c", write.as_str()]));
        // It tells each write in two lines, and ends with 1 when one failed.
        invocation.arg(local(overlay)).run_with(|_| {}).await?;
    }
    Ok(())
}

/// What of a swap area of `size` bytes is not its header.
fn after_swap_header(size: u64) -> Vec<Range<u64>> {
    let run = SWAP_HEADER_BYTES..size;
    (!run.is_empty()).then_some(run).into_iter().collect()
}

/// The commands of qemu-io that make `run` zeros. Where the run does not fill a cluster, qemu-io writes zeros; else it marks the cluster.
fn writes(run: &Range<u64>) -> Vec<String> {
    let starts = (run.start..run.end).step_by(usize::try_from(WRITE_BYTES).unwrap_or(usize::MAX));
    starts.map(|start| format!("write -q -z {start} {}", (run.end - start).min(WRITE_BYTES))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_written_in_parts() {
        let gib = 1u64 << 30;
        assert_eq!(writes(&(4096..8192)), ["write -q -z 4096 4096"]);
        assert_eq!(
            writes(&(10..10 + 2 * gib + 1)),
            [format!("write -q -z 10 {gib}"), format!("write -q -z {} {gib}", 10 + gib), format!("write -q -z {} 1", 10 + 2 * gib)]
        );
    }

    #[test]
    fn a_swap_area_keeps_its_header() {
        let mut bytes = vec![0u8; 3 << 12];
        bytes[4096 - 10..4096].copy_from_slice(b"SWAPSPACE2");
        let free = FreeSpace::of(&Disk::in_memory("swap", bytes)).unwrap();
        assert_eq!(free.runs.iter().map(|run| (run.start, run.end)).collect::<Vec<_>>(), [(4096, 3 << 12)]);
        assert!(after_swap_header(4096).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut bytes = vec![0u8; 1 << 20];
        bytes[..6].copy_from_slice(b"LUKS\xba\xbe");
        let free = FreeSpace::of(&Disk::in_memory("luks", bytes)).unwrap();
        assert_eq!(free, FreeSpace { runs: Vec::new(), unread: vec!["partition 0 (crypto_LUKS)".to_owned()] });
        for (size, byte, unread) in [(17 << 20, 7, 1), (17 << 20, 0, 0), (1 << 20, 7, 0)] {
            let mut bytes = vec![0u8; size];
            bytes[size / 2] = byte;
            assert_eq!(FreeSpace::of(&Disk::in_memory("raw", bytes)).unwrap().unread.len(), unread, "{size} {byte}");
        }
    }
}
