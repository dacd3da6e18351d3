//! Saves the state of a running machine, and plugs network cards into one that goes on from such a state (`machine/state.rs`).
//!
//! QEMU 7.2 writes a state to a program or a socket. It is a socket of ours, because QEMU's sandbox lets it start no program.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::UnixListener;
use tokio::time::timeout;

use super::super::commands::{DeviceAdd, Migrate, MigrateSetParameters, QomGet, QueryMigrate};
use super::super::error::MachineError;
use super::super::qmp::QmpError;
use super::super::state::{IGNORE_SHARED, POLL};
use super::{ANSWER, Machine};
use crate::base::aside::beside;

/// For QEMU to write one.
const SAVE: Duration = Duration::from_secs(60);
/// What QEMU's type of a machine ends in, which `-machine` leaves out.
const TYPE_ENDING: &str = "-machine";

impl Machine {
    /// Stop the guest and write the state of its processors and devices to a new file at `path`; its memory is a file already. It does not go on
    /// afterwards: its memory and its disk belong to the state.
    ///
    /// # Errors
    /// QEMU cannot write the state, or the file cannot be written.
    pub async fn save_state(&mut self, path: &Path) -> Result<(), MachineError> {
        let failed = {
            let machine = self.name.clone();
            move |source| MachineError::File { machine, what: "the state of the guest".to_owned(), source }
        };
        self.execute(&qapi::qmp::stop {}).await?;
        self.pause_explained = true;
        self.execute(&IGNORE_SHARED).await?;
        // A limit would only be for the sake of a guest that runs meanwhile.
        self.execute(&MigrateSetParameters { max_bandwidth: 0 }).await?;
        let socket = self.sockets.path("state");
        let ends = UnixListener::bind(&socket).and_then(|listener| File::create_new(path).map(|file| (listener, file)));
        let (listener, mut file) = ends.map_err(failed.clone())?;
        self.execute(&Migrate { uri: format!("unix:{}", socket.display()) }).await?;
        let late = QmpError::Late { command: "migrate", limit: ANSWER };
        let Ok(connected) = timeout(ANSWER, listener.accept()).await else {
            return Err(MachineError::Qmp { machine: self.name.clone(), source: late });
        };
        let stream = connected.and_then(|(stream, _)| stream.into_std()).map_err(failed.clone())?;
        let copied = beside(move |meter| -> io::Result<()> {
            stream.set_nonblocking(false)?;
            // A QEMU that hangs must not hold up this thread.
            stream.set_read_timeout(Some(SAVE))?;
            io::copy(&mut meter.measure(stream), &mut file)?;
            file.sync_all()
        });
        let (copied, written) = tokio::join!(copied, self.written());
        written?;
        copied.map_err(failed)
    }

    /// Wait until QEMU has written the state.
    async fn written(&mut self) -> Result<(), MachineError> {
        let refused = |reason: String| QmpError::Refused { command: "migrate", reason };
        let patience = Instant::now() + SAVE;
        let source = loop {
            let info = self.execute(&QueryMigrate {}).await?;
            match info.status.as_deref() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => break refused(info.error_desc.unwrap_or_else(|| "no reason given".to_owned())),
                _ if Instant::now() > patience => break QmpError::Late { command: "migrate", limit: SAVE },
                _ => tokio::time::sleep(POLL).await,
            }
        };
        Err(MachineError::Qmp { machine: self.name.clone(), source })
    }

    /// The versioned name of the machine's type.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn machine_type(&mut self) -> Result<String, MachineError> {
        let name = self.execute(&QomGet { path: "/machine", property: "type" }).await?;
        Ok(name.strip_suffix(TYPE_ENDING).unwrap_or(&name).to_owned())
    }

    /// Wait until QEMU has noticed that we have hung up on so many of the ports.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub(in crate::machine) async fn expect_disconnected(&mut self, count: usize) -> Result<(), MachineError> {
        let patience = Instant::now() + ANSWER;
        loop {
            let lines = self.execute(&qapi::qmp::query_chardev {}).await?;
            let left = lines.iter().filter(|line| line.filename.starts_with("disconnected:")).count();
            if left >= count {
                return Ok(());
            }
            if Instant::now() > patience {
                let source = QmpError::Late { command: "query-chardev", limit: ANSWER };
                return Err(MachineError::Qmp { machine: self.name.clone(), source });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Plug in the network cards that the machine began without, once.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn plug_cards(&mut self) -> Result<(), MachineError> {
        for properties in std::mem::take(&mut self.cards) {
            self.execute_within(&DeviceAdd(properties.into_iter().collect()), ANSWER).await?;
        }
        Ok(())
    }
}
