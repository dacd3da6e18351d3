//! Where the blocks of a file's fork are: a list of extents in the inode, or a tree of blocks.
//!
//! Layouts are those of Linux (fs/xfs/libxfs/xfs_format.h: `xfs_bmbt_rec`, `xfs_bmdr_block`, `xfs_btree_block`; libxfs/xfs_bmap_btree.c,
//! `xfs_bmbt_disk_get_all`). A tree is read from its root to one leaf at a time, and only that leaf is kept.

use super::block::Block;
use super::inode::Fork;
use super::superblock::{Signature, Superblock};
use crate::base::read_at::ReadAt;
use crate::image::filesystem::FsError;

/// `BMAP` and, with checksums, `BMA3`.
const TREE_MAGIC: [u32; 2] = [0x424d_4150, 0x424d_4133];
/// Levels of any tree (`XFS_BTREE_MAXLEVELS`).
const MAX_LEVELS: u16 = 9;
/// Bytes of an extent on the disk.
const EXTENT_BYTES: usize = 16;
/// Bits of a block's number in a file (`BMBT_STARTOFF_BITLEN`).
const OFFSET_BITS: u32 = 54;

/// An extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// Its first block in the file.
    offset: u64,
    /// Its first block on the disk.
    block: u64,
    count: u64,
    /// Its blocks were never written, and count as zeros.
    is_unwritten: bool,
}

/// Blocks of a fork that lie together on the disk, or nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Blocks, 1 at least.
    pub(super) count: u64,
    pub(super) source: Source,
}

/// The content of a run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The content is at this byte of the filesystem.
    At(u64),
    /// Zeros: space is reserved, and was never written.
    Unwritten,
    /// Zeros: there is no space.
    Hole,
}

/// The blocks of a fork.
pub(super) struct Mapping<'a> {
    bytes: &'a dyn ReadAt,
    superblock: &'a Superblock,
    /// The inode that the fork belongs to.
    owner: u64,
    /// The tree's root; `None` when all extents are in `leaf`.
    root: Option<Node>,
    leaf: Leaf,
}

/// A leaf of the tree, or all of a list.
struct Leaf {
    extents: Vec<Extent>,
    /// The first block of the file that it covers.
    start: u64,
    /// The block after the last one that it covers.
    end: u64,
}

/// A node above the leaves.
struct Node {
    level: u16,
    /// The first block of the file that each child covers.
    keys: Vec<u64>,
    children: Vec<u64>,
}

impl<'a> Mapping<'a> {
    /// The blocks of `fork`, which belongs to the inode `owner`.
    ///
    /// # Errors
    /// The fork is damaged.
    pub(super) fn new(bytes: &'a dyn ReadAt, superblock: &'a Superblock, owner: u64, fork: &Fork) -> Result<Self, FsError> {
        let nothing = Leaf { extents: Vec::new(), start: 0, end: 0 };
        let (root, leaf) = match fork {
            Fork::Local(_) => (None, Leaf { end: u64::MAX, ..nothing }),
            Fork::Extents(block, count) => (None, Leaf { extents: extents(block, 0, *count)?, start: 0, end: u64::MAX }),
            Fork::Tree(block) => (Some(Node::of_inode(block)?), nothing),
        };
        Ok(Self { bytes, superblock, owner, root, leaf })
    }

    /// Where the blocks of the file from `block` on are, as far as they lie together.
    ///
    /// # Errors
    /// The tree is damaged, or an extent lies outside the filesystem.
    pub(super) fn find(&mut self, block: u64) -> Result<Run, FsError> {
        if !(self.leaf.start..self.leaf.end).contains(&block) {
            self.leaf = self.descend(block)?;
        }
        let extents = &self.leaf.extents;
        let behind = extents.partition_point(|extent| extent.offset <= block);
        if let Some(extent) = behind.checked_sub(1).and_then(|index| extents.get(index))
            && block < extent.offset + extent.count
        {
            let skipped = block - extent.offset;
            let count = extent.count - skipped;
            let place = self.superblock.place_of(extent.block, extent.count).ok_or_else(|| FsError::Corrupt {
                offset: None,
                what: format!(
                    "the blocks {} to {} of inode {} lie outside the filesystem",
                    extent.offset,
                    extent.offset + extent.count,
                    self.owner
                ),
            })?;
            let source = if extent.is_unwritten { Source::Unwritten } else { Source::At(place + (skipped << self.superblock.block_bits)) };
            return Ok(Run { count, source });
        }
        let end = extents.get(behind).map_or(self.leaf.end, |extent| extent.offset.min(self.leaf.end));
        Ok(Run { count: end.saturating_sub(block).max(1), source: Source::Hole })
    }

