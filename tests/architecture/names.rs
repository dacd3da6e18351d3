//! The names that the modules of a file define, import and use, as far as the tokens show them.
//!
//! Follows the Rust reference, chapters "Paths", "Use declarations" and "Modules". Code for tests only is left out: the items under
//! `#[cfg(test)]` or `#[test]`.

use std::collections::BTreeSet;

use super::scanner::{Token, tokens};

/// Segments of a path, the crate's name left out.
pub type Path = Vec<String>;

/// A module: a file's own, or one with braces inside a file.
#[derive(Debug, Default)]
pub struct Module {
    /// Its path from the crate's root.
    pub path: Path,
    /// Its file, relative to `src/`.
    pub file: String,
    /// Names of the items that it defines, child modules left out.
    pub items: BTreeSet<String>,
    /// Its use declarations.
    pub imports: Vec<Import>,
    /// Paths and single names that its code has outside use declarations.
    pub named: Vec<Named>,
    /// Functions and constants of `impl Type` blocks, each with the path of the type.
    pub associated: Vec<(Path, String)>,
    /// Names of methods that it calls.
    pub calls: Vec<Named>,
    /// Functions of `impl` blocks and traits, whatever the type.
    pub methods: BTreeSet<String>,
}

/// One name that a use declaration brings in.
#[derive(Debug)]
pub struct Import {
    /// The name in this module; `None` for `*`.
    pub name: Option<String>,
    /// The path that it stands for, as written.
    pub path: Path,
    /// Declared with `pub` of any reach.
    pub public: bool,
    /// Line, from 1.
    pub line: usize,
}

/// A path in code.
#[derive(Debug)]
pub struct Named {
    /// As written.
    pub path: Path,
    /// Line, from 1.
    pub line: usize,
}

/// The modules of one file, its own first. `path` is relative to `src/`.
pub fn modules(path: &str, text: &str) -> Vec<Module> {
    let tokens = tokens(text);
    let own = Module { path: module_path(path), file: path.to_owned(), ..Module::default() };
    let mut reader = Reader { tokens: &tokens, at: 0, modules: vec![own], open: vec![Block::Module(0)], opens: None };
    while reader.at < tokens.len() {
        reader.step();
    }
    reader.modules
}

/// The path of a file's own module.
fn module_path(path: &str) -> Path {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// The item of an open brace.
#[derive(Debug, Clone)]
enum Block {
    /// The module of this index.
    Module(usize),
    /// `impl Type`: the path of the type.
    Impl(Path),
    /// `impl Trait for Type` or a trait.
    Methods,
    Other,
}

struct Reader<'a> {
    tokens: &'a [(Token, usize)],
    at: usize,
    modules: Vec<Module>,
    open: Vec<Block>,
    /// The place of a brace further on, and the block that it opens.
    opens: Option<(usize, Block)>,
}

