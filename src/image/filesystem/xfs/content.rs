//! The content of files and symbolic links of an XFS.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::block::Block;
use super::inode::{Fork, Inode};
use super::mapping::{Mapping, Source};
use super::superblock::{Signature, Superblock};
use crate::base::read_at::{ReadAt, Stored};
use crate::image::filesystem::{Content, FsError};

/// Bytes of a link's target (`XFS_SYMLINK_MAXLEN`, fs/xfs/libxfs/xfs_fs.h).
const MAX_TARGET_BYTES: u64 = 1024;
/// `XSLM`, of each run of a target's blocks; only where there are checksums (`xfs_dsymlink_hdr`, libxfs/xfs_format.h).
const TARGET_MAGIC: u32 = 0x5853_4c4d;
const TARGET_HEADER_BYTES: usize = 56;

/// A regular file.
pub(super) struct XfsFile<'a> {
    bytes: &'a dyn ReadAt,
    block_bits: u32,
    size: u64,
    mapping: Mapping<'a>,
}

impl<'a> XfsFile<'a> {
    /// Open the regular file `inode`.
    ///
    /// # Errors
    /// It is damaged, or on a realtime device.
    pub(super) fn open(bytes: &'a dyn ReadAt, superblock: &'a Superblock, inode: &Inode) -> Result<Self, FsError> {
        if inode.is_realtime {
            return Err(FsError::Incompatible(format!("inode {} is on the realtime device, which is not read", inode.number)));
        }
        let fork = match inode.data()? {
            Fork::Local(_) => return Err(inode.corrupt("a file's content cannot be in the inode")),
            fork => fork,
        };
        let mapping = Mapping::new(bytes, superblock, inode.number, &fork)?;
        Ok(Self { bytes, block_bits: superblock.block_bits, size: inode.metadata.size, mapping })
    }
}

impl Content for XfsFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, FsError> {
        let wanted = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        let mut filled = 0;
        while filled < wanted {
            let at = offset + filled as u64;
            let (block, within) = (at >> self.block_bits, at & ((1 << self.block_bits) - 1));
            let run = self.mapping.find(block)?;
            // A hole may reach as far as can be counted.
            let bytes = run.count.saturating_mul(1 << self.block_bits) - within;
            let count = usize::try_from(bytes).unwrap_or(usize::MAX).min(wanted - filled);
            let part = &mut buf[filled..filled + count];
            match run.source {
                Source::At(place) => self.bytes.read_at(place + within, part)?,
                Source::Unwritten | Source::Hole => part.fill(0),
            }
            filled += count;
        }
        Ok(filled)
    }

    fn stored(&mut self, offset: u64) -> Result<(u64, Option<Stored>), FsError> {
        let left = self.size.saturating_sub(offset);
        if left == 0 {
            return Ok((0, None));
        }
        let (block, within) = (offset >> self.block_bits, offset & ((1 << self.block_bits) - 1));
        let run = self.mapping.find(block)?;
        let left = (run.count.saturating_mul(1 << self.block_bits) - within).min(left);
        match run.source {
            Source::At(place) => Ok(self.bytes.stored(place + within, left)?),
            Source::Unwritten | Source::Hole => Ok((left, None)),
        }
    }
}

/// Where the symbolic link `inode` points.
///
/// # Errors
/// It is damaged.
pub(super) fn target(bytes: &dyn ReadAt, superblock: &Superblock, inode: &Inode) -> Result<PathBuf, FsError> {
    let size = inode.metadata.size;
    if !(1..=MAX_TARGET_BYTES).contains(&size) {
        return Err(inode.corrupt(format!("a link cannot have {size} bytes")));
    }
    // It is at most 1024, so it fits.
    let size = size as usize;
    let target = match inode.data()? {
        Fork::Local(raw) => raw.bytes(0, size)?.to_vec(),
        fork => {
            let (mut target, mut block) = (Vec::new(), 0);
            let mut mapping = Mapping::new(bytes, superblock, inode.number, &fork)?;
            while target.len() < size {
                let run = mapping.find(block)?;
                let Source::At(place) = run.source else { return Err(inode.corrupt("a part of the link has no place")) };
                // Each run has one header, however many blocks it has; its blocks are as many as the rest needs.
                let header = if superblock.is_v5 { TARGET_HEADER_BYTES } else { 0 };
                let needed = ((size - target.len() + header) as u64).div_ceil(superblock.block_bytes());
                let count = run.count.min(needed);
                let raw = Block::read(bytes, "link", place, count << superblock.block_bits)?;
                let len = (raw.len() - header).min(size - target.len());
                if superblock.is_v5 {
                    if raw.u32(0)? != TARGET_MAGIC || raw.u32(4)? as usize != target.len() || raw.u32(8)? as usize != len {
                        return Err(raw.corrupt(0, "this is not the next part of it"));
                    }
                    superblock.check(&raw, &Signature { sum: 12, address: Some(40), uuid: 16, owner: Some((32, inode.number)) })?;
                }
                target.extend_from_slice(raw.bytes(header, len)?);
                block += count;
            }
            target
        }
    };
    if target.contains(&0) {
        return Err(inode.corrupt("the link holds a zero byte"));
    }
    Ok(OsString::from_vec(target).into())
}
