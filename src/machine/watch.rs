//! When to give up on a guest, as pure rules: time is an argument, so tables test them.
//!
//! ```text
//!   sign of life: a console line, disk traffic, a busy CPU, bytes on a port; not: dots that an unfinished line grows by
//!     none for 60 s  → Named, once per silence, and the run goes on
//!     none for 300 s → Stalled
//!   progress: disk traffic, and a new phase; not: whatever the guest says, nor a busy CPU
//!     deadline passed, none of late → Deadline, Stuck
//!     deadline passed, some of late → the run goes on (a boot on a busy host), to the ceiling at most
//!     ceiling reached               → Deadline, Ceiling
//!   failure line → Signature, at once
//! ```
//!
//! A guest that spins, or that talks for ever, shows signs of life and makes no progress: only the deadline ends it.

use std::fmt;
use std::time::{Duration, Instant};

use super::spec::Accelerator;

/// Silence that is worth a word.
const NAMED_AFTER: Duration = Duration::from_secs(60);
/// Silence that ends the run.
const STALLED_AFTER: Duration = Duration::from_secs(300);
/// A guest that makes progress may take so many times its deadline.
const CEILING: u32 = 3;
/// Share of one CPU below which the machine counts as idle: an idle Linux guest takes 1 to 5 % under TCG for its timers.
const IDLE_PERCENT: u32 = 10;

/// Messages of a failed guest, with their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// A text that the console line contains.
    pub text: &'static str,
    /// The cause in our words; fits "the guest failed: …".
    pub cause: &'static str,
    /// The action for the user.
    pub remedy: &'static str,
}

/// Signatures of any Linux guest and its firmware. Installers bring their own.
///
/// Sources: Linux `kernel/panic.c`, `mm/oom_kill.c`, `block/blk-core.c`; initramfs-tools 0.142 `scripts/functions` (`panic`) and
/// `scripts/local` (`local_device_setup`); dracut 033
/// `dracut-emergency.sh`; systemd 219 and 252 `emergency.service`, sulogin(8) of util-linux 2.38; GRUB 2.06 `kern/rescue_reader.c`;
/// SeaBIOS 1.16 `boot.c`; edk2 `BdsEntry.c`.
pub const SIGNATURES: &[Signature] = &[
    Signature {
        text: "Kernel panic - not syncing",
        cause: "its kernel panicked",
        remedy: "read the lines before the panic; \"Unable to mount root fs\" means a wrong root= or a driver missing from the initramfs",
    },
    Signature {
        text: "(initramfs)",
        cause: "its initramfs did not find the root filesystem and opened a shell",
        remedy: "compare root= on the kernel command line with the disk, and see whether the initramfs has its driver (virtio_blk)",
    },
    // With panic= on the command line there is no shell but a reboot.
    Signature {
        text: "Gave up waiting for root",
        cause: "its initramfs did not find the root filesystem",
        remedy: "compare root= on the kernel command line with the disk, and see whether the initramfs has its driver (virtio_blk)",
    },
    Signature {
        text: "Generating \"/run/initramfs/rdsosreport.txt\"",
        cause: "dracut gave up before the root filesystem was mounted",
        remedy: "compare root= on the kernel command line with the disk, and see whether the initramfs has its driver (virtio_blk)",
    },
    Signature {
        text: "Entering emergency mode",
        cause: "it fell into emergency mode",
        remedy: "look for the unit that failed in the lines before; a wrong /etc/fstab entry is the usual cause",
    },
    Signature {
        text: "You are in emergency mode",
        cause: "it fell into emergency mode",
        remedy: "look for the unit that failed in the lines before; a wrong /etc/fstab entry is the usual cause",
    },
    Signature {
        text: "Give root password for maintenance",
        cause: "it fell into emergency mode",
        remedy: "look for the unit that failed in the lines before; a wrong /etc/fstab entry is the usual cause",
    },
    Signature {
        text: "Cannot open access to console, the root account is locked",
        cause: "it fell into emergency mode",
        remedy: "look for the unit that failed in the lines before; a wrong /etc/fstab entry is the usual cause",
    },
    Signature {
        text: "Out of memory: Kill",
        cause: "it ran out of memory and killed a process",
        remedy: "give the machine more memory ([build] memory)",
    },
    Signature {
        text: "System is deadlocked on memory",
        cause: "it ran out of memory with nothing left to kill",
        remedy: "give the machine more memory ([build] memory)",
    },
    Signature {
        text: "grub rescue>",
        cause: "GRUB did not find its own files",
        remedy: "the boot loader was installed for another disk layout; install it again on this disk",
    },
    Signature {
        text: "No bootable device",
        cause: "the firmware found nothing to boot",
        remedy: "no boot loader was installed, or for the other firmware: a disk made for UEFI does not boot through BIOS",
    },
    Signature {
        text: "No bootable option or device was found",
        cause: "the firmware found nothing to boot",
        remedy: "no boot loader was installed, or for the other firmware: a disk made for BIOS does not boot through UEFI",
    },
    Signature {
        text: "EXT4-fs error",
        cause: "its filesystem is damaged",
        remedy: "the disk image is corrupt: build it again, and check the host's disk and memory if it happens again",
    },
];

