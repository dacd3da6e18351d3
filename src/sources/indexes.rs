//! The package indexes of a suite: fetched once, kept by the digest of their content.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use super::apt::AptSource;
use super::resolve::Host;
use super::{SourceError, Suite};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::base::size::rounded;
use crate::packages::debian::IndexFile;
use crate::packages::{IndexError, Input};

/// For ten megabytes; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(600);
/// Bytes that an expanded index may have; Debian's main has 50 MiB.
const LIMIT: u64 = 512 << 20;
/// What the store calls them: `Packages` in zstd, under the SHA-256 of the expanded file. xz, as it is fetched, takes five times as long to
/// expand (measured on bookworm's main: 0.75 s against 0.15 s).
const KIND: &str = "packages-1";
const ZSTD_LEVEL: i32 = 3;

/// The index of one component of a suite.
pub struct PackageIndex {
    /// What people call it: `bookworm main`.
    pub name: String,
    /// What its expanded content hashes to.
    pub sha256: Sha256Digest,
    /// The content, compressed.
    bytes: Vec<u8>,
}

impl PackageIndex {
    /// The index, to be read.
    ///
    /// # Errors
    /// It cannot be expanded.
    pub fn input(&self) -> Result<Input<'_>, IndexError> {
        Input::new(&format!("the package index {}", self.name), &self.bytes[..], None, LIMIT)
    }
}

/// The indexes of a suite for `arch`, from the store, or fetched with apt's own client and kept there.
///
/// # Errors
/// The suite has no such index, it cannot be fetched, or is not what the suite's Release file says.
pub async fn indexes(suite: &Suite, arch: &str, host: Host<'_>, task: &Task) -> Result<Vec<PackageIndex>, SourceError> {
    let mut found = Vec::new();
    for component in &suite.source.components {
        let name = format!("{} {component}", suite.source.suite);
        let release = &suite.release;
        let both = release.packages(component, arch).zip(release.compressed_packages(component, arch));
        let Some((expanded, compressed)) = both else {
            return Err(SourceError::NoIndex { suite: suite.source.suite.clone(), index: format!("{component}/binary-{arch}/Packages") });
        };
        let bytes = match host.store.recall(KIND, &expanded.sha256) {
            Some(bytes) => bytes,
            None => {
                task.step(&format!("fetch the package index {name} ({})", rounded(compressed.size)));
                let bytes = fetch(&suite.source, &name, &compressed, host).await?;
                host.store.remember(KIND, &expanded.sha256, &bytes);
                bytes
            }
        };
        found.push(PackageIndex { name, sha256: expanded.sha256, bytes });
    }
    Ok(found)
}

/// Fetch an index and compress it anew.
async fn fetch(source: &AptSource, name: &str, index: &IndexFile, host: Host<'_>) -> Result<Vec<u8>, SourceError> {
    let path = host.scratch.join("Packages");
    let scratch = |source: io::Error| SourceError::Scratch { path: path.clone(), source };
    let mut failed: Option<(String, ProcessError)> = None;
    for place in &index.paths {
        let url = source.below(place);
        let asked = Invocation::new(Tool::AptHelper).arg("download-file").arg(source.for_apt(&url).reveal()).arg(&path);
        let fetched = asked.within(FETCH_TIME).output().await;
        match fetched {
            Ok(_) => {
                failed = None;
                break;
            }
            Err(error) => failed = failed.or(Some((url, source.masked_error(error)))),
        }
    }
    if let Some((url, source)) = failed {
        return Err(SourceError::Unreachable { url, source });
    }
    let file = File::open(&path).map_err(scratch)?;
    let input = Input::new(&format!("the package index {name}"), file, Some(index.listed()), LIMIT)?;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(scratch)?;
    let mut written = Ok(());
    input.pieces(&mut |piece| {
        if written.is_ok() {
            written = encoder.write_all(piece);
        }
    })?;
    written.and_then(|()| encoder.finish()).map_err(scratch)
}
