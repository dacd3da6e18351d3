//! Local machines with names, as a user works with them: `up`, `exec`, `shell`, `ssh`, `ps`, `logs`, `stop`, `start`, `rm` and similar
//! commands.

mod equipment;
mod kills;
mod publish;
mod volumes;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use goldsmith::machine::runner::resident;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{fixture, goldsmith, machines, place, root_override};
use crate::machine_qemu::{HANG, addresses_of, parent_of, sector};
use crate::run_cases::free_port;
use crate::support::output;

/// The longest time of one command here: eight systems boot in six minutes.
const PATIENCE: Duration = Duration::from_secs(1200);

/// A separate state directory.
struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = goldsmith(args);
        command.env("XDG_STATE_HOME", self.dir.path()).env("GOLDSMITH_STORE", self.dir.path().join("store")).env("TERM", "vt220");
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Output {
        ended(&mut self.command(args))
    }

    /// The standard output of a command that must succeed.
    #[track_caller]
    fn said(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The standard error of a command that must end with `status`.
    #[track_caller]
    fn refused(&self, args: &[&str], status: i32) -> String {
        let output = self.run(args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
        said
    }

    /// The only machine in the list of `ps`.
    #[track_caller]
    fn only(&self) -> Value {
        let listed: Value = serde_json::from_str(&self.said(&["ps", "--json"])).unwrap();
        let machines = listed["machines"].as_array().unwrap();
        assert_eq!(machines.len(), 1, "{listed}");
        machines[0].clone()
    }

    fn machine(&self, name: &str) -> PathBuf {
        self.dir.path().join("goldsmith/machines").join(name)
    }

    /// The processes whose command line names this directory: supervisors and QEMU.
    fn processes(&self) -> Vec<i32> {
        let here = self.dir.path().to_str().unwrap().as_bytes();
        let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter(|pid| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.windows(here.len()).any(|part| part == here)))
            .collect()
    }

    /// The state of the machines of a failed test.
    fn told(&self) -> String {
        let mut ps = Command::new("ps");
        // This process is added, because `ps` does not accept an empty list.
        let pids = self.processes().into_iter().chain([std::process::id().cast_signed()]).map(|pid| pid.to_string());
        ps.args(["-o", "pid,ppid,stat,wchan:20,etime,args", "-p", &pids.collect::<Vec<_>>().join(",")]);
        let (mut told, mut questions) = (String::new(), vec![self.command(&["ps"]), ps]);
        for machine in fs::read_dir(self.dir.path().join("goldsmith/machines")).into_iter().flatten().flatten() {
            let name = machine.file_name().into_string().unwrap();
            questions.extend([&["logs", &name][..], &["exec", &name, "--", "ps", "-ef"]].map(|args| self.command(args)));
            told += &format!("--- supervisor of {name}\n{}", tail(&fs::read(machine.path().join("supervisor.log")).unwrap_or_default()));
        }
        for question in &mut questions {
            told += &match output(question, Duration::from_secs(60)) {
                Ok(Output { stdout, stderr, .. }) => format!("--- {question:?}\n{}{}", tail(&stdout), tail(&stderr)),
                Err(why) => format!("--- {why}\n"),
            };
        }
        told
    }

    #[track_caller]
    fn has_no_process(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.processes().is_empty() {
            assert!(Instant::now() < deadline, "left: {:?}", self.processes());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if thread::panicking() {
            // Standard error may be closed, so an error is ignored.
            let _ = std::io::stderr().write_all(self.told().as_bytes());
        }
        // The machines of a failed test would keep running after it.
        for pid in self.processes().into_iter().filter_map(Pid::from_raw) {
            // The process may have ended in the meantime.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

/// The output of a command, which must end.
#[track_caller]
fn ended(command: &mut Command) -> Output {
    match output(command, PATIENCE) {
        Ok(output) => output,
        Err(why) => panic!("{why}"),
    }
}

/// The end of the output.
fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(8000)..]).into_owned()
}

/// The process id of a machine's QEMU.
fn qemu_of(machine: &Value) -> u32 {
    machine["qemu"].as_u64().unwrap().try_into().unwrap()
}

/// A disk that boots and does nothing.
fn idle_disk(dir: &Path) -> PathBuf {
    let path = dir.join("idle.raw");
    fs::write(&path, [&sector("up\r\n", HANG)[..], &[0; 1 << 20]].concat()).unwrap();
    path
}

#[test]
fn what_is_not_there_or_not_right_is_told_with_a_remedy() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let disk = idle_disk(dir.path());
    let disk = disk.to_str().unwrap();
    assert_eq!(home.said(&["ps"]), "no machines; `goldsmith up IMAGE` makes one\n");
    let table = dir.path().join("students.csv");
    fs::write(&table, "name,address\nanna,10.0.0.9\nben,10.0.0.9\n").unwrap();
    let table = table.to_str().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let forward = format!("{}:80", taken.local_addr().unwrap().port());
    for (args, status, said) in [
        (&["exec", "web", "--", "true"][..], 2, "error: there is no machine `web`\n  help: `goldsmith ps` lists the machines"),
        (&["stop", "web"], 2, "there is no machine `web`"),
        (&["rm", "a/b"], 2, "a name has 1 to 63 letters"),
        (&["up", "absent"], 3, "absent cannot be opened: No such file or directory"),
        (&["up", disk, "--memory", "900T"], 7, "of memory, and the host has "),
        (&["up", disk, "--disk", "4K"], 2, "a disk of 4K is too small: the image has one of 1049088\n  help: leave --disk out"),
        (&["up", disk, "--disk", "large"], 2, "`large` is not a size"),
        (&["up", disk, "--forward", &forward], 7, "of 127.0.0.1 cannot be used: Address already in use"),
        (&["up", disk, "--forward", "0:1"], 2, "`0` is no port: 1 to 65535"),
        (
            &["up", disk, "--count", "2", "--forward", "8080:80"],
            2,
            "the argument '--count <N>' cannot be used with '--forward <HOST:GUEST>'",
        ),
        (&["up", disk, "--address", "10.0.0.1"], 2, "--network <NAME>"),
        (&["up", disk, "--network", "a/b"], 2, "a name has 1 to 63 letters"),
        (&["up", disk, "--network", "lab", "--address", "10.0.0"], 2, "`10.0.0` is no IPv4 address"),
        (&["up", disk, "--network", "lab", "--address", "10.0.0.1/31"], 2, "`31` is no prefix length: 8 to 30"),
        (
            &["up", disk, "--network", "lab", "--address", "10.0.0.255/24"],
            2,
            "error: the machine cannot be put on the network `lab`: 10.0.0.255 is no machine's address: it names all of 10.0.0.0/24\n  help: ",
        ),
        (&["up", disk, "--network", "lab", "--name", "a..b"], 2, "`a..b` makes no host name\n  help: give it another one with --hostname"),
        (&["up", disk, "--ssh-key", disk], 2, "has no ssh key: "),
        (&["up", disk, "--ssh-key", "absent.pub"], 2, "absent.pub has no ssh key: No such file or directory"),
        (&["up", disk, "--from", "absent.csv"], 3, "the table absent.csv cannot be used: 1 fault\n"),
        (&["up", disk, "--from", table, "--name", "a"], 2, "cannot be used with"),
        (&["up", disk, "--from", table], 3, "line 2: an address is one of a private network: --network NAME"),
        (&["up", disk, "--from", table, "--network", "lab"], 3, "line 3: 10.0.0.9 is the address of the machine `anna`"),
        (&["up", disk, "--hostname", "a_b"], 2, "not a host name: use letters"),
        (&["up", disk, "--hostname", "a", "--count", "2"], 2, "cannot be used with '--count <N>'"),
        (&["up", disk, "--count", "0"], 2, "0 is not in 1..=999"),
        (&["up", disk, "--count", "999", "--memory", "9T"], 7, "give the machine less: --memory 1G, or make fewer machines"),
        (&["stop", "web", "--within", "18446744073709551615"], 2, "is not in 0..=31536000"),
        (&["wait", "web"], 2, "there is no machine `web`"),
        (&["screenshot", "web"], 2, "there is no machine `web`"),
        (&["--json", "shell", "web"], 2, "`shell` has no JSON"),
    ] {
        let told = home.refused(args, status);
        assert!(told.contains(said), "{args:?}: {told}");
    }
    // No machine was made.
    assert_eq!(home.said(&["ps"]), "no machines; `goldsmith up IMAGE` makes one\n");
    home.has_no_process();
}

