//! Snapshots of a running machine's disk, within the disk.

use std::time::Duration;

use qapi::qmp;

use super::super::error::MachineError;
use super::Machine;

/// For a snapshot within a disk: its tables are written, and all that is in the caches.
const SNAPSHOT: Duration = Duration::from_secs(110);

impl Machine {
    /// Keep the disk whose node is `node`, a qcow2, as it is now, under a name in the disk itself. The guest stands still meanwhile.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn save_snapshot(&mut self, node: &str, name: &str) -> Result<(), MachineError> {
        let snapshot = qmp::BlockdevSnapshotInternal { device: node.to_owned(), name: name.to_owned() };
        self.execute_within(&qmp::blockdev_snapshot_internal_sync(snapshot), SNAPSHOT).await.map(|_| ())
    }

    /// Remove a snapshot that is in the disk.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn remove_snapshot(&mut self, node: &str, name: &str) -> Result<(), MachineError> {
        let snapshot = qmp::blockdev_snapshot_delete_internal_sync { device: node.to_owned(), id: None, name: Some(name.to_owned()) };
        self.execute_within(&snapshot, SNAPSHOT).await.map(|_| ())
    }
}
