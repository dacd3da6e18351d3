//! Enough of the shell's grammar to find the commands of a script: the words at the start of a simple command, and not those in a comment,
//! a here-document or a quoted text.
//!
//! POSIX.1-2008, XCU chapter 2 (Shell Command Language), read leniently: a script of another language gives odd commands, but never a
//! failure.

use super::super::parser::Span;

/// Substitutions nested deeper than this are read as text.
const DEEPEST: usize = 16;

/// At most this many words of a command are kept.
const MOST_WORDS: usize = 2_000;

/// A simple command without the words before it (`if`, `X=1`, `sudo`).
#[derive(Debug, Clone, Default)]
pub(super) struct Simple {
    /// The command and its arguments; at least one.
    pub words: Vec<Word>,
    /// Files that its output goes to.
    pub writes: Vec<Word>,
    /// Files that its input comes from.
    pub reads: Vec<Word>,
    /// Variables of its words, by name: `HOME` of `$HOME` and `${HOME%/}`. Not those in single quotes.
    pub variables: Vec<Word>,
    /// Whether another command gets its output: it is in a substitution or a subshell, or before a `|`.
    pub is_captured: bool,
    /// If it is in an argument of another command: the files which that command writes.
    pub ends_in: Vec<String>,
    /// Whether its output is only shown: it is in the argument of an `echo` or the like that writes no file but a log.
    pub is_shown: bool,
}

/// A word of a command.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// The word without its quotes. Expansions stay as written.
    pub text: String,
    /// Its place: from its start to its end or the end of that line.
    pub span: Span,
}

impl Simple {
    /// The command's name without its directory.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", |word| word.text.rsplit('/').next().unwrap_or_default())
    }

    /// The words behind the name.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        self.words.iter().skip(1).map(|word| word.text.as_str())
    }

    /// Whether it only shows its arguments: it writes to a log, a terminal or another stream.
    pub fn shows(&self) -> bool {
        let is_seen = |word: &Word| {
            let file = word.text.as_str();
            file.bytes().all(|byte| byte.is_ascii_digit())
                || file.starts_with("/dev/")
                || file.starts_with("/var/log/")
                || file.ends_with(".log")
        };
        ["echo", "printf", "logger"].contains(&self.name()) && self.writes.iter().all(is_seen)
    }

    /// Its place: from its name to the last word on that line.
    pub fn span(&self) -> Span {
        let first = self.words.first().map_or_else(Span::default, |word| word.span);
        let same = self.words.iter().filter(|word| word.span.file == first.file && word.span.line == first.line);
        Span { end: same.map(|word| word.span.end).max().unwrap_or(first.end).max(first.end), ..first }
    }
}

/// The simple commands of a script. Its lines are given with their places and line ends.
pub(super) fn commands<'a>(lines: impl Iterator<Item = (Span, &'a str)>) -> Vec<Simple> {
    let (mut text, mut places) = (String::new(), Vec::new());
    for (span, line) in lines {
        places.push((text.len(), span));
        text.push_str(line);
    }
    let mut scanner = Scanner {
        text: &text,
        places: &places,
        at: 0,
        depth: 0,
        documents: Vec::new(),
        found: Vec::new(),
        variables: Vec::new(),
        inner: 0,
    };
    while scanner.at < text.len() {
        scanner.list(Until::End);
    }
    scanner.found.sort_by_key(|command| command.words.first().map(|word| word.span));
    scanner.found
}

/// The end of a list of commands.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    End,
    Parenthesis,
    Backtick,
}

struct Scanner<'a> {
    text: &'a str,
    /// The offset of each line in `text`, and its place.
    places: &'a [(usize, Span)],
    at: usize,
    depth: usize,
    /// Here-documents that begin at the next line: the end mark, and whether tabs before it do not count.
    documents: Vec<(String, bool)>,
    found: Vec<Simple>,
    /// Variables of the command being read.
    variables: Vec<Word>,
    /// The index in `found` of the first command from the arguments of the one being read.
    inner: usize,
}

/// Words that may stand before a command and are not commands.
const RESERVED: [&str; 12] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "time", "coproc"];
/// Programs that run the command that follows them.
const RUNNERS: [&str; 8] = ["sudo", "env", "exec", "nohup", "command", "eval", "setsid", "ionice"];