#[test]
fn a_machine_that_has_no_runner_runs_until_it_is_stopped_and_is_told_as_it_is() {
    let _slot = machines();
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let disk = idle_disk(dir.path());
    let (idle, before) = (disk.to_str().unwrap(), fs::read(&disk).unwrap());
    // It never reports that it is up. The waiting `up` can be ended, and the machine stays.
    let mut up = home.command(&["up", idle, "--memory", "64M"]).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while !home.machine("idle").exists() || home.only()["qemu"].is_null() {
        assert!(Instant::now() < patience, "it does not start");
        thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    assert_eq!(up.wait().unwrap().code(), Some(130));
    let machine = home.only();
    assert_eq!((machine["state"].as_str(), machine["memory"].as_str()), (Some("starting"), Some("64M")), "{machine}");
    let refused = home.refused(&["exec", "idle", "--", "true"], 4);
    assert!(refused.starts_with("error: the command cannot be run in `idle`: it has no runner of goldsmith's ("), "{refused}");
    assert!(home.refused(&["rm", "idle"], 2).contains("is running\n  help: stop it first: goldsmith stop idle"));
    let other = dir.path().join("other.raw");
    fs::copy(&disk, &other).unwrap();
    let taken = home.refused(&["up", other.to_str().unwrap(), "--name", "idle"], 2);
    assert!(taken.contains("there is a machine `idle` already, made from "), "{taken}");
    // The firmware's output comes first.
    while !home.said(&["logs", "idle"]).contains("up\r\n") {
        assert!(Instant::now() < patience, "its console says nothing");
        thread::sleep(Duration::from_millis(50));
    }

    // A picture is taken of it, and waiting for it fails.
    let picture = home.dir.path().join("idle.png");
    home.said(&["screenshot", "idle", picture.to_str().unwrap()]);
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let late = home.refused(&["wait", "idle", "--within", "0"], 4);
    assert!(late.starts_with("error: the machine `idle` is starting after 0 s, and not up\n"), "{late}");
    let shown = home.said(&["inspect", "idle"]);
    for part in
        [format!("image       {idle}\n"), "memory      64M\n".to_owned(), format!("{}/disk.qcow2\n", home.machine("idle").display())]
    {
        assert!(shown.contains(&part), "{part}: {shown}");
    }
    let shown: Value = serde_json::from_str(&home.said(&["inspect", "idle", "--json"])).unwrap();
    assert_eq!((&shown["name"], &shown["qemu"], &shown["isolated"]), (&Value::from("idle"), &machine["qemu"], &Value::from(false)));

    // A snapshot of its disk can be saved while it runs, and also when it is off.
    home.said(&["snapshot", "save", "idle", "one"]);
    for (args, status, told) in [
        (&["save", "idle", "one"][..], 2, "the machine `idle` has a snapshot `one` already\n  help: choose another name"),
        (&["restore", "idle", "one"], 2, "stop it first: goldsmith stop idle"),
        (&["remove", "idle", "on"], 2, "the machine `idle` has no snapshot `on`\n  help: did you mean `one`?"),
        (&["save", "idle", "a/b"], 2, "a name has 1 to 63 letters"),
    ] {
        let refused = home.refused(&[&["snapshot"], args].concat(), status);
        assert!(refused.contains(told), "{refused}");
    }
    home.said(&["snapshot", "save", "idle", "two"]);
    home.said(&["snapshot", "remove", "idle", "one"]);
    let listed = home.said(&["snapshot", "list", "idle"]);
    assert!(listed.lines().count() == 1 && listed.ends_with("Z  two\n"), "{listed}");

    let unreached = home.refused(&["clone", "--prove", idle, "--memory", "64M"], 4);
    assert!(unreached.contains("error: a clone of the image failed: the machine `clone-"), "{unreached}");
    assert_eq!(fs::read_dir(home.dir.path().join("goldsmith")).unwrap().count(), 1, "clones are left");

    // The supervisor is killed. QEMU ends with it, and that is reported.
    let supervisor = parent_of(qemu_of(&machine));
    kill_process(Pid::from_raw(supervisor).unwrap(), Signal::KILL).unwrap();
    home.has_no_process();
    let machine = home.only();
    assert_eq!((machine["state"].as_str(), machine["detail"].as_str()), (Some("off"), Some("its supervisor was killed, or it never ran")));

    // qemu-img takes a name of digits as the number of another snapshot. After that, the disk has the state of the first one.
    let disk_of = home.machine("idle").join("disk.qcow2");
    let qemu_io = |command: &str| {
        let ran = ended(Command::new("qemu-io").args(["-f", "qcow2", "-c", command]).arg(&disk_of));
        assert!(ran.status.success() && !String::from_utf8_lossy(&ran.stdout).contains("failed"), "{command}: {ran:?}");
    };
    qemu_io("write -P 7 4096 4096");
    home.said(&["snapshot", "save", "idle", "2"]);
    qemu_io("write -P 9 4096 4096");
    home.said(&["snapshot", "save", "idle", "1"]);
    for (snapshot, pattern) in [("2", 7), ("1", 9), ("2", 7)] {
        home.said(&["snapshot", "restore", "idle", snapshot]);
        qemu_io(&format!("read -P {pattern} 4096 4096"));
    }
    for snapshot in ["1", "2"] {
        home.said(&["snapshot", "remove", "idle", snapshot]);
    }
    home.said(&["snapshot", "restore", "idle", "two"]);
    home.said(&["snapshot", "remove", "idle", "two"]);
    assert_eq!(home.said(&["snapshot", "list", "idle"]), "no snapshots\n");
    home.said(&["wait", "idle", "--off", "--within", "0"]);
    assert!(home.refused(&["wait", "idle"], 4).contains("help: start it: goldsmith start idle"));

    // With another image under the machine's disk, the disk would show garbage.
    fs::write(&disk, &before[..1 << 20]).unwrap();
    let changed = home.refused(&["start", "idle"], 3);
    assert!(changed.contains("is not the image any more that it was made from\n  help: bring the image back"), "{changed}");
    home.said(&["rm", "idle"]);
    assert!(!home.machine("idle").exists());
}

#[test]
fn several_machines_have_numbers() {
    let _slot = machines();
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let disk = idle_disk(dir.path());
    let words = ["up", disk.to_str().unwrap(), "--name", "lab", "--count", "3", "--memory", "64M"];
    let listed = || -> Vec<Value> {
        let listed: Value = serde_json::from_str(&home.said(&["ps", "--json"])).unwrap();
        listed["machines"].as_array().unwrap().clone()
    };
    // A second call has the same result as the first.
    for _ in 0..2 {
        let mut up = home.command(&words).stderr(Stdio::null()).spawn().unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        while listed().iter().filter(|machine| machine["qemu"].is_u64()).count() < 3 {
            assert!(Instant::now() < patience, "they do not start: {:?}", listed());
            thread::sleep(Duration::from_millis(50));
        }
        kill_process(Pid::from_child(&up), Signal::INT).unwrap();
        up.wait().unwrap();
    }
    let names: Vec<String> = listed().iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["lab-1", "lab-2", "lab-3"]);
    home.said(&["rm", "--force", "lab-1", "lab-2", "lab-3"]);
    home.has_no_process();
    assert!(listed().is_empty() && fs::read_dir(home.dir.path().join("goldsmith/machines")).unwrap().count() == 0);
}

