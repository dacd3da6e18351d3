//! Writes VMDK, stream-optimized, from its beginning to its end: the one form of it that VMware and VirtualBox take inside an OVA.
//!
//! Layout and names are those of VMware's technical note "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents":
//!
//! ```text
//! header | descriptor | grains, each behind its marker, a grain table behind those it names … | grain directory | footer | end of stream
//! ```
//!
//! All numbers are little-endian, all places are counted in sectors of 512 bytes from the file's beginning, and every part begins at one. A
//! table or directory has a marker of its own before it. Memory is bounded: one grain table, and 4 bytes for each 32 MiB of disk. Only the
//! descriptor is written afterwards, because its content id depends on all data. The same grains give the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use crate::base::uuid::Uuid;
use crate::hardware::OutputFormat;

/// Bytes of a grain: "grainSize … must be a power of 2 and must be greater than 8 (4KB)", in practice 128 sectors.
pub(super) const GRAIN_BYTES: usize = 64 << 10;
/// Unit of all places and lengths.
const SECTOR: u64 = 512;
const GRAIN_SECTORS: u64 = GRAIN_BYTES as u64 / SECTOR;
/// Entries of a grain table ("numGTEsPerGT … is 512").
const ENTRIES: u64 = 512;
/// The most that a disk may have.
const MAX_BYTES: u64 = OutputFormat::Vmdk.most_bytes();
/// "KDMV".
const MAGIC: u32 = 0x564d_444b;
/// Compressed grains and markers need version 3 (`SparseExtentHeader`; 1 has neither).
const VERSION: u32 = 3;
/// Bit 0: the line end test is valid. Bit 16: grains are compressed. Bit 17: there are markers.
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
/// Says in the header that the grain directory is named by the footer (`GD_AT_END`).
const AT_END: u64 = u64::MAX;
/// Where the descriptor is and how long it may be.
const DESCRIPTOR_SECTORS: u64 = 20;
/// Sectors of header and descriptor, in whole grains as VMware's own files have it.
const OVERHEAD: u64 = GRAIN_SECTORS;
/// `COMPRESSION_DEFLATE`.
const DEFLATE: u16 = 1;
/// Types of markers.
const END_OF_STREAM: u32 = 0;
const GRAIN_TABLE: u32 = 1;
const GRAIN_DIRECTORY: u32 = 2;
const FOOTER: u32 = 3;
/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// The result of writing the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes of the disk: whole grains.
    pub(super) capacity: u64,
    /// Bytes of the disk that have data.
    pub(super) populated: u64,
    /// Bytes of the VMDK.
    pub(super) length: u64,
}

/// Bytes of the disk that a disk of `size` bytes becomes: whole grains ("capacity … should be a multiple of the grain size"), at least one.
pub(super) fn capacity(size: u64) -> u64 {
    size.max(1).div_ceil(GRAIN_BYTES as u64).saturating_mul(GRAIN_BYTES as u64)
}

/// A VMDK in the making.
pub(super) struct VmdkWriter<'a> {
    out: BufWriter<&'a File>,
    /// Where in the file the VMDK begins.
    base: u64,
    /// Sectors of the disk.
    capacity: u64,
    grains: u64,
    directory: Vec<u32>,
    /// The grain table that is being filled, by its number.
    table: Option<(usize, Vec<u32>)>,
    /// The sector that comes next.
    end: u64,
}

