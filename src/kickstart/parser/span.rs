//! A place in the document: a file and a range of bytes in one line of it.

use std::ops::Range;

/// A stretch of one line of one file of a [`Document`](super::Document).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Index into [`Document::files`](super::Document::files); 0 is the file that was parsed, the rest are its includes.
    pub file: usize,
    /// Line number, from 1.
    pub line: usize,
    /// First byte, counted from the start of the file.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Span {
    /// The same place, but only the bytes `range` of it.
    pub(super) fn part(self, range: Range<usize>) -> Span {
        Span { start: self.start.saturating_add(range.start), end: self.start.saturating_add(range.end), ..self }
    }

    /// From the start of this span to the end of `last`, which is on the same line or a later one of the same file.
    pub(super) fn to(self, last: Span) -> Span {
        Span { end: last.end.max(self.end), ..self }
    }
}

/// A file that was read: the kickstart itself, or an included one.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// As it was given to [`parse`](super::parse), or as the `%include` wrote it.
    pub name: String,
    /// The whole text, as read.
    pub text: String,
    /// Where each line is.
    lines: Vec<Range<usize>>,
}

impl SourceFile {
    pub(super) fn new(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.to_owned(), text: text.to_owned(), lines: lines(text) }
    }

    /// The bytes of line `number`, counted from 1, with its line end.
    pub(super) fn line(&self, number: usize) -> Option<Range<usize>> {
        self.lines.get(number.checked_sub(1)?).cloned()
    }

    /// The text of `span`, or an empty text when the span is of another text.
    pub(super) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The line that holds `span`, without its end, and the byte of the line at which the span begins.
    pub(super) fn line_of(&self, span: Span) -> (&str, usize) {
        let range = self.line(span.line).unwrap_or(0..0);
        let line = self.text.get(range.clone()).unwrap_or_default().trim_end_matches(['\n', '\r']);
        (line, span.start.saturating_sub(range.start))
    }
}

/// The lines of `text`, each with its end, as byte ranges. `\n`, `\r\n` and a lone `\r` end a line, and nothing else does: so does
/// `str.splitlines` of Python 2 (Objects/stringobject.c of 2.7.5).
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(at) = text.get(start..).and_then(|rest| rest.find(['\n', '\r'])).map(|at| start + at) {
        let end = if text.get(at..).is_some_and(|rest| rest.starts_with("\r\n")) { at + 2 } else { at + 1 };
        lines.push(start..end);
        start = end;
    }
    if start < text.len() {
        lines.push(start..text.len());
    }
    lines
}

/// Python 2's `str.isspace` for one character: what `strip` and `split` remove (C locale).
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_2_ends_them() {
        for (text, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            ("a\nb\n", vec!["a\n", "b\n"]),
            ("a\r\nb\rc", vec!["a\r\n", "b\r", "c"]),
            ("a\u{c}b\u{85}c\u{2028}\n\n", vec!["a\u{c}b\u{85}c\u{2028}\n", "\n"]),
        ] {
            let found: Vec<_> = lines(text).into_iter().map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_is_found_around_its_span() {
        let file = SourceFile::new("x", "one\r\ntwo words\nthree");
        let span = Span { file: 0, line: 2, start: 9, end: 14 };
        assert_eq!(file.slice(span), "words");
        assert_eq!(file.line_of(span), ("two words", 4));
        assert_eq!(file.line_of(Span { line: 9, start: 99, end: 100, ..span }), ("", 99));
    }
}
