//! Reads partition tables: GPT through the `gpt` crate, MBR by itself.

use serde::Serialize;

use super::disk::Disk;
use super::error::ImageError;
use super::read_at::Slice;
use crate::hardware::TableKind;

/// GPT partition types goldsmith knows (UEFI specification 2.10, table 5.7; Discoverable Partitions Specification).
pub mod gpt_type {
    /// BIOS boot partition: GRUB's core image on GPT.
    pub const BIOS_BOOT: &str = "21686148-6449-6e6f-744e-656564454649";
    /// EFI system partition.
    pub const ESP: &str = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
    /// Extended boot loader partition: kernels and entries, when the ESP is too small (Boot Loader Specification, UAPI.1).
    pub const XBOOTLDR: &str = "bc13c2ff-59e6-4262-a352-b275fd6f7172";
    /// Linux swap.
    pub const SWAP: &str = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f";
    /// Root of an x86-64 system; what systemd-repart grows by default.
    pub const ROOT_X86_64: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
}

/// MBR partition types: one byte.
pub mod mbr_type {
    /// Linux swap.
    pub const SWAP: u8 = 0x82;
    /// Linux.
    pub const LINUX: u8 = 0x83;
    /// A GPT follows (protective MBR).
    pub const GPT_PROTECTIVE: u8 = 0xee;
    /// Extended: a chain of logical partitions, by CHS, by LBA, and Linux's own.
    pub const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
}

/// Sector size in bytes of an MBR, and of every GPT goldsmith writes.
pub(crate) const SECTOR_BYTES: u64 = 512;
/// Most entries of a GPT that are read; 128 is the usual number.
const MAX_GPT_ENTRIES: u32 = 1024;
/// Most logical partitions of an MBR that are read: Linux's own bound is 256 minors.
const MAX_LOGICAL: u32 = 256;

/// A partition table as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartitionTable {
    /// Kind.
    pub kind: TableKind,
    /// The disk's GUID, or the MBR's disk signature as 8 hexadecimal digits.
    pub id: String,
    /// The partitions by index.
    pub partitions: Vec<Partition>,
}

/// A partition as read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Its number, as in `/dev/vda1`.
    pub index: u32,
    /// Byte of the disk it begins at.
    pub start: u64,
    /// Size in bytes.
    pub size: u64,
    /// Type GUID in lower case, or the MBR type as `0x83`.
    pub type_id: String,
    /// Name; empty on MBR.
    pub name: String,
    /// What `PARTUUID=` takes.
    pub uuid: String,
}

impl Partition {
    /// The places of `disk` where a filesystem can be: its partitions, or all of a disk that has no partition table, with the index 0.
    ///
    /// # Errors
    /// As [`PartitionTable::read`].
    pub(super) fn all(disk: &Disk) -> Result<Vec<Self>, ImageError> {
        let none = String::new;
        let whole = || Self { index: 0, start: 0, size: disk.info().virtual_size, type_id: none(), name: none(), uuid: none() };
        Ok(PartitionTable::read(disk)?.map_or_else(|| vec![whole()], |table| table.partitions))
    }
}

impl PartitionTable {
    /// Read the partition table of `disk`; `None` when it has none.
    ///
    /// # Errors
    /// The disk cannot be read, or its table is damaged, or too unusual to be read.
    pub fn read(disk: &Disk) -> Result<Option<Self>, ImageError> {
        let Some(mbr) = Mbr::read(disk, 0)? else { return Ok(None) };
        if mbr.entries.iter().any(|entry| entry.kind == mbr_type::GPT_PROTECTIVE) {
            return read_gpt(disk).map(Some);
        }
        let partitions = mbr.partitions(disk)?;
        Ok(Some(Self { kind: TableKind::Mbr, id: format!("{:08x}", mbr.signature), partitions }))
    }
}

fn read_gpt(disk: &Disk) -> Result<PartitionTable, ImageError> {
    for sector in [512, 4096] {
        let mut header = [0; 92];
        if disk.bytes().read_at(sector, &mut header).is_ok() && header.starts_with(b"EFI PART") {
            return read_gpt_with(disk, sector);
        }
    }
    read_gpt_with(disk, SECTOR_BYTES)
}

