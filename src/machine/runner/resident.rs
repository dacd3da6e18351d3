//! The runner in a local machine: commands of the host's users as root, several at a time, while the machine lives.
//!
//! ```text
//!   launch ── booting ── up ──┬─ open(words) → Session … output … exit status ─┐
//!                             │        ▲                   freed and close ────┘
//!                             └─ power_off | power_button | quit
//! ```
//!
//! A slot has its next session when both sides are done with the last one: the guest, which has written all by then, and the host, which may
//! read it much later. What is on its way stays in queues of the guest and of QEMU until then, and would be lost with the connection.
//!
//! Each session has three virtio-serial ports of its own while it runs (`sessions.sh`), so that bytes go through as they are. One more session
//! than are in use waits in the guest for its command: to make one takes an emulated guest half a second.
//!
//! A machine that goes on from a saved state (`gate/gate.sh`) has such a session in that state, and is made one of its own by [`Resident::own`]:
//!
//! ```text
//!   launch ── own ── up, cards are plugged in ── started, all its services
//! ```

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::marked::Marked;
use super::output::Output;
use super::{PORT, RunnerError, Said, understand};
use crate::base::process::Lines;
use crate::base::random::random;
use crate::machine::seat::Size;
use crate::machine::spec::Begins;
use crate::machine::{Machine, MachineEvent, MachineSpec};

/// Sessions at once: with the control port these are 28 of the [`crate::machine::spec::MAX_PORTS`].
pub const SLOTS: usize = 9;
/// The purposes of a session's ports.
const ENDS: [&str; 3] = ["in", "out", "err"];
/// Random bytes that a guest is given: twice what the kernel's generator has.
const RANDOM_BYTES: usize = 64;

/// A command with its arguments, as one line of the guest's shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// The words of a command. No shell expands them.
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        // A line break would end the line on the control port, so the guest has one in a variable.
        let quoted = |word: &str| format!("'{}'", word.replace('\'', r"'\''").replace('\n', "'\"$gs_newline\"'"));
        Self(words.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
    }
}

/// The ports of a machine that has a resident runner, in the order that the guest counts on.
pub fn ports() -> Vec<String> {
    let sessions = (0..SLOTS).flat_map(|slot| ENDS.map(|end| port(slot, end)));
    std::iter::once(PORT.to_owned()).chain(sessions).collect()
}

/// The ports of the first session. The guest opens them when a command can be begun in it.
pub fn first_session() -> Vec<String> {
    ENDS.map(|end| port(0, end)).to_vec()
}

fn port(slot: usize, end: &str) -> String {
    format!("org.goldsmith.session.{slot}.{end}")
}

/// An event in a machine with a resident runner.
#[derive(Debug)]
pub enum Happened {
    /// The runner answers: the system is up. Next is [`Resident::prepare`].
    Up,
    /// The services of a system that went on from a saved state have started.
    Started,
    /// The session in this slot is over in the guest. Next is [`Resident::freed`].
    Freed(usize),
    /// A task of the boot failed, and why.
    Failed(String),
    /// The machine's own event.
    Machine(MachineEvent),
}

/// A file for the guest: its name and its content. Only root may read it, unless its name ends in `.pub`.
type File = (String, Vec<u8>);

/// A machine whose users the runner serves.
#[derive(Debug)]
pub struct Resident {
    machine: Machine,
    lines: Lines<ReadHalf<UnixStream>>,
    orders: UnboundedSender<Vec<u8>>,
    nonce: String,
    slots: Vec<Slot>,
}

/// A place for a session.
#[derive(Debug)]
struct Slot {
    /// The sockets of its ports.
    sockets: [PathBuf; 3],
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    /// The guest has no session there, and the host is not connected.
    Idle,
    /// A session waits in it for its command.
    Ready([UnixStream; 3]),
    /// A session runs in it.
    Taken {
        /// Its number.
        number: u64,
        /// Whether its command has ended, as [`Output`] knows it.
        ended: Arc<AtomicBool>,
        /// Whether the guest has given the session up.
        freed: watch::Sender<bool>,
    },
    /// The guest has given the session of this number up, and its user still reads.
    Freed(u64),
    /// The session's user has left it, and the guest has not given it up.
    Closed,
}

