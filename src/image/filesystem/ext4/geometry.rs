//! Where things are in an ext4: block sizes, features, group descriptors, inode tables.
//!
//! Names are the kernel's (Linux 6.12, fs/ext4/ext4.h, structs `ext4_super_block` and `ext4_group_desc`); `ext4_get_group_desc`,
//! `descriptor_loc` and `ext4_bg_has_super` of fs/ext4/super.c and balloc.c say where a descriptor is.

use std::cell::RefCell;
use std::collections::HashMap;

use super::super::FsError;
use crate::base::read_at::{ReadAt, Stored};
use crate::image::crc32c::crc32c;
use crate::image::read_at::Slice;

/// `s_feature_compat`: backups stand in the two groups of `s_backup_bgs`.
const COMPAT_SPARSE_SUPER2: u32 = 0x200;
/// `s_feature_incompat`.
const INCOMPAT_FILETYPE: u32 = 0x2;
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_META_BG: u32 = 0x10;
const INCOMPAT_64BIT: u32 = 0x80;
const INCOMPAT_CSUM_SEED: u32 = 0x2000;
const INCOMPAT_LARGEDIR: u32 = 0x4000;
/// Those that are read: filetype, recover, meta_bg, extents, 64bit, mmp, flex_bg, ea_inode, metadata_csum_seed, large_dir, inline_data and
/// encrypt, of which only the encrypted files are refused.
const INCOMPAT_KNOWN: u32 = 0x2 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000;
/// Names of the others; where mke2fs makes such filesystems, its own.
const INCOMPAT_NAMES: [(u32, &str); 4] = [(0x1, "compression"), (0x8, "journal_dev"), (0x1000, "dirdata"), (0x2_0000, "casefold")];
/// `s_feature_ro_compat`.
const RO_COMPAT_SPARSE_SUPER: u32 = 0x1;
const RO_COMPAT_METADATA_CSUM: u32 = 0x400;
/// Bytes that are read around an inode: its neighbours are asked for next.
const INODES_BYTES: u64 = 16 << 10;

/// The bytes of an ext4, and where in them things are.
pub(super) struct Geometry {
    bytes: Slice,
    /// Bytes of a block: a power of two from 1 KiB to 64 KiB.
    pub(super) block_bytes: u64,
    /// Blocks of the filesystem.
    blocks: u64,
    first_block: u64,
    blocks_per_group: u64,
    /// The highest number of an inode.
    inodes: u32,
    inodes_per_group: u32,
    /// Bytes of an inode: a power of two from 128 to a block.
    inode_bytes: u64,
    descriptor_bytes: u64,
    first_meta_bg: u64,
    compat: u32,
    incompat: u32,
    ro_compat: u32,
    backup_groups: [u32; 2],
    /// The seed of the checksums of metadata; `None` without `metadata_csum`.
    seed: Option<u32>,
    /// First blocks of the inode tables that were asked for, by group.
    tables: RefCell<HashMap<u64, u64>>,
    /// The bytes that were last read around an inode, and where they begin.
    inodes_read: RefCell<(u64, Vec<u8>)>,
}

