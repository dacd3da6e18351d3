//! Tells from the lines of the console which phase of its boot a guest is in. Pure. It is only shown: no deadline depends on it.
//!
//! ```text
//!   firmware → boot loader → kernel → initramfs → starting services ⇄ waiting for UNIT
//! ```
//!
//! A kernel with `quiet`, or a system without systemd, prints less. A phase without a line is then skipped.

use crate::base::event::Task;

/// Characters of a unit's name that are shown. The name comes from the guest and may be long.
const UNIT_LENGTH: usize = 60;

/// A part of a boot, in running order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Firmware,
    BootLoader,
    Kernel,
    Initramfs,
    Services,
}

/// Lines that a phase is known by. A line of a phase that has passed changes nothing: dracut's systemd and that of the system say the same.
///
/// Sources: GRUB 2.06 `kern/main.c` and `normal/main.c`; Linux `init/version.c` (`linux_banner`) and `init/main.c` (`run_init_process`);
/// initramfs-tools 0.142 `init` and `scripts/functions` (`log_begin_msg`); systemd 219 and 252 `src/core/main.c` (`status_welcome`, "Running in
/// initial RAM disk."); dracut 033, whose `initrd-release` ends in "(Initramfs)".
const MARKS: &[(&str, Phase)] = &[
    ("Welcome to GRUB!", Phase::BootLoader),
    ("GNU GRUB  version", Phase::BootLoader),
    ("Linux version ", Phase::Kernel),
    ("Run /init as init process", Phase::Initramfs),
    ("Loading, please wait...", Phase::Initramfs),
    ("Begin: ", Phase::Initramfs),
    ("Running in initial RAM disk", Phase::Initramfs),
    ("(Initramfs)", Phase::Initramfs),
    ("Welcome to ", Phase::Services),
];
/// systemd, `src/core/manager.c` (`manager_print_jobs_in_progress`), when nothing has happened for five seconds: 219 says
/// "A start job is running for UNIT (7s / 1min 30s)".
const WAITING: &str = " start job is running for ";
/// 252 of Debian, which shortens long names in their middle: "(1 of 8) Job UNIT/start running (15s / 1min 38s)".
const WAITING_BY_NAME: (&str, &str) = (" Job ", "/start running (");

/// A boot, followed line by line.
#[derive(Debug)]
pub struct Booting {
    how: &'static str,
    phase: Phase,
    /// The unit that the boot waits for.
    unit: Option<String>,
}

impl Booting {
    /// A machine was switched on: report it to `task`. `how` distinguishes it from another machine that boots meanwhile.
    pub fn begin(how: &'static str, task: &Task) -> Self {
        let booting = Self { how, phase: Phase::Firmware, unit: None };
        task.step(&booting.to_string());
        booting
    }

    /// The console printed `line`: report to `task` when the boot has got further.
    pub fn hear(&mut self, line: &str, task: &Task) {
        if self.moves(line) {
            task.step(&self.to_string());
        }
    }

    /// Whether `line` means another phase, or another unit that is waited for.
    fn moves(&mut self, line: &str) -> bool {
        if let Some(unit) = waited_for(line) {
            let unit: String = unit.chars().take(UNIT_LENGTH).collect();
            let is_new = self.unit.as_ref() != Some(&unit);
            self.phase = self.phase.max(Phase::Initramfs);
            self.unit = Some(unit);
            return is_new;
        }
        // A unit was started, so the boot no longer waits for one unit alone.
        let went_on = line.contains("[  OK  ]") && self.unit.take().is_some();
        let Some((_, phase)) = MARKS.iter().find(|(mark, _)| line.contains(mark)) else { return went_on };
        let is_further = *phase > self.phase;
        if is_further {
            self.phase = *phase;
            self.unit = None;
        }
        is_further || went_on
    }
}

