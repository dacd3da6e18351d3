//! Public keys, told apart by their fingerprints.

use sha1::{Digest, Sha1};

use super::armor;
use super::packet::{PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SECRET_KEY, SECRET_SUBKEY, SIGNATURE, USER_ATTRIBUTE, USER_ID, packets};
use crate::base::fingerprint::Fingerprint;

/// How armored public keys are headed.
const ARMOR: &str = "PUBLIC KEY BLOCK";
/// The same of secret keys.
const SECRET_ARMOR: &str = "PRIVATE KEY BLOCK";

/// A primary key with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyBlock {
    /// The primary key's.
    pub fingerprint: Fingerprint,
    /// The key, its users, the keys below it and their signatures, not armored: what gpgv's `--keyring` takes.
    pub bytes: Vec<u8>,
}

/// The primary keys of a file, armored or not. Keys of version 3 (RFC 4880, section 5.5.2), which GnuPG does not use any more, and of
/// versions after 4, which have other fingerprints, are left out.
///
/// # Errors
/// There is none, a secret key is among them, or the file is damaged; in words that fit after the file's name.
pub fn keys(bytes: &[u8]) -> Result<Vec<KeyBlock>, String> {
    let none = || "holds no OpenPGP public key".to_owned();
    let secret = || "holds a secret key; give only the public key".to_owned();
    let without_secrets = |text: &str| if text.contains(SECRET_ARMOR) { Err(secret()) } else { Ok(()) };
    let data = armor::data(bytes, ARMOR, without_secrets)?.ok_or_else(none)?;
    let packets = packets(&data)?;
    if packets.iter().any(|packet| matches!(packet.tag, SECRET_KEY | SECRET_SUBKEY)) {
        return Err(secret());
    }
    let mut blocks = Vec::new();
    let mut current: Option<KeyBlock> = None;
    for packet in packets {
        match packet.tag {
            PUBLIC_KEY => {
                blocks.extend(current.take());
                current = fingerprint(&packet).map(|fingerprint| KeyBlock { fingerprint, bytes: packet.whole.to_vec() });
            }
            PUBLIC_SUBKEY | USER_ID | USER_ATTRIBUTE | SIGNATURE => {
                if let Some(block) = &mut current {
                    block.bytes.extend_from_slice(packet.whole);
                }
            }
            // Trust and other packets that a keyring adds belong to no key.
            _ => {}
        }
    }
    blocks.extend(current);
    if blocks.is_empty() { Err(none()) } else { Ok(blocks) }
}

/// The fingerprint of a key of version 4 (RFC 4880, section 12.2).
fn fingerprint(packet: &Packet<'_>) -> Option<Fingerprint> {
    let length = u16::try_from(packet.body.len()).ok().filter(|_| packet.body.first() == Some(&4))?;
    let digest = Sha1::new().chain_update([0x99]).chain_update(length.to_be_bytes()).chain_update(packet.body).finalize();
    Some(Fingerprint::of(digest.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_public_key_is_refused_in_words() {
        let key = |version: u8| vec![0x98, 3, version, 0, 0];
        for (bytes, expected) in [
            (&b""[..], "holds no OpenPGP public key"),
            (b"<html>404</html>", "holds no OpenPGP public key"),
            (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "holds a secret key; give only the public key"),
            (b"\xef\xbb\xbf-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "holds a secret key; give only the public key"),
            (b"\xef\xbb\xbf", "holds no OpenPGP public key"),
            (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", "is cut short: the end of its armor is missing"),
            (b"\x94\x01\x04", "holds a secret key; give only the public key"),
            (b"\x98\x05\x04", "is damaged: it is not OpenPGP data"),
            (&key(3), "holds no OpenPGP public key"),
            (&key(5), "holds no OpenPGP public key"),
            (b"\x88\x01\x04", "holds no OpenPGP public key"),
        ] {
            assert_eq!(keys(bytes).unwrap_err(), expected, "{bytes:?}");
        }
        // A signature that follows a key of another version is not the next key's.
        let file = [key(3), vec![0x88, 1, 4], key(4), vec![0xb4, 1, b'u'], vec![0xb0, 1, 0], key(4)].concat();
        let found = keys(&file).unwrap();
        assert_eq!(found.iter().map(|block| block.bytes.clone()).collect::<Vec<_>>(), [[key(4), vec![0xb4, 1, b'u']].concat(), key(4)]);
    }
}
