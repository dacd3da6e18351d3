//! `goldsmith run` as a user works with it: on a terminal (`script` of bsdutils makes one), without one, and by ssh; and a build that
//! fails, on a terminal.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use goldsmith::image::Disk;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use goldsmith::base::digest::Sha256Digest;

use crate::fixture::{PASSWORD, fixture, machines, place};
use crate::machine_qemu::{HANG, POWER_OFF, WRITE_WHEN_TOLD, parent_of, sector};
use crate::support::{GOLDSMITH, goldsmith};

/// For tiny guests and for the end of runs. A busy host needs more time.
const SOON: Duration = Duration::from_secs(60);

/// A directory for one run: its temporary files go to `tmp`, and the directory itself is the working directory.
struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        Self { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A raw disk whose boot sector sends `message` and goes on with `code`.
    fn disk(&self, message: &str, code: &[u8]) -> String {
        let path = self.at("disk.raw");
        fs::write(&path, [&sector(message, code)[..], &[0; 1 << 20]].concat()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.dir).env("TMPDIR", self.at("tmp")).env("TERM", "dumb");
        command
    }

    /// goldsmith without a terminal.
    fn run(&self, args: &[&str]) -> Session {
        Session::start(self.command(GOLDSMITH, args))
    }

    /// goldsmith on a new terminal. Its modes before and after are written to files.
    fn run_on_terminal(&self, args: &[&str]) -> Session {
        let line = shell_words::join([GOLDSMITH].iter().chain(args));
        let script = format!("stty -g >before; {line}; status=$?; stty -g >after; exit $status");
        Session::start(self.command("script", &["-qefc", &script, "/dev/null"]))
    }

    /// Check that the terminal is restored, and that no temporary file and no process of this directory are left.
    #[track_caller]
    fn is_tidy(&self) {
        let read = |name| fs::read_to_string(self.at(name)).ok();
        assert_eq!(read("before"), read("after"));
        assert_eq!(names(&self.at("tmp")), BTreeSet::new());
        let deadline = Instant::now() + SOON;
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}", self.processes());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The processes whose command line names this place: QEMU.
    fn processes(&self) -> Vec<u32> {
        let here = self.dir.path().to_str().unwrap().as_bytes();
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let uses = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"/usr/bin/qemu") && line.windows(here.len()).any(|part| part == here)
        };
        pids.filter(uses).collect()
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A running program with its input and output.
struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
    /// The number of bytes that were already searched.
    seen: usize,
}

impl Session {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stdout.take().unwrap(), &said);
        listen(child.stderr.take().unwrap(), &said);
        Self { stdin: child.stdin.take(), child, said, seen: 0 }
    }

    /// Wait until its output has `text`, after the text of the last wait.
    #[track_caller]
    fn wait_for(&mut self, text: &str, patience: Duration) {
        let deadline = Instant::now() + patience;
        loop {
            let said = self.said.lock().unwrap().clone();
            if let Some(at) = said[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let over =
                Instant::now() > deadline || self.child.try_wait().unwrap().is_some_and(|_| self.said.lock().unwrap().len() == said.len());
            assert!(!over, "`{text}` was not said:\n{}", &said[self.seen..]);
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn say(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).unwrap();
    }

    /// Wait for its end. Returns the status, or the negative number of a signal.
    #[track_caller]
    fn end(&mut self) -> i32 {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
            }
            assert!(Instant::now() < deadline, "it does not end:\n{}", self.said.lock().unwrap());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A failed test must not leave a machine behind. If the machine has ended, the error is ignored.
        let _ = kill_process_group(pid(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed()).unwrap()
}

fn listen(mut pipe: impl Read + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            said.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
}

/// Sockets of IPv4 and IPv6 that the process `pid` listens on or has bound: `PROTOCOL ADDRESS`, as proc(5) writes them.
fn listening(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    let inodes: BTreeSet<String> =
        links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let mut found = Vec::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let table = fs::read_to_string(format!("/proc/net/{protocol}")).unwrap_or_default();
        for line in table.lines().skip(1) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            // 0A is LISTEN.
            if inodes.contains(words[9]) && (protocol.starts_with("udp") || words[3] == "0A") {
                found.push(format!("{protocol} {}", words[1]));
            }
        }
    }
    found
}

