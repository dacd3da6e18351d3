//! The installation by Anaconda: its kernel is booted directly, all its output is followed, and it succeeds only if three conditions hold.
//!
//! ```text
//!   medium ─ kernel, initrd + ks.cfg + nonce ─┐            ┌ report port ┐
//!   bundles ─ unpacked ─ FAT volume ──────────┼─ QEMU ─────┼ log port    ┼─ Follow ─ steps … verdict
//!   disk, empty ──────────────────────────────┘            └ console     ┘
//!   success: the nonce reported, the guest powered off, the disk as planned
//! ```

mod follow;
mod inspected;
mod logs;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{INSTALL_BYTES, RAW, StageError, drive};
use crate::base::event::{Task, Unit};
use crate::base::process::Lines;
use crate::base::repository_id::RepositoryId;
use crate::image::fat::Volume;
use crate::image::{Format, create_raw};
use crate::installer::anaconda::{self, LOG_PORT, NONCE_FILE, REPORT_PORT, VOLUME_LABEL};
use crate::machine::firmware::find_uefi;
use crate::machine::runner::{Bench, append_files, nonce};
use crate::machine::spec::{Accelerator, Boot, Drive, FirmwareFiles, MachineSpec, NetworkSpec};
use crate::machine::visit::{Visitor, visit};
use crate::machine::watch::{Limits, Watch};
use crate::machine::{Cause, Machine, MachineError, MachineEvent, ShutdownReason};
use crate::plan::AnacondaWork;
use crate::recipe::Firmware;
use crate::sources::bundle::Bundle;
use crate::sources::medium::Medium;
use crate::sources::{Gathered, VerifiedMedium};

use follow::{Follow, Heard, Told, Turn};

/// The machine's name, and its evidence's.
const NAME: &str = "install";
/// The installer's log in the evidence.
const LOG_FILE: &str = "installer.log";
/// What the scripts reported.
const REPORT_FILE: &str = "report.log";
/// The kickstart, without its secrets.
const KICKSTART_FILE: &str = "ks.cfg";
/// After a failure line: what follows (the output of the script that failed, a crash dump) belongs to the evidence.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// After the guest's end its last lines are on their way from QEMU to us, if there are any.
const REST: Duration = Duration::from_millis(300);

/// Tells the user how to look around in an installer, which does not have our runner, and how to leave it. Its console is a tmux with a
/// shell in the second window (Anaconda 21.48.22.134, data/tmux.conf).
const TMUX: &str = "the installer's console follows, a tmux in which ctrl-b 2 is a root shell; ctrl-] ends the machine";

/// Bytes of a volume that a file may take beyond its own, at most: the largest cluster.
const CLUSTER: u64 = 32 << 10;

/// Bytes of the store that an installation on a disk of `disk` bytes takes at one time, with these bundles. They are unpacked beside the
/// volume that is made from them, and the volume stays while the disk is filled.
pub fn anaconda_bytes<'a>(disk: u64, bundles: impl IntoIterator<Item = &'a Bundle>) -> u64 {
    let sizes: Vec<u64> = bundles.into_iter().flat_map(Bundle::files).map(|file| file.bytes).collect();
    peak(disk, &sizes)
}

fn peak(disk: u64, sizes: &[u64]) -> u64 {
    let sum = |size: fn(u64) -> u64| sizes.iter().fold(0, |sum: u64, bytes| sum.saturating_add(size(*bytes)));
    let (unpacked, content) = (sum(|bytes| bytes), sum(|bytes| bytes.div_ceil(CLUSTER).saturating_mul(CLUSTER)));
    // Two FATs, each with 4 bytes for a cluster of 4 KiB or more.
    let volume = content.saturating_add(content / 512);
    volume.saturating_add(unpacked.max(INSTALL_BYTES.min(disk)))
}

