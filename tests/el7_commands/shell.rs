//! Enough of the shell's grammar to find every command of a script, with its words: POSIX.1-2008, XCU chapter 2 (Shell Command Language).
//!
//! It does less than a shell: the choices of `case` and `for` are not followed, and bodies of here-documents are skipped.

use std::collections::{HashMap, HashSet};

/// The character in a word where the shell would insert a value.
pub const VALUE: char = '\u{fffc}';

/// A command and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The line it begins on, from 1.
    pub line: usize,
    /// Its name and its arguments, without quotes; each expansion is a [`VALUE`].
    pub words: Vec<String>,
}

/// The calls and definitions of a script.
#[derive(Debug, Default)]
pub struct Script {
    /// Every command, also those of substitutions and those that another command runs.
    pub calls: Vec<Call>,
    /// Names of functions.
    pub functions: HashSet<String>,
    /// Names that `command -v` asks for.
    pub asked: HashSet<String>,
}

/// Read a script.
pub fn read(text: &str) -> Script {
    let mut reader = Reader { text: text.chars().collect(), at: 0, line: 1, ..Reader::default() };
    while reader.at < reader.text.len() {
        reader.list(None);
    }
    let mut script = Script { functions: reader.functions, ..Script::default() };
    for call in reader.calls {
        expand(&call, &reader.loops, &mut script);
    }
    script.calls.sort_by_key(|call| call.line);
    script
}

/// Add `call` and the command that it runs. If the command is a loop's variable, add a call for each value.
fn expand(call: &Call, loops: &HashMap<String, Vec<String>>, script: &mut Script) {
    let name = &call.words[0];
    if let Some(values) = name.strip_prefix(VALUE).and_then(|variable| loops.get(variable)) {
        for value in values {
            let words = [std::slice::from_ref(value), &call.words[1..]].concat();
            expand(&Call { words, ..call.clone() }, loops, script);
        }
        return;
    }
    if let Some(asked) = asks(call) {
        for word in asked {
            let values = word.strip_prefix(VALUE).and_then(|variable| loops.get(variable));
            script.asked.extend(values.cloned().unwrap_or_else(|| vec![word.clone()]));
        }
    }
    let inner = runs(call);
    if !inner.is_empty() {
        expand(&Call { line: call.line, words: inner.to_vec() }, loops, script);
    }
    if let Some(text) = interprets(call) {
        let inner = read(text);
        script.calls.extend(inner.calls.into_iter().map(|inner| Call { line: call.line, ..inner }));
        script.asked.extend(inner.asked);
    }
    script.calls.push(call.clone());
}

/// The names that a `command -v` asks for.
fn asks(call: &Call) -> Option<&[String]> {
    (call.words[0] == "command" && matches!(call.words.get(1).map(String::as_str), Some("-v" | "-V"))).then(|| &call.words[2..])
}

/// The command that a command runs, if it runs one.
fn runs(call: &Call) -> &[String] {
    let (name, arguments) = (call.words[0].as_str(), &call.words[1..]);
    let operands = || arguments.iter().position(|word| !word.starts_with('-')).map_or(&[][..], |at| &arguments[at..]);
    match name {
        "command" if asks(call).is_some() => &[],
        "exec" | "command" | "nohup" | "env" | "xargs" => operands(),
        "chroot" | "timeout" => operands().get(1..).unwrap_or_default(),
        "find" => {
            let begins = arguments.iter().position(|word| matches!(word.as_str(), "-exec" | "-execdir" | "-ok"));
            let rest = begins.map_or(&[][..], |at| &arguments[at + 1..]);
            &rest[..rest.iter().position(|word| matches!(word.as_str(), ";" | "+")).unwrap_or(rest.len())]
        }
        _ => &[],
    }
}

/// The text that a command reads as a script.
fn interprets(call: &Call) -> Option<&str> {
    let argument = |index: usize| call.words.get(index).map(String::as_str);
    let text = match (call.words[0].rsplit('/').next()?, argument(1)?) {
        ("sh" | "bash" | "dash", "-c") => argument(2)?,
        ("eval" | "trap", text) => text,
        _ => return None,
    };
    Some(text).filter(|text| !text.starts_with(VALUE))
}

#[derive(Default)]
struct Reader {
    text: Vec<char>,
    at: usize,
    line: usize,
    calls: Vec<Call>,
    functions: HashSet<String>,
    /// The variables of loops, with their words.
    loops: HashMap<String, Vec<String>>,
    /// End marks of the here-documents that begin on the next line.
    documents: Vec<String>,
    /// Whether the text is between back quotes. A back quote ends a word then.
    ticked: bool,
}

