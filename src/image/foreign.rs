//! Disk images of other hypervisors: which kind a file is, and whether it holds all of its disk.
//!
//! QEMU reads them for us ([`super::served`]), and it opens the files that they name: a VMDK's descriptor may list any file of the host as
//! part of the disk. So each is looked at here first, and only one that needs no other file is ever given to QEMU.

mod vhd;
mod vhdx;
mod vmdk;

use std::path::Path;

use serde::Serialize;

use super::error::ImageError;
use super::qcow2;
use crate::base::read_at::ReadAt;
use crate::hardware::Format;

/// The formats of image files that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum ImageFormat {
    Raw,
    Qcow2,
    Vmdk,
    Vhdx,
    Vhd,
}

impl ImageFormat {
    /// Its name, for people and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
            Self::Vhd => "vhd",
        }
    }

    /// The format of the file `path`, whose bytes are `file`.
    ///
    /// # Errors
    /// It cannot be read, is damaged, is of a kind that is not supported, or needs another file.
    pub fn of(file: &dyn ReadAt, path: &Path) -> Result<Self, ImageError> {
        Ok(match look(file, path)? {
            Found::Own(format) => format.into(),
            Found::Front(format, _) | Found::Served(format, _) => format,
        })
    }

    /// The format of a machine's drive; `None` for a format that machines are not given.
    pub fn of_drive(self) -> Option<Format> {
        match self {
            Self::Raw => Some(Format::Raw),
            Self::Qcow2 => Some(Format::Qcow2),
            Self::Vmdk | Self::Vhdx | Self::Vhd => None,
        }
    }
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Raw => Self::Raw,
            Format::Qcow2 => Self::Qcow2,
        }
    }
}

/// How the disk in a file can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// We read it ourselves.
    Own(Format),
    /// It is the file's first bytes, this many, and what follows is a footer.
    Front(ImageFormat, u64),
    /// QEMU reads it, with the driver of that name, and needs no other file for it.
    Served(ImageFormat, &'static str),
}

/// What the file `path`, whose bytes are `file`, is.
///
/// # Errors
/// It cannot be read, is damaged, is of a kind that is not supported, or needs another file.
pub(super) fn look(file: &dyn ReadAt, path: &Path) -> Result<Found, ImageError> {
    let mut start = [0; 32];
    let count = usize::try_from(file.len()).unwrap_or(usize::MAX).min(start.len());
    file.read_at(0, &mut start[..count]).map_err(|source| ImageError::read(path, source))?;
    for (magic, what) in [(&b"QED\0"[..], "QED"), (b"LUKS\xba\xbe", "LUKS")] {
        if start.starts_with(magic) {
            let what = format!("{what} is not supported, only raw, qcow2, VMDK, VHDX and VHD");
            return Err(ImageError::incompatible(path, 0, what));
        }
    }
    if start.starts_with(&qcow2::MAGIC) {
        return Ok(Found::Own(Format::Qcow2));
    }
    if start.starts_with(vmdk::MAGIC) || start.starts_with(vmdk::COWD) || start.starts_with(vmdk::TEXT) {
        vmdk::check(file, path)?;
        return Ok(Found::Served(ImageFormat::Vmdk, "vmdk"));
    }
    if start.starts_with(vhdx::MAGIC) {
        vhdx::check(file, path)?;
        return Ok(Found::Served(ImageFormat::Vhdx, "vhdx"));
    }
    Ok(match vhd::check(file, path)? {
        Some(vhd::Kind::Dynamic) => Found::Served(ImageFormat::Vhd, "vpc"),
        Some(vhd::Kind::Fixed { size }) => Found::Front(ImageFormat::Vhd, size),
        None => Found::Own(Format::Raw),
    })
}
