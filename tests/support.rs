//! Runs the compiled program and compares all its output.

use std::fs;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The longest time of a run. Then it is killed and the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// The compiled program.
pub const GOLDSMITH: &str = env!("CARGO_BIN_EXE_goldsmith");

/// One run of a program, whose output can be compared.
///
/// It gets a known environment (`PATH`, `HOME` in a private directory, `TERM=dumb`), a private working directory and an empty standard
/// input, and nothing else from the caller.
pub struct Run {
    command: Command,
    dir: tempfile::TempDir,
    patience: Duration,
}

/// Run goldsmith with `args`.
pub fn goldsmith<'a>(args: impl IntoIterator<Item = &'a str>) -> Run {
    Run::program(GOLDSMITH, args)
}

impl Run {
    /// Run `program` with `args`.
    pub fn program<'a>(program: impl AsRef<Path>, args: impl IntoIterator<Item = &'a str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program.as_ref());
        command.args(args).env_clear().current_dir(&dir).process_group(0);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", dir.path()).env("TERM", "dumb");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, dir, patience: PATIENCE }
    }

    /// Set a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Let it take longer before it counts as hanging.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Remove a variable of the environment.
    pub fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Put a file into the working directory.
    pub fn file(self, name: &str, content: &str) -> Self {
        write(&self.dir.path().join(name), content, 0o644);
        self
    }

    /// Put an executable script into the working directory's `bin`, which then comes first in `PATH`.
    pub fn stub(mut self, name: &str, script: &str) -> Self {
        let bin = self.dir.path().join("bin");
        write(&bin.join(name), &format!("#!/bin/sh\n{script}\n"), 0o755);
        let path = std::env::var("PATH").unwrap_or_default();
        self.command.env("PATH", format!("{}:{path}", bin.display()));
        self
    }

    /// Let `PATH` hold only the stubs and the few programs that scripts need.
    pub fn path_only(mut self) -> Self {
        let bin = self.dir.path().join("bin");
        for tool in ["sed", "sh"] {
            std::os::unix::fs::symlink(format!("/bin/{tool}"), bin.join(tool)).unwrap();
        }
        self.command.env("PATH", bin);
        self
    }

    /// Send standard output elsewhere.
    pub fn stdout_to(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Run it to its end.
    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// Start it.
    pub fn start(mut self) -> Started {
        let child = self.command.spawn().unwrap();
        Started { child, dir: self.dir, patience: self.patience }
    }
}

/// A program that runs.
pub struct Started {
    child: Child,
    dir: tempfile::TempDir,
    patience: Duration,
}

impl Started {
    /// The working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Send it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Wait for its end, or kill it and everything it started when it takes too long.
    pub fn end(self) -> Ended {
        let Output { status, stdout, stderr } = ended(self.child, self.patience).unwrap_or_else(|why| panic!("{why}"));
        let status = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Ended { status, stdout, stderr, dir: self.dir }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).unwrap()
    }
}

/// The output of a run. The methods with an expectation fail the test when it is not met.
pub struct Ended {
    /// Exit status, or the negative number of the signal that ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    dir: tempfile::TempDir,
}

impl Ended {
    /// The working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Check for exactly this status, standard output and standard error. The working directory is written as `[DIR]`.
    #[track_caller]
    pub fn is(&self, status: i32, stdout: &str, stderr: &str) {
        let dir = self.dir.path().to_str().unwrap();
        let found = (self.status, self.stdout.replace(dir, "[DIR]"), self.stderr.replace(dir, "[DIR]"));
        assert!(
            found == (status, stdout.to_owned(), stderr.to_owned()),
            "\n--- found {}\n{}--- and on standard error\n{}--- expected {status}\n{stdout}--- and on standard error\n{stderr}---",
            found.0,
            found.1,
            found.2
        );
    }
}

