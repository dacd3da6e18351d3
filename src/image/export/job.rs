//! The data that the threads of an export share.

use std::io;
use std::path::Path;

use super::content::{Content, Pieces};
use crate::base::aside::Meter;
use crate::image::error::ImageError;

/// One export, as its threads see it.
pub(super) struct Job {
    pub(super) content: Content,
    pub(super) pieces: Pieces,
    /// The disk's name in errors.
    pub(super) source: Box<Path>,
    /// The new file's name in errors.
    pub(super) target: Box<Path>,
}

impl Job {
    /// The bytes of the piece with the number `number`; the last one is filled up with zeros.
    ///
    /// # Errors
    /// The disk cannot be read, or the waiter of the export is gone.
    pub(super) fn read(&self, number: u64, meter: &Meter) -> Result<Vec<u8>, ImageError> {
        let mut bytes = vec![0; usize::try_from(self.pieces.size).unwrap_or(usize::MAX)];
        let failed = |source| ImageError::read(&self.source, source);
        self.content.read_padded(number * self.pieces.size, &mut bytes).map_err(failed)?;
        meter.count(self.pieces.size).map_err(failed)?;
        Ok(bytes)
    }

    /// The error when the new file cannot be written.
    pub(super) fn unwritable(&self, source: io::Error) -> ImageError {
        ImageError::write(&self.target, source)
    }
}

/// Whether `bytes` are all zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
