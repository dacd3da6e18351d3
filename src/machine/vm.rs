//! One running QEMU: its owner, its one loop, its end.
//!
//! ```text
//!   launch ── sockets bound and connected ── QEMU started paused ── QMP negotiated ── every line connected ── cont
//!     │                                                                                                        │
//!     └─ CannotStart                                       next() / watched() ── MachineEvent … ── Exited ◄────┤
//!                                                                 │                                            │
//!                                                                 └─ Failed, with evidence       quit() ───────┘
//! ```
//!
//! Whatever ends the guest only pauses QEMU, so that the last screen can be read. Dropping a [`Machine`] kills QEMU.

mod save;
mod snapshot;
mod start;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use qapi::qmp;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixDatagram, UnixStream};
use tokio::process::ChildStderr;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::time::timeout;

use crate::base::event::Task;
use crate::base::process::{Invocation, Lines, Running, Tool};

use start::{STDERR_LINES, cannot_start, get_ready};

use super::args::{self, BlockNode, Wiring};
use super::commands::{BlockdevAdd, DiskStats, QueryBlockstats, QueryStatus, RunStatus};
use super::console::{Console, Said};
use super::error::{Cause, MachineError};
use super::event::MachineEvent;
use super::evidence::{self, CONSOLE_LOG, Evidence};
use super::qmp::{Qmp, RawEvent};
use super::sockets::{Line, Sockets};
use super::spec::{Begins, MachineSpec};
use super::state;
use super::volumes::{self, Served};
use super::watch::{Counters, Verdict, Watch};

/// For QEMU's answer to a command. `blockdev-snapshot` drains the disk, which may take seconds on a busy host.
const ANSWER: Duration = Duration::from_secs(30);
/// For QEMU's exit after `quit`, which writes caches back.
const QUIT: Duration = Duration::from_secs(20);
/// The time between two reads of the counters.
const SAMPLE: Duration = Duration::from_secs(5);
/// After a failure line: what follows (a panic's call trace) belongs to the evidence.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Pieces of what is typed that wait for a guest which does not read its console.
const KEYS: usize = 64;

/// A place at a console.
#[derive(Debug)]
pub struct Onlooker {
    /// The line that is not yet finished.
    pub begun: Vec<u8>,
    /// The output of the console from now on. It ends with the machine.
    pub heard: broadcast::Receiver<Vec<u8>>,
    /// What is typed goes here; nothing when the console was taken.
    pub typed: Option<Sender<Vec<u8>>>,
}

/// A running QEMU. Its runtime must be the current thread's: QEMU is killed when the thread that started it ends.
#[derive(Debug)]
pub struct Machine {
    name: String,
    dir: PathBuf,
    command_line: String,
    running: Running,
    exited: Option<Option<ExitStatus>>,
    qmp: Qmp,
    events: UnboundedReceiver<RawEvent>,
    console: Console<OwnedReadHalf>,
    /// The half to write to, until an onlooker or the user takes it.
    keyboard: Option<OwnedWriteHalf>,
    typed: Option<Sender<Vec<u8>>>,
    stderr: Lines<ChildStderr>,
    stderr_tail: VecDeque<String>,
    port_names: Vec<String>,
    ports: BTreeMap<String, UnixStream>,
    segment: Option<UnixDatagram>,
    /// The properties of the network cards that are to be plugged in.
    cards: Vec<Vec<(&'static str, String)>>,
    sockets: Sockets,
    /// What serves the volumes, as long as the machine lives.
    _volumes: Vec<Running>,
    /// Whether the next pause belongs to an end that was already reported.
    pause_explained: bool,
    next_sample: Instant,
    /// Bytes that came on ports.
    printed: u64,
    /// The failure that was seen. It is kept, because the future that waited may have been dropped before it was reported.
    failed: Option<Cause>,
}

impl Machine {
    /// Start QEMU and let the guest run. `dir` is made if missing; it gets the console's log, and the evidence if the machine fails.
    ///
    /// # Errors
    /// The spec is not valid, QEMU is missing or refuses it, or a file cannot be made.
    pub async fn launch(spec: &MachineSpec, dir: &Path) -> Result<Self, MachineError> {
        let mut machine = Self::launch_paused(spec, dir).await?;
        machine.go_on().await?;
        Ok(machine)
    }