impl Reader<'_> {
    fn step(&mut self) {
        let at = self.at;
        match &self.tokens[at].0 {
            Token::Mark('{') => {
                let block = match self.opens.take_if(|(place, _)| *place == at) {
                    Some((_, block)) => block,
                    None => Block::Other,
                };
                self.open.push(block);
                self.at += 1;
            }
            Token::Mark('}') => {
                if self.open.len() > 1 {
                    self.open.pop();
                }
                self.at += 1;
            }
            Token::Mark('#') if self.is_test_attribute(at) => self.at = self.end_of_item(at),
            Token::Word(word) => self.word(word),
            _ => self.at += 1,
        }
    }

    fn word(&mut self, word: &str) {
        let at = self.at;
        let pointer = at > 0 && self.tokens[at - 1].0 == Token::Mark('*');
        match word {
            "use" if !self.is(at + 1, '<') => {
                let public = at > 0 && (self.is_word(at - 1, "pub") || self.is(at - 1, ')'));
                self.at += 1;
                self.use_tree(&[], public);
            }
            "mod" if self.is(at + 2, '{') => {
                let name = self.text(at + 1);
                let mut path = self.module().path.clone();
                path.push(name);
                let file = self.module().file.clone();
                self.modules.push(Module { path, file, ..Module::default() });
                self.opens = Some((at + 2, Block::Module(self.modules.len() - 1)));
                self.at += 2;
            }
            "mod" => self.at += 2,
            "impl" if self.is_outermost() => {
                self.open_later(|reader, open| reader.implemented(at + 1, open));
                self.at += 1;
            }
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union" if !pointer => self.definition(word),
            "macro_rules" => {
                let name = self.text(at + 2);
                self.module().items.insert(name);
                self.at += 3;
            }
            _ => self.path(),
        }
    }

    /// An item with a name. Its keyword is here.
    fn definition(&mut self, keyword: &str) {
        let mut name = self.at + 1;
        if self.is_word(name, "mut") {
            name += 1;
        }
        let text = self.text(name);
        if text.is_empty() || ["fn", "unsafe", "async", "extern"].contains(&text.as_str()) {
            self.at += 1;
            return;
        }
        match self.open.last().cloned() {
            Some(Block::Module(_)) => drop(self.module().items.insert(text)),
            Some(Block::Impl(of)) => {
                self.module().associated.push((of, text.clone()));
                self.module().methods.insert(text);
            }
            Some(Block::Methods) if keyword == "fn" => drop(self.module().methods.insert(text)),
            _ => {}
        }
        if keyword == "trait" && self.is_outermost() {
            self.open_later(|_, _| Block::Methods);
        }
        self.at = name + 1;
    }

    /// Store the block that the next brace opens.
    fn open_later(&mut self, block: impl FnOnce(&Self, usize) -> Block) {
        let Some(open) = (self.at..self.tokens.len()).find(|at| self.is(*at, '{')) else { return };
        self.opens = Some((open, block(self, open)));
    }

    /// The block of an `impl` whose header is between two places.
    fn implemented(&self, from: usize, open: usize) -> Block {
        let mut level = 0_i32;
        let mut path = Vec::new();
        for at in from..open {
            match &self.tokens[at].0 {
                Token::Mark('<') => level += 1,
                // The `>` of an arrow does not close a list of generics.
                Token::Mark('>') if !self.is(at - 1, '-') => level -= 1,
                Token::Word(word) if level == 0 && word == "where" => break,
                Token::Word(word) if level == 0 && word == "for" => return Block::Methods,
                Token::Word(word) if level == 0 => path.push(word.clone()),
                _ => {}
            }
        }
        Block::Impl(path)
    }

    /// A path or a single name in code.
    fn path(&mut self) {
        let at = self.at;
        let line = self.tokens[at].1;
        let mut path = vec![self.text(at)];
        self.at += 1;
        while self.token(self.at) == Some(&Token::Path) {
            let Some(Token::Word(next)) = self.token(self.at + 1) else { break };
            path.push(next.clone());
            self.at += 2;
        }
        let before = at.checked_sub(1).and_then(|before| self.token(before));
        if before == Some(&Token::Path) {
            return;
        }
        let called = self.is(self.at, '(') || (self.token(self.at) == Some(&Token::Path) && self.is(self.at + 1, '<'));
        // `.name`, but not `..NAME`.
        if before == Some(&Token::Mark('.')) && !(at >= 2 && self.is(at - 2, '.')) {
            if called {
                self.module().calls.push(Named { path, line });
            }
            return;
        }
        // A single name in lower case is a variable or a field, unless it is called.
        let named = path.len() > 1 || called || self.is(self.at, '!') || path[0].starts_with(char::is_uppercase);
        if named {
            self.module().named.push(Named { path, line });
        }
    }

    /// The use tree that starts here, after the segments of `prefix`.
    fn use_tree(&mut self, prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |(_, line)| *line);
        loop {
            match self.token(self.at) {
                Some(Token::Word(word)) => {
                    if word != "self" || path.is_empty() {
                        path.push(word.clone());
                    }
                    self.at += 1;
                    if self.token(self.at) == Some(&Token::Path) {
                        continue;
                    }
                    let mut name = path.last().cloned();
                    if self.is_word(self.at, "as") {
                        name = Some(self.text(self.at + 1));
                        self.at += 2;
                    }
                    self.module().imports.push(Import { name, path, public, line });
                    return;
                }
                Some(Token::Path) => self.at += 1,
                Some(Token::Mark('*')) => {
                    self.at += 1;
                    self.module().imports.push(Import { name: None, path, public, line });
                    return;
                }
                Some(Token::Mark('{')) => {
                    self.at += 1;
                    while !self.is(self.at, '}') && self.at < self.tokens.len() {
                        self.use_tree(&path, public);
                        self.at += usize::from(self.is(self.at, ','));
                    }
                    self.at += 1;
                    return;
                }
                _ => {
                    self.at += 1;
                    return;
                }
            }
        }
    }

    /// Whether `#[cfg(test)]` or `#[test]` is here.
    fn is_test_attribute(&self, at: usize) -> bool {
        let words = |wanted: &[&str]| {
            wanted.iter().enumerate().all(|(nth, wanted)| match self.token(at + nth) {
                Some(Token::Word(word)) => word == wanted,
                Some(Token::Mark(mark)) => wanted.len() == 1 && wanted.starts_with(*mark),
                _ => false,
            })
        };
        words(&["#", "[", "cfg", "(", "test", ")", "]"]) || words(&["#", "[", "test", "]"])
    }

    /// The place after the item that the attribute at `at` belongs to: after its `;`, or after the braces that it has.
    fn end_of_item(&self, at: usize) -> usize {
        let mut level = 0_i32;
        for place in at..self.tokens.len() {
            match self.tokens[place].0 {
                Token::Mark('{' | '(' | '[') => level += 1,
                Token::Mark('}') if level == 1 => return place + 1,
                Token::Mark('}' | ')' | ']') => level -= 1,
                Token::Mark(';') if level == 0 => return place + 1,
                _ => {}
            }
        }
        self.tokens.len()
    }

    /// The innermost module that is open.
    fn module(&mut self) -> &mut Module {
        let index = self.open.iter().rev().find_map(|block| match block {
            Block::Module(index) => Some(*index),
            _ => None,
        });
        &mut self.modules[index.unwrap_or_default()]
    }

    /// Whether only modules are open, so that an item is here.
    fn is_outermost(&self) -> bool {
        self.open.iter().all(|block| matches!(block, Block::Module(_)))
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).map(|(token, _)| token)
    }

    fn is(&self, at: usize, mark: char) -> bool {
        self.token(at) == Some(&Token::Mark(mark))
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        matches!(self.token(at), Some(Token::Word(found)) if found == word)
    }

    /// The word at `at`; empty when there is none.
    fn text(&self, at: usize) -> String {
        match self.token(at) {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        }
    }
}
