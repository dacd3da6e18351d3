//! The state machine that reads a file line by line (pykickstart/parser.py: `_stateMachine`, `_readSection`, `_handleInclude`).
//!
//! The state outlives a file: an `%include` in a section goes on with it, and a section an included file leaves open stays open. The
//! original stops at the first error. This one goes on, to find all of them.

use std::ops::Range;

use super::advice;
use super::dialect::{ANACONDA, PACKAGES, POST, SCRIPT, command, commands};
use super::document::{BodyLine, Command, Content, Include, Included, Item, Section, SectionKind};
use super::findings::Findings;
use super::include::{DEEPEST, Includes, MOST_BYTES, MOST_FILES, is_made_later, pre_scripts};
use super::optparse::{self, Style, clip, similar};
use super::packages;
use super::rules::{Context, History, check, conflicts};
use super::shlex::{self, Argument, ShlexError};
use super::span::{SourceFile, Span, is_space};
use super::spec::{Arguments, CommandSpec, Reading};

/// The state of one parse.
pub(super) struct Machine<'a> {
    pub findings: Findings,
    history: History,
    pub includes: &'a dyn Includes,
    /// The text of the file's `%pre` scripts. Files named in it are made by them.
    pub pre: String,
    pub state: Option<SectionKind>,
    /// Indices of the files that are being read, innermost last.
    pub stack: Vec<usize>,
    /// Bytes of included files that were read.
    pub bytes: usize,
    next_mark: Option<NextMark>,
}

/// The next line after a given line that begins or ends a section.
#[derive(Clone, Copy)]
struct NextMark {
    file: usize,
    /// Its number; the greatest possible number when there is no such line.
    line: usize,
    ends: bool,
}

/// The lines of one file, and the number of those read.
struct Cursor {
    file: usize,
    source: SourceFile,
    next: usize,
}

impl Cursor {
    fn line(&mut self) -> Option<(Span, Range<usize>)> {
        self.next += 1;
        let Some(range) = self.source.line(self.next) else {
            self.next -= 1;
            return None;
        };
        Some((Span { file: self.file, line: self.next, start: range.start, end: range.end }, range))
    }
}

