//! Reads XFS of versions 4 and 5 at rest.
//!
//! Our own reader: of the crates, `xfs-fuse` is a program that mounts, `xfs-core` and `lamxfs` (0.1) read no extended attributes, no log and
//! no free space, and the first reads damage as zeros. Everything else is refused by name: a log that holds changes or is on another
//! device, files on a realtime device, directories of version 1, and features newer than Linux 6.12's parent pointers. Everything that a
//! version 5 block says of itself is checked: checksum, place, owner, filesystem.
//!
//! References: Linux, fs/xfs/libxfs (`xfs_format.h`, `xfs_da_format.h`, `xfs_log_format.h`), and "XFS Algorithms & Data Structures".

mod attributes;
mod block;
mod content;
mod directory;
mod inode;
mod log;
mod mapping;
mod superblock;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(in crate::image) use block::Block;
pub(in crate::image) use log::is_clean;
pub(in crate::image) use superblock::{Signature, Superblock};

use super::{Content, Entry, FileKind, Filesystem, FsError, Identity, Metadata, Usage, Xattr};
use crate::base::read_at::ReadAt;
use crate::image::read_at::Slice;
use crate::image::superblock::FilesystemType;
use content::XfsFile;
use inode::Inode;

/// Bytes that are read around an inode: its neighbours are asked for next.
const INODES_BYTES: u64 = 16 << 10;
/// Directories whose inodes are remembered by their paths.
const MAX_KNOWN_DIRECTORIES: usize = 4096;
/// Names of one directory that are remembered: with the longest names 18 MiB.
const MAX_KNOWN_NAMES: usize = 1 << 16;

/// An XFS filesystem.
pub(in crate::image) struct XfsReader {
    bytes: Slice,
    superblock: Superblock,
    /// The bytes that were last read around an inode, and where they begin.
    inodes: RefCell<(u64, Vec<u8>)>,
    /// Inodes of directories by their paths. Nothing changes in a filesystem at rest.
    directories: RefCell<HashMap<PathBuf, u64>>,
    /// The content of the directory in which a name was last looked for.
    names: RefCell<Names>,
}

/// Names in a directory, with their inodes.
#[derive(Default)]
struct Names {
    /// Inode of the directory. None has the number 0.
    directory: u64,
    inodes: HashMap<Vec<u8>, u64>,
}

impl XfsReader {
    /// Open the XFS that `bytes` holds.
    ///
    /// # Errors
    /// It is damaged, was not unmounted cleanly, or has features that are not read.
    pub(in crate::image) fn open(bytes: Slice) -> Result<Self, FsError> {
        let superblock = Superblock::read(&bytes)?;
        if !is_clean(&bytes, &superblock)? {
            let why = "it was not unmounted cleanly, and its log cannot be replayed here";
            return Err(FsError::Incompatible(why.to_owned()));
        }
        Ok(Self { bytes, superblock, inodes: RefCell::default(), directories: RefCell::default(), names: RefCell::default() })
    }

    /// The inode `number`.
    fn inode(&self, number: u64) -> Result<Inode, FsError> {
        let place = self.superblock.place_of_inode(number);
        let place = place.ok_or_else(|| FsError::Corrupt { offset: None, what: format!("inode {number} lies outside the filesystem") })?;
        let size = 1usize << self.superblock.inode_bits;
        let mut cache = self.inodes.borrow_mut();
        let within = |cache: &(u64, Vec<u8>)| {
            let start = usize::try_from(place.checked_sub(cache.0)?).ok()?;
            cache.1.get(start..start.checked_add(size)?).map(<[u8]>::to_vec)
        };
        let raw = match within(&cache) {
            Some(raw) => raw,
            None => {
                let start = place / INODES_BYTES * INODES_BYTES;
                let len = INODES_BYTES.min(self.bytes.len() - start);
                let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
                self.bytes.read_at(start, &mut bytes)?;
                *cache = (start, bytes);
                within(&cache).ok_or(std::io::ErrorKind::UnexpectedEof).map_err(std::io::Error::from)?
            }
        };
        Inode::read(Block::new("inode", place, raw), number, &self.superblock)
    }

