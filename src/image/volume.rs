//! The places of a disk where a filesystem can be: its partitions, or all of a disk without a partition table, and logical volumes on them.

use std::ops::Range;
use std::sync::Arc;

use super::disk::Disk;
use super::error::ImageError;
use super::filesystem::ext4::Ext4Reader;
use super::filesystem::fat::FatReader;
use super::filesystem::xfs::XfsReader;
use super::filesystem::{Filesystem, FsError};
use super::lvm::{self, Mapped};
use super::partition::Partition;
use super::read_at::Slice;
use super::superblock::FilesystemType;
use crate::base::read_at::ReadAt;

/// A place where a filesystem can be.
pub(super) struct Volume<'a> {
    disk: &'a Disk,
    /// The partition; of a logical volume the one where it begins.
    partition: Partition,
    /// What it is called whatever it holds: `/dev/vda1`, `PARTUUID=…`, `/dev/cl/root`.
    names: Vec<String>,
    /// Of a logical volume that can be read: where its bytes are, on physical volumes that begin at these bytes of the disk.
    mapped: Option<(Arc<Mapped>, Vec<u64>)>,
    /// It is a logical volume on partitions.
    is_logical: bool,
    bytes: Slice,
    kind: Option<FilesystemType>,
    /// Why nothing in it can be read, when that is known.
    problem: Option<String>,
}

impl<'a> Volume<'a> {
    /// All of `disk`, in the order of the partition table, then the logical volumes.
    ///
    /// # Errors
    /// The partition table is damaged.
    pub(super) fn all(disk: &'a Disk) -> Result<Vec<Self>, ImageError> {
        let mut volumes: Vec<Self> = Partition::all(disk)?.into_iter().map(|partition| Self::of_partition(disk, partition)).collect();
        let physical: Vec<usize> = (0..volumes.len()).filter(|at| volumes[*at].kind == Some(FilesystemType::Lvm)).collect();
        let slices: Vec<Slice> = physical.iter().map(|at| volumes[*at].bytes.clone()).collect();
        let found = lvm::volumes(&slices);
        for (number, why) in found.problems {
            volumes[physical[number]].problem = Some(format!("LVM, of which {why}"));
        }
        for logical in found.logical {
            let on = &volumes[physical[logical.physical]];
            let starts = || physical.iter().map(|at| volumes[*at].partition.start).collect();
            let (bytes, mapped, problem) = match logical.bytes {
                Ok(mapped) => (Slice::whole(Arc::clone(&mapped) as _), Some((mapped, starts())), None),
                Err(why) => (disk.slice(0, 0), None, Some(format!("the logical volume {}: {why}", logical.names[0]))),
            };
            let kind = FilesystemType::detect(&bytes);
            let (partition, names) = (on.partition.clone(), logical.names.to_vec());
            volumes.push(Self { disk, partition, names, mapped, is_logical: true, bytes, kind, problem });
        }
        Ok(volumes)
    }

    fn of_partition(disk: &'a Disk, partition: Partition) -> Self {
        let bytes = disk.slice(partition.start, partition.size);
        let kind = FilesystemType::detect(&bytes);
        let names = vec![
            format!("PARTUUID={}", partition.uuid),
            format!("PARTLABEL={}", partition.name),
            format!("/dev/vda{}", partition.index),
            format!("/dev/sda{}", partition.index),
        ];
        Self { disk, partition, names, mapped: None, is_logical: false, bytes, kind, problem: None }
    }

    /// What it holds that cannot be read, in words; `None` when there is nothing that is known, or it can be read.
    pub(super) fn unread(&self) -> Option<String> {
        match (&self.problem, self.kind) {
            (Some(problem), _) => Some(problem.clone()),
            (None, Some(kind @ (FilesystemType::Btrfs | FilesystemType::Luks))) => Some(format!("{}, which cannot be read", kind.name())),
            _ => None,
        }
    }

    /// Index of the partition; 0 on a disk without a partition table.
    pub(super) fn partition(&self) -> u32 {
        self.partition.index
    }

    /// Type of the partition: of a GPT a UUID in small letters. A logical volume has none.
    pub(super) fn type_id(&self) -> &str {
        if self.is_logical { "" } else { &self.partition.type_id }
    }

    /// Byte of the disk at which it begins.
    pub(super) fn start(&self) -> u64 {
        self.partition.start
    }

    /// The name of a logical volume, `/dev/VG/LV`; none for a partition.
    pub(super) fn logical_name(&self) -> Option<&str> {
        if self.is_logical { self.names.first().map(String::as_str) } else { None }
    }

    /// Bytes of it; none of a logical volume that cannot be read.
    pub(super) fn size(&self) -> u64 {
        self.bytes.len()
    }

    /// All its bytes.
    pub(super) fn bytes(&self) -> &Slice {
        &self.bytes
    }

    /// Where the bytes `run` of it are on the disk.
    pub(super) fn places(&self, run: Range<u64>) -> Vec<Range<u64>> {
        match &self.mapped {
            Some((mapped, starts)) => mapped.places(run).map(|(index, run)| run.start + starts[index]..run.end + starts[index]).collect(),
            None => std::iter::once(run.start + self.start()..run.end + self.start()).collect(),
        }
    }

    /// The type of its content, by its first bytes.
    pub(super) fn kind(&self) -> Option<FilesystemType> {
        self.kind
    }

    /// Open its filesystem; `None` when there is none that can be read.
    ///
    /// # Errors
    /// The filesystem is damaged, or beyond what its reader knows.
    pub(super) fn open(&self) -> Result<Option<Box<dyn Filesystem>>, ImageError> {
        let bytes = self.bytes.clone();
        let opened: Result<Box<dyn Filesystem>, FsError> = match self.kind {
            Some(FilesystemType::Ext4) => Ext4Reader::open(bytes).map(|reader| Box::new(reader) as _),
            Some(FilesystemType::Xfs) => XfsReader::open(bytes).map(|reader| Box::new(reader) as _),
            Some(FilesystemType::Vfat) => FatReader::open(bytes).map(|reader| Box::new(reader) as _),
            _ => return Ok(None),
        };
        opened.map(Some).map_err(|error| ImageError::filesystem(self.disk.path(), self.partition.start, None, error))
    }

    /// Whether `source`, the first field of an fstab(5) entry, names `filesystem`, which is in this place.
    pub(super) fn is_named(&self, filesystem: &dyn Filesystem, source: &str) -> bool {
        let own = [format!("UUID={}", filesystem.uuid()), format!("LABEL={}", filesystem.label())];
        // What has no label is not named by an empty one.
        self.names.iter().chain(&own).any(|name| !name.ends_with('=') && name.eq_ignore_ascii_case(source))
    }
}
