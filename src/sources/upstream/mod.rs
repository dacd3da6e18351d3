//! RPM repositories of the world: what they have, and the packages that were chosen of them.
//!
//! ```text
//! repomd.xml ─its checksums→ primary.xml, filelists.xml ─(the caller solves)→ Chosen ─gather→ Bundle
//!    └ pinned by the recipe, or read anew every time                            └ each package by the checksum of primary.xml
//! ```
//!
//! What is trusted: every package is what primary.xml says (SHA-256), primary.xml what repomd.xml says, and repomd.xml what the recipe pins
//! or what a server gave whose certificate this host trusts. Signatures, of repomd.xml or of packages, are not looked at.
//!
//! Groups (comps.xml) are not read here: those of the installation medium are the ones that the installer sees.

mod gather;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fetch::{Awaited, Fetch, Remote, Way, Web, fetch, host_of, small};
use super::resolve::{Host, stored};
use super::{Pin, Resolved, SourceError};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::packages::rpm::{Entry, Kind, Repomd};
use crate::packages::{Checksum, IndexError, Input, Problem};
use crate::recipe;

pub use gather::gather;

/// Bytes that repomd.xml may have; that of Fedora has 10 KB.
const REPOMD_BYTES: u64 = 1 << 20;
/// Bytes that an index may have as it is fetched, when repomd.xml does not say how many.
const INDEX_BYTES: u64 = 256 << 20;
/// Bytes that an expanded index may have; the filelists of CentOS 7 with all updates have 90 MiB.
const EXPANDED_BYTES: u64 = 512 << 20;

/// A repository of the world.
#[derive(Debug)]
pub struct Upstream {
    /// The recipe's repository that its packages go to.
    repository: String,
    /// What people call it.
    name: String,
    /// Its mirrors, each with a `/` at its end.
    urls: Vec<String>,
    /// The recipe's key that names them.
    key: String,
    repomd: Repomd,
    sha256: Sha256Digest,
}

/// A package of a repository of the world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemotePackage {
    /// The repository, by its name.
    pub upstream: String,
    /// Where it is, seen from the directory that holds `repodata`.
    pub location: String,
    /// What it hashes to.
    pub sha256: Sha256Digest,
    /// Its bytes.
    pub bytes: u64,
}

impl RemotePackage {
    /// Its file name.
    pub fn file_name(&self) -> &str {
        self.location.rsplit('/').next().unwrap_or_default()
    }
}

/// What was chosen for a repository of the recipe.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The packages, in the order of their file names.
    pub packages: Vec<RemotePackage>,
    /// What is still to be fetched of them.
    pub awaited: Option<Awaited>,
}

/// Get the metadata of an upstream of the recipe's repository `repository`; `key` leads to it in the recipe.
pub(super) async fn open(
    repository: &str,
    key: &str,
    upstream: &recipe::Upstream,
    host: Host<'_>,
    task: &Task,
) -> Result<Upstream, SourceError> {
    let what = format!("repomd.xml of {}", upstream.name);
    let key = format!("{key}.urls");
    let urls = below(&upstream.urls, "repodata/repomd.xml");
    let bytes = match upstream.repomd_sha256 {
        Some(sha256) => {
            let remote = Remote { limit: REPOMD_BYTES, way: Way::Mirrors(&key), ..Remote::pinned(&what, &key, &urls, sha256) };
            let path = kept(remote, host, task).await?;
            fs::read(&path).map_err(|source| SourceError::Unreadable { what: what.clone(), path, source })?
        }
        None => small(&what, Way::Mirrors(&key), &urls, REPOMD_BYTES, &patience(host), task).await?,
    };
    Ok(Upstream {
        repository: repository.to_owned(),
        name: upstream.name.clone(),
        urls: upstream.urls.clone(),
        key,
        repomd: Repomd::read(&what, &bytes[..])?,
        sha256: Sha256Digest::of(&bytes),
    })
}

/// A file of the store, or of the world.
async fn kept(remote: Remote<'_>, host: Host<'_>, task: &Task) -> Result<PathBuf, SourceError> {
    match stored(remote.what, remote.sha256, host.store, task).await? {
        Some(path) => Ok(path),
        None => fetch(remote, host.store, &patience(host), task).await,
    }
}

/// Whoever only looks wants to know soon.
fn patience(host: Host<'_>) -> Web {
    match host.fetch {
        Fetch::Now => host.web.clone(),
        Fetch::Look => Web { pauses: Vec::new(), ..host.web.clone() },
    }
}

/// Where a file of a repository is on each of its mirrors.
fn below(urls: &[String], path: &str) -> Vec<String> {
    urls.iter().map(|url| format!("{url}{path}")).collect()
}

/// Why an index does not do.
fn unfit(index: &str, what: String) -> SourceError {
    IndexError { index: index.to_owned(), at: None, package: None, problem: Problem::Malformed(what) }.into()
}

