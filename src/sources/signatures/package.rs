//! Whether one package is signed as it must be.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::Keyring;
use super::gpgv::{Answer, Data, ask};
use crate::base::aside::beside;
use crate::base::fingerprint::Fingerprint;
use crate::packages::openpgp::HashAlgorithm;
use crate::packages::rpm::signed::{self, Covers, Signed};
use crate::sources::SourceError;

/// A package that is to be verified.
#[derive(Debug)]
pub(in crate::sources) struct Wanted<'a> {
    /// Its name for people.
    pub name: &'a str,
    /// Where it is. Its digest has been checked.
    pub path: PathBuf,
    /// The keys, one of which must have signed it.
    pub keyring: &'a Keyring,
    /// Its digest comes from an index that is signed with one of the keys.
    pub is_indexed: bool,
}

/// The signer of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proved {
    /// The primary key's fingerprint.
    pub signer: Fingerprint,
    /// The weakest digest of its signatures, when it is weak.
    pub weak: Option<HashAlgorithm>,
}

/// The signer of a package, or the reason why it is refused. The text fits after its name.
///
/// # Errors
/// It cannot be read, or gpgv not be run.
pub(super) async fn verdict(wanted: &Wanted<'_>, scratch: &Path) -> Result<Result<Proved, String>, SourceError> {
    let path = wanted.path.clone();
    let parts = beside(move |meter| {
        let mut file = File::open(&path)?;
        let signed = match signed::read(&mut meter.measure(BufReader::new(&file)))? {
            Ok(signed) => signed,
            Err(what) => return Ok(Err(what)),
        };
        let payload_fits = match &signed.payload_digest {
            Some(digest) => {
                file.seek(SeekFrom::Start(signed.payload_at))?;
                Some(digest.fits(&mut meter.measure(&file))?)
            }
            None => None,
        };
        file.seek(SeekFrom::Start(signed.payload_at))?;
        let digests_fit = signed.digests_fit(&mut meter.measure(&file))?;
        Ok::<_, io::Error>(Ok((signed, payload_fits, digests_fit)))
    });
    let unreadable = |source| SourceError::Unreadable { what: format!("the package {}", wanted.name), path: wanted.path.clone(), source };
    let (signed, payload_fits, digests_fit) = match parts.await.map_err(unreadable)? {
        Ok(parts) => parts,
        Err(what) => return Ok(Err(what)),
    };
    if signed.signatures.is_empty() {
        return Ok(Err("is not signed".to_owned()));
    }
    if payload_fits == Some(false) {
        return Ok(Err("was changed after it was signed: its files are not those that its header names".to_owned()));
    }
    let is_whole = signed.signatures.iter().any(|(covers, _)| *covers == Covers::Whole);
    if !is_whole && payload_fits.is_none() && !wanted.is_indexed {
        let what = "has a signature over its header alone, which has no digest of its files: nothing that is signed says what they must be";
        return Ok(Err(what.to_owned()));
    }
    let signers = signers(&signed, wanted, scratch).await?;
    if signers.is_ok() && !digests_fit {
        return Ok(Err("is signed, and damaged: a digest in its signature does not fit, and rpm would not install it".to_owned()));
    }
    Ok(signers)
}

/// Ask about every signature.
async fn signers(signed: &Signed, wanted: &Wanted<'_>, scratch: &Path) -> Result<Result<Proved, String>, SourceError> {
    let mut signer = None;
    for (covers, signature) in &signed.signatures {
        let (data, over) = match covers {
            Covers::Header => (Data::Bytes(&signed.header), "its header"),
            Covers::Whole => (Data::File(&wanted.path, signed.header_at), "header and files"),
        };
        match ask(signature, data, wanted.keyring, scratch).await? {
            Answer::Good(primary) => signer = Some(primary),
            Answer::Changed => {
                return Ok(Err(format!("was changed after it was signed: the signature over {over} does not fit")));
            }
            Answer::Refused(why) => return Ok(Err(why)),
        }
    }
    let weak = signed.signatures.iter().map(|(_, signature)| signature.hash).find(|hash| hash.is_weak());
    Ok(signer.map(|signer| Proved { signer, weak }).ok_or_else(|| "is not signed".to_owned()))
}