impl Geometry {
    /// Read the superblock of `bytes`, which [`crate::image::superblock::Superblock`] has found plausible.
    ///
    /// # Errors
    /// It holds values that cannot be, fails its checksum, or has features that are not read.
    pub(super) fn read(bytes: Slice) -> Result<Self, FsError> {
        let mut raw = [0; 1024];
        bytes.read_at(1024, &mut raw)?;
        let (u16_at, u32_at) = (|at: usize| u16_in(&raw, at), |at: usize| u32_in(&raw, at));
        let (compat, incompat, ro_compat) = (u32_at(0x5c), u32_at(0x60), u32_at(0x64));
        let unknown = incompat & !INCOMPAT_KNOWN;
        if unknown != 0 {
            let named = INCOMPAT_NAMES.into_iter().filter(|(bit, _)| unknown & bit != 0).map(|(_, name)| name.to_owned());
            let rest = INCOMPAT_NAMES.into_iter().fold(unknown, |rest, (bit, _)| rest & !bit);
            let names: Vec<_> = named.chain((rest != 0).then(|| format!("{rest:#x}"))).collect();
            return Err(FsError::Incompatible(format!("it has the feature {}, which is not read", names.join(", "))));
        }
        let is_wide = incompat & INCOMPAT_64BIT != 0;
        let high = if is_wide { u64::from(u32_at(0x150)) } else { 0 };
        let has_sums = ro_compat & RO_COMPAT_METADATA_CSUM != 0;
        let own_seed = if incompat & INCOMPAT_CSUM_SEED != 0 { u32_at(0x270) } else { crc32c(!0, &raw[0x68..0x78]) };
        // Revision 0 has no size of inodes in its superblock (`EXT4_GOOD_OLD_INODE_SIZE`).
        let inode_bytes = if u32_at(0x4c) == 0 { 128 } else { u64::from(u16_at(0x58)) };
        let read = Self {
            bytes,
            block_bytes: 1 << (10 + u32_at(0x18).min(6)),
            blocks: high << 32 | u64::from(u32_at(0x4)),
            first_block: u64::from(u32_at(0x14)),
            blocks_per_group: u64::from(u32_at(0x20)),
            inodes: u32_at(0),
            inodes_per_group: u32_at(0x28),
            inode_bytes,
            descriptor_bytes: if is_wide { u64::from(u16_at(0xfe)) } else { 32 },
            first_meta_bg: u64::from(u32_at(0x104)),
            compat,
            incompat,
            ro_compat,
            backup_groups: [u32_at(0x24c), u32_at(0x250)],
            seed: has_sums.then_some(own_seed),
            tables: RefCell::default(),
            inodes_read: RefCell::default(),
        };
        let is_sound = read.inode_bytes.is_power_of_two()
            && (128..=read.block_bytes).contains(&read.inode_bytes)
            && read.descriptor_bytes.is_power_of_two()
            && (if is_wide { 64 } else { 32 }..=read.block_bytes).contains(&read.descriptor_bytes)
            && read.first_block < read.blocks
            && read.blocks_per_group > 0
            && (1..=8 * read.block_bytes).contains(&u64::from(read.inodes_per_group))
            && u64::from(read.inodes) <= read.groups().saturating_mul(u64::from(read.inodes_per_group));
        if !is_sound {
            return Err(FsError::Corrupt { offset: Some(1024), what: "its superblock holds values that cannot be".to_owned() });
        }
        if has_sums && crc32c(!0, &raw[..0x3fc]) != u32_at(0x3fc) {
            return Err(FsError::Corrupt { offset: Some(1024), what: "its superblock fails its checksum".to_owned() });
        }
        Ok(read)
    }

    /// Whether changes wait in the journal, so that what stands here is not what counts.
    pub(super) fn needs_replay(&self) -> bool {
        self.incompat & INCOMPAT_RECOVER != 0
    }

    /// Whether entries of directories have a byte for the file's type. Without it the length of a name has 16 bits.
    pub(super) fn has_filetype(&self) -> bool {
        self.incompat & INCOMPAT_FILETYPE != 0
    }

    /// Whether directories can have 4 GiB and more.
    pub(super) fn has_large_directories(&self) -> bool {
        self.incompat & INCOMPAT_LARGEDIR != 0
    }

    /// The seed of the checksums of metadata; `None` without `metadata_csum`.
    pub(super) fn seed(&self) -> Option<u32> {
        self.seed
    }

    /// Bytes of the filesystem.
    pub(super) fn bytes_of_all(&self) -> u64 {
        // `Superblock::read` has found them in its partition.
        self.blocks * self.block_bytes
    }

    /// Byte at which the block `number` begins.
    ///
    /// # Errors
    /// There is no such block.
    pub(super) fn place(&self, number: u64) -> Result<u64, FsError> {
        if number <= self.first_block || number >= self.blocks {
            return Err(FsError::Corrupt { offset: None, what: format!("block {number} lies outside the filesystem") });
        }
        Ok(number * self.block_bytes)
    }

    /// The block `number`.
    ///
    /// # Errors
    /// There is no such block, or it cannot be read.
    pub(super) fn block(&self, number: u64) -> Result<Vec<u8>, FsError> {
        let mut block = vec![0; usize::try_from(self.block_bytes).unwrap_or_default()];
        self.bytes.read_at(self.place(number)?, &mut block)?;
        Ok(block)
    }

    /// Fill `buf` with the bytes that begin at byte `within` of the block `number` and may go on in those that follow.
    ///
    /// # Errors
    /// There are no such blocks, or they cannot be read.
    pub(super) fn read_blocks(&self, number: u64, within: u64, buf: &mut [u8]) -> Result<(), FsError> {
        let last = number.saturating_add((within + buf.len() as u64).div_ceil(self.block_bytes).saturating_sub(1));
        self.place(last)?;
        Ok(self.bytes.read_at(self.place(number)? + within, buf)?)
    }

    /// Where the bytes are stored that begin at byte `within` of the block `number`, and for how many of them, at most `len`, that goes on.
    ///
    /// # Errors
    /// There is no such block, or it cannot be determined.
    pub(super) fn stored(&self, number: u64, within: u64, len: u64) -> Result<(u64, Option<Stored>), FsError> {
        Ok(self.bytes.stored(self.place(number)? + within, len)?)
    }

