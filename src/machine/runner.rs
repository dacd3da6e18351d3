//! Runs scripts as root in a guest, without ssh, password, agent or a byte on its disk.
//!
//! The guest boots its own kernel and a copy of its own initramfs with a payload appended ([`append`]). A hook of ours
//! (`guest/hook.sh`) starts `guest/serve.sh`, which does what we say over one virtio-serial port and answers with a nonce:
//!
//! ```text
//!   Offline   real root mounted, nothing started; scripts run in a chroot; end() unmounts and powers off
//!   Live      the boot goes on; a unit below /run serves in the booted system
//!
//!   boot ── hello ──┬─ run(task) … output … exit status ─┬─ end()   offline: bye, unmounted, powered off
//!                   └─ freeze … snapshot … thaw ─────────┘  drop    live: the throw-away machine is killed
//! ```
//!
//! In a local machine the runner is [`resident`]: it serves several commands at a time, whose bytes have ports of their own.

mod bench;
mod cpio;
mod initramfs;
mod marked;
pub mod output;
pub mod resident;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;

pub use bench::{Bench, boot_limit, direct_boot};
pub use initramfs::{append, append_files, gate_version};

use super::booting::Booting;
use super::visit::{self, Visitor};
use super::watch::{Limits, Watch};
use super::{Cause, Machine, MachineError, MachineEvent, MachineSpec, ShutdownReason};
use crate::base::event::Task;
use crate::base::failure::{Class, Failure};
use crate::base::process::Lines;
use crate::base::random::random;

/// The port's name in the guest.
pub const PORT: &str = "org.goldsmith.runner.0";
/// Begins every line that the runner itself writes (ASCII record separator).
const MARK: char = '\u{1e}';
/// How to look around in a guest, and how to leave it.
const SHELL: &str = "a root shell of the guest follows; `exit` or ctrl-D ends it and the machine, ctrl-] too if it hangs";
/// The task that is the shell.
const SHELL_TASK: &str = "shell";
/// The note when a guest does not answer and so cannot run a shell.
const NO_SHELL: &str = "the guest does not answer, so there is no shell of --keep-on-failure in it";
/// Lines of a task's output that an error keeps.
const TAIL_LINES: usize = 20;

/// Where scripts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In a chroot of the mounted root, before anything of the system has started.
    Offline,
    /// In the booted system.
    Live,
    /// In the booted system of a local machine, for its users ([`resident`]).
    Resident,
    /// As a resident, in a system whose boot stops before its services, so that its state can be saved (`gate/gate.sh`).
    Gate,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offline => "offline",
            Self::Live => "live",
            Self::Resident => "resident",
            Self::Gate => "gate",
        })
    }
}

/// A script and the files it finds in its working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerTask {
    /// Letters, digits, `-`.
    pub name: String,
    /// Its `#!` line is obeyed.
    pub script: Vec<u8>,
    /// Name and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Why the runner could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The image's initramfs cannot take a payload.
    #[error("the image's initramfs cannot be used: {source}")]
    Initramfs {
        /// Where it was extracted to.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The copy cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    WriteInitramfs {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The machine failed.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// A script failed.
    #[error("{task} failed with exit status {status}{}", last(tail))]
    Failed {
        /// The script's name.
        task: String,
        /// Its exit status.
        status: i32,
        /// The end of its output.
        tail: Vec<String>,
    },
    /// The guest's end of the runner broke off.
    #[error("the runner in the guest broke off: {what}")]
    Broken {
        /// Its wrong or missing answer.
        what: String,
    },
}

fn last(tail: &[String]) -> String {
    tail.last().map(|line| format!(": {}", crate::base::text::printable(line))).unwrap_or_default()
}

impl Failure for RunnerError {
    fn class(&self) -> Class {
        match self {
            Self::Machine(error) => error.class(),
            Self::WriteInitramfs { .. } => Class::Host,
            Self::Initramfs { .. } | Self::Failed { .. } | Self::Broken { .. } => Class::Machine,
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Machine(error) => error.remedy(),
            Self::WriteInitramfs { .. } => Some("make room on that disk".to_owned()),
            Self::Initramfs { .. } => {
                Some("the image needs an initramfs made by initramfs-tools or dracut, packed by gzip or zstd".to_owned())
            }
            Self::Failed { .. } => Some("correct the script; -v shows all of its output".to_owned()),
            Self::Broken { .. } => Some("run again with -v, and report this with console.log if it happens twice".to_owned()),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Machine(error) => error.evidence(),
            Self::Failed { tail, .. } => tail.clone(),
            _ => Vec::new(),
        }
    }

