//! The disk that the deploy installer makes: where its partitions are, and their table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Serialize;

use super::error::ImageError;
use super::partition::{SECTOR_BYTES, gpt_type, mbr_type};
use crate::base::digest::Sha256Digest;
use crate::base::size::rounded;
use crate::base::uuid::Uuid;
use crate::hardware::{Firmware, TableKind};

/// Every partition begins and ends at a multiple of this (what parted, sgdisk and Anaconda do).
const ALIGNMENT_BYTES: u64 = 1 << 20;
/// GRUB's core image has some 30 KiB; 1 MiB is what every distribution gives it.
const BIOS_BOOT_BYTES: u64 = 1 << 20;
/// The smallest round size that makes FAT32 with 512-byte clusters (65525 clusters at least, Microsoft's FAT specification 1.03).
const ESP_BYTES: u64 = 64 << 20;
/// A root smaller than this holds no distribution.
const MIN_ROOT_BYTES: u64 = 256 << 20;

/// The purpose of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// GRUB's core image (BIOS on GPT).
    BiosBoot,
    /// EFI system partition, FAT32.
    Esp,
    /// Swap space.
    Swap,
    /// `/`.
    Root,
}

impl Role {
    /// The partition's name on GPT.
    pub fn name(self) -> &'static str {
        match self {
            Self::BiosBoot => "biosboot",
            Self::Esp => "esp",
            Self::Swap => "swap",
            Self::Root => "root",
        }
    }

    fn gpt_type(self) -> &'static str {
        match self {
            Self::BiosBoot => gpt_type::BIOS_BOOT,
            Self::Esp => gpt_type::ESP,
            Self::Swap => gpt_type::SWAP,
            Self::Root => gpt_type::ROOT_X86_64,
        }
    }
}

/// A partition to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PlannedPartition {
    /// Its number, as in `/dev/vda1`.
    pub index: u32,
    /// What it is for.
    pub role: Role,
    /// Byte of the disk it begins at.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
}

/// A whole disk to be made. The root partition is the last one, so that it can grow with the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Kind of table.
    pub table: TableKind,
    /// Size of the disk in bytes.
    pub disk_size: u64,
    /// By index, which is also by place.
    pub partitions: Vec<PlannedPartition>,
}

impl Layout {
    /// Plan a disk of `disk_size` bytes. `swap` bytes of swap space are rounded up to whole MiB; zero means none.
    ///
    /// # Errors
    /// Firmware and table do not fit each other, or the disk is too small or too large for the table.
    pub fn plan(disk_size: u64, firmware: Firmware, table: TableKind, swap: u64) -> Result<Self, ImageError> {
        let refuse = |why: String| ImageError::layout(format!("a disk of {}", rounded(disk_size)), why);
        let first = match (firmware, table) {
            (Firmware::Bios, TableKind::Gpt) => Some((Role::BiosBoot, BIOS_BOOT_BYTES)),
            (Firmware::Uefi, TableKind::Gpt) => Some((Role::Esp, ESP_BYTES)),
            (Firmware::Bios, TableKind::Mbr) => None,
            (Firmware::Uefi, TableKind::Mbr) => return Err(refuse("UEFI is only made to boot from a GPT".to_owned())),
        };
        let swap = (swap > 0).then_some((Role::Swap, swap));
        let mut partitions = Vec::new();
        let mut at = ALIGNMENT_BYTES;
        for (role, size) in first.into_iter().chain(swap) {
            let size = size.checked_next_multiple_of(ALIGNMENT_BYTES).ok_or_else(|| refuse(format!("{} is too large", role.name())))?;
            partitions.push((role, at, size));
            at = at.checked_add(size).ok_or_else(|| refuse(format!("{} is too large", role.name())))?;
        }
        // The second GPT has the last 33 sectors; a whole MiB keeps the root's end aligned.
        let tail = if table == TableKind::Gpt { ALIGNMENT_BYTES } else { 0 };
        let end = disk_size.saturating_sub(tail) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        let root = end.saturating_sub(at);
        if root < MIN_ROOT_BYTES {
            return Err(refuse(format!("{} are left for /, {} is the least", rounded(root), rounded(MIN_ROOT_BYTES))));
        }
        if table == TableKind::Mbr && end / SECTOR_BYTES > u64::from(u32::MAX) {
            return Err(refuse("an MBR reaches 2 TiB only".to_owned()));
        }
        partitions.push((Role::Root, at, root));
        let partitions = (1..).zip(partitions).map(|(index, (role, start, size))| PlannedPartition { index, role, start, size }).collect();
        Ok(Self { table, disk_size, partitions })
    }

