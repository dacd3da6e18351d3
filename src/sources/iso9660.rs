//! Reads ISO 9660 images in-process: no mount, no root, nothing unpacked.
//!
//! Names come from Rock Ridge where an image has it, else from Joliet, else from ISO 9660 itself. Files may have several extents (over
//! 4 GiB) and directories may be relocated. Not read: interleaved files, volume sets, zisofs, UDF, path tables, and blocks of another
//! size than 2048 bytes.
//!
//! Sources: ECMA-119 (ISO 9660), SUSP 1.12 (IEEE P1281), RRIP 1.12 (IEEE P1282), the Joliet specification of 1995.
//!
//! Images come from elsewhere. Whatever they hold, reading them ends with a value or an [`IsoError`]: every length is checked against the
//! image before memory is taken for it, and every chain has a limit. Of both byte orders of a number the little-endian one is read, as Linux does.
//!
//! The crate `hadris-iso` 2.5 was considered: its lookup does not support Rock Ridge names, which CentOS media have, and it brings 50
//! crates.

mod error;
mod extent;
mod file;
mod record;
mod susp;
mod volume;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::read_at::ReadAt;

pub use error::IsoError;
pub use file::IsoFile;
pub use volume::Volume;

use error::Problem;
use extent::Extent;
use record::Record;
use susp::RockRidge;

/// Bytes of a directory that are read at most: ten thousand packages take 2 MiB.
const DIRECTORY_BYTES: u64 = 16 << 20;

/// The kind of an entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a device, or anything else that Rock Ridge can describe.
    Other,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without a version number. Not trusted: it may hold any character.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes, as the directory says.
    pub bytes: u64,
    extents: Vec<Extent>,
}

/// Where names are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Rock Ridge; system use areas begin after so many bytes (SUSP 5.3).
    RockRidge { skip: usize },
    /// Joliet: UCS-2 in big-endian order.
    Joliet,
    /// ISO 9660: capitals, with a version.
    Plain,
}

/// An ISO 9660 image.
pub struct Iso {
    bytes: Arc<dyn ReadAt>,
    volume: Volume,
    names: Names,
    root: Extent,
}

impl Iso {
    /// Read the volume descriptors of `bytes` and find out where names come from.
    ///
    /// # Errors
    /// It is no ISO 9660 image, is shorter than its volume, or its root directory is damaged.
    pub fn open(bytes: Arc<dyn ReadAt>) -> Result<Self, IsoError> {
        let found = volume::read(&*bytes)?;
        let has = bytes.len();
        // Images are longer than their volumes (isohybrid's padding), never shorter.
        if has < found.volume.bytes {
            return Err(IsoError::Truncated { has, needs: found.volume.bytes });
        }
        let skip = susp::rock_ridge(&*bytes, found.root)?;
        let (names, root) = match (skip, found.joliet) {
            (Some(skip), _) => (Names::RockRidge { skip }, found.root),
            (None, Some(root)) => (Names::Joliet, root),
            (None, None) => (Names::Plain, found.root),
        };
        Ok(Self { bytes, volume: found.volume, names, root })
    }

    /// The volume.
    pub fn volume(&self) -> &Volume {
        &self.volume
    }

    /// The entries of the directory at `path`, in the image's order; `None` when there is no such directory.
    ///
    /// # Errors
    /// A directory on the way is damaged.
    pub fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, IsoError> {
        match self.directory(path)? {
            Some(extent) => self.entries(extent, path).map(Some),
            None => Ok(None),
        }
    }

    /// The entry at `path`, whose parts are separated by `/`. Case counts where names are Rock Ridge's.
    ///
    /// # Errors
    /// A directory on the way is damaged.
    pub fn find(&self, path: &str) -> Result<Option<Entry>, IsoError> {
        let (parent, name) = path.trim_matches('/').rsplit_once('/').unwrap_or(("", path.trim_matches('/')));
        let Some(entries) = self.list(parent)? else { return Ok(None) };
        Ok(self.named(entries, name))
    }

