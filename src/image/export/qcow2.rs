//! Writes qcow2, version 3, from its beginning to its end.
//!
//! Layout and names are those of QEMU's `docs/interop/qcow2.txt`:
//!
//! ```text
//! header | L1 table | clusters, an L2 table behind those it names … | refcount blocks | refcount table
//! ```
//!
//! The L1 table's place is known from the disk's size. Everything else is written in the order in which it becomes known, so that memory is
//! bounded: one L2 table, the L1 table (a byte for each 64 MiB of disk), two bytes for each cluster of the file. Only header and L1 table are
//! written afterwards. The same clusters give the same bytes. Clusters that an overlay does not have are read from the file under it.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use super::backing::Backing;
use super::pack::CLUSTER_BYTES;
use crate::image::create::Compress;
use crate::image::qcow2::{EXTENSION_BACKING_FORMAT, MAGIC};

/// Bytes of a cluster.
const CLUSTER: u64 = CLUSTER_BYTES as u64;
/// Entries of an L2 table, and of a cluster of the L1 or the refcount table.
const ENTRIES: u64 = CLUSTER / 8;
/// Clusters that a refcount block counts, with 16 bits each.
const COUNTS: u64 = CLUSTER / 2;
/// Bit 63 of an L1 or L2 entry: the refcount is exactly one.
const COPIED: u64 = 1 << 63;
/// Bit 62 of an L2 entry.
const COMPRESSED: u64 = 1 << 62;
/// First of the bits that count sectors in the L2 entry of a compressed cluster: 62 - (cluster bits - 8).
const SECTORS_SHIFT: u32 = 62 - (CLUSTER.trailing_zeros() - 8);
/// Unit in which a compressed cluster's length is counted.
const SECTOR: u64 = 512;
/// Bytes that are collected before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A qcow2 file in the making.
pub(super) struct Qcow2Writer<'a> {
    out: BufWriter<&'a File>,
    compress: Compress,
    /// Bytes of the disk, whole sectors.
    size: u64,
    l1: Vec<u64>,
    /// The L2 table that is being filled, by its number.
    l2: Option<(usize, Vec<u64>)>,
    refcounts: Vec<u16>,
    /// Where the next byte of the image goes.
    end: u64,
    /// The byte of the file at which the image begins: it may lie in an archive.
    begin: u64,
    /// The file under it.
    backing: Option<Backing<'a>>,
}