    /// As [`Machine::launch`], but the guest does not run before [`Machine::go_on`].
    ///
    /// # Errors
    /// As [`Machine::launch`]; and QEMU cannot go on from the state that is saved.
    pub async fn launch_paused(spec: &MachineSpec, dir: &Path) -> Result<Self, MachineError> {
        spec.check()?;
        let file = |what: &str| {
            let (machine, what) = (spec.name.clone(), what.to_owned());
            move |source: io::Error| MachineError::File { machine, what, source }
        };
        let dir = fs::create_dir_all(dir).and_then(|()| dir.canonicalize()).map_err(file(&format!("directory {}", dir.display())))?;
        let sockets = Sockets::new().map_err(file("a directory for sockets"))?;
        let line = |name: &str| sockets.line(name).map_err(file(&format!("socket {}", sockets.path(name).display())));
        let (qmp, console) = (line("qmp")?, line("console")?);
        let ports = (0..spec.ports.len()).map(|index| line(&port_line(index))).collect::<Result<Vec<_>, _>>()?;
        let segment = spec.segment.map(|_| segment()).transpose().map_err(file("a socket for frames"))?;
        let state = state::open(spec).map_err(file("the saved state"))?;
        let (volumes, connections) = volumes::serve(&spec.name, &spec.volumes, &sockets)?;
        let state_fd = state.as_ref().map(AsRawFd::as_raw_fd);
        let console_log = dir.join(CONSOLE_LOG);
        let wiring = Wiring::Inherited {
            qmp: qmp.fd(),
            console: console.fd(),
            console_log: &console_log,
            ports: ports.iter().map(Line::fd).collect(),
            segment: segment.as_ref().map(|(_, theirs)| theirs.as_raw_fd()),
            state: state_fd,
            volumes: connections.iter().map(AsRawFd::as_raw_fd).collect(),
        };
        // The slot and the address of each card are fixed before QEMU has it.
        let later = if spec.begins == Begins::Booting { Vec::new() } else { args::cards(spec, &wiring) };
        let cards = later.iter().map(|card| card.device(spec)).collect();
        let mut invocation = Invocation::new(Tool::QemuSystem).args(args::arguments(spec, &wiring));
        let command_line = Invocation::new(Tool::QemuSystem).args(args::arguments(spec, &Wiring::Terminal)).command_line();
        invocation = invocation.inherit(qmp.listener).inherit(console.listener);
        let mut streams = BTreeMap::new();
        for (name, port) in spec.ports.iter().zip(ports) {
            invocation = invocation.inherit(port.listener);
            streams.insert(name.clone(), port.ours);
        }
        let (segment, theirs) = segment.unzip();
        for inherited in theirs.into_iter().chain(state).chain(connections) {
            invocation = invocation.inherit(inherited);
        }
        let mut running = invocation.spawn()?;
        let stderr = Lines::new(running.child_mut().stderr.take());
        let (qmp, events) = match get_ready(qmp.ours, state_fd).await {
            Ok(ready) => ready,
            Err(error) => return Err(cannot_start(spec, (running, volumes), stderr, command_line, error).await),
        };
        let (listened, keyboard) = console.ours.into_split();
        Ok(Self {
            name: spec.name.clone(),
            dir,
            command_line,
            running,
            exited: None,
            qmp,
            events,
            console: Console::new(listened),
            keyboard: Some(keyboard),
            typed: None,
            stderr,
            stderr_tail: VecDeque::new(),
            port_names: spec.ports.clone(),
            ports: streams,
            segment,
            _volumes: volumes.into_iter().map(Served::keep).collect(),
            cards,
            sockets,
            pause_explained: false,
            next_sample: Instant::now(),
            printed: 0,
            failed: None,
        })
    }

    /// The process id of QEMU, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.running.id()
    }

    /// The command that starts the same machine on a terminal.
    pub fn command_line(&self) -> &str {
        &self.command_line
    }

    /// Where the console's log is and the evidence will be.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Our end of a virtio-serial port; nothing when the spec has no such port or it was taken before. It is connected: what is written
    /// waits for the guest, what the guest writes waits here, and it ends when QEMU does.
    pub fn take_port(&mut self, name: &str) -> Option<UnixStream> {
        self.ports.remove(name)
    }

    /// The socket of a virtio-serial port, for connections after that of [`Machine::take_port`] has ended; nothing when the spec has no such
    /// port. QEMU has one connection at a time; another waits.
    pub(super) fn port_socket(&self, name: &str) -> Option<PathBuf> {
        let index = self.port_names.iter().position(|port| port == name)?;
        Some(self.sockets.path(&port_line(index)))
    }