#[test]
fn a_machine_is_reached_without_network_key_or_agent() {
    let _slot = machines();
    let home = Home::new();
    let artifact = fixture().artifact.to_str().unwrap();
    let image = fixture().artifact.join("debian-12-docker.qcow2");
    let before = fs::metadata(&image).unwrap().modified().unwrap();
    let port = free_port();
    let forward = format!("{port}:22");
    let key = home.dir.path().join("key");
    assert!(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    let public = format!("{}.pub", key.display());
    let mut up = vec!["up", artifact, "--name", "vm", "--memory", "1G", "--isolated", "--forward", &forward];
    up.extend(["--network", "lab", "--hostname", "vm.lab", "--ssh-key", &public, "--disk", "10G", "--autologin"]);
    home.said(&up);
    let again = home.run(&up);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stderr).contains("vm is up already"), "{again:?}");
    assert!(home.machine("vm/boot/console.log").exists());
    home.said(&["wait", "vm", "--within", "0"]);
    assert_eq!(home.said(&["port", "vm"]), format!("127.0.0.1:{port} -> 22\n"));

    // The two outputs are separate, the status is returned, and no shell expands the words.
    let output = home.run(&["exec", "vm", "--", "sh", "-c", "echo out; echo err > /dev/stderr; exit 7"]);
    assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(7), &b"out\n"[..], &b"err\n"[..]));
    assert_eq!(home.said(&["exec", "vm", "printf", "<%s>", "a b", "it's\n$HOME", ""]), "<a b><it's\n$HOME><>");
    assert_eq!(home.refused(&["exec", "vm", "--", "no-such-command"], 127), "no-such-command: command not found\n");
    assert_eq!(home.said(&["exec", "vm", "--", "docker", "info", "--format", "{{.ServerVersion}}"]), "20.10.24+dfsg1\n");

    // The disk is larger than the image's, and the system has grown into it.
    let size: u64 = home.said(&["exec", "vm", "--", "df", "--output=size", "-B1", "/"]).lines().last().unwrap().trim().parse().unwrap();
    assert!(size > 9 << 30, "{size}");

    // Every byte value is sent in both directions, more bytes than any buffer on the way has.
    let bytes: Vec<u8> = (0..3 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sent = home.dir.path().join("sent");
    fs::write(&sent, &bytes).unwrap();
    let through = format!("cat {} | {} exec vm -- cat", sent.display(), env!("CARGO_BIN_EXE_goldsmith"));
    let output = ended(Command::new("sh").args(["-c", &through]).env("XDG_STATE_HOME", home.dir.path()));
    assert!(output.stdout == bytes, "the bytes came back otherwise: {}", String::from_utf8_lossy(&output.stderr));
    a_reader_may_be_slow(&home, &bytes[..3 << 19]);

    a_mark_s_beginning_goes_through_at_once(&home);

    // Several commands at once, and one that leaves a process with its output open.
    let told = &|n: u32| home.said(&["exec", "vm", "--", "sh", "-c", &format!("sleep 1; echo {n}")]);
    let said: Vec<String> = thread::scope(|scope| {
        let jobs: Vec<_> = (0..5).map(|n| scope.spawn(move || told(n))).collect();
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    assert_eq!(said, ["0\n", "1\n", "2\n", "3\n", "4\n"]);
    assert_eq!(home.said(&["exec", "vm", "--", "sh", "-c", "sleep 1000 & echo begun"]), "begun\n");
    assert_eq!(home.said(&["exec", "vm", "--", "echo", "next"]), "next\n");

    // The terminal has the size of the user's.
    let mut terminal = Command::new("script");
    terminal.args(["-qefc", &format!("stty rows 33 cols 99; {} exec -t vm stty size", env!("CARGO_BIN_EXE_goldsmith")), "/dev/null"]);
    let output = ended(terminal.env("XDG_STATE_HOME", home.dir.path()));
    assert!(String::from_utf8_lossy(&output.stdout).contains("33 99"), "{output:?}");

    // ssh with a key that the image does not have and without a port; files are copied with the configuration of `ssh-config`. Several
    // log-ins at once, when no server has a key yet.
    let log_in = || home.run(&["ssh", "vm", "id", "-un"]);
    let outputs = thread::scope(|scope| [0; 3].map(|_| scope.spawn(log_in)).map(|seat| seat.join().unwrap()));
    for output in &outputs {
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"root\n"[..], &b""[..]), "{output:?}");
    }
    let config = home.dir.path().join("ssh.conf");
    fs::write(&config, home.said(&["ssh-config", "vm"])).unwrap();
    let copied = ended(Command::new("scp").arg("-F").arg(&config).args(["vm:/etc/os-release"]).arg(home.dir.path()));
    assert!(copied.status.success(), "{copied:?}");
    assert!(fs::read_to_string(home.dir.path().join("os-release")).unwrap().contains("bookworm"));

    copies_go_both_ways(&home);
    it_is_one_of_its_network(&home, artifact);
    several_sit_at_the_console(&home);

    // Only the forwarded port listens, and nothing leaves the machine.
    assert_eq!(addresses_of(qemu_of(&home.only())), [format!("0100007F:{port:04X}")]);
    let host = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let reach = format!(
        "timeout 5 bash -c ': < /dev/tcp/10.0.2.2/{}' 2>/dev/null && echo reached || echo closed",
        host.local_addr().unwrap().port()
    );
    assert_eq!(home.said(&["exec", "vm", "--", "sh", "-c", &reach]), "closed\n");

    // The forwarded port leads to the image's own ssh server. It accepts the key of the image and the key of this machine.
    for key in [&fixture().key, &key] {
        let mut ssh = Command::new("ssh");
        ssh.args("-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o IdentitiesOnly=yes -p".split(' '));
        let output = ended(ssh.args([&port.to_string(), "-i"]).arg(key).args(["root@127.0.0.1", "hostname"]));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "vm.lab\n", "{output:?}");
    }

    home.said(&["exec", "vm", "--", "sh", "-c", "echo before > /root/state"]);
    home.said(&["snapshot", "save", "vm", "running"]);
    home.said(&["exec", "vm", "--", "sh", "-c", "echo after > /root/state"]);
    assert!(home.refused(&["snapshot", "restore", "vm", "running"], 2).contains("help: stop it first: goldsmith stop vm"));
    home.said(&["stop", "vm"]);
    home.has_no_process();
    let machine = home.only();
    assert_eq!((machine["state"].as_str(), machine["detail"].as_str()), (Some("off"), Some("powered off")));
    it_goes_back_to_what_it_was(&home);
    let off = home.refused(&["exec", "vm", "true"], 4);
    assert!(off.contains("is not running: powered off at ") && off.contains("goldsmith start vm"), "{off}");
    assert_eq!(fs::metadata(&image).unwrap().modified().unwrap(), before);
    home.said(&["rm", "vm"]);
    assert!(!home.machine("vm").exists());
}

