//! Tells whether the log of an XFS holds changes that were not written to their places yet.
//!
//! The last record that an unmount writes says that there are none. The last record is found as Linux finds it before it recovers
//! (fs/xfs/xfs_log_recover.c, `xlog_find_head`, `xlog_find_zeroed` and `xlog_find_tail`; layouts: libxfs/xfs_log_format.h). The log is a
//! ring of basic blocks of 512 bytes. Each begins with the number of the round in which it was written, the cycle; at the head the cycle
//! falls by one. Linux also drops a last record whose checksum is wrong, which only a crash can leave: such a log counts as not clean here.

use super::block::{BASIC_BLOCK_BYTES, Block, corrupt};
use super::superblock::{Log, Superblock};
use crate::base::read_at::ReadAt;
use crate::image::filesystem::FsError;

/// First word of a record's header (`XLOG_HEADER_MAGIC_NUM`); it is no possible cycle.
const HEADER_MAGIC: u32 = 0xfeed_babe;
/// Bytes of a record whose cycles one header keeps (`XLOG_HEADER_CYCLE_SIZE`).
const HEADER_SPAN_BYTES: u32 = 32 << 10;
/// Bytes of the longest record: of version 1 and of version 2 (`XLOG_BIG_RECORD_BSIZE`, `XLOG_MAX_RECORD_BSIZE`).
const MAX_RECORD_BYTES: [u64; 2] = [32 << 10, 256 << 10];
/// Records that may be on their way to the disk at once (`XLOG_MAX_ICLOGS`).
const MAX_RECORDS_AT_ONCE: u64 = 8;
/// `oh_flags`: the operation is an unmount (`XLOG_UNMOUNT_TRANS`).
const UNMOUNT: u8 = 0x20;
/// Bytes that are read at once to look at one cycle after the other.
const CHUNK_BLOCKS: u64 = 64;

/// Whether nothing in the log of `bytes` waits to be put in its place.
///
/// # Errors
/// The log is on another device, damaged or cannot be read.
pub(in crate::image) fn is_clean(bytes: &dyn ReadAt, superblock: &Superblock) -> Result<bool, FsError> {
    let Log { place, bytes: size, is_v2 } = superblock.log;
    let Some(place) = place else {
        let why = "its log is on another device, so it is not known here whether it was unmounted cleanly";
        return Err(FsError::Incompatible(why.to_owned()));
    };
    Ring { bytes, place, blocks: size / BASIC_BLOCK_BYTES, longest: MAX_RECORD_BYTES[usize::from(is_v2)] / BASIC_BLOCK_BYTES, is_v2 }
        .is_clean()
}

/// The log as a ring of basic blocks.
struct Ring<'a> {
    bytes: &'a dyn ReadAt,
    /// Byte of the filesystem at which it begins.
    place: u64,
    blocks: u64,
    /// Blocks of the longest record.
    longest: u64,
    is_v2: bool,
}

/// A record.
struct Record {
    /// Blocks of its headers.
    headers: u64,
    /// The block behind its last one.
    end: u64,
    operations: u32,
    start: u64,
}

impl Ring<'_> {
    fn is_clean(&self) -> Result<bool, FsError> {
        // A log of nothing but zeros has nothing to recover: Linux mounts it.
        let Some(head) = self.head()? else { return Ok(true) };
        let mut last = self.record_before(head)?;
        if last.end != head % self.blocks {
            // The last record is not complete, so it never counted: the one before it is the last.
            let head = last.start;
            last = self.record_before(head)?;
            if last.end != head {
                return Ok(false);
            }
        }
        let data = self.block((last.start + last.headers) % self.blocks)?;
        Ok(last.operations == 1 && data.u8(9)? & UNMOUNT != 0)
    }

    /// The first block that the last round did not write, or was about to write; the number of blocks when it wrote all. `None` when there
    /// are only zeros.
    fn head(&self) -> Result<Option<u64>, FsError> {
        let (first, last) = (self.cycle(0)?, self.cycle(self.blocks - 1)?);
        if first == 0 {
            return Ok(None);
        }
        if last == 0 && first != 1 {
            return Err(corrupt(self.place, "log: its first block was written in a later round, its last one never"));
        }
        let (guess, hole) = if first == last { (self.blocks, last.wrapping_sub(1)) } else { (self.first_of(last)?, last) };
        // The binary search can be wrong where blocks were written out of order. That happens at most this far before the head.
        let reach = (MAX_RECORDS_AT_ONCE * self.longest).min(self.blocks);
        let before = reach.saturating_sub(guess);
        if before > 0
            && last != 0
            && let Some(found) = self.find(self.blocks - before, self.blocks, hole.wrapping_sub(1))?
        {
            return Ok(Some(found));
        }
        Ok(Some(self.find(guess.saturating_sub(reach), guess, hole)?.unwrap_or(guess)))
    }

    /// A block of the round `cycle` that follows one of another round.
    fn first_of(&self, cycle: u32) -> Result<u64, FsError> {
        let (mut other, mut found) = (0, self.blocks - 1);
        while found - other > 1 {
            let middle = other + (found - other) / 2;
            if self.cycle(middle)? == cycle {
                found = middle;
            } else {
                other = middle;
            }
        }
        Ok(found)
    }

    /// The first block from `start` on and before `end` that was written in the round `cycle`.
    fn find(&self, start: u64, end: u64, cycle: u32) -> Result<Option<u64>, FsError> {
        let mut at = start;
        while at < end {
            let count = CHUNK_BLOCKS.min(end - at);
            let chunk = Block::read(self.bytes, "log", self.place + at * BASIC_BLOCK_BYTES, count * BASIC_BLOCK_BYTES)?;
            for block in 0..count {
                if cycle_at(&chunk, (block * BASIC_BLOCK_BYTES) as usize)? == cycle {
                    return Ok(Some(at + block));
                }
            }
            at += count;
        }
        Ok(None)
    }

    /// The nearest record that begins before the block `head`.
    fn record_before(&self, head: u64) -> Result<Record, FsError> {
        for distance in 1..=self.longest.min(self.blocks) {
            let start = (head + self.blocks - distance) % self.blocks;
            let header = self.block(start)?;
            if header.u32(0)? == HEADER_MAGIC {
                let (version, len, size) = (header.u32(8)?, header.u32(12)?, header.u32(320)?);
                let long = self.is_v2 && version & 2 != 0 && size > HEADER_SPAN_BYTES;
                let headers = if long { u64::from(size.div_ceil(HEADER_SPAN_BYTES)) } else { 1 };
                let end = (start + headers + u64::from(len).div_ceil(BASIC_BLOCK_BYTES)) % self.blocks;
                return Ok(Record { headers, end, operations: header.u32(40)?, start });
            }
        }
        Err(corrupt(self.place + head % self.blocks * BASIC_BLOCK_BYTES, "log: no record ends here"))
    }

    fn cycle(&self, block: u64) -> Result<u32, FsError> {
        cycle_at(&self.block(block)?, 0)
    }

    fn block(&self, block: u64) -> Result<Block, FsError> {
        Block::read(self.bytes, "log", self.place + block * BASIC_BLOCK_BYTES, BASIC_BLOCK_BYTES)
    }
}

/// The round in which the basic block at byte `at` was written (`xlog_get_cycle`).
fn cycle_at(block: &Block, at: usize) -> Result<u32, FsError> {
    match block.u32(at)? {
        HEADER_MAGIC => block.u32(at + 4),
        cycle => Ok(cycle),
    }
}
