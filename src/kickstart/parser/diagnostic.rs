//! A finding in a file, and the line with it, without its secrets.

use std::fmt;

use super::secrets;
use super::span::{SourceFile, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The installer refuses the file.
    Error,
    /// The installer accepts the file and warns, or ignores this text without a message.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One finding. `Display` is one line: `NAME:LINE:COLUMN: error: what; help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file is refused because of it.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop; never holds a password.
    pub message: String,
    /// What to do about it, where that is known.
    pub help: Option<String>,
    /// Its place.
    pub span: Span,
    /// The name of the file it is in.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    /// Column of the first character, from 1, in characters.
    pub column: usize,
    /// Length in characters, at least 1. The marked text may leave [`shown`](Self::shown) when the line is long.
    pub length: usize,
    /// The line, or the part of a long line around the column; secrets and control characters are hidden, each by one character.
    pub shown: String,
    /// Column of the first marked character in [`shown`](Self::shown), from 1.
    pub shown_column: usize,
}

/// Longest line that is shown whole, in characters.
const SHOWN: usize = 160;
/// Nothing of a line is shown for a finding behind this many bytes.
const MASKED: usize = 4_096;
/// Characters before the column that are kept of a longer line.
const BEFORE: usize = 60;

impl Diagnostic {
    /// A finding at `span` of `file`.
    pub(super) fn new(severity: Severity, file: &SourceFile, span: Span, message: String, help: Option<String>) -> Diagnostic {
        let (line, offset) = file.line_of(span);
        let before = line.get(..offset).unwrap_or(line);
        let column = before.chars().count();
        let length = file.slice(span).trim_end_matches(['\n', '\r']).chars().count().max(1);
        let (shown, shown_column) = excerpt(line, offset, column);
        Diagnostic {
            severity,
            message,
            help,
            span,
            file: file.name.clone(),
            line: span.line,
            column: column + 1,
            length,
            shown,
            shown_column: shown_column + 1,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.file, self.line, self.column, self.severity, self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

/// What is shown of `line`, and the column there of byte `offset`, which is character `column` of the line.
fn excerpt(line: &str, offset: usize, column: usize) -> (String, usize) {
    // A word is secret because of a word anywhere before it, so the whole line up to it is searched. A line too long for that is not shown.
    if offset > MASKED {
        return (format!("(behind the first {MASKED} bytes of the line)"), 0);
    }
    let masked = secrets::mask(line.get(..line.floor_char_boundary(2 * MASKED)).unwrap_or(line));
    let skip = if masked.chars().count() <= SHOWN { 0 } else { column.saturating_sub(BEFORE) };
    let shown = masked.chars().skip(skip).take(SHOWN).map(|c| {
        if c == '\t' {
            ' '
        } else if c.is_control() {
            '\u{fffd}'
        } else {
            c
        }
    });
    (shown.collect(), column - skip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, start: usize, end: usize) -> Diagnostic {
        let file = SourceFile::new("ks.cfg", text);
        let line = text[..start].matches('\n').count() + 1;
        Diagnostic::new(Severity::Error, &file, Span { file: 0, line, start, end }, "bad".into(), Some("do".into()))
    }

    #[test]
    fn a_finding_names_its_place_and_shows_its_line() {
        let found = at("lang x\npart\tä --siz=4\n", 15, 20);
        assert_eq!((found.line, found.column, found.length, found.shown.as_str()), (2, 8, 5, "part ä --siz=4"));
        assert_eq!(found.to_string(), "ks.cfg:2:8: error: bad; do");
        assert_eq!(at("rootpw --lok secret\n", 7, 12).shown, "rootpw --lok ******");
        assert_eq!(at("a\u{1b}[1m\n", 0, 1).shown, "a\u{fffd}[1m");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_column_is_shown() {
        let text = format!("{} wrong {}", "x".repeat(500), "y".repeat(5_000));
        let found = at(&text, 501, 506);
        assert_eq!(found.column, 502);
        let marked: String = found.shown.chars().skip(found.shown_column - 1).take(5).collect();
        assert_eq!((marked.as_str(), found.shown.chars().count()), ("wrong", SHOWN));
        assert_eq!(at(&"x".repeat(9_000), 8_000, 8_001).shown, "(behind the first 4096 bytes of the line)");
    }
}
