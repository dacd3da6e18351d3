//! Whether packages are signed with the keys that a recipe names.
//!
//! ```text
//! gpg_keys ─files, or the network─→ Keyring ┐
//! package ─packages::rpm::signed─→ parts ─┴─ gpgv, once for each signature ─→ Proof, or why not
//! ```
//!
//! All signatures of a package must be good, made by a key that is named, and together they must cover all of it: a signature over the header
//! alone does only where the header has a digest of the payload, or where an index that is signed itself has one of the whole package. This
//! is stricter than rpm 4.11, which accepts digests that are not signed.
//!
//! gpgv does the cryptography, the program that apt trusts. Its exit status is 0 even for keys that have expired or were revoked, so only
//! its status lines count (GnuPG, doc/DETAILS). A proof is remembered by the digests of package and keys.

mod gpgv;
mod index;
mod keyring;
mod package;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::SourceError;
use super::bundle::{Bundle, FileRecord};
use super::fetch::require_room;
use super::host::Host;
use crate::base::aside::beside;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Task, Unit};
use crate::base::fingerprint::Fingerprint;
use crate::base::text::printable;
use crate::packages::rpm::header::LEAD_MAGIC;

pub(super) use index::of_index;
pub(super) use keyring::Keyring;
pub(super) use package::Wanted;

/// The kind of memory for proofs. The number is the version of [`Signers`] and of the rules that lead to it.
const KIND: &str = "signatures-2";
/// Why a package without `.rpm` in its name is refused, in words that fit after the name.
const HIDDEN: &str = "is an RPM package whose name does not end in `.rpm`, and signatures are verified by that: rename it and make the metadata anew, or remove it";
/// Packages that are verified at a time: gpgv keeps one processor busy, and holds a header of at most 17 MiB here.
const AT_A_TIME: usize = 4;

/// The signers of the packages of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The recipe's repository.
    pub repository: String,
    /// The online repository that they come from; none for those of an archive.
    pub upstream: Option<String>,
    /// The keys, and the packages signed with each.
    pub signers: Signers,
}

/// Keys, and what was signed with them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signers {
    /// The primary key's fingerprint, and how many packages it or a key below it has signed.
    pub keys: BTreeMap<Fingerprint, usize>,
    /// Packages with a signature by a weak digest: path, and the digest's name.
    pub weak: Vec<(String, String)>,
}

impl Signers {
    /// How many packages are signed.
    pub fn packages(&self) -> usize {
        self.keys.values().sum()
    }

    pub(super) fn add(&mut self, other: Self) {
        other.keys.into_iter().for_each(|(key, count)| *self.keys.entry(key).or_default() += count);
        self.weak.extend(other.weak);
    }
}

