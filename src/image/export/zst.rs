//! Writes the bytes of a disk in zstd's seekable format: frames of one size, and a table of them that other readers skip.
//!
//! Format: zstd 1.5.7, `contrib/seekable_format/zstd_seekable_compression_format.md`. `zstd -d` unpacks it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};

use zstd::bulk::Compressor;

use super::job::Job;
use super::pool;
use crate::base::aside::Meter;
use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// Bytes of the disk in a frame; the last one may have fewer. It is zstd's window at level 3; smaller frames would compress worse.
pub(super) const FRAME_BYTES: u64 = 2 << 20;
/// zstd's default.
const LEVEL: i32 = 3;
/// Begins the skippable frame that is the table.
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
/// Ends the file.
const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;
/// Frames that a table may have.
const MAX_FRAMES: u64 = 0x0800_0000;

/// Write the disk to `file`, which is empty.
///
/// # Errors
/// The disk cannot be read or has too many frames (256 TiB), or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let length = job.content.len();
    let frames = length.div_ceil(FRAME_BYTES);
    let count = usize::try_from(frames).ok().filter(|_| frames <= MAX_FRAMES);
    let count = count.ok_or_else(|| job.unwritable(std::io::ErrorKind::FileTooLarge.into()))?;
    let with_data: BTreeSet<u64> = job.pieces.numbers.iter().copied().collect();
    let with_data = &with_data;
    let size = |number: u64| usize::try_from((length - number * FRAME_BYTES).min(FRAME_BYTES)).unwrap_or(usize::MAX);
    let worker = || {
        let mut compressor = Compressor::new(LEVEL);
        let mut zeros = None;
        move |index: usize| {
            let compressor = compressor.as_mut().map_err(|error| job.unwritable(error.kind().into()))?;
            let number = index as u64;
            let mut pack = |bytes: &[u8]| compressor.compress(bytes).map_err(|source| job.unwritable(source));
            let size = size(number);
            if with_data.contains(&number) {
                return pack(&job.read(number, meter)?[..size]);
            }
            meter.count(0).map_err(|source| job.unwritable(source))?;
            // All whole frames of zeros are alike.
            match &zeros {
                Some((length, packed)) if *length == size => Ok(Vec::clone(packed)),
                _ => Ok(zeros.insert((size, pack(&vec![0; size])?)).1.clone()),
            }
        }
    };
    let mut out = BufWriter::new(file);
    let mut table = Vec::with_capacity(count * 8);
    let take = |index: usize, frame: Vec<u8>| {
        table.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_le_bytes());
        table.extend_from_slice(&u32::try_from(size(index as u64)).unwrap_or(u32::MAX).to_le_bytes());
        out.write_all(&frame).map_err(|source| job.unwritable(source))
    };
    pool::in_order(count, pool::threads(), worker, take)?;
    // The footer: number of frames, a descriptor (no checksums in the table), the magic number.
    table.extend_from_slice(&u32::try_from(frames).unwrap_or(u32::MAX).to_le_bytes());
    table.push(0);
    table.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
    let head = [SKIPPABLE_MAGIC.to_le_bytes(), u32::try_from(table.len()).unwrap_or(u32::MAX).to_le_bytes()].concat();
    let written = out.write_all(&head).and_then(|()| out.write_all(&table)).and_then(|()| out.flush());
    written.map_err(|source| job.unwritable(source))
}