impl<'a> Qcow2Writer<'a> {
    /// Begin a disk of `size` bytes in `file`, which has nothing behind the byte `begin`. A size that is no multiple of 512 is rounded up: QEMU would not show the rest.
    ///
    /// # Errors
    /// The file cannot be written, or the disk is larger than QEMU allows an L1 table to be (32 MiB, block/qcow2.h, `QCOW_MAX_L1_SIZE`).
    pub(super) fn new(file: &'a File, begin: u64, size: u64, compress: Compress) -> io::Result<Self> {
        let size = size.checked_next_multiple_of(SECTOR).ok_or(io::ErrorKind::FileTooLarge)?;
        let entries = size.div_ceil(CLUSTER * ENTRIES);
        if entries > (32 << 20) / 8 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let tables = 1 + entries.div_ceil(ENTRIES);
        let mut writer = Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            compress,
            size,
            l1: vec![0; usize::try_from(entries).map_err(|_| io::ErrorKind::FileTooLarge)?],
            l2: None,
            refcounts: Vec::new(),
            end: tables * CLUSTER,
            begin,
            backing: None,
        };
        writer.out.seek(SeekFrom::Start(begin + writer.end))?;
        writer.refer(0, writer.end)?;
        Ok(writer)
    }

    /// Let clusters that are not added be those of `backing`, in place of zeros.
    pub(super) fn over(self, backing: Backing<'a>) -> Self {
        Self { backing: Some(backing), ..self }
    }

    /// Add the disk's cluster with the number `index`, which is higher than any before, compressed to `bytes`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn add_compressed(&mut self, index: u64, bytes: &[u8]) -> io::Result<()> {
        self.open_table(index)?;
        let offset = self.end;
        self.out.write_all(bytes)?;
        self.end += bytes.len() as u64;
        self.refer(offset, self.end)?;
        let more_sectors = (self.end - 1) / SECTOR - offset / SECTOR;
        self.enter(index, COMPRESSED | more_sectors << SECTORS_SHIFT | offset);
        Ok(())
    }

    /// Add the disk's cluster with the number `index`, which is higher than any before, as it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn add_plain(&mut self, index: u64, cluster: &[u8]) -> io::Result<()> {
        self.open_table(index)?;
        let offset = self.append(cluster)?;
        self.enter(index, offset | COPIED);
        Ok(())
    }

    /// Complete the image. Its length is a multiple of the cluster's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close_table()?;
        self.align()?;
        let used = self.end / CLUSTER;
        // The refcount blocks and their table are counted too: repeat until they have room for everything.
        let (mut blocks, mut table) = (0, 0);
        while used + blocks + table > blocks * COUNTS {
            blocks += 1;
            table = blocks.div_ceil(ENTRIES);
        }
        let first_block = self.end;
        self.refer(first_block, first_block + (blocks + table) * CLUSTER)?;
        let mut counts = std::mem::take(&mut self.refcounts);
        counts.resize(usize::try_from(blocks * COUNTS).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        for count in counts {
            self.out.write_all(&count.to_be_bytes())?;
        }
        let mut entries: Vec<u64> = (0..blocks).map(|block| first_block + block * CLUSTER).collect();
        entries.resize(usize::try_from(table * ENTRIES).map_err(|_| io::ErrorKind::FileTooLarge)?, 0);
        self.out.write_all(&big_endian(&entries))?;
        self.out.flush()?;
        let file = self.out.get_ref();
        file.write_all_at(&big_endian(&self.l1), self.begin + CLUSTER)?;
        // Last, so that no reader takes an incomplete file for a disk.
        file.write_all_at(&self.header(first_block + blocks * CLUSTER, table), self.begin)
    }

    /// The header, its extensions, and the name of the file under it.
    fn header(&self, refcount_table: u64, refcount_clusters: u64) -> Vec<u8> {
        const LENGTH: u32 = 112;
        let zstd = matches!(self.compress, Compress::Zstd | Compress::ZstdSmall);
        let extensions = self.extensions(zstd);
        let name = self.backing.as_ref().map_or("", |backing| backing.name);
        let name_at = if name.is_empty() { 0 } else { u64::from(LENGTH) + extensions.len() as u64 };
        let mut header = MAGIC.to_vec();
        let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
        put(&3_u32.to_be_bytes());
        put(&name_at.to_be_bytes());
        put(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_be_bytes());
        put(&CLUSTER.trailing_zeros().to_be_bytes());
        put(&self.size.to_be_bytes());
        // No encryption.
        put(&[0; 4]);
        put(&u32::try_from(self.l1.len()).unwrap_or(u32::MAX).to_be_bytes());
        put(&CLUSTER.to_be_bytes());
        put(&refcount_table.to_be_bytes());
        put(&u32::try_from(refcount_clusters).unwrap_or(u32::MAX).to_be_bytes());
        // No snapshots: number and offset.
        put(&[0; 12]);
        // Incompatible features: bit 3 says that byte 104 names the compression. Then compatible ones and those that clear themselves.
        put(&(u64::from(zstd) << 3).to_be_bytes());
        put(&[0; 16]);
        // Refcounts of 2^4 bits.
        put(&4_u32.to_be_bytes());
        put(&LENGTH.to_be_bytes());
        put(&[u8::from(zstd), 0, 0, 0, 0, 0, 0, 0]);
        put(&extensions);
        put(name.as_bytes());
        header
    }

    /// What follows the header: the format of the file under it, the name of the feature that old readers refuse, and the end.
    fn extensions(&self, zstd: bool) -> Vec<u8> {
        const FEATURE_NAMES: u32 = 0x6803_f857;
        let mut extensions = Vec::new();
        let mut put = |kind: u32, bytes: &[u8]| {
            extensions.extend_from_slice(&kind.to_be_bytes());
            extensions.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            extensions.extend_from_slice(bytes);
            // Each is filled up to a multiple of 8.
            extensions.resize(extensions.len().next_multiple_of(8), 0);
        };
        if let Some(backing) = &self.backing {
            put(EXTENSION_BACKING_FORMAT, backing.format.name().as_bytes());
        }
        if zstd {
            // Kind 0 is incompatible, then the bit's number and 46 bytes of name.
            let mut feature = [0; 48];
            feature[1] = 3;
            feature[2..18].copy_from_slice(b"compression type");
            put(FEATURE_NAMES, &feature);
        }
        put(0, &[]);
        extensions
    }

    /// Have the L2 table that names the cluster `index`; an earlier one is written.
    fn open_table(&mut self, index: u64) -> io::Result<()> {
        let number = usize::try_from(index / ENTRIES).unwrap_or(usize::MAX);
        if self.l2.as_ref().is_none_or(|(open, _)| *open != number) {
            self.close_table()?;
            self.l2 = Some((number, vec![0; ENTRIES as usize]));
        }
        Ok(())
    }

    fn close_table(&mut self) -> io::Result<()> {
        let Some((number, entries)) = self.l2.take() else { return Ok(()) };
        let offset = self.append(&big_endian(&entries))?;
        self.l1[number] = offset | COPIED;
        Ok(())
    }

    /// Note where the cluster `index` is, in the table that is open.
    fn enter(&mut self, index: u64, entry: u64) {
        if let Some((_, entries)) = &mut self.l2 {
            entries[(index % ENTRIES) as usize] = entry;
        }
    }

    /// Write one cluster of the file. Gives its offset.
    fn append(&mut self, cluster: &[u8]) -> io::Result<u64> {
        self.align()?;
        let offset = self.end;
        self.out.write_all(cluster)?;
        self.end += CLUSTER;
        self.refer(offset, self.end)?;
        Ok(offset)
    }

    fn align(&mut self) -> io::Result<()> {
        let aligned = self.end.next_multiple_of(CLUSTER);
        io::copy(&mut io::Read::take(io::repeat(0), aligned - self.end), &mut self.out)?;
        self.end = aligned;
        Ok(())
    }

    /// Count one reference to each of the file's clusters from the byte `start` to `end`, which is behind the last one.
    fn refer(&mut self, start: u64, end: u64) -> io::Result<()> {
        let place = |offset: u64| usize::try_from(offset / CLUSTER).map_err(|_| io::ErrorKind::FileTooLarge);
        let (first, last) = (place(start)?, place(end - 1)?);
        if self.refcounts.len() <= last {
            self.refcounts.resize(last + 1, 0);
        }
        // No count overflows: a compressed cluster has more than one byte.
        self.refcounts[first..=last].iter_mut().for_each(|count| *count += 1);
        Ok(())
    }
}

fn big_endian(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|entry| entry.to_be_bytes()).collect()
}
