//! Lines of `%packages` (pykickstart/parser.py: Packages.add; sections.py: PackageSection.handleLine).

use super::document::{Command, Content, PackageEntry, PackageKind};
use super::findings::Findings;
use super::optparse::{self, Style};
use super::rules::{Context, History, check};
use super::shlex::Argument;
use super::span::{Span, is_space};
use super::system::PACKAGE_GROUP;

/// The selection of `line`, which is at `span`.
pub(super) fn entry(line: &str, span: Span, findings: &mut Findings) -> Content {
    // Everything behind a # is a comment, also in the middle of a word, and there is no quoting here.
    let text = line.split('#').next().unwrap_or_default();
    let start = text.len() - text.trim_start_matches(is_space).len();
    let text = text.trim_matches(is_space);
    let span = span.part(start..start + text.len());
    let (excluded, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let found = |kind, name: &str| Content::Entry(PackageEntry { kind, excluded, name: name.to_owned(), span });
    const WHOLE: PackageKind = PackageKind::Group { nodefaults: false, optional: false };
    if rest.is_empty() {
        findings.error(span, "the name of the package is missing".into(), None);
        Content::Broken
    } else if let Some(name) = rest.strip_prefix("@^") {
        found(PackageKind::Environment, name)
    } else if let Some(name) = rest.strip_prefix('@') {
        if excluded { found(WHOLE, name) } else { group(name, span.part(1..text.len()), span, findings) }
    } else {
        if rest.contains(is_space) {
            let help = Some("each package has its own line, and a version is written NAME-VERSION".into());
            findings.warning(span, "this is one name with white space in it".into(), help);
        }
        found(PackageKind::Package, rest)
    }
}

/// A group with the options of its line; its name may have spaces.
fn group(text: &str, place: Span, whole: Span, findings: &mut Findings) -> Content {
    let mut words = Vec::new();
    let mut at = 0;
    for part in text.split(is_space) {
        if !part.is_empty() {
            words.push(Argument::plain(part, place.part(at..at + part.len())));
        }
        // White space here is one byte a character.
        at += part.len() + 1;
    }
    let optparse::Words { options, arguments, .. } = optparse::read(&PACKAGE_GROUP, &words, Style::Optparse, findings);
    let name = arguments.iter().map(|word| word.value.as_str()).collect::<Vec<_>>().join(" ");
    let line = Command { name: "@group".into(), name_span: whole, span: whole, spec: Some(&PACKAGE_GROUP), options, arguments };
    check(&line, &mut Context { findings, history: &mut History::default(), line: "" });
    let kind = PackageKind::Group { nodefaults: line.option("nodefaults").is_some(), optional: line.option("optional").is_some() };
    Content::Entry(PackageEntry { kind, excluded: false, name, span: whole })
}
