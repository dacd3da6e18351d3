//! Digests as package indexes give them.

use std::fmt;
use std::io::{self, Read};

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::base::digest::Sha256Digest;

/// Bytes read at a time.
const PIECE: usize = 128 << 10;

/// A digest that an index gives for a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-1. It is no proof against an attacker, only against damage; createrepo 0.9 of the EL5 time wrote it and calls it `sha`.
    Sha1([u8; 20]),
    /// SHA-256, the default of all writers.
    Sha256([u8; 32]),
    /// SHA-512.
    Sha512([u8; 64]),
}

/// Why a text is no checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAChecksum {
    /// The kind is not one that is computed here.
    #[error("checksums of type `{0}` are not checked here, only sha1, sha256 and sha512 are")]
    Kind(String),
    /// Not as many hexadecimal digits as the kind has.
    #[error("`{digits}` is not a {kind} checksum")]
    Digits {
        /// The kind.
        kind: &'static str,
        /// What is there.
        digits: String,
    },
}

impl Checksum {
    /// The checksum of type `kind` (createrepo_c, src/checksum.c: `sha` is `sha1`) that is written as `digits`.
    ///
    /// # Errors
    /// Unknown kind, or not as many digits as it has.
    pub fn parse(kind: &str, digits: &str) -> Result<Self, NotAChecksum> {
        fn bytes<const N: usize>(kind: &'static str, digits: &str) -> Result<[u8; N], NotAChecksum> {
            let wrong = || NotAChecksum::Digits { kind, digits: digits.chars().take(160).collect() };
            if digits.len() != 2 * N || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            let mut bytes = [0; N];
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
            }
            Ok(bytes)
        }
        match kind {
            "sha" | "sha1" => bytes("sha1", digits).map(Self::Sha1),
            "sha256" => bytes("sha256", digits).map(Self::Sha256),
            "sha512" => bytes("sha512", digits).map(Self::Sha512),
            _ => Err(NotAChecksum::Kind(kind.chars().take(40).collect())),
        }
    }

    /// Its kind: `sha256`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sha1(_) => "sha1",
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The same as the one digest of goldsmith, when it is of that kind.
    pub fn sha256(&self) -> Option<Sha256Digest> {
        match self {
            Self::Sha256(bytes) => Some((*bytes).into()),
            Self::Sha1(_) | Self::Sha512(_) => None,
        }
    }

    /// Whether what `reader` gives has this checksum.
    ///
    /// # Errors
    /// Those of reading.
    pub fn fits(&self, reader: &mut dyn Read) -> io::Result<bool> {
        let mut hasher = self.hasher();
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece)? {
                0 => return Ok(hasher.finish() == *self),
                read => hasher.update(&piece[..read]),
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// What computes a checksum of this kind.
    pub(super) fn hasher(&self) -> Hasher {
        match self {
            Self::Sha1(_) => Hasher::Sha1(Sha1::new()),
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Sha512(_) => Hasher::Sha512(Box::new(Sha512::new())),
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.kind())
    }
}

/// A checksum in the making.
pub(super) enum Hasher {
    Sha1(Sha1),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(state) => state.update(bytes),
            Self::Sha256(state) => state.update(bytes),
            Self::Sha512(state) => state.update(bytes),
        }
    }

    pub(super) fn finish(self) -> Checksum {
        match self {
            Self::Sha1(state) => Checksum::Sha1(state.finalize().into()),
            Self::Sha256(state) => Checksum::Sha256(state.finalize().into()),
            Self::Sha512(state) => Checksum::Sha512(state.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendices A.1, B.1 and C.1: digests of `abc`.
    const ABC: &[(&str, &str)] = &[
        ("sha", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];

    #[test]
    fn known_vectors() {
        for (kind, digits) in ABC {
            let checksum = Checksum::parse(kind, digits).unwrap();
            let mut hasher = checksum.hasher();
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), checksum);
            assert_eq!(checksum.to_string(), *digits);
        }
    }

    #[test]
    fn what_is_no_checksum_is_refused() {
        for (kind, digits, words) in [
            ("md5", "900150983cd24fb0d6963f7d28e17f72", "checksums of type `md5` are not checked here"),
            ("sha256", "ba7816bf", "`ba7816bf` is not a sha256 checksum"),
            ("sha1", "g9993e364706816aba3e25717850c26c9cd0d89d", "is not a sha1 checksum"),
            ("sha1", "+a993e364706816aba3e25717850c26c9cd0d89d", "is not a sha1 checksum"),
            ("sha1", &"é".repeat(20), "is not a sha1 checksum"),
        ] {
            let error = Checksum::parse(kind, digits).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