impl<'a> Machine<'a> {
    pub fn new(includes: &'a dyn Includes) -> Machine<'a> {
        let (findings, history) = (Findings::default(), History::default());
        Machine { findings, history, includes, pre: String::new(), state: None, stack: Vec::new(), bytes: 0, next_mark: None }
    }

    /// Read the main file.
    pub fn read(&mut self, name: &str, text: &str) -> Vec<Item> {
        self.pre = pre_scripts(text);
        self.findings.files.push(SourceFile::new(name, text));
        if text.is_empty() {
            self.findings.error(Span::default(), "the file is empty".into(), None);
        }
        self.file(0)
    }

    pub fn file(&mut self, file: usize) -> Vec<Item> {
        let source = self.findings.files.get(file).cloned().unwrap_or_else(|| SourceFile::new("", ""));
        let mut cursor = Cursor { file, source, next: 0 };
        self.stack.push(file);
        let mut items = Vec::new();
        while let Some((span, range)) = cursor.line() {
            let line = cursor.source.text[range].to_owned();
            self.findings.here = span.part(0..0);
            items.push(self.item(&line, span, &mut cursor));
        }
        self.stack.pop();
        items
    }

    fn item(&mut self, line: &str, span: Span, cursor: &mut Cursor) -> Item {
        match blank_or_comment(line) {
            Some(true) => return Item::Blank(span),
            Some(false) => return Item::Comment(span),
            None => {}
        }
        let words = match shlex::split(line, span, true) {
            Ok(words) => words,
            Err(error) => {
                self.unsplit(span, error);
                return Item::Broken(span);
            }
        };
        let Some((first, rest)) = words.split_first() else {
            return Item::Blank(span);
        };
        match (first.value.as_str(), self.state) {
            ("%include", _) => Item::Include(self.include(first, rest, span)),
            (_, Some(kind)) if self.stack.len() > 1 => {
                cursor.next -= 1;
                Item::Section(self.section(kind, None, cursor))
            }
            (_, Some(_)) => Item::Ignored(span),
            ("%ksappend", None) => Item::Include(self.append(line, first, rest, span)),
            (mark, None) if mark.starts_with('%') => self.opening(mark, first, rest, span, cursor),
            (name, None) => {
                let found = self.command(name, first, rest, span, line);
                found.map_or(Item::Broken(span), Item::Command)
            }
        }
    }

    /// A section's first line and all lines to its end.
    fn opening(&mut self, mark: &str, first: &Argument, rest: &[Argument], span: Span, cursor: &mut Cursor) -> Item {
        let Some(kind) = SectionKind::of(mark) else {
            let help = match mark {
                "%end" => Some("there is no section open here".to_owned()),
                _ => similar(mark, SectionKind::ALL.map(SectionKind::mark)).map(|meant| format!("did you mean `{meant}`?")),
            };
            self.findings.error(first.span, format!("there is no section `{}`", clip(mark)), help);
            return Item::Broken(self.skip_section(mark, span, cursor));
        };
        let header = self.header(kind, first, rest, span);
        self.state = Some(kind);
        Item::Section(self.section(kind, Some(header), cursor))
    }

    /// Go to the end of an unknown section, unless a known one begins before it.
    fn skip_section(&mut self, mark: &str, span: Span, cursor: &mut Cursor) -> Span {
        if mark == "%end" {
            return span;
        }
        // The mark is kept, because a file of only such sections would otherwise take quadratic time.
        let known = self.next_mark.filter(|next| next.file == cursor.file && next.line > cursor.next);
        let next = known.unwrap_or_else(|| next_mark(cursor));
        self.next_mark = Some(next);
        match cursor.source.line(next.line).filter(|_| next.ends) {
            Some(range) => {
                cursor.next = next.line;
                Span { end: range.end, ..span }
            }
            None => span,
        }
    }

    fn header(&mut self, kind: SectionKind, first: &Argument, rest: &[Argument], span: Span) -> Command {
        let spec: Option<&'static CommandSpec> = match kind {
            SectionKind::Packages => Some(&PACKAGES),
            SectionKind::Post => Some(&POST),
            SectionKind::Addon | SectionKind::Anaconda => None,
            _ => Some(&SCRIPT),
        };
        let (options, arguments) = match spec.map(|spec| optparse::read(spec, rest, Style::Optparse, &mut self.findings)) {
            Some(words) => (words.options, words.arguments),
            None => (Vec::new(), rest.to_vec()),
        };
        if kind == SectionKind::Addon && rest.first().is_none_or(|name| name.value.is_empty()) {
            self.findings.error(first.span, "%addon needs the name of an addon".into(), None);
        }
        let header = Command { name: kind.mark().into(), name_span: first.span, span, spec, options, arguments };
        if spec.is_some() {
            self.leftover(&header);
            check(&header, &mut Context { findings: &mut self.findings, history: &mut self.history, line: "" });
        }
        header
    }

    /// The body of a section, to its end.
    fn section(&mut self, kind: SectionKind, header: Option<Command>, cursor: &mut Cursor) -> Section {
        let mut section = Section { kind, header, body: Vec::new(), end: None };
        loop {
            let Some((span, range)) = cursor.line() else {
                // An included file may leave its section to the file that includes it.
                if self.stack.len() == 1 {
                    self.unended(kind, &section, self.findings.here, "the end of the file");
                }
                return section;
            };
            let line = cursor.source.text[range].to_owned();
            self.findings.here = span.part(0..0);
            let all_lines = kind != SectionKind::Packages && kind != SectionKind::Anaconda;
            if !all_lines && blank_or_comment(&line).is_some() {
                section.body.push(BodyLine { span, content: Content::Nothing });
                continue;
            }
            let content = match self.mark(&line, span) {
                Mark::None => self.body_line(kind, &line, span),
                Mark::Broken => Content::Broken,
                Mark::Dropped => Content::Nothing,
                Mark::End => {
                    self.state = None;
                    section.end = Some(span);
                    return section;
                }
                Mark::Include(words) => Content::Include(match words.split_first() {
                    Some((first, rest)) if first.value == "%include" => self.include(first, rest, span),
                    Some((first, rest)) => self.append(&line, first, rest, span),
                    None => continue,
                }),
                Mark::Opens => {
                    self.unended(kind, &section, span.part(0..line.trim_end_matches(is_space).len()), "the next one");
                    cursor.next -= 1;
                    return section;
                }
            };
            section.body.push(BodyLine { span, content });
        }
    }

