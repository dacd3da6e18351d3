//! Enough of Rust's lexical grammar to tell code from comments and strings, and paths from other words.
//!
//! Follows the Rust reference, chapters "Comments", "Tokens" and "Paths". Macros are read as the tokens in their arguments.

use std::iter::Peekable;
use std::str::Chars;

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// Line, from 1.
    pub line: usize,
    /// Inside a module that only exists in tests.
    pub in_test: bool,
}

/// The facts about a file that the rules need.
#[derive(Debug, Default)]
pub struct Scan {
    /// Top-level modules that paths lead into, whether by `crate::` or by enough `super::`.
    pub imports: Vec<(String, Site)>,
    /// Uses of `crate` that hide what is imported.
    pub opaque: Vec<Site>,
    /// `Command::new`.
    pub commands: Vec<Site>,
    /// Reads of environment variables, with the name when it is a literal.
    pub environment: Vec<(Option<String>, Site)>,
    /// Writes to standard output or error.
    pub prints: Vec<Site>,
    /// Attributes that allow a lint.
    pub allows: Vec<Site>,
    /// Modules declared by `mod x;`, in order.
    pub declared: Vec<String>,
    /// String literals, as the program has them.
    pub texts: Vec<(String, Site)>,
}

/// A word, a literal or a mark of the language.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name or a keyword; for a raw identifier the part after its `r#`.
    Word(String),
    /// A literal text, as the program has it.
    Text(String),
    /// Any other character.
    Mark(char),
    /// `::`
    Path,
}

/// Read one file. `path` is relative to `src/` and determines the depth of the file's module.
pub fn scan(path: &str, text: &str) -> Scan {
    let tokens = tokens(text);
    let test_file = path.ends_with("/tests.rs") || path.contains("/tests/");
    let mut reader = Reader { tokens: &tokens, scan: Scan::default(), modules: depth(path), test_file, open: Vec::new() };
    for at in 0..tokens.len() {
        reader.read(at);
    }
    reader.scan
}

/// How many modules lead from the crate's root to this file's module.
fn depth(path: &str) -> usize {
    match path {
        "lib.rs" | "main.rs" => 0,
        _ => path.split('/').count() - usize::from(path.ends_with("/mod.rs")),
    }
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    scan: Scan,
    modules: usize,
    test_file: bool,
    /// The open braces: whether each belongs to a module, and whether that module is for tests only.
    open: Vec<(bool, bool)>,
}

