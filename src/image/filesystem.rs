//! The interface of every reader of a filesystem at rest, and their shared types.
//!
//! A reader knows only one filesystem: paths begin with `/`, hold no `.` and no `..`, and may have a symbolic link only at their end.
//! [`super::Root`] resolves links and mount points, and adds the name of the disk to errors.

pub(super) mod ext4;
pub(super) mod fat;
pub(super) mod xfs;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::superblock::FilesystemType;
use crate::base::read_at::Stored;

/// One filesystem at rest. It is not [`Send`]: open and use it within one blocking task.
pub(crate) trait Filesystem {
    /// Which filesystem it is.
    fn kind(&self) -> FilesystemType;

    /// Its label; may be empty.
    fn label(&self) -> &str;

    /// Its id, as `root=UUID=` writes it.
    fn uuid(&self) -> String;

    /// Whether it was unmounted cleanly: nothing waits in a journal and no error is on record.
    fn is_clean(&self) -> bool;

    /// Its size, and how much of it is free.
    ///
    /// # Errors
    /// It is damaged.
    fn usage(&self) -> Result<Usage, FsError>;

    /// The data of the inode of `path`. A link at its end is not followed.
    ///
    /// # Errors
    /// Nothing has that name, or the filesystem is damaged.
    fn metadata(&self, path: &Path) -> Result<Metadata, FsError>;

    /// Which inode `path` is, and how many names lead to it. A link at its end is not followed.
    ///
    /// # Errors
    /// As [`Filesystem::metadata`]; or its reader has no numbers of inodes.
    fn identity(&self, path: &Path) -> Result<Identity, FsError>;

    /// The entries of the directory `path`, sorted by name, without `.` and `..`.
    ///
    /// # Errors
    /// It is not there, no directory, or damaged; or it holds more than [`MAX_ENTRIES`] names.
    fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError>;

    /// Where the symbolic link `path` points, as written.
    ///
    /// # Errors
    /// It is not there, no link, or damaged.
    fn read_link(&self, path: &Path) -> Result<PathBuf, FsError>;

    /// Open the regular file `path`.
    ///
    /// # Errors
    /// It is not there, no regular file, or damaged.
    fn open<'a>(&'a self, path: &Path) -> Result<Box<dyn Content + 'a>, FsError>;

    /// The extended attributes of `path`, sorted by name, with their prefix: `security.selinux`. A link at its end is not followed.
    ///
    /// # Errors
    /// It is not there, or damaged.
    fn xattrs(&self, path: &Path) -> Result<Vec<Xattr>, FsError>;
}

/// A regular file's bytes. It is read with `&mut self`, because readers keep their place among the extents.
pub(crate) trait Content {
    /// Size in bytes.
    fn size(&self) -> u64;

    /// Read from byte `offset` on into `buf`; how many bytes were read, 0 only at the end of the file or for an empty `buf`.
    ///
    /// # Errors
    /// The filesystem is damaged, or the disk cannot be read.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, FsError>;

    /// Where the bytes from `offset` on are stored, when that is known, and for how many of them that goes on; 0 only at the end of the file.
    ///
    /// # Errors
    /// As [`Content::read_at`].
    fn stored(&mut self, offset: u64) -> Result<(u64, Option<Stored>), FsError> {
        Ok((self.size().saturating_sub(offset), None))
    }
}

/// Most names that one directory may hold. A damaged directory can contain itself; a real one has some 10 000.
pub(crate) const MAX_ENTRIES: usize = 1_000_000;

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name: any bytes but `/` and NUL.
    pub name: OsString,
    /// The data of its inode.
    pub metadata: Metadata,
}

/// An extended attribute: its name with the prefix, and its value.
pub type Xattr = (OsString, Vec<u8>);

/// Room of a filesystem, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// All of it.
    pub size: u64,
    /// Bytes that no file uses.
    pub free: u64,
}

/// Identifies a file, whatever names it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Identity {
    /// The number of its inode.
    pub inode: u64,
    /// How many names lead to it.
    pub links: u32,
}

/// The kind of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Device,
    Pipe,
    Socket,
}

impl FileKind {
    /// The field's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "link",
            Self::Device => "device",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
        }
    }
}

/// The data of a file's inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, with set-uid, set-gid and sticky: 12 bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When its content was last changed: seconds since 1970, perhaps negative.
    pub modified: i64,
}

/// Why a reader could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FsError {
    /// Nothing has that name, or a part of the path is no directory.
    #[error("there is nothing of that name")]
    Absent,
    /// The disk could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The filesystem may be fine, but the reader does not support it.
    #[error("{0}")]
    Incompatible(String),
    /// It breaks the rules of its format.
    #[error("{what}")]
    Corrupt {
        /// Byte of the filesystem where the wrong value is, when that is known.
        offset: Option<u64>,
        /// The fault there.
        what: String,
    },
}