/// Read a GPT with sectors of `sector` bytes, by its backup when the first header is damaged.
fn read_gpt_with(disk: &Disk, sector: u64) -> Result<PartitionTable, ImageError> {
    let path = disk.path();
    let last = disk.bytes().len().saturating_sub(1) / sector * sector;
    for offset in [sector, last] {
        // The crate panics on entries of another size, and does not bound their number.
        let mut header = [0; 92];
        if disk.bytes().read_at(offset, &mut header).is_err() || !header.starts_with(b"EFI PART") {
            continue;
        }
        let (entries, entry_bytes) = (le32(&header, 80), le32(&header, 84));
        if entry_bytes != 128 || entries > MAX_GPT_ENTRIES {
            let what = format!("a GPT of {entries} entries of {entry_bytes} bytes; up to {MAX_GPT_ENTRIES} of 128 bytes are read");
            return Err(ImageError::incompatible(path, offset, what));
        }
    }
    let block = if sector == 4096 { gpt::disk::LogicalBlockSize::Lb4096 } else { gpt::disk::LogicalBlockSize::Lb512 };
    let table = gpt::GptConfig::new().logical_block_size(block).open_from_device(Slice::whole(disk.bytes().clone()));
    let table = table.map_err(|error| match error {
        gpt::GptError::Io(source) if source.kind() != std::io::ErrorKind::Other => ImageError::read(path, source),
        other => ImageError::corrupt(path, sector, format!("its GUID partition table cannot be read: {other}")),
    })?;
    let mut partitions = Vec::new();
    for (index, entry) in table.partitions().iter().filter(|(_, entry)| entry.is_used()) {
        let range = entry.bytes_start(block).and_then(|start| Ok((start, entry.bytes_len(block)?)));
        let inside = range.ok().filter(|(start, size)| start.checked_add(*size).is_some_and(|end| end <= disk.bytes().len()));
        let Some((start, size)) = inside else {
            return Err(ImageError::corrupt(path, sector, format!("partition {index} lies outside the disk")));
        };
        partitions.push(Partition {
            index: *index,
            start,
            size,
            type_id: entry.part_type_guid.guid.to_string(),
            name: entry.name.clone(),
            uuid: entry.part_guid.to_string(),
        });
    }
    Ok(PartitionTable { kind: TableKind::Gpt, id: table.guid().to_string(), partitions })
}

/// One sector in the form of a master boot record: the first, or one of an extended partition's chain.
struct Mbr {
    /// Disk signature, bytes 440 to 443.
    signature: u32,
    entries: [Entry; 4],
}

#[derive(Clone, Copy)]
struct Entry {
    kind: u8,
    /// In sectors, from where the table counts.
    start: u32,
    sectors: u32,
}

impl Mbr {
    /// The record at sector `sector`; `None` when the sector is not such a record, but a filesystem's boot sector, for example.
    fn read(disk: &Disk, sector: u64) -> Result<Option<Self>, ImageError> {
        let mut bytes = [0; SECTOR_BYTES as usize];
        let offset = sector.saturating_mul(SECTOR_BYTES);
        match disk.bytes().read_at(offset, &mut bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result.map_err(|source| ImageError::read(disk.path(), source))?,
        }
        if bytes[510..] != [0x55, 0xaa] {
            return Ok(None);
        }
        let entries = [446, 462, 478, 494].map(|at| {
            let entry = Entry { kind: bytes[at + 4], start: le32(&bytes, at + 8), sectors: le32(&bytes, at + 12) };
            (bytes[at], entry)
        });
        // FAT and NTFS boot sectors end in the same two bytes; their code does not look like four entries.
        let plausible = entries.iter().all(|(active, entry)| {
            let unused = entry.kind == 0 && entry.sectors == 0;
            matches!(active, 0 | 0x80) && (unused || entry.kind != 0 && entry.start != 0 && entry.sectors != 0)
        });
        let used = entries.iter().any(|(_, entry)| entry.kind != 0);
        let entries = entries.map(|(_, entry)| entry);
        Ok((plausible && used).then_some(Self { signature: le32(&bytes, 440), entries }))
    }

    fn partitions(&self, disk: &Disk) -> Result<Vec<Partition>, ImageError> {
        let mut found = Vec::new();
        for (index, entry) in (1..).zip(&self.entries).filter(|(_, entry)| entry.kind != 0) {
            found.push(self.partition(disk, index, 0, *entry)?);
        }
        let extended = self.entries.iter().find(|entry| mbr_type::EXTENDED.contains(&entry.kind));
        if let Some(extended) = extended {
            self.logical(disk, u64::from(extended.start), &mut found)?;
        }
        Ok(found)
    }

    /// Follow the chain that begins at sector `first`: each link names a partition relative to itself and the next link relative to `first`.
    fn logical(&self, disk: &Disk, first: u64, found: &mut Vec<Partition>) -> Result<(), ImageError> {
        let mut at = first;
        for index in 5..5 + MAX_LOGICAL {
            let Some(link) = Self::read(disk, at)? else { return Ok(()) };
            let [partition, next, ..] = link.entries;
            if partition.kind != 0 {
                found.push(self.partition(disk, index, at, partition)?);
            }
            if !mbr_type::EXTENDED.contains(&next.kind) {
                return Ok(());
            }
            at = first + u64::from(next.start);
        }
        Err(ImageError::corrupt(disk.path(), at * SECTOR_BYTES, "its logical partitions never end"))
    }

