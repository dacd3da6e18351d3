//! Real QEMU, tiny guests: boot sectors of a few dozen bytes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use goldsmith::base::event::{Event, Events};
use goldsmith::base::failure::{Class, Failure};
use goldsmith::machine::spec::{Accelerator, Boot, Drive, FirmwareFiles, Format, Forward, NetworkSpec};
use goldsmith::machine::watch::{Late, Limits, Watch};
use goldsmith::machine::{Cause, Machine, MachineError, MachineEvent, MachineSpec, ShutdownReason};
use goldsmith::machine::{evidence, firmware, probe};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::machine_cases::plain;

/// cli; hlt; jmp to the hlt.
pub const HANG: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
/// jmp to itself.
const SPIN: &[u8] = &[0xeb, 0xfe];
/// mov dx, 0x604; mov ax, 0x2000; out dx, ax: sleep state 5 of PIIX4's power management, where SeaBIOS put it; then hang.
pub const POWER_OFF: &[u8] = &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xfa, 0xf4, 0xeb, 0xfd];
/// lidt [0x7df0], which is zeros; int3. There is no handler for it or for the fault that follows, so the CPU resets.
const TRIPLE_FAULT: &[u8] = &[0x0f, 0x01, 0x1e, 0xf0, 0x7d, 0xcc];
/// mov dx, 0x505; mov al, 1; out dx, al: pvpanic; then hang.
const PANIC: &[u8] = &[0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xfa, 0xf4, 0xeb, 0xfd];
/// Wait for a byte on the serial line, write the boot sector to the next sector, send `W`, repeat.
#[rustfmt::skip]
pub const WRITE_WHEN_TOLD: &[u8] = &[
    0xba, 0xfd, 0x03, // wait: mov dx, 0x3fd
    0xec,             // in al, dx
    0xa8, 0x01,       // test al, 1
    0x74, 0xf8,       // jz wait
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec,             // in al, dx
    0xb8, 0x01, 0x03, // mov ax, 0x0301   (write one sector)
    0xb9, 0x02, 0x00, // mov cx, 2        (cylinder 0, sector 2)
    0xba, 0x80, 0x00, // mov dx, 0x80     (head 0, first disk)
    0xbb, 0x00, 0x7c, // mov bx, 0x7c00
    0xcd, 0x13,       // int 0x13
    0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xb0, 0x57,       // mov al, 'W'
    0xee,             // out dx, al
    0xeb, 0xdd,       // jmp wait
];

/// A boot sector that sends `message` on the serial line and goes on with `then`.
pub fn sector(message: &str, then: &[u8]) -> [u8; 512] {
    let head = [
        0x31, 0xc0, //       xor ax, ax
        0x8e, 0xd8, //       mov ds, ax
        0x8e, 0xc0, //       mov es, ax
        0xbe, 0, 0, //       mov si, message
        0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xac, //       next: lodsb
        0x84, 0xc0, //       test al, al
        0x74, 0x03, //       jz then
        0xee, //             out dx, al
        0xeb, 0xf8, //       jmp next
    ];
    let code = [&head[..], then].concat();
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(&code);
    sector[7..9].copy_from_slice(&(0x7c00 + u16::try_from(code.len()).unwrap()).to_le_bytes());
    sector[code.len()..code.len() + message.len()].copy_from_slice(message.as_bytes());
    assert!(code.len() + message.len() < 0x1f0);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

fn on_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(Duration::from_secs(120), work).await.expect("the test hangs") })
}

/// A directory with a guest's disk in it, and the spec of the guest.
fn guest(message: &str, then: &[u8]) -> (TempDir, MachineSpec) {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk.raw");
    // SeaBIOS boots no disk of less than a cylinder.
    fs::write(&disk, [&sector(message, then)[..], &[0; 1 << 20]].concat()).unwrap();
    let spec = plain("test", Boot::Disk(FirmwareFiles::Bios), vec![Drive::scratch(&disk, Format::Raw, "disk")]);
    (dir, spec)
}

async fn launch(dir: &TempDir, spec: &MachineSpec) -> Machine {
    Machine::launch(spec, &dir.path().join("vm")).await.unwrap()
}

