//! Reads ext4, and ext2 and ext3 with it: by `ext4-view`, which replays a journal in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ext4_view::{Ext4, Ext4Error};

use super::{Content, Entry, FileKind, Filesystem, FsError, MAX_ENTRIES, Metadata, Usage, Xattr};
use crate::image::read_at::Slice;
use crate::image::superblock::{FilesystemType, Superblock};

/// An ext4 filesystem.
pub(in crate::image) struct Ext4Reader {
    ext4: Ext4,
    superblock: Superblock,
}

impl Ext4Reader {
    /// Open the ext4 that `bytes` holds.
    ///
    /// # Errors
    /// It is damaged, has features that are not read, or a journal that cannot be replayed.
    pub(in crate::image) fn open(bytes: Slice) -> Result<Self, FsError> {
        let superblock = Superblock::read(&bytes).map_err(|what| FsError::Corrupt { offset: Some(0), what })?;
        let ext4 = Ext4::load(Box::new(bytes)).map_err(|error| match error {
            // Journals without checksums (EL7's) and those that no kernel has seen yet. `replay` says what can be done.
            Ext4Error::Incompatible(what) if !superblock.is_clean => {
                FsError::Incompatible(format!("it was not unmounted cleanly, and its journal cannot be replayed here ({what})"))
            }
            error => error.into(),
        })?;
        Ok(Self { ext4, superblock })
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
        Ok(metadata_from(&self.ext4.symlink_metadata(path)?))
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError> {
        let mut entries = Vec::new();
        for entry in self.ext4.read_dir(path)? {
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
        Ok(self.ext4.read_link(path)?.into())
    }

    fn open<'a>(&'a self, path: &Path) -> Result<Box<dyn Content + 'a>, FsError> {
        Ok(Box::new(self.ext4.open(path)?))
    }

    fn xattrs(&self, _: &Path) -> Result<Vec<Xattr>, FsError> {
        Err(FsError::Incompatible("extended attributes of ext4 are not read".to_owned()))
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
