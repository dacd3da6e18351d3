//! The packages that an installation takes of Debian's suites.

use serde::{Deserialize, Serialize};

use crate::base::digest::Sha256Digest;
use crate::packages::debian::Picked;
use crate::sources::fetch::Awaited;

/// A package that was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebianPackage {
    /// Its file's name in the repository that is made: `NAME_VERSION_ARCH.deb`.
    pub file_name: String,
    /// The index of its suite in [`Resolved::apt`](crate::sources::Resolved::apt).
    pub suite: usize,
    /// Where the file is below the suite's address.
    pub path: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// Its bytes.
    pub bytes: u64,
}

/// The packages that an installation takes of Debian's suites.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebianChoice {
    /// The packages, in the order of their file names.
    pub packages: Vec<DebianPackage>,
    /// The `Packages` index of these alone. Each paragraph is as in its suite, except for `Filename`. It has the digests of all files, so
    /// its own digest pins them.
    pub index: String,
    /// The packages that are still to be fetched.
    #[serde(skip)]
    pub awaited: Option<Awaited>,
}

impl DebianChoice {
    /// The choice of packages that were picked from the suites with these numbers.
    pub fn of(picked: impl IntoIterator<Item = (usize, Picked)>) -> Self {
        let mut picked: Vec<(usize, Picked)> = picked.into_iter().collect();
        picked.sort_by_key(|(_, package)| package.file_name());
        // The same package may be in a suite and in its updates.
        picked.dedup_by(|(_, a), (_, b)| a.file_name() == b.file_name());
        let index = picked.iter().map(|(_, package)| package.paragraph.as_str()).collect::<Vec<_>>().join("\n");
        let packages = picked.into_iter().map(|(suite, package)| DebianPackage {
            file_name: package.file_name(),
            suite,
            path: package.path,
            sha256: package.sha256,
            bytes: package.bytes,
        });
        Self { packages: packages.collect(), index, awaited: None }
    }
}
