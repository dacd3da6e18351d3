//! XFS's free blocks, from each allocation group's tree of free extents by place (`bnobt`) and its reserve of blocks for its trees.
//!
//! Names and offsets are those of Linux (fs/xfs/libxfs/xfs_format.h, structs `xfs_agf`, `xfs_agfl` and `xfs_btree_block`).

use std::ops::Range;

use super::runs::{Runs, Unknown};
use crate::base::read_at::ReadAt;
use crate::image::filesystem::FsError;
use crate::image::filesystem::xfs::{Block, Signature, Superblock, is_clean};

/// `XAGF`, the header of a group's free space; its reserve of blocks is `XAFL`, where there are checksums.
const GROUP_MAGIC: u32 = 0x5841_4746;
const RESERVE_MAGIC: u32 = 0x5841_464c;
/// `ABTB`, and `AB3B` with checksums: a block of the tree.
const TREE_MAGIC: [u32; 2] = [0x4142_5442, 0x4142_3342];
/// Levels of any tree (`XFS_BTREE_MAXLEVELS`).
const MAX_LEVELS: u32 = 9;

/// Runs of bytes that no file of the XFS in `bytes` uses, in rising order.
///
/// Blocks of the reserve (`AGFL`) are among them: nothing reads them before they are written, and they may hold deleted files.
pub(super) fn free_runs(bytes: &dyn ReadAt) -> Result<Vec<Range<u64>>, Unknown> {
    let superblock = Superblock::read(bytes)?;
    if superblock.unknown_ro_compat != 0 {
        return Err(Unknown::Incompatible(format!("features that are not known (ro_compat {:#x})", superblock.unknown_ro_compat)));
    }
    if !is_clean(bytes, &superblock)? {
        // The log cannot be replayed here. So the error is that this is not supported, not that the disk is damaged.
        return Err(Unknown::Incompatible("it was not unmounted cleanly, so its record of free blocks may be wrong".to_owned()));
    }
    let mut runs = Runs::default();
    for number in 0..superblock.groups {
        let group = Group { bytes, superblock: &superblock, number };
        for run in group.free()? {
            let byte = |block: u64| (number * superblock.group_blocks + block) << superblock.block_bits;
            runs.push(byte(run.start)..byte(run.end))?;
        }
    }
    Ok(runs.0)
}

impl From<FsError> for Unknown {
    fn from(error: FsError) -> Self {
        match error {
            FsError::Incompatible(why) => Self::Incompatible(why),
            FsError::Io(source) => source.into(),
            FsError::Corrupt { offset: Some(offset), what } => Self::Corrupt(format!("{what} (byte {offset} of the filesystem)")),
            FsError::Corrupt { offset: None, what } => Self::Corrupt(what),
            FsError::Absent => Self::Corrupt("something is not there".to_owned()),
        }
    }
}

/// An allocation group. Its blocks are counted from its own first one.
struct Group<'a> {
    bytes: &'a dyn ReadAt,
    superblock: &'a Superblock,
    number: u64,
}

