//! Directories of an XFS: the names in an inode itself, or in blocks.
//!
//! Blocks of names come first, before 32 GiB; the indexes after them are not needed to find all names. Layouts are those of Linux
//! (fs/xfs/libxfs/xfs_da_format.h, "Directory version 2" and "Directory Version 3 With CRCs"; libxfs/xfs_dir2_data.c).

use std::ops::ControlFlow;

use super::block::Block;
use super::inode::{Fork, Inode};
use super::mapping::{Mapping, Run, Source};
use super::superblock::{Signature, Superblock};
use crate::base::read_at::ReadAt;
use crate::image::filesystem::{FsError, MAX_ENTRIES};

/// Where the blocks of names end in a directory (`XFS_DIR2_LEAF_OFFSET`).
const NAMES_END_BYTES: u64 = 1 << 35;
/// A directory of one block, and blocks of names of a larger one: without checksums and with.
const ONE_BLOCK_MAGIC: [u32; 2] = [0x5844_3242, 0x5844_4233];
const NAMES_MAGIC: [u32; 2] = [0x5844_3244, 0x5844_4433];
/// Bytes of the header of a block of names: without checksums and with.
const HEADER_BYTES: [usize; 2] = [16, 64];
/// First two bytes of room that no name uses (`XFS_DIR2_DATA_FREE_TAG`).
const UNUSED: u16 = 0xffff;

/// Called with each name and its inode.
pub(super) type Visit<'a> = dyn FnMut(&[u8], u64) -> Result<ControlFlow<()>, FsError> + 'a;

/// Visit all names of `directory` but `.` and `..`, in no order, until `visit` breaks.
///
/// # Errors
/// The directory is damaged or holds more than [`MAX_ENTRIES`] names, or `visit` fails.
pub(super) fn visit(bytes: &dyn ReadAt, superblock: &Superblock, directory: &Inode, visit: &mut Visit<'_>) -> Result<(), FsError> {
    let mut count = 0;
    visit_all(bytes, superblock, directory, &mut |name, number| {
        if name == b"." || name == b".." {
            return Ok(ControlFlow::Continue(()));
        }
        count += 1;
        if count > MAX_ENTRIES {
            return Err(directory.corrupt(format!("it holds more than {MAX_ENTRIES} names")));
        }
        visit(name, number)
    })
}