impl Reader<'_> {
    fn read(&mut self, at: usize) {
        let site = self.site(at);
        match &self.tokens[at].0 {
            Token::Mark('{') => {
                let module = at >= 2 && self.is_word(at - 2, "mod");
                self.modules += usize::from(module);
                let test = module && self.follows_cfg_test(at - 2);
                self.open.push((module, test));
            }
            Token::Mark('}') => {
                if let Some((true, _)) = self.open.pop() {
                    self.modules -= 1;
                }
            }
            Token::Mark('#') => self.read_attribute(at, site),
            Token::Word(word) => self.read_word(at, word, site),
            Token::Text(text) => self.scan.texts.push((text.clone(), site)),
            _ => {}
        }
    }

    fn read_word(&mut self, at: usize, word: &str, site: Site) {
        let begins_path = at == 0 || self.tokens[at - 1].0 != Token::Path;
        match word {
            "crate" if self.is_word(at + 1, "as") => self.scan.opaque.push(site),
            "crate" if self.is(at + 1, &Token::Path) => self.read_tree(at + 2),
            "super" if begins_path => {
                let mut end = at;
                let mut ups = 1;
                while self.is(end + 1, &Token::Path) && self.is_word(end + 2, "super") {
                    ups += 1;
                    end += 2;
                }
                if ups == self.modules && self.is(end + 1, &Token::Path) {
                    self.read_tree(end + 2);
                }
            }
            "mod" if self.is(at + 2, &Token::Mark(';')) => {
                if let Some(Token::Word(name)) = self.token(at + 1) {
                    let name = name.clone();
                    self.scan.declared.push(name);
                }
            }
            "Command" if self.is(at + 1, &Token::Path) && self.is_word(at + 2, "new") => self.scan.commands.push(site),
            "env" if self.leads_to(at, &["var", "var_os", "vars", "vars_os"]) => {
                let name = match (self.token(at + 3), self.token(at + 4)) {
                    (Some(Token::Mark('(')), Some(Token::Text(name))) => Some(name.clone()),
                    _ => None,
                };
                self.scan.environment.push((name, site));
            }
            "io" if self.leads_to(at, &["stdout", "stderr"]) => self.scan.prints.push(site),
            "print" | "println" | "eprint" | "eprintln" if self.is(at + 1, &Token::Mark('!')) => self.scan.prints.push(site),
            _ => {}
        }
    }

    /// The first segments of the use tree at `at`, each a top-level module.
    fn read_tree(&mut self, at: usize) {
        let mut site = self.site(at);
        match self.token(at) {
            Some(Token::Word(name)) => {
                let name = name.clone();
                self.scan.imports.push((name, site));
            }
            Some(Token::Mark('*')) => self.scan.opaque.push(site),
            Some(Token::Mark('{')) => {
                for segment in self.first_segments(at) {
                    site.line = self.tokens[segment].1;
                    match &self.tokens[segment].0 {
                        Token::Word(name) if name != "self" => self.scan.imports.push((name.clone(), site)),
                        _ => self.scan.opaque.push(site),
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether a path leads from the word at `at` directly to one of `names`, possibly within a group.
    fn leads_to(&self, at: usize, names: &[&str]) -> bool {
        let places = match self.token(at + 2) {
            _ if !self.is(at + 1, &Token::Path) => return false,
            Some(Token::Mark('{')) => self.first_segments(at + 2),
            _ => vec![at + 2],
        };
        places.into_iter().any(|place| names.iter().any(|name| self.is_word(place, name)))
    }

    /// Places of the first token of each branch of the group that opens at `open`.
    fn first_segments(&self, open: usize) -> Vec<usize> {
        let mut places = Vec::new();
        let mut level = 0;
        for at in open..self.tokens.len() {
            match self.tokens[at].0 {
                Token::Mark('{') => level += 1,
                Token::Mark('}') if level == 1 => break,
                Token::Mark('}') => level -= 1,
                Token::Mark(',') => {}
                _ if level == 1 && matches!(self.tokens[at - 1].0, Token::Mark('{' | ',')) => places.push(at),
                _ => {}
            }
        }
        places
    }

    fn read_attribute(&mut self, at: usize, site: Site) {
        let open = at + 1 + usize::from(self.is(at + 1, &Token::Mark('!')));
        if !self.is(open, &Token::Mark('[')) {
            return;
        }
        let mut level = 0;
        for at in open..self.tokens.len() {
            match &self.tokens[at].0 {
                Token::Mark('[') => level += 1,
                Token::Mark(']') if level == 1 => break,
                Token::Mark(']') => level -= 1,
                Token::Word(word) if word == "allow" && self.is(at + 1, &Token::Mark('(')) => self.scan.allows.push(site),
                _ => {}
            }
        }
    }

    /// Whether the item with `mod` at `at` has `#[cfg(test)]` before it, possibly with a visibility in between.
    fn follows_cfg_test(&self, at: usize) -> bool {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
        let before = &self.tokens[..at];
        let end = before.iter().rposition(|(token, _)| *token == Token::Mark(']')).map_or(0, |end| end + 1);
        let between = before[end..].iter().all(|(token, _)| matches!(token, Token::Word(_) | Token::Mark('(' | ')')));
        let words = before[..end].iter().rev().zip(attribute.iter().rev());
        between
            && end >= attribute.len()
            && words.into_iter().all(|((token, _), wanted)| match token {
                Token::Word(word) => word == wanted,
                Token::Mark(mark) => wanted.len() == 1 && wanted.starts_with(*mark),
                _ => false,
            })
    }

    fn site(&self, at: usize) -> Site {
        let line = self.tokens.get(at).map_or(0, |(_, line)| *line);
        Site { line, in_test: self.test_file || self.open.iter().any(|(_, test)| *test) }
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(token, _)| token)
    }

    fn is(&self, at: usize, token: &Token) -> bool {
        self.token(at) == Some(token)
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.token(at), Some(Token::Word(found)) if found == word)
    }
}

/// The tokens of `text`, each with its line.
pub(super) fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut lexer = Lexer { chars: text.chars().peekable(), line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<(Token, usize)> {
        loop {
            let line = self.line;
            let c = self.bump()?;
            let token = match c {
                '/' if self.chars.next_if_eq(&'/').is_some() => {
                    while self.chars.next_if(|c| *c != '\n').is_some() {}
                    continue;
                }
                '/' if self.chars.next_if_eq(&'*').is_some() => {
                    self.skip_block_comment();
                    continue;
                }
                '"' => Token::Text(self.quoted()),
                '\'' => match self.character_or_lifetime() {
                    Some(token) => token,
                    None => continue,
                },
                ':' if self.chars.next_if_eq(&':').is_some() => Token::Path,
                c if c.is_whitespace() => continue,
                c if c.is_alphanumeric() || c == '_' => self.word(c),
                c => Token::Mark(c),
            };
            return Some((token, line));
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn skip_block_comment(&mut self) {
        let mut level = 1;
        while level > 0 {
            match self.bump() {
                Some('*') if self.chars.next_if_eq(&'/').is_some() => level -= 1,
                Some('/') if self.chars.next_if_eq(&'*').is_some() => level += 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// The rest of a string literal whose quote was read.
    fn quoted(&mut self) -> String {
        let mut content = String::new();
        while let Some(c) = self.bump() {
            match c {
                '"' => break,
                '\\' => match self.bump() {
                    Some('n') => content.push('\n'),
                    Some('t') => content.push('\t'),
                    // The text goes on at the next line's first character that is not white space.
                    Some('\n') => {
                        while self.chars.peek().is_some_and(|c| c.is_whitespace()) {
                            self.bump();
                        }
                    }
                    Some(c) => content.push(c),
                    None => {}
                },
                c => content.push(c),
            }
        }
        content
    }

    /// A raw string after its `r`; `None` when the hashes belong to a raw identifier.
    fn raw_quoted(&mut self) -> Option<String> {
        let mut hashes = 0;
        while self.chars.next_if_eq(&'#').is_some() {
            hashes += 1;
        }
        self.chars.next_if_eq(&'"')?;
        let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
        let mut content = String::new();
        while let Some(c) = self.bump() {
            content.push(c);
            if content.ends_with(&end) {
                content.truncate(content.len() - end.len());
                break;
            }
        }
        Some(content)
    }

    /// After a `'`: a character literal, or `None` for a lifetime or label.
    fn character_or_lifetime(&mut self) -> Option<Token> {
        let mut ahead = self.chars.clone();
        let first = ahead.next()?;
        if first == '\\' {
            self.bump();
            self.bump();
            while self.bump().is_some_and(|c| c != '\'') {}
            return Some(Token::Text(String::new()));
        }
        if ahead.next() == Some('\'') {
            self.bump();
            self.bump();
            return Some(Token::Text(first.into()));
        }
        // The name of a lifetime must not be read as a word of a path.
        while self.chars.next_if(|c| c.is_alphanumeric() || *c == '_').is_some() {}
        None
    }

    fn word(&mut self, first: char) -> Token {
        let mut word = String::from(first);
        while let Some(c) = self.chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
            word.push(c);
        }
        match (word.as_str(), self.chars.peek()) {
            ("b" | "c", Some('"')) => {
                self.bump();
                Token::Text(self.quoted())
            }
            ("r" | "br" | "cr", Some('"' | '#')) => match self.raw_quoted() {
                Some(text) => Token::Text(text),
                None => match self.bump() {
                    Some(c) => self.word(c),
                    None => Token::Word(word),
                },
            },
            _ => Token::Word(word),
        }
    }
}

#[test]
fn comments_strings_characters_and_lifetimes_are_told_apart() {
    let word = |text: &str| Token::Word(text.into());
    let text = |text: &str| Token::Text(text.into());
    for (source, expected) in [
        ("a::b // c", vec![word("a"), Token::Path, word("b")]),
        ("/* a /* b */ c */ d", vec![word("d")]),
        (r#"r"a\" b"#, vec![text("a\\"), word("b")]),
        (r###"br##"a"# b"## c"###, vec![text("a\"# b"), word("c")]),
        (r#""a\"b" c"#, vec![text("a\"b"), word("c")]),
        ("\"a\\n\\\n   b\" c", vec![text("a\nb"), word("c")]),
        (r"'\'' '\u{1b}' 'x' b'\\' y", vec![text(""), text(""), text("x"), word("b"), text(""), word("y")]),
        ("&'a x 'b: loop", vec![Token::Mark('&'), word("x"), Token::Mark(':'), word("loop")]),
        ("r#mod r#type", vec![word("mod"), word("type")]),
    ] {
        let found: Vec<_> = tokens(source).into_iter().map(|(token, _)| token).collect();
        assert_eq!(found, expected, "{source}");
    }
    let lines: Vec<_> = tokens("a\n\"x\ny\" b\n/*\n*/ c").into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, [1, 2, 3, 5]);
}
