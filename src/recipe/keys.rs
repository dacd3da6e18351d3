//! Keys that packages must be signed with.

use std::path::PathBuf;

use serde::Serialize;

use crate::base::digest::Sha256Digest;
use crate::base::fingerprint::Fingerprint;

/// An OpenPGP key that packages may be signed with: its place, and its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpgKey {
    /// In a file that was read with the recipe.
    File {
        /// Where it is on the host. Not part of any key.
        #[serde(skip)]
        path: PathBuf,
        /// What it holds: armored or not, one key or several.
        #[serde(skip)]
        bytes: Vec<u8>,
        /// What it hashes to.
        sha256: Sha256Digest,
        /// The one key of the file that counts; without it all of them do.
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
    },
    /// On the network.
    Url {
        /// Where it can be fetched.
        url: String,
        /// The only primary key at this URL that counts.
        fingerprint: Fingerprint,
    },
}
