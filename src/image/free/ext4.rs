//! ext4's free blocks, from its block bitmaps. Names are the kernel's (`fs/ext4/ext4.h`, structs `ext4_super_block` and
//! `ext4_group_desc`); layouts are those of the kernel's Documentation/filesystems/ext4.

use std::ops::Range;

use super::runs::{Runs, Unknown};
use crate::base::read_at::ReadAt;
use crate::image::superblock::Superblock;

/// `s_feature_compat`: backups stand in the two groups of `s_backup_bgs`.
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
/// `s_feature_incompat`: group descriptors are spread over the groups; descriptors have 64-bit block numbers.
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
/// `s_feature_ro_compat`: backups stand in few groups; descriptors have flags (either of two); a bit stands for a cluster of blocks.
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_GDT_CSUM: u32 = 0x10;
const RO_COMPAT_BIGALLOC: u32 = 0x200;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// `bg_flags`: the group's block bitmap was never written, since no block of the group was ever used for a file.
const BLOCK_UNINIT: u16 = 2;

/// Runs of bytes that no file of the ext4 in `bytes` uses, in rising order.
pub(super) fn free_runs(bytes: &dyn ReadAt) -> Result<Vec<Range<u64>>, Unknown> {
    if !Superblock::read(bytes).map_err(Unknown::Corrupt)?.is_clean {
        return Err(Unknown::Corrupt(
            "it was not unmounted cleanly or is marked as having errors, so its record of free blocks may be wrong".to_owned(),
        ));
    }
    let shape = Shape::read(bytes)?;
    let groups = shape.descriptors(bytes)?;
    let mut runs = Runs::default();
    for (number, group) in (0..).zip(&groups) {
        let free = if group.is_untouched(&shape) { untouched(&shape, &groups, number) } else { from_bitmap(&shape, bytes, number, group)? };
        let clusters: u64 = free.iter().map(|run| run.end - run.start).sum();
        if clusters != u64::from(group.free_clusters) {
            let said = group.free_clusters;
            return Err(Unknown::Corrupt(format!("group {number} says that {said} blocks are free, and its bitmap says {clusters}")));
        }
        for run in free {
            runs.push(shape.bytes_of(&run))?;
        }
    }
    Ok(runs.0)
}

/// The fields of the superblock that say where things are. A cluster is what a bit of a bitmap stands for: a block, or several with
/// `bigalloc`.
struct Shape {
    block_bytes: u64,
    cluster_blocks: u64,
    blocks: u64,
    first_block: u64,
    clusters_per_group: u64,
    inode_table_blocks: u64,
    descriptor_bytes: u64,
    reserved_descriptor_blocks: u64,
    compat: u32,
    incompat: u32,
    ro_compat: u32,
    backup_groups: [u32; 2],
}

/// A group's descriptor.
struct Group {
    block_bitmap: u64,
    inode_bitmap: u64,
    inode_table: u64,
    free_clusters: u32,
    flags: u16,
}

