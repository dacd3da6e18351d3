//! The superblock of an XFS: how large everything is, and which features its blocks have.
//!
//! Names, offsets and limits are those of Linux (fs/xfs/libxfs/xfs_format.h, struct `xfs_dsb`; checks of libxfs/xfs_sb.c,
//! `xfs_validate_sb_common`).

use std::ops::RangeInclusive;

use super::block::{BASIC_BLOCK_BYTES, Block, corrupt};
use crate::base::read_at::ReadAt;
use crate::base::uuid::Uuid;
use crate::image::filesystem::FsError;

/// Bytes of the superblock that are read before its sector's size is known.
const SUPERBLOCK_BYTES: u64 = 512;
/// The fewest blocks of an allocation group (`XFS_MIN_AG_BLOCKS`).
const MIN_GROUP_BLOCKS: u64 = 64;

/// `sb_versionnum`.
const VERSION_SHARED: u16 = 0x200;
const VERSION_LOG_V2: u16 = 0x400;
const VERSION_DIR_V2: u16 = 0x2000;
const VERSION_CASELESS: u16 = 0x4000;
const VERSION_MORE: u16 = 0x8000;
/// `sb_features2`: 1 and 4 are reserved, the others are lazy counters, attributes' place, long project ids, checksums, and types in names.
const FEATURES2_KNOWN: u32 = 0x1 | 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | FEATURES2_FTYPE;
const FEATURES2_FTYPE: u32 = 0x200;
/// `sb_features_incompat`.
const INCOMPAT_FTYPE: u32 = 1;
const INCOMPAT_META_UUID: u32 = 1 << 2;
/// Types in names, sparse inodes, the metadata's own id, large times, large counters of extents, exchanged ranges, parent pointers.
const INCOMPAT_READ: u32 = INCOMPAT_FTYPE | 1 << 1 | INCOMPAT_META_UUID | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7;
/// Features that are refused by their names.
const INCOMPAT_REFUSED: [(u32, &str); 4] = [
    (1 << 4, "it is marked as damaged (needsrepair): run xfs_repair on it"),
    (1 << 8, "its feature metadir is not read"),
    (1 << 9, "its feature zoned is not read"),
    (1 << 10, "its feature zone-gaps is not read"),
];
/// `sb_features_ro_compat`: trees of free inodes, of blocks' owners, of shared blocks; counters of the inode trees. None is needed to read.
const RO_COMPAT_KNOWN: u32 = 0xf;

/// The fields of a superblock that are used. All sizes have been checked against each other and the disk.
pub(in crate::image) struct Superblock {
    /// Version 5: blocks have checksums and identify themselves.
    pub(in crate::image) is_v5: bool,
    pub(in crate::image) block_bits: u32,
    /// Blocks of the filesystem.
    pub(in crate::image) blocks: u64,
    /// Blocks of each allocation group but the last, which may be smaller.
    pub(in crate::image) group_blocks: u64,
    pub(in crate::image) groups: u64,
    /// Bits of a block's number that count within the group.
    group_bits: u32,
    pub(in crate::image) sector_bytes: u64,
    pub(super) inode_bits: u32,
    /// Bits of the size of a directory's block.
    pub(super) directory_bits: u32,
    /// Names in directories are followed by their type.
    pub(super) has_types: bool,
    /// `A` and `a` are the same in a name.
    pub(super) is_caseless: bool,
    pub(super) root: u64,
    pub(super) log: Log,
    pub(super) free_blocks: u64,
    pub(super) label: String,
    pub(super) uuid: Uuid,
    /// The id that blocks have.
    pub(super) meta_uuid: [u8; 16],
    /// Features that a reader may ignore, but that may change the meaning of free space.
    pub(in crate::image) unknown_ro_compat: u32,
}

/// Where the log is.
pub(super) struct Log {
    /// Byte of the filesystem at which it begins; `None` when it is on a device of its own.
    pub(super) place: Option<u64>,
    pub(super) bytes: u64,
    /// Version 2: records of more than 32 KiB.
    pub(super) is_v2: bool,
}

/// The fields with which a version 5 block identifies itself. Blocks of each kind have these fields elsewhere.
pub(in crate::image) struct Signature {
    /// Byte of the checksum.
    pub(in crate::image) sum: usize,
    /// Byte of the block's address in basic blocks; an allocation group's header has none.
    pub(in crate::image) address: Option<usize>,
    /// Byte of the filesystem's id.
    pub(in crate::image) uuid: usize,
    /// Byte of the number of the inode that owns the block, and that inode.
    pub(in crate::image) owner: Option<(usize, u64)>,
}