    fn evidence_dir(&self) -> Option<std::path::PathBuf> {
        match self {
            Self::Machine(error) => error.evidence_dir(),
            _ => None,
        }
    }
}

/// A line from the guest.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Hello,
    Exit { task: String, status: i32 },
    Frozen,
    Thawed,
    Bye,
    Unmounted,
    Ended { slot: usize, number: u64 },
    Free(usize),
    Started,
    Failed(String),
    Output(String),
}

fn understand(line: &str, nonce: &str) -> Said {
    let ours = line.strip_prefix(MARK).and_then(|rest| rest.strip_prefix("goldsmith ")).and_then(|rest| rest.strip_prefix(nonce));
    let Some(words) = ours.and_then(|rest| rest.strip_prefix(' ')) else { return Said::Output(line.to_owned()) };
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["hello", _] => Said::Hello,
        ["exit", task, status] => match status.parse() {
            Ok(status) => Said::Exit { task: task.to_owned(), status },
            Err(_) => Said::Failed(words.to_owned()),
        },
        ["frozen"] => Said::Frozen,
        ["thawed"] => Said::Thawed,
        ["bye"] => Said::Bye,
        ["unmounted"] => Said::Unmounted,
        ["started"] => Said::Started,
        ["ended", slot, number] => match (slot.parse(), number.parse()) {
            (Ok(slot), Ok(number)) => Said::Ended { slot, number },
            _ => Said::Failed(words.to_owned()),
        },
        ["free", slot] => slot.parse().map_or_else(|_| Said::Failed(words.to_owned()), Said::Free),
        _ => Said::Failed(words.to_owned()),
    }
}

/// 128 random bits in hexadecimal, with which the guest proves that its runner is ours and belongs to this run.
pub fn nonce() -> String {
    format!("{:032x}", u128::from_be_bytes(random()))
}

/// A guest whose runner has sent its greeting.
#[derive(Debug)]
pub struct Guest {
    machine: Machine,
    lines: Lines<ReadHalf<UnixStream>>,
    writer: WriteHalf<UnixStream>,
    nonce: String,
    watch: Watch,
    /// Until the runner's hello.
    booting: Option<Booting>,
    /// Whether the runner waits for a task: nothing has broken off.
    answers: bool,
    visitor: Option<&'static dyn Visitor>,
}

impl Guest {
    /// Launch `spec`, whose initramfs carries a payload with `nonce` and which has the port [`PORT`], and wait for its hello.
    /// `boot` limits the time until then, `work` the time after it.
    ///
    /// # Errors
    /// The machine failed, or came to its limits before the runner answered.
    pub async fn boot(
        spec: &MachineSpec,
        dir: &Path,
        nonce: String,
        (boot, work): (Limits, Limits),
        visitor: Option<&'static dyn Visitor>,
        task: &Task,
    ) -> Result<Self, RunnerError> {
        let mut machine = Machine::launch(spec, dir).await?;
        let port = machine.take_port(PORT).ok_or_else(|| RunnerError::Broken { what: format!("the machine has no port {PORT}") })?;
        let (reader, writer) = tokio::io::split(port);
        let watch = Watch::new(boot, Instant::now());
        let booting = Some(Booting::begin("booting", task));
        let mut guest = Self { machine, lines: Lines::new(Some(reader)), writer, nonce, watch, booting, answers: true, visitor };
        guest.watch.enter(Instant::now(), "boot");
        let error = match guest.next(task).await {
            Ok(Said::Hello) => {
                guest.watch = Watch::new(work, Instant::now());
                guest.booting = None;
                return Ok(guest);
            }
            Ok(other) => guest.unexpected(other),
            Err(error) => error,
        };
        if guest.visitor.is_some() {
            task.events().note(NO_SHELL);
        }
        Err(error)
    }

    /// Run a task of the payload, pass its output to `on_line`, and return its exit status.
    ///
    /// # Errors
    /// The machine failed, or came to its limits before the task ended. A task that fails is no error.
    pub async fn run(&mut self, name: &str, task: &Task, mut on_line: impl FnMut(&str)) -> Result<i32, RunnerError> {
        self.watch.enter(Instant::now(), name);
        self.say(&format!("run {name}")).await;
        loop {
            match self.next(task).await? {
                Said::Output(line) => on_line(&line),
                Said::Exit { task, status } if task == name => return Ok(status),
                other => return Err(self.unexpected(other)),
            }
        }
    }