/// Words that may come before a command and are not commands.
const BEFORE: [&str; 12] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "in", "function"];
/// Words that end a compound command.
const AFTER: [&str; 4] = ["fi", "done", "esac", "}"];

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let found = wanted.chars().enumerate().all(|(offset, c)| self.text.get(self.at + offset) == Some(&c));
        self.at += if found { wanted.chars().count() } else { 0 };
        found
    }

    /// Read commands up to `end`, which is consumed.
    fn list(&mut self, end: Option<char>) {
        let mut words: Vec<String> = Vec::new();
        let mut begun = self.line;
        // For each `case` that is open, whether a pattern comes next.
        let mut cases: Vec<bool> = Vec::new();
        while let Some(c) = self.peek() {
            if words.is_empty() {
                begun = self.line;
            }
            match c {
                ')' if cases.last() == Some(&true) => {
                    self.at += 1;
                    words.clear();
                    cases.pop();
                    cases.push(false);
                }
                c if Some(c) == end => {
                    self.at += 1;
                    break;
                }
                ' ' | '\t' | '\r' => self.at += 1,
                '\\' if self.text.get(self.at + 1) == Some(&'\n') => {
                    self.bump();
                    self.bump();
                }
                '#' => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                '\n' => {
                    self.bump();
                    self.finish(&mut words, begun);
                    self.skip_documents();
                }
                ';' | '&' | '|' => {
                    if self.eat("&>") {
                        self.target();
                        continue;
                    }
                    // The alternatives of a pattern.
                    if c == '|' && cases.last() == Some(&true) {
                        self.at += 1;
                        continue;
                    }
                    self.finish(&mut words, begun);
                    if self.eat(";;") {
                        if let Some(pattern) = cases.last_mut() {
                            *pattern = true;
                        }
                    } else {
                        self.at += 1;
                    }
                }
                '(' if cases.last() == Some(&true) => self.at += 1,
                '(' => self.parenthesis(&mut words),
                '<' | '>' => self.redirection(),
                _ => {
                    let word = self.word();
                    // The number of a file descriptor.
                    if matches!(self.peek(), Some('<' | '>')) && word.bytes().all(|b| b.is_ascii_digit()) {
                        self.redirection();
                        continue;
                    }
                    if word == "esac" && words.is_empty() {
                        cases.pop();
                    }
                    words.push(word);
                    if words.len() == 3 && words[0] == "case" && words[2] == "in" {
                        words.clear();
                        cases.push(true);
                    }
                }
            }
        }
        self.finish(&mut words, begun);
    }

    /// A command has ended: remove the words that do not belong to it, and keep it.
    fn finish(&mut self, words: &mut Vec<String>, line: usize) {
        let mut words = std::mem::take(words);
        loop {
            let Some(first) = words.first() else { return };
            if first == "for" {
                let values = words.iter().skip_while(|word| *word != "in").skip(1).cloned().collect();
                self.loops.insert(words.get(1).cloned().unwrap_or_default(), values);
                return;
            }
            let assigns = first.split_once('=').is_some_and(|(name, _)| {
                let name = name.trim_end_matches('+');
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.as_bytes()[0].is_ascii_digit()
            });
            if !assigns && !BEFORE.contains(&first.as_str()) && !AFTER.contains(&first.as_str()) {
                break;
            }
            words.remove(0);
        }
        self.calls.push(Call { line, words });
    }

    fn parenthesis(&mut self, words: &mut Vec<String>) {
        if self.eat("((") {
            self.until("))");
            words.clear();
        } else if words.len() == 1 && self.text.get(self.at + 1) == Some(&')') {
            self.at += 2;
            self.functions.insert(words.remove(0));
        } else {
            let line = self.line;
            self.at += 1;
            self.finish(words, line);
            self.list(Some(')'));
        }
    }

    fn redirection(&mut self) {
        if self.eat("<<<") || self.eat("<&") || self.eat(">&") || self.eat(">>") || self.eat(">|") || self.eat("<>") {
            self.target();
        } else if self.eat("<<") {
            self.eat("-");
            let end = self.target();
            self.documents.push(end);
        } else {
            self.at += 1;
            if self.peek() == Some('(') {
                self.at += 1;
                self.list(Some(')'));
            } else {
                self.target();
            }
        }
    }

    /// The word behind a redirection.
    fn target(&mut self) -> String {
        while matches!(self.peek(), Some(' ' | '\t')) {
            self.at += 1;
        }
        self.word()
    }

    fn skip_documents(&mut self) {
        for end in std::mem::take(&mut self.documents) {
            while self.at < self.text.len() {
                let mut line = String::new();
                while let Some(c) = self.bump().filter(|c| *c != '\n') {
                    line.push(c);
                }
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
    }

    fn until(&mut self, end: &str) {
        while self.at < self.text.len() && !self.eat(end) {
            match self.peek() {
                Some('$') => drop(self.dollar()),
                _ => drop(self.bump()),
            }
        }
    }

    /// A word, without its quotes.
    fn word(&mut self) -> String {
        let mut word = String::new();
        let begun = self.at;
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '<' | '>' | ')' => break,
                '(' => break,
                '\\' => {
                    self.at += 1;
                    word.extend(self.bump().filter(|c| *c != '\n'));
                }
                '\'' => {
                    self.at += 1;
                    while let Some(c) = self.bump().filter(|c| *c != '\'') {
                        word.push(c);
                    }
                }
                '"' => self.quoted(&mut word),
                '$' => word += &self.dollar(),
                '`' if self.ticked => break,
                '`' => self.ticks(&mut word),
                c => {
                    self.bump();
                    word.push(c);
                }
            }
        }
        if self.at == begun {
            // No word can hold this character. It is skipped, because the loop would never end otherwise.
            self.bump();
        }
        word
    }

    /// A substitution in back quotes. Nested ones are not supported.
    fn ticks(&mut self, word: &mut String) {
        self.at += 1;
        self.ticked = true;
        self.list(Some('`'));
        self.ticked = false;
        word.push(VALUE);
    }

    fn quoted(&mut self, word: &mut String) {
        self.at += 1;
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    word.extend(self.bump().filter(|c| *c != '\n'));
                }
                '$' => *word += &self.dollar(),
                '`' => self.ticks(word),
                _ => word.extend(self.bump()),
            }
        }
    }

    /// An expansion. A plain variable keeps its name behind the [`VALUE`].
    fn dollar(&mut self) -> String {
        if self.eat("$((") {
            self.until("))");
        } else if self.eat("$(") {
            self.list(Some(')'));
        } else if self.eat("${") {
            let mut depth = 1;
            while depth > 0 {
                match self.peek() {
                    None => break,
                    Some('$') => drop(self.dollar()),
                    Some(c) => {
                        depth += i32::from(c == '{') - i32::from(c == '}');
                        self.bump();
                    }
                }
            }
        } else {
            self.at += 1;
            let name: String = self.text[self.at..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').collect();
            self.at += name.len();
            if name.is_empty() && self.peek().is_some_and(|c| "@*#?-$!".contains(c)) {
                self.at += 1;
            }
            return format!("{VALUE}{name}");
        }
        VALUE.to_string()
    }
}

