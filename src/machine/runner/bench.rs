//! Where and with what guests are run. Stages and verifications share it.

use std::path::Path;
use std::time::Duration;

use super::{Guest, Mode, PORT, RunnerError, RunnerTask, SHELL_TASK, append, nonce};
use crate::base::event::Task;
use crate::base::size::ByteSize;
use crate::machine::seat::Size;
use crate::machine::spec::{Accelerator, Begins, Boot, Drive, FirmwareFiles, MachineSpec, NetworkSpec, Subnet};
use crate::machine::visit::Visitor;
use crate::machine::watch::Limits;

/// Where and with what guests are run.
#[derive(Debug, Clone, Copy)]
pub struct Bench<'a> {
    /// The accelerator that executes the guests.
    pub accelerator: Accelerator,
    /// Virtual CPUs under KVM.
    pub cpus: u32,
    /// Memory of a guest.
    pub memory: ByteSize,
    /// Limit of one machine's run under KVM.
    pub deadline: Duration,
    /// Whether live guests reach the network.
    pub outside: bool,
    /// The address the image gives itself, when it does not ask DHCP; the network outside is laid around it.
    pub subnet: Option<Subnet>,
    /// Network cards of live guests beside the first one, none of which leads anywhere.
    pub cards: usize,
    /// The user who gets the console of a failed machine before it ends.
    pub visitor: Option<&'static dyn Visitor>,
    /// This run's scratch directory.
    pub scratch: &'a Path,
    /// Below it each machine has a directory for its console and, should it fail, its evidence.
    pub evidence: &'a Path,
}

/// From power-on to the runner's hello or the log-in prompt, under KVM, for a guest that makes no progress. A second is usual. But EL7's
/// initramfs waits 60 s for a gateway that does not answer, and then goes on (dracut 033-502, modules.d/40network/net-lib.sh:168), and 120 s
/// for a disk before it tries without (modules.d/98systemd/dracut-initqueue.sh:59): a deadline of 60 s ended boots that would have come up.
///
/// It is stretched for TCG as every deadline is. The waits do not take longer under TCG, but the work between them does. In practice only a
/// guest that spins reaches this deadline: a guest that idles is ended earlier, for its silence.
const BOOT: Duration = Duration::from_secs(180);

impl Bench<'_> {
    /// The limits of a boot.
    pub fn boot_limits(&self) -> Limits {
        Limits::new(BOOT, self.accelerator).within(self.whole())
    }

    /// The time limit of one machine's run. The recipe sets it, so progress does not extend it.
    fn whole(&self) -> Duration {
        self.accelerator.stretch(self.deadline)
    }

    /// Virtual CPUs of a machine. One when emulated: on two cores a boot with two took 76 s where one takes 61, and a kernel that
    /// starts a second CPU under TCG was seen to spin for ever.
    fn cpus(&self) -> u32 {
        match self.accelerator {
            Accelerator::Kvm => self.cpus,
            Accelerator::Tcg => 1,
        }
    }

    /// A machine of this bench with these disks.
    pub fn spec(&self, name: &str, disks: Vec<Drive>, boot: Boot) -> MachineSpec {
        MachineSpec {
            name: name.to_owned(),
            accelerator: self.accelerator,
            cpus: self.cpus(),
            memory: self.memory,
            drives: disks,
            boot,
            begins: Begins::Booting,
            ports: Vec::new(),
            network: NetworkSpec::None,
            cards: 0,
            segment: None,
            volumes: Vec::new(),
            reboots: false,
        }
    }

    /// Boot the first of `disks` directly by its own `kernel`, `initrd` and `arguments`, with `tasks` at hand, and wait for the runner's hello.
    ///
    /// # Errors
    /// The initramfs cannot take the runner, or the machine failed.
    pub async fn boot(
        &self,
        name: &str,
        disks: Vec<Drive>,
        files: (&Path, &Path, &str),
        mode: Mode,
        tasks: &[RunnerTask],
        task: &Task,
    ) -> Result<Guest, RunnerError> {
        let nonce = nonce();
        let shell = self.visitor.map(|visitor| shell(visitor.size()));
        let tasks: Vec<RunnerTask> = tasks.iter().cloned().chain(shell).collect();
        let boot = direct_boot(files, &self.scratch.join(format!("{name}.initrd")), mode, &nonce, &tasks)?;
        // A booted system has a card, even if it leads nowhere: EL7's network.service fails without the one its files name.
        let network = match mode {
            Mode::Live | Mode::Resident | Mode::Gate => {
                NetworkSpec::User { outside: self.outside, subnet: self.subnet, forwards: Vec::new(), mac: None }
            }
            Mode::Offline => NetworkSpec::None,
        };
        let cards = if mode == Mode::Offline { 0 } else { self.cards };
        let spec = MachineSpec { ports: vec![PORT.to_owned()], network, cards, ..self.spec(name, disks, boot) };
        let limits = Limits::new(self.deadline, self.accelerator).within(self.whole());
        Guest::boot(&spec, &self.evidence.join(name), nonce, (self.boot_limits(), limits), self.visitor, task).await
    }
}