/// Install into a new layer in `dir`.
///
/// # Errors
/// An input cannot be read, the host lacks space or QEMU, the installation failed, or the disk is not what was planned.
pub async fn anaconda(work: &AnacondaWork, gathered: &Gathered<'_>, dir: &Path, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    let VerifiedMedium { file: iso, medium } = gathered.medium;
    let disk = dir.join(RAW);
    drop(create_raw(&disk, work.disk.size.bytes(), INSTALL_BYTES.min(work.disk.size.bytes()))?);
    let place = bench.scratch.join("anaconda");
    fs::create_dir_all(&place).map_err(scratch(&place))?;
    task.step("read the installer");
    let nonce = nonce();
    let boot = boot(work, medium, &nonce, &place)?;
    let volume = volume(&gathered.bundles, &place, task).await?;
    let spec = machine(bench, &disk, iso.path(), volume.as_deref(), boot);
    let installation = Installation::begin(&spec, work, nonce, bench, task).await?;
    let done = match installation.run(bench.visitor).await {
        Ok(()) => {
            task.step("inspect the disk");
            inspected::inspect(&disk, work, &bench.evidence.join(NAME), &place, task).await
        }
        failed => failed,
    };
    match done {
        Ok(()) => Ok(()),
        Err(error) => Err(logs::beside(error, &disk, &work.script_logs, &place, task).await),
    }
}

fn scratch(path: &Path) -> impl Fn(io::Error) -> StageError {
    let path = path.to_owned();
    move |source| StageError::Scratch { path: path.clone(), source }
}

/// The medium's kernel, and its initramfs with what the installer finds at its root.
fn boot(work: &AnacondaWork, medium: &Medium, nonce: &str, place: &Path) -> Result<Boot, StageError> {
    let (kernel, initrd) = (place.join("vmlinuz"), place.join("initrd.img"));
    fs::write(&kernel, medium.kernel()?).map_err(scratch(&kernel))?;
    let nonce = format!("{nonce}\n");
    let files = [("ks.cfg", &*work.kickstart), (NONCE_FILE.trim_start_matches('/'), nonce.as_bytes())];
    append_files(&medium.initrd()?, &initrd, &files).map_err(scratch(&initrd))?;
    let firmware = firmware(work.disk.firmware, &place.join("variables"))?;
    Ok(Boot::Kernel { kernel, initrd, command_line: anaconda::kernel_arguments(&medium.device_label()?), firmware })
}

/// The firmware that Anaconda installs for, since that is the one it runs on: /sys/firmware/efi tells it (python-blivet 0.61.15, blivet/arch.py,
/// `isEfi`). The boot entry that it makes is in the `variables` and is lost with them; the image must boot without it.
fn firmware(wanted: Firmware, variables: &Path) -> Result<FirmwareFiles, StageError> {
    match wanted {
        Firmware::Bios => Ok(FirmwareFiles::Bios),
        Firmware::Uefi => {
            let found = find_uefi().map_err(MachineError::from)?;
            found.forgetful(variables.to_owned()).map_err(scratch(variables))
        }
    }
}