/// What a guest may print: all of it is kept on the host. An installation prints some 5 MiB.
const OUTPUT: u64 = 256 << 20;

/// How long a guest may take, and how much it may print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the watch to its end, for a guest that makes no progress.
    pub deadline: Duration,
    /// As `deadline`, for a guest that makes progress; no less than it.
    pub ceiling: Duration,
    /// Silence that is named.
    pub named: Duration,
    /// Silence that ends the run.
    pub stalled: Duration,
    /// Bytes that the guest may print, on its console and its ports together, in all its life.
    pub output: u64,
}

impl Limits {
    /// The limits of a phase that should take no more than `deadline` under KVM: three times as long while it makes progress. Silence is not
    /// stretched: a slow guest still prints something.
    pub fn new(deadline: Duration, accelerator: Accelerator) -> Self {
        let deadline = accelerator.stretch(deadline);
        Self { deadline, ceiling: deadline.saturating_mul(CEILING), named: NAMED_AFTER, stalled: STALLED_AFTER, output: OUTPUT }
    }

    /// The same limits, of which none goes beyond `whole`: the time that is left of a run, which progress does not make longer.
    #[must_use]
    pub fn within(self, whole: Duration) -> Self {
        Self { deadline: self.deadline.min(whole), ceiling: self.ceiling.min(whole), ..self }
    }

    /// How old the last progress may be at the deadline: the disks' counters are read every few seconds, and a guest that computes between two
    /// reads of its disk is not dead.
    fn fresh(&self) -> Duration {
        self.named.min(self.deadline / CEILING)
    }
}

/// What a machine has done since its start. A counter that cannot be read shows neither life nor progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Disk requests completed.
    pub disk: Option<u64>,
    /// CPU time QEMU used.
    pub cpu: Option<Duration>,
}

/// Why a guest's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// The deadline has passed, and for a while there was no progress.
    Stuck {
        /// Since the start of the watch.
        taken: Duration,
        /// Since the last progress.
        still: Duration,
    },
    /// It made progress to the end, and after so long there is no more time.
    Ceiling(Duration),
}

impl fmt::Display for Late {
    /// Fits "it was not done …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck { taken, still } => write!(f, "in {} s, with no progress in the last {} s", taken.as_secs(), still.as_secs()),
            Self::Ceiling(taken) => {
                write!(f, "in {} s, which is the most that it may take, although it made progress to the end", taken.as_secs())
            }
        }
    }
}

/// The verdict of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report.
    Fine,
    /// Silent for this time. It is reported once per silence.
    Named(Duration),
    /// Silent for too long.
    Stalled(Duration),
    /// Out of time.
    Deadline(Late),
    /// It reported that it failed.
    Signature(&'static Signature),
}

/// Watches one guest for the time of one [`Limits`].
#[derive(Debug)]
pub struct Watch {
    limits: Limits,
    begun: Instant,
    /// The guest's phase, in a word; empty when none was entered.
    phase: String,
    /// The last progress.
    progressed: Instant,
    /// The last sign of life.
    alive: Instant,
    named: bool,
    /// The last values of the counters that could be read; the CPU's with the time of reading.
    disk: Option<u64>,
    cpu: Option<(Instant, Duration)>,
    /// The unfinished line that came last.
    prompt: String,
    /// A verdict that ends the run stays: the future that asked may have been dropped before it could act on it.
    ended: Option<Verdict>,
}

