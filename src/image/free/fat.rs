//! FAT's free clusters, from its first allocation table (Microsoft, "FAT: General Overview of On-Disk Format", 1.03).

use std::ops::Range;

use super::runs::{Runs, Unknown};
use crate::base::read_at::ReadAt;

/// Bytes of the allocation table that are read at once: a whole number of entries of 12, of 16 and of 32 bits.
const CHUNK_BYTES: u64 = 3 << 18;
/// Clusters of a FAT12 and of a FAT16, at most.
const FAT12_CLUSTERS_MAX: u64 = 4084;
const FAT16_CLUSTERS_MAX: u64 = 65_524;

/// Runs of bytes that no file of the FAT in `bytes` uses, in rising order.
pub(super) fn free_runs(bytes: &dyn ReadAt) -> Result<Vec<Range<u64>>, Unknown> {
    let volume = Volume::read(bytes)?;
    let mut free = Runs::default();
    // The numbers 0 and 1 stand for no cluster.
    let entries = volume.clusters + 2;
    let per_chunk = CHUNK_BYTES * 8 / volume.entry_bits;
    for first in (0..entries).step_by(usize::try_from(per_chunk).unwrap_or(usize::MAX)) {
        let count = (entries - first).min(per_chunk);
        let mut chunk = vec![0; usize::try_from((count * volume.entry_bits).div_ceil(8)).unwrap_or(usize::MAX)];
        bytes.read_at(volume.table_start + first * volume.entry_bits / 8, &mut chunk)?;
        for (number, at) in (first..first + count).zip(0..) {
            if number >= 2 && volume.is_free(&chunk, at) {
                let start = volume.data_start + (number - 2) * volume.cluster_bytes;
                free.push(start..start + volume.cluster_bytes)?;
            }
        }
    }
    Ok(free.0)
}

struct Volume {
    cluster_bytes: u64,
    /// Data clusters; the first has the number 2.
    clusters: u64,
    /// Width of an entry of the table: 12, 16 or 32 bits.
    entry_bits: u64,
    table_start: u64,
    data_start: u64,
}

impl Volume {
    /// Whether the entry at place `at` of `chunk` says that its cluster is free. Two entries of 12 bits share three bytes; the upper four
    /// bits of an entry of 32 are reserved.
    fn is_free(&self, chunk: &[u8], at: usize) -> bool {
        match self.entry_bits {
            12 => {
                let pair = [chunk[at * 3 / 2], chunk[at * 3 / 2 + 1]];
                let pair = u16::from_le_bytes(pair);
                if at.is_multiple_of(2) { pair & 0xfff == 0 } else { pair >> 4 == 0 }
            }
            16 => chunk[at * 2..at * 2 + 2] == [0; 2],
            _ => chunk[at * 4..at * 4 + 3] == [0; 3] && chunk[at * 4 + 3] & 0x0f == 0,
        }
    }

    /// Read the BIOS parameter block.
    fn read(bytes: &dyn ReadAt) -> Result<Self, Unknown> {
        let mut raw = [0; 64];
        bytes.read_at(0, &mut raw)?;
        let u16_at = |at: usize| u64::from(u16::from_le_bytes([raw[at], raw[at + 1]]));
        let u32_at = |at: usize| u16_at(at + 2) << 16 | u16_at(at);
        let or = |short: u64, long: u64| if short == 0 { long } else { short };
        let (sector_bytes, sectors_per_cluster, tables) = (u16_at(11), u64::from(raw[13]), u64::from(raw[16]));
        let (sectors, table_sectors) = (or(u16_at(19), u32_at(32)), or(u16_at(22), u32_at(36)));
        let root_sectors = (u16_at(17) * 32).div_ceil(sector_bytes.max(1));
        let first_data = u16_at(14) + tables * table_sectors + root_sectors;
        let clusters = sectors.saturating_sub(first_data).checked_div(sectors_per_cluster).unwrap_or_default();
        let bits_for = [(FAT12_CLUSTERS_MAX, 12), (FAT16_CLUSTERS_MAX, 16), (u64::MAX, 32)];
        let entry_bits = bits_for.into_iter().find(|(most, _)| clusters <= *most).map_or(32, |(_, bits)| bits);
        let sane = sector_bytes.is_power_of_two()
            && (512..=4096).contains(&sector_bytes)
            && tables > 0
            && sectors * sector_bytes <= bytes.len()
            && (clusters + 2) * entry_bits <= table_sectors * sector_bytes * 8;
        if !sane {
            return Err(Unknown::Corrupt("its first sector holds values that cannot be".to_owned()));
        }
        Ok(Self {
            cluster_bytes: sectors_per_cluster * sector_bytes,
            clusters,
            entry_bits,
            table_start: u16_at(14) * sector_bytes,
            data_start: first_data * sector_bytes,
        })
    }
}
