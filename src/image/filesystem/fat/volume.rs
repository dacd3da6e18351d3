//! Where things are in a FAT: the boot sector's values, the allocation table, chains of clusters.

use std::ops::Range;

use super::super::FsError;
use crate::base::read_at::ReadAt;
use crate::image::fat::DIRTY;
use crate::image::read_at::Slice;

/// Clusters of a FAT12 and of a FAT16, at most.
const FAT12_CLUSTERS_MAX: u64 = 4084;
const FAT16_CLUSTERS_MAX: u64 = 65_524;
/// Bytes of the allocation table that are read at once: a whole number of entries of 12, of 16 and of 32 bits.
const TABLE_BYTES: u64 = 3 << 14;
/// Bytes of a directory that are read: 65536 records, as many as it may have (chapter "Directory", and Linux' `FAT_MAX_DIR_SIZE`).
const DIRECTORY_BYTES_MAX: u64 = (1 << 16) * 32;

/// The bytes of a FAT, and where in them things are.
pub(super) struct Volume {
    bytes: Slice,
    cluster_bytes: u64,
    /// Data clusters; the first has the number 2.
    clusters: u64,
    /// Width of an entry of the table: 12, 16 or 32 bits.
    entry_bits: u64,
    table_start: u64,
    /// The root directory of a FAT12 and FAT16, which has a place of its own.
    root_bytes: Range<u64>,
    /// First cluster of the root directory of a FAT32.
    root_cluster: u32,
    data_start: u64,
    /// `BS_VolID`.
    pub(super) serial: u32,
    pub(super) is_clean: bool,
}

/// Where the bytes of a file or directory are: runs of the volume's bytes, in order.
#[derive(Debug, Default)]
pub(super) struct Chain(Vec<Range<u64>>);

impl Chain {
    /// Bytes of all its clusters.
    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|run| run.end - run.start).sum()
    }
}

