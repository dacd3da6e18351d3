//! A local machine: started, attended, ended.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::disk::{self, Kept, LocalDisk};
use super::error::{PortOf, RunError};
use super::logins::Logins;
use super::personal;
use super::source::Source;
use crate::base::host::TooLittleMemory;
use crate::base::size::ByteSize;
use crate::hardware::Equipment;
use crate::image::{BootFiles, Disk, Firmware, Format};
use crate::machine::probe::{Probe, probe};
use crate::machine::runner::{Mode, direct_boot, nonce, resident};
use crate::machine::seat::{Console, Left, Streams};
use crate::machine::spec::{Accelerator, Begins, Boot, Forward, MachineSpec, NetworkSpec};
use crate::machine::{Cause, Machine, MachineError, MachineEvent, ShutdownReason};

/// Virtual CPUs under KVM, when their number is not given.
pub(super) const CPUS: u32 = 2;
/// The copy of the guest's initramfs that carries the runner.
const INITRD: &str = "initrd-with-runner";
/// For the console's last bytes when the machine ends; we do not wait longer for a reader that no longer reads.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// The options of a local machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Keep what the machine changes, in an overlay beside the image.
    pub keep: bool,
    /// Whether its consoles are root's without a log-in.
    pub autologin: bool,
    /// A port of 127.0.0.1 that leads to the guest's port 22.
    pub ssh: Option<u16>,
    /// The equipment that the command gives; else that of the image's recipe, and else the usual one: [`CPUS`], or one when emulated (the
    /// runner's `Bench` has the measurements). A disk's size and ports are only for machines that stay.
    pub given: Equipment,
}

/// Facts about a started machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The artifact's name, or the image's.
    pub name: String,
    /// The accelerator that executes it, and the reason if it is not KVM.
    pub probe: Probe,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: ByteSize,
    /// The firmware that boots it.
    pub firmware: Firmware,
    /// Where its changes stay, if they do.
    pub kept: Option<Kept>,
    /// The accounts that can log in, if they can be read from the disk.
    pub logins: Option<Logins>,
}

/// How a turn at the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attended {
    /// The guest powered off.
    PoweredOff,
    /// The user typed ctrl-]. The machine runs on.
    Escaped,
    /// The reader of the console's output is gone. The machine runs on.
    Unheard,
}

/// A running local machine. When it is dropped, its power is cut, and a throw-away disk is removed.
#[derive(Debug)]
pub struct LocalVm {
    facts: Facts,
    // Dropped in this order: QEMU goes before the directory its files are in.
    machine: Machine,
    console: Option<Console>,
    _disk: LocalDisk,
    _private: TempDir,
}

/// Start a machine from the image or artifact at `path`. Files under the image may lie beside it, or in `store`.
///
/// # Errors
/// The image is missing or no disk, the host lacks QEMU, memory, space or the port, or QEMU refuses.
pub async fn start(path: &Path, store: Option<&Path>, options: &Options) -> Result<LocalVm, RunError> {
    let source = Source::find(path, store)?;
    let given = options.given.or(&source.usual);
    TooLittleMemory::refuse(given.memory(), "--memory 1G")?;
    if let Some(port) = options.ssh {
        free(port, PortOf::User)?;
    }
    let probe = probe().await?;
    let private = tempfile::Builder::new().prefix("goldsmith-run-").tempdir();
    let private = private.map_err(disk::unwritable(&std::env::temp_dir(), false))?;
    let disk = if options.keep { disk::kept(&source).await? } else { disk::throw_away(&source, private.path()).await? };
    // This comes before QEMU writes to the disk, and includes the changes of a kept one. It is opened as our own, because a throw-away
    // overlay is not beside its image.
    let logins = Disk::open_own(&disk.drive.path, Format::Qcow2).ok().and_then(|disk| Logins::of(&disk));
    let spec = spec(&source, (&given, options.ssh), probe.accelerator, &disk);
    let spec = if options.autologin { with_open_consoles(spec, &disk.drive.path, private.path()).await? } else { spec };
    let launched = Machine::launch(&spec, &private.path().join("machine")).await;
    let mut machine = launched.map_err(|error| port_taken(error, options.ssh))?;
    let console = machine.take_console().map(Console::new);
    let facts = Facts {
        name: source.name,
        probe,
        cpus: spec.cpus,
        memory: spec.memory,
        firmware: source.firmware,
        kept: disk.kept.clone(),
        logins,
    };
    Ok(LocalVm { facts, machine, console, _disk: disk, _private: private })
}

