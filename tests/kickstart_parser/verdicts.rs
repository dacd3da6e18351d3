//! Tens of thousands of generated kickstarts with the verdicts of the 7.5 parser itself.
//!
//! `verdicts.jsonl.xz` holds a kickstart a line: `text`, `accepted`, and the `line` of the error at which pykickstart r1.99.66.18-1 stopped,
//! with the `%addon` and `%anaconda` sections of Anaconda 21.48.22.134, on Python 2.7.18. `KS_CASES` names another such file, plain or xz.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use goldsmith::kickstart::{Diagnostic, Document, Severity};
use serde::Deserialize;

use super::read;

/// A kickstart and the verdict of the parser of 7.5.
#[derive(Deserialize)]
struct Case {
    text: String,
    accepted: bool,
    /// The line of the first error. Some collections give the error's class instead: then only the verdict is compared.
    line: Option<serde_json::Value>,
}

/// A construct that goldsmith intentionally judges in another way.
struct Row {
    construct: &'static str,
    reason: &'static str,
    explains: fn(&Case, &Document) -> bool,
}

/// The first error, by place.
fn first(document: &Document) -> Option<&Diagnostic> {
    document.diagnostics().iter().find(|found| found.severity == Severity::Error)
}

/// Whether the first error contains `part`.
fn says(document: &Document, part: &str) -> bool {
    first(document).is_some_and(|found| found.message.contains(part))
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row {
        construct: "a required option that a second line lacks",
        reason: "the parser of 7.5 forgets to ask (options.py:63), and what the line then means is an accident: refused is safer",
        explains: |_, document| first(document).is_some_and(|found| found.help.as_deref().is_some_and(|help| help.contains("forgets to ask"))),
    },
    Row {
        construct: "upgrade",
        reason: "pykickstart only warns, Anaconda exits at once (pyanaconda/kickstart.py: Upgrade.parse)",
        explains: |_, document| says(document, "the installer of CentOS 7.5 stops at `upgrade`"),
    },
    Row {
        construct: "clearpart --disklabel, unknown file systems, members that nothing makes",
        reason: "pykickstart does not look, Anaconda refuses them with KickstartValueError (pyanaconda/kickstart.py)",
        explains: |_, document| ["--disklabel cannot be", "knows no file system", "no `part` or `raid` line makes"].iter().any(|part| says(document, part)),
    },
    Row {
        construct: "lines in %anaconda",
        reason: "Anaconda counts the commands of the section, goldsmith the lines of the file (pyanaconda/kickstart.py: AnacondaSection)",
        explains: |case, document| !case.accepted && !document.is_accepted() && case.text.contains("%anaconda"),
    },
    Row {
        construct: "%anaconda with other commands, %addon without a name",
        reason: "some of the verdicts are pykickstart's own, which does not look into these sections; Anaconda does",
        explains: |case, document| case.accepted && (says(document, "%anaconda knows only") || says(document, "%addon needs the name")),
    },
    Row {
        construct: "%addon with arguments",
        reason: "later Anacondas refuse arguments nobody asks for; 21.48.22.134 keeps them (pyanaconda/addons.py: AddonData.handle_header)",
        explains: |case, document| !case.accepted && document.is_accepted() && case.text.contains("%addon foo "),
    },
    Row {
        construct: "an empty file",
        reason: "the parser takes it, and the installer then asks for everything: nobody means that",
        explains: |case, _| case.text.is_empty(),
    },
    Row {
        construct: "%ksappend without a URL",
        reason: "the parser passes it over; before it, preprocessKickstart in the initramfs refuses it (parser.py:_preprocessStateMachine)",
        explains: |_, document| says(document, "%ksappend needs a URL"),
    },
];

fn cases() -> String {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kickstart_parser/verdicts.jsonl.xz");
    let path = std::env::var_os("KS_CASES").map_or_else(|| PathBuf::from(committed), PathBuf::from);
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    if bytes.starts_with(b"\xfd7zXZ") {
        liblzma::read::XzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

fn agrees(case: &Case, document: &Document) -> bool {
    let line = first(document).map(|found| found.line as u64);
    let same_line = case.line.as_ref().and_then(serde_json::Value::as_u64).is_none_or(|expected| line == Some(expected));
    line.is_none() == case.accepted && same_line
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what somebody who gives KS_CASES wants to see")]
fn generated_kickstarts_get_the_verdict_and_the_line_of_the_parser_of_7_5() {
    let (mut count, mut agree) = (0, 0);
    let mut fired = vec![0; ROWS.len()];
    let mut unexplained = Vec::new();
    for line in cases().lines() {
        let case: Case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let document = read(&case.text);
        count += 1;
        if agrees(&case, &document) {
            agree += 1;
        } else if let Some(row) = ROWS.iter().position(|row| (row.explains)(&case, &document)) {
            fired[row] += 1;
        } else {
            let ours: Vec<_> = document.diagnostics().iter().map(ToString::to_string).collect();
            unexplained.push(format!("{:?} accepted: {} line: {:?}\n    ours: {ours:?}", case.text, case.accepted, case.line));
        }
    }
    println!("{agree} of {count} agree");
    for (row, fired) in ROWS.iter().zip(&fired) {
        println!("{fired:6} differ on purpose: {}: {}", row.construct, row.reason);
    }
    assert!(
        unexplained.is_empty(),
        "{} without a reason, the first of them:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(30)].join("\n")
    );
}