    /// Our end of the second card's cable: each datagram is a frame. Nothing when the spec has no such card or it was taken before.
    pub fn take_segment(&mut self) -> Option<UnixDatagram> {
        self.segment.take()
    }

    /// The serial console itself, for a user's terminal. From then on there are no console events; the log goes on. Keep it open until the
    /// guest has read what was written: QEMU drops the rest when we hang up.
    pub fn take_console(&mut self) -> Option<UnixStream> {
        let keyboard = self.keyboard.take()?;
        self.console.take()?.reunite(keyboard).ok()
    }

    /// A place at the console beside others, while the console's events go on.
    pub fn look_on(&mut self) -> Onlooker {
        if let Some(keyboard) = self.keyboard.take() {
            let (typed, keys) = channel(KEYS);
            tokio::spawn(pass_on(keys, keyboard));
            self.typed = Some(typed);
        }
        let (begun, heard) = self.console.listen();
        Onlooker { begun, heard, typed: self.typed.clone() }
    }

    /// The next event. Safe to cancel; a dead QEMU is noticed at once.
    pub async fn next(&mut self) -> MachineEvent {
        loop {
            let alive = self.exited.is_none();
            tokio::select! {
                biased;
                Some(raw) = self.events.recv() => {
                    if let Some(event) = MachineEvent::of(&raw, &self.port_names)
                        && self.is_news(&event)
                    {
                        return event;
                    }
                }
                Some(said) = self.console.next() => return match said {
                    Said::Line(line) => MachineEvent::ConsoleLine(line),
                    Said::Prompt(line) => MachineEvent::ConsolePrompt(line),
                },
                Some(line) = self.stderr.next() => self.keep_stderr(line),
                status = self.running.child_mut().wait(), if alive => self.exited = Some(status.ok()),
                // Every line has ended, and QEMU with them.
                else => return MachineEvent::Exited(self.exited.flatten()),
            }
        }
    }

    /// The next event that is no failure, under `watch`. Named silence is reported as a warning of `task`, console lines as its lines. Safe
    /// to cancel.
    ///
    /// # Errors
    /// The guest failed by the rules of `watch`, panicked, lost its disk, or QEMU died. Evidence is then in [`Machine::dir`].
    pub async fn watched(&mut self, watch: &mut Watch, task: &Task) -> Result<MachineEvent, MachineError> {
        loop {
            self.look(watch, task).await?;
            let now = Instant::now();
            let pause = watch.patience(now).min(self.next_sample.saturating_duration_since(now));
            let Ok(event) = timeout(pause, self.next()).await else { continue };
            match &event {
                MachineEvent::ConsoleLine(line) => {
                    task.line("console", line.as_str());
                    watch.console(Instant::now(), line);
                }
                MachineEvent::ConsolePrompt(line) => {
                    watch.prompt(Instant::now(), line);
                }
                MachineEvent::Shutdown(_) | MachineEvent::Reset | MachineEvent::Port { .. } => watch.heard(Instant::now()),
                MachineEvent::GuestPanicked | MachineEvent::IoError { .. } | MachineEvent::Stopped | MachineEvent::Exited(_) => {
                    self.failed = Cause::of(event);
                    continue;
                }
            }
            return Ok(event);
        }
    }

    /// Read the counters if it is time to, and ask `watch` whether the guest has failed, without waiting for anything to happen.
    ///
    /// [`Machine::watched`] does this by itself. A caller that waits for it and for a port at once must also call `look` before each wait:
    /// lines may come on a port without end, and each of them cancels `watched`.
    ///
    /// # Errors
    /// As [`Machine::watched`].
    pub async fn look(&mut self, watch: &mut Watch, task: &Task) -> Result<(), MachineError> {
        if self.failed.is_none() && Instant::now() >= self.next_sample {
            let counters = self.counters().await;
            let now = Instant::now();
            self.next_sample = now + SAMPLE;
            watch.counters(now, counters);
        }
        let printed = self.printed.saturating_add(self.console.bytes());
        if self.failed.is_none() && !watch.may_print(printed) {
            self.failed = Some(Cause::Talkative(printed));
        }
        if self.failed.is_none() {
            match watch.verdict(Instant::now()) {
                Verdict::Fine => {}
                Verdict::Named(silence) => self.name_silence(silence, task).await,
                Verdict::Stalled(silence) => self.failed = Some(Cause::Stalled(silence)),
                Verdict::Deadline(late) => self.failed = Some(Cause::Deadline { late, phase: watch.phase().to_owned() }),
                Verdict::Signature(signature) => {
                    self.failed = Some(Cause::Signature { signature: *signature, line: self.line_with(signature.text) });
                }
            }
        }
        let Some(cause) = self.failed.clone() else { return Ok(()) };
        if matches!(cause, Cause::Signature { .. }) {
            self.hear_last_words(task).await;
        }
        Err(self.fail(cause).await)
    }