/// The output of a command that has ended waits for its reader, on the way from the guest, while more commands run than there are places. It is more
/// than the host's sockets take, and less than fits into the guest's queue beside them.
fn a_reader_may_be_slow(home: &Home, bytes: &[u8]) {
    let sent = home.dir.path().join("some");
    fs::write(&sent, bytes).unwrap();
    let mut reader = Command::new("sh");
    let (goldsmith, dir) = (env!("CARGO_BIN_EXE_goldsmith"), home.dir.path().display());
    reader.args([
        "-c",
        &format!("{goldsmith} exec vm -- sh -c 'cat; touch /run/done' < {} | {{ cat {dir}/go > /dev/null; cat; }}", sent.display()),
    ]);
    let go = home.dir.path().join("go");
    rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| ended(reader.env("XDG_STATE_HOME", home.dir.path())));
        // On a host with smaller sockets it does not end before it is read.
        let ended = "tries=0; until [ -e /run/done ] || [ $tries = 100 ]; do sleep 0.2; tries=$((tries + 1)); done";
        home.said(&["exec", "vm", "--", "sh", "-c", ended]);
        for n in 0..=resident::SLOTS {
            assert_eq!(home.said(&["exec", "vm", "--", "echo", &n.to_string()]), format!("{n}\n"));
        }
        fs::write(&go, "").unwrap();
        let output = reader.join().unwrap();
        let (came, said) = (output.stdout.len(), String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == bytes, "{came} of {} bytes came back: {said}", bytes.len());
    });
}

