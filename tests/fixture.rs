//! One proved image for all tests that need one: built by the real program, kept in `target/vm` for the next run.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// The password of the image's root account.
pub const PASSWORD: &str = "correct horse battery staple";

/// The image and its inputs.
pub struct Fixture {
    /// The artifact's directory.
    pub artifact: PathBuf,
    /// A private key whose public half root's `authorized_keys` has.
    pub key: PathBuf,
}

/// The directory for the machines of tests.
pub fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/vm")
}

/// The `--set` that gives root [`PASSWORD`] (through `ROOT_PASSWORD`) and the fixture's key.
pub fn root_override(key: &Path) -> String {
    format!("system.root={{ password_env = \"ROOT_PASSWORD\", ssh_key_files = [\"{}.pub\"] }}", key.display())
}

/// `goldsmith` as the tests run it for machines: the caller's environment, the fixture's store.
pub fn goldsmith(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_goldsmith"));
    command.args(arguments).env("ROOT_PASSWORD", PASSWORD).env("GOLDSMITH_STORE", place().join("store"));
    command
}

/// The fixture. It is built when it does not exist yet, or when its recipe or packages have changed.
pub fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let place = place();
        fs::create_dir_all(&place).unwrap();
        let key = place.join("id_ed25519");
        if !key.exists() {
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "fixture", "-f"]).arg(&key).status();
            assert!(made.expect("ssh-keygen is installed").success());
        }
        let artifact = place.join("debian-12-docker");
        let output = artifact.to_str().unwrap();
        let built = goldsmith(&["build", "debian-12-docker", "--force", "-o", output, "--set", &root_override(&key)]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Fixture { artifact, key }
    })
}

/// Tests that run machines at the same time. An emulated guest has one processor and keeps one of two cores busy; deadlines are long enough
/// for twice as many guests.
const MACHINE_TESTS: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// The longest time of a test with machines. A longer test counts as hanging and ends the whole run, because otherwise it would print
/// nothing until the run is ended from outside.
const LONGEST: Duration = Duration::from_secs(45 * 60);

/// The right to run machines, until it is dropped.
#[derive(Debug)]
pub struct Machines {
    /// On drop, it stops the clock.
    _ended: mpsc::Sender<()>,
}

/// Wait for the right to run machines.
pub fn machines() -> Machines {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut running = ENDED.wait_while(running, |running| *running == MACHINE_TESTS).unwrap_or_else(PoisonError::into_inner);
    *running += 1;
    let (ended, end) = mpsc::channel();
    let test = thread::current().name().unwrap_or_default().to_owned();
    thread::spawn(move || {
        if end.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
            let processes = Command::new("ps").args(["-eo", "pid,ppid,stat,etime,args"]).output().map(|output| output.stdout);
            // `println!` would add to the captured output of the test, which is never shown in this case.
            let _ = writeln!(io::stderr(), "{test} hangs: it has had machines for {LONGEST:?}");
            let _ = io::stderr().write_all(&processes.unwrap_or_default());
            std::process::exit(1);
        }
    });
    Machines { _ended: ended }
}

impl Drop for Machines {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

/// Whether `marker` is anywhere on the disk `image`, as qemu-img reads it.
pub fn holds(image: &Path, marker: &[u8]) -> bool {
    let raw = place().join("searched.raw");
    let converted = Command::new("qemu-img").args(["convert", "-O", "raw"]).args([image, &raw]).output().unwrap();
    assert!(converted.status.success(), "{converted:?}");
    let mut file = fs::File::open(&raw).unwrap();
    // The end of each chunk is kept before the next, so that a marker across the border is found.
    let (mut chunk, mut kept, mut found) = (vec![0; 1 << 20], Vec::new(), false);
    while let Ok(read @ 1..) = file.read(&mut chunk)
        && !found
    {
        if chunk[..read].iter().any(|byte| *byte != 0) {
            kept.extend_from_slice(&chunk[..read]);
            found = kept.windows(marker.len()).any(|window| window == marker);
            kept.drain(..kept.len().saturating_sub(marker.len() - 1));
        } else {
            kept.clear();
        }
    }
    fs::remove_file(raw).unwrap();
    found
}
