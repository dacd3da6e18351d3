//! `gpg_keys`: the keys that a repository's packages must be signed with.

use super::super::tree::KeyPath;
use super::super::{GpgKey, syntax, written};
use super::judge::Judge;
use crate::base::digest::Sha256Digest;
use crate::base::fingerprint::Fingerprint;

/// The longest file of keys, in bytes. All keys of CentOS together have some 20 KB.
const MAX_KEYS: u64 = 1 << 20;
/// What to do about a fingerprint.
const FINGERPRINT: &str = "write all 40 hexadecimal digits that the key's maker publishes, or `gpg --show-keys FILE` prints; spaces are allowed, \
                           and a key id, which is shorter, can be forged";

/// The keys of the array at `path`.
pub(super) fn keys(judge: &mut Judge<'_>, path: &KeyPath, written: &[written::GpgKey]) -> Vec<GpgKey> {
    let plain = |key: &written::GpgKey| key.fingerprint.as_deref().and_then(|text| text.parse::<Fingerprint>().ok());
    judge.unique(written, "key", |nth| path.at(nth).at("fingerprint"), |key| plain(key).map(|fingerprint| fingerprint.to_string()));
    written.iter().enumerate().filter_map(|(nth, key)| one(judge, &path.at(nth), key)).collect()
}

fn one(judge: &mut Judge<'_>, path: &KeyPath, written: &written::GpgKey) -> Option<GpgKey> {
    let at = path.at("fingerprint");
    let fingerprint = written.fingerprint.as_ref().and_then(|text| judge.verdict(&at, syntax::fingerprint(text, FINGERPRINT)));
    match (&written.file, &written.url) {
        (Some(_), Some(_)) => {
            judge.clash(&path.at("url"), &path.at("file"), "and here", "`file` and `url` exclude each other", "keep one of them");
            None
        }
        (None, None) => {
            judge.none_of(path, &["file", "url"], "this entry does not say where the key is");
            None
        }
        (Some(file), None) => {
            let (path, bytes) = judge.read_at_most(MAX_KEYS, &path.at("file"), file);
            Some(GpgKey::File { path, sha256: Sha256Digest::of(&bytes), bytes, fingerprint })
        }
        (None, Some(url)) => {
            judge.spelled(&path.at("url"), url, syntax::url);
            if written.fingerprint.is_none() {
                judge.wrong(
                    path,
                    "a key from the network must be named by its fingerprint",
                    format!("add `fingerprint = \"…\"`: {FINGERPRINT}"),
                );
            }
            Some(GpgKey::Url { url: url.clone(), fingerprint: fingerprint? })
        }
    }
}
