//! Stores results for later runs: small files under a key, which may be lost at any time.
//!
//! A file is 32 bytes of SHA-256 and the bytes they stand for. It is written beside its place and renamed, so that processes can share it
//! without a lock; a file that was cut short or altered counts as missing.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::Store;
use crate::base::atomic;
use crate::base::digest::Sha256Digest;

/// Bytes of one file that are read at most.
const LIMIT: u64 = 256 << 20;
/// Bytes of a SHA-256 digest.
const DIGEST_BYTES: usize = 32;

impl Store {
    /// What was remembered under `key` among things of this kind; nothing when it was forgotten or is damaged. `kind` is a directory's
    /// name and ends with the version of the bytes' format: `digest-1`.
    pub fn recall(&self, kind: &str, key: &Sha256Digest) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.memory(kind, key)).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
        let (digest, content) = bytes.split_at_checked(DIGEST_BYTES)?;
        (digest == Sha256Digest::of(content).as_bytes()).then(|| content.to_vec())
    }

    /// Remember `bytes` under `key`. If they cannot be written (no room, no permission), that costs only time.
    pub fn remember(&self, kind: &str, key: &Sha256Digest, bytes: &[u8]) {
        let path = self.memory(kind, key);
        if let Some(parent) = path.parent()
            && fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).is_ok()
        {
            let _ = atomic::write(&path, &[Sha256Digest::of(bytes).as_bytes(), bytes].concat());
        }
    }

    pub(super) fn memory(&self, kind: &str, key: &Sha256Digest) -> PathBuf {
        self.root.join("v1/memory").join(kind).join(key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_recalled_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let key = Sha256Digest::of(b"key");
        assert_eq!(store.recall("test-1", &key), None);
        store.remember("test-1", &key, b"one");
        store.remember("test-1", &key, b"two");
        assert_eq!(store.recall("test-1", &key).as_deref(), Some(&b"two"[..]));
        assert_eq!((store.recall("test-2", &key), store.recall("test-1", &Sha256Digest::of(b"other"))), (None, None));
        let path = dir.path().join("v1/memory/test-1").join(key.to_string());
        let whole = fs::read(&path).unwrap();
        let mut altered = whole.clone();
        altered[DIGEST_BYTES] ^= 1;
        for damaged in [&whole[..whole.len() - 1], &whole[..DIGEST_BYTES - 1], &[], &altered] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(store.recall("test-1", &key), None);
        }
        // A store that cannot be written only forgets.
        fs::remove_dir_all(dir.path().join("v1")).unwrap();
        fs::write(dir.path().join("v1"), "").unwrap();
        store.remember("test-1", &key, b"three");
        assert_eq!(store.recall("test-1", &key), None);
    }
}