    /// Count a line that came on a port.
    pub fn count(&mut self, line: &str) {
        self.printed = self.printed.saturating_add(line.len() as u64 + 1);
    }

    /// Collect the evidence of a failure the caller saw. Takes seconds at most, whatever state QEMU is in.
    pub async fn fail(&mut self, cause: Cause) -> MachineError {
        let evidence = self.collect_evidence().await;
        MachineError::Failed { machine: self.name.clone(), cause, evidence: Box::new(evidence) }
    }

    /// What helps to find the cause of a failure: files in [`Machine::dir`], and the part of them worth printing. Takes seconds at most.
    pub async fn collect_evidence(&mut self) -> Evidence {
        let (screenshot, status) = match self.exited {
            None => evidence::ask(&mut self.qmp, &self.dir).await,
            Some(_) => (None, None),
        };
        let stderr_tail: Vec<String> = self.stderr_tail.iter().cloned().collect();
        evidence::write(&self.dir, &self.command_line, &stderr_tail);
        Evidence {
            dir: self.dir.clone(),
            console_tail: self.console.tail(),
            screenshot,
            status,
            command_line: self.command_line.clone(),
            stderr_tail,
        }
    }

    /// Run a QMP command.
    ///
    /// # Errors
    /// QEMU refused it, or is gone.
    pub async fn execute<C: qapi::Command>(&mut self, command: &C) -> Result<C::Ok, MachineError> {
        self.execute_within(command, ANSWER).await
    }

    async fn execute_within<C: qapi::Command>(&mut self, command: &C, limit: Duration) -> Result<C::Ok, MachineError> {
        self.qmp.execute(command, limit).await.map_err(|source| MachineError::Qmp { machine: self.name.clone(), source })
    }

