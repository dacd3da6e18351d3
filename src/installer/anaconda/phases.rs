//! Follows an installation by its log: phases, and the number of packages. Pure.

use std::time::Duration;

use super::log::LogLine;

/// A part of an installation.
#[derive(Debug, PartialEq, Eq)]
pub struct Phase {
    /// For people: fits "it was at: …".
    pub title: &'static str,
    /// The lines that it begins with or that are in it: who writes them, and how they begin; a `*` stands for anything.
    begins: &'static [(&'static str, &'static str)],
    /// Seconds that one step of it may take under KVM: the whole of it, or a package, or what a script says it does.
    seconds: u64,
}

impl Phase {
    /// How long one step of it may take under KVM, when it makes no progress. It is the last resort, for an installation that spins:
    /// silence is noticed long before.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// All phases in running order.
///
/// Sources, of Anaconda 21.48.22.134: anaconda, pyanaconda/install.py, pyanaconda/threads.py, pyanaconda/packaging/yumpayload.py.
/// The log is lossy, so every line of a phase counts, not only the first.
///
/// Storage and packages are looked at by threads side by side, and the packages once more when the disk is there: so a phase that was
/// passed does not begin again.
const PHASES: &[Phase] = &[
    Phase { title: "starting", begins: &[], seconds: 300 },
    Phase { title: "starting the installer", begins: &[("anaconda", "/sbin/anaconda "), ("anaconda", "check_memory()")], seconds: 180 },
    Phase { title: "%pre", begins: &[("anaconda", "Running kickstart %%pre script(s)")], seconds: 180 },
    Phase {
        title: "reading the kickstart",
        begins: &[
            ("anaconda", "All kickstart %%pre script(s) have been run"),
            ("anaconda", "Parsing kickstart:"),
            ("anaconda", "Display mode ="),
        ],
        seconds: 180,
    },
    Phase {
        title: "looking at the disks",
        begins: &[("anaconda", "Running Thread: AnaStorageThread"), ("anaconda", "Thread Done: AnaStorageThread")],
        seconds: 300,
    },
    Phase {
        title: "reading the repositories",
        begins: &[
            ("packaging", "configuring base repo"),
            ("packaging", "adding yum repo"),
            ("packaging", "gathering repo metadata"),
            ("packaging", "metadata retrieval complete"),
        ],
        seconds: 300,
    },
    Phase {
        title: "choosing packages",
        begins: &[
            ("packaging", "checking software selection"),
            ("packaging", "checking dependencies"),
            ("packaging", "* packages selected totalling "),
            ("packaging", "fs space: "),
        ],
        seconds: 300,
    },
    Phase {
        title: "laying out the disk",
        begins: &[
            ("anaconda", "Running Thread: AnaInstallThread"),
            ("anaconda", "Setting up the installation environment"),
            ("anaconda", "Creating * on /dev/"),
        ],
        seconds: 300,
    },
    Phase {
        title: "packages",
        begins: &[
            ("packaging", "Running anaconda-yum to install packages"),
            ("packaging", "Preparing transaction from installation source"),
        ],
        // For one package, or the transaction's check: selinux-policy-targeted takes longest.
        seconds: 240,
    },
    Phase { title: "finishing the packages", begins: &[("packaging", "Performing post-installation setup tasks")], seconds: 600 },
    Phase { title: "boot loader", begins: &[("anaconda", "Installing boot loader")], seconds: 300 },
    Phase {
        title: "configuring the system",
        begins: &[
            ("anaconda", "Thread Done: AnaInstallThread"),
            ("anaconda", "Configuring installed system"),
            ("anaconda", "Writing network configuration"),
            ("anaconda", "Creating users"),
            ("anaconda", "Configuring addons"),
        ],
        seconds: 300,
    },
    Phase { title: "initramfs", begins: &[("anaconda", "Generating initramfs")], seconds: 300 },
    Phase {
        title: "%post",
        begins: &[("anaconda", "Running post-installation scripts"), ("anaconda", "Running kickstart %%post script(s)")],
        seconds: 900,
    },
    Phase {
        title: "ending",
        begins: &[("anaconda", "All kickstart %%post script(s) have been run"), ("anaconda", "Thread Done: AnaConfigurationThread")],
        seconds: 180,
    },
];

/// How far an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    phase: usize,
    /// Packages begun and packages in all; 0 before the first.
    packages: (u32, u32),
}

/// More packages than this are a misread line: all of CentOS 7 has some ten thousand.
const PACKAGES_MAX: u32 = 100_000;

impl Progress {
    /// Before the first line.
    pub fn new() -> Self {
        Self { phase: 0, packages: (0, 0) }
    }

    /// The phase it is in.
    pub fn phase(&self) -> &'static Phase {
        &PHASES[self.phase]
    }

    /// Packages begun and packages in all, while packages are installed.
    pub fn packages(&self) -> Option<(u32, u32)> {
        (self.phase().title == "packages" && self.packages.1 > 0).then_some(self.packages)
    }

    /// Take in a line of the log. Returns whether it is a step: another phase, or another package.
    ///
    /// Lines come twice (log and screen), late or not at all, so nothing goes back and phases may be left out.
    pub fn hear(&mut self, line: &LogLine<'_>) -> bool {
        let before = *self;
        let begins = |phase: &Phase| phase.begins.iter().any(|(program, pattern)| line.program == *program && fits(line.message, pattern));
        if let Some(ahead) = PHASES[self.phase..].iter().position(begins) {
            self.phase += ahead;
        }
        if let Some((done, total)) = package(line) {
            let packages = PHASES.iter().position(|phase| phase.title == "packages").unwrap_or(self.phase);
            self.phase = self.phase.max(packages);
            self.packages = (self.packages.0.max(done), total);
        }
        *self != before
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for Progress {
    /// `packages 212/340`, or the phase's title.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.phase().title)?;
        match self.packages() {
            Some((done, total)) => write!(f, " {done}/{total}"),
            None => Ok(()),
        }
    }
}

