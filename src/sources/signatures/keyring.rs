//! The keys that a recipe names, as gpgv takes them.

use std::path::{Path, PathBuf};

use crate::base::atomic;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::fingerprint::Fingerprint;
use crate::packages::openpgp::{KeyBlock, keys};
use crate::recipe::GpgKey;
use crate::sources::SourceError;
use crate::sources::fetch::{Way, shown, small};
use crate::sources::host::Host;

/// The kind of memory for a key that was fetched.
const KIND: &str = "gpg-key-1";
/// Bytes that a file of keys may have.
const BYTES: u64 = 1 << 20;

/// The keys that count for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) struct Keyring {
    key: String,
    fingerprints: Vec<Fingerprint>,
    bytes: Vec<u8>,
    sha256: Sha256Digest,
}

impl Keyring {
    /// The keys that the recipe names for `what`; `key` leads to them. None when it names none.
    ///
    /// # Errors
    /// All keys that cannot be read or fetched, or are not what the recipe says.
    pub(in crate::sources) async fn of(
        what: &str,
        key: &str,
        wanted: &[GpgKey],
        host: Host<'_>,
        task: &Task,
    ) -> Result<Option<Self>, SourceError> {
        let (mut blocks, mut problems) = (Vec::new(), Vec::new());
        for (nth, wanted) in wanted.iter().enumerate() {
            match blocks_of(wanted, &format!("{key}.{nth}"), host, task).await {
                Ok(found) => blocks.extend(found),
                Err(why) => problems.push(why),
            }
        }
        if !problems.is_empty() {
            return Err(SourceError::BadKeys { what: format!("the keys of {what}"), key: key.to_owned(), problems });
        }
        let mut fingerprints: Vec<Fingerprint> = blocks.iter().map(|block| block.fingerprint).collect();
        fingerprints.sort();
        fingerprints.dedup();
        let bytes: Vec<u8> = blocks.into_iter().flat_map(|block| block.bytes).collect();
        let sha256 = Sha256Digest::of(&bytes);
        Ok((!fingerprints.is_empty()).then_some(Self { key: key.to_owned(), fingerprints, bytes, sha256 }))
    }

    /// The recipe's key that names them.
    pub(in crate::sources) fn key(&self) -> &str {
        &self.key
    }

    /// The primary keys that count.
    pub(in crate::sources) fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }

    /// The digest of the keys with all their packets.
    pub(in crate::sources) fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// The keys as a file of `dir`.
    pub(in crate::sources) fn file(&self, dir: &Path) -> Result<PathBuf, SourceError> {
        let path = dir.join(format!("{}.gpg", self.sha256));
        if !path.exists() {
            atomic::write(&path, &self.bytes).map_err(|source| SourceError::Scratch { path: path.clone(), source })?;
        }
        Ok(path)
    }
}

/// The keys of one entry that count, or why none does. `key` leads to the entry.
async fn blocks_of(wanted: &GpgKey, key: &str, host: Host<'_>, task: &Task) -> Result<Vec<KeyBlock>, String> {
    match wanted {
        GpgKey::File { path, bytes, fingerprint, .. } => {
            let name = format!("`{}`", path.display());
            let blocks = keys(bytes).map_err(|why| format!("{name} {why}"))?;
            match fingerprint {
                Some(fingerprint) => named(blocks, *fingerprint, &name),
                None => Ok(blocks),
            }
        }
        GpgKey::Url { url, fingerprint } => {
            let memory = Sha256Digest::of(format!("{fingerprint} {url}").as_bytes());
            let name = shown(url);
            if let Some(blocks) = host.store.recall(KIND, &memory).and_then(|bytes| keys(&bytes).ok()) {
                return named(blocks, *fingerprint, &name);
            }
            let what = format!("the key {fingerprint}");
            let fetched = small(&what, Way::Mirrors(key), std::slice::from_ref(url), BYTES, &host.patience(), task).await;
            let bytes = fetched.map_err(|error| error.to_string())?;
            let blocks = named(keys(&bytes).map_err(|why| format!("{name} {why}"))?, *fingerprint, &name)?;
            let bytes: Vec<u8> = blocks.iter().flat_map(|block| block.bytes.clone()).collect();
            host.store.remember(KIND, &memory, &bytes);
            Ok(blocks)
        }
    }
}

/// The named key among `blocks`. Other keys in the file do not count.
fn named(blocks: Vec<KeyBlock>, fingerprint: Fingerprint, name: &str) -> Result<Vec<KeyBlock>, String> {
    let others: Vec<String> = blocks.iter().map(|block| block.fingerprint.to_string()).collect();
    let found: Vec<KeyBlock> = blocks.into_iter().filter(|block| block.fingerprint == fingerprint).collect();
    match found.is_empty() {
        true => Err(format!("{name} does not have the key {fingerprint}; it has {}", others.join(", "))),
        false => Ok(found),
    }
}