impl Volume {
    /// Read the BIOS parameter block.
    ///
    /// # Errors
    /// It holds values that cannot be.
    pub(super) fn read(bytes: Slice) -> Result<Self, FsError> {
        let mut raw = [0; 90];
        bytes.read_at(0, &mut raw)?;
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([raw[at], raw[at + 1]]));
        let u32_at = |at: usize| u32::from_le_bytes([raw[at], raw[at + 1], raw[at + 2], raw[at + 3]]);
        let or = |short: u64, long: u32| if short == 0 { u64::from(long) } else { short };
        let (sector_bytes, sectors_per_cluster, tables) = (u16_at(11), u64::from(raw[13]), u64::from(raw[16]));
        let (sectors, table_sectors) = (or(u16_at(19), u32_at(32)), or(u16_at(22), u32_at(36)));
        let root_sectors = (u16_at(17) * 32).div_ceil(sector_bytes.max(1));
        let root_start = u16_at(14) + tables * table_sectors;
        let clusters = sectors.saturating_sub(root_start + root_sectors).checked_div(sectors_per_cluster).unwrap_or_default();
        let bits_for = [(FAT12_CLUSTERS_MAX, 12), (FAT16_CLUSTERS_MAX, 16), (u64::MAX, 32)];
        let entry_bits = bits_for.into_iter().find(|(most, _)| clusters <= *most).map_or(32, |(_, bits)| bits);
        let is_sound = sector_bytes.is_power_of_two()
            && (512..=4096).contains(&sector_bytes)
            && sectors_per_cluster.is_power_of_two()
            && tables > 0
            && u16_at(14) > 0
            && clusters > 0
            && sectors * sector_bytes <= bytes.len()
            && (clusters + 2) * entry_bits <= table_sectors * sector_bytes * 8;
        if !is_sound {
            return Err(FsError::Corrupt { offset: Some(0), what: "its first sector holds values that cannot be".to_owned() });
        }
        let is_wide = entry_bits == 32;
        Ok(Self {
            bytes,
            cluster_bytes: sectors_per_cluster * sector_bytes,
            clusters,
            entry_bits,
            table_start: u16_at(14) * sector_bytes,
            root_bytes: root_start * sector_bytes..(root_start + root_sectors) * sector_bytes,
            root_cluster: u32_at(44),
            data_start: (root_start + root_sectors) * sector_bytes,
            serial: u32_at(if is_wide { 67 } else { 39 }),
            is_clean: raw[if is_wide { 65 } else { 37 }] & DIRTY == 0,
        })
    }

    /// Whether first clusters have 32 bits.
    pub(super) fn is_wide(&self) -> bool {
        self.entry_bits == 32
    }

    /// Bytes of all clusters.
    pub(super) fn size(&self) -> u64 {
        self.clusters * self.cluster_bytes
    }

    /// Bytes of the clusters that no file uses.
    pub(super) fn free(&self) -> Result<u64, FsError> {
        let mut table = Table::new(self);
        let mut free = 0;
        for number in 2..self.clusters + 2 {
            free += u64::from(table.entry(number)? == 0);
        }
        Ok(free * self.cluster_bytes)
    }

    /// Where the root directory is.
    pub(super) fn root(&self) -> Result<Chain, FsError> {
        if self.is_wide() { self.directory(self.root_cluster) } else { Ok(Chain(vec![self.root_bytes.clone()])) }
    }

    /// The chain of clusters of a directory that begins with `first`.
    ///
    /// # Errors
    /// As [`Volume::chain`]; or it is too long for a directory.
    pub(super) fn directory(&self, first: u32) -> Result<Chain, FsError> {
        let chain = self.chain(first, DIRECTORY_BYTES_MAX + 1)?;
        if chain.bytes() > DIRECTORY_BYTES_MAX {
            return Err(self.corrupt(u64::from(first), "begins a directory that has no end"));
        }
        Ok(chain)
    }

    /// The chain of clusters that begins with `first`, as far as it is needed for `most` bytes.
    ///
    /// # Errors
    /// It leads out of the volume, into a free cluster, or has more clusters than the volume: it leads back into itself.
    pub(super) fn chain(&self, first: u32, most: u64) -> Result<Chain, FsError> {
        let mut table = Table::new(self);
        let mut runs: Vec<Range<u64>> = Vec::new();
        let mut number = u64::from(first);
        for count in 1..=self.clusters {
            if !(2..self.clusters + 2).contains(&number) {
                return Err(self.corrupt(number, "is no cluster of the volume, and a chain leads there"));
            }
            let start = self.data_start + (number - 2) * self.cluster_bytes;
            match runs.last_mut() {
                Some(last) if last.end == start => last.end += self.cluster_bytes,
                _ => runs.push(start..start + self.cluster_bytes),
            }
            let next = table.entry(number)?;
            // `0xff8` and more end it; `0xff7` is a bad cluster.
            if count * self.cluster_bytes >= most || next >= (0xfff_fff8 & ((1 << self.entry_bits.min(28)) - 1)) {
                return Ok(Chain(runs));
            }
            number = next;
        }
        Err(self.corrupt(u64::from(first), "begins a chain that has no end"))
    }

    /// Fill the start of `buf` with the bytes that begin at byte `offset` of `chain`; how many bytes were read.
    pub(super) fn read_chain(&self, chain: &Chain, offset: u64, buf: &mut [u8]) -> Result<usize, FsError> {
        let mut left = offset;
        for run in &chain.0 {
            let len = run.end - run.start;
            if left < len {
                let count = buf.len().min(usize::try_from(len - left).unwrap_or(usize::MAX));
                self.bytes.read_at(run.start + left, &mut buf[..count])?;
                return Ok(count);
            }
            left -= len;
        }
        Ok(0)
    }

    /// The byte of the volume that is byte `offset` of `chain`.
    pub(super) fn place(chain: &Chain, offset: u64) -> u64 {
        let mut left = offset;
        for run in &chain.0 {
            if left < run.end - run.start {
                return run.start + left;
            }
            left -= run.end - run.start;
        }
        0
    }

    fn corrupt(&self, cluster: u64, what: &str) -> FsError {
        FsError::Corrupt { offset: Some(self.table_start + cluster * self.entry_bits / 8), what: format!("cluster {cluster} {what}") }
    }
}

/// The allocation table, a piece of which is kept.
struct Table<'a> {
    volume: &'a Volume,
    /// The piece, and the byte of the table at which it begins.
    piece: (u64, Vec<u8>),
}

impl<'a> Table<'a> {
    fn new(volume: &'a Volume) -> Self {
        Self { volume, piece: (0, Vec::new()) }
    }

    /// The table's entry for the cluster `number`, which must be one of the volume. Two entries of 12 bits share three bytes; the upper
    /// four bits of an entry of 32 are reserved.
    fn entry(&mut self, number: u64) -> Result<u64, FsError> {
        let bits = self.volume.entry_bits;
        let at = number * bits / 8;
        let start = at / TABLE_BYTES * TABLE_BYTES;
        if self.piece.1.is_empty() || self.piece.0 != start {
            let end = ((self.volume.clusters + 2) * bits).div_ceil(8);
            let mut bytes = vec![0; usize::try_from(TABLE_BYTES.min(end - start)).unwrap_or_default()];
            self.volume.bytes.read_at(self.volume.table_start + start, &mut bytes)?;
            self.piece = (start, bytes);
        }
        let within = usize::try_from(at - start).unwrap_or_default();
        let bytes = &self.piece.1[within..];
        let pair = u64::from(bytes[0]) | u64::from(bytes[1]) << 8;
        Ok(match bits {
            12 if number.is_multiple_of(2) => pair & 0xfff,
            12 => pair >> 4,
            16 => pair,
            _ => pair | u64::from(bytes[2]) << 16 | u64::from(bytes[3] & 0xf) << 24,
        })
    }
}
