//! Takes packages of the online repositories for the recipe's repositories.

use super::{OnlinePackages, RemotePackage, Upstream, unfit};
use crate::sources::bundle::digest_of;
use crate::sources::fetch::{Awaited, host_of};
use crate::sources::host::Host;
use crate::sources::resolved::{Choice, Resolved};
use crate::sources::{Pin, SourceError};

impl Choice {
    /// The choice of `packages` for the recipe's repositories that were `found`. The packages are pinned, whatever their origin.
    ///
    /// # Errors
    /// Two of a repository have the same file name.
    pub fn online(found: &Resolved, packages: &[RemotePackage], host: Host<'_>) -> Result<Self, SourceError> {
        let mut choice = Self::default();
        // In the order of the recipe. A repository of which no package is taken is kept too.
        let mut ids: Vec<&str> = Vec::new();
        for upstream in &found.upstreams {
            if !ids.contains(&upstream.repository.as_str()) {
                ids.push(&upstream.repository);
            }
        }
        for id in ids {
            let own = |package: &&RemotePackage| {
                found.upstreams.iter().any(|upstream| upstream.name == package.upstream && upstream.repository == id)
            };
            let mut packages: Vec<RemotePackage> = packages.iter().filter(own).cloned().collect();
            packages.sort_by(|a, b| a.file_name.cmp(&b.file_name));
            if let Some(twins) = packages.windows(2).find(|pair| pair[0].file_name == pair[1].file_name) {
                let what = format!("{} is in {} too, and another one", twins[0].href, twins[1].upstream);
                return Err(unfit(&format!("primary.xml of {}", twins[0].upstream), what));
            }
            let sha256 = digest_of(packages.iter().map(|package| (package.sha256, package.bytes, package.file_name.as_str())));
            choice.pins.push(Pin { name: format!("packages {id}"), sha256, urls: Vec::new() });
            let awaited = awaited_of(&found.upstreams, &packages, host);
            choice.online.insert(id.to_owned(), OnlinePackages { packages, awaited });
        }
        Ok(choice)
    }
}

fn awaited_of(upstreams: &[Upstream], packages: &[RemotePackage], host: Host<'_>) -> Option<Awaited> {
    let missing: Vec<&RemotePackage> = packages.iter().filter(|package| host.store.peek_file(&package.sha256).is_none()).collect();
    let mut hosts: Vec<String> = Vec::new();
    for package in &missing {
        let upstream = upstreams.iter().find(|upstream| upstream.name == package.upstream);
        let host = upstream.and_then(|upstream| upstream.urls.first()).map(|url| host_of(url)).unwrap_or_default();
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let bytes = missing.iter().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    (!missing.is_empty()).then(|| Awaited { host: hosts.join(" and "), bytes: Some(bytes) })
}
