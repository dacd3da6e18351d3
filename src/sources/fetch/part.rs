//! The beginning of a file that is being fetched.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::event::{Task, Unit};
use crate::cache::Store;
use crate::sources::SourceError;

/// The kind of memory; the number is the version of [`Origin`].
const KIND: &str = "fetch-1";
/// Bytes that are hashed before other tasks get a turn.
const PIECE: usize = 8 << 20;

/// Where the beginning came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The digest of the URL, since the URL itself may hold a credential.
    pub url: Sha256Digest,
    /// The server's name of that version of the file (`answer::validator`).
    pub validator: Option<String>,
}

/// The beginning of a file.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hasher: HashingWriter<io::Sink>,
    bytes: u64,
    /// Whether its bytes came with more than one answer.
    pub is_pieced: bool,
}

impl Part {
    /// Open the beginning and hash it, or create an empty one.
    pub(super) async fn open(path: &Path, what: &str, task: &Task) -> Result<Self, SourceError> {
        let failed = unwritable(path);
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(&failed)?;
        let total = file.metadata().map_err(&failed)?.len();
        let mut hasher = HashingWriter::new(io::sink());
        let mut bytes = 0;
        let mut piece = vec![0; if total == 0 { 0 } else { PIECE }];
        loop {
            let read = file.read(&mut piece).map_err(&failed)?;
            if read == 0 {
                break;
            }
            hasher.write_all(&piece[..read]).map_err(&failed)?;
            bytes += read as u64;
            task.progress(&format!("hash what there is of {what}"), bytes, Some(total), Unit::Bytes);
            tokio::task::yield_now().await;
        }
        Ok(Self { path: path.to_owned(), file, hasher, bytes, is_pieced: bytes > 0 })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that it has.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Append `bytes`.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        self.file.write_all(bytes).and_then(|()| self.hasher.write_all(bytes)).map_err(unwritable(&self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Throw the bytes away.
    pub(super) fn restart(&mut self) -> Result<(), SourceError> {
        self.file.set_len(0).and_then(|()| io::Seek::rewind(&mut self.file)).map_err(unwritable(&self.path))?;
        self.hasher = HashingWriter::new(io::sink());
        (self.bytes, self.is_pieced) = (0, false);
        Ok(())
    }

    /// The digest of the bytes so far.
    pub(super) fn digest(&mut self) -> Sha256Digest {
        std::mem::replace(&mut self.hasher, HashingWriter::new(io::sink())).finish().1
    }
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Scratch { path: path.clone(), source }
}

impl Origin {
    /// Where `url` gave a file that its server calls `validator`.
    pub(super) fn new(url: &str, validator: Option<String>) -> Self {
        Self { url: Sha256Digest::of(url.as_bytes()), validator }
    }

    pub(super) fn remember(&self, store: &Store, file: &Sha256Digest) {
        // OK to default: plain data, which JSON always takes.
        store.remember(KIND, file, &serde_json::to_vec(self).unwrap_or_default());
    }

    pub(super) fn recall(store: &Store, file: &Sha256Digest) -> Option<Self> {
        serde_json::from_slice(&store.recall(KIND, file)?).ok()
    }
}