/// Two machines go on from one saved state. Nothing that must be their own is shared, and the second start of one is a boot.
#[test]
fn warm_machines_go_on_from_one_state_and_share_nothing() {
    let _slot = machines();
    let home = Home::new();
    let artifact = &a_state_is_published(&home).into_os_string().into_string().unwrap();
    let said = home.run(&["up", artifact, "--name", "w", "--count", "2", "--network", "lab", "--warm"]);
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && told.contains("expand the saved state") && !told.contains("save a booted"), "{told}");
    // No state is looked for when there is no machine to make.
    let again = home.run(&["up", artifact, "--name", "w", "--count", "2", "--network", "lab", "--warm"]);
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success() && told.contains("without a saved state: the machines are there already"), "{told}");
    home.said(&["wait", "w-1", "w-2", "--within", "900"]);
    // The address of the state's card is not theirs, and the names of both are known.
    for (from, to) in [("w-1", "w-2"), ("w-2", "w-1")] {
        assert_eq!(home.said(&["exec", from, "--", "hostname"]), format!("{from}\n"));
        home.said(&["exec", from, "--", "ping", "-c", "1", "-W", "60", to]);
        assert_eq!(home.said(&["exec", from, "--", "docker", "info", "--format", "{{.ServerVersion}}"]), "20.10.24+dfsg1\n");
        assert_eq!(home.said(&["exec", from, "--", "systemctl", "list-units", "--failed", "--no-legend"]), "");
    }
    // What the guest's own generator gives, and what PID 1 and journald say of the boot.
    let own = "cat /etc/machine-id /proc/sys/kernel/random/boot_id; head -c 32 /dev/urandom | sha256sum; cat /etc/ssh/ssh_host_*.pub; \
               docker info --format {{.ID}}; sha256sum < /var/lib/systemd/random-seed";
    let [one, other] = ["w-1", "w-2"].map(|name| home.said(&["exec", name, "--", "sh", "-c", own]));
    assert_eq!((one.lines().count(), other.lines().count()), (8, 8), "{one}{other}");
    for (one, other) in one.lines().zip(other.lines()) {
        assert_ne!(one, other);
    }
    let boot = "printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"echo %%b > /run/told\"\\n' > /run/systemd/system/told.service; \
                systemctl daemon-reload && systemctl start told && cat /run/told; tr -d - < /proc/sys/kernel/random/boot_id; \
                journalctl -n 1 -o json | tr , '\\n' | sed -n 's/.*_BOOT_ID\":\"\\([^\"]*\\).*/\\1/p'";
    let ids = home.said(&["exec", "w-1", "--", "sh", "-c", boot]);
    assert!(ids.lines().count() == 3 && ids.lines().all(|id| id.len() == 32 && ids.starts_with(id)), "{ids}");
    let clock: i64 = home.said(&["exec", "w-1", "--", "date", "+%s"]).trim().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((now - clock).abs() < 60, "{clock} in the guest, {now} here");

    home.said(&["rm", "--force", "w-2"]);
    home.said(&["stop", "w-1"]);
    home.said(&["start", "w-1"]);
    assert_eq!(home.said(&["exec", "w-1", "--", "cat", "/etc/machine-id"]).trim(), one.lines().next().unwrap());
    home.said(&["rm", "--force", "w-1"]);
    home.has_no_process();
}

/// An artifact with the state of its system, that was moved away from where it was built.
fn a_state_is_published(home: &Home) -> PathBuf {
    let (built, moved) = (home.dir.path().join("built"), home.dir.path().join("moved"));
    let key = root_override(&fixture().key);
    let mut build = goldsmith(&["build", "debian-12-docker", "--set", &key, "--set", "output.warm=true", "--set", "run.memory=768M", "-o"]);
    let output = ended(build.arg(&built));
    assert!(output.status.success(), "{output:?}");
    let state = built.join("debian-12-docker.warm.tar.zst");
    let mut find = Command::new("sh");
    find.args(["-c", "zstd -dc \"$1\" | grep -a -c -F -e \"$2\" -e \"$3\"", "sh"]).arg(&state).args([home.dir.path(), &place()]);
    let found = ended(&mut find);
    assert_eq!((&found.stdout[..], &found.stderr[..]), (&b"0\n"[..], &b""[..]), "directories of this host are in the state");
    fs::rename(&built, &moved).unwrap();
    let sums = ended(Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(&moved));
    assert!(sums.status.success() && String::from_utf8_lossy(&sums.stdout).contains("debian-12-docker.warm.tar.zst: OK"), "{sums:?}");
    let manifest: Value = serde_json::from_slice(&fs::read(moved.join("manifest.json")).unwrap()).unwrap();
    let is_proof = |check: &Value| check["name"] == "two warm clones differ: machine id" && check["outcome"] == "passed";
    assert!(manifest["checks"].as_array().unwrap().iter().any(is_proof), "{}", manifest["checks"]);
    assert_eq!((&manifest["warm"]["memory"], &manifest["warm"]["file"]), (&"768M".into(), &"debian-12-docker.warm.tar.zst".into()));
    moved
}

/// A state that is gone, or was saved by another QEMU, is no reason to fail: the machine boots, with an identity of its own, and says why.
#[test]
#[ignore = "boots the default image three times; ci/full runs it"]
fn a_machine_without_its_state_boots_and_ten_proofs_of_warm_ones_hold() {
    let _slot = machines();
    let home = Home::new();
    let artifact = fixture().artifact.to_str().unwrap();
    for _ in 0..10 {
        home.said(&["clone", "--prove", "--warm", artifact]);
    }
    // Start machines whose first start did not take place, as after a power cut: their records name a state.
    home.said(&["up", artifact, "--name", "saved", "--memory", "1G", "--warm"]);
    home.said(&["rm", "--force", "saved"]);
    let layers = home.dir.path().join("store/v1/layers");
    let state = fs::read_dir(&layers).unwrap().next().unwrap().unwrap().path();
    let about = fs::read_to_string(state.join("warm.json")).unwrap();
    for (text, why) in [
        (Some(about.replacen("\"qemu\": \"", "\"qemu\": \"9", 1)), "its state was saved with QEMU 9"),
        (None, "its saved state is not in the store any more"),
    ] {
        home.said(&["up", artifact, "--name", "vm", "--memory", "1G", "--isolated"]);
        home.said(&["stop", "vm"]);
        let record = home.machine("vm").join("machine.json");
        let mut machine: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        machine["warm"] = serde_json::json!(state);
        fs::write(&record, machine.to_string()).unwrap();
        match text {
            Some(text) => fs::write(state.join("warm.json"), text).unwrap(),
            None => fs::remove_dir_all(&state).unwrap(),
        }
        let started = home.run(&["start", "vm"]);
        let told = String::from_utf8_lossy(&started.stderr);
        assert!(started.status.success() && told.contains(&format!("it was booted: {why}")), "{told}");
        assert_eq!(home.said(&["exec", "vm", "--", "docker", "info", "--format", "{{.ServerVersion}}"]), "20.10.24+dfsg1\n");
        home.said(&["rm", "--force", "vm"]);
    }
    home.has_no_process();
}

/// A command prints the beginning of the mark that ends its output, and then waits for an answer.
fn a_mark_s_beginning_goes_through_at_once(home: &Home) {
    for beginning in ["\u{1e}", "\u{1e}goldsmith "] {
        let script = format!("printf '{beginning}'; read -r answer; echo \"got $answer\"; exit 3");
        let mut asks = home.command(&["exec", "vm", "--", "sh", "-c", &script]);
        let mut child = asks.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut answer, mut said) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (heard, come) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut bytes = vec![0; beginning.len()];
                // If the output ends early, nothing is sent.
                let _ = said.read_exact(&mut bytes).map(|()| heard.send(bytes).unwrap());
                let mut rest = String::new();
                said.read_to_string(&mut rest).unwrap();
                assert_eq!(rest, "got it\n");
            });
            let come = come.recv_timeout(Duration::from_secs(120));
            // Answer also when no output arrived, so that the command ends.
            answer.write_all(b"it\n").unwrap();
            drop(answer);
            assert_eq!(come.as_deref(), Ok(beginning.as_bytes()), "held back");
        });
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }
}