impl Watch {
    /// Watch from `now` on.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            begun: now,
            phase: String::new(),
            progressed: now,
            alive: now,
            named: false,
            disk: None,
            cpu: None,
            prompt: String::new(),
            ended: None,
        }
    }

    /// Another phase has begun, which is progress.
    pub fn enter(&mut self, now: Instant, phase: &str) {
        if self.phase != phase {
            phase.clone_into(&mut self.phase);
            self.progressed = self.progressed.max(now);
            self.heard(now);
        }
    }

    /// Whether the guest may have printed `bytes`.
    pub(super) fn may_print(&self, bytes: u64) -> bool {
        bytes <= self.limits.output
    }

    /// The guest's phase; empty when none was entered.
    pub fn phase(&self) -> &str {
        &self.phase
    }

    /// A sign of life that the machine itself does not see, such as bytes on a port. It ends a silence and is no progress.
    pub fn heard(&mut self, now: Instant) {
        self.alive = self.alive.max(now);
        self.named = false;
    }

    /// A prompt came, or an unfinished line that grew. A line that grows only by dots is no sign of life: Anaconda writes a dot per second
    /// until it is ready, which may be never.
    pub fn prompt(&mut self, now: Instant, line: &str) -> Verdict {
        let more = line.strip_prefix(&*self.prompt).filter(|_| !self.prompt.is_empty());
        let only_dots = more.is_some_and(|more| more.bytes().all(|byte| byte == b'.'));
        line.clone_into(&mut self.prompt);
        if only_dots { self.ended.unwrap_or(Verdict::Fine) } else { self.console(now, line) }
    }

    /// A console line came.
    pub fn console(&mut self, now: Instant, line: &str) -> Verdict {
        self.heard(now);
        if self.ended.is_none() {
            self.ended = SIGNATURES.iter().find(|signature| line.contains(signature.text)).map(Verdict::Signature);
        }
        self.ended.unwrap_or(Verdict::Fine)
    }

    /// The counters were read.
    pub fn counters(&mut self, now: Instant, counters: Counters) {
        if let Some(disk) = counters.disk
            && self.disk.replace(disk).is_some_and(|before| disk > before)
        {
            self.progressed = now;
            self.heard(now);
        }
        let Some(cpu) = counters.cpu else { return };
        let busy =
            |(then, before): (Instant, Duration)| cpu.saturating_sub(before) * 100 > now.saturating_duration_since(then) * IDLE_PERCENT;
        if self.cpu.replace((now, cpu)).is_some_and(busy) {
            self.heard(now);
        }
    }

    /// What to do now.
    pub fn verdict(&mut self, now: Instant) -> Verdict {
        if let Some(ended) = self.ended {
            return ended;
        }
        let since = |then| now.saturating_duration_since(then);
        let (taken, still, silent) = (since(self.begun), since(self.progressed), since(self.alive));
        if taken >= self.limits.deadline && still >= self.limits.fresh() {
            *self.ended.insert(Verdict::Deadline(Late::Stuck { taken, still }))
        } else if taken >= self.limits.ceiling {
            *self.ended.insert(Verdict::Deadline(Late::Ceiling(taken)))
        } else if silent >= self.limits.stalled {
            *self.ended.insert(Verdict::Stalled(silent))
        } else if silent >= self.limits.named && !self.named {
            self.named = true;
            Verdict::Named(silent)
        } else {
            Verdict::Fine
        }
    }

    /// How long the verdict stays the same if nothing happens.
    pub fn patience(&self, now: Instant) -> Duration {
        if self.ended.is_some() {
            return Duration::ZERO;
        }
        let silence = if self.named { self.limits.stalled } else { self.limits.named };
        let stuck = (self.begun + self.limits.deadline).max(self.progressed + self.limits.fresh());
        let over = stuck.min(self.begun + self.limits.ceiling);
        (self.alive + silence).min(over).saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, and at which second.
    #[derive(Clone, Copy)]
    enum Step {
        Line(&'static str, Verdict),
        Prompt(&'static str),
        Port,
        Enter(&'static str),
        Count { disk: u64, cpu: u64 },
        Disk(Option<u64>),
        Ask(Verdict),
    }
    use Step::{Ask, Count, Disk, Enter, Line, Port, Prompt};
    use Verdict::{Deadline, Fine, Named, Stalled};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const fn stuck(taken: u64, still: u64) -> Verdict {
        Deadline(Late::Stuck { taken: seconds(taken), still: seconds(still) })
    }

    const fn ceiling(taken: u64) -> Verdict {
        Deadline(Late::Ceiling(seconds(taken)))
    }

    fn run(name: &str, deadline: u64, steps: &[(u64, Step)]) {
        run_within(name, Limits::new(seconds(deadline), Accelerator::Kvm), steps);
    }

    fn run_within(name: &str, limits: Limits, steps: &[(u64, Step)]) {
        let start = Instant::now();
        let mut watch = Watch::new(limits, start);
        for (at, step) in steps {
            let now = start + seconds(*at);
            match step {
                Line(line, expected) => assert_eq!(watch.console(now, line), *expected, "{name} at {at}"),
                Prompt(line) => assert_eq!(watch.prompt(now, line), Fine, "{name} at {at}"),
                Port => watch.heard(now),
                Enter(phase) => watch.enter(now, phase),
                Count { disk, cpu } => watch.counters(now, Counters { disk: Some(*disk), cpu: Some(seconds(*cpu)) }),
                Disk(disk) => watch.counters(now, Counters { disk: *disk, cpu: None }),
                Ask(expected) => assert_eq!(watch.verdict(now), *expected, "{name} at {at}"),
            }
        }
    }

    #[test]
    fn silence_is_named_once_and_then_ends_the_run() {
        run(
            "silent",
            3600,
            &[
                (59, Ask(Fine)),
                (60, Ask(Named(seconds(60)))),
                (61, Ask(Fine)),
                (299, Ask(Fine)),
                (300, Ask(Stalled(seconds(300)))),
                (301, Port),
                (301, Ask(Stalled(seconds(300)))),
            ],
        );
        run(
            "speaks again",
            3600,
            &[
                (60, Ask(Named(seconds(60)))),
                (100, Line("ok", Fine)),
                (159, Ask(Fine)),
                (160, Ask(Named(seconds(60)))),
                (400, Ask(Stalled(seconds(300)))),
            ],
        );
    }

    #[test]
    fn dots_are_no_progress_and_a_word_is() {
        run(
            "dots",
            3600,
            &[
                (1, Prompt("Starting automated install")),
                (30, Prompt("Starting automated install.")),
                (59, Prompt("Starting automated install..")),
                (61, Ask(Named(seconds(60)))),
                (62, Prompt("Starting automated install.. done")),
                (121, Ask(Fine)),
                (122, Ask(Named(seconds(60)))),
            ],
        );
    }

    #[test]
    fn disk_and_cpu_count_as_progress_and_idling_does_not() {
        run(
            "disk",
            3600,
            &[(0, Count { disk: 1, cpu: 0 }), (50, Count { disk: 2, cpu: 0 }), (109, Ask(Fine)), (110, Ask(Named(seconds(60))))],
        );
        run("cpu", 3600, &[(0, Count { disk: 0, cpu: 0 }), (50, Count { disk: 0, cpu: 6 }), (109, Ask(Fine))]);
        run("idle", 3600, &[(0, Count { disk: 5, cpu: 0 }), (50, Count { disk: 5, cpu: 5 }), (60, Ask(Named(seconds(60))))]);
        run("port", 3600, &[(50, Port), (109, Ask(Fine))]);
        // The value at 55 s is that of 0 s, so it is no traffic, although nothing could be read in between.
        run("unreadable", 3600, &[(0, Disk(Some(5))), (50, Disk(None)), (55, Disk(Some(5))), (60, Ask(Named(seconds(60))))]);
    }

    #[test]
    fn neither_a_busy_cpu_nor_talk_puts_off_the_deadline() {
        let spins: &[(u64, Step)] = &[(0, Count { disk: 0, cpu: 0 }), (80, Count { disk: 0, cpu: 80 }), (89, Count { disk: 0, cpu: 89 })];
        run("spinning", 90, &[spins, &[(89, Ask(Fine)), (90, Ask(stuck(90, 90)))]].concat());
        let talks: Vec<_> = (0..90).flat_map(|at| [(at, Port), (at, Line("still here", Fine)), (at, Ask(Fine))]).collect();
        run("talking", 90, &[&talks, &[(90, Port), (90, Ask(stuck(90, 90)))][..]].concat());
        // Traffic of long ago does not count.
        run("stuck", 90, &[(0, Disk(Some(1))), (60, Disk(Some(2))), (80, Port), (89, Ask(Fine)), (90, Ask(stuck(90, 30)))]);
    }

    #[test]
    fn progress_puts_off_the_deadline_up_to_the_ceiling() {
        let works = |until: u64| (0..=until / 10).map(|at| (at * 10, Disk(Some(at)))).collect::<Vec<_>>();
        run("works", 90, &[&works(269), &[(90, Ask(Fine)), (269, Ask(Fine)), (270, Ask(ceiling(270)))][..]].concat());
        run("works and stops", 90, &[&works(200), &[(229, Ask(Fine)), (230, Ask(stuck(230, 30)))][..]].concat());
        run("phases", 90, &[(70, Enter("seal")), (90, Ask(Fine)), (99, Ask(Fine)), (100, Ask(stuck(100, 30)))]);
        run("the same phase", 90, &[(50, Enter("seal")), (70, Enter("seal")), (90, Ask(stuck(90, 40)))]);
        // Counters that cannot be read, or that start again, do not count as progress.
        run("unreadable", 90, &[(0, Disk(Some(9))), (70, Disk(None)), (80, Disk(Some(9))), (90, Ask(stuck(90, 90)))]);
        run("anew", 90, &[(0, Disk(Some(9))), (80, Disk(Some(0))), (90, Ask(stuck(90, 90)))]);
        run("first look", 90, &[(80, Disk(Some(9))), (90, Ask(stuck(90, 90)))]);
        let hard = Limits::new(seconds(90), Accelerator::Kvm).within(seconds(100));
        run_within("the whole is not put off", hard, &[&works(99), &[(99, Ask(Fine)), (100, Ask(ceiling(100)))][..]].concat());
        assert_eq!(hard.within(seconds(5)), Limits { deadline: seconds(5), ceiling: seconds(5), ..hard });
        let tcg = Limits::new(seconds(90), Accelerator::Tcg);
        assert_eq!((tcg.deadline, tcg.ceiling, tcg.stalled), (seconds(900), seconds(2700), STALLED_AFTER));
    }

    #[test]
    fn lateness_is_told_with_its_reason() {
        let told = |late: Late| format!("the guest was not done {late}");
        assert_eq!(
            told(Late::Stuck { taken: seconds(180), still: seconds(95) }),
            "the guest was not done in 180 s, with no progress in the last 95 s"
        );
        assert_eq!(
            told(Late::Ceiling(seconds(540))),
            "the guest was not done in 540 s, which is the most that it may take, although it made progress to the end"
        );
    }

    /// A sleep for the reported patience ends when there is a verdict, and not before.
    #[test]
    fn patience_ends_where_the_next_verdict_is() {
        let start = Instant::now();
        let mut watch = Watch::new(Limits::new(seconds(100), Accelerator::Kvm), start);
        assert_eq!(watch.patience(start + seconds(10)), seconds(50));
        assert_eq!(watch.verdict(start + seconds(60)), Named(seconds(60)));
        assert_eq!(watch.patience(start + seconds(60)), seconds(40));
        watch.counters(start + seconds(60), Counters { disk: Some(1), cpu: None });
        watch.counters(start + seconds(90), Counters { disk: Some(2), cpu: None });
        // Fresh for 33⅓ s.
        assert_eq!(watch.patience(start + seconds(90)).as_secs(), 33);
        assert_eq!(watch.verdict(start + seconds(123)), Fine);
        assert_eq!(watch.verdict(start + seconds(124)), stuck(124, 34));
        assert_eq!(watch.patience(start), Duration::ZERO);
    }

    #[test]
    fn real_failure_lines_are_recognised_and_ordinary_ones_are_not() {
        for (line, cause) in [
            ("[    2.123456] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", "its kernel panicked"),
            ("[  OK  ] Reached target Multi-User System.", ""),
            ("(initramfs) ", "its initramfs did not find"),
            ("Gave up waiting for root file system device.  Common problems:", "its initramfs did not find"),
            ("Loading, please wait... initramfs", ""),
            ("dracut Warning: Could not boot.", ""),
            ("Generating \"/run/initramfs/rdsosreport.txt\"", "dracut gave up"),
            ("Entering emergency mode. Exit the shell to continue.", "it fell into emergency mode"),
            ("Give root password for maintenance", "it fell into emergency mode"),
            ("[   61.0] Out of memory: Killed process 412 (dockerd) total-vm:1234kB", "it ran out of memory"),
            ("[   61.0] Out of memory: Kill process 412 (yum) score 5 or sacrifice child", "it ran out of memory"),
            ("grub rescue> ", "GRUB did not find"),
            ("BdsDxe: No bootable option or device was found.", "the firmware found nothing"),
            ("No bootable device.  Retrying in 1 seconds.", "the firmware found nothing"),
            ("docker[1]: kernel: panic=1 emergency", ""),
        ] {
            let now = Instant::now();
            let mut watch = Watch::new(Limits::new(seconds(100), Accelerator::Kvm), now);
            let found = match watch.console(now, line) {
                Verdict::Signature(signature) => signature.cause,
                _ => "",
            };
            assert!(found.starts_with(cause) && found.is_empty() == cause.is_empty(), "{line}: {found}");
        }
    }
}
