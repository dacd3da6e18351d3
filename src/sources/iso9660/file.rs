//! The content of a file.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::extent::Extent;
use crate::base::read_at::{ReadAt, sought};

/// A file of an image, read where it lies.
#[derive(Clone)]
pub struct IsoFile {
    image: Arc<dyn ReadAt>,
    extents: Vec<Extent>,
    bytes: u64,
    position: u64,
}

impl IsoFile {
    pub(super) fn new(image: Arc<dyn ReadAt>, extents: Vec<Extent>) -> Self {
        let bytes = extents.iter().fold(0, |sum: u64, extent| sum.saturating_add(extent.bytes));
        Self { image, extents, bytes, position: 0 }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.bytes
    }
}

impl Read for IsoFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut offset = self.position;
        for extent in &self.extents {
            if offset < extent.bytes {
                let left = usize::try_from(extent.bytes - offset).unwrap_or(usize::MAX);
                let count = left.min(buf.len());
                // OK to add: the extent was found to be within the image.
                self.image.read_at(extent.start + offset, &mut buf[..count])?;
                self.position += count as u64;
                return Ok(count);
            }
            offset -= extent.bytes;
        }
        Ok(0)
    }
}

impl Seek for IsoFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(self.position, self.bytes, to)?;
        Ok(self.position)
    }
}

impl fmt::Debug for IsoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsoFile").field("bytes", &self.bytes).field("position", &self.position).finish_non_exhaustive()
    }
}