impl Resident {
    /// Launch `spec`, which has the ports of [`ports`] and whose initramfs carries the runner with `nonce`.
    ///
    /// # Errors
    /// The machine could not be started.
    pub async fn launch(spec: &MachineSpec, dir: &Path, nonce: String) -> Result<Self, RunnerError> {
        let mut machine = Machine::launch_paused(spec, dir).await?;
        let lacks = |name: &str| RunnerError::Broken { what: format!("the machine has no port {name}") };
        let (reader, writer) = tokio::io::split(machine.take_port(PORT).ok_or_else(|| lacks(PORT))?);
        let goes_on = matches!(spec.begins, Begins::Saved { .. });
        let mut slots = Vec::new();
        for slot in 0..SLOTS {
            let ends = ENDS.map(|end| machine.take_port(&port(slot, end)));
            // A session waits in the first slot of a state that was saved.
            let state = match ends {
                [Some(input), Some(output), Some(errors)] if goes_on && slot == 0 => SlotState::Ready([input, output, errors]),
                // The guest may have missed connections that were made before it booted: QEMU announces them all at once, and the queue
                // is short.
                _ => SlotState::Idle,
            };
            let socket = |end: &str| machine.port_socket(&port(slot, end)).ok_or_else(|| lacks(&port(slot, end)));
            slots.push(Slot { sockets: [socket(ENDS[0])?, socket(ENDS[1])?, socket(ENDS[2])?], state });
        }
        if goes_on {
            // The guest that goes on must not hear of connections that the saved one did not have.
            machine.expect_disconnected((SLOTS - 1) * ENDS.len()).await?;
        }
        machine.go_on().await?;
        let (orders, lines) = unbounded_channel();
        tokio::spawn(pass_on(lines, writer));
        Ok(Self { machine, lines: Lines::new(Some(reader)), orders, nonce, slots })
    }

    /// What happens next. Safe to cancel.
    pub async fn next(&mut self) -> Happened {
        loop {
            // Not biased: a guest may fill its console without end, and the other branches must get their turn.
            tokio::select! {
                event = self.machine.next() => return Happened::Machine(event),
                // At the port's end this branch is disabled, and the machine's end gives the reason.
                Some(line) = self.lines.next() => match understand(&line, &self.nonce) {
                    Said::Hello => return Happened::Up,
                    Said::Started => return Happened::Started,
                    Said::Failed(words) => return Happened::Failed(words.strip_prefix("failed ").unwrap_or(&words).to_owned()),
                    Said::Ended { slot, number } => self.expect_marks(slot, number),
                    Said::Free(slot) if slot < SLOTS => return Happened::Freed(slot),
                    _ => {}
                },
            }
        }
    }

    /// A command has ended. From now on the readers of its outputs look for end marks; then the guest is asked to write them.
    fn expect_marks(&self, slot: usize, number: u64) {
        if let Some(Slot { state: SlotState::Taken { number: taken, ended, .. }, .. }) = self.slots.get(slot)
            && *taken == number
        {
            ended.store(true, Ordering::SeqCst);
            self.say(format!("mark {slot} {number}"));
        }
    }

    /// Have a session wait in the guest for the next command, if none does.
    pub async fn prepare(&mut self) {
        if self.slots.iter().any(|slot| matches!(slot.state, SlotState::Ready(_))) {
            return;
        }
        if let Some(slot) = self.slots.iter().position(|slot| matches!(slot.state, SlotState::Idle)) {
            self.make_ready(slot).await;
        }
    }

    /// The guest has given a slot up. It is ready for the next command at once, or when the user of its session has closed that.
    pub async fn freed(&mut self, slot: usize) {
        if let SlotState::Taken { number, ref freed, .. } = self.slots[slot].state {
            freed.send_replace(true);
            self.slots[slot].state = SlotState::Freed(number);
        } else {
            self.make_ready(slot).await;
        }
    }