    /// The leaf that covers `block`.
    fn descend(&self, block: u64) -> Result<Leaf, FsError> {
        let Some(root) = &self.root else { return Err(damaged(self.owner, "a block has no place")) };
        let (mut start, mut end) = (0, u64::MAX);
        let mut child = root.child(block, &mut start, &mut end);
        // A level is one less than its parent's, so that a circle of blocks comes to an end.
        for level in (0..root.level).rev() {
            let number = child.ok_or_else(|| damaged(self.owner, "its tree of extents has an empty block"))?;
            let place =
                self.superblock.place_of(number, 1).ok_or_else(|| damaged(self.owner, "its tree of extents leaves the filesystem"))?;
            let raw = Block::read(self.bytes, "extent tree", place, self.superblock.block_bytes())?;
            let header = self.check(&raw, level)?;
            let count = usize::from(raw.u16(6)?);
            if level == 0 {
                return Ok(Leaf { extents: extents_from(&raw, header, count)?, start, end });
            }
            let most = (raw.len() - header) / EXTENT_BYTES;
            child = Node::read(&raw, level, header, count, most)?.child(block, &mut start, &mut end);
        }
        Err(damaged(self.owner, "its tree of extents has no leaves"))
    }

    /// Check a block of the tree; the bytes of its header.
    fn check(&self, raw: &Block, level: u16) -> Result<usize, FsError> {
        let is_v5 = self.superblock.is_v5;
        if raw.u32(0)? != TREE_MAGIC[usize::from(is_v5)] || raw.u16(4)? != level {
            return Err(raw.corrupt(0, format!("this is no block of level {level}")));
        }
        self.superblock.check(raw, &Signature { sum: 64, address: Some(24), uuid: 40, owner: Some((56, self.owner)) })?;
        Ok(if is_v5 { 72 } else { 24 })
    }
}

impl Node {
    /// The root, which is in the inode.
    fn of_inode(raw: &Block) -> Result<Self, FsError> {
        let (level, count) = (raw.u16(0)?, usize::from(raw.u16(2)?));
        if !(1..MAX_LEVELS).contains(&level) {
            return Err(raw.corrupt(0, format!("a tree of extents cannot have {level} levels")));
        }
        Self::read(raw, level, 4, count, raw.len().saturating_sub(4) / EXTENT_BYTES)
    }

    /// `count` keys from byte `at` on, and their children behind the room of `most` keys.
    fn read(raw: &Block, level: u16, at: usize, count: usize, most: usize) -> Result<Self, FsError> {
        if !(1..=most).contains(&count) {
            return Err(raw.corrupt(at, format!("a block of the tree holds {count} children, 1 to {most} are possible")));
        }
        let keys: Vec<u64> = (0..count).map(|index| raw.u64(at + 8 * index)).collect::<Result<_, _>>()?;
        let children = (0..count).map(|index| raw.u64(at + 8 * (most + index))).collect::<Result<_, _>>()?;
        if !keys.is_sorted_by(|a, b| a < b) {
            return Err(raw.corrupt(at, "the tree is out of order"));
        }
        Ok(Self { level, keys, children })
    }

