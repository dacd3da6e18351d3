//! The signatures of an RPM package, and what each of them covers.
//!
//! ```text
//! lead ─ signature: tags 267, 268 ─────── cover ──┐        (rpm 4.11, lib/rpmtag.h and lib/rpmchecksig.c)
//!                   tags 1002, 1005 ── cover ─────┤─────────────┐
//!        header: tags 5092, 5093 ── digest of ────│─────────┐   │
//!                                              header    payload
//! ```
//!
//! A signature over the header alone does not cover the files, unless the header holds a digest of the payload, which rpm puts there since
//! 4.14. Every package of EL7 is older than that. Other digests (MD5 in tag 1004, SHA-1 in 269) are in the signature, where nothing
//! protects them; they only reveal damage at which rpm would stop.

use std::io::{self, Read};

use md5::{Digest, Md5};
use sha1::Sha1;

use super::header::{Header, INT32, LEAD_BYTES, LEAD_MAGIC, STRING, STRING_ARRAY, Section};
use crate::packages::Checksum;
use crate::packages::openpgp::Signature;

/// The tags of signatures and what they cover: DSA, RSA; PGP, GPG.
const TAGS: [(u32, Covers); 4] = [(267, Covers::Header), (268, Covers::Header), (1002, Covers::Whole), (1005, Covers::Whole)];
/// Digests in the signature.
const SHA1: u32 = 269;
const MD5: u32 = 1004;
/// Bytes read at a time.
const PIECE: usize = 128 << 10;
/// The digest of the payload as it is in the package, and by which algorithm (rpm 4.14, lib/rpmtag.h).
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
/// Numbers of algorithms (RFC 4880, section 9.4). Weaker ones prove nothing.
const SHA256: u64 = 8;
const SHA512: u64 = 10;

/// The data that a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// The header.
    Header,
    /// Header and payload.
    Whole,
}

/// A package's signatures, none of them verified.
#[derive(Debug)]
pub struct Signed {
    /// Where the header begins, in bytes from the beginning of the package.
    pub header_at: u64,
    /// Where the payload begins.
    pub payload_at: u64,
    /// The header: what a signature over it covers.
    pub header: Vec<u8>,
    /// The header's digest of the payload; `None` when there is none, or only one that proves nothing.
    pub payload_digest: Option<Checksum>,
    /// The signatures.
    pub signatures: Vec<(Covers, Signature)>,
    /// SHA-1 of the header (tag 269), and MD5 of header and payload (tag 1004), as given in the signature. They are not signed, so they
    /// prove nothing; but rpm does not install a package that they do not match.
    digests: (Option<String>, Option<Vec<u8>>),
}

impl Signed {
    /// Whether the digests match that rpm checks with or without a signature; `payload` is all that follows the header.
    ///
    /// # Errors
    /// Those of reading.
    pub fn digests_fit(&self, payload: &mut dyn Read) -> io::Result<bool> {
        let (sha1, md5) = &self.digests;
        let header = || Sha1::digest(&self.header).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if sha1.as_ref().is_some_and(|sha1| !sha1.eq_ignore_ascii_case(&header())) {
            return Ok(false);
        }
        let Some(md5) = md5 else { return Ok(true) };
        let mut state = Md5::new_with_prefix(&self.header);
        let mut piece = vec![0; PIECE];
        loop {
            match payload.read(&mut piece)? {
                0 => return Ok(state.finalize()[..] == md5[..]),
                read => state.update(&piece[..read]),
            }
        }
    }
}

/// Read the beginning of a package, which ends with the payload. The inner error is in words that fit after its name.
///
/// # Errors
/// Those of reading.
pub fn read(reader: &mut impl Read) -> io::Result<Result<Signed, String>> {
    let mut lead = Vec::new();
    reader.by_ref().take(LEAD_BYTES as u64).read_to_end(&mut lead)?;
    if lead.len() < LEAD_BYTES || !lead.starts_with(LEAD_MAGIC) {
        return Ok(Err("is no RPM package".to_owned()));
    }
    let signature = match Section::read(reader)? {
        Ok(signature) => signature,
        Err(what) => return Ok(Err(what)),
    };
    let header_at = (LEAD_BYTES + signature.bytes() + signature.padding()) as u64;
    io::copy(&mut reader.by_ref().take(signature.padding() as u64), &mut io::sink())?;
    let header = match Section::read(reader)? {
        Ok(header) => header,
        Err(what) => return Ok(Err(what)),
    };
    Ok(signatures(signature.entries()).map(|signatures| Signed {
        header_at,
        payload_at: header_at + header.bytes() as u64,
        payload_digest: payload_digest(header.entries()),
        header: header.into_bytes(),
        signatures,
        digests: (signature.entries().text(SHA1, STRING).map(str::to_owned), signature.entries().blob(MD5).map(<[u8]>::to_vec)),
    }))
}

fn signatures(section: Header<'_>) -> Result<Vec<(Covers, Signature)>, String> {
    let mut found = Vec::new();
    for (tag, covers) in TAGS {
        match section.count_of(tag) {
            0 => continue,
            1 => {}
            _ => return Err(format!("is damaged: it has signature {tag} more than once")),
        }
        let bytes =
            section.blob(tag).ok_or_else(|| format!("is damaged: signature {tag} is of another type, or goes on beyond its data"))?;
        let signature = Signature::read(bytes).map_err(|what| format!("is damaged: its signature {tag} {what}"))?;
        found.push((covers, signature));
    }
    Ok(found)
}