    /// The host connects anew, so that input which an earlier command did not read cannot reach the next one.
    async fn make_ready(&mut self, slot: usize) {
        self.slots[slot].state = SlotState::Idle;
        let [input, output, errors] = &self.slots[slot].sockets;
        let ends = async { tokio::try_join!(UnixStream::connect(input), UnixStream::connect(output), UnixStream::connect(errors)) };
        // If the sockets are gone, so is the machine, and its events tell that.
        if let Ok((input, output, errors)) = ends.await {
            self.slots[slot].state = SlotState::Ready([input, output, errors]);
            self.say(format!("ready {slot}"));
        }
    }

    /// Begin a command, on a terminal of this size or on pipes. Nothing when all slots are taken.
    pub async fn open(&mut self, words: &Words, size: Option<Size>) -> Option<Session> {
        self.prepare().await;
        let slot = self.slots.iter().position(|slot| matches!(slot.state, SlotState::Ready(_)))?;
        let (freed, is_free) = watch::channel(false);
        let ended = Arc::new(AtomicBool::new(false));
        // Random: an order for a session of an earlier boot must not be taken for one of this boot, and an output must not be able to have the
        // marks of its own session, whose nonce is no secret in a machine that goes on from a published state.
        let number = u64::from_le_bytes(random());
        let taken = SlotState::Taken { number, ended: Arc::clone(&ended), freed };
        let SlotState::Ready([input, output, errors]) = mem::replace(&mut self.slots[slot].state, taken) else { return None };
        // The next session is made while this command runs, so that this command does not wait for it.
        self.prepare().await;
        let on = size.map_or_else(|| "pipe".to_owned(), |Size { rows, columns }| format!("{rows}x{columns}"));
        self.say(format!("open {slot} {number} {on} {}", words.0));
        let output_of = |stream| Output::new(stream, Marked::new(&self.nonce, number), Arc::clone(&ended), is_free.clone());
        Some(Session { slot, number, input, output: output_of(output), errors: output_of(errors) })
    }

    /// The terminal of the slot's command has another size.
    pub fn resize(&self, slot: usize, Size { rows, columns }: Size) {
        self.say(format!("size {slot} {rows} {columns}"));
    }

    /// The host has written all that the command `number` of a slot will read, and hangs up next.
    pub fn end_input(&self, slot: usize, number: u64) {
        self.say(format!("eof {slot} {number}"));
    }

    /// The session `number` of a slot is over for its user, who has dropped it. If its command has not ended, it hangs up.
    pub async fn close(&mut self, slot: usize, number: u64) {
        match self.slots[slot].state {
            SlotState::Freed(freed) if freed == number => {
                // The guest may not have begun the command; the next session must not.
                self.say(format!("close {slot} {number}"));
                self.make_ready(slot).await;
            }
            SlotState::Taken { number: taken, .. } if taken == number => {
                self.slots[slot].state = SlotState::Closed;
                self.say(format!("close {slot} {number}"));
            }
            // It is one of an earlier boot.
            _ => {}
        }
    }

    /// Make a machine that goes on from a saved state one of its own. `files` are those of its personal task. The guest answers with
    /// [`Happened::Up`]. Next is [`Resident::start_services`].
    pub fn own(&self, files: &[File]) {
        // Both are random UUIDs (machine-id(5); drivers/char/random.c), the first one without hyphens.
        let new = || uuid::Builder::from_random_bytes(random()).into_uuid();
        let tar = tar(files);
        self.say(format!("own {} {} {}", new().simple(), new(), tar.len()));
        self.send(renewal(SystemTime::now(), &random()));
        self.send(tar);
    }

    /// Have the services start that the boot had left, when the guest has so many network cards. `keys` are the host keys of sshd, if the image has
    /// none. The guest answers with [`Happened::Started`].
    pub fn start_services(&self, cards: usize, keys: &[File]) {
        let tar = tar(keys);
        self.say(format!("go {cards} {}", tar.len()));
        self.send(tar);
    }

    /// Have the personal task of the boot name other machines of the guest's network.
    pub fn name(&self, names: &str) {
        self.say(format!("names {names}"));
    }

    /// Ask the system to power off.
    pub fn power_off(&self) {
        self.say("off".to_owned());
    }

