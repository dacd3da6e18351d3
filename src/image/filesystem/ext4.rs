//! Reads ext4, and ext2 and ext3 with it.
//!
//! One whose journal holds changes is read by `ext4-view`, which replays it in memory; all others by [`raw`]. `ext4-view` 1.0 would not do for
//! those: it gives no attributes, no inode numbers and no counts of links, takes a directory for damaged that holds a file from before 1970 or
//! after 2038 (its `Timestamp::from_raw`), and refuses inline_data, ea_inode, large_dir, meta_bg and mmp.

mod attributes;
mod content;
mod directory;
mod entries;
mod geometry;
mod inodes;
mod mapping;
mod raw;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Error};

use super::{Content, Entry, FileKind, Filesystem, FsError, Identity, MAX_ENTRIES, Metadata, Usage, Xattr};
use crate::image::read_at::Slice;
use crate::image::superblock::{FilesystemType, Superblock};
use raw::RawExt4;

/// An ext4 filesystem.
pub(in crate::image) struct Ext4Reader {
    /// The filesystem with its journal replayed; `None` when nothing waits in the journal.
    replayed: Option<Ext4>,
    raw: RawExt4,
    superblock: Superblock,
}

impl Ext4Reader {
    /// Open the ext4 that `bytes` holds.
    ///
    /// # Errors
    /// It is damaged, has features that are not read, or a journal that cannot be replayed.
    pub(in crate::image) fn open(bytes: Slice) -> Result<Self, FsError> {
        let superblock = Superblock::read(&bytes).map_err(|what| FsError::Corrupt { offset: Some(0), what })?;
        let raw = RawExt4::open(bytes.clone())?;
        let replayed = if raw.needs_replay() {
            let replayed = Ext4::load(Box::new(bytes)).map_err(|error| match error {
                // Journals without checksums (EL7's) and those that no kernel has seen yet. `replay` says what can be done.
                Ext4Error::Incompatible(what) => {
                    FsError::Incompatible(format!("it was not unmounted cleanly, and its journal cannot be replayed here ({what})"))
                }
                error => error.into(),
            })?;
            Some(replayed)
        } else {
            None
        };
        Ok(Self { replayed, raw, superblock })
    }

    /// The raw inodes, for data that only they have.
    fn raw(&self, what: &str) -> Result<&RawExt4, FsError> {
        if self.replayed.is_some() {
            return Err(FsError::Incompatible(format!("its {what} cannot be read before its journal is replayed")));
        }
        Ok(&self.raw)
    }
}

impl Filesystem for Ext4Reader {
    fn kind(&self) -> FilesystemType {
        FilesystemType::Ext4
    }

    fn label(&self) -> &str {
        &self.superblock.label
    }

    fn uuid(&self) -> String {
        self.superblock.uuid.to_string()
    }

    fn is_clean(&self) -> bool {
        self.superblock.is_clean
    }

    fn usage(&self) -> Result<Usage, FsError> {
        Ok(Usage { size: self.superblock.size, free: self.superblock.free })
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        match &self.replayed {
            Some(view) => Ok(metadata_from(&view.symlink_metadata(path)?)),
            None => self.raw.metadata(path),
        }
    }

    fn identity(&self, path: &Path) -> Result<Identity, FsError> {
        self.raw("inode numbers")?.identity(path)
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError> {
        let Some(view) = &self.replayed else { return self.raw.read_dir(path) };
        let mut entries = Vec::new();
        for entry in view.read_dir(path)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().as_ref()).to_owned();
            if name != "." && name != ".." {
                entries.push(Entry { name, metadata: metadata_from(&entry.metadata()?) });
            }
            if entries.len() > MAX_ENTRIES {
                return Err(FsError::Corrupt { offset: None, what: format!("a directory holds more than {MAX_ENTRIES} names") });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        match &self.replayed {
            Some(view) => Ok(view.read_link(path)?.into()),
            None => self.raw.read_link(path),
        }
    }

    fn open<'a>(&'a self, path: &Path) -> Result<Box<dyn Content + 'a>, FsError> {
        match &self.replayed {
            Some(view) => Ok(Box::new(view.open(path)?)),
            None => self.raw.open_file(path),
        }
    }

    fn xattrs(&self, path: &Path) -> Result<Vec<Xattr>, FsError> {
        self.raw("attributes")?.xattrs(path)
    }
}

impl Content for ext4_view::File {
    fn size(&self) -> u64 {
        self.metadata().len()
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, FsError> {
        if self.position() != offset {
            self.seek_to(offset)?;
        }
        Ok(self.read_bytes(buf)?)
    }
}

fn metadata_from(raw: &ext4_view::Metadata) -> Metadata {
    Metadata {
        kind: kind_of(raw.file_type()),
        mode: u32::from(raw.mode()) & 0o7777,
        uid: raw.uid(),
        gid: raw.gid(),
        size: raw.len(),
        modified: raw.modified().seconds(),
    }
}

fn kind_of(kind: ext4_view::FileType) -> FileKind {
    match kind {
        ext4_view::FileType::Regular => FileKind::File,
        ext4_view::FileType::Directory => FileKind::Directory,
        ext4_view::FileType::Symlink => FileKind::Symlink,
        ext4_view::FileType::BlockDevice | ext4_view::FileType::CharacterDevice => FileKind::Device,
        ext4_view::FileType::Fifo => FileKind::Pipe,
        ext4_view::FileType::Socket => FileKind::Socket,
    }
}

impl From<Ext4Error> for FsError {
    fn from(error: Ext4Error) -> Self {
        match error {
            Ext4Error::NotFound | Ext4Error::NotADirectory => Self::Absent,
            Ext4Error::Io(source) => match source.downcast::<std::io::Error>() {
                Ok(source) => Self::Io(*source),
                Err(source) => Self::Io(std::io::Error::other(source)),
            },
            Ext4Error::Corrupt(what) => Self::Corrupt { offset: None, what: what.to_string() },
            other => Self::Incompatible(other.to_string()),
        }
    }
}
