//! Signatures: what can be read of them without a key.

use std::fmt;

use super::armor;
use super::packet::{Packet, SIGNATURE, packets};

/// The type of a signature over binary data (RFC 4880, section 5.2.1).
const BINARY: u8 = 0;
/// Bytes of a signature, at most: one by RSA with 16384 bits and its notes has fewer.
const BYTES: usize = 16 << 10;
/// Signatures of one file, at most.
const SEVERAL: usize = 16;

/// A signature over binary data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The one packet that it is.
    pub bytes: Vec<u8>,
    /// 3 or 4.
    pub version: u8,
    /// The digest by which the data is signed.
    pub hash: HashAlgorithm,
}

/// A digest by its number (RFC 4880, section 9.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashAlgorithm(pub u8);

impl HashAlgorithm {
    /// Whether two different texts with the same digest can be made. A signature with such a digest proves nothing.
    pub fn is_weak(self) -> bool {
        // MD5, SHA-1, RIPEMD-160.
        matches!(self.0, 1..=3)
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("MD5"),
            2 => f.write_str("SHA-1"),
            3 => f.write_str("RIPEMD-160"),
            8 => f.write_str("SHA-256"),
            9 => f.write_str("SHA-384"),
            10 => f.write_str("SHA-512"),
            11 => f.write_str("SHA-224"),
            other => write!(f, "digest algorithm {other}"),
        }
    }
}

impl Signature {
    /// The signature that `bytes` are, and nothing else.
    ///
    /// # Errors
    /// They are none, in words that fit after "its signature".
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BYTES {
            return Err(format!("has {} bytes, which no signature has", bytes.len()));
        }
        match &packets(bytes).unwrap_or_default()[..] {
            [only] => Self::of(only),
            _ => Err("is not one OpenPGP packet".to_owned()),
        }
    }

    /// The id of the key that it claims to be made with. This is not proved before the signature is verified with that key. None when it
    /// does not say.
    pub fn issuer(&self) -> Option<[u8; 8]> {
        let body = packets(&self.bytes).ok()?.first()?.body;
        if self.version == 3 {
            return body.get(7..15)?.try_into().ok();
        }
        // Section 5.2.3: version, class, two algorithms, then twice a length and as many bytes of notes, those that are signed and the others.
        let length = |at: usize| Some(usize::from(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?)));
        let signed = body.get(6..)?.get(..length(4)?)?;
        let rest = 6 + signed.len();
        let others = body.get(rest + 2..)?.get(..length(rest)?)?;
        [signed, others].into_iter().find_map(issuer)
    }

    fn of(packet: &Packet<'_>) -> Result<Self, String> {
        if packet.tag != SIGNATURE {
            return Err("is an OpenPGP packet, but not a signature".to_owned());
        }
        // Sections 5.2.2 and 5.2.3.
        let (version, class, hash) = match packet.body {
            [3, 5, class, rest @ ..] if rest.len() > 13 => (3, *class, rest[13]),
            [4, class, _, hash, ..] => (4, *class, *hash),
            [version, ..] => return Err(format!("is of version {version}, and gpgv knows 3 and 4")),
            [] => return Err("is empty".to_owned()),
        };
        match class {
            BINARY => Ok(Self { bytes: packet.whole.to_vec(), version, hash: HashAlgorithm(hash) }),
            _ => Err(format!("is of class {class}, which is not for packages")),
        }
    }
}

/// The id of the key that notes of a signature say (section 5.2.3.1): note 16 is the id, note 33 a version and the fingerprint, of which the last 8
/// bytes are the id for keys of version 4 (RFC 9580, section 5.2.3.35).
fn issuer(mut notes: &[u8]) -> Option<[u8; 8]> {
    while let [first, rest @ ..] = notes {
        let (length, rest) = match (first, rest) {
            (0..192, _) => (usize::from(*first), rest),
            (192..255, [second, rest @ ..]) => (((usize::from(*first) - 192) << 8) + usize::from(*second) + 192, rest),
            (255, [a, b, c, d, rest @ ..]) => (usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest),
            _ => return None,
        };
        let (note, rest) = rest.split_at_checked(length)?;
        match note {
            // The highest bit says that a reader must know the note.
            [16 | 144, id @ ..] => return id.try_into().ok(),
            [33 | 161, 4, fingerprint @ ..] if fingerprint.len() == 20 => return fingerprint[12..].try_into().ok(),
            _ => notes = rest,
        }
    }
    None
}