/// Make `disk`, an ext4 of 32 MiB without partitions, of the files in `tree`.
pub fn make_disk(tree: &Path, disk: &Path) {
    let made = Command::new("/usr/sbin/mke2fs").args(["-q", "-t", "ext4", "-d"]).args([tree, disk]).arg("32M").output();
    assert!(made.unwrap().status.success());
}

/// Compare `text` with the file `tests/golden/NAME`. With `REGENERATE=1` in the environment, write the file instead; review the diff.
#[track_caller]
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    compare(&path, text, std::env::var_os("REGENERATE").is_some());
}

#[track_caller]
fn compare(path: &Path, text: &str, regenerate: bool) {
    if regenerate {
        write(path, text, 0o644);
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(text == expected, "{} differs (REGENERATE=1 rewrites it)\n--- found\n{text}\n--- expected\n{expected}\n---", path.display());
}

fn write(path: &Path, content: &str, mode: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

/// The output of `command` with an empty standard input. Returns when it has ended and none of its children holds its outputs.
///
/// # Errors
/// It takes longer than `patience`. It and its whole process group are then killed.
pub fn output(command: &mut Command, patience: Duration) -> Result<Output, String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    ended(child, patience).map_err(|why| format!("{command:?} {why}"))
}

/// The end of `child`, which leads a process group.
fn ended(mut child: Child, patience: Duration) -> Result<Output, String> {
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait().unwrap() {
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            ended => break ended,
        }
    };
    let rest = |pipe: &Receiver<_>, deadline: Instant| pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    let said = (rest(&stdout, deadline), rest(&stderr, deadline));
    if let (Some(status), (Some(stdout), Some(stderr))) = (status, &said) {
        return Ok(Output { status, stdout: stdout.clone(), stderr: stderr.clone() });
    }
    // The child and its whole group may have ended.
    let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    child.wait().unwrap();
    let soon = Instant::now() + Duration::from_secs(5);
    let text = |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let (stdout, stderr) = (text(said.0.or_else(|| rest(&stdout, soon))), text(said.1.or_else(|| rest(&stderr, soon))));
    let what = if status.is_some() { "left a process behind that holds its outputs" } else { "did not end" };
    Err(format!("{what}, and was killed after {patience:?}; it said:\n{stdout}\n{stderr}"))
}

/// All bytes of a pipe, when it has ended.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (whole, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).unwrap();
        }
        // The test may have stopped waiting.
        let _ = whole.send(bytes);
    });
    receiver
}

#[test]
fn a_difference_and_a_hang_fail_the_test() {
    let sh = |script: &str| Run::program("/bin/sh", ["-c", script]);
    sh("echo out; echo err >&2; exit 3").end().is(3, "out\n", "err\n");
    sh("pwd; cat").end().is(0, "[DIR]\n", "");
    let different = |status, stdout: &'static str, stderr: &'static str| {
        std::panic::catch_unwind(|| sh("echo out; echo err >&2; exit 3").end().is(status, stdout, stderr)).is_err()
    };
    assert!(different(0, "out\n", "err\n") && different(3, "out", "err\n") && different(3, "out\n", ""));
    let hang = || Run { patience: Duration::from_millis(100), ..sh("sleep 1000 & sleep 1000") };
    assert!(std::panic::catch_unwind(|| hang().end()).is_err());
    let late = |script: &str| output(Command::new("/bin/sh").args(["-c", script]), Duration::from_millis(500)).unwrap_err();
    assert!(late("echo said; exec sleep 1000").ends_with("did not end, and was killed after 500ms; it said:\nsaid\n\n"));
    let held = late("echo said >&2; sleep 1000 &");
    assert!(held.ends_with("left a process behind that holds its outputs, and was killed after 500ms; it said:\n\nsaid\n"), "{held}");
}

#[test]
fn a_golden_file_is_compared_and_rewritten_only_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sub/file");
    let differs = |text: &str| std::panic::catch_unwind(|| compare(&path, text, false)).is_err();
    assert!(differs("text"));
    compare(&path, "text", true);
    assert!(!differs("text") && differs("other"));
}