    /// As [`Guest::run`], with output passed on as lines of `task`, and a failing script an error.
    ///
    /// # Errors
    /// Also when the script ends with another status than 0.
    pub async fn run_to_success(&mut self, name: &str, task: &Task) -> Result<(), RunnerError> {
        let mut tail = Vec::new();
        let status = self
            .run(name, task, |line| {
                task.line("guest", line);
                if tail.len() == TAIL_LINES {
                    tail.remove(0);
                }
                tail.push(line.to_owned());
            })
            .await?;
        if status == 0 {
            return Ok(());
        }
        Err(RunnerError::Failed { task: name.to_owned(), status, tail })
    }

    /// Bring the root filesystem to rest and hold it there.
    ///
    /// # Errors
    /// The machine failed, or the filesystem cannot be frozen.
    pub async fn freeze(&mut self, task: &Task) -> Result<(), RunnerError> {
        self.watch.enter(Instant::now(), "freeze");
        self.say("freeze").await;
        self.expect(&Said::Frozen, task).await
    }

    /// Let the frozen filesystem go on.
    ///
    /// # Errors
    /// The machine failed, or the filesystem cannot be thawed.
    pub async fn thaw(&mut self, task: &Task) -> Result<(), RunnerError> {
        self.watch.enter(Instant::now(), "thaw");
        self.say("thaw").await;
        self.expect(&Said::Thawed, task).await
    }

    /// The machine, for its disks.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// End an offline guest: it unmounts its root, reports that, and powers off.
    ///
    /// # Errors
    /// It did not; the disk is then not to be used.
    pub async fn end(mut self, task: &Task) -> Result<(), RunnerError> {
        task.step("unmount");
        self.watch.enter(Instant::now(), "unmount");
        self.say("end").await;
        self.expect(&Said::Bye, task).await?;
        self.expect(&Said::Unmounted, task).await?;
        loop {
            match self.machine.watched(&mut self.watch, task).await? {
                MachineEvent::Shutdown(ShutdownReason::PowerOff) => break,
                MachineEvent::Shutdown(reason) => return Err(self.machine.fail(Cause::Ended(reason)).await.into()),
                _ => {}
            }
        }
        self.machine.quit().await;
        Ok(())
    }

    /// End QEMU under a live guest: its disk is a throw-away, or frozen.
    pub async fn discard(self) {
        self.machine.quit().await;
    }

    async fn say(&mut self, line: &str) {
        // A failed write means the guest is gone; `next` reports why.
        let _ = self.writer.write_all(format!("{line}\n").as_bytes()).await;
    }

    async fn expect(&mut self, wanted: &Said, task: &Task) -> Result<(), RunnerError> {
        loop {
            match self.next(task).await? {
                said if said == *wanted => return Ok(()),
                // A process that a task left running in the background may still write.
                Said::Output(line) => task.line("guest", line),
                other => return Err(self.unexpected(other)),
            }
        }
    }

    async fn next(&mut self, task: &Task) -> Result<Said, RunnerError> {
        let failed = loop {
            if let Err(failed) = self.machine.look(&mut self.watch, task).await {
                break failed;
            }
            tokio::select! {
                biased;
                // When the port has ended, this branch is disabled; the machine's end gives the reason.
                Some(line) = self.lines.next() => {
                    self.machine.count(&line);
                    self.watch.heard(Instant::now());
                    return Ok(understand(&line, &self.nonce));
                }
                event = self.machine.watched(&mut self.watch, task) => match event {
                    Ok(MachineEvent::Shutdown(reason)) => break self.machine.fail(Cause::Ended(reason)).await,
                    Ok(MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line)) => {
                        if let Some(booting) = &mut self.booting {
                            booting.hear(&line, task);
                        }
                    }
                    Ok(_) => {}
                    Err(failed) => break failed,
                }
            }
        };
        self.answers = false;
        Err(failed.into())
    }
}

impl Guest {
    /// The error for an answer that was not asked for.
    fn unexpected(&mut self, said: Said) -> RunnerError {
        self.answers = false;
        RunnerError::Broken {
            what: match said {
                Said::Failed(what) => what,
                other => format!("it said {other:?}"),
            },
        }
    }

