//! Local files whose bytes are known.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::SourceError;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::cache::Store;

/// A local file whose bytes are the pinned ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedFile {
    path: PathBuf,
    sha256: Sha256Digest,
}

impl VerifiedFile {
    /// The file at `path`, hashed or remembered. `what` is its name in the recipe, which pins it or takes any.
    pub(super) async fn of(what: &str, path: &Path, pinned: Option<Sha256Digest>, store: &Store, task: &Task) -> Result<Self, SourceError> {
        let unreadable = |source: io::Error| SourceError::Unreadable { what: what.to_owned(), path: path.to_owned(), source };
        if !fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(SourceError::wrong_kind(what, "a regular file", path));
        }
        let sha256 = store.digest(path, what, task).await.map_err(unreadable)?;
        refuse_other(what, path, sha256, pinned)?;
        Ok(Self { path: path.to_owned(), sha256 })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its digest.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }
}

/// Refuse another file than the pinned one.
pub(super) fn refuse_other(what: &str, path: &Path, found: Sha256Digest, pinned: Option<Sha256Digest>) -> Result<(), SourceError> {
    match pinned {
        Some(expected) if expected != found => {
            Err(SourceError::WrongDigest { what: what.to_owned(), path: path.to_owned(), found, expected })
        }
        _ => Ok(()),
    }
}

/// The file that was fetched before, if its content is still the same.
pub(super) async fn stored(what: &str, sha256: Sha256Digest, store: &Store, task: &Task) -> Result<Option<PathBuf>, SourceError> {
    let Some(path) = store.peek_file(&sha256) else { return Ok(None) };
    match VerifiedFile::of(what, &path, Some(sha256), store, task).await {
        // The file was damaged on the disk, so it is removed.
        Err(SourceError::WrongDigest { .. }) => store.discard_file(&sha256).map(|()| None).map_err(Into::into),
        verified => verified.map(|file| Some(file.path().to_owned())),
    }
}