impl Superblock {
    /// Read the superblock of the XFS that `bytes` holds.
    ///
    /// # Errors
    /// It is damaged, or says that the filesystem has features that are not read.
    pub(in crate::image) fn read(bytes: &dyn ReadAt) -> Result<Self, FsError> {
        let raw = Block::read(bytes, "superblock", 0, SUPERBLOCK_BYTES)?;
        let version = raw.u16(100)?;
        let is_v5 = match version & 0xf {
            5 => true,
            4 => false,
            other => return Err(FsError::Incompatible(format!("XFS of version {other} is not read, only versions 4 and 5"))),
        };
        let sector_bytes = u64::from(raw.u16(102)?);
        if is_v5 {
            let sector_bits = bits(&raw, 121, "sector", 9..=15, sector_bytes)?;
            Block::read(bytes, "superblock", 0, 1 << sector_bits)?.check_sum(224)?;
        }
        let features = Features::read(&raw, version, is_v5)?;
        if raw.u8(126)? != 0 {
            return Err(FsError::Incompatible("mkfs.xfs did not finish making it".to_owned()));
        }
        let sizes = Sizes::read(&raw, bytes.len())?;
        let mut label = raw.bytes(108, 12)?.split(|byte| *byte == 0);
        let log_start = raw.u64(48)?;
        let mut found = Self {
            is_v5,
            block_bits: sizes.block_bits,
            blocks: sizes.blocks,
            group_blocks: sizes.group_blocks,
            groups: sizes.groups,
            group_bits: sizes.group_bits,
            sector_bytes,
            inode_bits: sizes.inode_bits,
            directory_bits: sizes.directory_bits,
            has_types: features.has_types,
            is_caseless: version & VERSION_CASELESS != 0,
            root: raw.u64(56)?,
            log: Log { place: None, bytes: u64::from(raw.u32(96)?) << sizes.block_bits, is_v2: is_v5 || version & VERSION_LOG_V2 != 0 },
            free_blocks: raw.u64(144)?,
            label: String::from_utf8_lossy(label.next().unwrap_or_default()).into_owned(),
            uuid: Uuid(raw.array(32)?),
            meta_uuid: raw.array(if features.has_meta_uuid { 248 } else { 32 })?,
            unknown_ro_compat: features.unknown_ro_compat,
        };
        if found.free_blocks > found.blocks {
            return Err(raw.corrupt(144, "more blocks are free than there are"));
        }
        if log_start != 0 {
            let place = found.place_of(log_start, u64::from(raw.u32(96)?)).filter(|_| found.log.bytes > 0);
            found.log.place = Some(place.ok_or_else(|| raw.corrupt(48, "its log lies outside the filesystem"))?);
        }
        Ok(found)
    }

    /// Check the data that a block of version 5 has about itself. Blocks of version 4 have none.
    ///
    /// # Errors
    /// It is damaged, or not the block that was to be read.
    pub(in crate::image) fn check(&self, block: &Block, signature: &Signature) -> Result<(), FsError> {
        if !self.is_v5 {
            return Ok(());
        }
        block.check_sum(signature.sum)?;
        if block.array::<16>(signature.uuid)? != self.meta_uuid {
            return Err(block.corrupt(signature.uuid, "it belongs to another filesystem"));
        }
        if let Some(at) = signature.address
            && block.u64(at)? != block.place() / BASIC_BLOCK_BYTES
        {
            return Err(block.corrupt(at, "it belongs to another place"));
        }
        match signature.owner {
            Some((at, owner)) if block.u64(at)? != owner => Err(block.corrupt(at, "it belongs to another file")),
            _ => Ok(()),
        }
    }

    /// Bytes of a block.
    pub(in crate::image) fn block_bytes(&self) -> u64 {
        1 << self.block_bits
    }

    /// Blocks of the group `group`.
    pub(in crate::image) fn blocks_of(&self, group: u64) -> u64 {
        self.blocks.saturating_sub(group.saturating_mul(self.group_blocks)).min(self.group_blocks)
    }

    /// The byte at which the `count` blocks from `block` on begin, when all are in one group. A block's number has the group's in its high
    /// bits (`XFS_FSB_TO_AGNO`), so numbers have gaps between groups.
    pub(super) fn place_of(&self, block: u64, count: u64) -> Option<u64> {
        let (group, within) = (block >> self.group_bits, block & ((1 << self.group_bits) - 1));
        let end = within.checked_add(count)?;
        (group < self.groups && end <= self.blocks_of(group)).then(|| (group * self.group_blocks + within) << self.block_bits)
    }

    /// The byte at which the inode `number` begins (`XFS_INO_TO_AGNO`, `XFS_INO_TO_AGBNO`, `XFS_INO_TO_OFFSET`).
    pub(super) fn place_of_inode(&self, number: u64) -> Option<u64> {
        let bits = self.block_bits - self.inode_bits;
        let place = self.place_of(number >> bits, 1)?;
        Some(place + ((number & ((1 << bits) - 1)) << self.inode_bits))
    }
}