    /// The section does not end before `here`. The installer notices it there: at the last line of the file, or the first line of the next
    /// section.
    fn unended(&mut self, kind: SectionKind, section: &Section, here: Span, before: &str) {
        self.state = None;
        let begins = section.header.as_ref().map_or_else(String::new, |header| format!(", which begins on line {},", header.span.line));
        let message = format!("section {}{begins} does not end before {before}", kind.mark());
        self.findings.error(here, message, Some("close it with a line `%end`".into()));
    }

    /// The meaning of a line in a section, by its first word.
    fn mark(&mut self, line: &str, span: Span) -> Mark {
        let text = line.trim_start_matches(is_space);
        if !text.starts_with('%') {
            return Mark::None;
        }
        let first = text.split(is_space).next().unwrap_or_default();
        if !matches!(first, "%end" | "%include" | "%ksappend") && SectionKind::of(first).is_none() {
            return Mark::None;
        }
        // Here # does not begin a comment, so an apostrophe behind it is a quote that is never closed.
        match shlex::split(line, span, false) {
            Err(error) => {
                self.unsplit(span, error);
                // With %end as its first word, the section is meant to end.
                if first == "%end" { Mark::End } else { Mark::Broken }
            }
            // `str.split` chooses the line, and for it a form feed or a vertical tab ends the word. shlex judges the line, and for it they
            // do not end the word (parser.py:591). Then the line is neither a mark nor a line of the section.
            Ok(words) => match words.first().map(|word| word.value.as_str()) {
                Some("%end") => Mark::End,
                Some("%include" | "%ksappend") => Mark::Include(words),
                Some(word) if SectionKind::of(word).is_some() => Mark::Opens,
                _ => {
                    let message =
                        format!("a form feed or a vertical tab makes this another word than {first}, and the line is passed over");
                    self.findings.warning(span.part(0..line.trim_end_matches(['\n', '\r']).len()), message, Some("remove it".into()));
                    Mark::Dropped
                }
            },
        }
    }

    fn body_line(&mut self, kind: SectionKind, line: &str, span: Span) -> Content {
        match kind {
            SectionKind::Packages => packages::entry(line, span, &mut self.findings),
            SectionKind::Anaconda => self.policy(line, span),
            _ => Content::Text,
        }
    }

    /// A line of `%anaconda`.
    fn policy(&mut self, line: &str, span: Span) -> Content {
        let words = match shlex::split(line, span, true) {
            Ok(words) => words,
            Err(error) => {
                self.unsplit(span, error);
                return Content::Broken;
            }
        };
        let Some((first, rest)) = words.split_first() else {
            return Content::Nothing;
        };
        match ANACONDA.iter().find(|spec| spec.names.contains(&first.value.as_str())) {
            Some(spec) => Content::Command(self.judge(spec, first, rest, span, line)),
            None => {
                let names = ANACONDA.iter().flat_map(|spec| spec.names).copied();
                let help = similar(&first.value, names).map(|meant| format!("did you mean `{meant}`?"));
                self.findings.error(first.span, "%anaconda knows only pwpolicy and installclass".into(), help);
                Content::Broken
            }
        }
    }