    /// The partition for `role`, if there is one.
    pub fn partition(&self, role: Role) -> Option<&PlannedPartition> {
        self.partitions.iter().find(|partition| partition.role == role)
    }

    /// The partition of `/`.
    pub fn root(&self) -> &PlannedPartition {
        // OK to index: `plan`, the only maker, puts the root last.
        &self.partitions[self.partitions.len() - 1]
    }

    /// What `PARTUUID=` names the partition for `role`, in a disk written with the same `seed`.
    pub fn part_uuid(&self, role: Role, seed: &Sha256Digest) -> Option<String> {
        let partition = self.partition(role)?;
        Some(match self.table {
            TableKind::Gpt => partition_guid(role, seed).to_string(),
            TableKind::Mbr => format!("{:08x}-{:02x}", disk_guid(seed).short(), partition.index),
        })
    }

    /// Write the table into `file`, a disk of zeros of the planned size that is called `path` in errors. The disk's and partitions'
    /// identifiers come from `seed`: the same layout and seed give the same bytes.
    ///
    /// # Errors
    /// The file has another size, or cannot be written.
    pub fn write_table(&self, file: &mut File, path: &Path, seed: &Sha256Digest) -> Result<(), ImageError> {
        let failed = |source| ImageError::write(path, source);
        let size = file.metadata().map_err(failed)?.len();
        if size != self.disk_size {
            return Err(ImageError::layout("a partition table", format!("the disk has {size} bytes, {} were planned", self.disk_size)));
        }
        match self.table {
            TableKind::Gpt => self.write_gpt(file, seed).map_err(failed),
            TableKind::Mbr => file.write_all_at(&self.mbr(seed), 0).map_err(failed),
        }
    }

    fn write_gpt(&self, file: &mut File, seed: &Sha256Digest) -> io::Result<()> {
        let other = |error: gpt::GptError| match error {
            gpt::GptError::Io(source) => source,
            other => io::Error::other(other),
        };
        let mut entries = BTreeMap::new();
        for partition in &self.partitions {
            let entry = gpt::partition::Partition {
                part_type_guid: gpt::partition_types::Type { guid: parsed(partition.role.gpt_type())?, ..Default::default() },
                part_guid: parsed(&partition_guid(partition.role, seed).to_string())?,
                first_lba: partition.start / SECTOR_BYTES,
                last_lba: (partition.start + partition.size) / SECTOR_BYTES - 1,
                flags: 0,
                name: partition.role.name().to_owned(),
            };
            entries.insert(partition.index, entry);
        }
        // The crate does not write a protective MBR on its own. Its size field is capped (UEFI specification 2.10, table 5.4).
        let sectors = u32::try_from(self.disk_size / SECTOR_BYTES - 1).unwrap_or(u32::MAX);
        gpt::mbr::ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(file).map_err(io::Error::other)?;
        let guid = parsed(&disk_guid(seed).to_string())?;
        let mut table = gpt::GptConfig::new().writable(true).create_from_device(file, Some(guid)).map_err(other)?;
        table.update_partitions(entries).map_err(other)?;
        table.write().map_err(other)?;
        Ok(())
    }

    /// A master boot record without boot code: the boot loader brings its own.
    fn mbr(&self, seed: &Sha256Digest) -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[440..444].copy_from_slice(&disk_guid(seed).short().to_le_bytes());
        for (slot, partition) in self.partitions.iter().enumerate() {
            let entry = &mut bytes[446 + 16 * slot..][..16];
            // CHS addresses beyond their reach, as every tool has written them since disks passed 8 GB.
            entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]);
            entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
            entry[0] = if partition.role == Role::Root { 0x80 } else { 0 };
            entry[4] = if partition.role == Role::Swap { mbr_type::SWAP } else { mbr_type::LINUX };
            // OK to truncate: `plan` keeps an MBR's partitions below 2^32 sectors.
            entry[8..12].copy_from_slice(&((partition.start / SECTOR_BYTES) as u32).to_le_bytes());
            entry[12..].copy_from_slice(&((partition.size / SECTOR_BYTES) as u32).to_le_bytes());
        }
        bytes[510..].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }
}

fn disk_guid(seed: &Sha256Digest) -> Uuid {
    Uuid::derived(seed, "disk")
}

fn partition_guid(role: Role, seed: &Sha256Digest) -> Uuid {
    Uuid::derived(seed, &format!("partition {}", role.name()))
}