/// The signatures in a file that has nothing else, armored or not.
///
/// # Errors
/// There are no signatures, too many, or one is not valid. The text fits after the file's name.
pub fn detached(bytes: &[u8]) -> Result<Vec<Signature>, String> {
    let data = armor::data(bytes, "SIGNATURE", |_| Ok(()))?.ok_or("holds no OpenPGP signature")?;
    let packets = packets(&data)?;
    if packets.is_empty() || packets.len() > SEVERAL {
        return Err(format!("holds {} signatures; 1 to {SEVERAL} are accepted", packets.len()));
    }
    packets.iter().map(|packet| Signature::of(packet).map_err(|what| format!("holds a signature that {what}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_named_by_either_note() {
        let id = [1, 2, 3, 4, 5, 6, 7, 8];
        let with_id = [&[9, 16][..], &id].concat();
        let fingerprint = [&[22, 33, 4][..], &[0; 12], &id].concat();
        let other = [&[5, 2][..], &[0; 4]].concat();
        // A note of 200 bytes has a length of two bytes, or of five.
        let long = [&[192, 8, 20][..], &[7; 199]].concat();
        let longer = [&[255, 0, 0, 0, 200, 20][..], &[7; 199]].concat();
        let v4 = |signed: &[u8], others: &[u8]| {
            let length = |notes: &[u8]| (notes.len() as u16).to_be_bytes();
            let body = [&[4, 0, 1, 8][..], &length(signed), signed, &length(others), others, &[0, 0]].concat();
            [&[0x89][..], &(body.len() as u16).to_be_bytes(), &body].concat()
        };
        let v3 = [&[0x88, 19, 3, 5, 0, 0, 0, 0, 0][..], &id, &[1, 8, 0, 0]].concat();
        for (bytes, expected) in [
            (v3, Some(id)),
            (v4(&other, &with_id), Some(id)),
            (v4(&[&other[..], &fingerprint].concat(), &[]), Some(id)),
            (v4(&[&long[..], &longer, &with_id].concat(), &[]), Some(id)),
            (v4(&other, &[]), None),
            (v4(&with_id[..9], &[]), None),
            (v4(&[9], &with_id), Some(id)),
            (v4(&[22, 33, 6], &[]), None),
        ] {
            assert_eq!(Signature::read(&bytes).unwrap().issuer(), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn only_one_signature_over_binary_data_is_one() {
        let packet = |tag: u8, body: &[u8]| [&[0x80 | tag << 2, body.len() as u8][..], body].concat();
        let v3 = |class: u8, hash: u8| [&[3, 5, class][..], &[0; 13], &[hash, 0, 0]].concat();
        let read = |bytes: &[u8]| Signature::read(bytes).map(|signature| (signature.version, signature.hash.to_string()));
        assert_eq!(read(&packet(2, &v3(0, 8))), Ok((3, "SHA-256".to_owned())));
        assert_eq!(read(&packet(2, &[4, 0, 1, 2, 0, 0])), Ok((4, "SHA-1".to_owned())));
        let one = packet(2, &v3(0, 8));
        for (bytes, expected) in [
            (vec![], "is not one OpenPGP packet"),
            (vec![0; 256], "is not one OpenPGP packet"),
            ([&one[..], &one].concat(), "is not one OpenPGP packet"),
            ([&one[..], b"x"].concat(), "is not one OpenPGP packet"),
            (one[..one.len() - 1].to_vec(), "is not one OpenPGP packet"),
            (packet(6, &v3(0, 8)), "is an OpenPGP packet, but not a signature"),
            (packet(2, &v3(1, 8)), "is of class 1, which is not for packages"),
            (packet(2, &[4, 1, 1, 8]), "is of class 1, which is not for packages"),
            (packet(2, &[5, 0, 1, 8]), "is of version 5, and gpgv knows 3 and 4"),
            (packet(2, &v3(0, 8)[..16]), "is of version 3, and gpgv knows 3 and 4"),
            (packet(2, &[]), "is empty"),
            (vec![0x88; BYTES + 1], "has 16385 bytes, which no signature has"),
        ] {
            assert_eq!(read(&bytes).unwrap_err(), expected, "{bytes:?}");
        }
        assert_eq!(detached(&[&one[..], &one].concat()).unwrap().len(), 2);
        // An editor put a byte order mark before the armor.
        let armored = "\u{feff}-----BEGIN PGP SIGNATURE-----\n\niAYEAAECAAA=\n-----END PGP SIGNATURE-----\n";
        assert_eq!(detached(armored.as_bytes()).unwrap().len(), 1);
        assert_eq!(detached(b"<html>").unwrap_err(), "holds no OpenPGP signature");
        assert_eq!(detached(&packet(6, &[4])).unwrap_err(), "holds a signature that is an OpenPGP packet, but not a signature");
        assert!(HashAlgorithm(2).is_weak() && !HashAlgorithm(8).is_weak());
    }
}
