//! Inodes of an XFS.
//!
//! Names and offsets are those of Linux (fs/xfs/libxfs/xfs_format.h, struct `xfs_dinode`; checks of libxfs/xfs_inode_buf.c).

use super::block::Block;
use super::superblock::{Signature, Superblock};
use crate::image::filesystem::{FileKind, FsError, Metadata};

/// `IN`.
const MAGIC: u16 = 0x494e;
/// `di_flags`: the blocks are on the realtime device.
const FLAG_REALTIME: u16 = 1;
/// `di_flags2`: times count nanoseconds; counts of extents are larger.
const FLAG2_BIGTIME: u64 = 1 << 3;
const FLAG2_LARGE_COUNTS: u64 = 1 << 4;
/// Nanoseconds of a second, and when large times begin: the earliest of the small ones (`XFS_BIGTIME_EPOCH_OFFSET`).
const NANOSECONDS: u64 = 1_000_000_000;
const BIGTIME_START: i64 = i32::MIN as i64;

/// An inode.
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) metadata: Metadata,
    /// Names that lead to it.
    pub(super) links: u32,
    /// Its blocks are on a realtime device.
    pub(super) is_realtime: bool,
    raw: Block,
    data: Place,
    attributes: Option<Place>,
}

/// Where in its inode a fork is, and of which form.
struct Place {
    start: usize,
    end: usize,
    /// `di_format` or `di_aformat`.
    form: u8,
    extents: u64,
}

/// The content of a fork.
pub(super) enum Fork {
    /// The content itself; may be longer than the content.
    Local(Block),
    /// So many extents.
    Extents(Block, u64),
    /// The root of a tree of extents.
    Tree(Block),
}

impl Inode {
    /// Read the inode `number`, whose bytes are `raw`.
    ///
    /// # Errors
    /// It is damaged or not in use.
    pub(super) fn read(raw: Block, number: u64, superblock: &Superblock) -> Result<Self, FsError> {
        let (mode, version, is_v5) = (raw.u16(2)?, raw.u8(4)?, superblock.is_v5);
        if raw.u16(0)? != MAGIC || !(if is_v5 { version == 3 } else { matches!(version, 1 | 2) }) {
            return Err(raw.corrupt(0, format!("there is no inode {number}")));
        }
        let signature = Signature { sum: 100, address: None, uuid: 160, owner: Some((152, number)) };
        superblock.check(&raw, &signature)?;
        let Some(kind) = kind_of(mode) else {
            return Err(raw.corrupt(2, format!("inode {number} is not in use, or of no known kind (mode {mode:o})")));
        };
        let flags2 = if is_v5 { raw.u64(120)? } else { 0 };
        let size = raw.u64(56)?;
        if size >> 63 != 0 {
            return Err(raw.corrupt(56, format!("inode {number} has {size} bytes")));
        }
        let core = if is_v5 { 176 } else { 100 };
        let fork_start = core + 8 * usize::from(raw.u8(82)?);
        if fork_start > raw.len() {
            return Err(raw.corrupt(82, format!("the attributes of inode {number} begin behind it")));
        }
        let (extents, attribute_extents) = if flags2 & FLAG2_LARGE_COUNTS == 0 {
            (u64::from(raw.u32(76)?), u64::from(raw.u16(80)?))
        } else {
            (raw.u64(24)?, u64::from(raw.u32(76)?))
        };
        let has_attributes = fork_start > core;
        let data_end = if has_attributes { fork_start } else { raw.len() };
        let data = Place { start: core, end: data_end, form: raw.u8(5)?, extents };
        let attributes = if has_attributes {
            Some(Place { start: fork_start, end: raw.len(), form: raw.u8(83)?, extents: attribute_extents })
        } else {
            None
        };
        let modified = if flags2 & FLAG2_BIGTIME == 0 {
            i64::from(raw.u32(40)?.cast_signed())
        } else {
            // At most 2^64 / 10^9 seconds, so it fits.
            (raw.u64(40)? / NANOSECONDS).cast_signed() + BIGTIME_START
        };
        let metadata = Metadata { kind, mode: u32::from(mode) & 0o7777, uid: raw.u32(8)?, gid: raw.u32(12)?, size, modified };
        // `di_onlink` and `di_nlink`.
        let links = if version == 1 { u32::from(raw.u16(6)?) } else { raw.u32(16)? };
        let is_realtime = kind == FileKind::File && raw.u16(90)? & FLAG_REALTIME != 0;
        Ok(Self { number, metadata, links, is_realtime, raw, data, attributes })
    }

    /// Its content.
    ///
    /// # Errors
    /// It has none that is known.
    pub(super) fn data(&self) -> Result<Fork, FsError> {
        self.fork(&self.data)
    }

    /// Its extended attributes, when it has any.
    ///
    /// # Errors
    /// They are not of a known form.
    pub(super) fn attributes(&self) -> Result<Option<Fork>, FsError> {
        self.attributes.as_ref().map(|place| self.fork(place)).transpose()
    }

    fn fork(&self, place: &Place) -> Result<Fork, FsError> {
        let raw = self.raw.part("fork", place.start, place.end - place.start)?;
        match place.form {
            1 => Ok(Fork::Local(raw)),
            2 => Ok(Fork::Extents(raw, place.extents)),
            3 => Ok(Fork::Tree(raw)),
            form => Err(self.corrupt(format!("its content has the form {form}, which is not possible"))),
        }
    }

    /// An error of this inode.
    pub(super) fn corrupt(&self, what: impl std::fmt::Display) -> FsError {
        self.raw.corrupt(0, format!("inode {}: {what}", self.number))
    }
}

/// Kinds of `di_mode` (inode(7)).
fn kind_of(mode: u16) -> Option<FileKind> {
    match mode >> 12 {
        0o01 => Some(FileKind::Pipe),
        0o02 | 0o06 => Some(FileKind::Device),
        0o04 => Some(FileKind::Directory),
        0o10 => Some(FileKind::File),
        0o12 => Some(FileKind::Symlink),
        0o14 => Some(FileKind::Socket),
        _ => None,
    }
}