/// Verify packages, a few at a time: for each, in their order, who signed it, or why it is refused in words that fit after its name.
///
/// # Errors
/// One cannot be read, or gpgv cannot be run.
pub(super) async fn verify(wanted: &[Wanted<'_>], host: Host<'_>, task: &Task) -> Result<Vec<Result<Signers, String>>, SourceError> {
    let step = "verify the signatures";
    let verdicts = stream::iter(wanted.iter().map(|wanted| async move {
        let verdict = package::verdict(wanted, host.scratch).await?;
        Ok::<_, SourceError>(verdict.map(|proved| Signers {
            keys: [(proved.signer, 1)].into(),
            weak: proved.weak.map(|hash| (wanted.name.to_owned(), hash.to_string())).into_iter().collect(),
        }))
    }));
    let mut done = 0;
    let total = wanted.len() as u64;
    verdicts
        .buffered(AT_A_TIME)
        .inspect(|_| {
            done += 1;
            task.progress(step, done, Some(total), Unit::Steps);
        })
        .try_collect()
        .await
}

/// Who signed the packages of the bundle of the recipe's repository `id`: remembered, or verified now. For that they are unpacked into the
/// scratch directory, so that exactly the files with the bundle's digests are verified.
///
/// # Errors
/// All packages that are not signed as they must be; or the bundle cannot be unpacked, or gpgv cannot be run.
pub(super) async fn of_bundle(bundle: &Bundle, keyring: &Keyring, host: Host<'_>, task: &Task) -> Result<Signers, SourceError> {
    let key = known_as(bundle.sha256(), keyring, false);
    if let Some(signers) = recall(&key, host) {
        return Ok(signers);
    }
    let dir = host.scratch.join(format!("signed-{}", bundle.sha256().short()));
    require_room(&format!("the packages of {}", bundle.what()), host.store, bundle.unpacked_bytes())?;
    let signers = async {
        bundle.unpack(&dir, task).await?;
        let listed = index::of_bundle_index(bundle, keyring, host.scratch).await?;
        let files: Vec<&FileRecord> = bundle.packages().map(|(file, _)| file).collect();
        let wanted = files.iter().map(|file| Wanted {
            name: &file.path,
            path: dir.join(&file.path),
            keyring,
            is_indexed: listed.get(&file.path) == Some(&file.sha256),
        });
        let wanted: Vec<Wanted<'_>> = wanted.collect();
        let verdicts = verify(&wanted, host, task).await?;
        let named = files.iter().map(|file| file.path.clone()).zip(verdicts);
        let hidden = hidden_packages(bundle, &dir).await?;
        let named = named.chain(hidden.into_iter().map(|path| (path, Err(HIDDEN.to_owned()))));
        all(&format!("the packages of {}", bundle.what()), keyring.key(), named)
    }
    .await;
    // The scratch directory goes away with the run, but the packages are not needed that long.
    let _ = std::fs::remove_dir_all(&dir);
    let signers = signers?;
    remember(&key, &signers, host);
    Ok(signers)
}

/// The files of a bundle, unpacked to `dir`, that are packages for rpm but have other names.
///
/// yum opens any file that the metadata names, and an SQLite database may name others than primary.xml does. So all files of the bundle are
/// checked, not only the listed ones. rpm recognises a package by its first bytes alone (rpm 4.11, lib/rpmlead.c, `rpmLeadRead`).
async fn hidden_packages(bundle: &Bundle, dir: &Path) -> Result<Vec<String>, SourceError> {
    let others: Vec<String> = bundle.files().iter().filter(|file| file.package.is_none()).map(|file| file.path.clone()).collect();
    let place = dir.to_owned();
    let found = beside(move |_| {
        let mut hidden = Vec::new();
        for path in others {
            let mut head = Vec::new();
            File::open(place.join(&path))?.take(LEAD_MAGIC.len() as u64).read_to_end(&mut head)?;
            if head == LEAD_MAGIC {
                hidden.push(path);
            }
        }
        Ok::<_, io::Error>(hidden)
    });
    found.await.map_err(|source| SourceError::Unreadable { what: bundle.what().to_owned(), path: dir.to_owned(), source })
}

/// The signers of all packages of `what`.
///
/// # Errors
/// All that are refused, by their names. `key` leads to the keys in the recipe.
pub(super) fn all(
    what: &str,
    key: &str,
    verdicts: impl IntoIterator<Item = (String, Result<Signers, String>)>,
) -> Result<Signers, SourceError> {
    let mut signers = Signers::default();
    let mut problems = Vec::new();
    for (name, verdict) in verdicts {
        match verdict {
            Ok(more) => signers.add(more),
            // Names come from the bundle.
            Err(why) => problems.push(format!("`{}` {}", printable(&name), printable(&why))),
        }
    }
    if problems.is_empty() {
        return Ok(signers);
    }
    Err(SourceError::BadSignatures { what: what.to_owned(), key: key.to_owned(), problems })
}

/// The key under which a proof is remembered: the digest of the verified package, the keys, and whether a signed index covers the rest.
pub(super) fn known_as(sha256: Sha256Digest, keyring: &Keyring, is_indexed: bool) -> Sha256Digest {
    Sha256Digest::of(&[&sha256.as_bytes()[..], keyring.sha256().as_bytes(), &[u8::from(is_indexed)]].concat())
}

pub(super) fn recall(key: &Sha256Digest, host: Host<'_>) -> Option<Signers> {
    serde_json::from_slice(&host.store.recall(KIND, key)?).ok()
}

pub(super) fn remember(key: &Sha256Digest, signers: &Signers, host: Host<'_>) {
    if let Ok(bytes) = serde_json::to_vec(signers) {
        host.store.remember(KIND, key, &bytes);
    }
}
