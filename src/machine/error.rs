//! How a machine fails, and what the failure leaves behind.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use crate::base::failure::{Class, Failure};
use crate::base::process::ProcessError;
use crate::base::size::rounded;

use super::event::{MachineEvent, ShutdownReason};
use super::evidence::Evidence;
use super::firmware::FirmwareError;
use super::qmp::QmpError;
use super::spec::SpecError;
use super::watch::{Late, Signature};

/// A machine could not be started, or failed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The spec is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// QEMU is missing or could not be run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// There is no firmware of the wanted kind.
    #[error(transparent)]
    Firmware(#[from] FirmwareError),
    /// QEMU is too old.
    #[error("QEMU {found} is too old: {oldest} is the oldest that works")]
    TooOld {
        /// The version found.
        found: String,
        /// The oldest that works.
        oldest: String,
    },
    /// A file or socket of the machine could not be made.
    #[error("machine `{machine}`: cannot make {what}: {source}")]
    File {
        /// The machine.
        machine: String,
        /// The thing that could not be made.
        what: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// A directory could not be served to the guest.
    #[error("machine `{machine}`: virtiofsd does not serve {dir}: {said}")]
    Volume {
        /// The machine.
        machine: String,
        /// The directory.
        dir: String,
        /// Its last words.
        said: String,
    },
    /// QEMU ended or hung before the guest ran.
    #[error("machine `{machine}`: QEMU did not start: {reason}")]
    CannotStart {
        /// The machine.
        machine: String,
        /// QEMU's last words, or what it did not do.
        reason: String,
        /// How to repeat it by hand.
        command_line: String,
        /// The end of QEMU's standard error, oldest line first.
        stderr: Vec<String>,
    },
    /// QEMU refused a command, or did not answer.
    #[error("machine `{machine}`: {source}")]
    Qmp {
        /// The machine.
        machine: String,
        /// What was wrong.
        source: QmpError,
    },
    /// The guest failed, or QEMU under it.
    #[error("machine `{machine}`: {}", sentence(cause))]
    Failed {
        /// The machine.
        machine: String,
        /// The cause of the failure.
        cause: Cause,
        /// The files that it left.
        evidence: Box<Evidence>,
    },
}

/// How a running machine failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// QEMU is gone, with this status if it is known.
    Died(Option<ExitStatus>),
    /// The guest's kernel panicked.
    Panicked,
    /// It was not done when its time was over.
    Deadline {
        /// For how long, and why it got no more.
        late: Late,
        /// What it was at; empty when that is not known.
        phase: String,
    },
    /// It had been silent for so long.
    Stalled(Duration),
    /// It printed more than it may; so many bytes.
    Talkative(u64),
    /// It printed a line that means failure.
    Signature {
        /// What the line means.
        signature: Signature,
        /// The line.
        line: String,
    },
    /// It ended when it should not have.
    Ended(ShutdownReason),
    /// A disk of the host failed under it.
    Disk {
        /// The drive's node.
        node: String,
        /// `read` or `write`.
        operation: String,
        /// The host's words.
        reason: String,
        /// Whether the host's disk is full.
        no_space: bool,
    },
    /// QEMU paused it without giving a reason.
    Stopped,
}

impl Cause {
    /// The failure that `event` means: the guest cannot go on after it. The end of a guest is not counted as one: only the caller knows
    /// whether it was wanted.
    pub fn of(event: MachineEvent) -> Option<Self> {
        match event {
            MachineEvent::GuestPanicked => Some(Self::Panicked),
            MachineEvent::IoError { node, operation, reason, no_space } => Some(Self::Disk { node, operation, reason, no_space }),
            MachineEvent::Stopped => Some(Self::Stopped),
            MachineEvent::Exited(status) => Some(Self::Died(status)),
            _ => None,
        }
    }
}