/// The volume that brings the repositories, when there are any.
async fn volume(bundles: &[(RepositoryId, Bundle)], place: &Path, task: &Task) -> Result<Option<PathBuf>, StageError> {
    if bundles.is_empty() {
        return Ok(None);
    }
    let unpacked = place.join("repositories");
    fs::create_dir_all(&unpacked).map_err(scratch(&unpacked))?;
    for (id, bundle) in bundles {
        bundle.unpack(&unpacked.join(id.as_str()), task).await?;
    }
    let path = place.join("volume.img");
    let (from, to) = (unpacked.clone(), path.clone());
    let (tell, mut told) = tokio::sync::watch::channel((0, 0));
    // Copying is the disk's work: it is done on a thread that may block.
    let writing = tokio::task::spawn_blocking(move || {
        Volume::plan(VOLUME_LABEL, &[(&from, "")])?.write(&to, |done, total| tell.send_modify(|at| *at = (done, total)))
    });
    // The sender is dropped when the volume is written.
    while told.changed().await.is_ok() {
        let (done, total) = *told.borrow_and_update();
        task.progress("write the volume of repositories", done, Some(total), Unit::Bytes);
    }
    match writing.await {
        Ok(written) => written?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
    // The files are on the volume now. If some cannot be removed, they go away with the run.
    let _ = fs::remove_dir_all(unpacked);
    Ok(Some(path))
}

/// The machine that `installer::anaconda` counts on. The medium may be any disk: Anaconda installs from it where dracut has mounted it. The
/// network leads nowhere; a card must be there, because the kickstart configures one.
fn machine(bench: &Bench<'_>, disk: &Path, iso: &Path, volume: Option<&Path>, boot: Boot) -> MachineSpec {
    let mut spec = bench.spec(NAME, vec![drive(disk.to_owned(), Format::Raw)], boot);
    spec.drives.push(Drive::read_only(iso, Format::Raw, "medium"));
    spec.drives.extend(volume.map(|volume| Drive::read_only(volume, Format::Raw, "volume")));
    spec.ports = vec![LOG_PORT.to_owned(), REPORT_PORT.to_owned()];
    spec.network = NetworkSpec::User { outside: false, subnet: bench.subnet, forwards: Vec::new(), mac: None };
    spec
}

/// The next thing that came.
enum Came {
    Log(String),
    Report(String),
    Console(String),
    Ended(ShutdownReason),
    Nothing,
}

/// How a failed installation ended.
enum Ending {
    /// It failed, for this reason.
    Told(Told),
    /// QEMU or the host failed under it.
    Machine(MachineError),
}

/// A running installer and its state.
struct Installation<'a> {
    machine: Machine,
    log: Lines<UnixStream>,
    report: Lines<UnixStream>,
    log_file: File,
    report_file: File,
    kickstart: &'a [u8],
    follow: Follow,
    watch: Watch,
    accelerator: Accelerator,
    /// The time by which the whole installation must be done.
    end: Instant,
    task: &'a Task,
}

