//! The installation medium: an ISO whose files are read where they lie.
//!
//! All ISOs of CentOS 7 have the same label, so a medium is identified by its volume's size and its content ([`Kind`]).

mod edition;
mod fit;
mod kind;
mod label;
mod metadata;
mod releases;
mod treeinfo;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SourceError;
use super::iso9660::{Entry, Iso, IsoError, IsoFile};
use crate::base::digest::Sha256Digest;
use crate::base::read_at::ReadAt;

pub use edition::Edition;
pub use kind::Kind;
pub use label::{LabelError, TAKEN, device_label};
pub use releases::{KnownMedium, known_as};
pub use treeinfo::TreeInfo;

/// The name of the medium in errors.
pub(super) const WHAT: &str = "the installation medium";
/// `.treeinfo` and `.discinfo` have some hundred bytes.
const INFO_BYTES: u64 = 64 << 10;
/// EL7's kernel has 6 MiB, its installer's initrd 52 MiB.
const KERNEL_BYTES: u64 = 64 << 20;
const INITRD_BYTES: u64 = 512 << 20;
/// The index of the medium's packages.
const REPOMD: &str = "repodata/repomd.xml";
/// Bytes that repomd.xml may have.
const REPOMD_BYTES: u64 = 4 << 20;

/// An installation medium, open.
#[derive(Debug)]
pub struct Medium {
    path: PathBuf,
    iso: Iso,
    tree: TreeInfo,
    kind: Kind,
}

impl Medium {
    /// Open the ISO at `path` and read its descriptions of itself. Only some kilobytes are read; the digest is not computed.
    ///
    /// # Errors
    /// The file cannot be read, is no ISO, is cut short, is damaged or has no `.treeinfo`; the error says what it is instead.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let iso = open_iso(path)?;
        let failed = |error| of_iso(path, error);
        let text = |name: &str| -> Result<Option<String>, SourceError> {
            let Some(entry) = iso.find(name).map_err(failed)? else { return Ok(None) };
            let bytes = content(&iso, &entry, INFO_BYTES).map_err(failed)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let Some(tree) = text(".treeinfo")?.map(|text| TreeInfo::parse(&text)).filter(|tree| tree.arch().is_some()) else {
            return Err(SourceError::NoInstaller { path: path.to_owned(), volume: iso.volume().id.clone() });
        };
        let release = text(".discinfo")?.as_deref().and_then(treeinfo::discinfo_release).map(str::to_owned);
        let has_packages = iso.find(REPOMD).map_err(failed)?.is_some();
        let kind = Kind::of(iso.volume(), &tree, release, has_packages);
        Ok(Self { path: path.to_owned(), iso, tree, kind })
    }

    /// Where the ISO is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its volume identifier, for people. Not trusted: it may hold any character.
    pub fn volume_id(&self) -> &str {
        &self.iso.volume().id
    }

    /// Its label as a kernel argument names it by: what follows `LABEL=` ([`device_label`]).
    ///
    /// # Errors
    /// The installer would not find the medium by its label.
    pub fn device_label(&self) -> Result<String, SourceError> {
        let unusable = |why| SourceError::UnusableLabel { path: self.path.clone(), kind: self.kind.to_string(), why };
        device_label(&self.iso.volume().label).map_err(unusable)
    }

    /// The size of its volume in bytes; the file is as long or longer.
    pub fn volume_bytes(&self) -> u64 {
        self.iso.volume().bytes
    }

    /// Its description of itself.
    pub fn tree(&self) -> &TreeInfo {
        &self.tree
    }

    /// The installer's kernel, as `.treeinfo` names it.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is not what `.treeinfo` says it hashes to.
    pub fn kernel(&self) -> Result<Vec<u8>, SourceError> {
        self.image("kernel", KERNEL_BYTES)
    }

    /// The installer's initrd, as `.treeinfo` names it.
    ///
    /// # Errors
    /// As [`Medium::kernel`].
    pub fn initrd(&self) -> Result<Vec<u8>, SourceError> {
        self.image("initrd", INITRD_BYTES)
    }

    fn image(&self, name: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let Some(path) = self.tree.image(name) else {
            return Err(self.lacks(&format!("a {name} (.treeinfo names none)")));
        };
        let bytes = self.read(path, limit)?;
        match self.tree.sha256(path) {
            Some(expected) if Sha256Digest::of(&bytes).to_string() != expected => {
                Err(of_iso(&self.path, IsoError::Corrupt { at: path.to_owned(), what: "it does not hash to what .treeinfo says" }))
            }
            _ => Ok(bytes),
        }
    }

    /// The content of the file at `path` within the medium, which may have `limit` bytes.
    ///
    /// # Errors
    /// There is no such file, it is larger, or it cannot be read.
    pub fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, SourceError> {
        let failed = |error| of_iso(&self.path, error);
        let entry = self.find(path)?.ok_or_else(|| self.lacks(path))?;
        let too_large = || IsoError::Corrupt { at: path.to_owned(), what: "it is larger than such a file can be" };
        content(&self.iso, &entry, limit).and_then(|bytes| bytes.ok_or_else(too_large)).map_err(failed)
    }

    /// The file at `path` within the medium, to be read in pieces.
    ///
    /// # Errors
    /// There is no such file, or the medium is damaged.
    pub fn open_file(&self, path: &str) -> Result<IsoFile, SourceError> {
        let entry = self.find(path)?.ok_or_else(|| self.lacks(path))?;
        self.iso.open_file(&entry).map_err(|error| of_iso(&self.path, error))
    }

    /// The entry at `path` within the medium.
    ///
    /// # Errors
    /// The medium is damaged.
    pub fn find(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        self.iso.find(path).map_err(|error| of_iso(&self.path, error))
    }

    /// The entries of the directory at `path` within the medium. To look for many files, list once, because the result is not kept.
    ///
    /// # Errors
    /// There is no such directory, or the medium is damaged.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, SourceError> {
        self.iso.list(path).map_err(|error| of_iso(&self.path, error))?.ok_or_else(|| self.lacks(path))
    }

    fn lacks(&self, what: &str) -> SourceError {
        SourceError::NotOnMedium { path: self.path.clone(), kind: self.kind.to_string(), what: what.to_owned() }
    }
}

/// The content of a file of at most `limit` bytes; `None` when it has more.
fn content(iso: &Iso, entry: &Entry, limit: u64) -> Result<Option<Vec<u8>>, IsoError> {
    let mut file = iso.open_file(entry)?;
    if file.size() > limit {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn open_iso(path: &Path) -> Result<Iso, SourceError> {
    let unreadable = |source| SourceError::Unreadable { what: WHAT.to_owned(), path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(of_iso(path, IsoError::NotAnImage));
    }
    let file = File::open(path).map_err(unreadable)?;
    Iso::open(Arc::new(MediumFile { file, len: metadata.len() })).map_err(|error| of_iso(path, error))
}

/// An ISO's error as one of the medium.
fn of_iso(path: &Path, error: IsoError) -> SourceError {
    let (what, path) = (WHAT.to_owned(), path.to_owned());
    match error {
        IsoError::NotAnImage => SourceError::wrong_kind(&what, "an ISO 9660 image", &path),
        IsoError::Truncated { has, needs } => SourceError::Truncated { what, path, has, needs },
        IsoError::Io(source) => SourceError::Unreadable { what, path, source },
        damage @ IsoError::Corrupt { .. } => SourceError::Damaged { what, path, damage: damage.to_string() },
    }
}

/// A file whose length was taken when it was opened.
struct MediumFile {
    file: File,
    len: u64,
}

impl ReadAt for MediumFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