    /// The child that covers `block`; narrows `start` and `end` to the blocks that it covers.
    fn child(&self, block: u64, start: &mut u64, end: &mut u64) -> Option<u64> {
        // Blocks before the key of the first child belong to it as well: there are none.
        let index = self.keys.partition_point(|key| *key <= block).saturating_sub(1);
        if index > 0 {
            *start = self.keys.get(index).map_or(*start, |key| (*start).max(*key));
        }
        *end = self.keys.get(index + 1).map_or(*end, |key| (*end).min(*key));
        self.children.get(index).copied()
    }
}

/// All extents of a list.
fn extents(raw: &Block, at: usize, count: u64) -> Result<Vec<Extent>, FsError> {
    let most = raw.len() / EXTENT_BYTES;
    let count = usize::try_from(count).ok().filter(|count| *count <= most);
    extents_from(raw, at, count.ok_or_else(|| raw.corrupt(at, format!("it has more than the {most} extents that fit into it")))?)
}

/// `count` extents from byte `at` on, in order and not overlapping.
fn extents_from(raw: &Block, at: usize, count: usize) -> Result<Vec<Extent>, FsError> {
    let mut found: Vec<Extent> = Vec::with_capacity(count.min(raw.len() / EXTENT_BYTES));
    let mut free_from = 0;
    for index in 0..count {
        let at = at + index * EXTENT_BYTES;
        let extent = Extent::read(raw.u64(at)?, raw.u64(at + 8)?);
        if extent.count == 0 || extent.offset < free_from || extent.offset + extent.count > 1 << OFFSET_BITS {
            return Err(raw.corrupt(at, format!("extent {index} is empty or out of order")));
        }
        free_from = extent.offset + extent.count;
        found.push(extent);
    }
    Ok(found)
}

impl Extent {
    /// 1 bit for unwritten, 54 for the offset, 52 for the block, 21 for the count.
    fn read(high: u64, low: u64) -> Self {
        Self { is_unwritten: high >> 63 != 0, offset: high << 1 >> 10, block: (high & 0x1ff) << 43 | low >> 21, count: low & 0x1f_ffff }
    }
}

fn damaged(inode: u64, what: &str) -> FsError {
    FsError::Corrupt { offset: None, what: format!("inode {inode}: {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_has_four_fields_in_128_bits() {
        let all = Extent { offset: (1 << 54) - 1, block: (1 << 52) - 1, count: (1 << 21) - 1, is_unwritten: true };
        assert_eq!(Extent::read(u64::MAX, u64::MAX), all);
        assert_eq!(Extent::read(5 << 9 | 1, 7 << 21 | 3), Extent { offset: 5, block: 1 << 43 | 7, count: 3, is_unwritten: false });
        assert_eq!(Extent::read(1 << 63, 0), Extent { offset: 0, block: 0, count: 0, is_unwritten: true });
    }

    #[test]
    fn a_node_narrows_what_its_child_speaks_of() {
        let node = Node { level: 1, keys: vec![10, 20, 30], children: vec![1, 2, 3] };
        for (block, expected) in [(0, (1, 0, 20)), (10, (1, 0, 20)), (19, (1, 0, 20)), (20, (2, 20, 30)), (99, (3, 30, 100))] {
            let (mut start, mut end) = (0, 100);
            let child = node.child(block, &mut start, &mut end).unwrap();
            assert_eq!((child, start, end), expected, "{block}");
        }
    }

    #[test]
    fn extents_out_of_order_are_refused() {
        let record = |offset: u64, block: u64, count: u64| [(offset << 9).to_be_bytes(), (block << 21 | count).to_be_bytes()].concat();
        for (records, is_right) in [
            (vec![record(0, 9, 2), record(2, 3, 1)], true),
            (vec![record(0, 9, 2), record(1, 3, 1)], false),
            (vec![record(5, 9, 2), record(1, 3, 1)], false),
            (vec![record(0, 9, 0)], false),
            (vec![record((1 << 54) - 1, 9, 2)], false),
        ] {
            let raw = Block::new("inode", 0, records.concat());
            assert_eq!(extents(&raw, 0, records.len() as u64).is_ok(), is_right);
            assert!(extents(&raw, 0, records.len() as u64 + 1).is_err());
        }
    }
}