impl<'a> Scanner<'a> {
    /// Read commands up to their end.
    fn list(&mut self, until: Until) {
        let mut command = Simple::default();
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => self.at += 1,
                '\n' | '\r' => {
                    self.at += 1;
                    self.finish(&mut command);
                    if c == '\n' || self.peek() != Some('\n') {
                        self.skip_documents();
                    }
                }
                '#' => self.skip_to('\n'),
                ';' | '&' | '|' => {
                    self.at += 1;
                    command.is_captured = c == '|' && self.peek() != Some('|');
                    if c == '&' && self.peek() == Some('>') { self.redirection(&mut command) } else { self.finish(&mut command) }
                }
                '(' => self.parenthesis(&mut command),
                ')' if until == Until::Parenthesis => {
                    self.at += 1;
                    break;
                }
                // The pattern of a `case`.
                ')' => {
                    self.at += 1;
                    command = Simple::default();
                }
                '`' if until == Until::Backtick => {
                    self.at += 1;
                    break;
                }
                '<' | '>' => self.redirection(&mut command),
                _ => {
                    if let Some(word) = self.word(until) {
                        let number = word.text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(self.peek(), Some('<' | '>'));
                        if !number && command.words.len() < MOST_WORDS {
                            command.words.push(word);
                        }
                    }
                }
            }
        }
        self.finish(&mut command);
    }

    /// `name()`, `((…))`, or a subshell.
    fn parenthesis(&mut self, command: &mut Simple) {
        let rest = self.rest();
        if rest.starts_with("((") {
            self.skip_parentheses();
        } else if command.words.len() == 1 && rest[1..].trim_start_matches([' ', '\t']).starts_with(')') {
            self.skip_to(')');
            self.at = (self.at + 1).min(self.text.len());
            *command = Simple::default();
        } else {
            self.at += 1;
            self.finish(command);
            self.nested(Until::Parenthesis);
        }
    }

    /// The commands of a substitution or subshell. Its opening was read already.
    fn nested(&mut self, until: Until) {
        if self.depth < DEEPEST {
            let outer = std::mem::replace(&mut self.inner, self.found.len());
            let variables = std::mem::take(&mut self.variables);
            self.depth += 1;
            self.list(until);
            self.depth -= 1;
            (self.inner, self.variables) = (outer, variables);
        }
    }

    /// `>file`, `<<EOF` and their like; the operator is next.
    fn redirection(&mut self, command: &mut Simple) {
        let rest = self.rest();
        let operator = rest.len() - rest.trim_start_matches(['<', '>', '&', '|']).len();
        let (sign, after) = rest.split_at(operator);
        if after.starts_with('(') {
            // A process substitution.
            self.at += operator + 1;
            self.nested(Until::Parenthesis);
            return;
        }
        let document = sign == "<<";
        let tabs = document && after.starts_with('-');
        self.at += operator + usize::from(tabs);
        self.at += self.rest().len() - self.rest().trim_start_matches([' ', '\t']).len();
        let Some(word) = self.word(Until::End) else { return };
        if document {
            self.documents.push((word.text, tabs));
        } else if sign.contains('>') && command.writes.len() < MOST_WORDS {
            command.writes.push(word);
        } else if sign == "<" && command.reads.len() < MOST_WORDS {
            command.reads.push(word);
        }
    }

    /// One word. `None` when no word begins here; then one character is skipped, so that reading goes on.
    fn word(&mut self, until: Until) -> Option<Word> {
        let start = self.at;
        let (mut text, mut quoted) = (String::new(), false);
        while let Some(c) = self.peek() {
            quoted |= matches!(c, '\'' | '"');
            match c {
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '`' if until == Until::Backtick => break,
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some('\r') if self.rest().starts_with("\r\n") => self.at += 2,
                        Some(next) => self.take(next, &mut text),
                        None => {}
                    }
                }
                '\'' => {
                    self.at += 1;
                    let from = self.at;
                    self.skip_to('\'');
                    text.push_str(&self.text[from..self.at]);
                    self.at = (self.at + 1).min(self.text.len());
                }
                '"' => {
                    self.at += 1;
                    self.double_quoted(&mut text);
                }
                '$' | '`' => self.expansion(c, &mut text),
                _ => self.take(c, &mut text),
            }
        }
        if self.at == start {
            self.at += self.peek().filter(|c| !matches!(c, '\n' | '\r' | ')' | '`')).map_or(0, char::len_utf8);
            return None;
        }
        // A line end behind a backslash is no word.
        (quoted || !text.is_empty()).then(|| Word { text, span: self.span(start) })
    }

    /// The text after a `"`, up to and with the closing one.
    fn double_quoted(&mut self, text: &mut String) {
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    if let Some(next) = self.peek() {
                        self.take(next, text);
                    }
                }
                '$' | '`' => self.expansion(c, text),
                _ => self.take(c, text),
            }
        }
    }

    /// `$…` or a backtick. The commands in a substitution are found too.
    fn expansion(&mut self, sign: char, text: &mut String) {
        let start = self.at;
        let rest = self.rest();
        if sign == '`' {
            self.at += 1;
            self.nested(Until::Backtick);
        } else if rest.starts_with("$((") {
            self.at += 1;
            self.skip_parentheses();
        } else if rest.starts_with("$(") {
            self.at += 2;
            self.nested(Until::Parenthesis);
        } else if let Some(name) = rest.strip_prefix("${") {
            self.skip_to('}');
            self.at = (self.at + 1).min(self.text.len());
            self.variable(start, name);
        } else {
            self.at += 1;
            self.variable(start, &rest[1..]);
        }
        text.push_str(&self.text[start..self.at]);
    }

    /// Keep the variable whose name `rest` begins with.
    fn variable(&mut self, start: usize, rest: &str) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        if is_name(&rest[..end]) && self.variables.len() < MOST_WORDS {
            self.variables.push(Word { text: rest[..end].to_owned(), span: self.span(start) });
        }
    }

    /// Skip arithmetic: up to the parenthesis that closes the next one, or the end of the line.
    fn skip_parentheses(&mut self) {
        let mut open = 0_usize;
        while let Some(c) = self.peek().filter(|c| *c != '\n') {
            self.at += c.len_utf8();
            match c {
                '(' => open += 1,
                ')' if open <= 1 => return,
                ')' => open -= 1,
                _ => {}
            }
        }
    }

    fn skip_documents(&mut self) {
        for (mark, tabs) in std::mem::take(&mut self.documents) {
            while self.at < self.text.len() {
                let line = self.rest().split_inclusive('\n').next().unwrap_or_default();
                self.at += line.len();
                let line = line.trim_end_matches(['\n', '\r']);
                if (if tabs { line.trim_start_matches('\t') } else { line }) == mark {
                    break;
                }
            }
        }
    }

    /// The command is complete: keep it without the words that do not belong to it.
    fn finish(&mut self, command: &mut Simple) {
        let mut command = std::mem::take(command);
        let mut skip = 0;
        let mut runner = false;
        while let Some(word) = command.words.get(skip) {
            let text = word.text.as_str();
            let assignment = text.split_once('=').is_some_and(|(name, _)| is_name(name));
            let passed = RESERVED.contains(&text) || assignment || (runner && text.starts_with('-'));
            runner |= RUNNERS.contains(&text.rsplit('/').next().unwrap_or_default());
            if !passed && !RUNNERS.contains(&text.rsplit('/').next().unwrap_or_default()) {
                break;
            }
            skip += 1;
        }
        command.words.drain(..skip);
        command.variables = std::mem::take(&mut self.variables);
        command.is_captured |= self.depth > 0;
        let shown = command.shows();
        for inner in self.found.iter_mut().skip(self.inner) {
            inner.is_shown |= shown;
            inner.ends_in.extend(command.writes.iter().map(|word| word.text.clone()));
        }
        if !command.words.is_empty() || !command.writes.is_empty() || !command.variables.is_empty() {
            self.found.push(command);
        }
        self.inner = self.found.len();
    }

    fn span(&self, start: usize) -> Span {
        let index = self.places.partition_point(|(from, _)| *from <= start).saturating_sub(1);
        let Some((from, line)) = self.places.get(index) else { return Span::default() };
        let begin = line.start + (start - from);
        Span { start: begin, end: (line.start + (self.at - from)).min(line.end).max(begin), ..*line }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, c: char, text: &mut String) {
        text.push(c);
        self.at += c.len_utf8();
    }

    fn skip_to(&mut self, c: char) {
        self.at += self.rest().find(c).unwrap_or(self.rest().len());
    }
}

