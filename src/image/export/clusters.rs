//! Writes the bytes of a disk as qcow2: threads compress its clusters, and one writes them.

use std::fs::File;
use std::io;

use super::job::{Job, is_zero};
use super::pack::{CLUSTER_BYTES, Packer};
use super::pool;
use super::qcow2::Qcow2Writer;
use crate::base::aside::Meter;
use crate::base::read_at::ReadAt;
use crate::image::create::Compress;
use crate::image::error::ImageError;

/// A cluster, ready to be written.
enum Packed {
    Compressed(Box<[u8]>),
    Plain(Box<[u8]>),
}

/// Write the disk to `file` as qcow2, which begins at the byte `begin` and ends the file.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, file: &File, begin: u64, compress: Compress, meter: &Meter) -> Result<(), ImageError> {
    let mut writer = Qcow2Writer::new(file, begin, job.content.len(), compress).map_err(|source| job.unwritable(source))?;
    let per_piece = job.pieces.size / CLUSTER_BYTES as u64;
    let worker = || {
        let mut packer = Packer::new(compress);
        move |index: usize| {
            let number = job.pieces.numbers[index];
            let packer = packer.as_mut().map_err(|error| job.unwritable(error.kind().into()))?;
            clusters(&job.read(number, meter)?, packer, number * per_piece).map_err(|source| job.unwritable(source))
        }
    };
    let take = |_, clusters: Vec<(u64, Packed)>| {
        for (index, packed) in clusters {
            let written = match packed {
                Packed::Compressed(bytes) => writer.add_compressed(index, &bytes),
                Packed::Plain(bytes) => writer.add_plain(index, &bytes),
            };
            written.map_err(|source| job.unwritable(source))?;
        }
        Ok(())
    };
    pool::in_order(job.pieces.numbers.len(), pool::threads(), worker, take)?;
    writer.finish().map_err(|source| job.unwritable(source))
}

/// The clusters of `bytes` that are not zeros; the first cluster of `bytes` has the number `first`.
fn clusters(bytes: &[u8], packer: &mut Packer, first: u64) -> io::Result<Vec<(u64, Packed)>> {
    let mut all = Vec::new();
    for (index, cluster) in (first..).zip(bytes.chunks_exact(CLUSTER_BYTES)) {
        if is_zero(cluster) {
            continue;
        }
        let packed = packer.pack(cluster)?.map(|packed| Packed::Compressed(packed.into()));
        all.push((index, packed.unwrap_or_else(|| Packed::Plain(cluster.into()))));
    }
    Ok(all)
}