/// A port without a listener.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The output of `command` as root in the guest behind `port`. It is tried again until sshd answers.
fn ssh(desk: &Desk, port: u16, command: &str) -> String {
    let deadline = Instant::now() + 2 * SOON;
    loop {
        let mut ssh = desk.command("ssh", &["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]);
        ssh.args(["-o", "ConnectTimeout=20", "-p", &port.to_string(), "-i"]).arg(&fixture().key).args(["root@127.0.0.1", command]);
        let output = ssh.output().unwrap();
        if output.status.success() {
            return String::from_utf8(output.stdout).unwrap();
        }
        assert!(Instant::now() < deadline, "{output:?}");
        thread::sleep(Duration::from_secs(1));
    }
}

#[test]
#[ignore = "boots the default image to its log-in; ci/full runs it"]
fn the_artifact_is_used_at_its_console_and_by_ssh_and_stays_as_it_was() {
    let _slot = machines();
    let fixture = fixture();
    let image = fixture.artifact.join("debian-12-docker.qcow2");
    let state = || {
        let metadata = fs::metadata(&image).unwrap();
        (metadata.len(), metadata.modified().unwrap(), metadata.ino(), names(&fixture.artifact))
    };
    let (before, desk, port) = (state(), Desk::new(), free_port());
    let mut session = desk.run_on_terminal(&["run", fixture.artifact.to_str().unwrap(), "--ssh", &port.to_string()]);
    session.wait_for("log in as root with a password", SOON);
    session.wait_for(&format!("ssh -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@127.0.0.1"), SOON);
    session.wait_for("master login: ", Duration::from_secs(300));
    session.say("root\r");
    session.wait_for("Password: ", SOON);
    session.say(&format!("{PASSWORD}\r"));
    session.wait_for("root@master", SOON);
    session.say("echo uid=$(id -u); docker info --format 'server={{.ServerVersion}}'\r");
    session.wait_for("uid=0", SOON);
    session.wait_for("server=20.10.24", 2 * SOON);

    let qemu = desk.processes();
    assert_eq!(qemu.len(), 1);
    // The guest's own requests (time, names) use UDP sockets of the host, which accept no connections.
    let in_tcp: Vec<_> = listening(qemu[0]).into_iter().filter(|address| address.starts_with("tcp")).collect();
    assert_eq!(in_tcp, [format!("tcp 0100007F:{port:04X}")]);
    // That is the only way in. The guest reaches everything that this host reaches, and so also the host itself.
    let host = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let reach = format!(
        "timeout 5 bash -c ': < /dev/tcp/10.0.2.2/{}' 2>/dev/null && echo reached || echo closed",
        host.local_addr().unwrap().port()
    );
    assert_eq!(ssh(&desk, port, &format!("docker info --format '{{{{.ServerVersion}}}}'; {reach}")), "20.10.24+dfsg1\nreached\n");

    session.say("poweroff\r");
    session.wait_for("reboot: Power down", 2 * SOON);
    assert_eq!(session.end(), 0);
    desk.is_tidy();
    assert_eq!(state(), before);
}

#[test]
#[ignore = "boots the default image to its consoles; ci/full runs it"]
fn the_artifact_lets_root_in_without_a_log_in_when_told_and_only_then() {
    let _slot = machines();
    let fixture = fixture();
    let desk = Desk::new();
    let image = desk.at("lab.qcow2");
    fs::copy(fixture.artifact.join("debian-12-docker.qcow2"), &image).unwrap();
    let digest = || Sha256Digest::of(&fs::read(&image).unwrap());
    let (before, image) = (digest(), image.to_str().unwrap());
    let mut session = desk.run_on_terminal(&["run", image, "--keep", "--autologin"]);
    session.wait_for("its consoles are root's without a log-in", SOON);
    session.wait_for("root@master", Duration::from_secs(300));
    session.say("echo uid=$(id -u); cat /proc/cmdline; sync; poweroff\r");
    session.wait_for("uid=0", SOON);
    session.wait_for("panic=-1", SOON);
    session.wait_for("reboot: Power down", 2 * SOON);
    assert_eq!(session.end(), 0);
    assert_eq!(digest(), before);
    // The disk that was kept has booted with it, and knows nothing of it.
    let mut session = desk.run_on_terminal(&["run", image, "--keep"]);
    session.wait_for("master login: ", Duration::from_secs(300));
    session.say("\x1d");
    session.wait_for("the power button is pressed", SOON);
    session.say("\x1d");
    session.end();
}

#[test]
fn without_a_terminal_the_console_is_copied_until_the_guest_is_off() {
    let _slot = machines();
    let desk = Desk::new();
    let disk = desk.disk("hello\r\n", POWER_OFF);
    let mut session = desk.run(&["run", &disk]);
    drop(session.stdin.take());
    session.wait_for("until the guest powers off\n", SOON);
    session.wait_for("hello\r\n", SOON);
    assert_eq!(session.end(), 0);
    desk.is_tidy();
    assert_eq!(names(desk.dir.path()), ["disk.raw", "tmp"].map(str::to_owned).into());
}

#[test]
fn on_a_terminal_ctrl_c_is_the_guests_and_ctrl_bracket_is_ours() {
    let _slot = machines();
    let desk = Desk::new();
    let disk = desk.disk("ready", WRITE_WHEN_TOLD);
    let before = fs::read(&disk).unwrap();
    let mut session = desk.run_on_terminal(&["run", &disk]);
    session.wait_for("ctrl-] ends the machine", SOON);
    session.wait_for("ready", SOON);
    session.say("\u{3}");
    session.wait_for("W", SOON);
    session.say("\u{1d}");
    assert_eq!(session.end(), 0);
    desk.is_tidy();
    assert!(before == fs::read(&disk).unwrap(), "the image was written");
}

#[test]
fn what_is_kept_is_there_the_next_time_and_a_changed_image_is_refused() {
    let _slot = machines();
    let desk = Desk::new();
    let disk = desk.disk("ready", WRITE_WHEN_TOLD);
    let before = fs::read(&disk).unwrap();
    let mut first = desk.run_on_terminal(&["run", &disk, "--keep"]);
    first.wait_for("what it changes is kept in ", SOON);
    first.wait_for("ready", SOON);
    first.say("x");
    first.wait_for("W", SOON);
    first.say("\u{1d}");
    first.wait_for("the power button is pressed; ctrl-] again cuts the power", SOON);
    first.say("\u{1d}");
    assert_eq!(first.end(), 0);
    desk.is_tidy();
    assert!(before == fs::read(&disk).unwrap(), "the image was written");
    let overlay = Disk::open(&desk.at("disk.run.qcow2")).unwrap();
    let mut second_sector = [0; 512];
    overlay.bytes().read_at(512, &mut second_sector).unwrap();
    assert!(second_sector == before[..512], "what the guest wrote is not in the overlay");

    // The overlay is used again. A second machine on it is refused. SIGTERM ends the first, and the overlay is still sound.
    let mut second = desk.run(&["run", &disk, "--keep"]);
    second.wait_for("continued on ", SOON);
    second.wait_for("ready", SOON);
    let mut third = desk.run(&["run", &disk, "--keep"]);
    assert_eq!(third.end(), 7);
    third.wait_for("disk.run.qcow2 is in use by another machine", SOON);
    second.signal(Signal::TERM);
    assert_eq!(second.end(), 143);
    desk.is_tidy();
    let check = desk.command("qemu-img", &["check", "-q", "disk.run.qcow2"]).status().unwrap();
    assert!(check.success());

    let mut hung_up = desk.run_on_terminal(&["run", &disk, "--keep"]);
    hung_up.wait_for("ready", SOON);
    kill_process(Pid::from_raw(parent_of(desk.processes()[0])).unwrap(), Signal::HUP).unwrap();
    assert_eq!(hung_up.end(), 143);
    desk.is_tidy();

    fs::write(&disk, &before[..1 << 20]).unwrap();
    let mut refused = desk.run(&["run", &disk, "--keep"]);
    assert_eq!(refused.end(), 3);
    refused.wait_for("disk.raw has changed under it; it had 1049088 bytes", SOON);
    refused.wait_for("help: bring the image back as it was, or begin afresh: rm -f ", SOON);
}

#[test]
fn a_disk_that_only_uefi_boots_is_booted_by_it_with_variables_of_its_own() {
    let _slot = machines();
    let desk = Desk::new();
    let mut bytes = vec![0; 1 << 20];
    // One partition of type 0xef, from sector 8, and no boot code.
    bytes[450] = 0xef;
    bytes[454] = 8;
    bytes[458] = 64;
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    fs::write(desk.at("esp.img"), bytes).unwrap();
    let mut session = desk.run(&["run", "esp.img", "--keep", "--memory", "256M"]);
    session.wait_for("UEFI; ", SOON);
    session.wait_for("BdsDxe: ", 2 * SOON);
    session.signal(Signal::TERM);
    assert_eq!(session.end(), 143);
    desk.is_tidy();
    let found = names(desk.dir.path());
    assert!(found.contains("esp.run.vars.raw") || found.contains("esp.run.vars.qcow2"), "{found:?}");
}

#[test]
fn what_cannot_be_run_is_refused_with_a_cause_and_a_remedy() {
    let desk = Desk::new();
    let good = desk.disk("", HANG);
    let here = |name: &str| desk.at(name).to_str().unwrap().to_owned();
    fs::write(here("notes.txt"), "not a disk\n".repeat(100)).unwrap();
    fs::write(here("base.raw"), [0; 1 << 20]).unwrap();
    for made in [&["-f", "vmdk", "other.vmdk", "1M"][..], &["-f", "qcow2", "-F", "raw", "-b", "base.raw", "chain.qcow2"]] {
        assert!(desk.command("qemu-img", &["create", "-q"]).args(made).status().unwrap().success());
    }
    fs::remove_file(here("base.raw")).unwrap();
    // A manifest with another length of the image.
    fs::create_dir(here("short")).unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/manifest.json");
    fs::copy(manifest, here("short/manifest.json")).unwrap();
    fs::write(here("short/debian-12-docker.qcow2"), "cut").unwrap();
    let busy = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    let (absent, notes, vmdk, chain, short) = (here("absent"), here("notes.txt"), here("other.vmdk"), here("chain.qcow2"), here("short"));
    for (args, status, said) in [
        (&["run", &absent][..], 3, "absent cannot be opened: No such file or directory (os error 2)\n  help: check the path\n"),
        (
            &["run", &here("tmp")],
            3,
            "tmp is not an artifact: it has no manifest.json\n  help: give the directory that `goldsmith build` made",
        ),
        (
            &["run", &notes],
            3,
            "notes.txt is not a bootable disk: it has neither a boot sector nor an EFI system partition\n  help: give a raw",
        ),
        (&["run", &vmdk], 2, "other.vmdk is vmdk, and machines are given raw and qcow2 only\n  help: make a qcow2 of it"),
        (&["run", &chain], 3, "base.raw: No such file or directory (os error 2)\n  help: check the path "),
        (&["run", &short], 3, "is not the image of its manifest: it has 3 bytes instead of 5\n  help: build it again"),
        (&["run", "/dev/null"], 3, "/dev/null: it is neither a file nor a block device\n  help: "),
        (
            &["run", &good, "--ssh", &port],
            7,
            "of 127.0.0.1 cannot be used: Address already in use (os error 98)\n  help: choose another port",
        ),
        (&["run", &good, "--memory", "900T"], 7, "of memory, and the host has "),
        (&["run", &good, "--autologin"], 4, "error: the consoles of disk cannot be opened without a log-in: "),
        (&["run", &good, "--memory", "1M"], 2, "64M is the least"),
        (&["run", &good, "--json"], 2, "`run` has no JSON: standard output is the guest's console\n  help: leave out --json\n"),
    ] {
        let ended = goldsmith(args.iter().copied()).end();
        assert_eq!(ended.status, status, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    let ended = goldsmith(["run", &good]).stub("true", "").path_only().end();
    ended.is(7, "", "error: qemu-system-x86_64 is not installed\n  help: install it: apt-get install qemu-system-x86\n");
    assert_eq!(names(&desk.at("tmp")), BTreeSet::new());
}

/// A small system, and a step that fails.
const BROKEN: &str = "schema = 1\nname = \"broken\"\nmedia = { installer = \"deploy\", distribution = \"debian\", suite = \"bookworm\" }\n\
    system = { hostname = \"small\", root = \"locked\" }\npackages = { docs = false }\n\
    provision = [{ name = \"broken\", script = \"touch /root/here; echo the disk is sad; exit 7\" }]\n";

#[test]
#[ignore = "installs a system and boots it twice; ci/full runs it"]
fn a_failed_step_is_told_and_looked_into_and_stays_the_result() {
    let _slot = machines();
    let desk = Desk::new();
    fs::write(desk.at("broken.toml"), BROKEN).unwrap();
    let store = place().join("store");
    let args = ["build", "./broken.toml", "-o", "out", "--store", store.to_str().unwrap(), "--keep-on-failure"];
    let (told, ending) = ("provision step `broken`", "step-0 failed with exit status 7: the disk is sad");

    let mut session = desk.run_on_terminal(&args);
    // The failure comes first.
    session.wait_for(told, 20 * SOON);
    session.wait_for(ending, SOON);
    session.wait_for("`exit` or ctrl-D ends it", SOON);
    // Before this prompt, the log-in prompt could take the typed text.
    session.wait_for("root@small:~#", 2 * SOON);
    session.say("echo uid=$(id -u) $(ls /root) $(tty) $(stty size)\r");
    session.wait_for("uid=0 here /dev/ttyS0 24 80", 2 * SOON);
    // ctrl-C goes to the program in the guest.
    session.say("sleep 1000\r");
    thread::sleep(Duration::from_secs(2));
    session.say("\u{3}");
    session.say("echo status=$?\r");
    session.wait_for("status=130", SOON);
    // The failure is the result, whatever the exit status of the shell is.
    session.say("exit 0\r");
    session.wait_for("error: ", SOON);
    session.wait_for(ending, SOON);
    session.wait_for("evidence: ", SOON);
    assert_eq!(session.end(), 4);
    assert!(!session.said.lock().unwrap().contains("interrupted"));
    desk.is_tidy();

    // Without a terminal a message says so, and the build ends as without the flag.
    let mut session = desk.run(&args);
    session.wait_for("--keep-on-failure needs a terminal", SOON);
    session.wait_for(ending, 5 * SOON);
    assert_eq!(session.end(), 4);
}