/// Whether `message` begins as `pattern` says.
fn fits(message: &str, pattern: &str) -> bool {
    let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
    message.strip_prefix(before).is_some_and(|rest| rest.contains(after))
}

/// `Installing NAME (N/M)` (pyanaconda/packaging/yumpayload.py, install; the text after `PROGRESS_INSTALL:` is anaconda-yum's). It is
/// logged at DEBUG; at INFO the same words are a scriptlet's, whose output is repeated when the packages are installed.
fn package(line: &LogLine<'_>) -> Option<(u32, u32)> {
    let rest = line.message.strip_prefix("Installing ").filter(|_| line.program == "packaging" && line.level == "DEBUG")?;
    let (_, numbers) = rest.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
    let (done, total) = numbers.split_once('/')?;
    let (done, total): (u32, u32) = (done.parse().ok()?, total.parse().ok()?);
    (1 <= done && done <= total && total <= PACKAGES_MAX).then_some((done, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(program: &'a str, message: &'a str) -> LogLine<'a> {
        LogLine { level: "DEBUG", program, message }
    }

    /// An installation's lines in their order, with what it shows after each.
    #[test]
    fn an_installation_goes_through_its_phases() {
        let mut progress = Progress::new();
        assert_eq!(progress.to_string(), "starting");
        for (program, message, shown) in [
            ("anaconda", "/sbin/anaconda 21.48.22.134-1", "starting the installer"),
            ("anaconda", "check_memory(): total:2048, needed:320, graphical:410", "starting the installer"),
            ("anaconda", "Running kickstart %%pre script(s)", "%pre"),
            ("anaconda", "All kickstart %%pre script(s) have been run", "reading the kickstart"),
            ("anaconda", "Parsing kickstart: /run/install/ks.cfg", "reading the kickstart"),
            ("anaconda", "Display mode = c", "reading the kickstart"),
            ("anaconda", "Running Thread: AnaStorageThread (139724398364416)", "looking at the disks"),
            ("packaging", "configuring base repo", "reading the repositories"),
            (
                "packaging",
                "adding yum repo, name: kubernetes, baseurl: file:///run/goldsmith/volume/kubernetes",
                "reading the repositories",
            ),
            ("anaconda", "Thread Done: AnaStorageThread (139724398364416)", "reading the repositories"),
            ("packaging", "metadata retrieval complete", "reading the repositories"),
            ("packaging", "checking software selection", "choosing packages"),
            ("packaging", "340 packages selected totalling 1.2 GiB", "choosing packages"),
            ("anaconda", "Running Thread: AnaInstallThread (139724398364416)", "laying out the disk"),
            ("anaconda", "Creating ext4 on /dev/vda2", "laying out the disk"),
            // The packages are chosen once more.
            ("packaging", "gathering repo metadata for anaconda", "laying out the disk"),
            ("packaging", "checking software selection", "laying out the disk"),
            ("packaging", "Running anaconda-yum to install packages", "packages"),
            ("packaging", "Preparing transaction from installation source", "packages"),
            ("packaging", "Installing libgcc (1/340)", "packages 1/340"),
            ("packaging", "Installing docker-ce (212/340)", "packages 212/340"),
            ("packaging", "Installing docker-ce (212/340)", "packages 212/340"),
            ("packaging", "Performing post-installation setup tasks", "finishing the packages"),
            ("packaging", "Installing docker-ce (212/340)", "finishing the packages"),
            ("anaconda", "Installing boot loader", "boot loader"),
            ("anaconda", "Thread Done: AnaInstallThread (139724398364416)", "configuring the system"),
            ("anaconda", "Creating users", "configuring the system"),
            ("anaconda", "Generating initramfs", "initramfs"),
            ("anaconda", "Running post-installation scripts", "%post"),
            ("anaconda", "Running kickstart %%post script(s)", "%post"),
            ("anaconda", "All kickstart %%post script(s) have been run", "ending"),
            ("anaconda", "Thread Done: AnaConfigurationThread (139724398364416)", "ending"),
        ] {
            let before = progress;
            let stepped = progress.hear(&line(program, message));
            assert_eq!((progress.to_string().as_str(), stepped), (shown, progress != before), "{program}: {message}");
        }
    }

    #[test]
    fn every_line_that_begins_a_phase_begins_it() {
        for (index, phase) in PHASES.iter().enumerate() {
            for (program, text) in phase.begins {
                let mut progress = Progress::new();
                assert!(progress.hear(&line(program, &text.replace('*', "ext4"))), "{text}");
                assert_eq!(progress.phase, index, "{text}");
            }
        }
    }

    #[test]
    fn only_a_package_counts_as_one() {
        for (program, message, expected) in [
            ("packaging", "Installing kernel-3.10.0-862.el7.x86_64 (7/9)", Some((7, 9))),
            ("packaging", "Installing a (b) (7/9)", Some((7, 9))),
            ("program", "Installing a (7/9)", None),
            ("packaging", "Installing boot loader", None),
            ("packaging", "Installing a (9/7)", None),
            ("packaging", "Installing a (0/7)", None),
            ("packaging", "Installing a (1/4294967296)", None),
            ("packaging", "Installing a (1/4294967295)", None),
            ("packaging", "Installing a (x/7)", None),
        ] {
            assert_eq!(package(&line(program, message)), expected, "{message}");
            // As a scriptlet's output.
            assert_eq!(package(&LogLine { level: "INFO", ..line(program, message) }), None, "{message}");
        }
    }
}
