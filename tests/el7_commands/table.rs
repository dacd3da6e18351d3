//! Reads `tests/rehearsal/el7-commands.toml`, and checks calls by it.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;

use super::shell::{Call, Script, VALUE};

/// The table. The comment at its head explains each part.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    package: BTreeMap<String, Package>,
    elsewhere: BTreeMap<String, String>,
    later: BTreeMap<String, String>,
    constructs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    version: String,
    source: String,
    #[serde(default = "yes")]
    core: bool,
    because: Option<String>,
    commands: BTreeMap<String, String>,
    #[serde(default)]
    words: BTreeMap<String, Words>,
    #[serde(default)]
    status: BTreeMap<String, u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    first: Option<Vec<String>>,
    every: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// The options of a command.
struct Options<'a> {
    short: &'a str,
    /// Long options and predicates, with their dashes and with the mark for an argument.
    named: Vec<&'a str>,
}

impl Table {
    /// Read the table.
    pub fn load() -> Self {
        let table: Self = toml::from_str(include_str!("../rehearsal/el7-commands.toml")).unwrap();
        for (name, package) in &table.package {
            assert!(!package.version.is_empty() && !package.source.is_empty(), "{name} says not what was read");
            let keys = package.words.keys().chain(package.status.keys());
            let has = |key: &str| package.commands.keys().any(|command| command.split(' ').next() == Some(key));
            assert!(keys.into_iter().all(|key| has(key)), "{name} has words or a status of no command");
        }
        table
    }

    /// Whether `name` is a command in the table, and not only a word of the shell.
    pub fn knows(&self, name: &str) -> bool {
        self.elsewhere.contains_key(name) || self.find(name, None).is_some()
    }

    fn find(&self, name: &str, argument: Option<&str>) -> Option<(&str, &Package, String)> {
        let key = match name {
            "[" | "[[" => "test".to_owned(),
            name => name.rsplit('/').next().unwrap_or_default().to_owned(),
        };
        let sub = argument.map(|argument| format!("{key} {argument}"));
        let found = |key: &str| self.package.iter().find(|(_, package)| package.commands.contains_key(key));
        let (key, (package, entry)) =
            sub.and_then(|sub| Some((sub.clone(), found(&sub)?))).or_else(|| Some((key.clone(), found(&key)?)))?;
        Some((package, entry, key))
    }

    /// The calls in `script` that EL7 would refuse, with their lines. `functions` are those of all scripts in the same directory.
    pub fn judge(&self, script: &Script, functions: &HashSet<String>) -> Vec<(usize, String)> {
        let own = |call: &&Call| !functions.contains(&call.words[0]);
        let shells = ["sh", "bash"];
        let calls = script.calls.iter().filter(own).filter(|call| !shells.contains(&call.words[0].rsplit('/').next().unwrap_or_default()));
        calls.filter_map(|call| self.call(call, script).err().map(|why| (call.line, why))).collect()
    }

    /// Constructs of the shell that its version lacks.
    pub fn constructs<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        self.constructs
            .iter()
            .filter(|(construct, _)| text.contains(construct.as_str()))
            .map(|(construct, since)| format!("`{construct}` came with {since}"))
    }

    fn call(&self, call: &Call, script: &Script) -> Result<(), String> {
        let name = &call.words[0];
        // A script beside this one, a program of the runner's payload, a variable or a path of a task is not a command of the system.
        if name.starts_with("./") || name.starts_with("/run/goldsmith/") || name.starts_with(VALUE) {
            return Ok(());
        }
        if let Some(whose) = self.elsewhere.get(name) {
            return if script.asked.contains(name) { Ok(()) } else { Err(format!("{name} is {whose}: ask `command -v {name}` first")) };
        }
        let argument = call.words.get(1).map(String::as_str);
        let Some((_, package, key)) = self.find(name, argument) else {
            let subcommands = self.package.values().any(|package| package.commands.keys().any(|key| key.split(' ').next() == Some(name)));
            let what = if subcommands { format!("{name} {}", argument.unwrap_or_default()) } else { name.clone() };
            return Err(match self.later.get(&what) {
                Some(since) => format!("{what} came with {since}"),
                None => format!("{what} is not in the table of EL7's commands"),
            });
        };
        if !package.core && package.because.is_none() && !script.asked.contains(name) {
            return Err(format!("{name} is not in a minimal installation: ask `command -v {name}` first"));
        }
        let behind = 1 + usize::from(key.contains(' '));
        let words = call.words.get(behind..).unwrap_or_default();
        let complain = |option: &str| {
            let base = option.split_once('=').map_or(option, |(base, _)| base);
            let since = [option, base].iter().find_map(|option| self.later.get(&format!("{key} {option}")));
            since.map_or_else(
                || format!("{key} {} does not know `{option}`", package.version),
                |since| format!("{key} {option} came with {since}"),
            )
        };
        let operands = options_of(&package.commands[&key]).read(words).map_err(|option| complain(&option))?;
        self.operands(package, &key, &operands).map_err(|operand| complain(&operand))
    }

    fn operands(&self, package: &Package, key: &str, operands: &[&String]) -> Result<(), String> {
        let Some(words) = package.words.get(key) else { return Ok(()) };
        let literal = operands.iter().filter(|operand| !operand.starts_with(VALUE));
        if let (Some(first), Some(operand)) = (&words.first, operands.first()) {
            return if operand.starts_with(VALUE) || first.contains(operand) { Ok(()) } else { Err((*operand).clone()) };
        }
        let Some(every) = &words.every else { return Ok(()) };
        let known = |operand: &str| every.iter().any(|word| if word.ends_with('=') { operand.starts_with(word) } else { operand == word });
        literal.into_iter().find(|operand| !known(operand)).map_or(Ok(()), |operand| Err((*operand).clone()))
    }
}