impl Shape {
    /// Read a superblock that [`Superblock::read`] has found plausible.
    fn read(bytes: &dyn ReadAt) -> Result<Self, Unknown> {
        let mut raw = [0; 1024];
        bytes.read_at(1024, &mut raw)?;
        let (u16_at, u32_at) = (|at: usize| u16_in(&raw, at), |at: usize| u32_in(&raw, at));
        let (compat, incompat, ro_compat) = (u32_at(0x5c), u32_at(0x60), u32_at(0x64));
        if incompat & INCOMPAT_META_BG != 0 {
            return Err(Unknown::Incompatible("feature meta_bg".to_owned()));
        }
        let high = if incompat & INCOMPAT_64BIT != 0 { u64::from(u32_at(0x150)) } else { 0 };
        let cluster_bits = if ro_compat & RO_COMPAT_BIGALLOC != 0 { u32_at(0x1c).wrapping_sub(u32_at(0x18)) } else { 0 };
        let block_bytes = 1u64 << (10 + u32_at(0x18).min(6));
        let (clusters_per_group, inodes, inode_bytes) = (u64::from(u32_at(0x24)), u64::from(u32_at(0x28)), u64::from(u16_at(0x58)));
        let descriptor_bytes = if incompat & INCOMPAT_64BIT != 0 { u64::from(u16_at(0xfe)) } else { 32 };
        // A bitmap is one block, so a group has at most eight clusters for each byte of a block.
        let sane = cluster_bits <= 16
            && (1..=8 * block_bytes).contains(&clusters_per_group)
            && (128..=block_bytes).contains(&inode_bytes)
            && inodes <= 8 * block_bytes
            && matches!(descriptor_bytes, 32 | 64)
            && clusters_per_group << cluster_bits == u64::from(u32_at(0x20));
        if !sane {
            return Err(Unknown::Corrupt("its superblock holds values that cannot be".to_owned()));
        }
        Ok(Self {
            block_bytes,
            cluster_blocks: 1 << cluster_bits,
            blocks: high << 32 | u64::from(u32_at(0x4)),
            first_block: u64::from(u32_at(0x14)),
            clusters_per_group,
            inode_table_blocks: (inodes * inode_bytes).div_ceil(block_bytes),
            descriptor_bytes,
            reserved_descriptor_blocks: u64::from(u16_at(0xce)),
            compat,
            incompat,
            ro_compat,
            backup_groups: [u32_at(0x24c), u32_at(0x250)],
        })
    }

    /// Clusters of the filesystem, counted from its first block on.
    fn clusters(&self) -> u64 {
        self.blocks.saturating_sub(self.first_block).div_ceil(self.cluster_blocks)
    }

    fn group_count(&self) -> u64 {
        self.clusters().div_ceil(self.clusters_per_group)
    }

    /// The clusters of the group `number`.
    fn clusters_of(&self, number: u64) -> Range<u64> {
        let start = number * self.clusters_per_group;
        start..(start + self.clusters_per_group).min(self.clusters())
    }

    /// Where clusters are in the partition. The last cluster may have fewer blocks than the others.
    fn bytes_of(&self, clusters: &Range<u64>) -> Range<u64> {
        let byte = |cluster: u64| (self.first_block + cluster * self.cluster_blocks).min(self.blocks) * self.block_bytes;
        byte(clusters.start)..byte(clusters.end)
    }

    /// The clusters that hold `count` blocks from `block` on.
    fn clusters_at(&self, block: u64, count: u64) -> Range<u64> {
        let first = block.saturating_sub(self.first_block);
        first / self.cluster_blocks..first.saturating_add(count).div_ceil(self.cluster_blocks)
    }

    fn descriptors(&self, bytes: &dyn ReadAt) -> Result<Vec<Group>, Unknown> {
        // `Superblock::read` has bounded the number of groups by 2^20, and so the table by 64 MiB.
        let count = self.group_count();
        let mut table = vec![0; usize::try_from(count * self.descriptor_bytes).unwrap_or(usize::MAX)];
        bytes.read_at((self.first_block + 1) * self.block_bytes, &mut table)?;
        let raw = table.chunks_exact(usize::try_from(self.descriptor_bytes).unwrap_or(usize::MAX));
        let wide = self.incompat & INCOMPAT_64BIT != 0 && self.descriptor_bytes >= 64;
        Ok(raw.map(|raw| Group::read(raw, wide)).collect())
    }

    /// Blocks of the group `number` that hold a copy of superblock and descriptors, from the group's first block on.
    fn backup_blocks(&self, number: u64) -> u64 {
        let is_power_of = |base: u64| (1..=20).map(|exponent| base.saturating_pow(exponent)).any(|power| power == number);
        let has_backup = match number {
            0 => true,
            _ if self.compat & COMPAT_SPARSE_SUPER2 != 0 => self.backup_groups.iter().any(|group| u64::from(*group) == number),
            _ if self.ro_compat & RO_COMPAT_SPARSE_SUPER != 0 => number == 1 || [3, 5, 7].into_iter().any(is_power_of),
            _ => true,
        };
        let descriptors = (self.group_count() * self.descriptor_bytes).div_ceil(self.block_bytes);
        if has_backup { 1 + descriptors + self.reserved_descriptor_blocks } else { 0 }
    }
}

