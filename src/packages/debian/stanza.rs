//! Paragraphs of `Field: value` lines (deb822(5)), one at a time.

use std::io::{BufRead, ErrorKind};

use memchr::memmem::Finder;

use crate::packages::error::{IndexError, Problem};
use crate::packages::input::Input;

/// The paragraphs of an index.
pub(in crate::packages) struct Stanzas<'a> {
    input: Input<'a>,
    empty_line: Finder<'static>,
    /// Bytes of the input's buffer that the paragraph given last lies in.
    given: usize,
    /// A paragraph that does not lie in the buffer as a whole.
    joined: Vec<u8>,
}

impl<'a> Stanzas<'a> {
    pub(in crate::packages) fn new(input: Input<'a>) -> Self {
        Self { input, empty_line: Finder::new("\n\n"), given: 0, joined: Vec::new() }
    }

    /// The next paragraph, without the line ends after it; nothing at the end.
    pub(in crate::packages) fn next(&mut self) -> Result<Option<&[u8]>, Problem> {
        self.input.consume(std::mem::take(&mut self.given));
        self.input.begin_entry();
        self.joined.clear();
        let length = loop {
            let there = match self.input.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                there => there.map_err(Problem::Unreadable)?,
            };
            let begun = !self.joined.is_empty();
            match (there, self.empty_line.find(there)) {
                ([], _) if begun => return Ok(Some(&self.joined)),
                ([], _) => return Ok(None),
                ([b'\n', ..], _) if !begun => self.input.consume(1),
                ([b'\n', ..], _) if self.joined.ends_with(b"\n") => {
                    self.input.consume(1);
                    return Ok(Some(&self.joined));
                }
                (_, Some(length)) if !begun => break length,
                (_, Some(length)) => {
                    self.joined.extend_from_slice(&there[..length]);
                    self.input.consume(length + 2);
                    return Ok(Some(&self.joined));
                }
                (_, None) => {
                    let length = there.len();
                    self.joined.extend_from_slice(there);
                    self.input.consume(length);
                }
            }
        };
        self.given = length + 2;
        Ok(Some(&self.input.fill_buf().map_err(Problem::Unreadable)?[..length]))
    }

    /// The error for `problem` of `package`, with the present place.
    pub(in crate::packages) fn error(&mut self, package: Option<String>, problem: Problem) -> IndexError {
        self.input.error(package, problem)
    }

    /// All paragraphs were read: check the whole file.
    pub(in crate::packages) fn finish(self) -> Result<(), IndexError> {
        self.input.finish()
    }
}

/// The fields of a paragraph: name and value, the latter with its continuation lines. A line that is no field has no name.
pub(in crate::packages) fn fields(stanza: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = stanza;
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            end += memchr::memchr(b'\n', &rest[end..]).unwrap_or(rest.len() - end);
            match rest.get(end + 1) {
                Some(b' ' | b'\t') => end += 1,
                _ => break,
            }
        }
        let (field, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        if field.is_empty() && rest.is_empty() {
            return None;
        }
        let colon = memchr::memchr(b':', field);
        Some(colon.map_or((&field[..0], field), |colon| (&field[..colon], field[colon + 1..].trim_ascii())))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A reader that gives few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let length = buf.len().min(self.1);
            self.0.read(&mut buf[..length])
        }
    }

    #[test]
    fn paragraphs_are_found_wherever_the_buffer_ends() {
        let text = b"\n\nA: 1\nB: 2\n\n\nC: 3\n\nD: 4\n x\n\n";
        for piece in 1..text.len() {
            let mut stanzas = Stanzas::new(Input::new("index", Slow(text, piece), None, 1 << 20).unwrap());
            let mut found = Vec::new();
            while let Some(stanza) = stanzas.next().unwrap() {
                found.push(String::from_utf8_lossy(stanza).trim_end().to_owned());
            }
            assert_eq!(found, ["A: 1\nB: 2", "C: 3", "D: 4\n x"], "{piece} bytes at a time");
            stanzas.finish().unwrap();
        }
    }

    #[test]
    fn fields_have_their_continuation_lines() {
        let stanza = b"A: 1\nB:2 \n two\n\tthree\nnonsense\nEmpty:\n";
        let found: Vec<_> = fields(stanza).map(|(name, value)| (str(name), str(value))).collect();
        assert_eq!(found, [("A", "1"), ("B", "2 \n two\n\tthree"), ("", "nonsense"), ("Empty", "")]);
        assert_eq!(fields(b"").count(), 0);
    }

    fn str(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }
}