    fn command(&mut self, name: &str, first: &Argument, rest: &[Argument], span: Span, line: &str) -> Option<Command> {
        let Some(spec) = command(name) else {
            let names = commands().flat_map(|spec| spec.names).copied();
            let help = match advice::command(name) {
                Some(advice) => Some(advice.to_owned()),
                None if name.starts_with('\u{feff}') => Some("the file begins with a byte order mark: save it without".to_owned()),
                None if !self.findings.has_room() => None,
                None => similar(name, names).map(|meant| format!("did you mean `{meant}`?")),
            };
            self.findings.error(first.span, format!("there is no command `{}`", clip(name)), help);
            return None;
        };
        Some(self.judge(spec, first, rest, span, line))
    }

    /// Check a command by everything in its row.
    fn judge(&mut self, spec: &'static CommandSpec, first: &Argument, rest: &[Argument], span: Span, line: &str) -> Command {
        let (options, arguments) = match spec.reading {
            Reading::Options => (Vec::new(), Vec::new()),
            Reading::Words | Reading::Refused(_) | Reading::Broken => (Vec::new(), rest.to_vec()),
        };
        let mut found = Command { name: first.value.clone(), name_span: first.span, span, spec: Some(spec), options, arguments };
        let again = self.history.has_seen(spec);
        conflicts(&found, &mut Context { findings: &mut self.findings, history: &mut self.history, line });
        let mut is_clear = true;
        match spec.reading {
            Reading::Options => {
                let words = optparse::read(spec, rest, Style::Optparse, &mut self.findings);
                is_clear = optparse::required(spec, &words, again, &mut self.findings) && !words.has_unknown;
                (found.options, found.arguments) = (words.options, words.arguments);
            }
            Reading::Words => {}
            Reading::Refused(help) => {
                let message = format!("the installer of CentOS 7.5 stops at `{}`", found.name);
                self.findings.error(first.span, message, Some(help.into()));
                return found;
            }
            Reading::Broken => {
                let help = Some("write cdrom, harddrive, nfs, url, liveimg or hmc".into());
                self.findings.error(first.span, format!("the installer cannot read {}", found.name), help);
                return found;
            }
        }
        // The word behind an unknown option may be its value.
        if is_clear {
            self.leftover(&found);
            check(&found, &mut Context { findings: &mut self.findings, history: &mut self.history, line });
        }
        found
    }

    /// Judge the number of arguments.
    fn leftover(&mut self, command: &Command) {
        let Some(spec) = command.spec else {
            return;
        };
        let count = command.arguments.len();
        let at = |index: usize| command.arguments.get(index).map_or(command.name_span, |word| word.span);
        // A word of a command with passwords may be a password.
        let word = |index: usize| match command.arguments.get(index) {
            Some(word) if !spec.has_secrets() => format!("`{}`", clip(&word.value)),
            _ => "this word".into(),
        };
        let name = &command.name;
        let too_many = |index: usize, takes: String| (at(index), format!("{} is too much: {name} takes {takes}", word(index)));
        let error = match spec.arguments {
            Arguments::None if count > 0 => Some(too_many(0, "no arguments".into())),
            Arguments::One(what) | Arguments::Optional(what) if count > 1 => Some(too_many(1, format!("one {what}"))),
            Arguments::Two(what) if count > 2 => Some(too_many(2, what.into())),
            Arguments::One(what) | Arguments::Some(what) if count == 0 => Some((command.name_span, format!("{name} needs a {what}"))),
            Arguments::Two(what) if count < 2 => Some((command.name_span, format!("{name} needs a {what}"))),
            _ => None,
        };
        if let Some((span, message)) = error {
            let help = command.arguments.iter().find_map(|word| advice::argument(name, &word.value)).map(str::to_owned);
            self.findings.error(span, message, help);
        } else if spec.arguments == Arguments::Ignored && count > 0 {
            let help = Some("the installer drops it in silence".into());
            self.findings.warning(at(0), format!("{} is ignored: {name} takes options only", word(0)), help);
        }
    }

    fn unsplit(&mut self, span: Span, error: ShlexError) {
        let (at, message) = match error {
            ShlexError::OpenQuote(at) => (at, "the quote is never closed"),
            ShlexError::OpenEscape(at) => (at, "there is nothing behind the backslash"),
        };
        self.findings.error(span.part(at..at + 1), message.into(), None);
    }

