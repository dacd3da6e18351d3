//! Tells by its first bytes which filesystem a partition holds, and reads the fields of ext4's superblock that `ext4-view` does not give.

use serde::Serialize;

use crate::base::read_at::ReadAt;
use crate::base::uuid::Uuid;

/// The content of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum FilesystemType {
    Ext4,
    Xfs,
    Btrfs,
    Vfat,
    Swap,
    Lvm,
    Luks,
}

impl FilesystemType {
    /// The name `blkid` gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Vfat => "vfat",
            Self::Swap => "swap",
            Self::Lvm => "LVM2_member",
            Self::Luks => "crypto_LUKS",
        }
    }

    /// Look at `bytes`. ext2 and ext3 count as ext4: the same reader reads them. Offsets and magic numbers are those of libblkid.
    pub fn detect(bytes: &dyn ReadAt) -> Option<Self> {
        [
            (1024 + 0x38, &b"\x53\xef"[..], Self::Ext4),
            (0, b"XFSB", Self::Xfs),
            (0x1_0040, b"_BHRfS_M", Self::Btrfs),
            (0, b"LUKS\xba\xbe", Self::Luks),
            (512 + 24, b"LVM2 001", Self::Lvm),
            (4096 - 10, b"SWAPSPACE2", Self::Swap),
            (82, b"FAT32   ", Self::Vfat),
            (54, b"FAT1", Self::Vfat),
        ]
        .into_iter()
        .find(|(offset, magic, _)| {
            let mut found = vec![0; magic.len()];
            bytes.read_at(*offset, &mut found).is_ok() && found == *magic
        })
        .map(|(.., kind)| kind)
    }
}

/// The fields of an ext4 superblock that are used. Names are the kernel's (`fs/ext4/ext4.h`, struct `ext4_super_block`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) label: String,
    pub(crate) uuid: Uuid,
    /// It was unmounted, and no error is on record.
    pub(crate) is_clean: bool,
    /// Bytes of all blocks, and of those that no file uses.
    pub(crate) size: u64,
    pub(crate) free: u64,
}

/// `s_state`: unmounted cleanly; errors detected.
const STATE_VALID: u16 = 1;
const STATE_ERROR: u16 = 2;
/// `s_feature_incompat`: the journal holds what is not yet in its place; the filesystem has 64-bit block numbers.
const INCOMPAT_RECOVER: u32 = 0x4;
const INCOMPAT_64BIT: u32 = 0x80;
/// Most block groups that are read. mke2fs makes one for each 128 MiB, so this is 128 TiB; a reader's table of them has 64 MiB then.
const MAX_GROUPS: u64 = 1 << 20;

impl Superblock {
    /// Read the superblock of the ext4 that `bytes` holds. Its sizes are checked here, because the next reader would allocate what a
    /// superblock claims. The error says in words what is wrong.
    pub(crate) fn read(bytes: &dyn ReadAt) -> Result<Self, String> {
        let mut raw = [0; 1024];
        bytes.read_at(1024, &mut raw).map_err(|error| format!("its superblock cannot be read: {error}"))?;
        let u16_at = |offset: usize| u16::from_le_bytes([raw[offset], raw[offset + 1]]);
        let u32_at = |offset: usize| u32::from_le_bytes([raw[offset], raw[offset + 1], raw[offset + 2], raw[offset + 3]]);
        let incompat = u32_at(0x60);
        let high = if incompat & INCOMPAT_64BIT != 0 { u64::from(u32_at(0x150)) } else { 0 };
        let blocks = high << 32 | u64::from(u32_at(0x4));
        let free_high = if incompat & INCOMPAT_64BIT != 0 { u64::from(u32_at(0x158)) } else { 0 };
        let free = free_high << 32 | u64::from(u32_at(0xc));
        let (block_bits, per_group) = (u32_at(0x18).saturating_add(10), u64::from(u32_at(0x20)));
        if !(10..=16).contains(&block_bits) || per_group == 0 {
            return Err("its superblock makes no sense".to_owned());
        }
        let size = blocks.checked_mul(1 << block_bits);
        if size.is_none_or(|size| size > bytes.len()) {
            return Err(format!("it has {blocks} blocks of {} bytes, its partition only {} bytes", 1u64 << block_bits, bytes.len()));
        }
        if blocks / per_group > MAX_GROUPS {
            return Err(format!("it has {} block groups", blocks / per_group));
        }
        let state = u16_at(0x3a);
        let label = raw[0x78..0x88].split(|byte| *byte == 0).next().unwrap_or_default();
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&raw[0x68..0x78]);
        Ok(Self {
            label: String::from_utf8_lossy(label).into_owned(),
            uuid: Uuid(uuid),
            is_clean: state & STATE_VALID != 0 && state & STATE_ERROR == 0 && incompat & INCOMPAT_RECOVER == 0,
            size: blocks << block_bits,
            // Linux counts the free blocks itself, so a wrong count does no harm.
            free: free.min(blocks) << block_bits,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_that_would_cost_memory_are_refused() {
        let mut bytes = vec![0u8; 1 << 20];
        let mut put = |offset: usize, value: u32| bytes[1024 + offset..1024 + offset + 4].copy_from_slice(&value.to_le_bytes());
        put(0x4, 256);
        put(0x18, 2);
        put(0x20, 32768);
        put(0x38, 0x0001_ef53);
        assert_eq!(Superblock::read(&bytes).map(|superblock| superblock.is_clean), Ok(true));
        for (offset, value, complaint) in [
            (0x60, INCOMPAT_RECOVER, ""),
            (0x38, 0x0003_ef53, ""),
            (0x4, 257, "it has 257 blocks of 4096 bytes, its partition only 1048576 bytes"),
            (0x20, 0, "its superblock makes no sense"),
            (0x18, 7, "its superblock makes no sense"),
        ] {
            let mut bytes = bytes.clone();
            bytes[1024 + offset..1024 + offset + 4].copy_from_slice(&value.to_le_bytes());
            let read = Superblock::read(&bytes);
            let expected = if complaint.is_empty() { Ok(false) } else { Err(complaint.to_owned()) };
            assert_eq!(read.map(|superblock| superblock.is_clean), expected);
        }
        assert_eq!(FilesystemType::detect(&bytes), Some(FilesystemType::Ext4));
        assert_eq!(FilesystemType::detect(&vec![0; 100]), None);
    }
}
