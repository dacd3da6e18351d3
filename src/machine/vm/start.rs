//! The start of QEMU, from its first answer to its readiness.

use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use qapi::qmp;
use tokio::net::UnixStream;
use tokio::process::ChildStderr;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use crate::base::process::{Lines, Running, Tool};
use crate::machine::error::MachineError;
use crate::machine::event::INTERESTING;
use crate::machine::qmp::{Qmp, QmpError, RawEvent};
use crate::machine::spec::MachineSpec;
use crate::machine::state;
use crate::machine::volumes::Served;

/// From the start of QEMU to its readiness. It takes 0.1 s; a host that needs longer than this is in trouble.
const START: Duration = Duration::from_secs(30);
/// Lines of QEMU's standard error that are kept.
pub(super) const STDERR_LINES: usize = 40;

/// Wait until QEMU has taken all connections, and has read the state in the file `state` if there is one.
///
/// # Errors
/// QEMU ended, or did not answer.
pub(super) async fn get_ready(stream: UnixStream, state: Option<RawFd>) -> Result<(Qmp, UnboundedReceiver<RawEvent>), QmpError> {
    let (mut qmp, events) = Qmp::connect(stream, INTERESTING, START).await?;
    // QEMU accepts waiting connections a little later; the guest must not send before that.
    let patience = Instant::now() + START;
    while qmp.execute(&qmp::query_chardev {}, START).await?.iter().any(|line| line.filename.starts_with("disconnected:")) {
        if Instant::now() > patience {
            return Err(QmpError::Late { command: "query-chardev", limit: START });
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if let Some(fd) = state {
        state::load(&mut qmp, fd).await?;
    }
    Ok((qmp, events))
}

/// Why QEMU did not start: its last words, or those of a virtiofsd.
pub(super) async fn cannot_start(
    spec: &MachineSpec,
    (mut running, volumes): (Running, Vec<Served>),
    mut lines: Lines<ChildStderr>,
    command_line: String,
    error: QmpError,
) -> MachineError {
    if !matches!(error, QmpError::Closed { .. }) {
        running.kill();
    }
    for mut served in volumes {
        // QEMU would say that the connection was closed.
        if let Some((dir, said)) = served.failure().await {
            return MachineError::Volume { machine: spec.name.clone(), dir, said };
        }
    }
    let mut stderr = Vec::new();
    let read = async {
        while let Some(line) = lines.next().await {
            if stderr.len() < STDERR_LINES {
                stderr.push(line);
            }
        }
    };
    // A dead QEMU's pipe ends at once.
    let _ = timeout(Duration::from_secs(2), read).await;
    let last = stderr.iter().rev().find(|line| line.starts_with(Tool::QemuSystem.program())).or(stderr.last());
    let reason = last.map_or_else(|| error.to_string(), |line| line.trim_start_matches("qemu-system-x86_64: ").to_owned());
    MachineError::CannotStart { machine: spec.name.clone(), reason, command_line, stderr }
}
