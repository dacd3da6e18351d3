//! Fetches packages of online repositories, a few at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{RemotePackage, Upstream, below};
use crate::base::digest::Sha256Digest;
use crate::base::event::{Event, Events, Task, Unit};
use crate::base::text::counted;
use crate::sources::SourceError;
use crate::sources::fetch::{Remote, Way, client, fetch_over, require_room};
use crate::sources::host::Host;
use crate::sources::verified::stored;

/// Packages that are fetched at a time: more than one, since most are small and a server's answer takes longer than its bytes; few, to
/// spare the servers.
const AT_A_TIME: usize = 4;
/// The period of progress reports.
const TELL: Duration = Duration::from_millis(100);

/// The files of packages, by their digest: from the store, or fetched.
pub(super) async fn fetch_all(
    upstreams: &[Upstream],
    packages: &[&RemotePackage],
    host: Host<'_>,
    task: &Task,
) -> Result<BTreeMap<Sha256Digest, PathBuf>, SourceError> {
    let mut files = BTreeMap::new();
    let mut missing: BTreeMap<Sha256Digest, &RemotePackage> = BTreeMap::new();
    for package in packages.iter().copied() {
        match stored(&package.file_name, package.sha256, host.store, task).await? {
            Some(path) => drop(files.insert(package.sha256, path)),
            None => drop(missing.insert(package.sha256, package)),
        }
    }
    if missing.is_empty() {
        return Ok(files);
    }
    let total = missing.values().fold(0, |sum: u64, package| sum.saturating_add(package.bytes));
    require_room(&counted(missing.len(), "package"), host.store, total)?;
    let client = client(&host.web.proxies, host.web.silence)?;
    let meter = Meter::of(missing.len());
    let fetched = stream::iter(missing.values().enumerate().map(|(nth, package)| {
        let (client, meter) = (&client, &meter);
        async move {
            let upstream = upstreams.iter().find(|upstream| upstream.name == package.upstream);
            let (urls, key) = upstream.map(|upstream| (below(&upstream.urls, &package.href), &*upstream.key)).unwrap_or_default();
            let what = format!("{} of {}", package.file_name, package.upstream);
            let (sha256, limit) = (package.sha256, package.bytes);
            let remote = Remote { what: &what, way: Way::Mirrors(key), urls: &urls, sha256, says: "primary.xml", limit };
            let path = fetch_over(client, remote, host.store, host.web, &meter.task(nth, task)).await?;
            Ok::<_, SourceError>((sha256, path))
        }
    }));
    let mut fetching = pin!(fetched.buffer_unordered(AT_A_TIME).try_collect::<Vec<_>>());
    let step = format!("fetch {}", counted(missing.len(), "package"));
    loop {
        task.progress(&step, meter.done(), Some(total), Unit::Bytes);
        if let Ok(fetched) = tokio::time::timeout(TELL, fetching.as_mut()).await {
            files.extend(fetched?);
            return Ok(files);
        }
    }
}

/// How far the transfers are that run at a time.
struct Meter(Arc<[AtomicU64]>);

impl Meter {
    fn of(transfers: usize) -> Self {
        Self((0..transfers).map(|_| AtomicU64::new(0)).collect())
    }

    /// The task of one of the transfers, which are a part of `whole`: its bytes are counted, and what it warns of is passed on.
    fn task(&self, nth: usize, whole: &Task) -> Task {
        let (counts, events) = (Arc::clone(&self.0), whole.events().clone());
        let listener = move |event: &Event| match event {
            Event::Progress { done, unit: Unit::Bytes, .. } => counts[nth].store(*done, Ordering::Relaxed),
            Event::Warning { text } => events.warn(text.as_str()),
            _ => {}
        };
        Events::new(vec![Box::new(listener)]).task("fetch")
    }

    fn done(&self) -> u64 {
        self.0.iter().map(|count| count.load(Ordering::Relaxed)).fold(0, u64::saturating_add)
    }
}
