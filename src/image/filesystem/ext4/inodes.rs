//! Raw inodes of ext4, with the fields that `ext4-view` does not give.
//!
//! Names and offsets are those of Linux 6.12, fs/ext4/ext4.h, struct `ext4_inode`; checksums those of `ext4_inode_csum` in fs/ext4/inode.c.

use super::super::{FileKind, FsError, Metadata};
use super::geometry::{Geometry, u16_in, u32_in};
use crate::image::crc32c::crc32c;

/// `i_flags`.
const FLAG_ENCRYPT: u32 = 0x800;
const FLAG_INDEX: u32 = 0x1000;
const FLAG_EXTENTS: u32 = 0x8_0000;
const FLAG_EA_INODE: u32 = 0x20_0000;
const FLAG_INLINE_DATA: u32 = 0x1000_0000;
/// Where `i_extra_isize` begins: an inode of 128 bytes ends there.
const EXTRA: usize = 0x80;

/// An inode.
#[derive(Clone)]
pub(super) struct Inode {
    pub(super) number: u32,
    pub(super) metadata: Metadata,
    /// Names that lead to it. A directory with too many directories in it has 1 (`dir_nlink`).
    pub(super) links: u32,
    flags: u32,
    /// Byte of the filesystem where it begins.
    place: u64,
    /// The seed of its blocks' checksums; `None` without `metadata_csum`.
    seed: Option<u32>,
    /// All of its bytes.
    raw: Vec<u8>,
}

impl Inode {
    /// Read the inode `number`.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub(super) fn read(geometry: &Geometry, number: u32) -> Result<Self, FsError> {
        let (place, raw) = geometry.inode(number)?;
        let corrupt = |what: &str| FsError::Corrupt { offset: Some(place), what: format!("inode {number} {what}") };
        let extra_bytes = if raw.len() > EXTRA { usize::from(u16_in(&raw, EXTRA)) } else { 0 };
        if !extra_bytes.is_multiple_of(4) || EXTRA + extra_bytes > raw.len() {
            return Err(corrupt("is larger than an inode"));
        }
        let seed = geometry.seed().map(|seed| crc32c(crc32c(seed, &number.to_le_bytes()), &raw[0x64..0x68]));
        if seed.is_some_and(|seed| !has_sum(&raw, extra_bytes, seed)) {
            return Err(corrupt("fails its checksum"));
        }
        let mode = u16_in(&raw, 0);
        let kind = match mode >> 12 {
            0o4 => FileKind::Directory,
            0o10 => FileKind::File,
            0o12 => FileKind::Symlink,
            0o1 => FileKind::Pipe,
            0o14 => FileKind::Socket,
            0o2 | 0o6 => FileKind::Device,
            _ => return Err(corrupt("is of no known kind")),
        };
        let links = u32::from(u16_in(&raw, 0x1a));
        if links == 0 {
            return Err(corrupt("was deleted, and a name still leads to it"));
        }
        let wide = |low: usize, high: usize| u32::from(u16_in(&raw, high)) << 16 | u32::from(u16_in(&raw, low));
        // `ext4_isize`.
        let has_wide_size = kind == FileKind::File || geometry.has_large_directories();
        let size_high = if has_wide_size { u64::from(u32_in(&raw, 0x6c)) } else { 0 };
        // `i_mtime_extra` of the extra bytes: two more bits of seconds, below nanoseconds.
        let epoch = if extra_bytes >= 0x8c - EXTRA { i64::from(u32_in(&raw, 0x88) & 3) << 32 } else { 0 };
        let metadata = Metadata {
            kind,
            mode: u32::from(mode) & 0o7777,
            uid: wide(0x2, 0x78),
            gid: wide(0x18, 0x7a),
            size: size_high << 32 | u64::from(u32_in(&raw, 0x4)),
            modified: i64::from(u32_in(&raw, 0x10).cast_signed()) + epoch,
        };
        Ok(Self { number, metadata, links, flags: u32_in(&raw, 0x20), place, seed, raw })
    }

    /// `i_block`: the root of the tree of extents, numbers of blocks, a link's target, or the first bytes of the content.
    pub(super) fn block(&self) -> &[u8] {
        &self.raw[0x28..0x64]
    }

    /// The bytes for attributes behind the inode's own fields; none in an inode of 128 bytes.
    pub(super) fn attributes(&self) -> &[u8] {
        if self.raw.len() <= EXTRA { &[] } else { &self.raw[EXTRA + usize::from(u16_in(&self.raw, EXTRA))..] }
    }

    /// `i_file_acl`: the block with more attributes; 0 when there is none.
    pub(super) fn attribute_block(&self) -> u64 {
        u64::from(u16_in(&self.raw, 0x76)) << 32 | u64::from(u32_in(&self.raw, 0x68))
    }

    /// Whether its content is in the inode.
    pub(super) fn is_inline(&self) -> bool {
        self.flags & FLAG_INLINE_DATA != 0
    }

    /// Whether `i_block` is the root of a tree of extents.
    pub(super) fn has_extents(&self) -> bool {
        self.flags & FLAG_EXTENTS != 0
    }

    /// Whether the directory has an index of hashes among its blocks.
    pub(super) fn is_indexed(&self) -> bool {
        self.flags & FLAG_INDEX != 0
    }

    /// Whether it holds the value of an attribute.
    pub(super) fn is_attribute(&self) -> bool {
        self.flags & FLAG_EA_INODE != 0
    }

    /// Whether content and names in it are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.flags & FLAG_ENCRYPT != 0
    }

    /// Whether the checksum `said` of a block is wrong. `parts` are the bytes that the checksum covers.
    pub(super) fn fails_sum(&self, said: u32, parts: &[&[u8]]) -> bool {
        self.seed.is_some_and(|seed| parts.iter().fold(seed, |sum, part| crc32c(sum, part)) != said)
    }

    /// Whether its blocks have checksums.
    pub(super) fn has_sums(&self) -> bool {
        self.seed.is_some()
    }

    /// An error: the inode is damaged as `what` says.
    pub(super) fn corrupt(&self, what: impl std::fmt::Display) -> FsError {
        FsError::Corrupt { offset: Some(self.place), what: format!("inode {}: {what}", self.number) }
    }
}

/// Whether the checksum of the inode `raw` is right: 16 bits of it, and 16 more where the extra bytes have a field for them. The fields count
/// as zeros.
fn has_sum(raw: &[u8], extra_bytes: usize, seed: u32) -> bool {
    let sum = crc32c(crc32c(seed, &raw[..0x7c]), &[0; 2]);
    let sum = crc32c(sum, &raw[0x7e..EXTRA]);
    if extra_bytes < 4 {
        return crc32c(sum, &raw[EXTRA..]) & 0xffff == u32::from(u16_in(raw, 0x7c));
    }
    let sum = crc32c(crc32c(sum, &raw[EXTRA..0x82]), &[0; 2]);
    crc32c(sum, &raw[0x84..]) == u32::from(u16_in(raw, 0x82)) << 16 | u32::from(u16_in(raw, 0x7c))
}