fn options_of(text: &str) -> Options<'_> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let short = if words.first().is_some_and(|word| !word.starts_with('-')) { words.remove(0) } else { "" };
    Options { short, named: words }
}

impl Options<'_> {
    /// The operands, or the first option that is not known.
    fn read<'w>(&self, words: &'w [String]) -> Result<Vec<&'w String>, String> {
        let (stops, short) = self.short.strip_prefix('+').map_or((false, self.short), |short| (true, short));
        let predicates = self.named.iter().any(|name| !name.starts_with("--"));
        let mut operands = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word == "--" {
                operands.extend(words);
                break;
            } else if predicates && word.len() > 1 && word.starts_with('-') {
                self.predicate(word, &mut words)?;
            } else if word.starts_with("--") {
                self.long(word, &mut words)?;
            } else if word.len() > 1 && word.starts_with('-') {
                clustered(short, word, &mut words)?;
            } else {
                operands.push(word);
                if stops {
                    operands.extend(words);
                    break;
                }
            }
        }
        Ok(operands)
    }

    fn predicate<'w>(&self, word: &str, words: &mut impl Iterator<Item = &'w String>) -> Result<(), String> {
        if ["-exec", "-execdir", "-ok", "-okdir"].contains(&word) {
            words.find(|word| matches!(word.as_str(), ";" | "+"));
            return Ok(());
        }
        let found = self.named.iter().find(|name| name.trim_end_matches('=') == word).ok_or(word)?;
        if found.ends_with('=') {
            words.next();
        }
        Ok(())
    }

    fn long<'w>(&self, word: &str, words: &mut impl Iterator<Item = &'w String>) -> Result<(), String> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        for known in &self.named {
            let end = known.find(['=', '[']).unwrap_or(known.len());
            if &known[..end] != name {
                continue;
            }
            match (&known[end..], value) {
                ("", Some(_)) => return Err(word.to_owned()),
                ("=", None) => drop(words.next()),
                (form, Some(value)) if form.len() > 3 => {
                    let values = form.trim_start_matches("[=").trim_end_matches(']');
                    if !value.contains(VALUE) && !values.split('|').any(|known| known == value) {
                        return Err(word.to_owned());
                    }
                }
                _ => {}
            }
            return Ok(());
        }
        Err(word.to_owned())
    }
}

/// Short options behind one dash, as getopt(3) reads them.
fn clustered<'w>(short: &str, word: &str, words: &mut impl Iterator<Item = &'w String>) -> Result<(), String> {
    for (at, option) in word.char_indices().skip(1) {
        // A value that the shell inserts is not known, so it is not judged.
        if option == VALUE {
            return Ok(());
        }
        let place = short.find(option).filter(|_| option != ':').ok_or_else(|| format!("-{option}"))?;
        let form = &short[place + option.len_utf8()..];
        if form.starts_with(':') {
            if !form.starts_with("::") && at + option.len_utf8() == word.len() {
                words.next();
            }
            return Ok(());
        }
    }
    Ok(())
}
