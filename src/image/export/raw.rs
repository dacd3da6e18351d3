//! Writes the bytes of a disk as they are.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::job::{Job, is_zero};
use super::pool;
use crate::base::aside::Meter;
use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// Zeros of this size become a hole: the block of most filesystems.
const BLOCK_BYTES: usize = 4096;

/// Write the disk to `file`, which is empty; zeros become holes.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let length = job.content.len();
    file.set_len(length).map_err(|source| job.unwritable(source))?;
    let worker = || {
        |index: usize| {
            let number = job.pieces.numbers[index];
            let bytes = job.read(number, meter)?;
            let start = number * job.pieces.size;
            // The last piece is filled up with zeros, which do not belong to the disk.
            let there = usize::try_from(length - start).unwrap_or(usize::MAX).min(bytes.len());
            write_blocks(file, start, &bytes[..there]).map_err(|source| job.unwritable(source))
        }
    };
    // Every thread writes to its own place: there is no order to keep.
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, |_, ()| Ok(()))
}

/// Write the blocks of `bytes` that are not zeros, neighbours at once; the first of them belongs at `start`.
pub(super) fn write_blocks(file: &File, start: u64, bytes: &[u8]) -> std::io::Result<()> {
    let mut at = start;
    let blocks: Vec<&[u8]> = bytes.chunks(BLOCK_BYTES).collect();
    for run in blocks.chunk_by(|one, next| is_zero(one) == is_zero(next)) {
        let length: usize = run.iter().map(|block| block.len()).sum();
        if !run.first().is_some_and(|block| is_zero(block)) {
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            file.write_all_at(&bytes[from..from + length], at)?;
        }
        at += length as u64;
    }
    Ok(())
}