    /// What QEMU is at.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn status(&mut self) -> Result<RunStatus, MachineError> {
        self.execute(&QueryStatus {}).await
    }

    /// The counters of the disks, in the order of the spec.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn disk_stats(&mut self) -> Result<Vec<DiskStats>, MachineError> {
        self.execute(&QueryBlockstats {}).await
    }

    /// From now on the guest's writes to the disk whose newest node is `node` go to `overlay`: a qcow2 file the caller made with the
    /// same size and the disk's present file as its backing file. The disk is named `overlay_node` from then on. The layer below is
    /// consistent if the guest froze its filesystem.
    ///
    /// # Errors
    /// As [`Machine::execute`]; the disk is then as it was.
    pub async fn blockdev_snapshot(&mut self, node: &str, overlay: &Path, overlay_node: &str) -> Result<(), MachineError> {
        let overlay = std::path::absolute(overlay).map_err(|source| MachineError::File {
            machine: self.name.clone(),
            what: format!("overlay {}", overlay.display()),
            source,
        })?;
        self.execute(&BlockdevAdd(BlockNode::overlay(&overlay, overlay_node))).await?;
        let snapshot = qmp::blockdev_snapshot(qmp::BlockdevSnapshot { node: node.to_owned(), overlay: overlay_node.to_owned() });
        let done = self.execute(&snapshot).await;
        if done.is_err() {
            // Best effort: if the node stays, it only keeps the file open.
            let _ = self.execute(&qmp::blockdev_del { node_name: overlay_node.to_owned() }).await;
        }
        done.map(|_| ())
    }

    /// The screen, as PNG. Gives the file's name, which ends in `.ppm` when this QEMU has no PNG.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn screenshot(&mut self, path: &Path) -> Result<PathBuf, MachineError> {
        let fail = |source| MachineError::Qmp { machine: self.name.clone(), source };
        evidence::screenshot(&mut self.qmp, path).await.map_err(fail)
    }

    /// Press the power button. [`MachineEvent::Shutdown`] shows whether the guest reacts.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn powerdown(&mut self) -> Result<(), MachineError> {
        self.execute(&qmp::system_powerdown {}).await.map(|_| ())
    }

    /// Let a paused guest go on: at its beginning, or one that QEMU paused because the host's disk was full.
    ///
    /// # Errors
    /// As [`Machine::execute`].
    pub async fn go_on(&mut self) -> Result<(), MachineError> {
        self.execute(&qmp::cont {}).await.map(|_| ())
    }

    /// End QEMU and wait until its files are closed; killed if it does not go. A guest that still runs loses its power.
    pub async fn quit(mut self) -> Option<ExitStatus> {
        // It may hang up instead of answering, or be gone already.
        let _ = self.qmp.execute(&qmp::quit {}, QUIT).await;
        let end = async {
            loop {
                if let MachineEvent::Exited(status) = self.next().await {
                    return status;
                }
            }
        };
        match timeout(QUIT, end).await {
            Ok(status) => status,
            Err(_) => {
                self.running.kill();
                self.running.child_mut().wait().await.ok()
            }
        }
    }

    /// Every end pauses the guest, so only a pause without an end is an event.
    fn is_news(&mut self, event: &MachineEvent) -> bool {
        match event {
            MachineEvent::Stopped => !std::mem::take(&mut self.pause_explained),
            MachineEvent::Shutdown(_) | MachineEvent::GuestPanicked | MachineEvent::IoError { .. } => {
                self.pause_explained = true;
                true
            }
            _ => true,
        }
    }

    fn keep_stderr(&mut self, line: String) {
        if self.stderr_tail.len() == STDERR_LINES {
            self.stderr_tail.pop_front();
        }
        self.stderr_tail.push_back(line);
    }

    fn line_with(&self, text: &str) -> String {
        self.console.tail().into_iter().rev().find(|line| line.contains(text)).unwrap_or_else(|| text.to_owned())
    }

    async fn hear_last_words(&mut self, task: &Task) {
        let listen = async {
            loop {
                match self.next().await {
                    MachineEvent::ConsoleLine(line) => task.line("console", line),
                    MachineEvent::Exited(_) => return,
                    _ => {}
                }
            }
        };
        // It usually ends because the time is over.
        let _ = timeout(LAST_WORDS, listen).await;
    }

    async fn name_silence(&mut self, silence: Duration, task: &Task) {
        let (screenshot, status) = evidence::ask(&mut self.qmp, &self.dir).await;
        let last = self.console.tail().pop().unwrap_or_else(|| "nothing on the console yet".into());
        let state = status.map_or_else(|| "not answering".to_owned(), |status| status.status);
        let screen = screenshot.map(|path| format!("; screen: {}", path.display())).unwrap_or_default();
        let name = &self.name;
        task.events().warn(format!(
            "machine `{name}` has shown no progress for {} s (QEMU: {state}; last console line: {}{screen})",
            silence.as_secs(),
            last.trim()
        ));
    }

    async fn counters(&mut self) -> Counters {
        let disks = self.qmp.execute(&QueryBlockstats {}, Duration::from_secs(2)).await.ok();
        let disk = disks.map(|disks| disks.iter().fold(0_u64, |sum, disk| sum.wrapping_add(disk.stats.operations())));
        Counters { disk, cpu: self.running.id().and_then(cpu_time) }
    }
}

/// The name of a port's socket.
fn port_line(index: usize) -> String {
    format!("port{index}")
}

/// Give the guest what is typed. A guest that does not read holds up this task and no other.
async fn pass_on(mut keys: Receiver<Vec<u8>>, mut keyboard: OwnedWriteHalf) {
    while let Some(bytes) = keys.recv().await {
        if keyboard.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// A cable: our end, and QEMU's. It has no name, so nothing else can be connected to it.
fn segment() -> io::Result<(UnixDatagram, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixDatagram::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixDatagram::from_std(ours)?, theirs.into()))
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat` (proc(5)), in hundredths of a second (`USER_HZ` is 100 in
/// the ABI of x86).
fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses and may hold spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()?.checked_add(times.next()?.ok()?)?;
    Some(Duration::from_millis(ticks.checked_mul(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cpu_time_is_read() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut n = 0_u64;
        while cpu_time(std::process::id()).unwrap() == before {
            n = n.wrapping_add(1);
        }
        assert_eq!(cpu_time(u32::MAX), None);
    }
}