impl<'a> Installation<'a> {
    async fn begin(
        spec: &MachineSpec,
        work: &'a AnacondaWork,
        nonce: String,
        bench: &Bench<'_>,
        task: &'a Task,
    ) -> Result<Installation<'a>, StageError> {
        task.step("boot the installer");
        let mut machine = Machine::launch(spec, &bench.evidence.join(NAME)).await?;
        let create = |name: &str| {
            let path = machine.dir().join(name);
            File::create(&path).map_err(scratch(&path))
        };
        let (log_file, report_file) = (create(LOG_FILE)?, create(REPORT_FILE)?);
        let follow = Follow::new(nonce);
        let now = Instant::now();
        let end = now + bench.accelerator.stretch(bench.deadline);
        Ok(Self {
            log: Lines::new(machine.take_port(LOG_PORT)),
            report: Lines::new(machine.take_port(REPORT_PORT)),
            machine,
            log_file,
            report_file,
            kickstart: &work.kickstart,
            watch: Watch::new(limits(&follow, bench.accelerator, end.saturating_duration_since(now)), now),
            follow,
            accelerator: bench.accelerator,
            end,
            task,
        })
    }

    /// Follow it to its end.
    async fn run(mut self, visitor: Option<&'static dyn Visitor>) -> Result<(), StageError> {
        match self.until_the_end().await {
            Ok(()) => {
                self.machine.quit().await;
                Ok(())
            }
            Err(Ending::Machine(error)) => Err(StageError::from(error).doing("the installation")),
            Err(Ending::Told(told)) => {
                let error = self.fail(told).await;
                // An installer that has powered off cannot be looked at.
                let is_up = self.machine.status().await.is_ok_and(|status| status.status == "running");
                if let Some(visitor) = visitor.filter(|_| is_up) {
                    visit(&mut self.machine, visitor, (&error, TMUX), self.task, async || std::future::pending().await).await;
                }
                // The disk is read next.
                self.machine.quit().await;
                Err(error)
            }
        }
    }

    async fn until_the_end(&mut self) -> Result<(), Ending> {
        loop {
            let turn = match self.next().await.map_err(|error| self.explain(error))? {
                Came::Ended(reason) => {
                    self.hear_the_rest().await.map_err(Ending::Told)?;
                    return self.follow.ended(&reason).map_err(Ending::Told);
                }
                came => self.hear(&came),
            };
            match turn {
                Turn::On => {}
                Turn::Step => self.step(),
                Turn::Failed(mut told) => {
                    self.hear_last_words(&mut told).await;
                    return Err(Ending::Told(told));
                }
            }
        }
    }

    /// What comes next. Both ports are read before the machine's events, so that lines written before the end come before the end.
    async fn next(&mut self) -> Result<Came, MachineError> {
        self.machine.look(&mut self.watch, self.task).await?;
        tokio::select! {
            biased;
            Some(line) = self.report.next() => Ok(Came::Report(shown(&line))),
            Some(line) = self.log.next() => Ok(Came::Log(shown(&line))),
            event = self.machine.watched(&mut self.watch, self.task) => Ok(match event? {
                MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line) => Came::Console(line),
                MachineEvent::Shutdown(reason) => Came::Ended(reason),
                _ => Came::Nothing,
            }),
        }
    }

    /// Take in a line: to the evidence, to the user, and to the verdict.
    fn hear(&mut self, came: &Came) -> Turn {
        match came {
            Came::Log(line) => {
                self.machine.count(line);
                // As with all evidence, a line that cannot be written is left out: the run itself matters more.
                let _ = writeln!(self.log_file, "{line}");
                self.task.line("anaconda", line.as_str());
                self.watch.heard(Instant::now());
                self.follow.hear(Heard::Log(line))
            }
            Came::Report(line) => {
                self.machine.count(line);
                let _ = writeln!(self.report_file, "{line}");
                self.task.line("kickstart", line.as_str());
                self.watch.heard(Instant::now());
                self.follow.hear(Heard::Report(line))
            }
            Came::Console(line) => self.follow.hear(Heard::Console(line)),
            Came::Ended(_) | Came::Nothing => Turn::On,
        }
    }

    fn step(&mut self) {
        let now = Instant::now();
        let left = self.end.saturating_duration_since(now);
        self.watch = Watch::new(limits(&self.follow, self.accelerator, left), now);
        self.follow.show(self.task);
    }

    /// Lines that were written before the end and had not come yet. An error is a failure that such a line reports.
    async fn hear_the_rest(&mut self) -> Result<(), Told> {
        loop {
            let came = tokio::select! {
                biased;
                Some(line) = self.report.next() => Came::Report(shown(&line)),
                Some(line) = self.log.next() => Came::Log(shown(&line)),
                () = tokio::time::sleep(REST) => return Ok(()),
            };
            if let Turn::Failed(told) = self.hear(&came) {
                return Err(told);
            }
        }
    }

    async fn hear_last_words(&mut self, told: &mut Told) {
        let listen = async {
            while let Ok(came) = self.next().await {
                match &came {
                    Came::Ended(_) => return,
                    Came::Console(line) => told.go_on(line),
                    _ => {}
                }
                told.or_better(self.hear(&came));
            }
        };
        // It usually ends because the time is over.
        let _ = timeout(LAST_WORDS, listen).await;
    }

    /// A machine's failure, explained by the installer's messages when the guest caused it.
    fn explain(&self, error: MachineError) -> Ending {
        if !error.is_the_guests() {
            return Ending::Machine(error);
        }
        let MachineError::Failed { cause, .. } = &error else { return Ending::Machine(error) };
        Ending::Told(match cause {
            Cause::Stalled(silence) => self.follow.silent(*silence),
            Cause::Deadline { late, .. } => self.follow.late(*late),
            Cause::Signature { signature, line } => Told::on_console(line, signature.cause, signature.remedy),
            Cause::Ended(reason) => match self.follow.ended(reason) {
                Err(told) => told,
                Ok(()) => return Ending::Machine(error),
            },
            _ => return Ending::Machine(error),
        })
    }

    async fn fail(&mut self, told: Told) -> StageError {
        let evidence = self.machine.collect_evidence().await;
        // Hashes of passwords are hidden, the number of each line stays.
        let _ = fs::write(evidence.dir.join(KICKSTART_FILE), anaconda::without_secrets(self.kickstart));
        let tail = self.follow.tail();
        let mut lines = self.follow.clues(&told);
        lines.extend(if tail.is_empty() { evidence.lines() } else { tail });
        StageError::Installation { cause: told.cause, remedy: told.remedy, lines, dir: evidence.dir }
    }
}

