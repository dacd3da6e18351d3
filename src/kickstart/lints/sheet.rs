//! Facts about a document that several lints need, computed once.

use std::collections::HashMap;

use super::super::parser::{Command, Document, Included, PackageKind, ScriptSection, SectionKind, Span};
use super::shell::{self, Simple};

/// A document, with its scripts taken apart.
pub(super) struct Sheet<'a> {
    pub document: &'a Document,
    pub scripts: Vec<Script<'a>>,
    /// The packages that `%packages` names: for each name, the last line about it.
    pub packages: Vec<Package<'a>>,
    /// The names of those that are to be installed, in order.
    installed: Vec<&'a str>,
    /// Whether something that is not in it counts as missing: the kickstart is for a whole installation, all of it was read, and it is
    /// accepted.
    pub is_whole: bool,
    /// Whether every included file was read.
    pub is_complete: bool,
}

/// A package that `%packages` names.
pub(super) struct Package<'a> {
    pub name: &'a str,
    pub span: Span,
    pub excluded: bool,
}

/// A script and its commands. The commands are only known when the interpreter is a shell.
pub(super) struct Script<'a> {
    pub section: ScriptSection<'a>,
    pub commands: Vec<Simple>,
}

impl Script<'_> {
    /// Whether it runs in the installed system.
    pub fn in_chroot(&self) -> bool {
        self.section.in_chroot()
    }

    /// Whether a shell runs it.
    pub fn is_shell(&self) -> bool {
        shell::is_shell(self.section.interpreter())
    }

    /// Its commands of that name.
    pub fn commands_named(&self, name: &str) -> impl Iterator<Item = &Simple> {
        self.commands.iter().filter(move |command| command.name() == name)
    }
}

/// A whole kickstart has commands for at least this many of the six subjects (source, storage, packages, accounts, locale, start and end).
/// Files with fewer are parts, to be included.
const ENOUGH: usize = 5;
/// The same for a file with `cmdline`, which only an outermost file has a reason for.
const ENOUGH_IN_CMDLINE: usize = 3;

/// The commands for the source of the packages.
const SOURCES: [&str; 6] = ["cdrom", "url", "nfs", "harddrive", "liveimg", "ostreesetup"];
/// The commands that make file systems.
pub(super) const STORAGE: [&str; 7] = ["autopart", "part", "raid", "volgroup", "logvol", "btrfs", "mount"];

impl<'a> Sheet<'a> {
    pub fn of(document: &'a Document) -> Sheet<'a> {
        let scripts = document.scripts().map(|section| {
            let script = Script { section, commands: Vec::new() };
            if script.is_shell() { Script { commands: shell::commands(section.lines()), ..script } } else { script }
        });
        let has = |name: &&str| document.command(name).is_some();
        let locale = ["lang", "keyboard", "timezone"].iter().filter(|name| has(name)).count();
        let subjects = [
            SOURCES.iter().any(&has),
            STORAGE.iter().any(&has),
            document.packages().next().is_some(),
            ["rootpw", "user"].iter().any(&has),
            locale >= 2,
            ["bootloader", "reboot"].iter().any(&has),
        ];
        // `text` and `graphical` are the same command as `cmdline`, but parts have them too.
        let is_cmdline = document.command("cmdline").is_some_and(|command| command.name == "cmdline");
        // A part seldom has both disks and packages.
        let enough = match subjects {
            _ if is_cmdline => ENOUGH_IN_CMDLINE,
            [_, true, true, ..] => ENOUGH - 1,
            _ => ENOUGH,
        };
        let installs = subjects.into_iter().filter(|spoken| *spoken).count() >= enough && !has(&"rescue");
        let is_complete = document.includes().all(|include| matches!(include.content, Included::Read { .. }));
        let is_whole = installs && is_complete && document.is_accepted();
        let packages = packages(document);
        let mut installed: Vec<&str> = packages.iter().filter(|package| !package.excluded).map(|package| package.name).collect();
        installed.sort_unstable();
        Sheet { document, scripts: scripts.collect(), packages, installed, is_whole, is_complete }
    }

    /// The last command `name`.
    pub fn command(&self, name: &str) -> Option<&'a Command> {
        self.document.command(name)
    }

    /// Whether there is a command `name`.
    pub fn has(&self, name: &str) -> bool {
        self.command(name).is_some()
    }

    /// The scripts that run in the installed system.
    pub fn chroot_scripts(&self) -> impl Iterator<Item = &Script<'a>> {
        self.scripts.iter().filter(|script| script.in_chroot())
    }

    /// The scripts that run when everything is installed, in either root.
    pub fn post_scripts(&self) -> impl Iterator<Item = &Script<'a>> {
        self.scripts.iter().filter(|script| script.section.kind() == SectionKind::Post)
    }

    /// The place where `%packages` excludes the package.
    pub fn exclusion(&self, name: &str) -> Option<Span> {
        self.packages.iter().find(|package| package.excluded && package.name == name).map(|package| package.span)
    }

    /// Whether `%packages` asks for a package whose name [`is_of`] `stem`.
    pub fn installs(&self, stem: &str) -> bool {
        // Names with the same beginning are next to each other in the sorted list.
        let has = |start: &str| {
            self.installed.get(self.installed.partition_point(|name| *name < start)).is_some_and(|name| name.starts_with(start))
        };
        self.installed.binary_search(&stem).is_ok() || has(&format!("{stem}-")) || has(&format!("{stem}."))
    }
}

fn packages(document: &Document) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = Vec::new();
    let mut places = HashMap::new();
    let entries = document.packages().flat_map(|selection| selection.entries());
    for entry in entries.filter(|entry| entry.kind == PackageKind::Package) {
        let package = Package { name: &entry.name, span: entry.span, excluded: entry.excluded };
        let index = *places.entry(package.name).or_insert(packages.len());
        if let Some(place) = packages.get_mut(index) { *place = package } else { packages.push(package) }
    }
    packages
}

/// Whether the package `name` is `stem` itself, or a variant or version of it: `docker-ce-18.09.6` is of `docker`.
pub(super) fn is_of(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
}

/// The arguments of `command`'s option, without `/dev/`, when all of them are plain names of disks: neither patterns nor links.
pub(super) fn disks<'a>(command: &'a Command, option: &str) -> Vec<(&'a str, Span)> {
    let uses = command.options_named(option).flat_map(|option| option.list().into_iter().map(|name| (name, option.value_span)));
    let names: Vec<_> = uses.map(|(name, span)| (name.strip_prefix("/dev/").unwrap_or(name), span)).collect();
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    if names.iter().all(|(name, _)| plain(name)) { names } else { Vec::new() }
}

/// The words of all `bootloader --append`, with their places. The last one counts.
pub(super) fn kernel_arguments<'a>(sheet: &Sheet<'a>) -> Option<(Vec<&'a str>, Span)> {
    let append = sheet.command("bootloader")?.option("append")?;
    Some((append.text()?.split_whitespace().collect(), append.value_span))
}
