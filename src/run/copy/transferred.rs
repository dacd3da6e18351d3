//! The result of copying.

use std::path::PathBuf;

/// The result of a copy.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Devices, pipes and sockets, which are not copied.
    pub left_out: Vec<PathBuf>,
    /// The warnings of the guest's tar.
    pub warnings: String,
}