    /// The raw inode `number`, and the byte at which it begins.
    ///
    /// # Errors
    /// There is no such inode, or its group's descriptor is damaged.
    pub(super) fn inode(&self, number: u32) -> Result<(u64, Vec<u8>), FsError> {
        if number == 0 || number > self.inodes {
            return Err(FsError::Corrupt { offset: None, what: format!("inode {number} lies outside the filesystem") });
        }
        let (group, index) = (u64::from((number - 1) / self.inodes_per_group), u64::from((number - 1) % self.inodes_per_group));
        let within = index * self.inode_bytes;
        let block = self.table(group)?.saturating_add(within / self.block_bytes);
        let place = self.place(block)? + within % self.block_bytes;
        let size = usize::try_from(self.inode_bytes).unwrap_or_default();
        let mut cache = self.inodes_read.borrow_mut();
        let cached = |cache: &(u64, Vec<u8>)| {
            let start = usize::try_from(place.checked_sub(cache.0)?).ok()?;
            cache.1.get(start..start.checked_add(size)?).map(<[u8]>::to_vec)
        };
        if let Some(raw) = cached(&cache) {
            return Ok((place, raw));
        }
        let start = place / INODES_BYTES * INODES_BYTES;
        let len = INODES_BYTES.max(self.inode_bytes).min(self.bytes.len() - start);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        self.bytes.read_at(start, &mut bytes)?;
        *cache = (start, bytes);
        let raw = cached(&cache).ok_or(std::io::ErrorKind::UnexpectedEof).map_err(std::io::Error::from)?;
        Ok((place, raw))
    }

    /// Groups of the filesystem.
    fn groups(&self) -> u64 {
        (self.blocks - self.first_block).div_ceil(self.blocks_per_group)
    }

    /// The first block of the inode table of `group`.
    fn table(&self, group: u64) -> Result<u64, FsError> {
        if let Some(table) = self.tables.borrow().get(&group) {
            return Ok(*table);
        }
        let per_block = self.block_bytes / self.descriptor_bytes;
        let place = self.descriptor_block(group / per_block) * self.block_bytes + group % per_block * self.descriptor_bytes;
        let mut raw = vec![0; usize::try_from(self.descriptor_bytes).unwrap_or_default()];
        self.bytes.read_at(place, &mut raw)?;
        if let Some(seed) = self.seed {
            let group = u32::try_from(group).unwrap_or(u32::MAX);
            // `ext4_group_desc_csum`: the checksum itself, at 0x1e, counts as zeros.
            let parts = [&group.to_le_bytes()[..], &raw[..0x1e], &[0; 2], &raw[0x20..]];
            let sum = parts.into_iter().fold(seed, crc32c);
            if (sum & 0xffff) as u16 != u16_in(&raw, 0x1e) {
                return Err(FsError::Corrupt { offset: Some(place), what: format!("the descriptor of group {group} fails its checksum") });
            }
        }
        let high = if self.descriptor_bytes >= 64 { u64::from(u32_in(&raw, 0x28)) } else { 0 };
        let table = high << 32 | u64::from(u32_in(&raw, 0x8));
        self.tables.borrow_mut().insert(group, table);
        Ok(table)
    }

    /// The block with the descriptors of the `number`th block of them.
    fn descriptor_block(&self, number: u64) -> u64 {
        if self.incompat & INCOMPAT_META_BG == 0 || number < self.first_meta_bg {
            return 1024 / self.block_bytes + 1 + number;
        }
        // With meta_bg they stand in the first of the groups that they describe, behind a copy of the superblock if it has one.
        let group = number * (self.block_bytes / self.descriptor_bytes);
        let superblock = u64::from(self.has_superblock(group));
        let unused = u64::from(self.block_bytes == 1024 && number == 0 && self.first_block == 0);
        group * self.blocks_per_group + self.first_block + superblock + unused
    }

    /// Whether `group` begins with a copy of the superblock.
    fn has_superblock(&self, group: u64) -> bool {
        let is_power_of = |base: u64| (1..=20).map(|exponent| base.saturating_pow(exponent)).any(|power| power == group);
        match group {
            0 => true,
            _ if self.compat & COMPAT_SPARSE_SUPER2 != 0 => self.backup_groups.iter().any(|backup| u64::from(*backup) == group),
            _ if self.ro_compat & RO_COMPAT_SPARSE_SUPER != 0 => group == 1 || [3, 5, 7].into_iter().any(is_power_of),
            _ => true,
        }
    }
}

pub(super) fn u16_in(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_in(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_in(bytes, at + 2)) << 16 | u32::from(u16_in(bytes, at))
}