impl<'a> VmdkWriter<'a> {
    /// Begin a disk of `size` bytes in `file`, from the byte `base` on, where it ends.
    ///
    /// # Errors
    /// The file cannot be written, or the disk is larger than [`MAX_BYTES`].
    pub(super) fn new(file: &'a File, base: u64, size: u64) -> io::Result<Self> {
        let capacity = Some(capacity(size)).filter(|bytes| *bytes <= MAX_BYTES).ok_or(io::ErrorKind::FileTooLarge)? / SECTOR;
        let tables = capacity.div_ceil(ENTRIES * GRAIN_SECTORS);
        let mut writer = Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            base,
            capacity,
            grains: 0,
            directory: vec![0; usize::try_from(tables).map_err(|_| io::ErrorKind::FileTooLarge)?],
            table: None,
            end: 0,
        };
        writer.out.seek(SeekFrom::Start(base))?;
        let header = writer.header(AT_END);
        writer.append(&header)?;
        writer.append(&vec![0; usize::try_from((OVERHEAD - 1) * SECTOR).unwrap_or(usize::MAX)])?;
        Ok(writer)
    }

    /// Add the disk's grain with the number `number`, which is higher than any before, compressed to `bytes`.
    ///
    /// # Errors
    /// The file cannot be written, or has more sectors than a table can name.
    pub(super) fn add(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let index = usize::try_from(number / ENTRIES).unwrap_or(usize::MAX);
        if self.table.as_ref().is_none_or(|(open, _)| *open != index) {
            self.close_table()?;
            self.table = Some((index, vec![0; ENTRIES as usize]));
        }
        // The marker of a grain: its first sector on the disk, then the length of its data, which follows at once ("Grain Marker").
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut grain = (number * GRAIN_SECTORS).to_le_bytes().to_vec();
        grain.extend_from_slice(&length.to_le_bytes());
        grain.extend_from_slice(bytes);
        let place = self.append(&grain)?;
        self.grains += 1;
        if let Some((_, entries)) = &mut self.table {
            entries[(number % ENTRIES) as usize] = place;
        }
        Ok(())
    }

    /// Complete the VMDK. `id` gives ids that depend on the data.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(mut self, id: &impl Fn(&str) -> Uuid) -> io::Result<Written> {
        self.close_table()?;
        let directory = little_endian(&std::mem::take(&mut self.directory));
        self.mark(GRAIN_DIRECTORY, directory.len())?;
        let place = self.append(&directory)?;
        let footer = self.header(place.into());
        self.mark(FOOTER, footer.len())?;
        self.append(&footer)?;
        self.mark(END_OF_STREAM, 0)?;
        self.out.flush()?;
        // CID may be anything but the two values that mean "none" (VMware, "CID"; QEMU's block/vmdk.c, `CID_NONE`).
        let cid = id("vmdk content").short().clamp(1, u32::MAX - 2);
        let text = self.descriptor(cid, id("vmdk disk"));
        debug_assert!(text.len() as u64 <= DESCRIPTOR_SECTORS * SECTOR);
        self.out.get_ref().write_all_at(text.as_bytes(), self.base + SECTOR)?;
        Ok(Written { capacity: self.capacity * SECTOR, populated: self.grains * GRAIN_BYTES as u64, length: self.end * SECTOR })
    }

    /// The header (`SparseExtentHeader`), which names the grain directory at the sector `directory`. The footer is one as well.
    fn header(&self, directory: u64) -> Vec<u8> {
        let mut header = Vec::new();
        let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
        put(&MAGIC.to_le_bytes());
        put(&VERSION.to_le_bytes());
        put(&FLAGS.to_le_bytes());
        put(&self.capacity.to_le_bytes());
        put(&GRAIN_SECTORS.to_le_bytes());
        put(&1_u64.to_le_bytes());
        put(&DESCRIPTOR_SECTORS.to_le_bytes());
        put(&(ENTRIES as u32).to_le_bytes());
        // No redundant grain directory.
        put(&0_u64.to_le_bytes());
        put(&directory.to_le_bytes());
        put(&OVERHEAD.to_le_bytes());
        // It was shut down cleanly. The line ends show whether a transfer as text has spoilt the file.
        put(&[0, b'\n', b' ', b'\r', b'\n']);
        put(&DEFLATE.to_le_bytes());
        header.resize(SECTOR as usize, 0);
        header
    }

    /// The embedded descriptor: its keys are those of the note's chapter "The Descriptor File". Hardware version 4 is the oldest that has
    /// such disks, so that no host finds it too new.
    fn descriptor(&self, cid: u32, disk: Uuid) -> String {
        let (cylinders, heads, sectors) = geometry(self.capacity);
        // The disk's UUID as VMware has it: pairs of digits with a hyphen in the middle.
        let pairs = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
        let (first, second) = disk.0.split_at(8);
        format!(
            "# Disk DescriptorFile\nversion=1\nCID={cid:08x}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
             # Extent description\nRDONLY {} SPARSE \"disk.vmdk\"\n\n\
             # The Disk Data Base\n#DDB\n\n\
             ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"{heads}\"\n\
             ddb.geometry.sectors = \"{sectors}\"\nddb.uuid = \"{}-{}\"\nddb.virtualHWVersion = \"4\"\n",
            self.capacity,
            pairs(first),
            pairs(second)
        )
    }

    fn close_table(&mut self) -> io::Result<()> {
        let Some((index, entries)) = self.table.take() else { return Ok(()) };
        let table = little_endian(&entries);
        self.mark(GRAIN_TABLE, table.len())?;
        self.directory[index] = self.append(&table)?;
        Ok(())
    }

    /// Write the marker of what has the type `kind` and `length` bytes ("Metadata Marker"): its sectors, a size of 0, the type.
    fn mark(&mut self, kind: u32, length: usize) -> io::Result<()> {
        let mut marker = (length as u64).div_ceil(SECTOR).to_le_bytes().to_vec();
        marker.extend_from_slice(&0_u32.to_le_bytes());
        marker.extend_from_slice(&kind.to_le_bytes());
        self.append(&marker).map(drop)
    }

    /// Write `bytes`, filled up to whole sectors. Gives the first of them.
    fn append(&mut self, bytes: &[u8]) -> io::Result<u32> {
        let place = u32::try_from(self.end).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let sectors = (bytes.len() as u64).div_ceil(SECTOR);
        self.out.write_all(bytes)?;
        io::copy(&mut io::Read::take(io::repeat(0), sectors * SECTOR - bytes.len() as u64), &mut self.out)?;
        self.end += sectors;
        Ok(place)
    }
}

/// Cylinders, heads and sectors of a disk with `capacity` sectors, as the BIOS of an LSI Logic adapter translates them (VMware's knowledge base
/// 1026254; QEMU's block/vmdk.c, `vmdk_co_do_create`, does the same).
fn geometry(capacity: u64) -> (u64, u64, u64) {
    const HEADS: u64 = 255;
    const SECTORS: u64 = 63;
    ((capacity / (HEADS * SECTORS)).max(1), HEADS, SECTORS)
}

fn little_endian(entries: &[u32]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_whole_grains_and_at_least_one() {
        assert_eq!([0, 1, 65536, 65537].map(capacity), [65536, 65536, 65536, 131_072]);
    }

    #[test]
    fn too_large_a_disk_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(VmdkWriter::new(&file, 0, MAX_BYTES).is_ok());
        assert_eq!(VmdkWriter::new(&file, 0, MAX_BYTES + 1).err().unwrap().kind(), io::ErrorKind::FileTooLarge);
    }
}
