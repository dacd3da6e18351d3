//! Writes a disk as an image for others to use: unused blocks as zeros, on all processors, the same bytes every time.
//!
//! qcow2 is written by ourselves ([`qcow2`]): `qemu-img convert` with `-W`, which it needs to be quick, gives other bytes every time.

mod archive;
mod backing;
mod blocks;
mod clusters;
mod container;
mod content;
mod gce;
mod gzip;
mod grains;
mod guest;
mod identity;
mod job;
mod ova;
pub(super) mod overlay;
mod ovf;
mod pack;
mod pool;
mod qcow2;
mod raw;
mod vagrant;
mod vhd;
mod vhdx;
mod vmdk;
mod zst;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use self::content::{Content, Pieces};
use self::job::Job;
use super::create::{Compress, directory_of, require_space};
use super::disk::Disk;
use super::error::ImageError;
use super::free::FreeSpace;
use super::guest::Seen;
use crate::base::aside::{Meter, aside};
use crate::base::atomic::NewFile;
use crate::base::event::Task;
use crate::base::host::allocated_bytes;
use crate::handover::Receiver;
use crate::hardware::{Firmware, OutputFormat};

pub use self::backing::Backing;
pub use self::container::ContainerDisk;

/// Bytes that a thread works on at once.
const PIECE_BYTES: u64 = 1 << 20;
/// What the tables of a file and the end of its last cluster take at most, beside a 2048th of the data.
const TABLES_BYTES: u64 = 1 << 20;

/// A kind of file that a disk can be exported as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportFormat {
    /// QEMU's own, its clusters compressed or not.
    Qcow2(Compress),
    /// The bytes of the disk; zeros are holes of the file.
    Raw,
    /// The bytes of the disk in zstd's seekable format.
    RawZst,
    /// VMware's and VirtualBox's, stream-optimized.
    Vmdk,
    /// Azure's: the bytes of the disk with a footer; zeros are holes of the file.
    Vhd,
    /// Hyper-V's, dynamic.
    Vhdx,
    /// A machine for VMware and VirtualBox: a descriptor, a manifest and a VMDK in one archive.
    Ova,
    /// What Google Compute Engine imports.
    Gce,
    /// A Vagrant box for libvirt, whose disk is booted by this firmware.
    Vagrant(Firmware),
    /// An OCI image with the disk, for KubeVirt.
    ContainerDisk(ContainerDisk),
}

impl ExportFormat {
    /// How `disk`, which is called `name` and booted by `firmware`, becomes a file of the kind `output`; and a warning of what its receiver
    /// may not accept about the image.
    pub fn of(output: OutputFormat, disk: &Disk, name: &str, firmware: Firmware) -> (Self, Option<String>) {
        let format = match output {
            OutputFormat::Raw => Self::Raw,
            OutputFormat::RawZst => Self::RawZst,
            OutputFormat::Vmdk => Self::Vmdk,
            OutputFormat::Vhd => Self::Vhd,
            OutputFormat::Vhdx => Self::Vhdx,
            OutputFormat::Ova => Self::Ova,
            OutputFormat::Gce => return (Self::Gce, Seen::of(disk).warning(Receiver::Gce)),
            OutputFormat::Vagrant => return (Self::Vagrant(firmware), Seen::of(disk).warning(Receiver::Vagrant)),
            OutputFormat::ContainerDisk => {
                Self::ContainerDisk(ContainerDisk { name: name.to_owned(), architecture: Seen::of(disk).guest.architecture })
            }
        };
        (format, None)
    }

    /// Make sure that `disk` is not too large for this format.
    ///
    /// # Errors
    /// It is.
    pub fn admits(&self, disk: &Disk) -> Result<(), ImageError> {
        let output = match self {
            // Their writers check the size themselves, or have no limit.
            Self::Qcow2(_) | Self::Raw | Self::RawZst | Self::Gce | Self::Vagrant(_) | Self::ContainerDisk(_) => return Ok(()),
            Self::Vmdk => OutputFormat::Vmdk,
            Self::Ova => OutputFormat::Ova,
            Self::Vhd => OutputFormat::Vhd,
            Self::Vhdx => OutputFormat::Vhdx,
        };
        let (size, most) = (disk.bytes().len(), output.most_bytes());
        if size > most {
            return Err(ImageError::TooLarge { path: disk.path().to_owned(), format: output.name(), size, most });
        }
        Ok(())
    }
}

/// The result of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// Bytes that the file occupies on the host.
    pub allocated_size: u64,
}

