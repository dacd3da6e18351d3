//! Writes a disk as a containerDisk: an OCI image layout in a tar archive, whose image has the disk in its one layer.
//!
//! Archive, layer and disk are written in place, one inside the other: what stands before the disk has the same length for every disk. The
//! layer is read once more for its digest, which is its name, and then the header that has the name is written.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::job::Job;
use super::{archive, clusters};
use crate::base::aside::Meter;
use crate::base::digest::Sha256Digest;
use crate::handover::Architecture;
use crate::handover::oci::{self, Blob};
use crate::image::create::Compress;
use crate::image::error::ImageError;

/// What the image is called in the layout, the disk's file in the layer, and what the disk runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDisk {
    /// Letters, digits, `.`, `-` and `_`; of more than 80 only the first are taken.
    pub name: String,
    /// The architecture in the image's configuration.
    pub architecture: Architecture,
}

/// Write the disk to `file`, which is empty.
///
/// # Errors
/// The disk cannot be read, or the file cannot be written.
pub(super) fn write(job: &Job, mut file: &File, disk: &ContainerDisk, meter: &Arc<Meter>) -> Result<(), ImageError> {
    let unwritable = |source| job.unwritable(source);
    let head = archive_head().map_err(unwritable)?;
    let layer = head.len() as u64 + archive::BLOCK;
    // The layer's head has this length whatever it says.
    let begin = layer + layer_head(disk, 0).map_err(unwritable)?.len() as u64;
    clusters::write(job, file, begin, Compress::Zlib, meter)?;
    let mut complete = || -> io::Result<()> {
        let length = file.metadata()?.len() - begin;
        file.write_all_at(&layer_head(disk, length)?, layer)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(&archive::END)?;
        file.seek(SeekFrom::Start(layer))?;
        let (sha256, size) = Sha256Digest::of_reader(BufReader::new(MeteredEnd { file, meter }))?;
        let blob = Blob { sha256, size };
        file.write_all_at(archive::header(&blob.path(), size, 0o644, 0)?.as_bytes(), head.len() as u64)?;
        file.write_all(&archive_end(disk, &blob)?)?;
        // Last, so that no reader takes an incomplete file for an archive.
        file.write_all_at(&head, 0)
    };
    complete().map_err(unwritable)
}

/// What stands before the header of the layer's blob.
fn archive_head() -> io::Result<Vec<u8>> {
    let directory = |path| Ok::<_, io::Error>(archive::header(path, 0, 0o755, 0)?.as_bytes().to_vec());
    Ok([archive::file("oci-layout", oci::LAYOUT.as_bytes())?, directory("blobs/")?, directory("blobs/sha256/")?].concat())
}

/// What stands before the disk in the layer.
fn layer_head(disk: &ContainerDisk, length: u64) -> io::Result<Vec<u8>> {
    let name: String = disk.name.chars().take(80).collect();
    let directory = archive::header(oci::DIRECTORY, 0, 0o555, oci::OWNER)?;
    let file = archive::header(&format!("{}{name}.qcow2", oci::DIRECTORY), length, 0o440, oci::OWNER)?;
    Ok([&directory.as_bytes()[..], file.as_bytes()].concat())
}

/// What stands behind the layer's blob: the documents that name it, and the end. The layer is whole blocks.
fn archive_end(disk: &ContainerDisk, layer: &Blob) -> io::Result<Vec<u8>> {
    let config = oci::config(layer, disk.architecture);
    let manifest = oci::manifest(&Blob::of(&config), layer);
    let index = oci::index(&Blob::of(&manifest), &disk.name, disk.architecture);
    let blob = |text: &str| archive::file(&Blob::of(text).path(), text.as_bytes());
    Ok([blob(&config)?, blob(&manifest)?, archive::file("index.json", index.as_bytes())?, archive::END.to_vec()].concat())
}

/// A file from its present position to its end; reading stops once the waiter is gone.
struct MeteredEnd<'a> {
    file: &'a File,
    meter: &'a Meter,
}

impl Read for MeteredEnd<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.meter.count(0)?;
        self.file.read(buf)
    }
}