/// Its disk goes back to the snapshot that was saved while it ran, and then to the one that was saved when it was off.
fn it_goes_back_to_what_it_was(home: &Home) {
    home.said(&["snapshot", "save", "vm", "off"]);
    let flat = home.dir.path().join("flat.raw");
    for (snapshot, text) in [("running", "before\n"), ("off", "after\n")] {
        home.said(&["snapshot", "restore", "vm", snapshot]);
        let mut flatten = Command::new("qemu-img");
        assert!(ended(flatten.args(["convert", "-O", "raw"]).arg(home.machine("vm/disk.qcow2")).arg(&flat)).status.success());
        assert_eq!(home.said(&["image", "cat", flat.to_str().unwrap(), "/root/state"]), text);
        fs::remove_file(&flat).unwrap();
    }
    let listed: Value = serde_json::from_str(&home.said(&["snapshot", "list", "vm", "--json"])).unwrap();
    let names: Vec<_> = listed["snapshots"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["running", "off"]);
}

/// Two terminals are connected. Both show the text that is typed on one and the answer of the system.
fn several_sit_at_the_console(home: &Home) {
    let shown = |number: u32| home.dir.path().join(format!("console-{number}"));
    let mut seats: Vec<_> = (0..2)
        .map(|number| {
            let mut seat = Command::new("script");
            seat.args(["-qefc", &format!("{} console vm", env!("CARGO_BIN_EXE_goldsmith")), "/dev/null"]);
            seat.env("XDG_STATE_HOME", home.dir.path()).stdin(Stdio::piped()).stdout(fs::File::create(shown(number)).unwrap());
            seat.spawn().unwrap()
        })
        .collect();
    let patience = Instant::now() + Duration::from_secs(120);
    let both_see = |text: &str| {
        while (0..2).any(|number| !String::from_utf8_lossy(&fs::read(shown(number)).unwrap()).contains(text)) {
            assert!(Instant::now() < patience, "{text}: {:?}", (0..2).map(|number| fs::read_to_string(shown(number))).collect::<Vec<_>>());
            thread::sleep(Duration::from_millis(50));
        }
    };
    // A key that is typed before the terminal is raw may be lost.
    both_see("the console of vm");
    // The kernel may have written text behind the prompt.
    seats[0].stdin.as_mut().unwrap().write_all(b"\r").unwrap();
    both_see("root@vm:~# ");
    seats[0].stdin.as_mut().unwrap().write_all(b"echo $((40 + 2))-$(id -u)\r").unwrap();
    both_see("42-0");
    for seat in &mut seats {
        seat.stdin.as_mut().unwrap().write_all(&[0x1d]).unwrap();
        let left = loop {
            match seat.try_wait().unwrap() {
                Some(left) => break left,
                None => assert!(Instant::now() < patience, "the console cannot be left"),
            }
            thread::sleep(Duration::from_millis(50));
        };
        assert!(left.success());
    }
}

/// It has its own host name and address, and it can resolve the names of other machines as they start and end.
fn it_is_one_of_its_network(home: &Home, artifact: &str) {
    let answer = |command: &str| home.said(&["exec", "vm", "--", "sh", "-c", command]);
    assert_eq!(home.only()["network"], serde_json::json!({ "name": "lab", "address": "10.207.0.1", "prefix": 24 }));
    assert_eq!(answer("cat /etc/hostname; hostname; hostname -f; getent hosts vm"), "vm.lab\nvm.lab\nvm.lab\n10.207.0.1      vm.lab vm\n");
    assert!(answer("ip -o -4 addr show to 10.207.0.0/24").contains(" inet 10.207.0.1/24 "));
    let taken = home.refused(&["up", artifact, "--name", "other", "--network", "lab", "--address", "10.207.0.1"], 2);
    assert!(taken.contains("10.207.0.1 is the address of the machine `vm`"), "{taken}");
    let elsewhere = home.refused(&["up", artifact, "--name", "vm"], 2);
    assert!(elsewhere.contains("the machine `vm` was made with 10.207.0.1/24 on lab\n"), "{elsewhere}");
    // Another machine. Its name is known even when it does not run.
    let record = home.machine("vm").join("machine.json");
    let other = fs::read_to_string(record).unwrap().replace("10.207.0.1", "10.207.0.2").replace("vm.lab", "db").replace("\"vm\"", "\"db\"");
    fs::create_dir(home.machine("db")).unwrap();
    fs::write(home.machine("db").join("machine.json"), other).unwrap();
    let comes_to_be = |text: &str| {
        let patience = Instant::now() + Duration::from_secs(60);
        while answer("getent hosts db || echo unknown") != text {
            assert!(Instant::now() < patience, "{}", answer("cat /etc/hosts"));
        }
    };
    comes_to_be("10.207.0.2      db\n");
    home.said(&["rm", "db"]);
    comes_to_be("unknown\n");
}

