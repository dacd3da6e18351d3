//! When to give up on a guest, as pure rules: time is an argument, so tables test them.
//!
//! ```text
//!   progress: a console line, disk traffic, a busy CPU, bytes on a port; not: dots that an unfinished line grows by
//!   silent for 60 s  → Named, once per silence, and the run goes on
//!   silent for 300 s → Stalled
//!   deadline passed  → Deadline, however busy the guest is (a spinning hang looks busy)
//!   failure line     → Signature, at once
//! ```

use std::time::{Duration, Instant};

use super::spec::Accelerator;

/// Silence that is worth a word.
const NAMED_AFTER: Duration = Duration::from_secs(60);
/// Silence that ends the run.
const STALLED_AFTER: Duration = Duration::from_secs(300);
/// Share of one CPU below which the machine counts as idle: an idle Linux guest takes 1 to 5 % under TCG for its timers.
const IDLE_PERCENT: u32 = 10;

/// What a failed guest says, and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// What the console line contains.
    pub text: &'static str,
    /// The cause in our words; fits "the guest failed: …".
    pub cause: &'static str,
    /// What the user can do.
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

/// How long a guest may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of the watch to its end.
    pub deadline: Duration,
    /// Silence that is named.
    pub named: Duration,
    /// Silence that ends the run.
    pub stalled: Duration,
}

impl Limits {
    /// The limits of a phase that may take `deadline` under KVM. Silence is not stretched: a slow guest still says something.
    pub fn new(deadline: Duration, accelerator: Accelerator) -> Self {
        Self { deadline: accelerator.stretch(deadline), named: NAMED_AFTER, stalled: STALLED_AFTER }
    }
}

/// Counters that only grow while something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Disk requests completed.
    pub disk: u64,
    /// CPU time QEMU used.
    pub cpu: Duration,
}

/// What the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to say.
    Fine,
    /// Silent for so long; said once per silence.
    Named(Duration),
    /// Silent for too long.
    Stalled(Duration),
    /// Out of time.
    Deadline(Duration),
    /// It said that it failed.
    Signature(&'static Signature),
}

/// Watches one phase of one guest.
#[derive(Debug)]
pub struct Watch {
    limits: Limits,
    begun: Instant,
    progressed: Instant,
    named: bool,
    counted: Option<(Instant, Counters)>,
    /// The unfinished line that came last.
    prompt: String,
    /// A verdict that ends the run stays: whoever asked may have been cancelled before he could act on it.
    ended: Option<Verdict>,
}

impl Watch {
    /// Watch from `now` on.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, begun: now, progressed: now, named: false, counted: None, prompt: String::new(), ended: None }
    }

    /// Something happened that the machine itself does not see, such as bytes on a port.
    pub fn progress(&mut self, now: Instant) {
        self.progressed = self.progressed.max(now);
        self.named = false;
    }

    /// A prompt came, or an unfinished line that grew. By dots alone it only tells that time goes by: Anaconda writes one a second until
    /// it is ready, which may be never.
    pub fn prompt(&mut self, now: Instant, line: &str) -> Verdict {
        let more = line.strip_prefix(&*self.prompt).filter(|_| !self.prompt.is_empty());
        let only_dots = more.is_some_and(|more| more.bytes().all(|byte| byte == b'.'));
        line.clone_into(&mut self.prompt);
        if only_dots { self.ended.unwrap_or(Verdict::Fine) } else { self.console(now, line) }
    }

    /// A console line came.
    pub fn console(&mut self, now: Instant, line: &str) -> Verdict {
        self.progress(now);
        if self.ended.is_none() {
            self.ended = SIGNATURES.iter().find(|signature| line.contains(signature.text)).map(Verdict::Signature);
        }
        self.ended.unwrap_or(Verdict::Fine)
    }

    /// The counters were read.
    pub fn counters(&mut self, now: Instant, counters: Counters) {
        let Some((then, before)) = self.counted.replace((now, counters)) else { return };
        let busy = counters.cpu.saturating_sub(before.cpu) * 100 > now.saturating_duration_since(then) * IDLE_PERCENT;
        if counters.disk != before.disk || busy {
            self.progress(now);
        }
    }

    /// What to do now.
    pub fn verdict(&mut self, now: Instant) -> Verdict {
        if let Some(ended) = self.ended {
            return ended;
        }
        let (taken, silent) = (now.saturating_duration_since(self.begun), now.saturating_duration_since(self.progressed));
        if taken >= self.limits.deadline {
            *self.ended.insert(Verdict::Deadline(self.limits.deadline))
        } else if silent >= self.limits.stalled {
            *self.ended.insert(Verdict::Stalled(silent))
        } else if silent >= self.limits.named && !self.named {
            self.named = true;
            Verdict::Named(silent)
        } else {
            Verdict::Fine
        }
    }

    /// How long nothing new can be said unless something happens.
    pub fn patience(&self, now: Instant) -> Duration {
        if self.ended.is_some() {
            return Duration::ZERO;
        }
        let silence = if self.named { self.limits.stalled } else { self.limits.named };
        let next = (self.progressed + silence).min(self.begun + self.limits.deadline);
        next.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, and at which second.
    enum Step {
        Line(&'static str, Verdict),
        Prompt(&'static str),
        Port,
        Count { disk: u64, cpu: u64 },
        Ask(Verdict),
    }
    use Step::{Ask, Count, Line, Port, Prompt};
    use Verdict::{Deadline, Fine, Named, Stalled};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn run(name: &str, deadline: u64, steps: &[(u64, Step)]) {
        let start = Instant::now();
        let mut watch = Watch::new(Limits::new(seconds(deadline), Accelerator::Kvm), start);
        for (at, step) in steps {
            let now = start + seconds(*at);
            match step {
                Line(line, expected) => assert_eq!(watch.console(now, line), *expected, "{name} at {at}"),
                Prompt(line) => assert_eq!(watch.prompt(now, line), Fine, "{name} at {at}"),
                Port => watch.progress(now),
                Count { disk, cpu } => watch.counters(now, Counters { disk: *disk, cpu: seconds(*cpu) }),
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
    }

    #[test]
    fn a_busy_guest_still_ends_at_its_deadline() {
        run(
            "spinning",
            90,
            &[(0, Count { disk: 0, cpu: 0 }), (80, Count { disk: 0, cpu: 80 }), (89, Ask(Fine)), (90, Ask(Deadline(seconds(90))))],
        );
        let tcg = Limits::new(seconds(90), Accelerator::Tcg);
        assert_eq!((tcg.deadline, tcg.stalled), (seconds(900), STALLED_AFTER));
    }

    #[test]
    fn patience_ends_where_the_next_verdict_is() {
        let start = Instant::now();
        let mut watch = Watch::new(Limits::new(seconds(100), Accelerator::Kvm), start);
        assert_eq!(watch.patience(start + seconds(10)), seconds(50));
        assert_eq!(watch.verdict(start + seconds(60)), Named(seconds(60)));
        assert_eq!(watch.patience(start + seconds(60)), seconds(40));
        assert_eq!(watch.verdict(start + seconds(100)), Deadline(seconds(100)));
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