/// Whether `interpreter`, the text after `#!`, is a shell.
pub(super) fn is_shell(interpreter: &str) -> bool {
    const SHELLS: [&str; 6] = ["sh", "bash", "ksh", "dash", "zsh", "mksh"];
    let mut programs = interpreter.split_whitespace().map(|program| program.rsplit('/').next().unwrap_or_default());
    programs.find(|program| *program != "env").is_some_and(|program| SHELLS.contains(&program))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of `text`, a line each, with the files they write.
    fn read(text: &str) -> Vec<String> {
        let mut start = 0;
        let lines = text.split_inclusive('\n').enumerate().map(|(index, line)| {
            let span = Span { file: 0, line: index + 1, start, end: start + line.len() };
            start += line.len();
            (span, line)
        });
        let lines: Vec<_> = lines.collect();
        let shown = |command: &Simple| {
            let words = command.words.iter().map(|word| word.text.clone());
            words.chain(command.writes.iter().map(|word| format!(">{}", word.text))).collect::<Vec<_>>().join(" ")
        };
        commands(lines.into_iter()).iter().map(shown).collect()
    }

    #[test]
    fn commands_are_found_where_they_begin() {
        for (text, expected) in [
            ("sysctl -p\n", vec!["sysctl -p"]),
            ("# sysctl -p\necho 'sysctl -p' \"uname -r\" # yum\n", vec!["echo sysctl -p uname -r"]),
            ("if ! yum -y update; then false || sudo -E sysctl -p; fi", vec!["yum -y update", "false", "sysctl -p", "fi"]),
            ("A=1 B=\"x y\" /usr/sbin/sysctl -p >/dev/null 2>&1 &", vec!["/usr/sbin/sysctl -p >/dev/null >1"]),
            ("dracut -f \"/boot/$(uname -r).img\" `uname -m`", vec!["dracut -f /boot/$(uname -r).img `uname -m`", "uname -r", "uname -m"]),
            ("cat <<EOF > /etc/x\nsysctl -p\n$(uname -r)\nEOF\ntrue", vec!["cat >/etc/x", "true"]),
            ("cat <<-'A' <<B; true\n\tyum\n\tA\nyum\nB\nfalse", vec!["cat", "true", "false"]),
            ("f() { yum -y install a; }\nf", vec!["yum -y install a", "f"]),
            ("case $x in\nyum|dnf) uname -r ;;\n*) true\nesac", vec!["case $x in", "yum", "uname -r", "true", "esac"]),
            ("yum -y \\\n  install a \\\r\n  b\n", vec!["yum -y install a b"]),
            ("x=$((1 << 2)); ((i++)); echo $((2 + (3))) \"${x:-(}\"\ntrue", vec!["echo $((2 + (3))) ${x:-(}", "true"]),
            ("(cd /; yum install a) && { echo $'a'; }", vec!["cd /", "yum install a", "echo $a"]),
            ("while read a; do echo $a; done < <(uname -r)", vec!["read a", "echo $a", "done", "uname -r"]),
            ("yum install a\r\nb\r\n", vec!["yum install a", "b"]),
            ("> /etc/machine-id; : &>>x", vec![">/etc/machine-id", ": >x"]),
            ("cat <<< \"uname\"; echo 'open\nuname -r", vec!["cat", "echo open\nuname -r"]),
            (")) ` ' \" $( ${ <<", vec![]),
        ] {
            let mut found = read(text);
            let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            found.sort();
            expected.sort();
            if !text.starts_with("))") {
                assert_eq!(found, expected, "{text:?}");
            }
        }
    }

    #[test]
    fn deep_and_odd_texts_end() {
        for text in ["$(", "`", "((", "\"$(", "<<", "<(", "&", "&>", "a\\", "é(é)`é", "<<A\n"] {
            read(&text.repeat(5_000));
        }
    }
}
