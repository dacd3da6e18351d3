//! GRUB's menu: a configuration is evaluated as GRUB would on a plain boot. `grubenv` is loaded, `if` is decided, the default is looked up by
//! number, title or id.

mod script;

use std::collections::BTreeMap;

use self::script::{Statement, Word};
use super::BootEntry;

/// The default entry of a configuration, with paths as GRUB sees them. `environment` is the text of `grubenv`.
///
/// # Errors
/// A sentence that says what is not understood.
pub(super) fn default_entry(config: &str, environment: &str) -> Result<BootEntry, String> {
    let statements = script::parse(config)?;
    // What GRUB 2.06 sets before it reads the file, as far as grub-mkconfig asks.
    let mut variables: BTreeMap<String, String> = [
        ("feature_menuentry_id", "y"),
        ("feature_default_font_path", "y"),
        ("feature_platform_search_hint", "y"),
        ("feature_timeout_style", "y"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    variables.extend([("grub_platform", "pc"), ("grub_cpu", "i386")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    let mut menu = Evaluator { variables, environment: parse_environment(environment), entries: Vec::new(), commands: Vec::new() };
    menu.run(&statements);
    if menu.entries.is_empty() {
        return Err(match menu.commands.iter().find(|words| words.first().is_some_and(|word| word == "blscfg" || word == "configfile")) {
            Some(words) => format!("its menu is elsewhere (`{}`), which is not followed", words.join(" ")),
            None => "it has no menu entry".to_owned(),
        });
    }
    let default = menu.variables.get("default").cloned().unwrap_or_default();
    menu.boot(&default, 0)
}

fn parse_environment(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A menu entry or submenu, not yet run.
struct MenuEntry {
    title: String,
    id: String,
    is_submenu: bool,
    body: Vec<Statement>,
}

/// GRUB's state while it reads a file.
struct Evaluator {
    variables: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    entries: Vec<MenuEntry>,
    /// Every other command that was reached, expanded.
    commands: Vec<Vec<String>>,
}

impl Evaluator {
    fn run(&mut self, statements: &[Statement]) {
        for statement in statements {
            match statement {
                Statement::Command(words) => self.command(words),
                Statement::Block(words, body) => self.entry(words, body),
                Statement::If(branches) => {
                    if let Some((_, body)) = branches.iter().find(|(condition, _)| self.holds(condition)) {
                        self.run(body);
                    }
                }
            }
        }
    }

    fn command(&mut self, words: &[Word]) {
        let words = Word::expand_all(words, &self.variables);
        let assignment = match &words[..] {
            [command, assignment] if command == "set" => Some(assignment),
            [assignment] => Some(assignment),
            _ => None,
        };
        if let Some((name, value)) = assignment.and_then(|assignment| assignment.split_once('=')) {
            self.variables.insert(name.to_owned(), value.to_owned());
        } else if words.first().is_some_and(|command| command == "load_env") {
            self.variables.extend(self.environment.clone());
        } else {
            self.commands.push(words);
        }
    }

    /// `menuentry TITLE [--class X] [--users X] [--hotkey X] [--id ID] [--unrestricted] {`
    fn entry(&mut self, words: &[Word], body: &[Statement]) {
        let words = Word::expand_all(words, &self.variables);
        let (mut title, mut id) = (None, None);
        let mut rest = words.iter().skip(1);
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--id" => id = rest.next(),
                "--class" | "--users" | "--hotkey" | "--source" => {
                    rest.next();
                }
                option if option.starts_with("--") => {}
                _ => title = title.or(Some(word)),
            }
        }
        let title = title.cloned().unwrap_or_default();
        let id = id.cloned().unwrap_or_else(|| title.clone());
        let is_submenu = words.first().is_some_and(|word| word == "submenu");
        self.entries.push(MenuEntry { title, id, is_submenu, body: body.to_vec() });
    }

    /// Whether the last command of a condition succeeds. Of commands, only tests are known; no condition at all is an `else`.
    fn holds(&self, condition: &[Statement]) -> bool {
        match condition.last() {
            None => true,
            Some(Statement::Command(words)) => {
                let words: Vec<_> = words.iter().map(|word| word.expand(&self.variables)).collect();
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                match &words[..] {
                    ["[", inside @ .., "]"] | ["test", inside @ ..] => self.test(inside),
                    ["true"] => true,
                    _ => false,
                }
            }
            Some(_) => false,
        }
    }

    fn test(&self, words: &[&str]) -> bool {
        match words {
            ["!", rest @ ..] => !self.test(rest),
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            // The only file a menu asks for is its environment block.
            ["-s" | "-e" | "-f", path] => path.ends_with("/grubenv") && !self.environment.is_empty(),
            _ => false,
        }
    }

    /// Choose by `default` and run the entry. In `A>B`, B chooses in the submenu A; `>>` is a `>` of a title.
    fn boot(mut self, default: &str, depth: usize) -> Result<BootEntry, String> {
        let (first, rest) = split_default(default);
        let by_number = first.parse().ok().filter(|index| *index < self.entries.len());
        let by_name = || self.entries.iter().position(|entry| entry.id == first || entry.title == first);
        // What is not found is the first entry, as in GRUB.
        let index = by_number.or_else(by_name).unwrap_or(0);
        if index >= self.entries.len() || depth > 8 {
            return Err(format!("its default `{default}` leads to no menu entry"));
        }
        let chosen = self.entries.swap_remove(index);
        self.entries.clear();
        self.commands.clear();
        self.run(&chosen.body);
        if chosen.is_submenu {
            return self.boot(&rest, depth + 1);
        }
        let find =
            |names: &[&str]| self.commands.iter().rev().find(|words| words.first().is_some_and(|word| names.contains(&word.as_str())));
        let title = &chosen.title;
        let linux = find(&["linux", "linux16", "linuxefi"]).ok_or_else(|| format!("its default `{title}` starts no Linux"))?;
        let initrd = find(&["initrd", "initrd16", "initrdefi"]).ok_or_else(|| format!("its default `{title}` has no initrd"))?;
        let (Some(kernel), Some(initrd)) = (linux.get(1), initrd[1..].last()) else {
            return Err(format!("its default `{title}` names no kernel or initrd"));
        };
        Ok(BootEntry { kernel: kernel.clone(), initrd: initrd.clone(), arguments: linux[2..].join(" "), title: chosen.title })
    }
}

fn split_default(default: &str) -> (String, String) {
    let mut at = 0;
    while let Some(found) = default[at..].find('>') {
        let place = at + found;
        if !default[place + 1..].starts_with('>') {
            return (default[..place].replace(">>", ">"), default[place + 1..].to_owned());
        }
        at = place + 2;
    }
    (default.replace(">>", ">"), String::new())
}

#[cfg(test)]
mod tests;
