//! Writes the bytes of a disk as VMDK: threads compress its grains, and one writes them.

use std::fs::File;
use std::io;

use flate2::{Compress as Deflate, Compression, FlushCompress, Status};

use super::identity::Identity;
use super::job::{Job, is_zero};
use super::pack::DEFLATE_LEVEL;
use super::pool;
use super::vmdk::{GRAIN_BYTES, VmdkWriter, Written};
use crate::base::aside::Meter;
use crate::base::digest::Sha256Digest;
use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// The grains of a piece that are not zeros, each with its number, and the digest of the piece if there are any.
type Packed = (Option<Sha256Digest>, Vec<(u64, Vec<u8>)>);

/// Write the disk as VMDK to `file`, from the byte `base` on, where `file` ends.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, base: u64, meter: &Meter) -> Result<Written, ImageError> {
    let size = job.content.len();
    let mut writer = VmdkWriter::new(file, base, size).map_err(|source| job.unwritable(source))?;
    let mut identity = Identity::new(size);
    let per_piece = job.pieces.size / GRAIN_BYTES as u64;
    let worker = || {
        // zlib's form (RFC 1950), with its usual window of 32 KiB.
        let mut deflate = Deflate::new(Compression::new(DEFLATE_LEVEL), true);
        move |index: usize| {
            let number = job.pieces.numbers[index];
            let bytes = job.read(number, meter)?;
            let packed = grains(&bytes, &mut deflate, number * per_piece).map_err(|source| job.unwritable(source))?;
            Ok(((!packed.is_empty()).then(|| Sha256Digest::of(&bytes)), packed))
        }
    };
    let take = |index: usize, (digest, grains): Packed| {
        if let Some(digest) = digest {
            identity.add(job.pieces.numbers[index], &digest);
        }
        grains.into_iter().try_for_each(|(grain, bytes)| writer.add(grain, &bytes)).map_err(|source| job.unwritable(source))
    };
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, take)?;
    writer.finish(&identity.finish()).map_err(|source| job.unwritable(source))
}

/// The grains of `bytes` that are not zeros; the first grain of `bytes` has the number `first`. One that does not shrink is stored inside
/// its stream.
fn grains(bytes: &[u8], deflate: &mut Deflate, first: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut all = Vec::new();
    for (number, grain) in (first..).zip(bytes.chunks_exact(GRAIN_BYTES)) {
        if is_zero(grain) {
            continue;
        }
        // Deflate adds some bytes to each block that it stores: a sixteenth is far more (RFC 1951, 3.2.4).
        let mut packed = Vec::with_capacity(GRAIN_BYTES + GRAIN_BYTES / 16);
        deflate.reset();
        if deflate.compress_vec(grain, &mut packed, FlushCompress::Finish)? != Status::StreamEnd {
            return Err(io::Error::other("a grain does not fit into its buffer"));
        }
        packed.shrink_to_fit();
        all.push((number, packed));
    }
    Ok(all)
}