#[test]
fn every_command_is_found_wherever_it_stands() {
    for (text, expected) in [
        ("a -x 'b c' \"d $e\"", "a|-x|b c|d \u{fffc}e"),
        ("X=1 a; b && c || d | e & f", "a/b/c/d/e/f"),
        ("x=$(a $(b))y; \"$(c)\"`d`", "a|\u{fffc}/b/c/d/\u{fffc}\u{fffc}"),
        ("if a; then b; elif ! c; then d; else e; fi > f", "a/b/c/d/e"),
        ("for x in 1 2; do a \"$x\"; done < b 2>&1", "a|\u{fffc}x"),
        ("case $x in a | b) c ;; *) d;; esac; e", "c/d/e"),
        ("x=$(case y in (a) b ;; esac)", "b"),
        ("f() { a; }; f 2> b", "a/f"),
        ("(a; b) > c", "a/b"),
        ("a <<'END' | b\nc\nEND\nd", "a/b/d"),
        ("a <<-E\n\tc\n\tE\nd", "a/d"),
        ("a # b\n# c\nd$((1 + $(e))) $f", "a/d\u{fffc}|\u{fffc}f/e"),
        ("a \\\n b", "a|b"),
        ("[ -e x ] || exit 1", "[|-e|x|]/exit|1"),
        ("exec a -b; chroot \"$x\" c -d", "a|-b/c|-d/chroot|\u{fffc}x|c|-d/exec|a|-b"),
        (
            "find x -exec sh -c 'for y; do : > \"$y\"; a -b; done' - {} +",
            ":/a|-b/find|x|-exec|sh|-c|for y; do : > \"$y\"; a -b; done|-|{}|+/sh|-c|for y; do : > \"$y\"; a -b; done|-|{}",
        ),
        ("for s in a b; do if command -v $s > x; then $s -y; fi; done", "a|-y/b|-y/command|-v|\u{fffc}s"),
        ("while read -r a b <&3; do c; done", "c/read|-r|a|b"),
        ("a ${b:-$(c)} ${d#}} e", "a|\u{fffc}|\u{fffc}}|e/c"),
    ] {
        let mut found: Vec<_> = read(text).calls.iter().map(|call| call.words.join("|")).collect();
        found.sort_unstable();
        let mut expected: Vec<_> = expected.split('/').map(str::to_owned).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{text}");
    }
    let script = read("f() { :; }\ncommand -v nft\nfor s in a b; do command -v \"$s\"; done");
    assert!(script.functions.contains("f") && ["nft", "a", "b"].iter().all(|name| script.asked.contains(*name)));
    assert_eq!(read("a\n\nb 'x\ny'\nc").calls.iter().map(|call| call.line).collect::<Vec<_>>(), [1, 3, 5]);
}