    /// The machine.
    pub fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }

    /// End QEMU. A guest that still runs loses its power.
    pub async fn quit(self) {
        self.machine.quit().await;
    }

    fn say(&self, line: String) {
        self.send(format!("{line}\n").into_bytes());
    }

    fn send(&self, order: Vec<u8>) {
        // If the receiver is gone, so is the guest, and the machine's events tell that.
        let _ = self.orders.send(order);
    }
}

/// The order of `gate/renew.s`: the time as a `struct timespec`, and a `struct rand_pool_info` (random(4)) with as many bits as its bytes have.
fn renewal(now: SystemTime, random: &[u8; RANDOM_BYTES]) -> Vec<u8> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut order = Vec::new();
    order.extend(since.as_secs().to_le_bytes());
    order.extend(u64::from(since.subsec_nanos()).to_le_bytes());
    order.extend((RANDOM_BYTES as u32 * 8).to_le_bytes());
    order.extend((RANDOM_BYTES as u32).to_le_bytes());
    order.extend(random);
    order
}

/// Files as a tar; nothing when there are none.
fn tar(files: &[File]) -> Vec<u8> {
    if files.is_empty() {
        return Vec::new();
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(if name.ends_with(".pub") { 0o644 } else { 0o600 });
        tar.append_data(&mut header, name, &content[..]).expect("a name of ours fits, and memory takes all bytes");
    }
    tar.into_inner().expect("memory takes all bytes")
}

/// Pass orders to the guest. A guest that does not read holds up only this task.
async fn pass_on(mut orders: UnboundedReceiver<Vec<u8>>, mut writer: WriteHalf<UnixStream>) {
    while let Some(order) = orders.recv().await {
        if writer.write_all(&order).await.is_err() {
            return;
        }
    }
}

