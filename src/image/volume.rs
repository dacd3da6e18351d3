//! The places of a disk where a filesystem can be: its partitions, or all of a disk without a partition table.

use super::disk::Disk;
use super::error::ImageError;
use super::filesystem::ext4::Ext4Reader;
use super::filesystem::fat::FatReader;
use super::filesystem::xfs::XfsReader;
use super::filesystem::{Filesystem, FsError};
use super::partition::Partition;
use super::superblock::FilesystemType;

/// A place where a filesystem can be.
pub(super) struct Volume<'a> {
    disk: &'a Disk,
    partition: Partition,
    kind: Option<FilesystemType>,
}

impl<'a> Volume<'a> {
    /// All of `disk`, in the order of the partition table.
    ///
    /// # Errors
    /// The partition table is damaged.
    pub(super) fn all(disk: &'a Disk) -> Result<Vec<Self>, ImageError> {
        let volume = |partition: Partition| {
            let kind = FilesystemType::detect(&disk.slice(partition.start, partition.size));
            Self { disk, partition, kind }
        };
        Ok(Partition::all(disk)?.into_iter().map(volume).collect())
    }

    /// Index of the partition; 0 on a disk without a partition table.
    pub(super) fn partition(&self) -> u32 {
        self.partition.index
    }

    /// Byte of the disk at which it begins.
    pub(super) fn start(&self) -> u64 {
        self.partition.start
    }

    /// What its first bytes say that it holds.
    pub(super) fn kind(&self) -> Option<FilesystemType> {
        self.kind
    }

    /// Open its filesystem; `None` when there is none that can be read.
    ///
    /// # Errors
    /// The filesystem is damaged, or beyond what its reader knows.
    pub(super) fn open(&self) -> Result<Option<Box<dyn Filesystem>>, ImageError> {
        let bytes = self.disk.slice(self.partition.start, self.partition.size);
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
        let names = [
            format!("UUID={}", filesystem.uuid()),
            format!("LABEL={}", filesystem.label()),
            format!("PARTUUID={}", self.partition.uuid),
            format!("PARTLABEL={}", self.partition.name),
            format!("/dev/vda{}", self.partition.index),
            format!("/dev/sda{}", self.partition.index),
        ];
        // What has no label is not named by an empty one.
        names.iter().any(|name| !name.ends_with('=') && name.eq_ignore_ascii_case(source))
    }
}