/// Events up to and including the first that is not of the console.
async fn events(machine: &mut Machine) -> Vec<MachineEvent> {
    let mut seen = Vec::new();
    loop {
        let event = machine.next().await;
        let console = matches!(event, MachineEvent::ConsoleLine(_) | MachineEvent::ConsolePrompt(_));
        seen.push(event);
        if !console {
            return seen;
        }
    }
}

fn limits(deadline: u64, named: u64, stalled: u64) -> Limits {
    let [deadline, named, stalled] = [deadline, named, stalled].map(Duration::from_secs);
    Limits { deadline, ceiling: deadline, named, stalled, output: u64::MAX }
}

/// Watch the machine until it fails. Returns the failure, and the warnings and lines before it.
async fn failure(machine: &mut Machine, limits: Limits) -> (MachineError, Vec<String>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&told);
    let events = Events::new(vec![Box::new(move |event: &Event| match event {
        Event::Warning { text } => ear.lock().unwrap().push(text.clone()),
        Event::Line { text, source, .. } => ear.lock().unwrap().push(format!("{source}: {text}")),
        _ => {}
    })]);
    let task = events.task("test");
    let mut watch = Watch::new(limits, Instant::now());
    loop {
        if let Err(error) = machine.watched(&mut watch, &task).await {
            let told = told.lock().unwrap().clone();
            return (error, told);
        }
    }
}