/// Find what no file of `disk` uses, on another thread than the runtime's. `task` names the step, and warns of what cannot be looked into.
///
/// # Errors
/// The disk cannot be read, or a filesystem on it is damaged.
pub async fn unused(disk: &Disk, task: &Task) -> Result<FreeSpace, ImageError> {
    task.step("find the free space");
    let opened = disk.clone();
    let free = tokio::task::spawn_blocking(move || FreeSpace::of(&opened)).await;
    let free = free.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
    for partition in &free.unread {
        task.events()
            .warn(format!("the free space of {partition} cannot be read, so data of deleted files may be left in the image there"));
    }
    Ok(free)
}

/// Write `disk` to the new file `target`, whose directory must be there. `free` reads as zeros. The target appears whole or not at all, and
/// `task` gets the progress. Dropped, the work ends soon and leaves nothing.
///
/// # Errors
/// `target` is there already, cannot be written, or has no space; or the disk cannot be read or is too large for the format.
pub async fn export(disk: &Disk, free: FreeSpace, format: ExportFormat, target: &Path, task: &Task) -> Result<Exported, ImageError> {
    let failed = |source| ImageError::write(target, source);
    if fs::symlink_metadata(target).is_ok() {
        return Err(ImageError::Exists(target.to_owned()));
    }
    format.admits(disk)?;
    let content = Content::new(Arc::clone(disk.bytes()), free);
    task.step("find the data");
    let size = if format == ExportFormat::RawZst { zst::FRAME_BYTES } else { PIECE_BYTES };
    let looked = tokio::task::spawn_blocking(move || content.pieces(size).map(|pieces| (content, pieces))).await;
    let looked = looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let (content, pieces) = looked.map_err(|source| ImageError::read(disk.path(), source))?;
    require_space(directory_of(target), needed(disk, &format, &pieces))?;
    let new = NewFile::beside(target).map_err(failed)?;
    let file = new.file().try_clone().map_err(failed)?;
    let job = Job { content, pieces, source: disk.path().into(), target: target.into() };
    // Google's format needs the disk to be read twice.
    let total = if format == ExportFormat::Gce { job.pieces.bytes.saturating_mul(2) } else { job.pieces.bytes };
    let opened = disk.clone();
    let work = move |meter: &Arc<Meter>| match format {
        ExportFormat::Qcow2(compress) => clusters::write(&job, &file, 0, compress, meter),
        ExportFormat::Raw => raw::write(&job, &file, meter),
        ExportFormat::RawZst => zst::write(&job, &file, meter),
        ExportFormat::Gce => gce::write(&job, &file, meter),
        ExportFormat::Vagrant(firmware) => vagrant::write(&job, &file, firmware, meter),
        ExportFormat::ContainerDisk(disk) => container::write(&job, &file, &disk, meter),
        ExportFormat::Vmdk => grains::write(&job, &file, 0, meter).map(drop),
        ExportFormat::Vhd => vhd::write(&job, &file, meter),
        ExportFormat::Vhdx => blocks::write(&job, &file, meter),
        ExportFormat::Ova => ova::write(&job, &opened, &file, meter),
    };
    aside(task, "write the image", total, work).await?;
    // Others may read an image, but a file in the making is private.
    new.file().set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
    let metadata = new.file().metadata().map_err(failed)?;
    let allocated_size = allocated_bytes(&metadata);
    new.publish().map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ImageError::Exists(target.to_owned()),
        _ => failed(source),
    })?;
    Ok(Exported { virtual_size: disk.bytes().len(), file_size: metadata.len(), allocated_size })
}

/// Bytes that must be free. The size after compression is not known before. If the source is compressed, the space it occupies is close to
/// it.
fn needed(disk: &Disk, format: &ExportFormat, pieces: &Pieces) -> u64 {
    let tables = TABLES_BYTES
        + match format {
            // A grain that does not shrink takes a sector more than it has.
            ExportFormat::Vmdk | ExportFormat::Ova => pieces.bytes / 64,
            ExportFormat::Vhdx => blocks::table_bytes(pieces),
            _ => pieces.bytes / 2048,
        };
    let data = match format {
        ExportFormat::Raw | ExportFormat::Vhd | ExportFormat::Vhdx | ExportFormat::Qcow2(Compress::Never) => pieces.bytes,
        // An overlay occupies less than what it shows.
        _ if !disk.info().backing.is_empty() => pieces.bytes / 2,
        _ => pieces.bytes.min(disk.info().allocated_size.saturating_add(disk.info().allocated_size / 4)),
    };
    // A box is made of a file that has the disk already.
    let data = if matches!(format, ExportFormat::Vagrant(_)) { data.saturating_mul(2) } else { data };
    data.saturating_add(tables)
}
