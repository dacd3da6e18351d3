//! GRUB's script language (GRUB manual 2.06, "Writing full configuration files directly"), as far as boot menus need it: words, quoting,
//! variables, `if`, functions that are skipped, and blocks. Loops are refused. Nothing is executed.

use std::collections::BTreeMap;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    /// A command with its arguments.
    Command(Vec<Word>),
    /// `menuentry` or `submenu`: its words and what stands between its braces.
    Block(Vec<Word>, Vec<Self>),
    /// Conditions with what they guard, in order; an `else` is guarded by nothing.
    If(Vec<(Vec<Self>, Vec<Self>)>),
}

/// A word: pieces of text and variables, joined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Word {
    pieces: Vec<Piece>,
    /// It had quotes, so it is a word even when it is empty, and no keyword.
    quoted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

impl Word {
    /// The word's text; unknown variables are empty. Little more than `limit` bytes are made of it.
    pub(super) fn expand(&self, variables: &BTreeMap<String, String>, limit: usize) -> String {
        let mut expanded = String::new();
        for piece in &self.pieces {
            if expanded.len() > limit {
                break;
            }
            expanded.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Variable(name) => variables.get(name).map_or("", String::as_str),
            });
        }
        expanded
    }

    /// The texts of `words`. An unquoted word that expands to nothing is left out. Little more than `limit` bytes are made of them.
    pub(super) fn expand_all(words: &[Self], variables: &BTreeMap<String, String>, limit: usize) -> Vec<String> {
        let (mut texts, mut left) = (Vec::new(), Some(limit));
        for word in words {
            let Some(room) = left else { break };
            let text = word.expand(variables, room);
            left = room.checked_sub(text.len());
            if word.quoted || !text.is_empty() {
                texts.push(text);
            }
        }
        texts
    }

    fn is(&self, keyword: &str) -> bool {
        !self.quoted && matches!(&self.pieces[..], [Piece::Text(text)] if text == keyword)
    }

    fn push(&mut self, c: char) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.pieces.push(Piece::Text(c.to_string())),
        }
    }
}

/// Parse a configuration file.
///
/// # Errors
/// A sentence with the line it is about.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0 };
    let statements = parser.statements(0)?;
    match parser.tokens.get(parser.at) {
        None => Ok(statements),
        Some((line, _)) => Err(format!("line {line}: something ends here that did not begin")),
    }
}

/// A word, or the end of a command.
type Token = (usize, Option<Word>);

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<Word> = None;
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | ';' => {
                tokens.extend(word.take().map(|word| (line, Some(word))));
                tokens.push((line, None));
                line += usize::from(c == '\n');
            }
            c if c.is_whitespace() => tokens.extend(word.take().map(|word| (line, Some(word)))),
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '\\' => match chars.next() {
                Some('\n') => line += 1,
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err(format!("line {line}: a backslash at the end")),
            },
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                word.quoted = true;
                let opened = line;
                loop {
                    match chars.next() {
                        None => return Err(format!("line {opened}: a quote is not closed")),
                        Some(end) if end == c => break,
                        Some('$') if c == '"' => word.pieces.push(variable(&mut chars)),
                        // In double quotes only these can be escaped.
                        Some('\\') if c == '"' => match chars.next_if(|c| matches!(c, '"' | '$' | '\\')) {
                            Some(escaped) => word.push(escaped),
                            None => word.push('\\'),
                        },
                        Some(inside) => {
                            line += usize::from(inside == '\n');
                            word.push(inside);
                        }
                    }
                }
            }
            '$' => word.get_or_insert_default().pieces.push(variable(&mut chars)),
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(|word| (line, Some(word))));
    Ok(tokens)
}