/// Trees are copied into the machine and out of it, with all characters that a file system allows in a name, and with missing files.
fn copies_go_both_ways(home: &Home) {
    let dir = home.dir.path().join("copies");
    let site = dir.join("site");
    fs::create_dir_all(site.join("deep/er")).unwrap();
    fs::write(site.join("deep/er/page"), vec![b'p'; 300_000]).unwrap();
    fs::write(site.join("run \u{e9}'\n.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(site.join("deep/er/page"), fs::Permissions::from_mode(0o4751)).unwrap();
    std::os::unix::fs::symlink("deep/er/page", site.join("link")).unwrap();
    let here = |path: &str| dir.join(path).to_str().unwrap().to_owned();

    assert_eq!(home.said(&["cp", &here("site"), "vm:/srv"]), "vm:/srv: 6 files, 293 KiB\n");
    assert_eq!(home.said(&["cp", &here("site"), "vm:/srv/other"]), "vm:/srv/other: 6 files, 293 KiB\n");
    assert_eq!(home.said(&["cp", &here("site/link"), "vm:page"]), "vm:page: 1 file, 293 KiB\n");
    let facts = "cd /srv && diff -r site other && stat -c '%U %a' site/deep/er/page && readlink site/link && wc -c < /root/page";
    assert_eq!(home.said(&["exec", "vm", "--", "sh", "-c", facts]), "root 4751\ndeep/er/page\n300000\n");

    assert_eq!(home.said(&["cp", "vm:/srv/site", &here("back")]), format!("{}: 6 files, 293 KiB\n", here("back")));
    let same = Command::new("diff").args(["-r", "--no-dereference", &here("site"), &here("back")]).output().unwrap();
    assert!(same.status.success(), "{same:?}");
    assert_eq!(fs::metadata(here("back/deep/er/page")).unwrap().permissions().mode() & 0o7777, 0o751);
    home.said(&["cp", "vm:/etc/hostname", "vm:page", &here("")]);
    assert_eq!((fs::read_to_string(here("hostname")).unwrap().as_str(), fs::metadata(here("page")).unwrap().len()), ("vm.lab\n", 300_000));

    for (args, status, said) in [
        (["cp", "vm:/absent", &here("absent")], 4, "/absent: no such file or directory"),
        (["cp", "vm:/etc/hostname", &here("hostname")], 7, "hostname cannot be copied: entity already exists"),
        (["cp", &here("absent"), "vm:/srv"], 7, "absent cannot be copied: No such file or directory"),
        (["cp", &here("hostname"), "vm:/absent/er/hostname"], 4, "cd: "),
        (["cp", &here("hostname"), "vm:/proc/hostname"], 4, "tar: "),
        (["cp", "vm:/dev/null", &here("null")], 7, "it is neither a file nor a directory"),
    ] {
        let told = home.refused(&args, status);
        assert!(told.contains(said), "{args:?}: {told}");
    }
    let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

/// After a reboot the guest's new kernel is booted, and the files on the disk are there.
#[test]
#[ignore = "boots the default image several times; ci/full runs it"]
fn a_machine_comes_back_after_a_reboot_and_after_each_kill() {
    let _slot = machines();
    let home = Home::new();
    let artifact = fixture().artifact.to_str().unwrap();
    home.said(&["up", artifact, "--name", "vm", "--memory", "1G"]);
    let arguments = "sed -i 's/console=tty0/console=tty0 goldsmith_test=1/' /boot/grub/grub.cfg; echo kept > /root/kept; sync";
    home.said(&["exec", "vm", "--", "sh", "-c", arguments]);
    // The command ends with the system, or earlier.
    home.run(&["exec", "vm", "--", "reboot"]);
    let patience = Instant::now() + Duration::from_secs(600);
    while !home.run(&["exec", "vm", "--", "grep", "-q", "goldsmith_test=1", "/proc/cmdline"]).status.success() {
        assert!(Instant::now() < patience, "it does not come back: {}", home.said(&["logs", "vm"]));
        thread::sleep(Duration::from_secs(1));
    }
    for kill_supervisor in [false, true] {
        let qemu = qemu_of(&home.only());
        let victim = if kill_supervisor { parent_of(qemu) } else { qemu.cast_signed() };
        kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
        home.has_no_process();
        let machine = home.only();
        let told = if kill_supervisor { "its supervisor was killed" } else { "QEMU died under the running guest" };
        assert!(machine["state"] == "off" && machine["detail"].as_str().unwrap().contains(told), "{machine}");
        home.said(&["start", "vm"]);
        assert_eq!(home.said(&["exec", "vm", "cat", "/root/kept"]), "kept\n");
    }
    // When it is stopped while it boots, it shuts down completely and does not come up first.
    home.said(&["stop", "vm"]);
    let mut start = home.command(&["start", "vm"]).stderr(Stdio::null()).spawn().unwrap();
    while home.only()["qemu"].is_null() {
        thread::sleep(Duration::from_millis(50));
    }
    let mut stop = home.command(&["stop", "vm", "--within", "500"]).stderr(Stdio::null()).spawn().unwrap();
    start.wait().unwrap();
    while stop.try_wait().unwrap().is_none() {
        let machine = home.only();
        assert_ne!(machine["state"], "up", "{machine}");
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(home.only()["detail"], "powered off");
    home.said(&["rm", "--force", "vm"]);
    home.has_no_process();
}

/// Identities that two machines of an image have in common are reported. Machines of a sealed image have none in common.
#[test]
#[ignore = "boots the default image five times; ci/full runs it"]
fn clones_of_a_sealed_image_are_two_and_those_of_a_used_one_are_not() {
    let _slot = machines();
    let home = Home::new();
    let artifact = fixture().artifact.to_str().unwrap();
    let compared = |output: &Output| -> Vec<(String, bool)> {
        let said = String::from_utf8_lossy(&output.stdout);
        let told: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told = told.iter().find(|record| record["event"] == "clones").unwrap_or_else(|| panic!("{output:?}"));
        let own = told["own"].as_array().unwrap().iter();
        own.map(|own| (own["name"].as_str().unwrap().to_owned(), own["differs"].as_bool().unwrap())).collect()
    };
    // Files left by a killed run.
    fs::create_dir_all(home.dir.path().join("goldsmith/clones-dead/machines")).unwrap();
    let sealed = home.run(&["clone", "--prove", artifact, "--json"]);
    let all: Vec<String> =
        compared(&sealed).into_iter().map(|(name, differs)| if differs { name } else { format!("{name}: shared") }).collect();
    for name in ["machine id", "boot id", "host name", "ssh host key, ssh-ed25519", "Docker engine id"] {
        assert!(all.iter().any(|own| own == name), "{name}: {all:?}");
    }
    assert!(
        sealed.status.success() && ["random seed, ", "address of the card "].iter().all(|name| all.iter().any(|own| own.starts_with(name))),
        "{sealed:?}"
    );

    // A copy of a machine that has run.
    home.said(&["up", artifact, "--name", "used", "--memory", "1G", "--isolated"]);
    home.said(&["stop", "used"]);
    let copy = home.dir.path().join("copy.qcow2");
    let copied =
        ended(Command::new("qemu-img").args(["convert", "-O", "qcow2"]).args([home.machine("used").join("disk.qcow2"), copy.clone()]));
    assert!(copied.status.success(), "{copied:?}");
    let used = home.run(&["clone", "--prove", copy.to_str().unwrap(), "--json"]);
    assert_eq!(used.status.code(), Some(5), "{used:?}");
    let shared: Vec<String> = compared(&used).into_iter().filter(|(_, differs)| !differs).map(|(name, _)| name).collect();
    assert_eq!(
        shared,
        [
            "DHCP client id",
            "Docker engine id",
            "machine id",
            "ssh host key, ecdsa-sha2-nistp256",
            "ssh host key, ssh-ed25519",
            "ssh host key, ssh-rsa"
        ]
    );
    home.said(&["rm", "used"]);
    home.has_no_process();
    assert_eq!(fs::read_dir(home.dir.path().join("goldsmith")).unwrap().count(), 1, "clones are left");
}

/// Thirty disks from a table, three of which are booted: each has the values of its line, and differs from the others in all further
/// identities.
#[test]
#[ignore = "boots the default image three times; ci/full runs it"]
fn clones_of_a_table_are_what_it_says_when_they_boot() {
    let _slot = machines();
    let home = Home::new();
    let lab = home.dir.path().join("lab");
    let table = home.dir.path().join("students.csv");
    let key = fs::read_to_string(fixture().key.with_extension("pub")).unwrap();
    let lines: String =
        (1..=30).map(|number| format!("s{number},10.77.0.{},s{number}.lab.example,{}\n", 10 + number, key.trim())).collect();
    fs::write(&table, format!("name,address,hostname,key\n{lines}")).unwrap();
    let artifact = fixture().artifact.to_str().unwrap();
    home.said(&[
        "clone",
        artifact,
        "-o",
        lab.to_str().unwrap(),
        "--from",
        table.to_str().unwrap(),
        "--gateway",
        "10.77.0.1",
        "--dns",
        "10.77.0.1",
    ]);
    let overlays = fs::read_dir(&lab).unwrap().map(|entry| entry.unwrap().metadata().unwrap()).filter(fs::Metadata::is_file);
    let allocated: u64 = overlays.map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512).sum();
    assert!(allocated < 30 << 20, "{allocated} bytes");
    let names = ["s1", "s15", "s30"];
    let mut starting: Vec<_> = names
        .iter()
        .map(|name| {
            let disk = lab.join(format!("{name}.qcow2"));
            home.command(&["up", disk.to_str().unwrap(), "--memory", "512M"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for starting in &mut starting {
        assert!(starting.wait().unwrap().success());
    }
    let mut ids = Vec::new();
    for (name, number) in [("s1", 1), ("s15", 15), ("s30", 30)] {
        let asked = "hostname; ip -4 -o address show eth0; ip route show default; getent hosts s7; cat /root/.ssh/authorized_keys; \
                     systemctl is-system-running --wait; cat /etc/machine-id";
        let said = home.said(&["exec", name, "--", "sh", "-c", asked]);
        for part in [
            format!("s{number}.lab.example\n"),
            format!("inet 10.77.0.{}/24", 10 + number),
            "default via 10.77.0.1 dev eth0".to_owned(),
            "10.77.0.17      s7.lab.example s7".to_owned(),
            key.trim().to_owned(),
            "\nrunning\n".to_owned(),
        ] {
            assert!(said.contains(&part), "{part}: {said}");
        }
        ids.push(said.lines().last().unwrap().to_owned());
    }
    let different: BTreeSet<&String> = ids.iter().collect();
    assert!(different.len() == 3 && ids.iter().all(|id| id.len() == 32), "{ids:?}");
    home.said(&["rm", "--force", "s1", "s15", "s30"]);
    home.has_no_process();
    let listed = home.said(&["image", "cat", lab.join("s2.qcow2").to_str().unwrap(), "/etc/hostname"]);
    assert_eq!(listed, "s2.lab.example\n");
}

/// Eight systems at once with different identities. A machine that is made again, and one whose supervisor was killed, can be reached
/// again.
#[test]
#[ignore = "boots eight systems at once; ci/full runs it"]
fn machines_of_one_network_reach_each_other_by_name() {
    let _slot = machines();
    let home = Home::new();
    let artifact = fixture().artifact.to_str().unwrap();
    // The machines are isolated, because requests of a system to the Internet would open sockets on the host that do not listen.
    let up = ["up", artifact, "--name", "lab", "--count", "8", "--network", "lab", "--memory", "512M", "--isolated"];
    home.said(&up);
    let names: Vec<String> = (1..=8).map(|number| format!("lab-{number}")).collect();
    let answer = |name: &str, command: &str| home.said(&["exec", name, "--", "bash", "-c", command]);
    // Each machine connects to the ssh server of every machine, itself included. A server may still be making its keys.
    let all_reach_all = || {
        for name in &names {
            let connect = "why=$({ : < /dev/tcp/$n/22; } 2>&1) && echo $n && continue 2";
            let command =
                format!("for n in {}; do for second in {{1..120}}; do {connect}; sleep 1; done; echo \"$n: $why\"; done", names.join(" "));
            assert_eq!(answer(name, &command).split_whitespace().collect::<Vec<_>>(), names, "from {name}");
        }
    };
    all_reach_all();
    let own =
        "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /proc/sys/kernel/random/boot_id; hostname; cat /sys/class/net/*/address";
    let mut seen = std::collections::BTreeMap::new();
    for name in &names {
        for line in answer(name, own).lines().filter(|line| *line != "00:00:00:00:00:00") {
            // Docker makes the address of its bridge from a random number, so that one must differ too.
            assert_eq!(seen.insert(line.to_owned(), name), None, "{line} is not {name}'s alone");
        }
    }
    // The host has no listening sockets for it.
    let listed: Value = serde_json::from_str(&home.said(&["ps", "--json"])).unwrap();
    for machine in listed["machines"].as_array().unwrap() {
        assert!(addresses_of(qemu_of(machine)).is_empty(), "{machine}");
    }
    // One supervisor is killed, and one machine is made again.
    let second = listed["machines"].as_array().unwrap().iter().find(|machine| machine["name"] == "lab-2").unwrap();
    kill_process(Pid::from_raw(parent_of(qemu_of(second))).unwrap(), Signal::KILL).unwrap();
    home.said(&["rm", "--force", "lab-8"]);
    home.said(&up);
    all_reach_all();
    home.said(&[&["rm", "--force"][..], &names.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    home.has_no_process();
    assert_eq!(fs::read_dir(home.dir.path().join("goldsmith/machines")).unwrap().count(), 0);
}
