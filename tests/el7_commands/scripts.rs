//! Every script in the source that goldsmith runs in a guest that may be EL7.

use std::fs;
use std::path::{Path, PathBuf};

use super::table::Table;
use crate::architecture::scanner::scan;

/// A script, and its place.
pub struct Text {
    /// The path below the repository's root; for a string literal, with the line.
    pub place: String,
    /// Its first line in the file.
    pub line: usize,
    /// The script.
    pub text: String,
}

/// Scripts that run on the host, or only in Debian.
const HOST: &[&str] = &["src/stages/tree.sh", "src/installer/apply.sh", "src/installer/trust.sh"];
/// Rust files with scripts for any guest, and Rust files with scripts for Debian only.
const LITERALS: &[&str] = &[
    "src/verify/booted.rs",
    "src/verify/http.rs",
    "src/verify/interfaces.rs",
    "src/verify/ports.rs",
    "src/verify/services.rs",
    "src/stages/provision.rs",
];
const DEBIAN: &[&str] = &["src/installer/deploy.rs"];

/// All of them.
pub fn scripts(table: &Table) -> Vec<Text> {
    let mut found = Vec::new();
    for place in files() {
        // A program for guests is there, too.
        let text = String::from_utf8_lossy(&fs::read(root().join(&place)).unwrap()).into_owned();
        if place.ends_with(".sh") && !HOST.contains(&place.as_str()) {
            found.push(Text { place, line: 1, text });
        } else if place.ends_with(".service") {
            for (number, line) in text.lines().enumerate() {
                if let Some(command) = line.strip_prefix("Exec").and_then(|line| line.split_once('=')) {
                    found.push(Text { place: place.clone(), line: number + 1, text: command.1.to_owned() });
                }
            }
        } else if LITERALS.contains(&place.as_str()) {
            found.extend(literals(table, &place, &text));
        }
    }
    found
}

/// The string literals of a Rust file that are scripts: those with punctuation of the shell, and those that begin with a command.
fn literals(table: &Table, place: &str, source: &str) -> Vec<Text> {
    let below = place.strip_prefix("src/").unwrap();
    let texts = scan(below, source).texts.into_iter().filter(|(_, site)| !site.in_test);
    let is_script = |text: &str| {
        let marks = ["#!/bin/sh", "; ", "&& ", "2>", " | ", "$("];
        let mut words = text.split_ascii_whitespace();
        let known = words.next().is_some_and(|first| table.knows(first)) && text.contains(char::is_whitespace);
        // "systemctl did not answer"
        let prose = words.clone().count() > 2 && words.all(|word| word.bytes().all(|b| b.is_ascii_lowercase()));
        marks.iter().any(|mark| text.contains(mark)) || known && !prose
    };
    let scripts = texts.filter(|(text, _)| is_script(text));
    // A `{}` of format!() becomes a value, a doubled brace one.
    let filled = |text: &str| {
        let (mut out, mut rest) = (String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            out += &rest[..at];
            let doubled = rest[at..].starts_with("{{") || rest[at..].starts_with("}}");
            let end = rest[at..].find('}').filter(|_| !doubled && rest.as_bytes()[at] == b'{');
            let plain = end.is_some_and(|end| rest[at + 1..at + end].chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            out += if doubled {
                &rest[at..=at]
            } else if plain {
                "$value"
            } else {
                &rest[at..=at]
            };
            rest = &rest[at
                + if doubled {
                    2
                } else if plain {
                    end.unwrap() + 1
                } else {
                    1
                }..];
        }
        out + rest
    };
    scripts.map(|(text, site)| Text { place: place.to_owned(), line: site.line, text: filled(&text) }).collect()
}

/// Scripts and Rust below `src` and `kickstart`, relative to the repository's root.
fn files() -> Vec<String> {
    let mut todo: Vec<PathBuf> = vec![root().join("kickstart"), root().join("src")];
    let mut found = Vec::new();
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort_unstable();
    found
}

/// Other Rust files that hold a script, each with its line.
pub fn unknown() -> Vec<String> {
    let rust = files()
        .into_iter()
        .filter(|place| place.ends_with(".rs") && !LITERALS.contains(&place.as_str()) && !DEBIAN.contains(&place.as_str()));
    rust.flat_map(|place| {
        let text = fs::read_to_string(root().join(&place)).unwrap();
        let texts = scan(place.strip_prefix("src/").unwrap(), &text).texts;
        let scripts = texts.into_iter().filter(|(text, site)| !site.in_test && text.starts_with("#!/bin/"));
        scripts.map(|(_, site)| format!("{place}:{}", site.line)).collect::<Vec<_>>()
    })
    .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
