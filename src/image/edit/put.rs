//! A file for a copy of an image.

use std::path::PathBuf;

/// A file that is put into the root filesystem of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutFile {
    /// Its absolute path. Links on the way to it are followed in the image.
    pub path: PathBuf,
    /// All that it holds.
    pub content: Vec<u8>,
    /// Permission bits of a new file, which belongs to root. A file that is there keeps its owner, mode and attributes.
    pub mode: u32,
    /// The type in the SELinux label of a new file, in an image that has labels.
    pub selinux_type: &'static str,
}