fn payload_digest(header: Header<'_>) -> Option<Checksum> {
    let kind = match header.number(PAYLOAD_DIGEST_ALGORITHM, INT32)? {
        SHA256 => "sha256",
        SHA512 => "sha512",
        _ => return None,
    };
    Checksum::parse(kind, header.text(PAYLOAD_DIGEST, STRING_ARRAY)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packages::rpm::header::BIN;

    /// Tag, type, count, content.
    type Entry<'a> = (u32, u32, u32, &'a [u8]);

    fn section(entries: &[Entry<'_>]) -> Vec<u8> {
        let (mut index, mut data) = (Vec::new(), Vec::new());
        for (tag, kind, count, content) in entries {
            index.extend([*tag, *kind, data.len() as u32, *count].iter().flat_map(|word| word.to_be_bytes()));
            data.extend_from_slice(content);
        }
        let sizes = [entries.len() as u32, data.len() as u32].map(u32::to_be_bytes).concat();
        [b"\x8e\xad\xe8\x01", &[0; 4][..], &sizes, &index, &data].concat()
    }

    fn package(signature: &[Entry<'_>], header: &[Entry<'_>]) -> Vec<u8> {
        let mut bytes = [LEAD_MAGIC, &[0; LEAD_BYTES - 4], &section(signature)].concat();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        [bytes, section(header), b"payload".to_vec()].concat()
    }

    fn verdict(bytes: &[u8]) -> Result<Signed, String> {
        read(&mut &*bytes).unwrap()
    }

    /// A V4 signature over binary data by SHA-256.
    const SIGNATURE: &[u8] = b"\x88\x06\x04\x00\x01\x08\0\0";

    fn payload_digest() -> String {
        format!("{}\0", "ab".repeat(32))
    }

    #[test]
    fn a_package_is_taken_apart_into_what_is_signed() {
        let digest = payload_digest();
        let header = [(5092, STRING_ARRAY, 1, digest.as_bytes()), (5093, INT32, 1, &[0, 0, 0, 8][..])];
        let bytes = package(&[(268, BIN, 8, SIGNATURE), (1002, BIN, 8, SIGNATURE)], &header);
        let signed = verdict(&bytes).unwrap();
        assert_eq!(signed.header, section(&header));
        assert_eq!(bytes[signed.header_at as usize..][..8], *b"\x8e\xad\xe8\x01\0\0\0\0");
        assert_eq!(bytes[signed.payload_at as usize..], *b"payload");
        assert_eq!(signed.signatures.iter().map(|(covers, _)| *covers).collect::<Vec<_>>(), [Covers::Header, Covers::Whole]);
        assert_eq!(signed.payload_digest.unwrap().to_string(), "ab".repeat(32));
        assert!(verdict(&package(&[], &[])).unwrap().signatures.is_empty());
    }

    /// A digest of the payload with anything unusual counts as none.
    #[test]
    fn only_a_strong_digest_of_the_payload_is_one() {
        let digest = payload_digest();
        let sha256 = &[0, 0, 0, 8][..];
        for header in [
            &[][..],
            &[(5092, STRING_ARRAY, 1, digest.as_bytes())],
            &[(5092, STRING_ARRAY, 1, digest.as_bytes()), (5093, INT32, 1, &[0, 0, 0, 2])],
            &[(5092, STRING_ARRAY, 1, digest.as_bytes()), (5093, INT32, 1, &[0, 0, 0, 10])],
            &[(5092, STRING_ARRAY, 1, &digest.as_bytes()[1..]), (5093, INT32, 1, sha256)],
            &[(5092, STRING_ARRAY, 1, b"\0"), (5093, INT32, 1, sha256)],
            &[(5097, STRING_ARRAY, 1, digest.as_bytes()), (5093, INT32, 1, sha256)],
        ] {
            assert_eq!(verdict(&package(&[], header)).unwrap().payload_digest, None, "{header:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bytes, expected) in [
            (vec![], "is no RPM package"),
            (package(&[], &[])[..LEAD_BYTES - 1].to_vec(), "is no RPM package"),
            (package(&[], &[])[..LEAD_BYTES].to_vec(), "is cut short: it ends within its header"),
            (package(&[(268, BIN, 9, SIGNATURE)], &[]), "is damaged: signature 268 is of another type, or goes on beyond its data"),
            (package(&[(268, BIN, u32::MAX, SIGNATURE)], &[]), "is damaged: signature 268 is of another type, or goes on beyond its data"),
            (package(&[(1005, 6, 8, SIGNATURE)], &[]), "is damaged: signature 1005 is of another type, or goes on beyond its data"),
            (package(&[(268, BIN, 7, SIGNATURE)], &[]), "is damaged: its signature 268 is not one OpenPGP packet"),
            (package(&[(268, BIN, 8, SIGNATURE), (268, BIN, 8, SIGNATURE)], &[]), "is damaged: it has signature 268 more than once"),
        ] {
            assert_eq!(verdict(&bytes).unwrap_err(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_package_is_read_or_refused(changes in prop::collection::vec((0..260_usize, any::<u8>()), 0..20), cut in 0..300_usize) {
            let digest = payload_digest();
            let header = [(5092, STRING_ARRAY, 1, digest.as_bytes()), (5093, INT32, 1, &[0, 0, 0, 8][..])];
            let mut bytes = package(&[(268, BIN, 8, SIGNATURE)], &header);
            for (at, byte) in changes {
                let length = bytes.len();
                bytes[at % length] = byte;
            }
            bytes.truncate(cut);
            if let Ok(signed) = verdict(&bytes) {
                prop_assert!(signed.payload_at <= bytes.len() as u64 && signed.header_at < signed.payload_at);
            }
        }
    }
}
