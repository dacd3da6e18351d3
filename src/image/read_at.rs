//! Where a disk's bytes come from: a file or device, or a run of another disk's.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use super::error::ImageError;
use crate::base::read_at::{ReadAt, Stored, sought};

/// A file or block device whose length was taken when it was opened: a block device has none in its metadata.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    len: u64,
    /// Device and number.
    id: (u64, u64),
}

impl RawFile {
    /// Open a regular file or block device to read. Anything else is refused, because opening it could block for ever.
    ///
    /// # Errors
    /// It is not there, not readable, or something else.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let failed = |source| ImageError::read(path, source);
        let kind = fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(ImageError::incompatible(path, None, "it is neither a file nor a block device"));
        }
        let mut file = File::open(path).map_err(failed)?;
        let len = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        Ok(Self { file, len, id: (metadata.dev(), metadata.ino()) })
    }

    /// The open file once more, for a child. Its number is out of the way of those that a child is given for something else.
    ///
    /// # Errors
    /// Too many files are open.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        Ok(rustix::io::fcntl_dupfd_cloexec(&self.file, 10)?)
    }
}

impl ReadAt for RawFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    /// Told by lseek(2) with `SEEK_DATA`. Block devices and filesystems without it have no holes.
    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len).ok_or(io::ErrorKind::UnexpectedEof)?;
        match rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => Ok(data >= end),
            // No data up to the end of the file.
            Err(rustix::io::Errno::NXIO) => Ok(true),
            Err(_) => Ok(false),
        }
    }

    fn stored(&self, offset: u64, len: u64) -> io::Result<(u64, Option<Stored>)> {
        Ok((len, Some(Stored { file: self.id, offset, unpacked: None })))
    }

    fn len(&self) -> u64 {
        self.len
    }
}

/// A run of a disk's bytes that looks like a file of its own: a partition, for readers that want `Read + Seek`.
///
/// It also implements [`Write`], because the `gpt` and `fatfs` crates ask for it even to read; every write fails.
#[derive(Clone)]
pub struct Slice {
    disk: Arc<dyn ReadAt>,
    start: u64,
    len: u64,
    position: u64,
}

impl Slice {
    /// The `len` bytes of `disk` from byte `start` on, cut where the disk ends.
    pub fn new(disk: Arc<dyn ReadAt>, start: u64, len: u64) -> Self {
        let len = len.min(disk.len().saturating_sub(start));
        Self { disk, start, len, position: 0 }
    }

    /// All of `disk`.
    pub fn whole(disk: Arc<dyn ReadAt>) -> Self {
        let len = disk.len();
        Self::new(disk, 0, len)
    }
}

impl ReadAt for Slice {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len);
        // OK to add: `start + len` is at most the disk's own length.
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.read_at(self.start + offset, buf)
    }

    fn is_zero(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.is_zero(self.start + offset, len)
    }

    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.is_hole(self.start + offset, len)
    }

    fn stored(&self, offset: u64, len: u64) -> io::Result<(u64, Option<Stored>)> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len);
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.stored(self.start + offset, len)
    }

    fn len(&self) -> u64 {
        self.len
    }
}

impl Read for Slice {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.len.saturating_sub(self.position);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if count == 0 {
            return Ok(0);
        }
        self.read_at(self.position, &mut buf[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Slice {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(self.position, self.len, to)?;
        Ok(self.position)
    }
}

impl Write for Slice {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice").field("start", &self.start).field("len", &self.len).finish_non_exhaustive()
    }
}

impl ext4_view::Ext4Read for Slice {
    fn read(&mut self, start_byte: u64, dst: &mut [u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.read_at(start_byte, dst)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice() -> Slice {
        Slice::new(Arc::new((0..100).collect::<Vec<u8>>()), 10, 20)
    }

    #[test]
    fn a_slice_is_a_small_disk_of_its_own() {
        let mut bytes = [0; 3];
        slice().read_at(17, &mut bytes).unwrap();
        assert_eq!(bytes, [27, 28, 29]);
        for (offset, length) in [(18, 3), (20, 1), (u64::MAX, 1), (u64::MAX, 2)] {
            let error = slice().read_at(offset, &mut vec![0; length]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{offset}");
        }
        assert_eq!(Slice::new(Arc::new(vec![0; 8]), 6, 100).len(), 2);
        assert_eq!(Slice::new(Arc::new(vec![0; 8]), 9, 100).len(), 0);
    }

    #[test]
    fn holes_of_a_file_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = File::create(&path).unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(b"data", 4 << 20).unwrap();
        let raw: Arc<dyn ReadAt> = Arc::new(RawFile::open(&path).unwrap());
        let mib = |number: u64| number << 20;
        for (offset, len, hole) in [(0, mib(4), true), (0, mib(4) + 1, false), (mib(4), 4, false), (mib(6), mib(2), true)] {
            assert_eq!(raw.is_hole(offset, len).unwrap(), hole, "{offset} {len}");
            assert_eq!(Slice::whole(Arc::clone(&raw)).is_hole(offset, len).unwrap(), hole, "{offset} {len}");
        }
        assert!(raw.is_hole(mib(8), 1).is_err() && Slice::new(raw, mib(1), mib(1)).is_hole(0, mib(2)).is_err());
    }

    #[test]
    fn a_slice_reads_and_seeks_like_a_file_and_is_never_written() {
        let mut slice = slice();
        let mut all = Vec::new();
        slice.read_to_end(&mut all).unwrap();
        assert_eq!(all, (10..30).collect::<Vec<u8>>());
        assert_eq!(slice.seek(SeekFrom::End(-1)).unwrap(), 19);
        assert_eq!(slice.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
        assert_eq!(Read::read(&mut slice, &mut [0; 4]).unwrap(), 0);
        assert!(slice.seek(SeekFrom::Current(1)).is_err());
        assert_eq!(slice.write(b"x").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    }
}
