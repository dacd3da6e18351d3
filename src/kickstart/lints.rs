//! Lints: faults that the parser cannot see, but that break Anaconda 7.5 or the first boot.
//!
//! A lint is advice about a file that may well be accepted. Each is a row of a table: what it looks for, why that matters, what to do,
//! where the fact comes from, and the function that looks. It fires only on what the file itself shows: a lint about something that is
//! *missing* is silent when an included file was not read, when the file is only a part of a kickstart, and when it is refused.
//!
//! Rejected as noise, since most files with them work: text mode, `%post --nochroot --log`, no `console=`, no `ignoredisk`, `autopart`'s
//! xfs, the disk a kickstart is on (Anaconda protects it), `--device=eth0` alone (a virtio card is called that on EL7, and the installer
//! hands `net.ifnames=0` on), the length of password hashes (published files have theirs blacked out).
//!
//! Versions the sources refer to, where a row names none: anaconda-21.48.22.134-1, pykickstart r1.99.66.18, blivet-0.61.15.69,
//! systemd 219 (rhel-7.5).

mod accounts;
mod ending;
mod hostname;
mod network;
mod packages;
mod row;
mod scripts;
mod sheet;
mod shell;
mod storage;
mod words;

use super::parser::{Diagnostic, Document, Severity};
pub use hostname::{NameAsked, names_asked};
pub use network::{NetworkCall, network_calls};
pub use row::Lint;

use row::Hit;
use sheet::Sheet;

/// At most this many findings of one lint in one file are kept.
const KEPT: usize = 20;

/// One finding of a lint.
#[derive(Debug, Clone)]
pub struct LintFinding {
    /// The lint that fired.
    pub lint: &'static Lint,
    /// What it found, in one sentence without a full stop. It never holds a password.
    pub message: String,
    /// The name of the file it is about.
    pub file: String,
    /// Its place. `None` when the finding is about something that is missing.
    pub place: Option<Diagnostic>,
}

impl Lint {
    /// Every lint, by subject.
    pub fn all() -> impl Iterator<Item = &'static Lint> {
        [storage::LINTS, network::LINTS, ending::LINTS, packages::LINTS, accounts::LINTS, scripts::LINTS, words::LINTS]
            .into_iter()
            .flatten()
    }

    /// The lint of that name.
    pub fn named(id: &str) -> Option<&'static Lint> {
        Self::all().find(|lint| lint.id == id)
    }
}

/// All findings in `document`: first those about missing things, then the others by place.
pub fn lint(document: &Document) -> Vec<LintFinding> {
    let sheet = Sheet::of(document);
    let mut findings: Vec<LintFinding> = Vec::new();
    for lint in Lint::all() {
        let hits = (lint.check)(&sheet).into_iter().take(KEPT);
        findings.extend(hits.map(|Hit { span, message }| {
            let place = span.map(|span| document.diagnostic(Severity::Warning, span, message.clone(), Some(lint.remedy.to_owned())));
            let file = place.as_ref().map_or_else(|| document.name(), |place| place.file.as_str()).to_owned();
            LintFinding { lint, message, file, place }
        }));
    }
    findings.sort_by_key(|finding| finding.place.as_ref().map(|place| place.span));
    findings
}

#[cfg(test)]
mod tests;