fn sentence(cause: &Cause) -> String {
    match cause {
        Cause::Died(Some(status)) => format!("QEMU died under the running guest ({status})"),
        Cause::Died(None) => "QEMU died under the running guest".into(),
        Cause::Panicked => "the guest's kernel panicked".into(),
        Cause::Deadline { late, phase } if phase.is_empty() => format!("the guest was not done {late}"),
        Cause::Deadline { late, phase } => format!("the guest was not done with `{phase}` {late}"),
        Cause::Talkative(bytes) => format!("the guest has printed {}, and no guest may print more", rounded(*bytes)),
        Cause::Stalled(silence) => format!("the guest showed no sign of progress for {} s", silence.as_secs()),
        Cause::Signature { signature, line } => format!("the guest failed: {} (console: {})", signature.cause, line.trim()),
        Cause::Ended(reason) => format!("the guest {reason} before its work was done"),
        Cause::Disk { no_space: true, operation, node, .. } => format!("the host's disk is full: the {operation} on drive `{node}` failed"),
        Cause::Disk { operation, node, reason, .. } => format!("a {operation} on drive `{node}` failed on the host: {reason}"),
        Cause::Stopped => "QEMU paused the guest without a reason".into(),
    }
}

impl MachineError {
    /// Whether the guest failed, rather than QEMU or the host under it.
    pub fn is_the_guests(&self) -> bool {
        let host =
            |cause: &Cause| matches!(cause, Cause::Died(_) | Cause::Disk { .. } | Cause::Stopped | Cause::Ended(ShutdownReason::Host(_)));
        matches!(self, Self::Failed { cause, .. } if !host(cause))
    }
}

impl Failure for MachineError {
    fn class(&self) -> Class {
        match self {
            Self::Spec(_) => Class::Bug,
            Self::Process(error) => error.class(),
            Self::Firmware(error) => error.class(),
            Self::TooOld { .. } | Self::File { .. } | Self::Volume { .. } | Self::CannotStart { .. } => Class::Host,
            Self::Failed { cause: Cause::Disk { .. }, .. } => Class::Host,
            Self::Qmp { .. } | Self::Failed { .. } => Class::Machine,
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Spec(_) => Some("report this: goldsmith asked for a machine that cannot be".into()),
            Self::Process(error) => error.remedy(),
            Self::Firmware(error) => error.remedy(),
            Self::TooOld { oldest, .. } => Some(format!("install qemu-system-x86 {oldest} or newer")),
            Self::File { .. } => Some("see whether the directory is writable and the disk has space".into()),
            Self::Volume { .. } => Some("see whether this user may read the directory and have namespaces: goldsmith doctor".into()),
            Self::CannotStart { command_line, .. } => Some(format!("to see it alone, run: {command_line}")),
            Self::Qmp { .. } => Some("see whether the host is out of memory or CPU, then run the command again".into()),
            Self::Failed { cause, evidence, .. } => Some(remedy(cause, evidence)),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Process(error) => error.evidence(),
            Self::Firmware(error) => error.evidence(),
            Self::CannotStart { stderr, .. } => stderr.clone(),
            Self::Failed { evidence, .. } => evidence.lines(),
            _ => Vec::new(),
        }
    }

    fn evidence_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Failed { evidence, .. } => Some(evidence.dir.clone()),
            _ => None,
        }
    }
}

fn remedy(cause: &Cause, evidence: &Evidence) -> String {
    use std::os::unix::process::ExitStatusExt;
    match cause {
        Cause::Died(Some(status)) if status.signal() == Some(9) => {
            "see `dmesg` for the kernel's out-of-memory killer, then give the host memory or the machine less ([build] memory)".into()
        }
        Cause::Died(_) => "read QEMU's last words in stderr.txt of the evidence; a crash of QEMU is a bug of QEMU or of the host".into(),
        Cause::Signature { signature, .. } => signature.remedy.to_owned(),
        Cause::Disk { no_space: true, .. } => "free space on the host's disk, then run the command again".into(),
        Cause::Disk { .. } => "check the host's disk (`dmesg`)".into(),
        Cause::Deadline { late: Late::Stuck { .. }, .. } => {
            "see in the evidence what it was doing; if it computes without writing for so long, give it a longer deadline ([build] deadline)".into()
        }
        Cause::Deadline { late: Late::Ceiling(_), .. } => {
            "give the host less to do at the same time, or the build a longer deadline ([build] deadline)".into()
        }
        Cause::Talkative(_) => "see in the evidence what it repeats, and have it print less or into a file of its own".into(),
        Cause::Panicked | Cause::Stalled(_) | Cause::Ended(_) | Cause::Stopped => {
            let screen = if evidence.screenshot.is_some() { " and screen.png" } else { "" };
            format!("read console.log{screen} in the evidence")
        }
    }
}