/// The unit, or its description, that systemd waits for.
fn waited_for(line: &str) -> Option<&str> {
    let (before, after) = WAITING_BY_NAME;
    let by_name = line.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(unit, _)| unit);
    let described = || line.split_once(WAITING).map(|(_, rest)| rest.rsplit_once(" (").map_or(rest, |(unit, _)| unit));
    by_name.or_else(described)
}

impl std::fmt::Display for Booting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.how)?;
        match (&self.unit, self.phase) {
            (Some(unit), _) => write!(f, "waiting for {unit}"),
            (None, Phase::Firmware) => f.write_str("firmware"),
            (None, Phase::BootLoader) => f.write_str("boot loader"),
            (None, Phase::Kernel) => f.write_str("kernel"),
            (None, Phase::Initramfs) => f.write_str("initramfs"),
            (None, Phase::Services) => f.write_str("starting services"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::base::event::{Event, Events};

    /// The steps that a listener gets for these lines.
    fn steps(lines: &[&str]) -> Vec<String> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let listener = move |event: &Event| {
            if let Event::Progress { step, .. } = event {
                ear.lock().unwrap().push(step.strip_prefix("booting: ").unwrap().to_owned());
            }
        };
        let task = Events::new(vec![Box::new(listener)]).task("t");
        let mut booting = Booting::begin("booting", &task);
        lines.iter().for_each(|line| booting.hear(line, &task));
        let heard = heard.lock().unwrap();
        heard.clone()
    }

    #[test]
    fn a_boot_tells_its_phases_once_and_in_order() {
        let debian = [
            "Welcome to GRUB!",
            "[    0.000000] Linux version 6.1.0-37-cloud-amd64 (debian-kernel@lists.debian.org)",
            "[    0.000000] Command line: root=UUID=1 ro console=ttyS0",
            "[    2.116011] Run /init as init process",
            "Loading, please wait...",
            "Begin: Mounting root file system ... Begin: Running /scripts/local-top ... done.",
            "[    9.112354] systemd[1]: Detected virtualization qemu.",
            "Welcome to Debian GNU/Linux 12 (bookworm)!",
            "         Starting docker.service - Docker Application Container Engine...",
            "[*     ] (1 of 8) Job systemd-modules-load.s\u{2026}ice/start running (15s / 1min 38s)",
            "[***   ] Job docker.service/start running (6s / no limit)",
            "[ ***  ] Job docker.service/start running (7s / no limit)",
            "[  OK  ] Started docker.service - Docker Application Container Engine.",
            "[  OK  ] Reached target multi-user.target - Multi-User System.",
            "master login: ",
        ];
        let expected = [
            "firmware",
            "boot loader",
            "kernel",
            "initramfs",
            "starting services",
            "waiting for systemd-modules-load.s\u{2026}ice",
            "waiting for docker.service",
            "starting services",
        ];
        assert_eq!(steps(&debian), expected);
        let centos = [
            "[    0.000000] Linux version 3.10.0-862.el7.x86_64 (builder@kbuilder.dev.centos.org)",
            "[    1.2] systemd[1]: Running in initial RAM disk.",
            "Welcome to CentOS Linux 7 (Core) dracut-033-535.el7 (Initramfs)!",
            "[  OK  ] Reached target Timers.",
            "[  *** ] A start job is running for dev-vda1.device (7s / 1min 30s)",
            "Welcome to CentOS Linux 7 (Core)!",
            "[  *** ] (1 of 2) A start job is running for LSB: Bring up/down networking (11s / 5min)",
        ];
        let expected = [
            "firmware",
            "kernel",
            "initramfs",
            "waiting for dev-vda1.device",
            "starting services",
            "waiting for LSB: Bring up/down networking",
        ];
        assert_eq!(steps(&centos), expected);
        // A phase that has passed does not come again, and a long name is cut.
        let long = format!("A start job is running for {}", "x".repeat(1000));
        let odd = ["Welcome to Debian!", "Linux version 6", "Loading, please wait...", &long, "done"];
        assert_eq!(steps(&odd), ["firmware", "starting services", &format!("waiting for {}", "x".repeat(UNIT_LENGTH))]);
    }
}
