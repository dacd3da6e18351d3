//! Fetches pinned files over HTTP into the store.
//!
//! ```text
//! for each URL: request the rest ─ answer ─ bytes ─ broke off? again after a pause, from there
//!                    │                          └ complete: is it the pinned file? ─ no: throw it away, next URL
//!                    └ not from there: next URL
//! ```
//!
//! The pin makes this simple and safe: whatever a server, mirror, proxy or redirect does, only the right bytes are kept. So a file that one
//! mirror gave in part is continued from another, and a redirect from https to http is followed. A file that was put together from several
//! answers and is not the pinned one is fetched once more as a whole before its server is blamed.
//!
//! No wait is endless: a server that is silent for [`Web::silence`] is given up. A transfer as a whole has no time limit.

mod answer;
mod client;
mod mirrors;
mod part;
mod patience;
mod small;
#[cfg(test)]
mod tests;
mod transfer;
mod web;

use std::fmt;
use std::path::PathBuf;

use reqwest::Client;

use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::size::rounded;
use crate::cache::{FileLookup, Store};

use super::SourceError;

pub(super) use client::client;
pub(crate) use client::shown;
pub(super) use small::small;
pub(super) use transfer::require_room;
pub use web::{Fetch, Proxies, Web};

use mirrors::{first_of, warn_of};
use part::Part;
use transfer::{Transfer, Wanted};

/// Bytes of a file, at most: the largest medium has 9 GB. A server that does not tell the size must end before this.
const BYTES_MAX: u64 = 64 << 30;

/// A file that is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The host it will come from.
    pub host: String,
    /// Its bytes, when the server tells them.
    pub bytes: Option<u64>,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            Some(bytes) => write!(f, "will be fetched: {} from {}", rounded(bytes), self.host),
            None => write!(f, "will be fetched from {}, which does not say how large it is", self.host),
        }
    }
}

/// A file on the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remote<'a> {
    /// Its role in the recipe.
    pub what: &'a str,
    /// The remedy when it cannot be fetched.
    pub way: Way<'a>,
    /// Where it can be had.
    pub urls: &'a [String],
    /// Its digest.
    pub sha256: Sha256Digest,
    /// The source of the digest, for errors: `the recipe`.
    pub says: &'a str,
    /// Bytes it may have.
    pub limit: u64,
}

/// What a user can do about a file that cannot be had: the recipe's key that names something else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    /// A local copy.
    Copy(&'a str),
    /// Other mirrors.
    Mirrors(&'a str),
}

impl<'a> Remote<'a> {
    /// A file that the recipe pins, of which `key` names a local copy.
    pub(super) fn pinned(what: &'a str, key: &'a str, urls: &'a [String], sha256: Sha256Digest) -> Self {
        Self { what, way: Way::Copy(key), urls, sha256, says: "the recipe", limit: BYTES_MAX }
    }
}

/// Fetch `remote` into the store, or find it there. While another goldsmith fetches it, wait.
///
/// # Errors
/// No URL gives it, each with why; or there is no room for it.
pub(super) async fn fetch(remote: Remote<'_>, store: &Store, web: &Web, task: &Task) -> Result<PathBuf, SourceError> {
    fetch_over(&client(&web.proxies, web.silence)?, remote, store, web, task).await
}

/// As [`fetch`], with a client that has connections already.
///
/// # Errors
/// Those of [`fetch`].
pub(super) async fn fetch_over(client: &Client, remote: Remote<'_>, store: &Store, web: &Web, task: &Task) -> Result<PathBuf, SourceError> {
    let Remote { what, urls, sha256, says, limit, .. } = remote;
    let waiting = || task.step(&format!("another goldsmith is fetching {what}; waiting for it"));
    let vacancy = match store.lookup_file(&sha256, waiting).await? {
        FileLookup::Hit(path) => return Ok(path),
        FileLookup::Miss(vacancy) => vacancy,
    };
    store.describe(&sha256, what);
    let part = Part::open(vacancy.part(), what, task).await?;
    let mut transfer = Transfer { wanted: Wanted { what, sha256, says, limit }, client, web, store, task, part, is_reached: false };
    let fetched = first_of(urls, warn_of(what, task), async |url| transfer.from(url).await).await?;
    fetched.map_err(|failures| unfetched(remote, failures))?;
    Ok(vacancy.keep()?)
}

/// See whether `remote` can be fetched, and how large it is.
///
/// # Errors
/// No URL gives it, each with why; or there is no room for it.
pub(super) async fn look(remote: Remote<'_>, store: &Store, web: &Web, task: &Task) -> Result<Awaited, SourceError> {
    let client = client(&web.proxies, web.silence)?;
    // Without warnings: the fetch will warn of servers that are given up.
    let found = first_of(
        remote.urls,
        |_, _| (),
        async |url| {
            task.step(&format!("look for {} on {}", remote.what, host_of(url)));
            let bytes = match transfer::look(&client, url).await {
                Ok(bytes) => bytes,
                Err(why) => return Ok(Err(why)),
            };
            transfer::require_room(remote.what, store, bytes.unwrap_or_default())?;
            Ok(Ok(Awaited { host: host_of(url), bytes }))
        },
    );
    found.await?.map_err(|failures| unfetched(remote, failures))
}

/// The host of a URL.
pub(super) fn host_of(url: &str) -> String {
    client::host(url)
}

fn unfetched(remote: Remote<'_>, failures: Vec<(String, String)>) -> SourceError {
    let what = remote.what.to_owned();
    match remote.way {
        Way::Copy(key) => SourceError::Unfetched { what, key: key.to_owned(), sha256: remote.sha256, failures },
        Way::Mirrors(key) => SourceError::NoMirror { what, key: key.to_owned(), failures },
    }
}
