//! Fingerprints: the names of OpenPGP keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of a fingerprint.
const BYTES: usize = 20;

/// The fingerprint of an OpenPGP key of version 4 (RFC 4880, section 12.2), written as 40 upper-case hexadecimal digits.
///
/// A key id, which is its last 16 or 8 digits, names no key: others can be made to have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// The fingerprint that is these bytes.
    pub fn of(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// In groups of four digits, as GnuPG and makers of keys print it.
    pub fn spaced(&self) -> String {
        let digits = self.to_string();
        let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
        groups.join(" ")
    }
}

/// Why a text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint (40 hexadecimal digits)")]
pub struct NotAFingerprint(String);

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Spaces may stand anywhere, and `0x` in front.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let wrong = || NotAFingerprint(text.chars().take(80).collect());
        let digits: String = text.chars().filter(|letter| *letter != ' ').collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits);
        if digits.len() != 2 * BYTES || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; BYTES];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NotAFingerprint;

    fn try_from(text: String) -> Result<Self, NotAFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_with_or_without_spaces_and_never_cut_short() {
        let plain = "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5";
        let spaced = "6341 AB27 53D7 8A78 A7C2 7BB1 24C6 A8A7 F4A8 0EB5";
        for text in [plain, spaced, &plain.to_lowercase(), "6341 AB27 53D7 8A78 A7C2  7BB1 24C6 A8A7 F4A8 0EB5 ", &format!("0x{plain}")] {
            let found: Fingerprint = text.parse().unwrap();
            assert_eq!((found.to_string().as_str(), found.spaced().as_str()), (plain, spaced), "{text}");
        }
        let json = serde_json::to_string(&plain.parse::<Fingerprint>().unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap().to_string(), plain);
        for text in ["", "24C6A8A7F4A80EB5", "F4A80EB5", &plain[1..], &format!("{plain}0"), &plain.replace('6', "G"), "ä"] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