    /// The content of a file.
    ///
    /// # Errors
    /// `entry` is no file, or lies past the end of the image.
    pub fn open_file(&self, entry: &Entry) -> Result<IsoFile, IsoError> {
        if entry.kind != EntryKind::File {
            return Err(IsoError::Corrupt { at: entry.name.clone(), what: "it is no regular file" });
        }
        for extent in &entry.extents {
            self.within(*extent)?;
        }
        Ok(IsoFile::new(Arc::clone(&self.bytes), entry.extents.clone()))
    }

    fn within(&self, extent: Extent) -> Result<(), IsoError> {
        let needs = extent.start.saturating_add(extent.bytes);
        let has = self.bytes.len();
        if needs > has { Err(IsoError::Truncated { has, needs }) } else { Ok(()) }
    }

    fn directory(&self, path: &str) -> Result<Option<Extent>, IsoError> {
        let mut at = self.root;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let entry = self.named(self.entries(at, path)?, part);
            match entry.filter(|entry| entry.kind == EntryKind::Directory).and_then(|entry| entry.extents.first().copied()) {
                Some(extent) => at = extent,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn named(&self, entries: Vec<Entry>, name: &str) -> Option<Entry> {
        let folds = !matches!(self.names, Names::RockRidge { .. });
        let position = entries
            .iter()
            .position(|entry| entry.name == name)
            .or_else(|| entries.iter().position(|entry| folds && entry.name.eq_ignore_ascii_case(name)))?;
        entries.into_iter().nth(position)
    }

    fn entries(&self, directory: Extent, path: &str) -> Result<Vec<Entry>, IsoError> {
        let corrupt = |what| IsoError::Corrupt { at: format!("directory /{}", path.trim_matches('/')), what };
        if directory.bytes > DIRECTORY_BYTES {
            return Err(corrupt("it claims to be larger than 16 MiB"));
        }
        self.within(directory)?;
        // OK to cast: at most 16 MiB.
        let mut bytes = vec![0; directory.bytes as usize];
        self.bytes.read_at(directory.start, &mut bytes)?;
        let mut entries: Vec<Entry> = Vec::new();
        // The identifier of a file if its next extent must follow.
        let mut open: Option<&[u8]> = None;
        for record in record::records(&bytes) {
            let record = record.map_err(corrupt)?;
            if record.is_self_or_parent() || record.is_associated() {
                continue;
            }
            if record.is_interleaved() {
                return Err(corrupt("a file in it is interleaved, which is not supported"));
            }
            match (open.take(), entries.last_mut()) {
                (Some(identifier), Some(entry)) if identifier == record.identifier => {
                    entry.extents.push(record.extent);
                    entry.bytes = entry.bytes.saturating_add(record.extent.bytes);
                }
                (Some(_), _) => return Err(corrupt("a file in it lacks its last extent")),
                (None, _) => match self.entry(&record).map_err(|error| error.at(&corrupt))? {
                    Some(entry) => entries.push(entry),
                    None => continue,
                },
            }
            open = record.is_continued().then_some(record.identifier);
        }
        if open.is_some() {
            return Err(corrupt("a file in it lacks its last extent"));
        }
        Ok(entries)
    }

    /// The entry of a record; `None` for a directory that is only here because it was relocated (RRIP 4.1.5.3).
    fn entry(&self, record: &Record<'_>) -> Result<Option<Entry>, Problem> {
        let rock_ridge = match self.names {
            Names::RockRidge { skip } => RockRidge::read(&*self.bytes, record.system_use.get(skip..).unwrap_or_default())?,
            _ => RockRidge::default(),
        };
        if rock_ridge.relocated {
            return Ok(None);
        }
        let name = match (&rock_ridge.name, self.names) {
            (Some(name), _) => String::from_utf8_lossy(name).into_owned(),
            (None, Names::Joliet) => record::joliet_name(record.identifier),
            (None, _) => record::plain_name(record.identifier),
        };
        let (kind, extent) = match rock_ridge.child {
            Some(block) => (EntryKind::Directory, record::itself(&*self.bytes, block)?),
            None if rock_ridge.special => (EntryKind::Other, record.extent),
            None if record.is_directory() => (EntryKind::Directory, record.extent),
            None => (EntryKind::File, record.extent),
        };
        Ok(Some(Entry { name, kind, bytes: extent.bytes, extents: vec![extent] }))
    }
}

impl std::fmt::Debug for Iso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Iso").field("volume", &self.volume).field("names", &self.names).finish_non_exhaustive()
    }
}
