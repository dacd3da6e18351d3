//! Tables of the messages of failing installations, with their causes and remedies, and the two functions that search them. Pure.
//!
//! A power-off does not prove success ([`super`]), and half of the failures do not end the machine. So each known way to fail has a row.
//!
//! The log also repeats the output of other programs, which proves nothing. Anaconda reads back the output of the packages' scriptlets when
//! the packages are installed (pyanaconda/packaging/yumpayload.py:1586-1593, level INFO) and what its helper anaconda-yum prints
//! (:1561-1578, level DEBUG where the helper gives none), both under its own name `packaging`; the output of commands and of the
//! kickstart's scripts comes as `program` (pyanaconda/iutil.py:282-305, level INFO). Two lines, `==== start rpm scriptlet logs ====` and
//! `==== end …`, enclose the scriptlets' output, but the log loses lines, and after one lost end all later lines would count as a
//! scriptlet's. A line cannot lose its level: Anaconda reports its own errors at ERR and its crashes at CRIT, and quotes others there only
//! within a message of its own, which begins with its own words.
//!
//! Sources are Anaconda 21.48.22.134 (that of CentOS 7.5), unless a row names another. A row of `packaging` or `anaconda` is worded as
//! the format in that source.

mod console;
mod log;
mod row;

#[cfg(test)]
mod tests;

pub use console::CONSOLE;
pub use log::LOG;
pub use row::{Signature, Speaker, Weight, is_installers};

use super::log::LogLine;

use row::contains;

/// The signature of a line of the log. The first row that fits is the most specific.
pub fn judge_line(line: &LogLine<'_>) -> Option<&'static Signature> {
    LOG.iter().find(|row| row.speaker.is(line) && row.speaker.says(line.message, row.text))
}

/// The signature of a line or prompt of the serial console.
///
/// In the initramfs that is plain text. Later it is a screen that tmux paints, with line ends where the screen has them, so rows hold
/// what stands at the beginning of a line or is short.
pub fn judge_console(line: &str) -> Option<&'static Signature> {
    CONSOLE.iter().find(|row| contains(line, row.text))
}
