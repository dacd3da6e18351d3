//! A parsed kickstart with every byte of it, for lints and other readers.

use std::fmt;

use super::diagnostic::{Diagnostic, Severity};
use super::shlex::Argument;
use super::span::{SourceFile, Span};
use super::spec::CommandSpec;

/// A parsed file with everything it includes. `Display` is the file's own text, unchanged.
#[derive(Debug, Clone)]
pub struct Document {
    pub(super) files: Vec<SourceFile>,
    pub(super) items: Vec<Item>,
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// A part of a file at its top level. The items of a file cover all of its text.
#[derive(Debug, Clone)]
pub enum Item {
    /// A line of nothing but white space.
    Blank(Span),
    /// A line that begins with `#`.
    Comment(Span),
    /// A command.
    Command(Command),
    /// A section with its body.
    Section(Section),
    /// `%include` or `%ksappend`.
    Include(Include),
    /// A line that is not valid; a diagnostic says why.
    Broken(Span),
    /// A line that the installer never reads: it follows an included file that left a section open.
    Ignored(Span),
}

/// A command line, or a section's header (then its name begins with `%`).
#[derive(Debug, Clone)]
pub struct Command {
    /// As it is written: `part`.
    pub name: String,
    /// Where the name is.
    pub name_span: Span,
    /// The whole line, with its end.
    pub span: Span,
    pub(super) spec: Option<&'static CommandSpec>,
    pub(super) options: Vec<OptionUse>,
    pub(super) arguments: Vec<Argument>,
}

/// One option as it is used on a line.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionUse {
    /// Its main name without dashes, whatever abbreviation or alias is written: `ondisk` for `--ondri`.
    pub name: &'static str,
    /// As it is written: `--ondri`.
    pub written: String,
    /// Name and value.
    pub span: Span,
    /// The value.
    pub value: Value,
    /// Where the value is written; equal to [`span`](Self::span) for a flag.
    pub value_span: Span,
}

/// An option's value, by the option's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The option takes none.
    Flag,
    /// Any text; choices too.
    Text(String),
    /// A whole number. One out of the range of this type becomes the nearest number in it.
    Integer(i64),
    /// Yes or no.
    Boolean(bool),
    /// A list, split at its commas; empty parts are left out.
    List(Vec<String>),
}

impl OptionUse {
    /// The value as text, if it is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The value as a number, if it is one.
    pub fn integer(&self) -> Option<i64> {
        if let Value::Integer(number) = self.value { Some(number) } else { None }
    }

    /// The value as yes or no, if it is that.
    pub fn boolean(&self) -> Option<bool> {
        if let Value::Boolean(yes) = self.value { Some(yes) } else { None }
    }

    /// The value's parts; a text is a list of one.
    pub fn list(&self) -> Vec<&str> {
        match &self.value {
            Value::List(parts) => parts.iter().map(String::as_str).collect(),
            Value::Text(text) => vec![text],
            Value::Flag | Value::Integer(_) | Value::Boolean(_) => vec![],
        }
    }

    /// Whether the value is true in Python: not empty, not 0, not no.
    pub(super) fn is_true(&self) -> bool {
        match &self.value {
            Value::Flag => true,
            Value::Text(text) => !text.is_empty(),
            Value::Integer(number) => *number != 0,
            Value::Boolean(yes) => *yes,
            Value::List(parts) => !parts.is_empty(),
        }
    }
}

impl Command {
    /// The command's main name: `partition` for `part`, `reboot` for `halt`, `authconfig` for `auth`; an unknown one as written.
    pub fn canonical(&self) -> &str {
        self.spec.map_or(&self.name, |spec| spec.names[0])
    }

    /// Whether it is the command `name`, by any of its names.
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.spec.is_some_and(|spec| spec.names.contains(&name))
    }

    /// The option `name` (without dashes, main name or alias); when it is given more than once, the last, which wins.
    pub fn option(&self, name: &str) -> Option<&OptionUse> {
        self.options_named(name).last()
    }

    /// Every use of the option `name`.
    pub fn options_named(&self, name: &str) -> impl Iterator<Item = &OptionUse> {
        let main = self.main_name(name).map(str::to_owned);
        self.options.iter().filter(move |option| main.as_deref().is_some_and(|main| main == option.name))
    }

    /// All options in their order.
    pub fn options(&self) -> &[OptionUse] {
        &self.options
    }

    /// The words that are neither options nor values of options.
    pub fn arguments(&self) -> &[Argument] {
        &self.arguments
    }

    /// The source of the facts about this command: the file and the class of pykickstart. `None` for an unknown command.
    pub fn source(&self) -> Option<&'static str> {
        self.spec.map(|spec| spec.source)
    }

    /// The last value of the option, when it counts as true in Python.
    pub(super) fn given(&self, name: &str) -> Option<&OptionUse> {
        self.option(name).filter(|option| option.is_true())
    }

    /// The main name of the option that has the name or alias `name`.
    fn main_name(&self, name: &str) -> Option<&'static str> {
        let has = |written: &str| written.strip_prefix("--") == Some(name);
        let option = self.spec?.options.iter().find(|option| option.names.iter().any(|written| has(written)))?;
        option.names[0].strip_prefix("--")
    }
}