/// A command in the guest. Its parts are for three directions at once. Its user drops it, and then calls [`Resident::close`].
#[derive(Debug)]
pub struct Session {
    /// Its place among the others.
    pub slot: usize,
    /// Its number, which no other session has.
    pub number: u64,
    /// What the command reads. When it is shut down, the command reads the end of its input.
    pub input: UnixStream,
    /// What the command writes.
    pub output: Output,
    /// What it writes to its standard error; nothing when it has a terminal.
    pub errors: Output,
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn words_are_what_the_shell_makes_of_them() {
        let words = ["printf", "<%s>", "", "a b", "it's", "$HOME `id` \\ \"", "two\nlines\n", "*", "-n", "\u{e9}\t"];
        let line = Words::new(words).0;
        assert!(!line.contains('\n'));
        for shell in ["dash", "bash"] {
            let script = "gs_newline='\n'\nread -r line\neval \"set -- $line\"\n\"$@\"";
            let mut command = Command::new(shell);
            command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("{line}\n").as_bytes()).unwrap();
            let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
            let expected: String = words[2..].iter().map(|word| format!("<{word}>")).collect();
            assert_eq!(said, expected, "{shell}");
        }
    }

    #[test]
    fn the_order_of_renew_has_the_time_and_credited_randomness() {
        let order = renewal(SystemTime::UNIX_EPOCH + std::time::Duration::new(0x0102_0304, 5), &[0xab; RANDOM_BYTES]);
        let expected = [&[4, 3, 2, 1, 0, 0, 0, 0][..], &[5, 0, 0, 0, 0, 0, 0, 0], &[0, 2, 0, 0], &[64, 0, 0, 0], &[0xab; 64]].concat();
        assert_eq!(order, expected);
        // renew.s reads so many bytes.
        assert_eq!(order.len(), 88);
    }

    /// The files of a tar that the host sends right behind a line, as `gate.sh` takes them.
    #[test]
    fn files_behind_a_line_are_taken_and_no_byte_more() {
        for shell in ["dash", "bash"] {
            let dir = tempfile::tempdir().unwrap();
            let bytes = tar(&[("key".to_owned(), b"secret\n".to_vec()), ("key.pub".to_owned(), b"public\n".to_vec())]);
            let orders = [format!("go {}\n", bytes.len()).into_bytes(), bytes, b"next\n".to_vec()].concat();
            let functions = include_str!("gate/gate.sh");
            let script =
                format!("{functions}\nexec 3<&0; read -r verb length <&3; receive \"$length\" .; read -r next <&3; echo \"$next\"");
            let mut command = Command::new(shell);
            command.args(["-c", &script]).current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            std::io::Write::write_all(&mut child.stdin.take().unwrap(), &orders).unwrap();
            assert_eq!(child.wait_with_output().unwrap().stdout, b"next\n", "{shell}");
            for (name, content, mode) in [("key", "secret\n", 0o600), ("key.pub", "public\n", 0o644)] {
                use std::os::unix::fs::PermissionsExt;
                let path = dir.path().join(name);
                assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, mode, "{name}");
            }
        }
        assert!(tar(&[]).is_empty());
    }

    /// The system goes down while sessions are being made: a process that stays would hold that up until systemd kills it.
    #[test]
    fn no_session_outlives_a_signal_at_any_moment_of_its_beginning() {
        use rustix::process::{Pid, Signal, kill_process, kill_process_group};
        use std::collections::BTreeSet;
        use std::os::unix::process::CommandExt;
        for shell in ["dash", "bash"] {
            for moment in (0..20).map(|step| step * 4) {
                let dir = tempfile::tempdir().unwrap();
                let path = |name: &str| dir.path().join(name);
                let here = dir.path().to_str().unwrap();
                // `setsid` takes the session's command out of this process group, which stands for the unit's control group.
                let script = include_str!("sessions.sh").replace("/run/goldsmith", here).replace("setsid sh", shell);
                std::fs::write(path("serve.sh"), script).unwrap();
                std::fs::write(path("nonce"), "n0\n").unwrap();
                // Open for both directions here, as ports are on the host's side.
                let ports: Vec<_> = (1..=7)
                    .map(|port| {
                        let name = path(&format!("port{port}"));
                        rustix::fs::mknodat(rustix::fs::CWD, &name, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
                        std::fs::File::options().read(true).write(true).open(name).unwrap()
                    })
                    .collect();
                let mut command = Command::new(shell);
                command.arg(path("serve.sh")).args([path("port1"), "live".into()]).process_group(0).stderr(Stdio::null());
                let mut serve = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
                std::io::Write::write_all(&mut &ports[0], b"\nready 0\nready 1\n").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(moment));
                let group = Pid::from_child(&serve);
                // As systemd does (cgroup-util.c, `cg_kill`): each process once, until a look finds no new one.
                let mut told = BTreeSet::new();
                loop {
                    let new: Vec<i32> = alive(group).iter().map(|stat| pid(stat)).filter(|pid| told.insert(*pid)).collect();
                    if new.is_empty() {
                        break;
                    }
                    // One that has ended since then has no use for a signal.
                    for pid in new.into_iter().filter_map(Pid::from_raw) {
                        let _ = kill_process(pid, Signal::TERM);
                    }
                }
                serve.wait().unwrap();
                let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
                while !alive(group).is_empty() {
                    if std::time::Instant::now() > patience {
                        let left = alive(group);
                        let _ = kill_process_group(group, Signal::KILL);
                        panic!("{shell}, after {moment} ms: {left:?}");
                    }
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
    }

    /// The processes of a group that have not ended, by `stat` of proc(5). Zombies are left out: their parent may reap them late.
    fn alive(group: rustix::process::Pid) -> Vec<String> {
        let stats = std::fs::read_dir("/proc").unwrap().filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
        let is_one = |stat: &String| {
            let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split_ascii_whitespace().collect()).unwrap_or_default();
            fields.first() != Some(&"Z") && fields.get(2) == Some(&group.as_raw_nonzero().to_string().as_str())
        };
        stats.filter(is_one).collect()
    }

    /// The process of a `stat` of proc(5).
    fn pid(stat: &str) -> i32 {
        stat.split(' ').next().unwrap().parse().unwrap()
    }

    #[test]
    fn the_ports_fit_and_are_in_the_guests_order() {
        let ports = ports();
        assert!(ports.len() <= crate::machine::spec::MAX_PORTS);
        assert_eq!((ports[0].as_str(), ports.iter().position(|name| *name == port(2, "out"))), (PORT, Some(1 + 3 * 2 + 1)));
    }
}