fn cause(error: &MachineError) -> &Cause {
    match error {
        MachineError::Failed { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

fn assert_png(path: &Path) {
    let bytes = fs::read(path).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n") && bytes.ends_with(b"IEND\xaeB`\x82"), "{} is no PNG", path.display());
}

/// Whether the process lives.
pub fn alive(pid: u32) -> bool {
    // A zombie counts as dead, because its parent may be slow to wait for it.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.starts_with(" Z"))
}

#[test]
fn a_guest_speaks_and_powers_off() {
    on_runtime(async {
        let (dir, spec) = guest("hello\r\nlogin: ", POWER_OFF);
        let mut machine = launch(&dir, &spec).await;
        let pid = machine.id().unwrap();
        let seen = events(&mut machine).await;
        assert_eq!(seen.first(), Some(&MachineEvent::ConsoleLine("hello".into())), "{seen:?}");
        assert_eq!(seen.last(), Some(&MachineEvent::Shutdown(ShutdownReason::PowerOff)), "{seen:?}");
        assert_eq!(machine.status().await.unwrap().status, "shutdown");
        assert_eq!(machine.quit().await.and_then(|status| status.code()), Some(0));
        assert!(!alive(pid));
        let log = fs::read_to_string(dir.path().join("vm").join(evidence::CONSOLE_LOG)).unwrap();
        assert_eq!(log, "hello\r\nlogin: ");
    });
}

#[test]
fn a_prompt_is_heard_though_its_line_never_ends() {
    on_runtime(async {
        let (dir, spec) = guest("login: ", HANG);
        let mut machine = launch(&dir, &spec).await;
        assert_eq!(machine.next().await, MachineEvent::ConsolePrompt("login: ".into()));
    });
}

#[test]
fn a_crash_is_not_a_power_off() {
    on_runtime(async {
        for (then, expected) in [(TRIPLE_FAULT, MachineEvent::Shutdown(ShutdownReason::Reset)), (PANIC, MachineEvent::GuestPanicked)] {
            let (dir, spec) = guest("", then);
            let mut machine = launch(&dir, &spec).await;
            assert_eq!(events(&mut machine).await, [expected]);
            // QEMU still runs and answers.
            assert!(!machine.status().await.unwrap().running);
        }
        let (dir, spec) = guest("", TRIPLE_FAULT);
        let mut machine = launch(&dir, &MachineSpec { reboots: true, ..spec }).await;
        assert_eq!(events(&mut machine).await, [MachineEvent::Reset]);
    });
}

#[test]
fn a_disk_without_boot_loader_ends_instead_of_hanging() {
    on_runtime(async {
        let (dir, spec) = guest("", HANG);
        fs::write(&spec.drives[0].path, [0; 1 << 20]).unwrap();
        let mut machine = launch(&dir, &spec).await;
        assert_eq!(events(&mut machine).await, [MachineEvent::Shutdown(ShutdownReason::Reset)]);
    });
}

#[test]
fn a_killed_qemu_is_noticed() {
    on_runtime(async {
        let (dir, spec) = guest("up\n", HANG);
        let mut machine = launch(&dir, &spec).await;
        assert_eq!(machine.next().await, MachineEvent::ConsoleLine("up".into()));
        let pid = rustix::process::Pid::from_raw(machine.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        let (error, _) = failure(&mut machine, limits(60, 60, 60)).await;
        assert!(matches!(cause(&error), Cause::Died(Some(_))), "{error}");
        assert!(error.to_string().contains("signal: 9") && error.remedy().unwrap().contains("out-of-memory"), "{error}");
        assert_eq!((error.class(), error.evidence()), (Class::Machine, vec!["up".to_owned()]));
        assert!(matches!(machine.next().await, MachineEvent::Exited(Some(_))));
        assert!(matches!(machine.status().await, Err(MachineError::Qmp { .. })));
    });
}

#[test]
fn a_spinning_guest_ends_at_its_deadline_with_evidence() {
    on_runtime(async {
        let (dir, spec) = guest("busy\n", SPIN);
        let mut machine = launch(&dir, &spec).await;
        let (error, told) = failure(&mut machine, limits(3, 60, 60)).await;
        assert!(matches!(cause(&error), Cause::Deadline { late: Late::Stuck { .. }, .. }), "{error}");
        assert_eq!((error.evidence(), told), (vec!["busy".to_owned()], vec!["console: busy".to_owned()]));
        let papers = error.evidence_dir().unwrap();
        assert_png(&papers.join(evidence::SCREEN));
        let read = |name: &str| fs::read_to_string(papers.join(name)).unwrap();
        assert!(read(evidence::CONSOLE_LOG).contains("busy") && read(evidence::STATUS).contains("\"running\""));
        assert!(read(evidence::COMMAND_LINE).starts_with("qemu-system-x86_64 -name"));
        assert_eq!(read(evidence::STDERR), "");
    });
}

#[test]
fn a_silent_guest_is_named_then_ended() {
    on_runtime(async {
        let (dir, spec) = guest("last words\n", HANG);
        let mut machine = launch(&dir, &spec).await;
        let (error, told) = failure(&mut machine, limits(60, 1, 2)).await;
        assert!(matches!(cause(&error), Cause::Stalled(_)), "{error}");
        let warning = told.iter().find(|line| line.contains("no progress")).unwrap();
        assert!(warning.contains("last console line: last words") && warning.contains("screen.png"), "{warning}");
    });
}

#[test]
fn a_hung_qemu_does_not_hang_us() {
    on_runtime(async {
        let (dir, spec) = guest("up\n", HANG);
        let mut machine = launch(&dir, &spec).await;
        machine.next().await;
        let pid = rustix::process::Pid::from_raw(machine.id().unwrap().cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let (error, _) = failure(&mut machine, limits(1, 60, 60)).await;
        assert!(matches!(&error, MachineError::Failed { evidence, .. } if evidence.status.is_none() && evidence.screenshot.is_none()));
        let pid = machine.id().unwrap();
        drop(machine);
        let patience = Instant::now() + Duration::from_secs(10);
        while alive(pid) {
            assert!(Instant::now() < patience, "a stopped QEMU outlived its owner");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[test]
fn a_failure_line_ends_the_run_with_the_lines_after_it() {
    on_runtime(async {
        let (dir, spec) = guest("Kernel panic - not syncing: test\nCPU: 0\n", HANG);
        let mut machine = launch(&dir, &spec).await;
        let (error, _) = failure(&mut machine, limits(60, 60, 60)).await;
        assert!(matches!(cause(&error), Cause::Signature { line, .. } if line == "Kernel panic - not syncing: test"), "{error}");
        assert_eq!(error.evidence(), ["Kernel panic - not syncing: test", "CPU: 0"]);
    });
}

#[test]
fn a_failure_is_told_though_earlier_calls_were_cancelled() {
    on_runtime(async {
        let (dir, spec) = guest("", PANIC);
        let mut machine = launch(&dir, &spec).await;
        let task = Events::none().task("test");
        let mut watch = Watch::new(limits(60, 60, 60), Instant::now());
        // Each call is cancelled early, and one of them takes the event from its queue.
        while machine.status().await.unwrap().running {
            let _ = tokio::time::timeout(Duration::from_millis(1), machine.watched(&mut watch, &task)).await;
        }
        for _ in 0..5 {
            let _ = tokio::time::timeout(Duration::from_millis(1), machine.watched(&mut watch, &task)).await;
        }
        let error = machine.watched(&mut watch, &task).await.unwrap_err();
        assert_eq!(cause(&error), &Cause::Panicked);
    });
}

#[test]
fn what_qemu_refuses_is_told_in_its_words() {
    on_runtime(async {
        let (dir, mut spec) = guest("", HANG);
        spec.drives[0].path = dir.path().join("missing");
        let error = Machine::launch(&spec, &dir.path().join("vm")).await.unwrap_err();
        assert!(matches!(error, MachineError::CannotStart { .. }) && error.to_string().contains("missing': No such file"), "{error}");
        let remedy = error.remedy().unwrap();
        assert!(remedy.contains("qemu-system-x86_64 -name") && remedy.contains("stdio,id=console"), "{remedy}");
    });
}

#[test]
fn the_pasted_command_line_starts_the_same_machine() {
    on_runtime(async {
        let (dir, spec) = guest("hello\n", POWER_OFF);
        let machine = launch(&dir, &MachineSpec { ports: vec!["a.b".into()], ..spec }).await;
        let line = machine.command_line().to_owned();
        machine.quit().await;
        let output = Command::new("sh").args(["-c", &line]).current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n");
        assert_eq!(fs::read(dir.path().join("a.b.out")).unwrap(), b"");
    });
}

fn qemu_img(args: &[&str]) -> String {
    let output = Command::new("qemu-img").args(args).output().unwrap();
    assert!(output.status.success(), "qemu-img {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_snapshot_starts_a_new_layer_under_the_running_guest() {
    on_runtime(async {
        let (dir, mut spec) = guest("ready\n", WRITE_WHEN_TOLD);
        let at = |name: &str| dir.path().join(name);
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let (base, overlay) = (text(at("base.qcow2")), text(at("over,lay.qcow2")));
        qemu_img(&["convert", "-O", "qcow2", &text(at("disk.raw")), &base]);
        qemu_img(&["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &base, &overlay]);
        let before = fs::read(&base).unwrap();
        spec.drives = vec![Drive::scratch(&base, Format::Qcow2, "disk")];
        let mut machine = launch(&dir, &spec).await;
        assert_eq!(machine.next().await, MachineEvent::ConsoleLine("ready".into()));
        let refused = machine.blockdev_snapshot("nonesuch", Path::new(&overlay), "layer1").await.unwrap_err();
        assert!(refused.to_string().contains("nonesuch"), "{refused}");
        machine.blockdev_snapshot("disk", Path::new(&overlay), "layer1").await.unwrap();
        let mut console = machine.take_console().unwrap();
        console.write_all(b"x").await.unwrap();
        assert_eq!(console.read_u8().await.unwrap(), b'W');
        let disks = machine.disk_stats().await.unwrap();
        assert_eq!((disks[0].node.as_str(), disks[0].stats.wr_operations), ("layer1", 1));
        machine.quit().await;
        qemu_img(&["check", "-q", &overlay]);
        assert_eq!(fs::read(&base).unwrap(), before, "the layer below was written to");
        qemu_img(&["convert", "-O", "raw", &overlay, &text(at("after.raw"))]);
        let after = fs::read(at("after.raw")).unwrap();
        assert_eq!(after[..512], after[512..1024]);
    });
}

/// Inodes of the sockets a process holds.
fn sockets_of(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// The process that started this one: the fourth field of `/proc/PID/stat` (proc(5)).
pub fn parent_of(pid: u32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The local addresses on which a process has an IP socket, as `/proc/net` writes them.
pub fn addresses_of(pid: u32) -> Vec<String> {
    let inodes = sockets_of(pid);
    assert!(inodes.len() >= 2, "QMP and console are sockets");
    let tables = ["tcp", "tcp6", "udp", "udp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1)).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| inodes.iter().any(|inode| row[9] == *inode)).map(|row| row[1].to_owned()).collect()
}

#[test]
fn qemu_is_confined_and_listens_to_nobody() {
    on_runtime(async {
        let (dir, spec) = guest("up\n", HANG);
        let closed = NetworkSpec::User { outside: false, subnet: None, forwards: Vec::new(), mac: None };
        let mut machine = launch(&dir, &MachineSpec { network: closed, ports: vec!["a.b".into()], ..spec.clone() }).await;
        machine.next().await;
        let pid = machine.id().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"), "{status}");
        assert_eq!(addresses_of(pid), [""; 0]);
        drop(machine);

        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let forward = NetworkSpec::User { outside: false, subnet: None, forwards: vec![Forward::ssh(port)], mac: None };
        let mut machine = launch(&dir, &MachineSpec { network: forward, ..spec }).await;
        machine.next().await;
        assert_eq!(addresses_of(machine.id().unwrap()), [format!("0100007F:{port:04X}")]);
    });
}

#[test]
fn ports_are_connected_before_the_guest_starts_and_end_with_qemu() {
    on_runtime(async {
        let (dir, spec) = guest("up\n", HANG);
        let mut machine = launch(&dir, &MachineSpec { ports: vec!["one".into(), "two".into()], ..spec }).await;
        let mut port = machine.take_port("two").unwrap();
        assert!(machine.take_port("two").is_none() && machine.take_port("three").is_none());
        port.write_all(b"waits for the guest").await.unwrap();
        machine.quit().await;
        assert_eq!(port.read(&mut [0; 1]).await.unwrap_or(0), 0);
    });
}

#[test]
fn a_machine_boots_through_the_hosts_uefi() {
    on_runtime(async {
        let (dir, mut spec) = guest("", HANG);
        let found = firmware::find_uefi().unwrap();
        spec.boot = Boot::Disk(found.forgetful(dir.path().join("vars")).unwrap());
        spec.memory = goldsmith::base::size::ByteSize::mib(256);
        let mut machine = launch(&dir, &spec).await;
        // The disk has nothing that UEFI can boot, and the firmware prints that.
        let mut said = String::new();
        while !said.contains("BdsDxe") {
            match machine.next().await {
                MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line) => said.push_str(&line),
                other => panic!("{other:?} after {said}"),
            }
        }
    });
}

#[test]
fn the_probe_finds_an_accelerator_that_runs() {
    on_runtime(async {
        assert!(probe::qemu_version().await.unwrap().major >= 7);
        let found = probe::probe().await.unwrap();
        assert_eq!(found.reason.is_none(), found.accelerator == Accelerator::Kvm, "{found}");
    });
}

/// Not a test: the process that is killed in the test below.
#[test]
#[ignore = "a helper that another test starts"]
fn helper_that_owns_a_machine() {
    let Some(dir) = std::env::var_os("GOLDSMITH_TEST_DIR") else { return };
    on_runtime(async {
        let spec =
            plain("orphan", Boot::Disk(FirmwareFiles::Bios), vec![Drive::scratch(Path::new(&dir).join("disk.raw"), Format::Raw, "disk")]);
        let mut machine = Machine::launch(&spec, Path::new(&dir)).await.unwrap();
        machine.next().await;
        writeln!(std::io::stdout(), "\nqemu {}", machine.id().unwrap()).unwrap();
        machine.next().await;
    });
}

#[test]
fn a_killed_owner_leaves_no_qemu_behind() {
    let (dir, _) = guest("up\n", HANG);
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "machine_qemu::helper_that_owns_a_machine", "--ignored", "--nocapture"])
        .env("GOLDSMITH_TEST_DIR", dir.path())
        .env("TMPDIR", dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let pid = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("qemu ")?.parse().ok());
    let pid: u32 = pid.expect("the helper starts a machine");
    assert!(alive(pid));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let patience = Instant::now() + Duration::from_secs(10);
    while alive(pid) {
        assert!(Instant::now() < patience, "QEMU outlived its owner");
        std::thread::sleep(Duration::from_millis(10));
    }
}