/// The sections of the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// `%pre`: before the file is used.
    Pre,
    /// `%pre-install`: filesystems are mounted, nothing is installed.
    PreInstall,
    /// `%post`: everything is installed.
    Post,
    /// `%onerror`: the installer gives up.
    OnError,
    /// `%traceback`: the installer crashed.
    Traceback,
    /// `%packages`.
    Packages,
    /// `%addon NAME`: lines for an addon of Anaconda.
    Addon,
    /// `%anaconda`: `pwpolicy` lines.
    Anaconda,
}

impl SectionKind {
    /// All of them (pykickstart/parser.py: setupSections).
    pub(super) const ALL: [SectionKind; 8] =
        [Self::Pre, Self::PreInstall, Self::Post, Self::OnError, Self::Traceback, Self::Packages, Self::Addon, Self::Anaconda];

    /// The word that opens it.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Pre => "%pre",
            Self::PreInstall => "%pre-install",
            Self::Post => "%post",
            Self::OnError => "%onerror",
            Self::Traceback => "%traceback",
            Self::Packages => "%packages",
            Self::Addon => "%addon",
            Self::Anaconda => "%anaconda",
        }
    }

    pub(super) fn of(mark: &str) -> Option<SectionKind> {
        Self::ALL.into_iter().find(|kind| kind.mark() == mark)
    }

    /// Whether its body is a script.
    pub fn is_script(self) -> bool {
        !matches!(self, Self::Packages | Self::Addon | Self::Anaconda)
    }
}

/// A section.
#[derive(Debug, Clone)]
pub struct Section {
    /// Which one.
    pub kind: SectionKind,
    /// Its first line; nothing when this is the part of a section that an included file goes on with.
    pub header: Option<Command>,
    /// The lines between header and `%end`.
    pub body: Vec<BodyLine>,
    /// The `%end` line; nothing when it is missing.
    pub end: Option<Span>,
}

/// A line of a section's body.
#[derive(Debug, Clone)]
pub struct BodyLine {
    /// The whole line, with its end.
    pub span: Span,
    /// The meaning of the line.
    pub content: Content,
}

/// The meaning of a line in a section's body.
#[derive(Debug, Clone)]
pub enum Content {
    /// A line of a script or for an addon.
    Text,
    /// A blank line or a comment where these have no effect.
    Nothing,
    /// A line of `%packages`.
    Entry(PackageEntry),
    /// A line of `%anaconda`.
    Command(Command),
    /// `%include` or `%ksappend`.
    Include(Include),
    /// A line that cannot be read; a diagnostic says why.
    Broken,
}

/// The selection in a line of `%packages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageEntry {
    /// Package, group or environment.
    pub kind: PackageKind,
    /// Whether the line excludes it (`-NAME`).
    pub excluded: bool,
    /// The name without its marks: a package's may hold a version, an architecture and wildcards.
    pub name: String,
    /// The line without comment and white space around it.
    pub span: Span,
}

/// The kind of name in a line of `%packages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PackageKind {
    /// `NAME`.
    Package,
    /// `@NAME`, with the options of its line.
    Group {
        /// `--nodefaults`: only what is mandatory.
        nodefaults: bool,
        /// `--optional`: everything.
        optional: bool,
    },
    /// `@^NAME`; the last one wins.
    Environment,
}

/// An `%include` or `%ksappend` line.
#[derive(Debug, Clone)]
pub struct Include {
    /// The whole line, with its end.
    pub span: Span,
    /// The path or URL; empty when it is missing.
    pub path: String,
    /// Where the path is written.
    pub path_span: Span,
    /// The content of the file, as far as it is known.
    pub content: Included,
}

