//! Writes a disk as a Vagrant box: a tar archive in gzip that has `metadata.json`, `Vagrantfile` and `box.img`, the disk as qcow2.
//!
//! Source: Vagrant's documentation, "Box file format". The archive says first how long the disk is, and so the disk lies in a nameless file before.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::job::Job;
use super::{archive, clusters, gzip};
use crate::base::aside::Meter;
use crate::base::read_at::ReadAt;
use crate::handover::vagrant;
use crate::hardware::Firmware;
use crate::image::create::{Compress, directory_of};
use crate::image::error::ImageError;

/// Bytes of the disk's file that a thread compresses at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Write the disk to `file`, which is empty.
///
/// # Errors
/// The disk cannot be read, or the file or another beside it cannot be written.
pub(super) fn write(job: &Job, file: &File, firmware: Firmware, meter: &Meter) -> Result<(), ImageError> {
    let unwritable = |source| job.unwritable(source);
    let disk = nameless(&job.target).map_err(unwritable)?;
    clusters::write(job, &disk, 0, Compress::Zlib, meter)?;
    let length = disk.metadata().map_err(unwritable)?.len();
    let head = head(job.content.len(), firmware, length).map_err(unwritable)?;
    let pieces = usize::try_from(length.div_ceil(PIECE_BYTES)).map_err(|_| unwritable(io::ErrorKind::FileTooLarge.into()))?;
    // The head, the disk, the end. A qcow2 file is whole clusters, and so whole blocks of the archive.
    gzip::write(job, file, pieces + 2, |index| match index.checked_sub(1) {
        None => Ok(head.clone()),
        Some(piece) if piece < pieces => read(&disk, piece as u64 * PIECE_BYTES, length, meter).map_err(unwritable),
        Some(_) => Ok(archive::END.to_vec()),
    })
}

/// All that stands before the disk, which has `size` bytes and takes `length` of them as qcow2.
fn head(size: u64, firmware: Firmware, length: u64) -> io::Result<Vec<u8>> {
    let metadata = archive::file("metadata.json", vagrant::metadata(size).as_bytes())?;
    let vagrantfile = archive::file("Vagrantfile", vagrant::vagrantfile(firmware).as_bytes())?;
    Ok([&metadata[..], &vagrantfile, archive::header("box.img", length, 0o644, 0)?.as_bytes()].concat())
}

/// The piece of `disk`, which has `length` bytes, that begins at `offset`.
fn read(disk: &File, offset: u64, length: u64, meter: &Meter) -> io::Result<Vec<u8>> {
    meter.count(0)?;
    let mut bytes = vec![0; usize::try_from(length.saturating_sub(offset).min(PIECE_BYTES)).unwrap_or(usize::MAX)];
    disk.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// A file without a name, in the directory of `target`: the kernel removes it when it is closed.
fn nameless(target: &Path) -> io::Result<File> {
    tempfile::tempfile_in(directory_of(target))
}
