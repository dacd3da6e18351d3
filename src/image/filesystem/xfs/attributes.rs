//! Extended attributes of an XFS: in the inode itself, or in blocks of a second fork; long values in blocks of their own.
//!
//! Layouts are those of Linux (fs/xfs/libxfs/xfs_da_format.h, "Attribute storage layout" and "Remote attribute block format definition";
//! prefixes of names: fs/xfs/xfs_xattr.c).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::block::{Block, corrupt};
use super::inode::{Fork, Inode};
use super::mapping::{Mapping, Source};
use super::superblock::{Signature, Superblock};
use crate::base::read_at::ReadAt;
use crate::image::filesystem::{FsError, Xattr};

/// Magics without checksums and with: a leaf of attributes, a node above leaves.
const LEAF_MAGIC: [u16; 2] = [0xfbee, 0x3bee];
const NODE_MAGIC: [u16; 2] = [0xfebe, 0x3ebe];
/// `XARM`, of a block of a long value; only where there are checksums.
const VALUE_MAGIC: u32 = 0x5841_524d;
const VALUE_HEADER_BYTES: u64 = 56;
/// Levels above the leaves (`XFS_DA_NODE_MAXDEPTH`).
const MAX_LEVELS: u16 = 5;
/// Flags of an entry: its value is beside it; its name begins with `trusted.`, with `security.`; it is a parent pointer; it is half-made.
const LOCAL: u8 = 1;
const ROOT: u8 = 1 << 1;
const SECURE: u8 = 1 << 2;
const PARENT: u8 = 1 << 3;
const INCOMPLETE: u8 = 1 << 7;
/// Bytes of a value (`XATTR_SIZE_MAX`, xattr(7)).
const MAX_VALUE_BYTES: u32 = 64 << 10;
/// Bytes of all names and values of one file that are read.
const MAX_BYTES: usize = 16 << 20;

/// All attributes of `inode`, sorted by name.
///
/// # Errors
/// They are damaged, or more than 16 MiB.
pub(super) fn read(bytes: &dyn ReadAt, superblock: &Superblock, inode: &Inode) -> Result<Vec<Xattr>, FsError> {
    let mut found = Found { inode, all: Vec::new(), bytes: 0 };
    match inode.attributes()? {
        None => {}
        Some(Fork::Local(raw)) => read_inside(&raw, &mut found)?,
        Some(Fork::Extents(_, 0)) => {}
        Some(fork) => {
            Blocks { bytes, superblock, inode, mapping: Mapping::new(bytes, superblock, inode.number, &fork)? }.read(&mut found)?
        }
    }
    found.all.sort();
    Ok(found.all)
}

/// The attributes found so far.
struct Found<'a> {
    inode: &'a Inode,
    all: Vec<Xattr>,
    bytes: usize,
}

impl Found<'_> {
    fn push(&mut self, flags: u8, name: &[u8], value: Vec<u8>) -> Result<(), FsError> {
        let prefix = match flags & (ROOT | SECURE) {
            0 => "user.",
            ROOT => "trusted.",
            SECURE => "security.",
            _ => return Err(self.inode.corrupt("an attribute is in two name spaces")),
        };
        self.bytes += name.len() + value.len();
        if self.bytes > MAX_BYTES {
            return Err(FsError::Incompatible(format!("inode {} has more than {MAX_BYTES} bytes of attributes", self.inode.number)));
        }
        self.all.push((OsString::from_vec([prefix.as_bytes(), name].concat()), value));
        Ok(())
    }
}

/// Attributes that are not shown: Linux shows no half-made ones and no parent pointers.
fn is_hidden(flags: u8) -> bool {
    flags & (INCOMPLETE | PARENT) != 0
}

/// Attributes in the inode itself (`xfs_attr_sf_hdr`).
fn read_inside(raw: &Block, found: &mut Found<'_>) -> Result<(), FsError> {
    let (end, count) = (usize::from(raw.u16(0)?), raw.u8(2)?);
    let mut at = 4;
    for _ in 0..count {
        let (name_len, value_len, flags) = (usize::from(raw.u8(at)?), usize::from(raw.u8(at + 1)?), raw.u8(at + 2)?);
        let (name, value) = (raw.bytes(at + 3, name_len)?, raw.bytes(at + 3 + name_len, value_len)?);
        at += 3 + name_len + value_len;
        if at > end {
            return Err(raw.corrupt(at, "its attributes go past their end"));
        }
        if !is_hidden(flags) {
            found.push(flags, name, value.to_vec())?;
        }
    }
    Ok(())
}

/// Attributes in blocks: leaves in a row, with nodes above them when there is more than one.
struct Blocks<'a> {
    bytes: &'a dyn ReadAt,
    superblock: &'a Superblock,
    inode: &'a Inode,
    mapping: Mapping<'a>,
}

