//! A failure as text for people, and as a record for machines.

use serde::Serialize;

use super::exit;
use crate::base::failure::{Failure, Finding};
use crate::base::text::printable;

/// The text that asks for a report of a bug.
const REPORT_TO: &str = "please report it, with the recipe and this text: it should not have happened";

/// A failure for a terminal: the message, the evidence, the remedy, the places with more details.
pub fn text(failure: &dyn Failure, colour: bool) -> String {
    let bold = |word: &str, code: &str| if colour { format!("\u{1b}[1;{code}m{word}\u{1b}[0m") } else { word.to_owned() };
    let mut out = format!("{}: ", bold("error", "31"));
    for line in failure.to_string().lines() {
        out.push_str(&printable(line));
        out.push('\n');
    }
    for line in failure.evidence() {
        out.push_str(&format!("  {}\n", printable(&line)));
    }
    if let Some(remedy) = failure.remedy() {
        out.push_str(&format!("  {}: {}\n", bold("help", "36"), printable(&remedy)));
    }
    if let Some(dir) = failure.evidence_dir() {
        out.push_str(&format!("  {}: {}\n", bold("evidence", "36"), printable(&dir.to_string_lossy())));
    }
    out
}

/// A failure as the body of a JSON record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRecord {
    event: &'static str,
    class: &'static str,
    exit: u8,
    what: String,
    evidence: Vec<String>,
    remedy: Option<String>,
    findings: Vec<Finding>,
    evidence_dir: Option<String>,
}

/// A failure for machines.
pub fn record(failure: &dyn Failure) -> ErrorRecord {
    ErrorRecord {
        event: "error",
        class: exit::name(failure.class()),
        exit: exit::code(failure.class()),
        what: failure.to_string(),
        evidence: failure.evidence(),
        remedy: failure.remedy(),
        findings: failure.findings(),
        evidence_dir: failure.evidence_dir().map(|dir| dir.to_string_lossy().into_owned()),
    }
}

/// The text about a panic; `what` has its place and message.
pub fn bug(what: &str) -> String {
    format!("error: goldsmith has a bug: {}\n  help: {REPORT_TO}\n", printable(&what.replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::failure::Class;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Broken(&'static str);

    impl Failure for Broken {
        fn class(&self) -> Class {
            Class::Machine
        }

        fn remedy(&self) -> Option<String> {
            Some("look at the console".into())
        }

        fn evidence(&self) -> Vec<String> {
            vec!["\u{1b}[2Jkernel panic".into()]
        }

        fn evidence_dir(&self) -> Option<PathBuf> {
            Some("out.failed-1".into())
        }
    }

    #[test]
    fn a_failure_is_told_in_four_parts_and_the_guest_stays_harmless() {
        let rest = "  kernel panic\n  help: look at the console\n  evidence: out.failed-1\n";
        assert_eq!(text(&Broken("install failed"), false), format!("error: install failed\n{rest}"));
        assert_eq!(text(&Broken("two\nlines\u{7}"), false), format!("error: two\nlines\u{fffd}\n{rest}"));
        assert!(text(&Broken("install failed"), true).starts_with("\u{1b}[1;31merror\u{1b}[0m: install failed\n"));
    }

    #[test]
    fn the_record_has_class_and_exit_code() {
        assert_eq!(
            serde_json::to_string(&record(&Broken("install failed"))).unwrap(),
            r#"{"event":"error","class":"machine","exit":4,"what":"install failed","evidence":["\u001b[2Jkernel panic"],"remedy":"look at the console","findings":[],"evidence_dir":"out.failed-1"}"#
        );
    }

    #[test]
    fn a_bug_asks_for_a_report() {
        let said = bug("panicked at src/x.rs:1:2:\nindex out of bounds");
        assert_eq!(said.lines().count(), 2);
        assert!(said.starts_with("error: goldsmith has a bug: panicked at src/x.rs:1:2: index") && said.contains("please report it"));
    }
}
