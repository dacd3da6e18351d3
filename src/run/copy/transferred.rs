//! What came of copying.

use std::path::PathBuf;

/// What was copied.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Devices, pipes and sockets, which are not copied.
    pub left_out: Vec<PathBuf>,
    /// What the guest's tar warned of.
    pub warnings: String,
}