/// The inode that `directory` calls `..`.
///
/// # Errors
/// The directory is damaged.
pub(super) fn parent(bytes: &dyn ReadAt, superblock: &Superblock, directory: &Inode) -> Result<u64, FsError> {
    let mut found = None;
    // It is among the first names.
    visit_all(bytes, superblock, directory, &mut |name, number| {
        found = (name == b"..").then_some(number);
        Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    found.ok_or_else(|| directory.corrupt("it has no name for its parent"))
}

fn visit_all(bytes: &dyn ReadAt, superblock: &Superblock, directory: &Inode, visit: &mut Visit<'_>) -> Result<(), FsError> {
    match directory.data()? {
        Fork::Local(raw) => visit_inside(&raw, superblock, directory, visit).map(drop),
        fork => Names { bytes, superblock, directory, mapping: Mapping::new(bytes, superblock, directory.number, &fork)? }.visit(visit),
    }
}

/// Visit the names in the inode itself (`xfs_dir2_sf_hdr`).
fn visit_inside(raw: &Block, superblock: &Superblock, directory: &Inode, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, FsError> {
    let end = usize::try_from(directory.metadata.size).ok().filter(|size| *size <= raw.len());
    let end = end.ok_or_else(|| directory.corrupt("its names do not fit into it"))?;
    let (count, is_wide) = (raw.u8(0)?, raw.u8(1)? != 0);
    let number_bytes = if is_wide { 8 } else { 4 };
    let parent = if is_wide { raw.u64(2)? } else { u64::from(raw.u32(2)?) };
    if visit(b"..", parent)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    let mut at = 2 + number_bytes;
    for _ in 0..count {
        let len = usize::from(raw.u8(at)?);
        let name = raw.bytes(at + 3, len)?;
        // A byte of type stands between the name and the inode.
        let number_at = at + 3 + len + usize::from(superblock.has_types);
        let number = if is_wide { raw.u64(number_at)? } else { u64::from(raw.u32(number_at)?) };
        at = number_at + number_bytes;
        if at > end {
            return Err(raw.corrupt(at, "its names go past its end"));
        }
        check_name(raw, at, name)?;
        if visit(name, number)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// A directory whose names are in blocks.
struct Names<'a> {
    bytes: &'a dyn ReadAt,
    superblock: &'a Superblock,
    directory: &'a Inode,
    mapping: Mapping<'a>,
}

impl Names<'_> {
    fn visit(mut self, visit: &mut Visit<'_>) -> Result<(), FsError> {
        let bits = self.superblock.block_bits;
        // Blocks of the filesystem in one of the directory.
        let step = 1u64 << (self.superblock.directory_bits - bits);
        let end = self.directory.metadata.size.min(NAMES_END_BYTES).div_ceil(1 << bits);
        let (mut at, mut seen) = (0, 0);
        while at < end {
            let run = self.mapping.find(at)?;
            if run.source == Source::Hole {
                at += run.count / step * step;
                if run.count < step && at < end {
                    return Err(self.directory.corrupt("a block of its names has a hole"));
                }
                continue;
            }
            // If extents overlap, this could be a circle.
            seen += step;
            if seen > self.superblock.blocks {
                return Err(self.directory.corrupt("it has more blocks than the filesystem"));
            }
            let block = self.block(at, step, run)?;
            if self.visit_block(&block, visit)?.is_break() {
                return Ok(());
            }
            at += step;
        }
        Ok(())
    }

    /// The directory's block that begins at the file's block `at`. Its parts may lie apart.
    fn block(&mut self, at: u64, step: u64, first: Run) -> Result<Block, FsError> {
        let (bits, bytes) = (self.superblock.block_bits, self.bytes);
        let Source::At(start) = first.source else { return Err(self.directory.corrupt("a block of its names was never written")) };
        if first.count >= step {
            return Block::read(bytes, "directory", start, step << bits);
        }
        let mut all = Vec::new();
        for block in at..at + step {
            let Source::At(place) = self.mapping.find(block)?.source else {
                return Err(self.directory.corrupt("a block of its names has a hole"));
            };
            let part = Block::read(bytes, "directory", place, 1 << bits)?;
            all.extend_from_slice(part.bytes(0, part.len())?);
        }
        Ok(Block::new("directory", start, all))
    }

    fn visit_block(&self, raw: &Block, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, FsError> {
        let version = usize::from(self.superblock.is_v5);
        let magic = raw.u32(0)?;
        self.superblock.check(raw, &Signature { sum: 4, address: Some(8), uuid: 24, owner: Some((40, self.directory.number)) })?;
        let end = if magic == NAMES_MAGIC[version] {
            raw.len()
        } else if magic == ONE_BLOCK_MAGIC[version] {
            // Its index is at its end: a tail of two counts, and eight bytes for each name before it.
            let tail = raw.len().saturating_sub(8);
            let index = usize::try_from(raw.u32(tail)?).ok().and_then(|count| tail.checked_sub(count.checked_mul(8)?));
            index.ok_or_else(|| raw.corrupt(tail, "its index is larger than itself"))?
        } else {
            return Err(raw.corrupt(0, "this is no block of names"));
        };
        let mut at = HEADER_BYTES[version];
        while at < end {
            let size = if raw.u16(at)? == UNUSED { usize::from(raw.u16(at + 2)?) } else { self.entry_bytes(raw.u8(at + 8)?) };
            // The last two bytes of each piece say where it begins.
            if size == 0 || size % 8 != 0 || at + size > end || usize::from(raw.u16(at + size - 2)?) != at {
                return Err(raw.corrupt(at, "a name, or the room between names, goes past its end"));
            }
            if raw.u16(at)? != UNUSED {
                let name = raw.bytes(at + 9, usize::from(raw.u8(at + 8)?))?;
                check_name(raw, at, name)?;
                if visit(name, raw.u64(at)?)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            at += size;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Bytes of an entry: inode, length, name, perhaps a type, and where it begins; a multiple of eight.
    fn entry_bytes(&self, name_len: u8) -> usize {
        (8 + 1 + usize::from(name_len) + usize::from(self.superblock.has_types) + 2).next_multiple_of(8)
    }
}

/// Names that no file can have (`xfs_dir2_namecheck`).
fn check_name(raw: &Block, at: usize, name: &[u8]) -> Result<(), FsError> {
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(raw.corrupt(at, "a name is empty, or has a slash or a zero byte"));
    }
    Ok(())
}