impl Blocks<'_> {
    fn read(mut self, found: &mut Found<'_>) -> Result<(), FsError> {
        let mut block = self.first_leaf()?;
        // If the leaves form a circle, they come back to the leaf that is remembered, which moves on from time to time (Brent's algorithm).
        let (mut remembered, mut until, mut seen) = (0, 1u64, 0u64);
        loop {
            let next = block.u32(0)?;
            self.read_leaf(&block, found)?;
            if next == 0 {
                return Ok(());
            }
            if next == remembered {
                return Err(self.inode.corrupt("its attributes lead in a circle"));
            }
            seen += 1;
            if seen == until {
                (remembered, until) = (next, 2 * until);
            }
            block = self.block(next)?;
        }
    }

    /// The leaf of the lowest hashes.
    fn first_leaf(&mut self) -> Result<Block, FsError> {
        let version = usize::from(self.superblock.is_v5);
        let (mut block, mut above) = (self.block(0)?, MAX_LEVELS + 1);
        while block.u16(8)? == NODE_MAGIC[version] {
            let (count_at, entries_at) = [(12, 16), (56, 64)][version];
            let (count, level) = (block.u16(count_at)?, block.u16(count_at + 2)?);
            if count == 0 || level == 0 || level >= above {
                return Err(block.corrupt(count_at, "a node of attributes is empty or at the wrong level"));
            }
            above = level;
            block = self.block(block.u32(entries_at + 4)?)?;
        }
        Ok(block)
    }

    /// The block `number` of the fork.
    fn block(&mut self, number: u32) -> Result<Block, FsError> {
        let block = Block::read(self.bytes, "attributes", self.place_of(u64::from(number))?, self.superblock.block_bytes())?;
        self.superblock.check(&block, &Signature { sum: 12, address: Some(16), uuid: 32, owner: Some((48, self.inode.number)) })?;
        Ok(block)
    }

    fn place_of(&mut self, block: u64) -> Result<u64, FsError> {
        match self.mapping.find(block)?.source {
            Source::At(place) => Ok(place),
            Source::Unwritten | Source::Hole => Err(self.inode.corrupt(format!("block {block} of its attributes has no place"))),
        }
    }

    fn read_leaf(&mut self, leaf: &Block, found: &mut Found<'_>) -> Result<(), FsError> {
        let version = usize::from(self.superblock.is_v5);
        if leaf.u16(8)? != LEAF_MAGIC[version] {
            return Err(leaf.corrupt(8, "this is no block of attributes"));
        }
        let (count_at, entries_at) = [(12, 32), (56, 80)][version];
        for index in 0..usize::from(leaf.u16(count_at)?) {
            let entry = entries_at + 8 * index;
            let (at, flags) = (usize::from(leaf.u16(entry + 4)?), leaf.u8(entry + 6)?);
            if is_hidden(flags) {
                continue;
            }
            if flags & LOCAL != 0 {
                let (value_len, name_len) = (usize::from(leaf.u16(at)?), usize::from(leaf.u8(at + 2)?));
                found.push(flags, leaf.bytes(at + 3, name_len)?, leaf.bytes(at + 3 + name_len, value_len)?.to_vec())?;
            } else {
                let (block, len, name_len) = (leaf.u32(at)?, leaf.u32(at + 4)?, usize::from(leaf.u8(at + 8)?));
                if len > MAX_VALUE_BYTES {
                    return Err(leaf.corrupt(at + 4, format!("an attribute has {len} bytes, {MAX_VALUE_BYTES} at most are possible")));
                }
                let value = self.read_value(u64::from(block), len as usize)?;
                found.push(flags, leaf.bytes(at + 9, name_len)?, value)?;
            }
        }
        Ok(())
    }

    /// A value of `len` bytes in blocks of its own, from the fork's block `block` on.
    fn read_value(&mut self, block: u64, len: usize) -> Result<Vec<u8>, FsError> {
        let (mut value, mut block) = (Vec::with_capacity(len), block);
        while value.len() < len {
            let place = self.place_of(block)?;
            let raw = Block::read(self.bytes, "attribute's value", place, self.superblock.block_bytes())?;
            let header = if self.superblock.is_v5 { VALUE_HEADER_BYTES as usize } else { 0 };
            let count = (raw.len() - header).min(len - value.len());
            if self.superblock.is_v5 {
                if raw.u32(0)? != VALUE_MAGIC || raw.u32(4)? as usize != value.len() || raw.u32(8)? as usize != count {
                    return Err(corrupt(place, "attribute's value: this is not the next block of it"));
                }
                self.superblock.check(&raw, &Signature { sum: 12, address: Some(40), uuid: 16, owner: Some((32, self.inode.number)) })?;
            }
            value.extend_from_slice(raw.bytes(header, count)?);
            block += 1;
        }
        Ok(value)
    }
}
