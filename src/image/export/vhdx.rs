//! Writes VHDX, dynamic, as Hyper-V has it.
//!
//! Layout and names are those of Microsoft's "[MS-VHDX]: Virtual Hard Disk v2 File Format", chapter 2:
//!
//! ```text
//! file type identifier, headers, region tables | log | metadata | block allocation table (BAT) | payload blocks …
//! ```
//!
//! All numbers are little-endian, and every region and block begins at a whole MiB. The BAT's place and length are known from the disk's size,
//! so blocks are written to their final places, and the tables that name them afterwards. Memory is bounded by 16 bytes for each block that
//! has data.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::raw;
use crate::base::uuid::Uuid;
use crate::hardware::OutputFormat;
use crate::image::crc32c::crc32c;

/// Unit of the places of regions and blocks (2.2, "all objects … aligned to 1 MB").
const MIB: u64 = 1 << 20;
const KIB: u64 = 1 << 10;
/// Bytes of a payload block, the least that there may be (2.6.2.1, `BlockSize`). It is what Microsoft advises for Linux guests ("Best Practices
/// for running Linux on Hyper-V"): ext4 spreads what it writes, and each touched block is taken whole. Hyper-V's own default, 32 MiB, makes
/// the file of a small system several times larger.
pub(super) const BLOCK_BYTES: u64 = MIB;
/// The most that a disk may have.
const MAX_BYTES: u64 = OutputFormat::Vhdx.most_bytes();
const LOGICAL_SECTOR: u32 = 512;
/// The sector size of today's disks. Our partitions begin at whole MiB, so it splits no write.
const PHYSICAL_SECTOR: u32 = 4096;
/// Payload blocks that one sector bitmap block describes (2.5, "ChunkRatio"): 2^23 sectors.
const CHUNK_RATIO: u64 = (1 << 23) * LOGICAL_SECTOR as u64 / BLOCK_BYTES;
/// Where the regions are. The log may not be shorter than 1 MiB (2.2.2, `LogLength`).
const LOG: (u64, u64) = (MIB, MIB);
const METADATA: (u64, u64) = (2 * MIB, MIB);
const BAT: u64 = 3 * MIB;
/// Bytes of an entry of the BAT.
const ENTRY: u64 = 8;
/// `PAYLOAD_BLOCK_FULLY_PRESENT` (2.5.1.1). 0 is `PAYLOAD_BLOCK_NOT_PRESENT`, which reads as zeros, so the rest of the BAT is a hole.
const PRESENT: u64 = 6;
/// Bytes of a header and of a region table, over which their checksums go (2.2.2, 2.2.3.1).
const HEADER_BYTES: usize = 4 << 10;
const REGION_TABLE_BYTES: usize = 64 << 10;
/// Where the two of each are (2.2).
const HEADERS: [u64; 2] = [64 * KIB, 128 * KIB];
const REGION_TABLES: [u64; 2] = [192 * KIB, 256 * KIB];
/// Items lie behind the metadata table, which has 64 KiB (2.6.1).
const ITEMS: u32 = 64 << 10;
/// Flags of a metadata item (2.6.1.2): it describes the virtual disk; a reader must know it.
const VIRTUAL_DISK: u32 = 1 << 1;
const REQUIRED: u32 = 1 << 2;

/// GUIDs of the regions (2.2.3.2) and of metadata items (2.6.2).
mod known {
    pub(super) const BAT: u128 = 0x2DC27766_F623_4200_9D64_115E9BFD4A08;
    pub(super) const METADATA: u128 = 0x8B7CA206_4790_4B9A_B8FE_575F050F886E;
    pub(super) const FILE_PARAMETERS: u128 = 0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B;
    pub(super) const DISK_SIZE: u128 = 0x2FA54224_CD1B_4876_B211_5DBED83BF4B8;
    pub(super) const DISK_ID: u128 = 0xBECA12AB_B2E6_4523_93EF_C309E000C746;
    pub(super) const LOGICAL_SECTOR: u128 = 0x8141BF1D_A96F_4709_BA47_F233A8FAAB5F;
    pub(super) const PHYSICAL_SECTOR: u128 = 0xCDA348C7_445D_4471_9CC9_E9885251C556;
}

