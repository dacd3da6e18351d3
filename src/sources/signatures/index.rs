//! The signature of a repository's index: `repodata/repomd.xml.asc`. Many repositories have one, but more do not.

use std::collections::BTreeMap;
use std::path::Path;

use super::Keyring;
use super::gpgv::{Answer, Data, ask};
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::base::fingerprint::Fingerprint;
use crate::packages::openpgp::detached;
use crate::packages::rpm::{Kind, Repomd, add_primary};
use crate::packages::{Scheme, Universe};
use crate::sources::SourceError;
use crate::sources::bundle::Bundle;
use crate::sources::fetch::{Way, Web, small};
use crate::sources::host::Host;

/// The kind of memory for the signature of a repomd.xml. It is kept under the digest of that file, since it fits no other.
const KIND: &str = "index-signature-1";
/// Bytes that an expanded primary.xml may have; that of all of CentOS 7 has 40 MiB.
const PRIMARY_BYTES: u64 = 256 << 20;
/// Bytes it may have.
const BYTES: u64 = 64 << 10;

/// The key that signed the repomd.xml `bytes`, which errors call `what`; `None` when there is no signature, or none with a key that counts.
/// The signature is at one of `urls`; `is_pinned` when the recipe pins repomd.xml.
///
/// # Errors
/// It was changed after it was signed, or gpgv cannot be run.
pub(in crate::sources) async fn of_index(
    what: &str,
    urls: &[String],
    bytes: &[u8],
    is_pinned: bool,
    keyring: &Keyring,
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Fingerprint>, SourceError> {
    let sha256 = Sha256Digest::of(bytes);
    let kept = host.store.recall(KIND, &sha256);
    let asc = match &kept {
        Some(asc) => asc.clone(),
        None => {
            task.step(&format!("look for a signature of {what}"));
            // Many repositories have none, so a missing signature is not reported; withholding it gains an attacker nothing.
            let quiet = Events::none().task("signature");
            let web = Web { pauses: Vec::new(), ..host.web.clone() };
            match small(what, Way::Mirrors(""), urls, BYTES, &web, &quiet).await {
                Ok(asc) => asc,
                Err(SourceError::NoMirror { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    };
    match signer(bytes, &asc, keyring, host.scratch).await? {
        Answer::Good(signer) => {
            if kept.is_none() {
                host.store.remember(KIND, &sha256, &asc);
            }
            Ok(Some(signer))
        }
        // With a pin the recipe itself decides, and the signature may be that of a later index.
        Answer::Changed if !is_pinned => Err(SourceError::BadIndexSignature { what: what.to_owned() }),
        Answer::Changed | Answer::Refused(_) => Ok(None),
    }
}

/// The digests of a bundle's packages in its metadata, by their paths; empty unless `repodata/repomd.xml.asc` is in the bundle and good. A
/// signature that does not match counts as none: when metadata is made anew, the old signature is left behind.
///
/// # Errors
/// The metadata is damaged, or gpgv cannot be run.
pub(super) async fn of_bundle_index(
    bundle: &Bundle,
    keyring: &Keyring,
    scratch: &Path,
) -> Result<BTreeMap<String, Sha256Digest>, SourceError> {
    let bytes = |path: &str| bundle.repodata().get(path).map(Vec::as_slice);
    let (Some(index), Some(asc)) = (bytes("repodata/repomd.xml"), bytes("repodata/repomd.xml.asc")) else { return Ok(BTreeMap::new()) };
    if !matches!(signer(index, asc, keyring, scratch).await?, Answer::Good(_)) {
        return Ok(BTreeMap::new());
    }
    let repomd = Repomd::read(&format!("repomd.xml of {}", bundle.what()), index)?;
    let Some(entry) = repomd.entry(Kind::Primary) else { return Ok(BTreeMap::new()) };
    let mut universe = Universe::new(Scheme::Rpm);
    let repository = universe.repository("bundle", 0);
    let mut listed = BTreeMap::new();
    let name = format!("{} of {}", entry.href, bundle.what());
    let input = entry.input(&name, bytes(&entry.href).unwrap_or_default(), PRIMARY_BYTES)?;
    add_primary(&mut universe, repository, input, &mut |_, file| {
        if let (Some(location), Some(sha256)) = (file.location(), file.checksum().ok().and_then(|checksum| checksum.sha256())) {
            listed.insert(location.to_owned(), sha256);
        }
    })?;
    Ok(listed)
}

/// The best answer for the signatures.
async fn signer(bytes: &[u8], asc: &[u8], keyring: &Keyring, scratch: &Path) -> Result<Answer, SourceError> {
    let signatures = match detached(asc) {
        Ok(signatures) => signatures,
        Err(why) => return Ok(Answer::Refused(why)),
    };
    let mut worst = Answer::Refused("is not signed".to_owned());
    for signature in signatures {
        match ask(&signature, Data::Bytes(bytes), keyring, scratch).await? {
            Answer::Good(signer) => return Ok(Answer::Good(signer)),
            Answer::Changed => worst = Answer::Changed,
            Answer::Refused(_) => {}
        }
    }
    Ok(worst)
}
