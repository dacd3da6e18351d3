//! Runs that are killed or interrupted: no process survives, and the store serves the next run.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{MACHINE, SMALL, fixture, names, nothing_unfinished, possible, store_with_layers};
use crate::support::GOLDSMITH;

/// A directory with a store and a place for the artifact, and the user who owns them.
struct Place {
    dir: tempfile::TempDir,
    user: Option<u32>,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tmp")).unwrap();
        fs::write(dir.path().join("small.toml"), SMALL).unwrap();
        Self { dir, user: None }
    }

    /// The same for an ordinary user, who can reach neither the directories nor the binary of this test.
    fn of(user: u32) -> Self {
        let place = Self { user: Some(user), ..Self::new() };
        fs::copy(GOLDSMITH, place.at("goldsmith")).unwrap();
        fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for path in ["", "tmp", "small.toml", "goldsmith"] {
            chown(place.at(path), Some(user), Some(user)).unwrap();
        }
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn goldsmith(&self, args: &[&str]) -> Command {
        let mut command = match self.user {
            None => Command::new(GOLDSMITH),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"]).arg(self.at("goldsmith"));
                command
            }
        };
        command.args(args).args(["--store", "store"]).current_dir(&self.dir).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.dir.path()).env("TMPDIR", self.at("tmp"));
        command.env("ROOT_PASSWORD", fixture::PASSWORD).stdin(Stdio::null()).process_group(0);
        command
    }

    /// Start a build that prints its events.
    fn build(&self, args: &[&str]) -> Build {
        let words = [&["--json", "build", "-o", "out"], args].concat();
        let mut child = self.goldsmith(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, events) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The receiver may be gone once the run is killed, so an error of the send is ignored.
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Build { child, events, task: String::new(), place: self.dir.path().to_owned() }
    }

    /// The next run finds the store usable, and sweeps it.
    #[track_caller]
    fn is_usable(&self) {
        let plan = self.goldsmith(&["plan", "small.toml"]).output().unwrap();
        assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
        assert_eq!(names(&self.at("store/v1/scratch")), [""; 0]);
        nothing_unfinished(&self.at("store/v1/layers"));
        assert!(!self.at("out").exists());
    }
}

/// A build under way.
struct Build {
    child: Child,
    events: Receiver<Value>,
    /// The title of the current task.
    task: String,
    place: PathBuf,
}

impl Build {
    /// Wait until the task `title` has an event for which `fits` is true.
    #[track_caller]
    fn until(&mut self, title: &str, fits: impl Fn(&Value) -> bool) {
        let patience = Instant::now() + MACHINE;
        loop {
            let event = self.events.recv_timeout(patience.saturating_duration_since(Instant::now()));
            let event = event.unwrap_or_else(|_| panic!("it ended or hung before `{title}` got there, in `{}`", self.task));
            if event["event"] == "begin" {
                event["title"].as_str().unwrap().clone_into(&mut self.task);
            }
            if self.task == title && fits(&event) {
                return;
            }
        }
    }

    /// Wait until a program of this name works for it.
    #[track_caller]
    fn until_runs(&self, program: &str) {
        let patience = Instant::now() + MACHINE;
        while !processes(&self.place).iter().any(|process| process.line.contains(program)) {
            assert!(Instant::now() < patience, "{program} never ran");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Kill only goldsmith, while `program` works for it. Within ten seconds none of its processes may be left.
    #[track_caller]
    fn kill(mut self, program: &str) {
        let before = processes(&self.place);
        assert!(before.iter().any(|process| process.line.contains(program)), "{program} is not running: {before:#?}");
        let spaces = namespaces(&before);
        self.signal(Signal::KILL);
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
        gone(&self.place, &spaces);
    }

    /// Kill its QEMU. It must report that and end.
    #[track_caller]
    fn kill_qemu(mut self) {
        let qemu = processes(&self.place).into_iter().find(|process| process.line.contains("qemu-system-x86_64 ")).unwrap();
        kill_process(Pid::from_raw(qemu.id).unwrap(), Signal::KILL).unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(4), "{said}");
        assert!(said.starts_with("error: sealing: machine `seal`: QEMU died under the running guest (signal: 9 (SIGKILL))\n"), "{said}");
        assert!(said.contains("\n  help: see `dmesg` for the kernel's out-of-memory killer"), "{said}");
    }

    /// Interrupt it while `program` works for it. It must end within three seconds.
    #[track_caller]
    fn interrupt(mut self, program: &str) {
        let before = processes(&self.place);
        assert!(before.iter().any(|process| process.line.contains(program)), "{program} is not running: {before:#?}");
        let spaces = namespaces(&before);
        let begun = Instant::now();
        self.signal(Signal::INT);
        let status = self.child.wait().unwrap();
        let taken = begun.elapsed();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(130), "error: interrupted; run the same command to go on\n"));
        assert!(taken < Duration::from_secs(3), "{taken:?}");
        gone(&self.place, &spaces);
        assert_eq!(names(&self.place.join("store/v1/scratch")), [""; 0]);
        nothing_unfinished(&self.place.join("store/v1/layers"));
        nothing_unfinished(&self.place);
        assert_eq!(names(&self.place.join("tmp")), [""; 0]);
    }
}

#[derive(Debug)]
struct Process {
    id: i32,
    line: String,
    namespace: Option<PathBuf>,
}

