//! Where things lie in an image.

/// Bytes of a logical block and of a sector.
pub(super) const BLOCK: u64 = 2048;

/// A run of the image's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Offset of the first byte.
    pub start: u64,
    /// Length in bytes.
    pub bytes: u64,
}
