//! Reads ext4, ext3 and ext2 from their raw inodes, without a journal. Every checksum of metadata is verified.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use super::super::{Content, Entry, FileKind, FsError, Identity, MAX_ENTRIES, Metadata, Xattr};
use super::attributes;
use super::content::Bytes;
use super::directory;
use super::geometry::Geometry;
use super::inodes::Inode;
use crate::image::read_at::Slice;

/// Number of the root directory (`EXT4_ROOT_INO`).
const ROOT: u32 = 2;
/// Names that are remembered, of all directories together: with the longest names 20 MiB.
const MAX_KNOWN_NAMES: usize = 1 << 16;
/// Bytes of a link's target (`PATH_MAX`).
const MAX_TARGET_BYTES: u64 = 4096;

/// The raw inodes of an ext4.
pub(super) struct RawExt4 {
    geometry: Geometry,
    /// The content of directories in which a name was looked for, by their inodes. Nothing changes in a filesystem at rest.
    known: RefCell<Known>,
    /// The directory in which a path was looked for last, and the number of its inode: a walk asks for many in one directory.
    last: RefCell<Option<(PathBuf, u32)>>,
}

#[derive(Default)]
struct Known {
    directories: HashMap<u32, HashMap<Vec<u8>, u32>>,
    /// Names of all of them.
    names: usize,
}

impl RawExt4 {
    /// # Errors
    /// The superblock is damaged, or names features that are not read.
    pub(super) fn open(bytes: Slice) -> Result<Self, FsError> {
        Ok(Self { geometry: Geometry::read(bytes)?, known: RefCell::default(), last: RefCell::default() })
    }

    /// Whether changes wait in the journal, so that what is read here is not what counts.
    pub(super) fn needs_replay(&self) -> bool {
        self.geometry.needs_replay()
    }

    pub(super) fn metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        Ok(self.inode(path)?.metadata)
    }

    pub(super) fn identity(&self, path: &Path) -> Result<Identity, FsError> {
        let inode = self.inode(path)?;
        Ok(Identity { inode: u64::from(inode.number), links: inode.links })
    }

    pub(super) fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError> {
        let directory = self.expect(path, FileKind::Directory)?;
        let mut entries = Vec::new();
        self.visit(&directory, &mut |name, number| {
            if entries.len() >= MAX_ENTRIES {
                return Err(directory.corrupt(format!("it holds more than {MAX_ENTRIES} names")));
            }
            let metadata = Inode::read(&self.geometry, number)?.metadata;
            entries.push(Entry { name: OsStr::from_bytes(name).to_owned(), metadata });
            Ok(ControlFlow::Continue(()))
        })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        let inode = self.expect(path, FileKind::Symlink)?;
        let size = usize::try_from(inode.metadata.size).unwrap_or(usize::MAX);
        // `ext4_inode_is_fast_symlink`: a short one takes the place of the numbers of blocks.
        let is_short = size < inode.block().len() && !inode.has_extents() && !inode.is_inline() && !inode.is_encrypted();
        let target = match inode.block().get(..size) {
            Some(target) if is_short => target.to_vec(),
            _ => Bytes::of(&self.geometry, &inode)?.whole(&inode, MAX_TARGET_BYTES)?,
        };
        Ok(std::ffi::OsString::from_vec(target).into())
    }

    pub(super) fn open_file(&self, path: &Path) -> Result<Box<dyn Content + '_>, FsError> {
        let inode = self.expect(path, FileKind::File)?;
        Ok(Box::new(Bytes::of(&self.geometry, &inode)?))
    }

    pub(super) fn xattrs(&self, path: &Path) -> Result<Vec<Xattr>, FsError> {
        attributes::read(&self.geometry, &self.inode(path)?)
    }

    /// The inode of `path`.
    fn inode(&self, path: &Path) -> Result<Inode, FsError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Inode::read(&self.geometry, ROOT) };
        let known = self.last.borrow().as_ref().filter(|(known, _)| known == parent).map(|(_, number)| *number);
        let directory = match known {
            Some(number) => Inode::read(&self.geometry, number)?,
            None => {
                let mut directory = Inode::read(&self.geometry, ROOT)?;
                for component in parent.components() {
                    if let Component::Normal(name) = component {
                        directory = self.child(&directory, name)?;
                    }
                }
                *self.last.borrow_mut() = Some((parent.to_owned(), directory.number));
                directory
            }
        };
        self.child(&directory, name)
    }

    /// The inode that `directory` calls `name`.
    fn child(&self, directory: &Inode, name: &OsStr) -> Result<Inode, FsError> {
        if directory.metadata.kind != FileKind::Directory {
            return Err(FsError::Absent);
        }
        Inode::read(&self.geometry, self.find(directory, name)?.ok_or(FsError::Absent)?)
    }

    /// The inode of `path`, when it is a `wanted`.
    fn expect(&self, path: &Path, wanted: FileKind) -> Result<Inode, FsError> {
        let inode = self.inode(path)?;
        let found = inode.metadata.kind;
        if found == wanted { Ok(inode) } else { Err(FsError::Incompatible(format!("it is a {}, not a {}", found.name(), wanted.name()))) }
    }

    /// The number of the inode that `directory` calls `name`.
    fn find(&self, directory: &Inode, name: &OsStr) -> Result<Option<u32>, FsError> {
        if let Some(names) = self.known.borrow().directories.get(&directory.number) {
            return Ok(names.get(name.as_bytes()).copied());
        }
        let (mut found, mut names, mut is_whole) = (None, HashMap::new(), true);
        self.visit(directory, &mut |other, number| {
            if other == name.as_bytes() {
                found = Some(number);
            }
            is_whole = names.len() < MAX_KNOWN_NAMES;
            if is_whole {
                names.insert(other.to_vec(), number);
            }
            // If a directory has too many names to remember, the search ends once the name is found.
            Ok(if is_whole || found.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if is_whole {
            self.remember(directory.number, names);
        }
        Ok(found)
    }

    fn remember(&self, directory: u32, names: HashMap<Vec<u8>, u32>) {
        let mut known = self.known.borrow_mut();
        if known.names + names.len() > MAX_KNOWN_NAMES {
            *known = Known::default();
        }
        known.names += names.len().max(1);
        known.directories.insert(directory, names);
    }

    fn visit(&self, directory: &Inode, visit: &mut directory::Visitor) -> Result<(), FsError> {
        if directory.is_encrypted() {
            return Err(FsError::Incompatible("its names are encrypted".to_owned()));
        }
        directory::visit(&self.geometry, directory, visit)
    }
}
