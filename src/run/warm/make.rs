//! Boots a system as far as its services, and saves its state.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::super::error::RunError;
use super::super::personal;
use super::super::source::Source;
use super::needs::Needs;
use super::saved::{About, DISK, INITRD, MEMORY, SCHEMA, STATE};
use crate::base::event::Task;
use crate::base::failure::{Class, Failure};
use crate::base::host::TooLittleMemory;
use crate::image::{self, BootFiles, Format};
use crate::machine::booting::Booting;
use crate::machine::probe::kvm_opens;
use crate::machine::runner::resident::{self, Happened, Resident};
use crate::machine::runner::{Mode, RunnerError, boot_limit, direct_boot, nonce};
use crate::machine::spec::{Accelerator, Begins, Boot, Drive, MachineSpec, NetworkSpec};
use crate::machine::{Cause, MachineEvent};

/// The name of the disk in QEMU.
const NODE: &str = "disk";
/// For a session to wait in the guest, when it has opened its ports; and for the guest to come to rest.
const REST: Duration = Duration::from_millis(300);

/// Make the state of a machine of `source` with `needs` in `dir`. Gives the reason when such a system cannot have one.
///
/// # Errors
/// The system did not come so far, and `evidence` has what is known about that; or QEMU or `dir` cannot be used.
pub(super) async fn state(source: &Source, needs: Needs, (dir, evidence): (&Path, &Path), task: &Task) -> Result<Option<String>, RunError> {
    let (accelerator, (cpus, memory)) = (needs.accelerator(), needs.size());
    TooLittleMemory::refuse(memory, "--memory 1G")?;
    // The memory is a file with holes. A disk that is full would end QEMU by a signal, in the middle of the boot.
    image::require_space(dir, memory.bytes())?;
    let disk = dir.join(DISK);
    image::create_overlay(&source.image, source.format, &disk).await?;
    let nonce = nonce();
    let files = match BootFiles::extract(&disk, Format::Qcow2, dir).await {
        Ok(files) => files,
        // The host cannot keep them, which says nothing of the system.
        Err(error) if error.class() == Class::Host => return Err(error.into()),
        Err(error) => return Ok(Some(error.to_string())),
    };
    let boot = match direct_boot(files.parts(), &dir.join(INITRD), Mode::Gate, &nonce, &[personal::blank()]) {
        Ok(boot) => boot,
        Err(error @ RunnerError::Initramfs { .. }) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let command_line = match &boot {
        Boot::Kernel { command_line, .. } => command_line.clone(),
        Boot::Disk(_) => String::new(),
    };
    let spec = MachineSpec {
        name: format!("{}-warm", source.name),
        accelerator,
        cpus,
        memory,
        drives: vec![Drive::scratch(&disk, Format::Qcow2, NODE)],
        boot,
        begins: Begins::ToBeSaved { memory: dir.join(MEMORY) },
        ports: resident::ports(),
        network: NetworkSpec::None,
        cards: 0,
        segment: None,
        volumes: Vec::new(),
        reboots: false,
    };
    let mut resident = Resident::launch(&spec, evidence, nonce.clone()).await?;
    let limit = boot_limit(accelerator);
    let came = match timeout(limit, until_gate(&mut resident, task)).await {
        Ok(came) => came?,
        Err(_) => return Err(resident.machine().fail(Cause::Stalled(limit)).await.into()),
    };
    if let Some(why) = came {
        return Ok(Some(why));
    }
    task.step("saving its state");
    tokio::time::sleep(accelerator.stretch(REST)).await;
    let machine_type = resident.machine().machine_type().await?;
    resident.machine().save_state(&dir.join(STATE)).await?;
    resident.quit().await;
    let (backing, despite_kvm) = (source.image.clone(), accelerator == Accelerator::Tcg && kvm_opens());
    let about = About { schema: SCHEMA, needs, backing, machine_type, command_line, nonce, despite_kvm };
    let failed = |source| RunError::State { path: dir.to_owned(), source };
    // The state has a copy with the runner.
    fs::remove_file(files.parts().1).map_err(failed)?;
    about.write(dir).map_err(failed)?;
    fs::remove_dir_all(evidence).map_err(failed)?;
    Ok(None)
}

/// Wait until the system is at its gate, and a session waits in it. Gives the reason when it cannot have a saved state.
async fn until_gate(resident: &mut Resident, task: &Task) -> Result<Option<String>, RunError> {
    let mut booting = Booting::begin("booting", task);
    let mut ports = resident::first_session();
    loop {
        let event = match resident.next().await {
            Happened::Up => {
                resident.prepare().await;
                continue;
            }
            Happened::Failed(why) => return Ok(Some(why)),
            Happened::Started | Happened::Freed(_) => continue,
            Happened::Machine(event) => event,
        };
        match event {
            MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line) => booting.hear(&line, task),
            MachineEvent::Port { name, open: true } => {
                ports.retain(|port| *port != name);
                if ports.is_empty() {
                    return Ok(None);
                }
            }
            MachineEvent::Port { .. } | MachineEvent::Reset => {}
            MachineEvent::Shutdown(reason) => return Err(resident.machine().fail(Cause::Ended(reason)).await.into()),
            event => {
                if let Some(cause) = Cause::of(event) {
                    return Err(resident.machine().fail(cause).await.into());
                }
            }
        }
    }
}
