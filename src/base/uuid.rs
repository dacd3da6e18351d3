//! Identifiers that are the same in every build of the same recipe.

use std::fmt;

use super::digest::Sha256Digest;

/// A UUID (RFC 9562), in the order of its text: the first byte is the first pair of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The UUID of `what` in the family of `seed`: a hash in the form of a random UUID (version 4), as systemd derives its own.
    /// `what` names the thing and its use: `disk`, `partition root`, `filesystem root`.
    pub fn derived(seed: &Sha256Digest, what: &str) -> Self {
        let digest = Sha256Digest::of(&[seed.as_bytes(), what.as_bytes()].concat());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
    }

    /// Its first 32 bits: a FAT serial number, an MBR disk signature.
    pub fn short(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ones_are_stable_and_differ_by_use() {
        let seed = Sha256Digest::of(b"recipe");
        assert_eq!(Uuid::derived(&seed, "disk").to_string(), "1bf62347-9b3d-4df5-acd6-346e1a77fc4b");
        assert_ne!(Uuid::derived(&seed, "disk"), Uuid::derived(&seed, "root"));
        assert_eq!(Uuid([0x12; 16]).to_string(), "12121212-1212-1212-1212-121212121212");
    }
}
