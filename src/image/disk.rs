//! A disk image at rest: its format is detected, it is opened once, and it can be read at any place.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::error::ImageError;
use super::foreign::{Found, ImageFormat, look};
use super::qcow2::{Qcow2, Reach};
use super::read_at::{RawFile, Slice};
use super::served::Served;
use crate::base::host::allocated_bytes;
use crate::base::read_at::ReadAt;
use crate::hardware::Format;

/// The data of an image file about its disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskInfo {
    /// How the disk is kept.
    pub format: ImageFormat,
    /// Size of the disk in bytes.
    pub virtual_size: u64,
    /// Length of the file in bytes.
    pub file_size: u64,
    /// Bytes the file occupies on the host.
    pub allocated_size: u64,
    /// The compression of clusters (qcow2): `zlib` or `zstd`.
    pub compression: Option<String>,
    /// The files under an overlay, nearest first.
    pub backing: Vec<PathBuf>,
}

/// An open disk image. Clones read the same file.
#[derive(Clone)]
pub struct Disk {
    path: PathBuf,
    info: DiskInfo,
    bytes: Arc<dyn ReadAt>,
}

impl Disk {
    /// As [`Disk::open_with`], without a store.
    ///
    /// # Errors
    /// As [`Disk::open_with`].
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        Self::open_with(path, None)
    }

    /// Open `path`, whose format its own bytes tell: qcow2, VMDK, VHDX, VHD, or else raw. Files under a qcow2 are read when they are in its directory,
    /// below that, or below `store`: an image of unknown origin names them as it likes. Files of the other formats must hold all of their
    /// disk.
    ///
    /// A guest that owns a raw disk can write a qcow2 header into it: open what is known to be raw with [`Disk::open_as`].
    ///
    /// VMDK, VHDX and VHD that grow are read through a child, which dies with the thread that calls this: call it from the runtime's own.
    ///
    /// # Errors
    /// It cannot be read, is damaged, is of a kind that is not supported, or needs a file that is somewhere else.
    pub fn open_with(path: &Path, store: Option<&Path>) -> Result<Self, ImageError> {
        let file = RawFile::open(path)?;
        let file_size = file.len();
        let (format, bytes): (_, Arc<dyn ReadAt>) = match look(&file, path)? {
            Found::Own(format) => return Self::open_as(path, format, store),
            Found::Front(format, size) => (format, Arc::new(Slice::new(Arc::new(file), 0, size))),
            Found::Served(format, driver) => (format, Arc::new(Served::new(&file, path, driver)?)),
        };
        Self::showing_file(path, file_size, format, bytes, None, Vec::new())
    }

    /// The format in which a machine is given the disk `path`.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is in a format that machines are not given.
    pub fn drive_format(path: &Path) -> Result<Format, ImageError> {
        let format = ImageFormat::of(&RawFile::open(path)?, path)?;
        format.of_drive().ok_or_else(|| ImageError::NotADrive { path: path.to_owned(), format: format.name() })
    }

    /// Open `path` as `format`, whatever it looks like. For the files under it and `store` see [`Disk::open_with`].
    ///
    /// # Errors
    /// As [`Disk::open_with`].
    pub fn open_as(path: &Path, format: Format, store: Option<&Path>) -> Result<Self, ImageError> {
        Self::open_in(path, format, &Reach::of_foreign(path, store)?)
    }

    /// Open `path`, a disk that goldsmith made, as `format`. The files under it may be anywhere.
    ///
    /// # Errors
    /// It cannot be read, is damaged, or is of a kind that is not supported.
    pub fn open_own(path: &Path, format: Format) -> Result<Self, ImageError> {
        Self::open_in(path, format, &Reach::Anywhere)
    }

    fn open_in(path: &Path, format: Format, reach: &Reach) -> Result<Self, ImageError> {
        let file = RawFile::open(path)?;
        let file_size = file.len();
        let (bytes, compression, backing): (Arc<dyn ReadAt>, _, _) = match format {
            Format::Raw => (Arc::new(file), None, Vec::new()),
            Format::Qcow2 => {
                let qcow2 = Qcow2::open(path, reach)?;
                let (compression, backing) = (qcow2.compression().to_owned(), qcow2.backing_paths().to_vec());
                (Arc::new(qcow2), Some(compression), backing)
            }
        };
        Self::showing_file(path, file_size, format.into(), bytes, compression, backing)
    }

    /// The file `path`, of `file_size` bytes, as a disk whose bytes are `bytes`.
    fn showing_file(
        path: &Path,
        file_size: u64,
        format: ImageFormat,
        bytes: Arc<dyn ReadAt>,
        compression: Option<String>,
        backing: Vec<PathBuf>,
    ) -> Result<Self, ImageError> {
        let metadata = fs::metadata(path).map_err(|source| ImageError::read(path, source))?;
        let allocated_size = allocated_bytes(&metadata);
        let info = DiskInfo { format, virtual_size: bytes.len(), file_size, allocated_size, compression, backing };
        Ok(Self { path: path.to_owned(), info, bytes })
    }

    /// A disk in memory, called `name` in errors.
    pub fn in_memory(name: &str, bytes: Vec<u8>) -> Self {
        let size = ReadAt::len(&bytes);
        let info = DiskInfo {
            format: ImageFormat::Raw,
            virtual_size: size,
            file_size: size,
            allocated_size: size,
            compression: None,
            backing: Vec::new(),
        };
        Self { path: name.into(), info, bytes: Arc::new(bytes) }
    }

    /// This disk, its bytes being `bytes`.
    pub(super) fn showing(self, bytes: Arc<dyn ReadAt>) -> Self {
        Self { bytes, ..self }
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The data of the file about its disk.
    pub fn info(&self) -> &DiskInfo {
        &self.info
    }

    /// The disk's bytes.
    pub fn bytes(&self) -> &Arc<dyn ReadAt> {
        &self.bytes
    }

    /// `len` bytes of the disk from byte `start` on: a partition.
    pub fn slice(&self, start: u64, len: u64) -> Slice {
        Slice::new(Arc::clone(&self.bytes), start, len)
    }
}
