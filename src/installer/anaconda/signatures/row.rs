//! A row of a table of signatures: the program, its message, and the meaning.

use super::super::log::LogLine;

/// A way to fail.
#[derive(Debug, PartialEq, Eq)]
pub struct Signature {
    /// Who writes it, in the log; on the console all write together.
    pub speaker: Speaker,
    /// What the line begins with or contains, as [`Speaker`] says; on the console, what it contains. A `*` stands for anything.
    pub text: &'static str,
    /// How much it proves.
    pub weight: Weight,
    /// The cause in our words; fits "the installation failed: …".
    pub cause: &'static str,
    /// The action for the user, imperative.
    pub remedy: &'static str,
    /// Where the source code writes the line, and other facts about it.
    pub source: &'static str,
}

/// How much a line proves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The installation has failed. The machine can be ended at once.
    Proof,
    /// It has failed, but another line has the reason. That line may come before or after, because console and log race each other.
    Echo,
    /// It also occurs in installations that succeed. If this one fails, it is the likely cause.
    Clue,
}

/// Who wrote a line, by the name and the level that it has in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// Any program, at any level. The line contains the text.
    Anyone,
    /// An error of Anaconda or a part of it: at ERR or above. The line begins with the text.
    Installer,
    /// As [`Speaker::Installer`], for a problem after which it can go on: at WARNING.
    Warning,
    /// An unhandled exception of Anaconda: at CRIT, or as the dump that follows. The line begins with the text.
    Crash,
    /// A command, a script of the kickstart, a package's scriptlet or anaconda-yum, as Anaconda repeats it. The line contains the text.
    Output,
    /// The kernel. The line contains the text.
    Kernel,
}

/// The tag of Anaconda's crash dump (lorax 19.6.104, rsyslog.conf).
const CRASH_DUMP: &str = "anaconda-tb";
/// Names Anaconda's parts log under (pyanaconda/anaconda_log.py), with the tag of its crash dump. `program` is not among them: it is the
/// output of commands.
const INSTALLER: [&str; 8] = ["anaconda", "packaging", "blivet", "storage", "yum", "ifcfg", CRASH_DUMP, "simpleline"];

/// Whether Anaconda itself, or a part of it, logs under this name.
pub fn is_installers(program: &str) -> bool {
    INSTALLER.contains(&program)
}

impl Speaker {
    /// Whether `line` is from this speaker.
    pub(super) fn is(self, line: &LogLine<'_>) -> bool {
        let (installers, severe) = (is_installers(line.program), matches!(line.level, "ERR" | "CRIT" | "ALERT" | "EMERG"));
        match self {
            Self::Anyone => true,
            Self::Installer => installers && severe,
            Self::Warning => installers && line.level == "WARNING",
            Self::Crash => line.program == CRASH_DUMP || (line.program == "anaconda" && line.level == "CRIT"),
            Self::Output => line.program == "program" || (line.program == "packaging" && !severe),
            Self::Kernel => line.program == "kernel",
        }
    }

    /// Whether `message`, which is this speaker's, is what a row means by `text`.
    ///
    /// An error may quote another message, such as the output of a script, which must not count. So the installer's own errors must begin
    /// with the text.
    pub(super) fn says(self, message: &str, text: &str) -> bool {
        match self {
            Self::Installer | Self::Warning | Self::Crash => begins(without_module(message.trim_start()), text),
            Self::Anyone | Self::Output | Self::Kernel => contains(message, text),
        }
    }
}

/// A message without the logger and the module that later releases of Anaconda name before it: `anaconda: ui.tui.hubs.summary: `
/// (kickstart-tests, issue 1005).
pub(super) fn without_module(message: &str) -> &str {
    let Some(rest) = message.strip_prefix("anaconda: ") else { return message };
    let is_module = |word: &str| word.contains('.') && word.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
    rest.split_once(": ").filter(|(word, _)| is_module(word)).map_or(rest, |(_, message)| message)
}

/// Whether `line` begins with the first part of `pattern` and contains the others after it, in their order.
pub(super) fn begins(line: &str, pattern: &str) -> bool {
    let (first, others) = pattern.split_once('*').unwrap_or((pattern, ""));
    line.strip_prefix(first).is_some_and(|rest| contains(rest, others))
}

/// Whether `line` contains the parts of `pattern`, which `*` separates, in their order.
pub(super) fn contains(line: &str, pattern: &str) -> bool {
    let mut rest = Some(line);
    for part in pattern.split('*') {
        rest = rest.and_then(|text| text.find(part).map(|at| &text[at + part.len()..]));
    }
    rest.is_some()
}
