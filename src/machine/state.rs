//! The state of a guest (processors, devices) in a file, beside its memory, which is a file as well: a machine begins with both.
//!
//! ```text
//!   ToBeSaved ── boot, without cards ── save_state ── quit        the disk stays as it was at that moment
//!   Saved ── launch_paused ── go_on ── plug_cards                 the same spec, a disk with the same content
//! ```
//!
//! The state is the stream of a migration (QEMU's docs/devel/migration).

use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::commands::{Capability, MigrateIncoming, MigrateSetCapabilities, QueryStatus};
use super::qmp::{Qmp, QmpError};
use super::spec::{Begins, MachineSpec};

/// For QEMU to read a state, which has a few megabytes.
const LOAD: Duration = Duration::from_secs(60);
/// The time between two looks at QEMU.
pub(super) const POLL: Duration = Duration::from_millis(5);
/// Memory that is a shared file is no part of the state (QEMU's `qapi/migration.json`, since 4.0). A machine that maps the file privately has its
/// content from there, as in the templates of Kata Containers.
pub(super) const IGNORE_SHARED: MigrateSetCapabilities =
    MigrateSetCapabilities { capabilities: [Capability { capability: "x-ignore-shared", state: true }] };

/// The state that a machine begins with.
pub(super) fn open(spec: &MachineSpec) -> io::Result<Option<OwnedFd>> {
    match &spec.begins {
        Begins::Saved { state, .. } => File::open(state).map(|file| Some(file.into())),
        Begins::Booting | Begins::ToBeSaved { .. } => Ok(None),
    }
}

/// Have QEMU read the state that it inherited as `fd`. When it cannot, it says why and ends.
pub(super) async fn load(qmp: &mut Qmp, fd: RawFd) -> Result<(), QmpError> {
    qmp.execute(&IGNORE_SHARED, LOAD).await?;
    qmp.execute(&MigrateIncoming { uri: format!("fd:{fd}") }, LOAD).await?;
    let patience = Instant::now() + LOAD;
    while qmp.execute(&QueryStatus {}, LOAD).await?.status == "inmigrate" {
        if Instant::now() > patience {
            return Err(QmpError::Late { command: "query-status", limit: LOAD });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