/// The processes that have `place` in their arguments, environment, working directory or root, whatever namespace they are in.
fn processes(place: &Path) -> Vec<Process> {
    let mark = place.to_str().unwrap().as_bytes();
    let mut found = Vec::new();
    for dir in fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()) {
        let read = |name: &str| fs::read(dir.join(name)).unwrap_or_default();
        let link = |name: &str| fs::read_link(dir.join(name)).map(|path| path.into_os_string().into_encoded_bytes()).unwrap_or_default();
        let has = |text: &[u8]| text.windows(mark.len()).any(|window| window == mark);
        let line = read("cmdline");
        if !line.is_empty() && (has(&line) || has(&read("environ")) || has(&link("cwd")) || has(&link("root"))) {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let id = dir.file_name().unwrap().to_str().unwrap().parse().unwrap();
            found.push(Process { id, line, namespace: fs::read_link(dir.join("ns/pid")).ok() });
        }
    }
    found
}

/// The PID namespaces of `processes` that are not ours.
fn namespaces(processes: &[Process]) -> BTreeSet<PathBuf> {
    let ours = fs::read_link("/proc/self/ns/pid").unwrap();
    processes.iter().filter_map(|process| process.namespace.clone()).filter(|namespace| *namespace != ours).collect()
}

/// Check that within ten seconds no process of `place` or in `spaces` is left.
#[track_caller]
fn gone(place: &Path, spaces: &BTreeSet<PathBuf>) {
    let inside = |dir: &Path| fs::read_link(dir.join("ns/pid")).is_ok_and(|namespace| spaces.contains(&namespace));
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let left = processes(place);
        let inside = fs::read_dir("/proc").unwrap().flatten().filter(|entry| inside(&entry.path())).count();
        if left.is_empty() && inside == 0 {
            return;
        }
        assert!(Instant::now() < patience, "{inside} processes are left in its namespaces, and {left:#?}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn console(event: &Value) -> bool {
    event["source"] == "console"
}

fn line(text: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["text"].as_str().is_some_and(|line| line.contains(text))
}

#[test]
fn killed_or_interrupted_in_mmdebstrap() {
    let _slot = fixture::machines();
    let place = Place::new();
    let mut build = place.build(&["small.toml"]);
    build.until("install", line("I: installing essential packages"));
    build.until_runs("dpkg ");
    build.kill("mmdebstrap ");
    assert_ne!(names(&place.at("store/v1/scratch")), [""; 0], "there is nothing to sweep");
    place.is_usable();
    let mut build = place.build(&["small.toml"]);
    build.until("install", line("I: extracting archives"));
    build.interrupt("mmdebstrap ");
    place.is_usable();
}

/// An account of the host with sub-ids, removed with the value.
struct Account {
    name: String,
    id: u32,
}

impl Account {
    fn new() -> Option<Self> {
        let name = format!("goldsmith-{}", std::process::id());
        let (why, shell) = ("no ordinary user can be made", "/usr/sbin/nologin");
        if !rustix::process::geteuid().is_root() || !possible(&["useradd", "--no-create-home", "--shell", shell, &name], why) {
            return None;
        }
        let id = Command::new("id").args(["-u", &name]).output().unwrap();
        let id = String::from_utf8(id.stdout).unwrap().trim().parse().unwrap();
        let account = Self { name, id };
        let has = fs::read_to_string("/etc/subuid").is_ok_and(|text| text.contains(&format!("{}:", account.name)));
        assert!(has, "useradd gave the account no sub-ids");
        Some(account)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.name).output();
    }
}

#[test]
fn killed_as_an_ordinary_user() {
    let _slot = fixture::machines();
    let account = Account::new();
    let place = account.as_ref().map_or_else(Place::new, |account| Place::of(account.id));
    if account.is_some() {
        let mut build = place.build(&["small.toml"]);
        build.until("install", line("I: extracting archives"));
        build.interrupt("mmdebstrap ");
        let mut build = place.build(&["small.toml"]);
        build.until("install", line("I: installing essential packages"));
        build.until_runs("dpkg ");
        build.kill("mmdebstrap ");
        place.is_usable();
    }
    let mut build = place.build(&["small.toml"]);
    build.until("install", console);
    build.kill("qemu-system-x86_64 ");
    place.is_usable();
}

#[test]
fn killed_in_each_stage_after_the_installation() {
    let _slot = fixture::machines();
    let place = Place::new();
    store_with_layers(place.dir.path(), 1);
    let root = fixture::root_override(&fixture::fixture().key);
    let docker = ["debian-12-docker", "--set", &root];

    let mut build = place.build(&docker);
    build.until("seal", console);
    build.interrupt("qemu-system-x86_64 ");
    let mut build = place.build(&docker);
    build.until("seal", console);
    build.kill_qemu();
    let mut build = place.build(&docker);
    build.until("seal", console);
    build.kill("qemu-system-x86_64 ");
    assert_eq!(names(&place.at("tmp")).len(), 1, "there is nothing to sweep");

    let mut build = place.build(&docker);
    build.until("flatten", |event| event["event"] == "progress" && event["done"] != 0);
    assert_eq!(names(&place.at("tmp")), [""; 0]);
    build.kill("goldsmith ");
    let unfinished = || names(&place.at("")).iter().filter(|name| name.starts_with(".out.new-")).count();
    assert_eq!(unfinished(), 1, "there is nothing to sweep");

    let mut build = place.build(&docker);
    build.until("flatten", |event| event["event"] == "progress" && event["done"] != 0);
    assert_eq!(unfinished(), 1, "what the killed run left beside the artifact is still there");
    build.until("verify", console);
    build.kill("qemu-system-x86_64 ");
    place.is_usable();
}
