//! QMP commands whose `qapi` types are too strict or too wide for us.
//!
//! `qapi` 0.15 was generated from QEMU 9.0; its closed enums refuse an answer that holds one value a later QEMU added. These
//! read only the fields that are used.

use qapi::{Command, Empty};
use serde::{Deserialize, Serialize};

use super::args::BlockNode;

/// `query-status`.
#[derive(Debug, Serialize)]
pub(super) struct QueryStatus {}

/// QEMU's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStatus {
    /// Whether the virtual CPUs run.
    pub running: bool,
    /// `running`, `paused`, `shutdown`, `guest-panicked`, `io-error`, … (QEMU's `RunState`).
    pub status: String,
}

impl Command for QueryStatus {
    type Ok = RunStatus;
    const NAME: &'static str = "query-status";
    const ALLOW_OOB: bool = false;
}

/// `query-blockstats`.
#[derive(Debug, Serialize)]
pub(super) struct QueryBlockstats {}

/// The counters of a disk since the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskStats {
    /// The active node: the drive's own, or the newest overlay.
    #[serde(rename = "node-name", default)]
    pub node: String,
    /// The numbers.
    pub stats: DiskNumbers,
}

/// Requests and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskNumbers {
    /// Bytes read.
    pub rd_bytes: u64,
    /// Bytes written.
    pub wr_bytes: u64,
    /// Reads completed.
    pub rd_operations: u64,
    /// Writes completed.
    pub wr_operations: u64,
    /// Flushes completed.
    pub flush_operations: u64,
    /// Discards completed.
    #[serde(default)]
    pub unmap_operations: u64,
}

impl DiskNumbers {
    /// Requests of all kinds.
    pub fn operations(&self) -> u64 {
        [self.rd_operations, self.wr_operations, self.flush_operations, self.unmap_operations].into_iter().fold(0, u64::wrapping_add)
    }
}

impl Command for QueryBlockstats {
    type Ok = Vec<DiskStats>;
    const NAME: &'static str = "query-blockstats";
    const ALLOW_OOB: bool = false;
}

/// `blockdev-add`.
#[derive(Debug, Serialize)]
pub(super) struct BlockdevAdd(pub(super) BlockNode);

impl Command for BlockdevAdd {
    type Ok = Empty;
    const NAME: &'static str = "blockdev-add";
    const ALLOW_OOB: bool = false;
}