impl LocalVm {
    /// Facts about it.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Connect the user to the console, until something happens. Can be called again after an escape.
    ///
    /// # Errors
    /// The guest's kernel panicked, a disk of the host failed, or QEMU died.
    pub async fn attend(&mut self, user: &mut Streams) -> Result<Attended, RunError> {
        loop {
            let listening = self.console.is_some();
            let copy = async {
                match &mut self.console {
                    Some(console) => console.copy(user).await,
                    None => Left::Closed,
                }
            };
            tokio::select! {
                left = copy, if listening => match left {
                    Left::Escaped => return Ok(Attended::Escaped),
                    Left::Unheard => return Ok(Attended::Unheard),
                    // QEMU is about to end, and an event will tell that.
                    Left::Closed => self.console = None,
                },
                event = self.machine.next() => {
                    let cause = match event {
                        MachineEvent::Shutdown(ShutdownReason::PowerOff) => return Ok(Attended::PoweredOff),
                        MachineEvent::Shutdown(reason) => Some(Cause::Ended(reason)),
                        event => Cause::of(event),
                    };
                    if let Some(cause) = cause {
                        return Err(self.machine.fail(cause).await.into());
                    }
                }
            }
        }
    }

    /// Press the power button; the guest may shut down then, or not.
    ///
    /// # Errors
    /// QEMU is gone.
    pub async fn power_button(&mut self) -> Result<(), RunError> {
        Ok(self.machine.powerdown().await?)
    }

    /// End the machine in order, and show what its console still says. A guest that runs loses its power; what it had flushed to a
    /// kept disk is there.
    pub async fn end(self, user: &mut Streams) {
        let Self { machine, console, .. } = self;
        let last = async {
            let Some(mut console) = console else { return };
            // An escape has no effect any more.
            while console.copy(user).await == Left::Escaped {}
        };
        // The machine is over either way, so QEMU's status is not used.
        let _ = tokio::join!(machine.quit(), timeout(LAST_BYTES, last));
    }
}

/// Virtual CPUs when their number is not given.
pub(super) fn usual_cpus(accelerator: Accelerator) -> u32 {
    if accelerator == Accelerator::Kvm { CPUS } else { 1 }
}

fn spec(source: &Source, (given, ssh): (&Equipment, Option<u16>), accelerator: Accelerator, disk: &LocalDisk) -> MachineSpec {
    MachineSpec {
        name: source.name.clone(),
        accelerator,
        cpus: given.cpus.unwrap_or_else(|| usual_cpus(accelerator)),
        memory: given.memory(),
        drives: vec![disk.drive.clone()],
        boot: Boot::Disk(disk.firmware.clone()),
        begins: Begins::Booting,
        ports: Vec::new(),
        network: NetworkSpec::User {
            outside: !given.isolated(),
            subnet: source.subnet,
            forwards: ssh.map(Forward::ssh).into_iter().collect(),
            mac: None,
        },
        cards: source.cards,
        segment: None,
        volumes: Vec::new(),
        reboots: true,
    }
}

/// The machine of `spec`, whose disk is `disk`, with consoles that are root's. Its kernel is started directly, with the runner in a copy of its
/// initramfs in the directory `dir`: nothing of that is on the disk.
async fn with_open_consoles(spec: MachineSpec, disk: &Path, dir: &Path) -> Result<MachineSpec, RunError> {
    let failed = |why: String| RunError::NoAutologin { name: spec.name.clone(), why };
    let files = BootFiles::extract(disk, Format::Qcow2, dir).await.map_err(|error| failed(error.to_string()))?;
    // Nobody speaks to the runner, whose only task is done at boot.
    let boot = direct_boot(files.parts(), &dir.join(INITRD), Mode::Resident, &nonce(), &[personal::open_consoles()]);
    let boot = boot.map_err(|error| failed(error.to_string()))?;
    Ok(MachineSpec { boot, ports: resident::ports(), ..spec })
}

/// QEMU would report it too, but later and in terms of its code.
pub(super) fn free(port: u16, of: PortOf) -> Result<(), RunError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(|source| RunError::Port { port, of, source })
}

/// Another program may have been quicker than QEMU (7.2 and 10.0: `Could not set up host forwarding rule 'tcp:127.0.0.1:22-:22'`).
fn port_taken(error: MachineError, ssh: Option<u16>) -> RunError {
    match (error, ssh) {
        (MachineError::CannotStart { reason, .. }, Some(port)) if reason.contains("host forwarding rule") => {
            RunError::Port { port, of: PortOf::User, source: io::ErrorKind::AddrInUse.into() }
        }
        (error, _) => error.into(),
    }
}