impl Group<'_> {
    /// The free blocks, in rising order.
    fn free(&self) -> Result<Vec<Range<u64>>, FsError> {
        let header = self.sector("header of a group's free space", 1)?;
        self.superblock.check(&header, &Signature { sum: 216, address: None, uuid: 64, owner: None })?;
        if header.u32(0)? != GROUP_MAGIC || u64::from(header.u32(8)?) != self.number {
            return Err(header.corrupt(0, format!("this is not group {}", self.number)));
        }
        if u64::from(header.u32(12)?) != self.superblock.blocks_of(self.number) {
            return Err(header.corrupt(12, "the group has another size than the superblock says"));
        }
        let levels = header.u32(28)?;
        if !(1..=MAX_LEVELS).contains(&levels) {
            return Err(header.corrupt(28, format!("a tree cannot have {levels} levels")));
        }
        let mut free = Vec::new();
        self.walk(header.u32(16)?, levels - 1, &mut free)?;
        let (said, found) = (u64::from(header.u32(52)?), free.iter().map(|run| run.end - run.start).sum::<u64>());
        if said != found {
            return Err(header.corrupt(52, format!("group {} says that {said} blocks are free, and its tree says {found}", self.number)));
        }
        self.add_reserve(&header, &mut free)?;
        Ok(free)
    }

    /// Add what the tree below the block `block` at `level` holds. Each extent begins behind the one before, so a circle ends.
    fn walk(&self, block: u32, level: u32, free: &mut Vec<Range<u64>>) -> Result<(), FsError> {
        let raw = self.tree_block(block, level)?;
        let header = if self.superblock.is_v5 { 56 } else { 16 };
        let room = usize::try_from(self.superblock.block_bytes()).unwrap_or_default() - header;
        let (count, most) = (usize::from(raw.u16(6)?), if level == 0 { room / 8 } else { room / 12 });
        // Only a whole group without free space has a tree of one empty block.
        if count > most || level > 0 && count == 0 {
            return Err(raw.corrupt(6, format!("it holds {count} records, {most} at most are possible")));
        }
        for index in 0..count {
            if level > 0 {
                let before = free.len();
                self.walk(raw.u32(header + 8 * most + 4 * index)?, level - 1, free)?;
                if free.len() == before {
                    return Err(raw.corrupt(6, "a block below it is empty"));
                }
                continue;
            }
            let at = header + 8 * index;
            let start = u64::from(raw.u32(at)?);
            let run = start..start + u64::from(raw.u32(at + 4)?);
            let behind = free.last().map_or(0, |last| last.end);
            if run.is_empty() || run.start < behind || run.end > self.superblock.blocks_of(self.number) {
                return Err(raw.corrupt(at, "a free extent is empty, out of order or outside its group"));
            }
            free.push(run);
        }
        Ok(())
    }

    fn tree_block(&self, block: u32, level: u32) -> Result<Block, FsError> {
        let place = self.place_of(block).ok_or_else(|| self.corrupt("its tree of free blocks leaves it"))?;
        let raw = Block::read(self.bytes, "tree of free blocks", place, self.superblock.block_bytes())?;
        self.superblock.check(&raw, &Signature { sum: 52, address: Some(16), uuid: 32, owner: None })?;
        if raw.u32(0)? != TREE_MAGIC[usize::from(self.superblock.is_v5)] || u32::from(raw.u16(4)?) != level {
            return Err(raw.corrupt(0, format!("this is no block of level {level}")));
        }
        if self.superblock.is_v5 && u64::from(raw.u32(48)?) != self.number {
            return Err(raw.corrupt(48, "it belongs to another group"));
        }
        Ok(raw)
    }

    /// Add the blocks of the reserve: a ring of numbers in the group's fourth sector. Kernels before Linux 4.5 made the ring one shorter where
    /// there are checksums; a ring that does not fit its counts is left alone, as Linux does (`xfs_agfl_needs_reset`).
    fn add_reserve(&self, header: &Block, free: &mut Vec<Range<u64>>) -> Result<(), FsError> {
        let start = if self.superblock.is_v5 { 36 } else { 0 };
        let slots = ((self.superblock.sector_bytes - start) / 4) as u32;
        let (first, last, count) = (header.u32(40)?, header.u32(44)?, header.u32(48)?);
        if count == 0 || first >= slots || last >= slots || (last + slots - first) % slots + 1 != count {
            return Ok(());
        }
        let reserve = self.sector("reserve of a group", 3)?;
        self.superblock.check(&reserve, &Signature { sum: 32, address: None, uuid: 8, owner: None })?;
        if self.superblock.is_v5 && (reserve.u32(0)? != RESERVE_MAGIC || u64::from(reserve.u32(4)?) != self.number) {
            return Err(reserve.corrupt(0, format!("this is not the reserve of group {}", self.number)));
        }
        for index in 0..count {
            let at = (start + u64::from((first + index) % slots) * 4) as usize;
            let block = reserve.u32(at)?;
            self.place_of(block).ok_or_else(|| reserve.corrupt(at, "a block of it lies outside its group"))?;
            free.push(u64::from(block)..u64::from(block) + 1);
        }
        free.sort_by_key(|run| run.start);
        if free.windows(2).any(|pair| pair[0].end > pair[1].start) {
            return Err(reserve.corrupt(0, "a block of it is free twice"));
        }
        Ok(())
    }

    fn sector(&self, what: &'static str, index: u64) -> Result<Block, FsError> {
        let start = (self.number * self.superblock.group_blocks) << self.superblock.block_bits;
        Block::read(self.bytes, what, start + index * self.superblock.sector_bytes, self.superblock.sector_bytes)
    }

    /// The byte at which the block begins.
    fn place_of(&self, block: u32) -> Option<u64> {
        let is_within = u64::from(block) < self.superblock.blocks_of(self.number);
        is_within.then(|| (self.number * self.superblock.group_blocks + u64::from(block)) << self.superblock.block_bits)
    }

    fn corrupt(&self, what: &str) -> FsError {
        FsError::Corrupt { offset: None, what: format!("group {}: {what}", self.number) }
    }
}