    /// With `--keep-on-failure`, let the user into a root shell of the guest, whose work ended with `failure`. The failure stays the
    /// result, whatever the user does there. When the runner itself has stopped, no shell can be started, and the user gets a message.
    pub async fn offer_shell(&mut self, failure: &dyn Failure, task: &Task) {
        let Some(visitor) = self.visitor else { return };
        if !self.answers {
            task.events().note(NO_SHELL);
            return;
        }
        let Self { machine, lines, writer, nonce, .. } = self;
        let over = async || {
            // A failed write means that the guest is gone, and that ends the visit.
            let _ = writer.write_all(format!("run {SHELL_TASK}\n").as_bytes()).await;
            while let Some(line) = lines.next().await {
                if matches!(understand(&line, nonce), Said::Exit { .. } | Said::Failed(_)) {
                    return;
                }
            }
        };
        visit::visit(machine, visitor, (failure, SHELL), task, over).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::event::Events;
    use crate::base::size::ByteSize;
    use crate::machine::spec::{Accelerator, Boot, Drive, FirmwareFiles, Format};

    #[test]
    fn only_the_nonce_makes_a_line_the_runners() {
        for (line, expected) in [
            ("\u{1e}goldsmith n0 hello live", Said::Hello),
            ("\u{1e}goldsmith n0 exit seal 0", Said::Exit { task: "seal".into(), status: 0 }),
            ("\u{1e}goldsmith n0 exit seal x", Said::Failed("exit seal x".into())),
            ("\u{1e}goldsmith n0 unmounted", Said::Unmounted),
            ("\u{1e}goldsmith n0 failed mount proc", Said::Failed("failed mount proc".into())),
            ("\u{1e}goldsmith n1 exit seal 0", Said::Output("\u{1e}goldsmith n1 exit seal 0".into())),
            ("goldsmith n0 exit seal 0", Said::Output("goldsmith n0 exit seal 0".into())),
            ("\u{1e}goldsmith n0exit seal 0", Said::Output("\u{1e}goldsmith n0exit seal 0".into())),
        ] {
            assert_eq!(understand(line, "n0"), expected, "{line}");
        }
    }

    /// A real machine that idles, and a port on which lines come without end: each line cancels the other waits, but gives the guest no
    /// more time.
    #[test]
    fn a_guest_that_talks_without_end_ends_at_its_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.raw");
        let mut sectors = vec![0; 1 << 20];
        // cli; hlt; jmp to the hlt; and the mark of a boot sector.
        sectors[..4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
        sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
        std::fs::write(&disk, sectors).unwrap();
        let bench = Bench {
            accelerator: Accelerator::Tcg,
            cpus: 1,
            memory: ByteSize::mib(64),
            deadline: Duration::from_secs(60),
            outside: false,
            subnet: None,
            cards: 0,
            visitor: None,
            scratch: dir.path(),
            evidence: dir.path(),
        };
        let spec = bench.spec("talks", vec![Drive::scratch(&disk, Format::Raw, "disk")], Boot::Disk(FirmwareFiles::Bios));
        let limits = Limits::new(Duration::from_secs(1), Accelerator::Kvm);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let talk = async |pause: Duration, limits: Limits| {
            let machine = Machine::launch(&spec, &dir.path().join("vm")).await.unwrap();
            let (ours, theirs) = UnixStream::pair().unwrap();
            let (reader, writer) = tokio::io::split(ours);
            let (mut heard, mut talks) = tokio::io::split(theirs);
            tokio::spawn(async move {
                while talks.write_all(b"still here\n").await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            });
            tokio::spawn(async move { tokio::io::copy(&mut heard, &mut tokio::io::sink()).await });
            let watch = Watch::new(limits, Instant::now());
            let lines = Lines::new(Some(reader));
            let mut guest = Guest { machine, lines, writer, nonce: "n0".to_owned(), watch, booting: None, answers: true, visitor: None };
            let task = Events::none().task("test");
            let run = guest.run("endless", &task, |_| {});
            tokio::time::timeout(Duration::from_secs(60), run).await.expect("it outlived its deadline").unwrap_err()
        };
        for pause in [Duration::ZERO, Duration::from_millis(10)] {
            let error = runtime.block_on(talk(pause, limits)).to_string();
            assert!(error.contains("the guest was not done with `endless` in ") && error.contains("with no progress"), "{error}");
        }
        // What it prints is kept on the host. Twelve lines of eleven bytes are more than 128 bytes.
        let limits = Limits { output: 128, ..Limits::new(Duration::from_secs(60), Accelerator::Kvm) };
        let error = runtime.block_on(talk(Duration::from_millis(10), limits)).to_string();
        assert!(error.contains("the guest has printed 132 B, and no guest may print more"), "{error}");
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce(), nonce());
    }
}
