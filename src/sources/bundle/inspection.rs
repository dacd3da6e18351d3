//! The result of inspecting a bundle. It is remembered as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::listing::FileRecord;

/// The maker of a bundle's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// The maker of the bundle.
    Carried,
    /// goldsmith, since there was none.
    Made,
    /// goldsmith, since yum 3.4.3 of EL 7 cannot use what there was.
    Remade,
}

/// The result of inspecting a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inspection {
    pub(super) summary: Summary,
    /// Path to content of the files in `repodata`, those of SQLite left out.
    pub(super) repodata: BTreeMap<String, Vec<u8>>,
}

/// The result without the content of the metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) maker: Maker,
    /// The directory of the bundle that is the repository; empty for its own.
    pub(super) top: String,
    /// In the order of their paths, with metadata that was made.
    pub(super) files: Vec<FileRecord>,
    /// If the metadata was carried: mismatches that do no harm. If it was made anew: why.
    pub(super) said: Vec<String>,
}
