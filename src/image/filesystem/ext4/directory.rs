//! The names in a directory of ext4: block after block. An index of hashes is in blocks that look empty to a reader of names.
//!
//! Layouts and checksums are those of Linux 6.12: fs/ext4/ext4.h, `ext4_dir_entry_2` and `ext4_dir_entry_tail`; fs/ext4/namei.c, `dx_root`,
//! `ext4_dx_csum`; fs/ext4/inline.c.

use std::ops::ControlFlow;

use super::super::{Content, FsError};
use super::content::Bytes;
use super::entries::inline_content;
use super::geometry::{Geometry, u16_in, u32_in};
use super::inodes::Inode;

/// Bytes of an entry before its name.
const HEAD_BYTES: usize = 8;
/// The entry at the end of a block that holds its checksum, and the type that marks it.
const TAIL_BYTES: usize = 12;
const TAIL_TYPE: u8 = 0xde;
/// Bytes of `i_block` before the names of a directory within its inode: the parent's number.
const INLINE_PARENT_BYTES: usize = 4;

/// Called with each name and the number of its inode. Returns whether to go on.
pub(super) type Visitor<'v> = dyn FnMut(&[u8], u32) -> Result<ControlFlow<()>, FsError> + 'v;

/// Tell `visit` each name in `directory` but `.` and `..`, in the order of the disk.
///
/// # Errors
/// The directory is damaged or encrypted, or `visit` fails.
pub(super) fn visit(geometry: &Geometry, directory: &Inode, visit: &mut Visitor) -> Result<(), FsError> {
    let lists = Lists { geometry, directory };
    if directory.is_inline() {
        let content = inline_content(directory)?;
        let (block, more) = content.split_at(content.len().min(directory.block().len()));
        if lists.visit(&block[INLINE_PARENT_BYTES..], visit)?.is_continue() {
            let _ = lists.visit(more, visit)?;
        }
        return Ok(());
    }
    let mut bytes = Bytes::of(geometry, directory)?;
    let mut block = vec![0; usize::try_from(geometry.block_bytes).unwrap_or_default()];
    // Only the blocks within its size. Their places were checked, so there are no more than the filesystem has, unless there are holes
    // between them.
    let size = directory.metadata.size;
    if !size.is_multiple_of(geometry.block_bytes) || size > geometry.bytes_of_all() {
        return Err(directory.corrupt(format!("a directory has {size} bytes")));
    }
    for at in (0..size).step_by(block.len()) {
        let mut filled = 0;
        while filled < block.len() {
            filled += bytes.read_at(at + filled as u64, &mut block[filled..])?;
        }
        lists.check(&block, at == 0)?;
        if lists.visit(&block, visit)?.is_break() {
            break;
        }
    }
    Ok(())
}

struct Lists<'a> {
    geometry: &'a Geometry,
    directory: &'a Inode,
}

impl Lists<'_> {
    /// Tell `visit` the names in `list`: a block, or a part of an inode.
    fn visit(&self, list: &[u8], visit: &mut Visitor) -> Result<ControlFlow<()>, FsError> {
        let mut at = 0;
        while at + HEAD_BYTES <= list.len() {
            let entry = &list[at..];
            let bytes = self.entry_bytes(entry);
            let name_bytes = usize::from(if self.geometry.has_filetype() { u16::from(entry[6]) } else { u16_in(entry, 6) });
            if bytes < HEAD_BYTES + name_bytes || !bytes.is_multiple_of(4) || bytes > entry.len() {
                return Err(self.directory.corrupt(format!("an entry of the directory has {bytes} bytes, its name {name_bytes}")));
            }
            let (inode, name) = (u32_in(entry, 0), &entry[HEAD_BYTES..HEAD_BYTES + name_bytes]);
            if inode != 0 && name != b"." && name != b".." && visit(name, inode)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            at += bytes;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// `ext4_rec_len_from_disk`: with blocks of 64 KiB the whole of one does not fit into 16 bits.
    fn entry_bytes(&self, entry: &[u8]) -> usize {
        let block = usize::try_from(self.geometry.block_bytes).unwrap_or_default();
        match usize::from(u16_in(entry, 4)) {
            0 | 0xffff if block == 1 << 16 => block,
            len if block == 1 << 16 => len & 0xfffc | (len & 3) << 16,
            len => len,
        }
    }

    /// Verify the checksum of a block.
    fn check(&self, block: &[u8], is_first: bool) -> Result<(), FsError> {
        if !self.directory.has_sums() {
            return Ok(());
        }
        let is_right = match self.index_place(block, is_first).filter(|_| self.directory.is_indexed()) {
            Some(place) => self.is_index_right(block, place),
            None => {
                let tail = block.len() - TAIL_BYTES;
                // `ext4_initialize_dirent_tail`.
                let is_tail = u32_in(block, tail) == 0 && u16_in(block, tail + 4) == TAIL_BYTES as u16 && block[tail + 7] == TAIL_TYPE;
                is_tail && !self.directory.fails_sum(u32_in(block, tail + 8), &[&block[..tail]])
            }
        };
        if is_right { Ok(()) } else { Err(self.directory.corrupt("a block of the directory fails its checksum")) }
    }

    /// Where the count of hashes is in `block` (`get_dx_countlimit`); `None` when it holds names.
    fn index_place(&self, block: &[u8], is_first: bool) -> Option<usize> {
        if self.entry_bytes(block) == block.len() && u32_in(block, 0) == 0 {
            return Some(8);
        }
        // Behind `.` and `..`, of which the second takes all of the rest, is `dx_root_info`.
        (is_first && u16_in(block, 4) == 12 && self.entry_bytes(&block[12..]) == block.len() - 12).then_some(32)
    }

    /// `ext4_dx_csum`: hashes up to their count, then the tail that stands behind as many as there is room for.
    fn is_index_right(&self, block: &[u8], place: usize) -> bool {
        let (most, count) = (usize::from(u16_in(block, place)), usize::from(u16_in(block, place + 2)));
        let tail = place + most * 8;
        if count > most || tail + 8 > block.len() {
            return false;
        }
        !self.directory.fails_sum(u32_in(block, tail + 4), &[&block[..place + count * 8], &block[tail..tail + 4], &[0; 4]])
    }
}