impl Group {
    fn read(raw: &[u8], wide: bool) -> Self {
        let block = |low: usize, high: usize| u64::from(u32_in(raw, low)) | if wide { u64::from(u32_in(raw, high)) << 32 } else { 0 };
        let high = if wide { u32::from(u16_in(raw, 0x2c)) } else { 0 };
        Self {
            block_bitmap: block(0x0, 0x20),
            inode_bitmap: block(0x4, 0x24),
            inode_table: block(0x8, 0x28),
            free_clusters: high << 16 | u32::from(u16_in(raw, 0xc)),
            flags: u16_in(raw, 0x12),
        }
    }

    /// Whether the group's bitmap was never written. The flag counts only where descriptors have checksums.
    fn is_untouched(&self, shape: &Shape) -> bool {
        shape.ro_compat & (RO_COMPAT_GDT_CSUM | RO_COMPAT_METADATA_CSUM) != 0 && self.flags & BLOCK_UNINIT != 0
    }

    /// The clusters of what the group's descriptor leads to.
    fn metadata(&self, shape: &Shape) -> [Range<u64>; 3] {
        [
            shape.clusters_at(self.block_bitmap, 1),
            shape.clusters_at(self.inode_bitmap, 1),
            shape.clusters_at(self.inode_table, shape.inode_table_blocks),
        ]
    }
}

/// The free clusters of a group whose bitmap was never written: all but the filesystem's own.
fn untouched(shape: &Shape, groups: &[Group], number: u64) -> Vec<Range<u64>> {
    let whole = shape.clusters_of(number);
    let start = shape.first_block + whole.start * shape.cluster_blocks;
    // With flex_bg a group's tables stand in another group, but never in one whose bitmap is not written.
    let own = usize::try_from(number).ok().and_then(|number| groups.get(number)).map(|group| group.metadata(shape));
    let mut used: Vec<Range<u64>> = own.into_iter().flatten().collect();
    used.push(shape.clusters_at(start, shape.backup_blocks(number)));
    used.sort_by_key(|run| run.start);
    let (mut at, mut free) = (whole.start, Vec::new());
    for run in used {
        let (from, to) = (run.start.clamp(at, whole.end), run.end.clamp(at, whole.end));
        if at < from {
            free.push(at..from);
        }
        at = to;
    }
    if at < whole.end {
        free.push(at..whole.end);
    }
    free
}

/// The free clusters of the group `number`: the zero bits of its bitmap.
fn from_bitmap(shape: &Shape, bytes: &dyn ReadAt, number: u64, group: &Group) -> Result<Vec<Range<u64>>, Unknown> {
    let mut bitmap = vec![0; usize::try_from(shape.block_bytes).unwrap_or(usize::MAX)];
    let place = group.block_bitmap.checked_mul(shape.block_bytes).filter(|_| group.block_bitmap < shape.blocks);
    let place = place.ok_or_else(|| Unknown::Corrupt(format!("the bitmap of group {number} lies outside the filesystem")))?;
    bytes.read_at(place, &mut bitmap)?;
    let clusters = shape.clusters_of(number);
    let (mut free, mut begun) = (Vec::new(), None);
    for (bit, cluster) in (0usize..).zip(clusters.clone()) {
        let is_free = bitmap[bit / 8] >> (bit % 8) & 1 == 0;
        match (is_free, begun) {
            (true, None) => begun = Some(cluster),
            (false, Some(start)) => {
                free.push(start..cluster);
                begun = None;
            }
            _ => {}
        }
    }
    free.extend(begun.map(|start| start..clusters.end));
    Ok(free)
}

fn u16_in(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_in(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_in(bytes, at + 2)) << 16 | u32::from(u16_in(bytes, at))
}