/// A VHDX in the making.
pub(super) struct VhdxWriter<'a> {
    file: &'a File,
    /// Bytes of the disk, whole sectors.
    size: u64,
    /// Entries of the BAT that are not zero: their index, rising, and themselves.
    entries: Vec<(u64, u64)>,
    /// Where the next block goes.
    end: u64,
}

impl<'a> VhdxWriter<'a> {
    /// Begin a disk of `size` bytes in `file`, which is empty.
    ///
    /// # Errors
    /// The disk is larger than [`MAX_BYTES`].
    pub(super) fn new(file: &'a File, size: u64) -> io::Result<Self> {
        // "The virtual disk size MUST be a multiple of the logical sector size" (2.6.2.2), and no disk has none.
        let size = size.max(1).div_ceil(LOGICAL_SECTOR.into()) * u64::from(LOGICAL_SECTOR);
        if size > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self { file, size, entries: Vec::new(), end: BAT + table_bytes(size) })
    }

    /// Add the disk's block with the number `number`, which is higher than any before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn add(&mut self, number: u64, block: &[u8]) -> io::Result<()> {
        raw::write_blocks(self.file, self.end, block)?;
        // The state in bits 0 to 2, the place in MiB from bit 20 on (2.5.1): so the place in bytes can be stored as it is.
        self.entries.push((entry_of(number), self.end | PRESENT));
        self.end += BLOCK_BYTES;
        Ok(())
    }

    /// Complete the file. `id` gives ids that depend on the data.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(self, id: &impl Fn(&str) -> Uuid) -> io::Result<()> {
        let file = self.file;
        // A block may end in a hole, but the file must have the whole of the last one.
        file.set_len(self.end)?;
        for run in self.entries.chunk_by(|one, next| one.0 + 1 == next.0) {
            let bytes: Vec<u8> = run.iter().flat_map(|(_, entry)| entry.to_le_bytes()).collect();
            if let Some((first, _)) = run.first() {
                file.write_all_at(&bytes, BAT + first * ENTRY)?;
            }
        }
        let (table, items) = metadata(self.size, id("vhdx disk"));
        file.write_all_at(&table, METADATA.0)?;
        file.write_all_at(&items, METADATA.0 + u64::from(ITEMS))?;
        let regions = region_table(table_bytes(self.size));
        for place in REGION_TABLES {
            file.write_all_at(&regions, place)?;
        }
        for (sequence, place) in (1..).zip(HEADERS) {
            file.write_all_at(&header(sequence, id("vhdx file write"), id("vhdx data write")), place)?;
        }
        // Last, so that no reader takes an incomplete file for a disk.
        file.write_all_at(&identifier(), 0)
    }
}

/// Index in the BAT of the payload block `number`: behind those of each chunk comes the entry of its sector bitmap (2.5). Only differencing
/// disks have such bitmaps, so those entries stay 0, `SB_BLOCK_NOT_PRESENT`.
fn entry_of(number: u64) -> u64 {
    number + number / CHUNK_RATIO
}

/// Bytes of the BAT's region, whole MiB, for a disk of `size` bytes that is not empty.
fn table_bytes(size: u64) -> u64 {
    let last = size.div_ceil(BLOCK_BYTES).saturating_sub(1);
    ((entry_of(last) + 1) * ENTRY).next_multiple_of(MIB)
}