    /// The inode of `path`.
    fn resolve(&self, path: &Path) -> Result<Inode, FsError> {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return self.inode(self.superblock.root) };
        match self.known(path) {
            Some(number) => self.inode(number),
            None => self.step(&self.directory(parent)?, name, path),
        }
    }

    /// The inode of the directory `path`: from the nearest one that is known, one name after the other.
    fn directory(&self, path: &Path) -> Result<Inode, FsError> {
        let known = path.ancestors().find_map(|path| self.known(path));
        let mut inode = self.inode(known.unwrap_or(self.superblock.root))?;
        let unknown: Vec<&Path> = path.ancestors().take_while(|path| self.known(path).is_none()).collect();
        for path in unknown.into_iter().rev() {
            // The root has no name.
            let Some(name) = path.file_name() else { continue };
            inode = self.step(&inode, name, path)?;
            if inode.metadata.kind != FileKind::Directory {
                return Err(FsError::Absent);
            }
        }
        Ok(inode)
    }

    /// The inode that `parent` calls `name`, which is that of `path`.
    ///
    /// A directory that is found elsewhere than in its own parent is refused: paths through it could be endless.
    fn step(&self, parent: &Inode, name: &OsStr, path: &Path) -> Result<Inode, FsError> {
        let inode = self.inode(self.find(parent, name)?.ok_or(FsError::Absent)?)?;
        if inode.metadata.kind == FileKind::Directory {
            let own = directory::parent(&self.bytes, &self.superblock, &inode)?;
            if own != parent.number || inode.number == self.superblock.root {
                return Err(inode.corrupt(format!("it is in the directory {}, and says that its parent is {own}", parent.number)));
            }
            self.remember(path, inode.number);
        }
        Ok(inode)
    }

    fn known(&self, path: &Path) -> Option<u64> {
        self.directories.borrow().get(path).copied()
    }

    fn remember(&self, path: &Path, number: u64) {
        let mut known = self.directories.borrow_mut();
        if known.len() >= MAX_KNOWN_DIRECTORIES {
            known.clear();
        }
        known.insert(path.to_owned(), number);
    }

    /// The number of the inode that `directory` calls `name`.
    fn find(&self, directory: &Inode, name: &OsStr) -> Result<Option<u64>, FsError> {
        if directory.metadata.kind != FileKind::Directory {
            return Err(FsError::Absent);
        }
        let key = |name: &[u8]| if self.superblock.is_caseless { name.to_ascii_lowercase() } else { name.to_vec() };
        let name = key(name.as_bytes());
        let mut names = self.names.borrow_mut();
        if names.directory != directory.number {
            *names = Names::default();
            let (mut found, mut inodes, mut is_whole) = (None, HashMap::new(), true);
            directory::visit(&self.bytes, &self.superblock, directory, &mut |other, number| {
                let other = key(other);
                if other == name {
                    found = Some(number);
                }
                is_whole = inodes.len() < MAX_KNOWN_NAMES;
                if is_whole {
                    inodes.insert(other, number);
                }
                // If a directory has too many names to remember, the search ends once the name is found.
                Ok(if is_whole || found.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            if !is_whole {
                return Ok(found);
            }
            *names = Names { directory: directory.number, inodes };
        }
        Ok(names.inodes.get(&name).copied())
    }

    /// The inode of `path`, when it is a `wanted`.
    fn expect(&self, path: &Path, wanted: FileKind) -> Result<Inode, FsError> {
        let inode = self.resolve(path)?;
        let found = inode.metadata.kind;
        if found == wanted { Ok(inode) } else { Err(FsError::Incompatible(format!("it is a {}, not a {}", found.name(), wanted.name()))) }
    }
}

impl Filesystem for XfsReader {
    fn kind(&self) -> FilesystemType {
        FilesystemType::Xfs
    }

    fn label(&self) -> &str {
        &self.superblock.label
    }

    fn uuid(&self) -> String {
        self.superblock.uuid.to_string()
    }

    fn is_clean(&self) -> bool {
        // A filesystem that is not clean is not opened.
        true
    }

    fn usage(&self) -> Result<Usage, FsError> {
        let bytes = |blocks: u64| blocks << self.superblock.block_bits;
        Ok(Usage { size: bytes(self.superblock.blocks), free: bytes(self.superblock.free_blocks) })
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        Ok(self.resolve(path)?.metadata)
    }

    fn identity(&self, path: &Path) -> Result<Identity, FsError> {
        let inode = self.resolve(path)?;
        Ok(Identity { inode: inode.number, links: inode.links })
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError> {
        let directory = self.expect(path, FileKind::Directory)?;
        let mut entries = Vec::new();
        directory::visit(&self.bytes, &self.superblock, &directory, &mut |name, number| {
            entries.push(Entry { name: OsStr::from_bytes(name).to_owned(), metadata: self.inode(number)?.metadata });
            Ok(ControlFlow::Continue(()))
        })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        content::target(&self.bytes, &self.superblock, &self.expect(path, FileKind::Symlink)?)
    }

    fn open<'a>(&'a self, path: &Path) -> Result<Box<dyn Content + 'a>, FsError> {
        let inode = self.expect(path, FileKind::File)?;
        Ok(Box::new(XfsFile::open(&self.bytes, &self.superblock, &inode)?))
    }

    fn xattrs(&self, path: &Path) -> Result<Vec<Xattr>, FsError> {
        attributes::read(&self.bytes, &self.superblock, &self.resolve(path)?)
    }
}
