//! What an installation says when it fails, what that means, and what to do: tables, and the two questions asked of them. Pure.
//!
//! A power-off says nothing of success ([`super`]), and half of the failures never even end the machine. So each way to fail that is
//! known has a row. Sources are Anaconda 21.48.22.134 (that of CentOS 7.5), unless a row names another; where only the file is given, the
//! text was compared with that file of 21.48.22.93 or with what watchers of EL7 installations look for (lorax 19.6.104
//! `src/sbin/livemedia-creator`, rhinstaller/kickstart-tests).

mod console;
mod log;

#[cfg(test)]
mod tests;

pub use console::CONSOLE;
pub use log::LOG;

use super::log::LogLine;

/// How much a line says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The installation has failed. What else the machine does is waste.
    Proof,
    /// It has failed, and why is said elsewhere: console and log race each other, so that may come before or after.
    Echo,
    /// It is seen in installations that go well, too. Should this one fail, it is the likely cause.
    Clue,
}

/// Who may have written a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Whoever.
    Anyone,
    /// Anaconda and its parts.
    Installer,
    /// What Anaconda runs, and everything else in its system.
    Others,
    /// The kernel.
    Kernel,
}

/// Names Anaconda's parts log under (pyanaconda/anaconda_log.py), with the tag of its crash dump (lorax, rsyslog.conf). `program` is not
/// among them: it is the output of commands.
const INSTALLER: [&str; 8] = ["anaconda", "packaging", "blivet", "storage", "yum", "ifcfg", "anaconda-tb", "simpleline"];

/// Whether Anaconda itself, or a part of it, logs under this name.
pub fn is_installers(program: &str) -> bool {
    INSTALLER.contains(&program)
}

impl Speaker {
    fn is(self, program: &str) -> bool {
        match self {
            Self::Anyone => true,
            Self::Installer => is_installers(program),
            Self::Others => !is_installers(program),
            Self::Kernel => program == "kernel",
        }
    }
}

/// A way to fail.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who says it, on the log; everybody shares the console.
    pub speaker: Speaker,
    /// What the line contains; a `*` stands for anything.
    pub text: &'static str,
    /// How much it says.
    pub weight: Weight,
    /// The cause in our words; fits "the installation failed: …".
    pub cause: &'static str,
    /// What the user can do; imperative.
    pub remedy: &'static str,
    /// Where the line is written, and what is known of it.
    pub source: &'static str,
}

/// The signature of a line of the log. The first row that fits is the most telling one.
pub fn judge_line(line: &LogLine<'_>) -> Option<&'static Signature> {
    LOG.iter().find(|row| row.speaker.is(line.program) && contains(line.message, row.text))
}

/// The signature of a line or prompt of the serial console.
///
/// In the initramfs that is plain text. Later it is a screen that tmux paints, with line ends where the screen has them, so rows hold
/// what stands at the beginning of a line or is short.
pub fn judge_console(line: &str) -> Option<&'static Signature> {
    CONSOLE.iter().find(|row| contains(line, row.text))
}

/// Whether `line` contains the parts of `pattern`, which `*` separates, in their order.
fn contains(line: &str, pattern: &str) -> bool {
    let mut rest = Some(line);
    for part in pattern.split('*') {
        rest = rest.and_then(|text| text.find(part).map(|at| &text[at + part.len()..]));
    }
    rest.is_some()
}