/// The time that the boot of a local machine may take.
pub fn boot_limit(accelerator: Accelerator) -> Duration {
    accelerator.stretch(BOOT)
}

/// A boot of an image's own `kernel`, `initrd` and `arguments` with the runner, whose copy of the initramfs is written to `with_runner`.
/// SeaBIOS starts it whatever the image is made for: the boot loader has no part in it, and SeaBIOS is quicker than OVMF.
///
/// # Errors
/// The initramfs cannot take the runner, or the copy cannot be written.
pub fn direct_boot(
    (kernel, initrd, arguments): (&Path, &Path, &str),
    with_runner: &Path,
    mode: Mode,
    nonce: &str,
    tasks: &[RunnerTask],
) -> Result<Boot, RunnerError> {
    append(initrd, with_runner, mode, nonce, tasks)?;
    let command_line = command_line(arguments, mode);
    Ok(Boot::Kernel { kernel: kernel.to_owned(), initrd: with_runner.to_owned(), command_line, firmware: FirmwareFiles::Bios })
}

/// A shell on the serial console, whose terminal has so many lines and columns. It is a task, so that a guest without a visitor is not
/// changed.
fn shell(Size { rows, columns }: Size) -> RunnerTask {
    let script = include_str!("shell.sh").replace("ROWS", &rows.to_string()).replace("COLUMNS", &columns.to_string());
    RunnerTask { name: SHELL_TASK.to_owned(), script: script.into_bytes(), files: Vec::new() }
}

/// The image's own arguments. Offline the root must be writable; the other arguments do not matter there.
///
/// SELinux is switched off then: nothing has loaded a policy, and until one is, EL7's kernel refuses to set a file's label (Linux 3.10,
/// security/selinux/hooks.c, `selinux_inode_setxattr`; lifted by commit 3e3e24b42043). A kernel without SELinux ignores the argument.
fn command_line(arguments: &str, mode: Mode) -> String {
    let own = arguments.split_ascii_whitespace().filter(|word| mode != Mode::Offline || !matches!(*word, "ro" | "quiet"));
    let ours: &[&str] = match mode {
        Mode::Offline => &["rw", "console=ttyS0,115200", "panic=-1", "selinux=0"],
        Mode::Live | Mode::Resident => &["panic=-1"],
        Mode::Gate => &["panic=-1", "systemd.unit=goldsmith-gate.target"],
    };
    own.chain(ours.iter().copied()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_may_take_three_minutes_and_no_more_than_the_whole() {
        for (accelerator, minutes, deadline, ceiling) in [
            (Accelerator::Kvm, 30, 180, 540),
            (Accelerator::Tcg, 30, 1800, 5400),
            (Accelerator::Kvm, 5, 180, 300),
            (Accelerator::Kvm, 1, 60, 60),
        ] {
            let bench = Bench {
                accelerator,
                cpus: 1,
                memory: ByteSize::gib(1),
                deadline: Duration::from_secs(minutes * 60),
                outside: false,
                subnet: None,
                cards: 0,
                visitor: None,
                scratch: Path::new("/s"),
                evidence: Path::new("/e"),
            };
            let limits = bench.boot_limits();
            assert_eq!((limits.deadline.as_secs(), limits.ceiling.as_secs()), (deadline, ceiling), "{accelerator:?} {minutes}");
        }
    }

    #[test]
    fn a_live_guest_boots_as_the_image_says() {
        let own = "root=UUID=1 ro console=tty0 console=ttyS0,115200 quiet";
        assert_eq!(command_line(own, Mode::Live), format!("{own} panic=-1"));
        assert_eq!(
            command_line(own, Mode::Offline),
            "root=UUID=1 console=tty0 console=ttyS0,115200 rw console=ttyS0,115200 panic=-1 selinux=0"
        );
    }
}