    fn partition(&self, disk: &Disk, index: u32, base: u64, entry: Entry) -> Result<Partition, ImageError> {
        let start = (base + u64::from(entry.start)) * SECTOR_BYTES;
        let size = u64::from(entry.sectors) * SECTOR_BYTES;
        if start + size > disk.bytes().len() {
            return Err(ImageError::corrupt(disk.path(), 446, format!("partition {index} lies outside the disk")));
        }
        let type_id = format!("{:#04x}", entry.kind);
        Ok(Partition { index, start, size, type_id, name: String::new(), uuid: format!("{:08x}-{index:02x}", self.signature) })
    }
}

fn le32(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mbr(entries: &[(u8, u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[440..444].copy_from_slice(&0x1234_abcd_u32.to_le_bytes());
        for (index, (kind, start, sectors)) in entries.iter().enumerate() {
            let at = 446 + 16 * index;
            bytes[at + 4] = *kind;
            bytes[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            bytes[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        bytes[510..].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    fn disk(sectors: &[(usize, Vec<u8>)]) -> Disk {
        let mut bytes = vec![0; 100 * 512];
        for (at, sector) in sectors {
            bytes[at * 512..(at + 1) * 512].copy_from_slice(sector);
        }
        Disk::in_memory("d", bytes)
    }

    #[test]
    fn primary_and_logical_partitions_are_read() {
        let disk =
            disk(&[(0, mbr(&[(0x83, 1, 9), (0x05, 20, 80)])), (20, mbr(&[(0x82, 1, 4), (0x05, 10, 10)])), (30, mbr(&[(0x83, 2, 5)]))]);
        let table = PartitionTable::read(&disk).unwrap().unwrap();
        assert_eq!((table.kind, table.id.as_str()), (TableKind::Mbr, "1234abcd"));
        let found: Vec<_> =
            table.partitions.iter().map(|p| (p.index, p.start / 512, p.size / 512, p.type_id.as_str(), p.uuid.as_str())).collect();
        assert_eq!(
            found,
            [
                (1, 1, 9, "0x83", "1234abcd-01"),
                (2, 20, 80, "0x05", "1234abcd-02"),
                (5, 21, 4, "0x82", "1234abcd-05"),
                (6, 32, 5, "0x83", "1234abcd-06"),
            ]
        );
    }

    #[test]
    fn what_is_no_table_is_none_and_what_is_broken_says_so() {
        let mut boot_sector = mbr(&[]);
        boot_sector[446..478].copy_from_slice(b"NTLDR is missing, press any key ");
        for none in [disk(&[]), disk(&[(0, boot_sector)]), Disk::in_memory("d", vec![1; 100]), Disk::in_memory("d", Vec::new())] {
            assert_eq!(PartitionTable::read(&none).unwrap(), None);
        }
        for (sectors, complaint) in [
            (vec![(0, mbr(&[(0x83, 1, 100)]))], "d is damaged at byte 446: partition 1 lies outside the disk"),
            (vec![(0, mbr(&[(0x05, 20, 80)])), (20, mbr(&[(0x83, 1, 1), (0x05, 0, 1)]))], "NONE"),
            (
                vec![(0, mbr(&[(0x05, 20, 80)])), (20, mbr(&[(0, 0, 0), (0x05, 10, 1)])), (30, mbr(&[(0, 0, 0), (0x05, 10, 1)]))],
                "its logical partitions never end",
            ),
            (vec![(0, mbr(&[(0xee, 1, 99)]))], "Invalid GPT Signature"),
        ] {
            match PartitionTable::read(&disk(&sectors)) {
                Ok(_) => assert_eq!(complaint, "NONE"),
                Err(error) => assert!(error.to_string().contains(complaint), "{error}"),
            }
        }
    }

    proptest! {
        #[test]
        fn headers_of_any_content_never_panic(
            table in proptest::collection::vec(any::<u8>(), 92),
            entries in prop_oneof![Just(128u32), any::<u32>()],
            entry_bytes in prop_oneof![Just(128u32), any::<u32>()],
        ) {
            let mut header = vec![0; 512];
            header[..92].copy_from_slice(&table);
            header[..8].copy_from_slice(b"EFI PART");
            header[80..84].copy_from_slice(&entries.to_le_bytes());
            header[84..88].copy_from_slice(&entry_bytes.to_le_bytes());
            // The checksum is made right, so that the entries are read.
            header[16..20].fill(0);
            let mut crc = flate2::Crc::new();
            crc.update(&header[..92]);
            header[16..20].copy_from_slice(&crc.sum().to_le_bytes());
            let _ = PartitionTable::read(&disk(&[(0, mbr(&[(0xee, 1, 99)])), (1, header)]));
        }
    }
}