    /// An `%include` line.
    fn include(&mut self, first: &Argument, rest: &[Argument], span: Span) -> Include {
        let Some(path) = rest.first().filter(|path| !path.value.is_empty()) else {
            self.findings.error(first.span, "%include needs the path of a file".into(), None);
            return Include { span, path: String::new(), path_span: first.span, content: Included::Missing };
        };
        let content = self.included(&path.value, path.span);
        Include { span, path: path.value.clone(), path_span: path.span, content }
    }

    fn included(&mut self, path: &str, span: Span) -> Included {
        if self.stack.len() > DEEPEST {
            self.findings.error(span, format!("includes are nested more than {DEEPEST} deep"), None);
            return Included::Missing;
        }
        let from = self.stack.last().and_then(|file| self.findings.files.get(*file)).map(|file| file.name.clone()).unwrap_or_default();
        let Some(found) = self.includes.read(path, &from) else {
            if is_made_later(path) || self.pre.contains(path) {
                return Included::Unknown;
            }
            let help = Some("no %pre script names it, so nothing will make it either".into());
            self.findings.error(span, format!("there is no file `{}`", clip(path)), help);
            return Included::Missing;
        };
        if self.stack.iter().filter_map(|file| self.findings.files.get(*file)).any(|file| file.name == found.name) {
            self.findings.error(span, format!("`{}` includes itself", clip(path)), None);
            return Included::Missing;
        }
        self.bytes = self.bytes.saturating_add(found.text.len());
        if self.findings.files.len() >= MOST_FILES || self.bytes > MOST_BYTES {
            self.findings.error(span, format!("more than {MOST_FILES} files or {} MiB are included", MOST_BYTES >> 20), None);
            return Included::Missing;
        }
        let file = self.findings.files.len();
        self.pre.push_str(&pre_scripts(&found.text));
        self.findings.files.push(SourceFile::new(&found.name, &found.text));
        let before = self.state;
        let items = self.file(file);
        if let (None, Some(kind), 1) = (before, self.state, self.stack.len()) {
            let help = Some("the installer skips all lines that follow".into());
            self.findings.warning(span, format!("`{}` leaves a section {} open", clip(path), kind.mark()), help);
        }
        Included::Read { file, items }
    }

    /// A `%ksappend` line: fetched before anything is parsed.
    fn append(&mut self, line: &str, first: &Argument, rest: &[Argument], span: Span) -> Include {
        let (path, path_span) = rest.first().map_or((String::new(), first.span), |url| (url.value.clone(), url.span));
        // The URL is the text behind the first space. A tab does not count as a space.
        let content = if line.trim_matches(is_space).contains(' ') {
            Included::Unknown
        } else {
            self.findings.error(first.span, "%ksappend needs a URL".into(), None);
            Included::Missing
        };
        Include { span, path, path_span, content }
    }
}

/// The meaning of the first word of a line in a section.
enum Mark {
    None,
    Broken,
    /// A mark with a form feed or a vertical tab at its end. The installer skips the line.
    Dropped,
    End,
    Include(Vec<Argument>),
    Opens,
}

/// Whether `line` is blank (true) or a comment (false), or something else.
fn blank_or_comment(line: &str) -> Option<bool> {
    let text = line.trim_matches(is_space);
    if text.is_empty() { Some(true) } else { text.starts_with('#').then_some(false) }
}

/// The next line behind `cursor` that ends a section or opens a known one.
fn next_mark(cursor: &Cursor) -> NextMark {
    let mut line = cursor.next + 1;
    while let Some(range) = cursor.source.line(line) {
        let word = cursor.source.text[range].split(is_space).find(|word| !word.is_empty()).unwrap_or_default();
        if word == "%end" || SectionKind::of(word).is_some() {
            return NextMark { file: cursor.file, line, ends: word == "%end" };
        }
        line += 1;
    }
    NextMark { file: cursor.file, line: usize::MAX, ends: false }
}
