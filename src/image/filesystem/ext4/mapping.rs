//! Where the blocks of a file are: the tree of extents of ext4, the lists of block numbers of ext2 and ext3.
//!
//! Layouts are those of Linux 6.12, fs/ext4/ext4_extents.h, and of `ext4_block_to_path` in fs/ext4/indirect.c.

use std::ops::Range;

use super::super::FsError;
use super::geometry::{Geometry, u16_in, u32_in};
use super::inodes::Inode;

/// `eh_magic`.
const MAGIC: u16 = 0xf30a;
/// Bytes of a header, of an extent and of an index.
const ENTRY_BYTES: usize = 12;
/// Levels of a tree of extents at most (`EXT4_MAX_EXTENT_DEPTH`).
const MAX_DEPTH: u16 = 5;
/// An extent whose length is above this was reserved and never written; the excess is the number of its blocks (`EXT_INIT_MAX_LEN`).
const WRITTEN_MAX: u16 = 1 << 15;
/// Blocks whose numbers stand in the inode itself.
const DIRECT: u64 = 12;

/// A run of a file's blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    /// Which blocks of the file.
    pub(super) blocks: Range<u64>,
    /// Where the first of them is; `None` when all are zeros: a hole, or reserved and never written.
    pub(super) start: Option<u64>,
}

/// The map of a file's blocks. It keeps the nodes that it read last, one of each level.
pub(super) struct Mapping<'a> {
    geometry: &'a Geometry,
    inode: Inode,
    /// The nodes below the root, the highest first, with their blocks.
    nodes: Vec<(u64, Vec<u8>)>,
}

impl<'a> Mapping<'a> {
    pub(super) fn new(geometry: &'a Geometry, inode: &Inode) -> Self {
        Self { geometry, inode: inode.clone(), nodes: Vec::new() }
    }

    /// The run that holds the file's block `block`. It may end before the hole or extent does.
    ///
    /// # Errors
    /// The map is damaged.
    pub(super) fn run(&mut self, block: u64) -> Result<Run, FsError> {
        if self.inode.has_extents() { self.run_of_extents(block) } else { self.run_of_numbers(block) }
    }

    fn run_of_extents(&mut self, block: u64) -> Result<Run, FsError> {
        let mut node = Node::read(&self.inode, self.inode.block(), None)?;
        if node.depth > MAX_DEPTH {
            return Err(self.inode.corrupt(format!("its extents have {} levels", node.depth)));
        }
        let mut end = u64::MAX;
        // Each node must be one level lower than the one above, so the loop ends.
        for level in 0.. {
            let Some(index) = node.index_of(block) else {
                return Ok(Run { blocks: block..node.first(0).unwrap_or(end).min(end), start: None });
            };
            end = node.first(index + 1).unwrap_or(end).min(end);
            if node.depth == 0 {
                return self.run_of_extent(node.entry(index), block, end);
            }
            let below = node.below(index);
            let depth = node.depth - 1;
            self.load(level, below)?;
            node = Node::read(&self.inode, &self.nodes[level].1, Some(depth))?;
        }
        Err(self.inode.corrupt("its extents have no end"))
    }

    /// The run of `block`, which lies in or behind the extent `entry`; the next extent begins at `end`.
    fn run_of_extent(&self, entry: &[u8], block: u64, end: u64) -> Result<Run, FsError> {
        let (first, len) = (u64::from(u32_in(entry, 0)), u16_in(entry, 4));
        let is_written = len <= WRITTEN_MAX;
        let len = u64::from(if is_written { len } else { len - WRITTEN_MAX });
        if block >= first + len {
            return Ok(Run { blocks: block..end, start: None });
        }
        let start = u64::from(u16_in(entry, 6)) << 32 | u64::from(u32_in(entry, 8));
        self.geometry.place(start)?;
        self.geometry.place(start + len - 1)?;
        if first + len > end {
            return Err(self.inode.corrupt("its extents overlap"));
        }
        Ok(Run { blocks: block..first + len, start: is_written.then_some(start + (block - first)) })
    }

