//! States of a machine's disk that are kept in the disk itself, to go back to.
//!
//! They are internal snapshots of its qcow2. qemu-img makes and removes them while the machine is off, and its own QEMU while it runs: two programs
//! may not write to one disk. They do not include memory: a snapshot of a running machine is like the disk after a power cut.

use jiff::Timestamp;
use serde::Deserialize;

use super::client;
use super::control::{Change, State, Status};
use super::error::RunError;
use super::finished;
use super::name::Name;
use super::record::Place;
use crate::base::process::{Invocation, Tool};
use crate::base::text::suggestion;
use crate::image::ImageError;

/// Snapshots of one disk. qcow2 takes 65 536, and each costs a table of the whole disk.
const MOST: usize = 1000;

/// A state of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// When it was taken: RFC 3339, UTC.
    pub taken: String,
    /// Its number in the disk.
    id: String,
}

/// The output of qemu-img about a disk (QEMU's `qapi/block-core.json`, `ImageInfo` and `SnapshotInfo`).
#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    snapshots: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    id: String,
    name: String,
    #[serde(rename = "date-sec")]
    seconds: i64,
}

/// All snapshots of the machine's disk, the oldest first.
///
/// # Errors
/// The disk cannot be read.
pub async fn snapshots(place: &Place) -> Result<Vec<Snapshot>, RunError> {
    // `-U`: its QEMU may have it open.
    let info = Invocation::new(Tool::QemuImg).args(["info", "-U", "--output=json", "-f", "qcow2"]).arg(place.disk());
    let said = info.output().await.map_err(ImageError::from)?;
    let unread = |error: serde_json::Error| ImageError::corrupt(&place.disk(), None, format!("qemu-img info: {error}"));
    let info: Info = serde_json::from_slice(&said).map_err(unread)?;
    let shown = |told: Told| {
        let taken = Timestamp::from_second(told.seconds).map_or_else(|_| "unknown".to_owned(), |time| time.to_string());
        Snapshot { name: told.name, taken, id: told.id }
    };
    Ok(info.snapshots.into_iter().map(shown).collect())
}

/// Keep the disk as it is now under the name `snapshot`. A running system writes its caches first.
///
/// # Errors
/// There is one of that name, the guest cannot write its caches, or the disk cannot be written.
pub async fn save(place: &Place, snapshot: &Name) -> Result<(), RunError> {
    let Some(_lock) = place.take_soon().await? else {
        sync(place).await?;
        vacant(place, snapshot).await?;
        return client::snapshot(place, Change::Save, snapshot).await;
    };
    if place.record()?.warm.is_some() {
        return Err(RunError::NotBegun { name: place.name().clone() });
    }
    vacant(place, snapshot).await?;
    on_disk(place, "-c", snapshot.as_str()).await
}

/// Remove a snapshot. The disk stays as it is.
///
/// # Errors
/// There is none of that name, or the disk cannot be written.
pub async fn remove(place: &Place, snapshot: &Name) -> Result<(), RunError> {
    let lock = place.take_soon().await?;
    find(place, snapshot).await?;
    match lock {
        Some(_lock) => on_disk(place, "-d", snapshot.as_str()).await,
        None => client::snapshot(place, Change::Remove, snapshot).await,
    }
}

/// Set the disk back to a snapshot. What was changed since is gone, unless another snapshot has it.
///
/// # Errors
/// There is none of that name, or the machine runs.
pub async fn restore(place: &Place, snapshot: &Name) -> Result<(), RunError> {
    let lock = place.take_soon().await?;
    let found = find(place, snapshot).await?;
    match lock {
        // By its number: qemu-img takes a name of digits for the number of another one (block/qcow2-snapshot.c, `find_snapshot_by_id_or_name`).
        Some(_lock) => on_disk(place, "-a", &found.id).await,
        None => Err(RunError::Runs { name: place.name().clone() }),
    }
}

/// Have the system write its caches. If it cannot be asked, this does nothing.
async fn sync(place: &Place) -> Result<(), RunError> {
    let is_reached = |status: Status| status.state == State::Up && status.unreachable.is_none();
    if client::status(place).await?.is_some_and(is_reached) {
        let synced = finished::run(place, &["sync"]).await?;
        if synced.status != 0 {
            return Err(synced.failure(place, "sync"));
        }
    }
    Ok(())
}

/// Make sure that there is room for one more snapshot, and that this name is free.
async fn vacant(place: &Place, snapshot: &Name) -> Result<(), RunError> {
    let there = snapshots(place).await?;
    if there.iter().any(|other| other.name == snapshot.as_str()) {
        return Err(RunError::SnapshotThere { name: place.name().clone(), snapshot: snapshot.clone() });
    }
    if there.len() >= MOST {
        return Err(RunError::Refused {
            name: place.name().clone(),
            why: format!("its disk has {MOST} snapshots, and those are the most"),
        });
    }
    Ok(())
}

async fn find(place: &Place, snapshot: &Name) -> Result<Snapshot, RunError> {
    let mut there = snapshots(place).await?;
    if let Some(index) = there.iter().position(|other| other.name == snapshot.as_str()) {
        return Ok(there.swap_remove(index));
    }
    let like = suggestion(snapshot.as_str(), there.iter().map(|other| other.name.as_str())).map(str::to_owned);
    Err(RunError::NoSnapshot { name: place.name().clone(), snapshot: snapshot.clone(), like })
}

/// Have qemu-img do it. The caller holds the machine's lock.
async fn on_disk(place: &Place, what: &str, snapshot: &str) -> Result<(), RunError> {
    let invocation = Invocation::new(Tool::QemuImg).args(["snapshot", "-q", what, snapshot]).arg(place.disk());
    Ok(invocation.run_with(|_| {}).await.map_err(ImageError::from)?)
}