/// The file type identifier (2.2.1): a signature, and in UTF-16 the name of the program that made the file.
fn identifier() -> Vec<u8> {
    let creator = concat!("goldsmith ", env!("CARGO_PKG_VERSION"));
    b"vhdxfile".iter().copied().chain(creator.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

/// A header (2.2.2). Of the two the one with the higher sequence number counts. No log GUID: the log is empty.
fn header(sequence: u64, file_write: Uuid, data_write: Uuid) -> Vec<u8> {
    let mut header = b"head".to_vec();
    let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
    put(&[0; 4]);
    put(&sequence.to_le_bytes());
    put(&on_disk(file_write));
    put(&on_disk(data_write));
    put(&[0; 16]);
    // Log version 0, format version 1.
    put(&0_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&u32::try_from(LOG.1).unwrap_or(u32::MAX).to_le_bytes());
    put(&LOG.0.to_le_bytes());
    summed(header, HEADER_BYTES)
}

/// A region table (2.2.3) with the BAT, of `bat` bytes, and the metadata.
fn region_table(bat: u64) -> Vec<u8> {
    let mut table = b"regi".to_vec();
    let mut put = |bytes: &[u8]| table.extend_from_slice(bytes);
    put(&[0; 4]);
    put(&2_u32.to_le_bytes());
    put(&[0; 4]);
    for (guid, (place, length)) in [(known::BAT, (BAT, bat)), (known::METADATA, METADATA)] {
        put(&on_disk(Uuid(guid.to_be_bytes())));
        put(&place.to_le_bytes());
        put(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        // Required: a reader that does not know this region cannot read the file.
        put(&1_u32.to_le_bytes());
    }
    summed(table, REGION_TABLE_BYTES)
}

/// The metadata table (2.6.1) and its items (2.6.2) behind each other, for a disk of `size` bytes.
fn metadata(size: u64, disk: Uuid) -> (Vec<u8>, Vec<u8>) {
    // Block size, then flags: blocks may be freed, and there is no parent.
    let parameters = (BLOCK_BYTES as u32).to_le_bytes().into_iter().chain([0; 4]).collect();
    let all: [(u128, u32, Vec<u8>); 5] = [
        (known::FILE_PARAMETERS, REQUIRED, parameters),
        (known::DISK_SIZE, REQUIRED | VIRTUAL_DISK, size.to_le_bytes().to_vec()),
        (known::DISK_ID, REQUIRED | VIRTUAL_DISK, on_disk(disk).to_vec()),
        (known::LOGICAL_SECTOR, REQUIRED | VIRTUAL_DISK, LOGICAL_SECTOR.to_le_bytes().to_vec()),
        (known::PHYSICAL_SECTOR, REQUIRED | VIRTUAL_DISK, PHYSICAL_SECTOR.to_le_bytes().to_vec()),
    ];
    let mut table = b"metadata".to_vec();
    table.extend_from_slice(&[0; 2]);
    table.extend_from_slice(&(all.len() as u16).to_le_bytes());
    table.extend_from_slice(&[0; 20]);
    let mut items = Vec::new();
    for (guid, flags, bytes) in all {
        table.extend_from_slice(&on_disk(Uuid(guid.to_be_bytes())));
        for number in [ITEMS + items.len() as u32, bytes.len() as u32, flags, 0] {
            table.extend_from_slice(&number.to_le_bytes());
        }
        items.extend_from_slice(&bytes);
    }
    (table, items)
}

/// A GUID as files have it (MS-DTYP, 2.3.4.2): its first three numbers are little-endian.
fn on_disk(Uuid(mut bytes): Uuid) -> [u8; 16] {
    for number in [0..4, 4..6, 6..8] {
        bytes[number].reverse();
    }
    bytes
}

/// `bytes`, filled up with zeros to `length`, with their CRC-32C in the four bytes behind the signature, which count as zeros themselves.
fn summed(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length, 0);
    let sum = !crc32c(!0, &bytes);
    bytes[4..8].copy_from_slice(&sum.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_entry_stands_behind_each_chunk() {
        assert_eq!(CHUNK_RATIO, 4096);
        assert_eq!([0, 4095, 4096, 8191, 8192].map(entry_of), [0, 4095, 4097, 8192, 8194]);
        // 4 GiB need no bitmap entry of their own behind them (2.5), one byte more does. The table fills up its MiB before the next one.
        assert_eq!([1, 4 << 30, (4 << 30) + 1, 128 << 30].map(table_bytes), [MIB, MIB, MIB, 2 * MIB]);
    }

    #[test]
    fn guids_are_in_the_order_of_microsoft() {
        let text = uuid::uuid!("2dc27766-f623-4200-9d64-115e9bfd4a08");
        assert_eq!(on_disk(Uuid(known::BAT.to_be_bytes())), text.to_bytes_le());
    }

    #[test]
    fn too_large_a_disk_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(VhdxWriter::new(&file, MAX_BYTES).is_ok() && VhdxWriter::new(&file, MAX_BYTES + 1).is_err());
    }
}