    fn run_of_numbers(&mut self, block: u64) -> Result<Run, FsError> {
        let per_block = self.geometry.block_bytes / 4;
        let hole = |end: u64| Run { blocks: block..end, start: None };
        if block < DIRECT {
            let root = self.inode.block();
            return Ok(consecutive(block, (block..DIRECT).map(|at| number_in(root, at))));
        }
        // Lists of one, two and three levels follow each other. `span` blocks are below a number of the level.
        let (mut first, mut span, mut levels) = (DIRECT, per_block, 1u32);
        while block - first >= span {
            first += span;
            span *= per_block;
            levels += 1;
            if levels > 3 {
                return Err(self.inode.corrupt(format!("it is too long for a list of blocks: block {block} is asked for")));
            }
        }
        let mut number = number_in(self.inode.block(), DIRECT + u64::from(levels) - 1);
        let mut start = first;
        for level in 0..levels as usize {
            if number == 0 {
                return Ok(hole(start + span));
            }
            self.load(level, number)?;
            let list = &self.nodes[level].1;
            span /= per_block;
            let index = (block - start) / span;
            if span == 1 {
                return Ok(consecutive(block, (index..per_block).map(|at| number_in(list, at))));
            }
            start += index * span;
            number = number_in(list, index);
        }
        Err(self.inode.corrupt("its list of blocks has no end"))
    }

    /// Make the node of `level` the one in `block`. The nodes below it are dropped.
    fn load(&mut self, level: usize, block: u64) -> Result<(), FsError> {
        if self.nodes.get(level).is_none_or(|(there, _)| *there != block) {
            self.nodes.truncate(level);
            self.nodes.push((block, self.geometry.block(block)?));
            if self.inode.has_extents() {
                self.check(block, &self.nodes[level].1)?;
            }
        }
        Ok(())
    }

    /// Verify the checksum of the node in `block`: it stands behind all the entries that the node has room for (`ext4_extent_block_csum`).
    fn check(&self, block: u64, node: &[u8]) -> Result<(), FsError> {
        let end = ENTRY_BYTES * (1 + usize::from(u16_in(node, 4)));
        if self.inode.has_sums() && (end + 4 > node.len() || self.inode.fails_sum(u32_in(node, end), &[&node[..end]])) {
            return Err(self.inode.corrupt(format!("its extents in block {block} fail their checksum")));
        }
        Ok(())
    }
}

/// A node of a tree of extents. The first four bytes of an extent and of an index are the first block of the file that it is about.
struct Node<'a> {
    depth: u16,
    entries: &'a [u8],
}

impl<'a> Node<'a> {
    /// Read a node of `inode`, whose depth must be `depth` when that is known.
    fn read(inode: &Inode, raw: &'a [u8], depth: Option<u16>) -> Result<Self, FsError> {
        let (count, most) = (u16_in(raw, 2), u16_in(raw, 4));
        let node =
            Self { depth: u16_in(raw, 6), entries: raw.get(ENTRY_BYTES..ENTRY_BYTES * (1 + usize::from(count))).unwrap_or_default() };
        let is_sound = u16_in(raw, 0) == MAGIC
            && count <= most
            && node.entries.len() == ENTRY_BYTES * usize::from(count)
            && depth.is_none_or(|depth| depth == node.depth);
        let firsts = node.entries.chunks_exact(ENTRY_BYTES).map(|entry| u32_in(entry, 0));
        if !is_sound || !firsts.is_sorted_by(|first, second| first < second) {
            return Err(inode.corrupt("its tree of extents is damaged"));
        }
        Ok(node)
    }

    fn entry(&self, index: usize) -> &'a [u8] {
        &self.entries[index * ENTRY_BYTES..][..ENTRY_BYTES]
    }

    /// The first block of the file that the entry `index` is about; `None` when there is no such entry.
    fn first(&self, index: usize) -> Option<u64> {
        self.entries.chunks_exact(ENTRY_BYTES).nth(index).map(|entry| u64::from(u32_in(entry, 0)))
    }

    /// The block of the node below the entry `index`.
    fn below(&self, index: usize) -> u64 {
        u64::from(u16_in(self.entry(index), 8)) << 32 | u64::from(u32_in(self.entry(index), 4))
    }

    /// The last entry that begins at `block` or before.
    fn index_of(&self, block: u64) -> Option<usize> {
        let (mut low, mut high) = (0, self.entries.len() / ENTRY_BYTES);
        while low < high {
            let middle = low.midpoint(high);
            if u64::from(u32_in(self.entry(middle), 0)) <= block {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }
}

/// The run that begins with `block`, for which `numbers` says where it and the blocks after it are; 0 is a hole.
fn consecutive(block: u64, mut numbers: impl Iterator<Item = u64>) -> Run {
    let start = numbers.next().unwrap_or_default();
    let expected = (start + 1..).map(|next| if start == 0 { 0 } else { next });
    let more = numbers.zip(expected).take_while(|(number, expected)| number == expected).count();
    Run { blocks: block..block + 1 + more as u64, start: (start != 0).then_some(start) }
}

/// The number at `index` of a list of blocks.
fn number_in(list: &[u8], index: u64) -> u64 {
    u64::from(u32_in(list, usize::try_from(index).unwrap_or_default() * 4))
}