/// The content of an included file, as far as it is known.
#[derive(Debug, Clone)]
pub enum Included {
    /// It was read; its items stand here.
    Read {
        /// Index into [`Document::files`].
        file: usize,
        /// Its items.
        items: Vec<Item>,
    },
    /// It is made or fetched during the installation: its content is not known, and no finding that depends on it is certain.
    Unknown,
    /// It is not there, or cannot be included; a diagnostic says why.
    Missing,
}

impl Document {
    /// The name given to [`parse`](super::parse).
    pub fn name(&self) -> &str {
        self.files.first().map_or("", |file| &file.name)
    }

    /// The file and its includes, in the order they were read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The items of the file itself; those of included files are inside their [`Include`].
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The text at `span`.
    pub fn text(&self, span: Span) -> &str {
        self.files.get(span.file).map_or("", |file| file.slice(span))
    }

    /// All findings by place; the files in the order they were read.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Whether Anaconda 7.5 accepts the file: no finding is an error.
    pub fn is_accepted(&self) -> bool {
        self.diagnostics.iter().all(|finding| finding.severity != Severity::Error)
    }

    /// A finding of the caller at `span`, shown in the same way (secrets hidden). For lints.
    pub fn diagnostic(&self, severity: Severity, span: Span, message: String, help: Option<String>) -> Diagnostic {
        let nowhere = SourceFile::new("", "");
        Diagnostic::new(severity, self.files.get(span.file).unwrap_or(&nowhere), span, message, help)
    }

    /// Every command in the order in which the installer reads them, those of included files too, without the lines of `%anaconda`.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.walk().filter_map(|item| if let Item::Command(command) = item { Some(command) } else { None })
    }

    /// Every command `name`, by any of its names.
    pub fn commands_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Command> {
        self.commands().filter(move |command| command.is(name))
    }

    /// The last command `name`: the one that counts, where only one does.
    pub fn command(&self, name: &str) -> Option<&Command> {
        self.commands().filter(|command| command.is(name)).last()
    }

    /// Every section, those of included files too.
    pub fn sections(&self) -> impl Iterator<Item = &Section> {
        self.walk().filter_map(|item| if let Item::Section(section) = item { Some(section) } else { None })
    }

    /// Every `%include` and `%ksappend`, in sections too.
    pub fn includes(&self) -> impl Iterator<Item = &Include> {
        self.walk().flat_map(|item| match item {
            Item::Include(include) => vec![include],
            Item::Section(section) => section.includes().collect(),
            _ => vec![],
        })
    }

    /// All items, depth first: an include before what is in it.
    fn walk(&self) -> impl Iterator<Item = &Item> {
        let mut stack: Vec<std::slice::Iter<'_, Item>> = vec![self.items.iter()];
        std::iter::from_fn(move || {
            loop {
                let Some(item) = stack.last_mut()?.next() else {
                    stack.pop();
                    continue;
                };
                let inner: Vec<_> = match item {
                    Item::Include(include) => include.items().into_iter().collect(),
                    Item::Section(section) => section.includes().filter_map(Include::items).collect(),
                    _ => vec![],
                };
                stack.extend(inner.into_iter().rev().map(<[Item]>::iter));
                return Some(item);
            }
        })
    }
}

impl Include {
    fn items(&self) -> Option<&[Item]> {
        if let Included::Read { items, .. } = &self.content { Some(items) } else { None }
    }
}

impl Section {
    /// The includes of its body.
    fn includes(&self) -> impl Iterator<Item = &Include> {
        self.body.iter().filter_map(|line| if let Content::Include(include) = &line.content { Some(include) } else { None })
    }

    /// The lines of the body in the order they are used: those of included files in the place of their `%include`.
    pub fn lines(&self) -> Vec<&BodyLine> {
        let mut lines = Vec::new();
        for line in &self.body {
            lines.push(line);
            if let Content::Include(include) = &line.content {
                for item in include.items().unwrap_or_default() {
                    if let Item::Section(section) = item
                        && section.header.is_none()
                    {
                        lines.extend(section.lines());
                    }
                }
            }
        }
        lines
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| match item {
            Item::Blank(span) | Item::Comment(span) | Item::Broken(span) | Item::Ignored(span) => f.write_str(self.text(*span)),
            Item::Command(command) => f.write_str(self.text(command.span)),
            Item::Include(include) => f.write_str(self.text(include.span)),
            Item::Section(section) => {
                let header = section.header.iter().map(|header| header.span);
                let body = section.body.iter().map(|line| line.span);
                header.chain(body).chain(section.end).try_for_each(|span| f.write_str(self.text(span)))
            }
        })
    }
}
