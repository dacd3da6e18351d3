//! QMP commands whose `qapi` types are too strict or too wide for us.
//!
//! `qapi` 0.15 was generated from QEMU 9.0; its closed enums refuse an answer that holds one value a later QEMU added. These
//! read only the fields that are used.

use std::collections::BTreeMap;

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

/// `device_add`, by the device's properties.
#[derive(Debug, Serialize)]
pub(super) struct DeviceAdd(pub(super) BTreeMap<&'static str, String>);

impl Command for DeviceAdd {
    type Ok = Empty;
    const NAME: &'static str = "device_add";
    const ALLOW_OOB: bool = false;
}

/// `migrate-set-parameters`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MigrateSetParameters {
    /// Bytes per second; 0 for no limit.
    pub(super) max_bandwidth: u64,
}

impl Command for MigrateSetParameters {
    type Ok = Empty;
    const NAME: &'static str = "migrate-set-parameters";
    const ALLOW_OOB: bool = false;
}

/// `migrate`.
#[derive(Debug, Serialize)]
pub(super) struct Migrate {
    /// Where the state goes: `unix:PATH`.
    pub(super) uri: String,
}

impl Command for Migrate {
    type Ok = Empty;
    const NAME: &'static str = "migrate";
    const ALLOW_OOB: bool = false;
}

/// `query-migrate`.
#[derive(Debug, Serialize)]
pub(super) struct QueryMigrate {}

/// How far a migration is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MigrationInfo {
    /// `setup`, `active`, `completed`, `failed`, … (QEMU's `MigrationStatus`); nothing when there was none.
    #[serde(default)]
    pub(super) status: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub(super) error_desc: Option<String>,
}

impl Command for QueryMigrate {
    type Ok = MigrationInfo;
    const NAME: &'static str = "query-migrate";
    const ALLOW_OOB: bool = false;
}

/// `qom-get`, of a property that is a text.
#[derive(Debug, Serialize)]
pub(super) struct QomGet {
    /// The object: `/machine`.
    pub(super) path: &'static str,
    /// Its property: `type`.
    pub(super) property: &'static str,
}

impl Command for QomGet {
    type Ok = String;
    const NAME: &'static str = "qom-get";
    const ALLOW_OOB: bool = false;
}

/// `migrate-incoming`.
#[derive(Debug, Serialize)]
pub(super) struct MigrateIncoming {
    /// Where the state comes from: `fd:NUMBER`.
    pub(super) uri: String,
}

impl Command for MigrateIncoming {
    type Ok = Empty;
    const NAME: &'static str = "migrate-incoming";
    const ALLOW_OOB: bool = false;
}

/// `migrate-set-capabilities`.
#[derive(Debug, Serialize)]
pub(super) struct MigrateSetCapabilities {
    /// Those that are set.
    pub(super) capabilities: [Capability; 1],
}

/// A capability of migrations.
#[derive(Debug, Serialize)]
pub(super) struct Capability {
    /// Its name.
    pub(super) capability: &'static str,
    /// Whether it is on.
    pub(super) state: bool,
}

impl Command for MigrateSetCapabilities {
    type Ok = Empty;
    const NAME: &'static str = "migrate-set-capabilities";
    const ALLOW_OOB: bool = false;
}