/// A line of a port, without secrets: Anaconda logs the commands it runs, `usermod -p HASH` among them. All uses get this form: the
/// evidence, the user, and the verdict, which may show it.
fn shown(line: &str) -> String {
    anaconda::without_secrets(line.as_bytes()).trim_end_matches('\n').to_owned()
}

/// The limits of the step it is at, where `left` is the time left for the whole installation.
fn limits(follow: &Follow, accelerator: Accelerator, left: Duration) -> Limits {
    Limits::new(follow.patience(), accelerator).within(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;
    use crate::machine::spec::Access;

    #[test]
    fn the_machine_is_what_the_kickstart_counts_on() {
        let bench = Bench {
            accelerator: Accelerator::Kvm,
            cpus: 2,
            memory: ByteSize::gib(2),
            deadline: Duration::from_secs(60),
            outside: true,
            subnet: None,
            cards: 0,
            visitor: None,
            scratch: Path::new("/s"),
            evidence: Path::new("/e"),
        };
        let firmware = FirmwareFiles::Bios;
        let boot = Boot::Kernel { kernel: "/k".into(), initrd: "/i".into(), command_line: String::new(), firmware };
        let spec = machine(&bench, Path::new("/d.raw"), Path::new("/m.iso"), Some(Path::new("/v.img")), boot);
        spec.check().unwrap();
        let drives: Vec<_> = spec.drives.iter().map(|drive| (drive.path.to_str().unwrap(), drive.access)).collect();
        // The first drive is vda, which the kickstart names.
        assert_eq!(drives, [("/d.raw", Access::ReadWrite), ("/m.iso", Access::ReadOnly), ("/v.img", Access::ReadOnly)]);
        assert_eq!(spec.ports, [LOG_PORT, REPORT_PORT]);
        // Provision steps may reach the network; the installer may not.
        assert!(matches!(spec.network, NetworkSpec::User { outside: false, ref forwards, .. } if forwards.is_empty()) && !spec.reboots);
    }

    #[test]
    fn the_lines_of_the_installer_are_shown_without_secrets_and_understood_all_the_same() {
        for (line, expected) in [
            ("", ""),
            (
                "01:08:29,255 INFO program:Running... usermod -p $6$salt$hash./ root",
                "01:08:29,255 INFO program:Running... usermod -p $6$*********** root",
            ),
            ("21:15:23,251 DEBUG packaging: Installing libgcc (1/1973)", "21:15:23,251 DEBUG packaging: Installing libgcc (1/1973)"),
            ("fetching http://me:token@host/x", "fetching http://********@host/x"),
            ("goldsmith 0123456789abcdef done", "goldsmith 0123456789abcdef done"),
        ] {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn bundles_are_there_twice_before_the_disk_is_filled() {
        let gib = |count: u64| count << 30;
        for (disk, sizes, expected) in [
            (gib(8), &[][..], INSTALL_BYTES),
            (gib(1), &[], gib(1)),
            (gib(8), &[gib(2)], gib(2) + (4 << 20) + INSTALL_BYTES),
            (gib(8), &[gib(4), gib(4)], gib(16) + (16 << 20)),
            (gib(1), &[1; 32], gib(1) + (1 << 20) + 2048),
            (gib(1), &[u64::MAX, u64::MAX], u64::MAX),
        ] {
            assert_eq!(peak(disk, sizes), expected, "{disk} {sizes:?}");
        }
    }

    #[test]
    fn no_step_outlasts_the_whole() {
        let follow = Follow::new("n0".to_owned());
        let seconds = Duration::from_secs;
        for (left, deadline, ceiling) in [(18_000, 3000, 9000), (8000, 3000, 8000), (7, 7, 7)] {
            let limits = limits(&follow, Accelerator::Tcg, seconds(left));
            assert_eq!((limits.deadline, limits.ceiling), (seconds(deadline), seconds(ceiling)), "{left}");
        }
    }

    /// As in machine/runner.rs: lines come on a port without end, faster than anyone can wait for the machine.
    #[test]
    fn an_installer_that_talks_without_end_ends_at_its_deadline() {
        use tokio::io::AsyncWriteExt as _;

        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.raw");
        let mut sectors = vec![0; 1 << 20];
        // cli; hlt; jmp to the hlt; and the mark of a boot sector.
        sectors[..4].copy_from_slice(&[0xfa, 0xf4, 0xeb, 0xfd]);
        sectors[510..512].copy_from_slice(&[0x55, 0xaa]);
        fs::write(&disk, sectors).unwrap();
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
        let spec = bench.spec(NAME, vec![Drive::scratch(&disk, Format::Raw, "disk")], Boot::Disk(FirmwareFiles::Bios));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let task = crate::base::event::Events::none().task("install");
        let talk = async |pause: Duration, limits: Limits| {
            let machine = Machine::launch(&spec, &dir.path().join("vm")).await.unwrap();
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            tokio::spawn(async move {
                while theirs.write_all(b"still here\n").await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            });
            let now = Instant::now();
            let mut installation = Installation {
                machine,
                log: Lines::new(Some(ours)),
                report: Lines::new(None),
                log_file: File::create(dir.path().join("log")).unwrap(),
                report_file: File::create(dir.path().join("report")).unwrap(),
                kickstart: b"rootpw --iscrypted $6$salt$hash\n",
                follow: Follow::new("n0".to_owned()),
                watch: Watch::new(limits, now),
                accelerator: Accelerator::Tcg,
                end: now + Duration::from_secs(60),
                task: &task,
            };
            let ended = timeout(Duration::from_secs(60), installation.until_the_end()).await.expect("it outlived its deadline");
            match ended.expect_err("it ended in order") {
                Ending::Told(told) => installation.fail(told).await,
                Ending::Machine(error) => error.into(),
            }
        };
        let limits = Limits::new(Duration::from_secs(1), Accelerator::Kvm);
        for pause in [Duration::ZERO, Duration::from_millis(10)] {
            let error = runtime.block_on(talk(pause, limits));
            assert!(error.to_string().contains("with no progress"), "{error}");
            // The kickstart of the evidence has no hash of a password.
            let StageError::Installation { dir, .. } = &error else { panic!("{error}") };
            let kept = fs::read_to_string(dir.join(KICKSTART_FILE)).unwrap();
            assert_eq!(kept, "rootpw --iscrypted ************\n");
        }
        let limits = Limits { output: 128, ..Limits::new(Duration::from_secs(60), Accelerator::Kvm) };
        let error = runtime.block_on(talk(Duration::from_millis(10), limits)).to_string();
        assert!(error.contains("the guest has printed 132 B, and no guest may print more"), "{error}");
    }
}