/// The `gpt` crate's own UUID type, which is not ours to name.
fn parsed<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::disk::Disk;
    use crate::image::partition::PartitionTable;

    const MIB: u64 = 1 << 20;

    #[test]
    fn plans_are_aligned_and_the_root_is_last() {
        use Firmware::{Bios, Uefi};
        use TableKind::{Gpt, Mbr};
        for (size, firmware, table, swap, expected) in [
            (8192, Bios, Gpt, 0, vec![(Role::BiosBoot, 1, 1), (Role::Root, 2, 8189)]),
            (8192, Uefi, Gpt, 0, vec![(Role::Esp, 1, 64), (Role::Root, 65, 8126)]),
            (8192, Bios, Gpt, 512, vec![(Role::BiosBoot, 1, 1), (Role::Swap, 2, 512), (Role::Root, 514, 7677)]),
            (8192, Bios, Mbr, 0, vec![(Role::Root, 1, 8191)]),
            (8192, Bios, Mbr, 512, vec![(Role::Swap, 1, 512), (Role::Root, 513, 7679)]),
        ] {
            let layout = Layout::plan(size * MIB + 777, firmware, table, swap * MIB).unwrap();
            let found: Vec<_> = layout.partitions.iter().map(|p| (p.role, p.start / MIB, p.size / MIB)).collect();
            assert_eq!(found, expected);
            assert!(layout.partitions.iter().all(|p| p.start % MIB == 0 && p.size % MIB == 0));
            assert_eq!(layout.root().role, Role::Root);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (size, firmware, table, swap, complaint) in [
            (256 * MIB, Firmware::Bios, TableKind::Mbr, 0, "255 MiB are left for /, 256 MiB is the least"),
            (8192 * MIB, Firmware::Bios, TableKind::Gpt, 9000 * MIB, "0 B are left for /"),
            (8192 * MIB, Firmware::Bios, TableKind::Gpt, u64::MAX, "swap is too large"),
            (0, Firmware::Bios, TableKind::Gpt, 0, "0 B are left for /"),
            (4 << 40, Firmware::Bios, TableKind::Mbr, 0, "an MBR reaches 2 TiB only"),
            (8192 * MIB, Firmware::Uefi, TableKind::Mbr, 0, "UEFI is only made to boot from a GPT"),
        ] {
            let error = Layout::plan(size, firmware, table, swap).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_is_the_same_every_time() {
        let dir = tempfile::tempdir().unwrap();
        let seed = Sha256Digest::of(b"seed");
        for (firmware, kind) in [(Firmware::Bios, TableKind::Gpt), (Firmware::Uefi, TableKind::Gpt), (Firmware::Bios, TableKind::Mbr)] {
            let layout = Layout::plan(1 << 30, firmware, kind, 64 * MIB).unwrap();
            let images = ["a", "b"].map(|name| {
                let path = dir.path().join(name);
                let mut file = File::create_new(&path).unwrap();
                file.set_len(1 << 30).unwrap();
                drop(file);
                file = File::options().read(true).write(true).open(&path).unwrap();
                layout.write_table(&mut file, &path, &seed).unwrap();
                path
            });
            let table = PartitionTable::read(&Disk::open(&images[0]).unwrap()).unwrap().unwrap();
            assert_eq!(table.kind, kind);
            let read: Vec<_> = table.partitions.iter().map(|p| (p.index, p.start, p.size, Some(p.uuid.clone()))).collect();
            let planned: Vec<_> = layout.partitions.iter().map(|p| (p.index, p.start, p.size, layout.part_uuid(p.role, &seed))).collect();
            assert_eq!(read, planned);
            let [ends, again] = images.map(|path| {
                let disk = Disk::open(&path).unwrap();
                let mut ends = vec![0; 2 << 20];
                disk.bytes().read_at(0, &mut ends[..1 << 20]).unwrap();
                disk.bytes().read_at(disk.bytes().len() - MIB, &mut ends[1 << 20..]).unwrap();
                ends
            });
            assert!(ends == again);
            for name in ["a", "b"] {
                std::fs::remove_file(dir.path().join(name)).unwrap();
            }
        }
    }

    #[test]
    fn a_disk_of_another_size_is_not_written() {
        let mut file = tempfile::tempfile().unwrap();
        let layout = Layout::plan(1 << 30, Firmware::Bios, TableKind::Gpt, 0).unwrap();
        let error = layout.write_table(&mut file, Path::new("d"), &Sha256Digest::of(b"")).unwrap_err();
        assert_eq!(error.to_string(), "cannot make a partition table: the disk has 0 bytes, 1073741824 were planned");
    }
}
