//! Makes FAT32 filesystems: the EFI system partition's, empty, because GRUB's own installer fills it ([`format`]); and volumes of files
//! ([`Volume`]). The same label, serial number and content give the same bytes.
//!
//! fatfs makes the empty one. Volumes are our own: fatfs 0.3.6 gives `.` and `..` of every directory long names and a wrong cluster,
//! which `fsck.vfat` takes for damage, and reads a directory from its beginning for every name that is added; hadris-fat brings 40 crates
//! and a 3.0 that changes everything. A volume is written once and its content is known before, so no file system code is needed: it is a
//! list of extents.

mod content;
mod directory;
mod volume;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fatfs::{FatType, FormatVolumeOptions};

use super::error::ImageError;
use crate::base::read_at::ReadAt;

pub use volume::Volume;

/// Make an empty FAT32 filesystem of `size` bytes at byte `offset` of `disk`, which is called `path` in errors. The place must hold zeros.
/// `label` has at most 11 upper-case letters; `serial` is what `blkid` shows as its UUID.
///
/// # Errors
/// FAT32 cannot have that size, or the disk cannot be written.
pub fn format(disk: &File, path: &Path, offset: u64, size: u64, label: &str, serial: u32) -> Result<(), ImageError> {
    let mut padded = [b' '; 11];
    for (place, byte) in padded.iter_mut().zip(label.bytes()) {
        *place = byte;
    }
    let mut window = Window { file: disk, start: offset, len: size, position: 0 };
    let options = FormatVolumeOptions::new().fat_type(FatType::Fat32).volume_id(serial).volume_label(padded);
    fatfs::format_volume(&mut window, options).map_err(|source| ImageError::write(path, source))
}

/// Bit of a volume's state that Linux sets while it is mounted writable (`FAT_STATE_DIRTY`, include/uapi/linux/msdos_fs.h).
pub(super) const DIRTY: u8 = 1;

/// Where the state of the volume `bytes` is in its first sector, and what it is (include/uapi/linux/msdos_fs.h, struct `fat_boot_sector`).
///
/// # Errors
/// The bytes cannot be read.
pub(super) fn state(bytes: &dyn ReadAt) -> io::Result<(u64, u8)> {
    let mut kind = [0; 8];
    bytes.read_at(82, &mut kind)?;
    let place = if &kind == b"FAT32   " { 65 } else { 37 };
    let mut state = [0];
    bytes.read_at(place, &mut state)?;
    Ok((place, state[0]))
}

/// A part of a file that cannot be left.
struct Window<'a> {
    file: &'a File,
    start: u64,
    len: u64,
    position: u64,
}

impl Window<'_> {
    fn room(&self, wanted: usize) -> usize {
        wanted.min(usize::try_from(self.len.saturating_sub(self.position)).unwrap_or(usize::MAX))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        let read = std::os::unix::fs::FileExt::read_at(self.file, &mut buffer[..room], self.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let written = std::os::unix::fs::FileExt::write_at(self.file, &bytes[..room], self.start + self.position)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.position = position.filter(|at| *at <= self.len).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
