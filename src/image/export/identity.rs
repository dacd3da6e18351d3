//! A digest over the data of a disk, from which the ids are derived that some formats need.

use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::base::uuid::Uuid;
use std::io::{self, Sink, Write};

/// Collects the digests of a disk's pieces. Pieces of zeros are left out, so that a hole and stored zeros are the same, and with pieces of one
/// size the same disk gives the same ids in every format.
pub(super) struct Identity(HashingWriter<Sink>);

impl Identity {
    /// Of a disk with `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        let mut identity = Self(HashingWriter::new(io::sink()));
        identity.put(&size.to_le_bytes());
        identity
    }

    /// Add the piece with the number `number`, which is higher than any before and whose bytes, not all zeros, have `digest`.
    pub(super) fn add(&mut self, number: u64, digest: &Sha256Digest) {
        self.put(&number.to_le_bytes());
        self.put(digest.as_bytes());
    }

    /// The id of the disk for the use `what`.
    pub(super) fn finish(self) -> impl Fn(&str) -> Uuid {
        let digest = self.0.finish().1;
        move |what| Uuid::derived(&digest, what)
    }

    fn put(&mut self, bytes: &[u8]) {
        // A sink takes everything.
        let _ = self.0.write_all(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_place_bytes_and_use_make_other_ids() {
        let of = |size, number, bytes: &[u8], what: &str| {
            let mut identity = Identity::new(size);
            identity.add(number, &Sha256Digest::of(bytes));
            identity.finish()(what)
        };
        let one = of(1, 0, b"a", "disk");
        assert_eq!(one, of(1, 0, b"a", "disk"));
        for other in [of(2, 0, b"a", "disk"), of(1, 1, b"a", "disk"), of(1, 0, b"b", "disk"), of(1, 0, b"a", "write")] {
            assert_ne!(one, other);
        }
    }
}
