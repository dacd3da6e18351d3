//! Sections by their purpose: scripts, package selections, addons.

use super::document::{BodyLine, Content, Document, PackageEntry, Section, SectionKind};
use super::document::{Command, OptionUse};
use super::span::Span;

impl Document {
    /// Every script in order.
    pub fn scripts(&self) -> impl Iterator<Item = ScriptSection<'_>> {
        let sections = self.sections().filter(|section| section.kind.is_script() && section.header.is_some());
        sections.map(|section| ScriptSection { document: self, section })
    }

    /// Every `%packages` section in order.
    pub fn packages(&self) -> impl Iterator<Item = PackageSelection<'_>> {
        let sections = self.sections().filter(|section| section.kind == SectionKind::Packages && section.header.is_some());
        sections.map(|section| PackageSelection { section })
    }

    /// Every `%addon` section in order.
    pub fn addons(&self) -> impl Iterator<Item = Addon<'_>> {
        let sections = self.sections().filter(|section| section.kind == SectionKind::Addon && section.header.is_some());
        sections.map(|section| Addon { document: self, section })
    }
}

/// A script section.
#[derive(Debug, Clone, Copy)]
pub struct ScriptSection<'a> {
    document: &'a Document,
    section: &'a Section,
}

impl<'a> ScriptSection<'a> {
    /// Its kind, which decides when it runs.
    pub fn kind(&self) -> SectionKind {
        self.section.kind
    }

    /// Its first line.
    pub fn header(&self) -> &'a Command {
        header(self.section)
    }

    /// Its interpreter: `/bin/sh` unless `--interpreter` names another.
    pub fn interpreter(&self) -> &'a str {
        self.header().option("interpreter").and_then(OptionUse::text).unwrap_or("/bin/sh")
    }

    /// Whether the installation ends when the script fails (`--erroronfail`).
    pub fn error_on_fail(&self) -> bool {
        self.header().option("erroronfail").is_some()
    }

    /// Whether it runs in the installed system: only `%post` does, and not with `--nochroot`.
    pub fn in_chroot(&self) -> bool {
        self.kind() == SectionKind::Post && self.header().option("nochroot").is_none()
    }

    /// Where its output goes (`--log`).
    pub fn log(&self) -> Option<&'a str> {
        self.header().option("log").and_then(OptionUse::text)
    }

    /// The script, with its included files.
    pub fn body(&self) -> String {
        self.lines().map(|(_, text)| text).collect()
    }

    /// The lines of the script, each with its place and its line end.
    pub fn lines(&self) -> impl Iterator<Item = (Span, &'a str)> {
        text_lines(self.document, self.section)
    }
}

/// A `%packages` section. A file may have several, and all their entries count.
#[derive(Debug, Clone, Copy)]
pub struct PackageSelection<'a> {
    section: &'a Section,
}

impl<'a> PackageSelection<'a> {
    /// Its first line, with the options (`excludedocs`, `nocore`, …).
    pub fn header(&self) -> &'a Command {
        header(self.section)
    }

    /// Its entries, which select and exclude packages, with those of included files.
    pub fn entries(&self) -> impl Iterator<Item = &'a PackageEntry> + use<'a> {
        let lines: Vec<&'a BodyLine> = self.section.lines();
        lines.into_iter().filter_map(|line| if let Content::Entry(entry) = &line.content { Some(entry) } else { None })
    }
}

/// An `%addon` section.
#[derive(Debug, Clone, Copy)]
pub struct Addon<'a> {
    document: &'a Document,
    section: &'a Section,
}

impl<'a> Addon<'a> {
    /// The addon's name; empty when it is missing.
    pub fn name(&self) -> &'a str {
        self.header().arguments().first().map_or("", |name| &name.value)
    }

    /// Its first line. The words behind the name are arguments: only the addon knows which of them are options.
    pub fn header(&self) -> &'a Command {
        header(self.section)
    }

    /// Its lines, each with its place and its line end.
    pub fn lines(&self) -> impl Iterator<Item = (Span, &'a str)> {
        text_lines(self.document, self.section)
    }
}

fn header(section: &Section) -> &Command {
    // OK to unwrap: only Document makes these views, and only of sections that have one.
    section.header.as_ref().unwrap()
}

fn text_lines<'a>(document: &'a Document, section: &'a Section) -> impl Iterator<Item = (Span, &'a str)> {
    let lines: Vec<&'a BodyLine> = section.lines();
    lines.into_iter().filter(|line| matches!(line.content, Content::Text)).map(|line| (line.span, document.text(line.span)))
}