/// The digest of a file that `index` gives `checksum` for.
fn sha256_of(index: &str, file: &str, checksum: &Checksum) -> Result<Sha256Digest, SourceError> {
    let kind = checksum.kind();
    checksum.sha256().ok_or_else(|| unfit(index, format!("the checksum of {file} is {kind}, and what is fetched is trusted by sha256")))
}

impl Upstream {
    /// The recipe's repository that its packages go to.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// What people call it; unique in the recipe.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its repomd.xml hashes to: that has the digests of all the rest.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Hand the index of a kind to `read`, when the repository has one: from the store, or fetched, which a look does too.
    ///
    /// # Errors
    /// It cannot be had or is not what it must be; and those of `read`.
    pub async fn index(
        &self,
        kind: Kind,
        host: Host<'_>,
        task: &Task,
        read: impl FnOnce(Input<'_>) -> Result<(), IndexError>,
    ) -> Result<(), SourceError> {
        let Some(entry) = self.repomd.entry(kind) else { return Ok(()) };
        let name = format!("{} of {}", entry.href, self.name);
        let path = kept(self.remote(&name, entry, &below(&self.urls, &entry.href))?, host, task).await?;
        let file = File::open(&path).map_err(|source| SourceError::Unreadable { what: name.clone(), path: path.clone(), source })?;
        Ok(read(entry.input(&name, file, EXPANDED_BYTES)?)?)
    }

    fn remote<'a>(&'a self, name: &'a str, entry: &Entry, urls: &'a [String]) -> Result<Remote<'a>, SourceError> {
        Ok(Remote {
            what: name,
            way: Way::Mirrors(&self.key),
            urls,
            sha256: sha256_of(&format!("repomd.xml of {}", self.name), &entry.href, &entry.listed.checksum)?,
            says: "repomd.xml",
            limit: entry.listed.size.unwrap_or(INDEX_BYTES),
        })
    }

    /// The package that is at `location`, as primary.xml says.
    ///
    /// # Errors
    /// The place or the checksum is none that can be used.
    pub fn package(&self, location: Option<&str>, checksum: Option<&Checksum>, bytes: u64) -> Result<RemotePackage, SourceError> {
        let index = format!("primary.xml of {}", self.name);
        let location = location.ok_or_else(|| unfit(&index, "a package is at no place within the repository".to_owned()))?;
        let checksum = checksum.ok_or_else(|| unfit(&index, format!("{location} has no checksum that is known")))?;
        let sha256 = sha256_of(&index, location, checksum)?;
        let package = RemotePackage { upstream: self.name.clone(), location: location.to_owned(), sha256, bytes };
        let name = package.file_name();
        // The name is that of a file on the host, on the volume and in the image.
        let is_plain = name.len() <= 200 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-~^".contains(&byte));
        if !is_plain || name.starts_with('.') || !name.ends_with(".rpm") {
            return Err(unfit(&index, format!("`{location}` is not the place of a package")));
        }
        Ok(package)
    }
}

impl Resolved {
    /// Take `packages` for the recipe's repositories: what was chosen is pinned, wherever it comes from.
    pub fn choose(&mut self, packages: Vec<RemotePackage>, host: Host<'_>) {
        let mut chosen: BTreeMap<String, Chosen> = BTreeMap::new();
        // In the order of the recipe; one of which nothing is taken is a repository too.
        let mut ids: Vec<&str> = Vec::new();
        for upstream in &self.upstreams {
            if !ids.contains(&upstream.repository.as_str()) {
                ids.push(&upstream.repository);
            }
        }
        for id in ids {
            let own = |package: &&RemotePackage| {
                self.upstreams.iter().any(|upstream| upstream.name == package.upstream && upstream.repository == id)
            };
            let mut packages: Vec<RemotePackage> = packages.iter().filter(own).cloned().collect();
            packages.sort_by(|a, b| a.file_name().cmp(b.file_name()));
            let sha256 = super::bundle::digest_of(packages.iter().map(|package| (package.sha256, package.bytes, package.file_name())));
            self.pins.0.push(Pin { name: format!("packages {id}"), sha256, urls: Vec::new() });
            let awaited = self.awaited_of(&packages, host);
            chosen.insert(id.to_owned(), Chosen { packages, awaited });
        }
        self.chosen = Some(chosen);
    }

    fn awaited_of(&self, packages: &[RemotePackage], host: Host<'_>) -> Option<Awaited> {
        let missing: Vec<&RemotePackage> = packages.iter().filter(|package| host.store.peek_file(&package.sha256).is_none()).collect();
        let mut hosts: Vec<String> = Vec::new();
        for package in &missing {
            let upstream = self.upstreams.iter().find(|upstream| upstream.name == package.upstream);
            let host = upstream.and_then(|upstream| upstream.urls.first()).map(|url| host_of(url)).unwrap_or_default();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let bytes = missing.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
        (!missing.is_empty()).then(|| Awaited { host: hosts.join(" and "), bytes: Some(bytes) })
    }
}
