//! Finds the bytes of a disk that no file uses, so that an export writes zeros there.
//!
//! A deleted file's bytes stay on the disk. `fstrim` in the guest does not remove them all: EL7's virtio_blk cannot discard (Linux 3.10,
//! drivers/block/virtio_blk.c, the feature table), and qcow2 ignores a discard that is smaller than its cluster of 64 KiB (QEMU,
//! block/qcow2-cluster.c, `qcow2_cluster_discard`). The filesystem's own record of free blocks is exact, and the host reads it without a
//! guest. So [`FreeSpace::of`] reads it, and [`super::export`] writes zeros in its place.

mod ext4;
mod fat;
mod runs;
mod xfs;

use std::ops::Range;
use std::sync::Arc;

use super::disk::Disk;
use super::error::ImageError;
use super::lvm;
use super::partition::Partition;
use super::read_at::Slice;
use super::superblock::FilesystemType;
use crate::base::read_at::ReadAt;

use runs::Unknown;

/// A partition without a filesystem that is no larger belongs to a boot loader: GRUB's on GPT has 1 MiB, PowerPC's 8.
const BOOT_LOADER_BYTES: u64 = 16 << 20;
/// The page at the start of a swap area: label, UUID and sizes (`mkswap(8)`; include/linux/swap.h, `union swap_header`).
const SWAP_HEADER_BYTES: u64 = 4096;

/// The bytes of a disk that no file uses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FreeSpace {
    /// Runs of the disk's bytes, in rising order, not touching each other.
    pub runs: Vec<Range<u64>>,
    /// Partitions and volumes whose free space is not known, each as a text: `partition 3 (btrfs)`.
    pub unread: Vec<String>,
}

impl FreeSpace {
    /// Read the free space of every partition and logical volume of `disk`: ext4, XFS, FAT and swap, and what a volume group has not given to a
    /// volume. What lies between partitions, and small partitions without a filesystem, belong to boot loaders and are left alone. The rest of
    /// a block or cluster that a file fills in part is not free: ext4 fills it with zeros, FAT does not.
    ///
    /// # Errors
    /// The disk cannot be read, or a filesystem is damaged or was not unmounted.
    pub fn of(disk: &Disk) -> Result<Self, ImageError> {
        let mut found = Self::default();
        let mut physical = Vec::new();
        for partition in Partition::all(disk)? {
            let bytes = disk.slice(partition.start, partition.size);
            if FilesystemType::detect(&bytes) == Some(FilesystemType::Lvm) {
                physical.push(partition);
            } else {
                let at = |run: Range<u64>| std::iter::once(run.start + partition.start..run.end + partition.start);
                found.add(disk, &bytes, &format!("partition {}", partition.index), partition.start, at)?;
            }
        }
        found.add_volumes(disk, &physical)?;
        found.runs = joined(found.runs);
        Ok(found)
    }

    /// Add what is free on logical volumes, and between them.
    fn add_volumes(&mut self, disk: &Disk, physical: &[Partition]) -> Result<(), ImageError> {
        let slices: Vec<Slice> = physical.iter().map(|partition| disk.slice(partition.start, partition.size)).collect();
        let found = lvm::volumes(&slices);
        let on_disk = |(index, run): (usize, Range<u64>)| run.start + physical[index].start..run.end + physical[index].start;
        self.unread.extend(found.problems.into_iter().map(|(index, why)| format!("partition {} (LVM: {why})", physical[index].index)));
        self.unread.extend(found.untold);
        self.runs.extend(found.unallocated.into_iter().map(on_disk));
        for logical in found.logical {
            let [name, _] = logical.names;
            match logical.bytes {
                Ok(mapped) => {
                    let bytes = Slice::whole(Arc::clone(&mapped) as _);
                    let start = physical[logical.physical].start;
                    self.add(disk, &bytes, &name, start, |run| mapped.places(run).map(on_disk).collect::<Vec<_>>())?;
                }
                Err(why) => self.unread.push(format!("{name} ({why})")),
            }
        }
        Ok(())
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

    /// Add what is free in the filesystem of `bytes`, which is in `place` and begins at byte `start` of the disk; `at` tells where on the disk
    /// a run of it is.
    fn add<R>(&mut self, disk: &Disk, bytes: &Slice, place: &str, start: u64, at: impl Fn(Range<u64>) -> R) -> Result<(), ImageError>
    where
        R: IntoIterator<Item = Range<u64>>,
    {
        let is_zero = || bytes.is_zero(0, bytes.len()).map_err(|source| ImageError::read(disk.path(), source));
        let kind = FilesystemType::detect(bytes);
        let runs = match kind {
            None if bytes.len() <= BOOT_LOADER_BYTES || is_zero()? => return Ok(()),
            None => Err(Unknown::Incompatible(String::new())),
            Some(FilesystemType::Ext4) => ext4::free_runs(bytes),
            Some(FilesystemType::Vfat) => fat::free_runs(bytes),
            Some(FilesystemType::Swap) => Ok(after_swap_header(bytes.len())),
            Some(FilesystemType::Xfs) => xfs::free_runs(bytes),
            Some(FilesystemType::Btrfs | FilesystemType::Lvm | FilesystemType::Luks) => Err(Unknown::Incompatible(String::new())),
        };
        let name = kind.map_or("unknown", FilesystemType::name);
        match runs {
            Ok(runs) => self.runs.extend(runs.into_iter().flat_map(at)),
            Err(Unknown::Incompatible(why)) if why.is_empty() => self.unread.push(format!("{place} ({name})")),
            Err(Unknown::Incompatible(why)) => self.unread.push(format!("{place} ({name}: {why})")),
            Err(Unknown::Corrupt(what)) => return Err(ImageError::corrupt(disk.path(), start, format!("{name}: {what}"))),
        }
        Ok(())
    }
}

/// The runs in rising order; those that touch are one.
fn joined(mut runs: Vec<Range<u64>>) -> Vec<Range<u64>> {
    runs.sort_by_key(|run| run.start);
    runs.dedup_by(|next, before| {
        let touches = next.start <= before.end;
        if touches {
            before.end = before.end.max(next.end);
        }
        touches
    });
    runs
}

/// The bytes of a swap area of `size` bytes without its header.
fn after_swap_header(size: u64) -> Vec<Range<u64>> {
    let run = SWAP_HEADER_BYTES..size;
    (!run.is_empty()).then_some(run).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
