//! Writes the bytes of a disk as a dynamic VHDX: threads read its blocks, and one gives them their places.

use std::fs::File;

use super::content::Pieces;
use super::identity::Identity;
use super::job::{Job, is_zero};
use super::pool;
use super::vhdx::VhdxWriter;
use crate::base::aside::Meter;
use crate::base::digest::Sha256Digest;
use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// The most space that the host needs for the table of blocks, which is a hole except for blocks with data: a page of 4 KiB has entries of
/// 512 blocks, and a page more may be begun where bitmap entries have moved them.
pub(super) fn table_bytes(pieces: &Pieces) -> u64 {
    let pages = pieces.numbers.chunk_by(|one, next| one / 512 == next / 512).count();
    (pages as u64).saturating_mul(2 * 4096)
}

/// Write the disk to `file`, which is empty. Pieces are blocks.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, meter: &Meter) -> Result<(), ImageError> {
    let size = job.content.len();
    let mut writer = VhdxWriter::new(file, size).map_err(|source| job.unwritable(source))?;
    let mut identity = Identity::new(size);
    let worker = || {
        |index: usize| {
            let bytes = job.read(job.pieces.numbers[index], meter)?;
            Ok::<_, ImageError>((!is_zero(&bytes)).then(|| (Sha256Digest::of(&bytes), bytes)))
        }
    };
    let take = |index: usize, block: Option<(Sha256Digest, Vec<u8>)>| {
        let Some((digest, bytes)) = block else { return Ok(()) };
        let number = job.pieces.numbers[index];
        identity.add(number, &digest);
        writer.add(number, &bytes).map_err(|source| job.unwritable(source))
    };
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, take)?;
    writer.finish(&identity.finish()).map_err(|source| job.unwritable(source))
}