/// The features in the feature fields.
struct Features {
    has_types: bool,
    has_meta_uuid: bool,
    unknown_ro_compat: u32,
}

impl Features {
    fn read(raw: &Block, version: u16, is_v5: bool) -> Result<Self, FsError> {
        if version & VERSION_DIR_V2 == 0 {
            return Err(FsError::Incompatible("its directories have version 1, which is not read".to_owned()));
        }
        if version & VERSION_SHARED != 0 {
            return Err(FsError::Incompatible("its feature shared is not read".to_owned()));
        }
        // A padding error of old mkfs.xfs put this field into the next one: Linux takes what either says (`sb_bad_features2`).
        let features2 = if version & VERSION_MORE != 0 { raw.u32(200)? | raw.u32(204)? } else { 0 };
        if !is_v5 {
            let unknown = features2 & !FEATURES2_KNOWN;
            if unknown != 0 {
                return Err(FsError::Incompatible(format!("it has features that are not known (features2 {unknown:#x})")));
            }
            return Ok(Self { has_types: features2 & FEATURES2_FTYPE != 0, has_meta_uuid: false, unknown_ro_compat: 0 });
        }
        let incompat = raw.u32(216)?;
        if let Some((_, why)) = INCOMPAT_REFUSED.iter().find(|(bit, _)| incompat & bit != 0) {
            return Err(FsError::Incompatible((*why).to_owned()));
        }
        let unknown = incompat & !INCOMPAT_READ;
        if unknown != 0 {
            return Err(FsError::Incompatible(format!("it has features that are not known (incompat {unknown:#x})")));
        }
        Ok(Self {
            has_types: incompat & INCOMPAT_FTYPE != 0,
            has_meta_uuid: incompat & INCOMPAT_META_UUID != 0,
            unknown_ro_compat: raw.u32(212)? & !RO_COMPAT_KNOWN,
        })
    }
}

/// How large everything is.
struct Sizes {
    block_bits: u32,
    inode_bits: u32,
    directory_bits: u32,
    group_bits: u32,
    group_blocks: u64,
    groups: u64,
    blocks: u64,
}

impl Sizes {
    fn read(raw: &Block, disk_bytes: u64) -> Result<Self, FsError> {
        let block_bits = bits(raw, 120, "block", 9..=16, u64::from(raw.u32(4)?))?;
        let sector_bits = bits(raw, 121, "sector", 9..=15, u64::from(raw.u16(102)?))?;
        let inode_bits = bits(raw, 122, "inode", 8..=11, u64::from(raw.u16(104)?))?;
        let directory_bits = u32::from(raw.u8(192)?) + block_bits;
        let (group_blocks, groups, blocks) = (u64::from(raw.u32(84)?), u64::from(raw.u32(88)?), raw.u64(8)?);
        let group_bits = u32::from(raw.u8(124)?);
        if sector_bits > block_bits || inode_bits > block_bits || u32::from(raw.u8(123)?) != block_bits - inode_bits {
            return Err(raw.corrupt(120, "its sizes do not fit together"));
        }
        if directory_bits > 16 {
            return Err(raw.corrupt(192, "a directory's block has more than 64 KiB"));
        }
        // The bits are those of the number of blocks, rounded up.
        if group_blocks < MIN_GROUP_BLOCKS || group_bits > 31 || group_blocks.next_power_of_two() != 1 << group_bits {
            return Err(raw.corrupt(84, format!("its groups have {group_blocks} blocks, which {group_bits} bits cannot count")));
        }
        let most = group_blocks * groups;
        if groups == 0 || blocks > most || blocks < most - group_blocks + MIN_GROUP_BLOCKS {
            return Err(raw.corrupt(8, format!("{groups} groups of {group_blocks} blocks are not {blocks} blocks")));
        }
        if blocks.checked_mul(1 << block_bits).is_none_or(|size| size > disk_bytes) {
            let what = format!("it has {blocks} blocks of {} bytes, its partition only {disk_bytes} bytes", 1u64 << block_bits);
            return Err(corrupt(8, what));
        }
        Ok(Self { block_bits, inode_bits, directory_bits, group_bits, group_blocks, groups, blocks })
    }
}

/// The binary logarithm at byte `at`, when it is one of `possible` and that of `size`.
fn bits(raw: &Block, at: usize, what: &str, possible: RangeInclusive<u32>, size: u64) -> Result<u32, FsError> {
    let bits = u32::from(raw.u8(at)?);
    if possible.contains(&bits) && size == 1 << bits {
        return Ok(bits);
    }
    Err(raw.corrupt(at, format!("a {what} of {size} bytes is not possible, or is not 2^{bits}")))
}
