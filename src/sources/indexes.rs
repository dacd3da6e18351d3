//! The package indexes of a suite, and its lists of files: fetched once, kept by the digest of their content.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use super::apt::AptSource;
use super::host::Host;
use super::{SourceError, Suite};
use crate::base::aside::beside;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::base::size::rounded;
use crate::packages::debian::IndexFile;
use crate::packages::{Brought, IndexError, Input, Listed};

/// For ten megabytes; apt itself gives up on a silent mirror before.
const FETCH_TIME: Duration = Duration::from_secs(600);
/// Bytes that an expanded index may have; Debian's main has 50 MiB.
const LIMIT: u64 = 512 << 20;
/// The kind of memory for indexes: `Packages` in zstd, under the SHA-256 of the expanded file. xz, as it is fetched, takes five times as
/// long to expand (measured on bookworm's main: 0.75 s against 0.15 s).
const KIND: &str = "packages-1";
const ZSTD_LEVEL: i32 = 3;
/// The kind of memory for lines of a list of files, under the SHA-256 of the compressed list. The number is that of [`Brought::counts`].
const CONTENTS: &str = "contents-1";
/// Bytes that an expanded list of files may have; that of bookworm's packages without architecture has 520 MB.
const CONTENTS_LIMIT: u64 = 2 << 30;

/// The index of one component of a suite.
pub struct PackageIndex {
    /// Its name for people: `bookworm main`.
    pub name: String,
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
        // Two repositories may have suites and components of the same names.
        let name = format!("{} {component}", suite.repository.as_ref().unwrap_or(&suite.source.suite));
        let (expanded, compressed) = listed(suite, component, arch)?;
        let bytes = match host.store.recall(KIND, &expanded.sha256) {
            Some(bytes) => bytes,
            None => {
                task.step(&format!("fetch the package index {name} ({})", rounded(compressed.size)));
                let bytes = fetch(&suite.source, &name, &compressed, host).await?;
                host.store.remember(KIND, &expanded.sha256, &bytes);
                bytes
            }
        };
        found.push(PackageIndex { name, bytes });
    }
    Ok(found)
}

/// The digests of the expanded indexes of a suite for `arch`. They are known without fetching the indexes.
///
/// # Errors
/// The suite has no such index.
pub fn index_digests(suite: &Suite, arch: &str) -> Result<Vec<Sha256Digest>, SourceError> {
    suite.source.components.iter().map(|component| Ok(listed(suite, component, arch)?.0.sha256)).collect()
}

/// The index of a component, expanded and as it is fetched.
fn listed(suite: &Suite, component: &str, arch: &str) -> Result<(IndexFile, IndexFile), SourceError> {
    let release = &suite.release;
    let both = release.packages(component, arch).zip(release.compressed_packages(component, arch));
    both.ok_or_else(|| SourceError::NoIndex {
        suite: suite.source.suite.clone(),
        mirror: suite.source.uri.clone(),
        component: component.to_owned(),
        arch: arch.to_owned(),
    })
}

/// Which of a suite's packages bring which files, as far as a recipe may name them: lines of a path without a slash at its beginning, a space, and
/// names of packages separated by commas. From the store, or fetched and kept there; nothing when the suite has no such list.
///
/// # Errors
/// It cannot be fetched, or is not what the suite's Release file says.
pub async fn contents(suite: &Suite, arch: &str, host: Host<'_>, task: &Task) -> Result<Vec<u8>, SourceError> {
    let mut lines = Vec::new();
    for component in &suite.source.components {
        let Some(index) = suite.release.contents(component, arch) else { continue };
        let kept = match host.store.recall(CONTENTS, &index.sha256) {
            Some(kept) => kept,
            None => {
                let name = format!("{} {component} of {arch}", suite.source.suite);
                task.step(&format!("fetch the list of files {name} ({})", rounded(index.size)));
                let file = download(&suite.source, &index, host).await?;
                let kept = told_of(format!("the list of files {name}"), file, index.listed()).await?;
                host.store.remember(CONTENTS, &index.sha256, &kept);
                kept
            }
        };
        lines.extend(kept);
    }
    Ok(lines)
}

/// Whether a suite has a list of files for one of these architectures. Debian's suites have one; repositories that dpkg-scanpackages or
/// reprepro make often have none.
pub fn has_contents(suite: &Suite, archs: &[&str]) -> bool {
    let mut components = suite.source.components.iter();
    components.any(|component| archs.iter().any(|arch| suite.release.contents(component, arch).is_some()))
}

/// The lines of a list of files with units, programs and modules.
async fn told_of(name: String, file: File, listed: Listed) -> Result<Vec<u8>, SourceError> {
    let filtered = beside(move |_| {
        let input = Input::new(&name, file, Some(listed), CONTENTS_LIMIT)?;
        let (mut kept, mut rest) = (Vec::new(), Vec::new());
        let mut line = |line: &[u8]| {
            let Ok(text) = std::str::from_utf8(line) else { return };
            // A path may hold spaces; the column behind it does not.
            let Some((path, packages)) = text.rsplit_once([' ', '\t']) else { return };
            let path = path.trim_end();
            if Brought::counts(path) {
                let names: Vec<&str> = packages.split(',').map(|package| package.rsplit('/').next().unwrap_or(package)).collect();
                kept.extend(format!("{path} {}\n", names.join(",")).into_bytes());
            }
        };
        input.pieces(&mut |piece| {
            rest.extend_from_slice(piece);
            if let Some(end) = memchr::memrchr(b'\n', &rest) {
                rest[..end].split(|byte| *byte == b'\n').for_each(&mut line);
                rest.drain(..=end);
            }
        })?;
        Ok::<_, IndexError>(kept)
    });
    Ok(filtered.await?)
}

/// Fetch an index and compress it again.
async fn fetch(source: &AptSource, name: &str, index: &IndexFile, host: Host<'_>) -> Result<Vec<u8>, SourceError> {
    let scratch = |source: io::Error| SourceError::Scratch { path: host.scratch.to_owned(), source };
    let file = download(source, index, host).await?;
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

/// Fetch an index with apt's own client.
async fn download(source: &AptSource, index: &IndexFile, host: Host<'_>) -> Result<File, SourceError> {
    let path = host.scratch.join("index");
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
    File::open(&path).map_err(|source| SourceError::Scratch { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::debian::Release;

    #[test]
    fn a_component_that_a_suite_does_not_have_is_named() {
        let release = "Suite: bookworm\nComponents: contrib\nSHA256:\n \
            ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 contrib/binary-amd64/Packages\n \
            ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 3 contrib/binary-amd64/Packages.xz\n";
        let suite = |component: &str| Suite {
            repository: None,
            sha256: Sha256Digest::of(b"x"),
            source: super::super::apt::parse_lines(&format!("deb http://m.example/debian bookworm {component}")).remove(0),
            release: Release::read("x", release.as_bytes()).unwrap(),
        };
        assert_eq!(index_digests(&suite("contrib"), "amd64").unwrap().len(), 1);
        assert_eq!(
            index_digests(&suite("main"), "amd64").unwrap_err().to_string(),
            "the suite bookworm at the mirror http://m.example/debian has no component `main` for amd64"
        );
    }
}
