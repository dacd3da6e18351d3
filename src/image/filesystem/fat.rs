//! Reads FAT12, FAT16 and FAT32 as Linux's vfat shows them to root: long names, looked for without regard to case, owner root, modes 755.
//!
//! Our own reader: `fatfs` 0.3.6 follows a circular chain of clusters without end, and does not give the place of a file, which is used
//! here as its inode number. Layout: Microsoft, "FAT: General Overview of On-Disk Format", 1.03, whose names are used here.

mod directory;
mod volume;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::{Content, Entry, FileKind, Filesystem, FsError, Identity, Metadata, Usage, Xattr};
use crate::image::read_at::Slice;
use crate::image::superblock::FilesystemType;
use directory::Record;
use volume::{Chain, Volume};

/// A FAT filesystem.
pub(in crate::image) struct FatReader {
    volume: Volume,
    label: String,
    /// The directories that were read last, the last one first, by their first clusters; the root has none. A walk asks for each name of a
    /// directory, and reading all of it for each takes minutes where there are thousands.
    known: RefCell<VecDeque<Known>>,
}

/// A directory that was read.
type Known = (Option<u32>, Rc<Vec<Record>>);

/// Directories that are kept: a path has few parts.
const KNOWN: usize = 16;

/// The target of a path.
enum Found {
    Root,
    Record(Record),
}

impl FatReader {
    /// Open the FAT that `bytes` holds.
    ///
    /// # Errors
    /// Its first sector holds values that cannot be.
    pub(in crate::image) fn open(bytes: Slice) -> Result<Self, FsError> {
        let volume = Volume::read(bytes)?;
        let label = directory::label(&volume)?;
        Ok(Self { volume, label, known: RefCell::default() })
    }

    fn find(&self, path: &Path) -> Result<Found, FsError> {
        let mut found = Found::Root;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            // A name that is not UTF-8 cannot be written in UTF-16, so no FAT has it.
            let name = name.to_str().ok_or(FsError::Absent)?;
            let records = self.records(&found)?.ok_or(FsError::Absent)?;
            let record = records.iter().find(|record| record.is_named(name)).ok_or(FsError::Absent)?;
            found = Found::Record(record.clone());
        }
        Ok(found)
    }

    /// The content of a directory; `None` when it is a file.
    fn records(&self, found: &Found) -> Result<Option<Rc<Vec<Record>>>, FsError> {
        let cluster = match found {
            Found::Root => None,
            Found::Record(record) if record.metadata.kind == FileKind::Directory => Some(record.cluster),
            Found::Record(_) => return Ok(None),
        };
        let mut known = self.known.borrow_mut();
        let place = known.iter().position(|(first, _)| *first == cluster);
        let (_, records) = match place.and_then(|place| known.remove(place)) {
            Some(found) => found,
            None => {
                let chain = match cluster {
                    None => self.volume.root()?,
                    Some(first) => self.volume.directory(first)?,
                };
                (cluster, Rc::new(directory::read(&self.volume, chain)?))
            }
        };
        known.truncate(KNOWN - 1);
        known.push_front((cluster, Rc::clone(&records)));
        Ok(Some(records))
    }

    fn metadata_of(found: &Found) -> Metadata {
        match found {
            // The root has no record, and so no time: Linux shows the beginning of 1970.
            Found::Root => Metadata { kind: FileKind::Directory, mode: 0o755, uid: 0, gid: 0, size: 0, modified: 0 },
            Found::Record(record) => record.metadata,
        }
    }
}

impl Filesystem for FatReader {
    fn kind(&self) -> FilesystemType {
        FilesystemType::Vfat
    }

    fn label(&self) -> &str {
        &self.label
    }

    fn uuid(&self) -> String {
        let serial = self.volume.serial;
        format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff)
    }

    fn is_clean(&self) -> bool {
        self.volume.is_clean
    }

    fn usage(&self) -> Result<Usage, FsError> {
        Ok(Usage { size: self.volume.size(), free: self.volume.free()? })
    }

    fn metadata(&self, path: &Path) -> Result<Metadata, FsError> {
        Ok(Self::metadata_of(&self.find(path)?))
    }

    fn identity(&self, path: &Path) -> Result<Identity, FsError> {
        // Linux numbers inodes as it meets them. The place of a file's record does not change; no record is at byte 0.
        let inode = match self.find(path)? {
            Found::Root => 0,
            Found::Record(record) => record.place,
        };
        Ok(Identity { inode, links: 1 })
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<Entry>, FsError> {
        let records = self.records(&self.find(path)?)?;
        let records = records.ok_or_else(|| FsError::Incompatible("it is a file, not a directory".to_owned()))?;
        let mut entries: Vec<_> =
            records.iter().map(|record| Entry { name: record.name.clone().into(), metadata: record.metadata }).collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, FsError> {
        let kind = Self::metadata_of(&self.find(path)?).kind;
        Err(FsError::Incompatible(format!("it is a {}, not a {}", kind.name(), FileKind::Symlink.name())))
    }

    fn open<'a>(&'a self, path: &Path) -> Result<Box<dyn Content + 'a>, FsError> {
        match self.find(path)? {
            Found::Record(record) if record.metadata.kind == FileKind::File => {
                let chain =
                    if record.metadata.size == 0 { Chain::default() } else { self.volume.chain(record.cluster, record.metadata.size)? };
                if record.metadata.size > chain.bytes() {
                    let what = format!("{} has {} bytes, and its clusters {}", record.name, record.metadata.size, chain.bytes());
                    return Err(FsError::Corrupt { offset: Some(record.place), what });
                }
                Ok(Box::new(FatFile { volume: &self.volume, chain, size: record.metadata.size }))
            }
            _ => Err(FsError::Incompatible("it is a directory, not a file".to_owned())),
        }
    }

    fn xattrs(&self, path: &Path) -> Result<Vec<Xattr>, FsError> {
        // A FAT has no extended attributes.
        self.find(path).map(|_| Vec::new())
    }
}

/// An open file.
struct FatFile<'a> {
    volume: &'a Volume,
    chain: Chain,
    size: u64,
}

impl Content for FatFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, FsError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        self.volume.read_chain(&self.chain, offset, &mut buf[..count])
    }
}
