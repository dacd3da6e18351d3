//! The facts about CentOS 7.5 and its installer that goldsmith relies on, each with the tests that fail when it is not respected.
//!
//! [`traps`] lists frequent mistakes, [`endings`] the ends of an installation and its messages. The tables are checked: every test that
//! they name exists.

mod endings;
mod guest;
mod kickstarts;
mod lines;
mod machines;
mod sandbox;
mod traps;

use std::fs;
use std::path::Path;

/// The tests of a fact.
enum Held {
    /// Tests, as `FILE: NAME` below the repository's root. Each fails when the rule is broken.
    By(&'static [&'static str]),
    /// No test here can check it, for this reason.
    Not(&'static str),
}

impl Held {
    fn tests(&self) -> &'static [&'static str] {
        match self {
            Self::By(tests) => tests,
            Self::Not(_) => &[],
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether `text` has a test of that name that is not ignored.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let head = |line: &&str| line.strip_prefix("async ").unwrap_or(line).starts_with(&format!("fn {name}("));
    lines.iter().position(head).is_some_and(|at| {
        let attributes: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//")).collect();
        let is = |start: &str| attributes.iter().any(|line| line.starts_with(start));
        (is("#[test]") || is("#[tokio::test")) && !is("#[ignore")
    })
}

/// The entries of `tests` that do not exist.
fn missing<'a>(tests: impl IntoIterator<Item = &'a &'static str>) -> Vec<&'a str> {
    let is_one = |test: &str| test.split_once(": ").is_some_and(|(file, name)| has_test(&read(file), name));
    tests.into_iter().copied().filter(|test| !is_one(test)).collect()
}

#[test]
fn tests_are_told_from_what_is_none() {
    let text = "#[test]\nfn a() {}\n#[test]\n#[ignore = \"x\"]\nfn b() {}\nfn c() {}\n/// d\n#[tokio::test(flavor = \"x\")]\n// e\nasync fn d() {}\n";
    assert_eq!(["a", "b", "c", "d", "e"].map(|name| has_test(text, name)), [true, false, false, true, false]);
    let name = "tests/facts.rs: tests_are_told_from_what_is_none";
    assert_eq!(missing(&[name, "tests/facts.rs: missing", "tests/facts.rs"]), ["tests/facts.rs: missing", "tests/facts.rs"]);
}
