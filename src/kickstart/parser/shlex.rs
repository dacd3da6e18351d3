//! A line as words, the way the installer splits it: `shlex.split` of Python 2.7 (Lib/shlex.py, POSIX mode, whitespace_split).
//!
//! It differs from a shell in three ways: `#` starts a comment in the middle of a word too, a backslash at the end of the line keeps the
//! line end, and there is no substitution of any kind.

use super::span::Span;

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its value, without quotes and backslashes.
    pub value: String,
    /// Where it is written, quotes included.
    pub span: Span,
    /// The number of leading bytes of the value that are written unchanged: no quote or backslash comes before them.
    plain: usize,
}

impl Argument {
    /// A word without quotes or backslashes.
    pub(super) fn plain(value: &str, span: Span) -> Argument {
        Argument { value: value.to_owned(), span, plain: value.len() }
    }

    /// The place of the value behind the `=` at byte `equals` of [`value`](Self::value); all of the word if that is not known.
    pub(super) fn behind(&self, equals: usize) -> Span {
        if equals < self.plain { Span { start: self.span.start + equals + 1, ..self.span } } else { self.span }
    }
}

/// Why a line has no words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ShlexError {
    /// The quote that stands at this byte of the line is never closed.
    OpenQuote(usize),
    /// The backslash at this byte is the last character.
    OpenEscape(usize),
}

/// Where the splitter is.
#[derive(Clone, Copy)]
enum State {
    Between,
    Word,
    Quoted { quote: char, at: usize },
    Escaped { quote: Option<(char, usize)>, at: usize },
}

/// The words of `line`, which is written at `span`. With `comments`, everything behind an unquoted `#` is dropped.
pub(super) fn split(line: &str, span: Span, comments: bool) -> Result<Vec<Argument>, ShlexError> {
    let mut words = Vec::new();
    let mut state = State::Between;
    let (mut value, mut start, mut plain) = (String::new(), 0, true);
    let mut plain_bytes = 0;
    let mut finish = |value: &mut String, start: usize, end: usize, plain_bytes: usize| {
        words.push(Argument { value: std::mem::take(value), span: span.part(start..end), plain: plain_bytes });
    };
    let mut end = line.len();
    for (at, character) in line.char_indices() {
        match state {
            State::Between | State::Word => {
                let between = matches!(state, State::Between);
                match character {
                    ' ' | '\t' | '\r' | '\n' => {
                        if !between {
                            finish(&mut value, start, at, plain_bytes);
                        }
                        state = State::Between;
                        continue;
                    }
                    '#' if comments => {
                        end = at;
                        break;
                    }
                    _ => {}
                }
                if between {
                    (start, plain, plain_bytes) = (at, true, 0);
                }
                match character {
                    '\'' | '"' => (plain, state) = (false, State::Quoted { quote: character, at }),
                    '\\' => (plain, state) = (false, State::Escaped { quote: None, at }),
                    _ => {
                        value.push(character);
                        state = State::Word;
                        if plain {
                            plain_bytes = value.len();
                        }
                    }
                }
            }
            State::Quoted { quote, at: opened } => match character {
                _ if character == quote => state = State::Word,
                '\\' if quote == '"' => state = State::Escaped { quote: Some((quote, opened)), at },
                _ => value.push(character),
            },
            State::Escaped { quote, at: _ } => {
                // In double quotes a backslash hides only itself and the quote.
                if quote.is_some_and(|(quote, _)| character != '\\' && character != quote) {
                    value.push('\\');
                }
                value.push(character);
                state = quote.map_or(State::Word, |(quote, at)| State::Quoted { quote, at });
            }
        }
    }
    match state {
        State::Between => {}
        State::Word => finish(&mut value, start, end, plain_bytes),
        State::Quoted { at, .. } => return Err(ShlexError::OpenQuote(at)),
        State::Escaped { at, .. } => return Err(ShlexError::OpenEscape(at)),
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(line: &str) -> Span {
        Span { file: 0, line: 1, start: 0, end: line.len() }
    }

    fn words(line: &str, comments: bool) -> Result<Vec<String>, ShlexError> {
        split(line, span(line), comments).map(|words| words.into_iter().map(|word| word.value).collect())
    }

    /// Each row was checked with `shlex.split` of Python 2.7.18.
    #[test]
    fn lines_split_as_python_2_splits_them() {
        for (line, expected) in [
            ("lang en_US # x", vec!["lang", "en_US"]),
            ("lang a#b", vec!["lang", "a"]),
            ("lang 'a#b' #c", vec!["lang", "a#b"]),
            ("a \"b\"'c'd e\\ f", vec!["a", "bcd", "e f"]),
            ("a ''  \"\"", vec!["a", "", ""]),
            (r#"a "b\"c\d\\e""#, vec!["a", r#"b"c\d\e"#]),
            (r"a 'b\c'", vec!["a", r"b\c"]),
            ("a\\\nb", vec!["a\nb"]),
            ("\u{b}x\u{c}y", vec!["\u{b}x\u{c}y"]),
            ("a\r\n", vec!["a"]),
            ("größe \u{a0}", vec!["größe", "\u{a0}"]),
            ("", vec![]),
        ] {
            assert_eq!(words(line, true).unwrap(), expected, "{line:?}");
        }
        assert_eq!(words("%end # x", false).unwrap(), ["%end", "#", "x"]);
        assert_eq!(words("a 'b", true), Err(ShlexError::OpenQuote(2)));
        assert_eq!(words("a \"b\\\"", true), Err(ShlexError::OpenQuote(2)));
        assert_eq!(words("a b\\", true), Err(ShlexError::OpenEscape(3)));
        assert_eq!(words("# 'b", true).unwrap(), [""; 0]);
    }

    #[test]
    fn words_know_where_they_stand() {
        let line = r#"part --label="a b" --si"z"e=5 /"#;
        let words = split(line, span(line), true).unwrap();
        let text = |span: Span| &line[span.start..span.end];
        assert_eq!(words.iter().map(|word| text(word.span)).collect::<Vec<_>>(), ["part", r#"--label="a b""#, r#"--si"z"e=5"#, "/"]);
        assert_eq!(text(words[1].behind(7)), r#""a b""#);
        assert_eq!(text(words[2].behind(6)), r#"--si"z"e=5"#, "not told");
    }
}