/// What stands after a `$`.
fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Piece {
    let mut name = String::new();
    if chars.next_if_eq(&'{').is_some() {
        name.extend(std::iter::from_fn(|| chars.next_if(|c| !matches!(c, '}' | '\n'))));
        chars.next_if_eq(&'}');
    } else if let Some(c) = chars.next_if(|c| matches!(c, '?' | '*' | '@' | '#')) {
        name.push(c);
    } else {
        name.extend(std::iter::from_fn(|| chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_')));
    }
    if name.is_empty() { Piece::Text("$".to_owned()) } else { Piece::Variable(name) }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Parser<'_> {
    /// Statements up to a word that closes something, which is left.
    fn statements(&mut self, depth: usize) -> Result<Vec<Statement>, String> {
        let mut statements = Vec::new();
        while let Some((line, token)) = self.tokens.get(self.at) {
            let Some(word) = token else {
                self.at += 1;
                continue;
            };
            if depth > MAX_DEPTH {
                return Err(format!("line {line}: nested too deeply"));
            }
            if ["}", "then", "elif", "else", "fi"].iter().any(|end| word.is(end)) {
                break;
            }
            if ["for", "while", "until"].iter().any(|keyword| word.is(keyword)) {
                return Err(format!("line {line}: loops are not understood"));
            }
            if word.is("if") {
                statements.push(self.conditional(depth)?);
            } else {
                statements.extend(self.command(depth)?);
            }
        }
        Ok(statements)
    }

    fn conditional(&mut self, depth: usize) -> Result<Statement, String> {
        let mut branches = Vec::new();
        // At `if` or `elif`.
        loop {
            self.at += 1;
            let condition = self.statements(depth + 1)?;
            self.expect("then")?;
            branches.push((condition, self.statements(depth + 1)?));
            if !self.next_is("elif") {
                break;
            }
        }
        if self.next_is("else") {
            self.at += 1;
            branches.push((Vec::new(), self.statements(depth + 1)?));
        }
        self.expect("fi")?;
        Ok(Statement::If(branches))
    }

    /// A command up to its end, or a block up to its closing brace. A function is read and forgotten.
    fn command(&mut self, depth: usize) -> Result<Option<Statement>, String> {
        let mut words = Vec::new();
        let mut block = None;
        while let Some((_, Some(word))) = self.tokens.get(self.at) {
            let takes_block =
                words.first().is_some_and(|first: &Word| ["menuentry", "submenu", "function"].iter().any(|name| first.is(name)));
            if takes_block && word.is("{") {
                self.at += 1;
                block = Some(self.statements(depth + 1)?);
                self.expect("}")?;
                break;
            }
            words.push(word.clone());
            self.at += 1;
        }
        Ok(match block {
            Some(_) if words.first().is_some_and(|first| first.is("function")) => None,
            Some(block) => Some(Statement::Block(words, block)),
            None => Some(Statement::Command(words)),
        })
    }

    fn next_is(&self, keyword: &str) -> bool {
        matches!(self.tokens.get(self.at), Some((_, Some(word))) if word.is(keyword))
    }

    fn expect(&mut self, keyword: &str) -> Result<(), String> {
        if self.next_is(keyword) {
            self.at += 1;
            return Ok(());
        }
        let line = self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |(line, _)| *line);
        Err(format!("line {line}: `{keyword}` is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let variables = BTreeMap::from([("a".to_owned(), "A B".to_owned()), ("?".to_owned(), "0".to_owned())]);
        match &parse(text).unwrap()[..] {
            [Statement::Command(words)] => Word::expand_all(words, &variables, 1 << 10),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_are_split_quoted_and_expanded() {
        for (text, expected) in [
            ("linux /vmlinuz  root=UUID=1\tro", &["linux", "/vmlinuz", "root=UUID=1", "ro"][..]),
            ("echo 'a $b \\' \"x $a \\\"y\\\" \\n\"", &["echo", "a $b \\", "x A B \"y\" \\n"]),
            ("echo x\"${a}\"z $none ${none} '' # comment", &["echo", "xA Bz", ""]),
            ("a\\ b c#d $? $", &["a b", "c#d", "0", "$"]),
            ("one \\\n two", &["one", "two"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_script_is_refused_with_its_line() {
        for (text, complaint) in [
            ("a\n}", "line 2: something ends here that did not begin"),
            ("menuentry 'x' {\nlinux", "line 2: `}` is missing"),
            ("if [ a ]; fi", "line 1: `then` is missing"),
            ("echo 'x\n", "line 1: a quote is not closed"),
            ("for x in a; do b; done", "line 1: loops are not understood"),
        ] {
            assert_eq!(parse(text).unwrap_err(), complaint);
        }
        let deep = "if x; then\n".repeat(100_000);
        assert!(parse(&deep).unwrap_err().ends_with("nested too deeply"));
    }
}
