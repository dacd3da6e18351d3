//! A regular file of an image, open for reading.

use std::io::{self, Read};

use super::error::ImageError;
use super::filesystem::{Content, FsError};
use crate::base::read_at::Stored;

/// A regular file of an image, read from its beginning: see [`super::Root::open_file`]. Errors of the image travel inside those of
/// [`std::io::Read`]; [`ImageError::read`] takes them out.
pub struct OpenFile<'a> {
    content: Box<dyn Content + 'a>,
    failed: Box<dyn Fn(FsError) -> ImageError + 'a>,
    position: u64,
}

impl<'a> OpenFile<'a> {
    /// The file with this `content`; `failed` makes an error of the image of what its reader says.
    pub(super) fn new(content: Box<dyn Content + 'a>, failed: Box<dyn Fn(FsError) -> ImageError + 'a>) -> Self {
        Self { content, failed, position: 0 }
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.content.size()
    }

    /// Where the bytes from here on are stored, when that is known, and for how many of them that goes on; 0 only at the end of the file.
    /// Two images may lie over the same file. Bytes of both that are stored at one place in it are the same.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn stored(&mut self) -> Result<(u64, Option<Stored>), ImageError> {
        self.content.stored(self.position).map_err(&self.failed)
    }

    /// Leave out the next `count` bytes.
    pub fn skip(&mut self, count: u64) {
        self.position = self.position.saturating_add(count);
    }
}

impl Read for OpenFile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read_at(self.position, buf).map_err(&self.failed)?;
        self.position += count as u64;
        Ok(count)
    }
}
