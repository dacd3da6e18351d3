//! GRUB's state while it reads a configuration, up to the entry that it boots or the configuration that it goes on with.

use std::collections::BTreeMap;

use super::bls;
use super::files::{ENTRIES, Fault, Files, entries, locate};
use super::script::{self, Statement, Word};
use crate::image::boot::entry::MAX_CONFIG_BYTES;

/// Most bytes that all words and variables together may expand to: a line can double a variable, and sixty such lines fill any memory.
const MAX_EXPANDED_BYTES: usize = 16 << 20;
/// A lookup of a file, and a load of the whole environment, each count as this many of those bytes.
const LOOK_BYTES: usize = 16 << 10;
/// Files that `source` may read.
const MAX_SOURCED: usize = 16;
/// Submenus in each other, and files that read each other.
const MAX_DEPTH: usize = 8;

/// What a configuration ends with.
#[derive(Debug)]
pub(super) enum Next {
    /// An entry.
    Boot(Chosen),
    /// Another configuration, and the variables that it inherits.
    Config(String, Vec<(String, String)>),
}

/// The entry that is booted. Files are named as GRUB sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) title: String,
    pub(super) kernel: String,
    pub(super) initrds: Vec<String>,
    pub(super) arguments: String,
    /// The file that the entry stands in.
    pub(super) configuration: String,
    /// It is an entry of the Boot Loader Specification.
    pub(super) is_bls: bool,
    /// GRUB's `root`: the device of files that are named without a device.
    pub(super) device: Option<String>,
}

/// A menu entry or submenu, not yet run.
struct MenuEntry {
    title: String,
    id: String,
    is_submenu: bool,
    /// The file of a Boot Loader Specification entry.
    file: Option<String>,
    body: Vec<Statement>,
}

/// GRUB's state.
pub(super) struct Evaluator<'a> {
    files: &'a dyn Files,
    path: String,
    variables: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    entries: Vec<MenuEntry>,
    /// The last commands that load a kernel and an initramfs, expanded.
    linux: Option<Vec<String>>,
    initrd: Option<Vec<String>>,
    /// The configuration to go on with: nothing after it is run.
    next: Option<String>,
    /// `blscfg` was reached.
    asked_for_entries: bool,
    sourced: usize,
    /// Bytes that may still be expanded.
    left: usize,
}

impl<'a> Evaluator<'a> {
    /// Before the configuration `path` is read. `environment` is the text of `grubenv`, `carried` what a configuration before set.
    pub(super) fn new(files: &'a dyn Files, path: &str, environment: &str, carried: Vec<(String, String)>) -> Self {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        // What GRUB 2.06 sets before it reads the file, as far as grub-mkconfig asks.
        let known = [
            ("feature_menuentry_id", "y"),
            ("feature_default_font_path", "y"),
            ("feature_platform_search_hint", "y"),
            ("feature_timeout_style", "y"),
            ("grub_platform", "pc"),
            ("grub_cpu", "i386"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let places = ["prefix", "config_directory"].map(|name| (name.to_owned(), format!("(/){dir}")));
        Self {
            files,
            path: path.to_owned(),
            variables: known.into_iter().chain(places).chain(carried).collect(),
            environment: parse_environment(environment),
            entries: Vec::new(),
            linux: None,
            initrd: None,
            next: None,
            asked_for_entries: false,
            sourced: 0,
            left: MAX_EXPANDED_BYTES,
        }
    }

    /// What `config` boots by default.
    pub(super) fn default(mut self, config: &str) -> Result<Next, Fault> {
        self.run(&script::parse(config)?, 0)?;
        if let Some(next) = self.next.take() {
            return self.leave(&next);
        }
        if self.entries.is_empty() {
            let what = if self.asked_for_entries {
                format!("its menu is in boot loader entries (`blscfg`), and {} holds none", ENTRIES)
            } else {
                "it has no menu entry".to_owned()
            };
            return Err(Fault::Said(what));
        }
        let default = self.variables.get("default").cloned().unwrap_or_default();
        self.boot(&default, 0)
    }

    /// Go on with the configuration `name`. It inherits what every configuration exports.
    fn leave(mut self, name: &str) -> Result<Next, Fault> {
        match self.find(name)? {
            Some(path) => {
                let exported = ["prefix", "root"].into_iter().filter_map(|name| Some((name.to_owned(), self.variables.get(name)?.clone())));
                Ok(Next::Config(path, exported.collect()))
            }
            None => Err(Fault::Said(format!("its menu is elsewhere (`configfile {name}`), and the image does not show that file"))),
        }
    }

    fn run(&mut self, statements: &[Statement], depth: usize) -> Result<(), Fault> {
        for statement in statements {
            if self.next.is_some() {
                break;
            }
            match statement {
                Statement::Command(words) => self.command(words, depth)?,
                Statement::Block(words, body) => self.entry(words, body)?,
                Statement::If(branches) => {
                    for (condition, body) in branches {
                        if self.holds(condition)? {
                            self.run(body, depth)?;
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn expand(&mut self, words: &[Word]) -> Result<Vec<String>, Fault> {
        let words = Word::expand_all(words, &self.variables, self.left);
        let bytes = words.iter().map(|word| word.len() + size_of::<String>()).sum();
        self.spend(bytes)?;
        Ok(words)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| "it does more than anything that boots would".to_owned())?;
        Ok(())
    }

    /// Where the file is in the root filesystem that GRUB calls `name`.
    fn find(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.spend(LOOK_BYTES)?;
        Ok(locate(self.files, name, self.variables.get("root").map(String::as_str))?)
    }

    fn command(&mut self, words: &[Word], depth: usize) -> Result<(), Fault> {
        let words = self.expand(words)?;
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        let assignment = match texts[..] {
            ["set", assignment] => Some(assignment),
            [assignment] => Some(assignment),
            _ => None,
        };
        if let Some((name, value)) = assignment.and_then(|assignment| assignment.split_once('=')) {
            self.variables.insert(name.to_owned(), value.to_owned());
            return Ok(());
        }
        match texts[..] {
            ["load_env", ..] => {
                self.spend(LOOK_BYTES)?;
                self.variables.extend(self.environment.clone());
            }
            ["linux" | "linux16" | "linuxefi", ..] => self.linux = Some(words),
            ["initrd" | "initrd16" | "initrdefi", ..] => self.initrd = Some(words),
            ["configfile", file] => self.next = Some(file.to_owned()),
            ["source" | ".", file] => self.source(file, depth)?,
            ["search", ref options @ ..] => self.search(options),
            ["search.fs_uuid", uuid, ref to @ ..] => self.found(self.files.place(Some(uuid), None), to.first()),
            ["search.fs_label", label, ref to @ ..] => self.found(self.files.place(None, Some(label)), to.first()),
            ["blscfg" | "bls_import", ..] => self.boot_loader_entries()?,
            _ => {}
        }
        Ok(())
    }

    /// `search [--no-floppy] [--hint…=X] --fs-uuid|--label [--set[=VARIABLE]] NAME` (GRUB manual 2.06, section 16.3.67). By file is not
    /// decided: the file may be on another disk.
    fn search(&mut self, options: &[&str]) {
        let (mut variable, mut name, mut by_uuid, mut by_label) = (None, None, false, false);
        let mut rest = options.iter();
        while let Some(option) = rest.next() {
            match *option {
                "--fs-uuid" | "-u" => by_uuid = true,
                "--label" | "-l" | "--fs-label" => by_label = true,
                // The variable may follow as a word of its own.
                "--set" | "-s" => variable = rest.next(),
                "--hint" | "-h" => drop(rest.next()),
                option if option.starts_with("--") => {}
                _ => name = Some(option),
            }
        }
        let given = options.iter().find_map(|option| option.strip_prefix("--set="));
        // `--set NAME` alone sets `root`: the word that was taken for a variable is then the name.
        let (variable, name) = match (variable, name) {
            (Some(alone), None) => (None, Some(alone)),
            both => both,
        };
        let Some(name) = name else { return };
        let place = self.files.place(by_uuid.then_some(*name), by_label.then_some(*name));
        self.found(place, given.as_ref().or(variable));
    }

    /// A filesystem was searched for. If it was not found, the variable stays as it was.
    fn found(&mut self, place: Option<String>, variable: Option<&&str>) {
        if let Some(place) = place {
            self.variables.insert(variable.map_or("root", |variable| *variable).to_owned(), place);
        }
    }

    fn source(&mut self, name: &str, depth: usize) -> Result<(), Fault> {
        let Some(path) = self.find(name)? else { return Ok(()) };
        self.sourced += 1;
        if self.sourced > MAX_SOURCED || depth == MAX_DEPTH {
            return Err(Fault::Said(format!("it reads more than {MAX_SOURCED} other files, or they read each other")));
        }
        let text = self.files.text(&path, MAX_CONFIG_BYTES)?.unwrap_or_default();
        let statements = script::parse(&text).map_err(|what| format!("{path}: {what}"))?;
        self.run(&statements, depth + 1)
    }

    fn boot_loader_entries(&mut self) -> Result<(), Fault> {
        self.asked_for_entries = true;
        // A second `blscfg` adds nothing: every entry is in the menu already.
        if self.entries.iter().any(|entry| entry.file.is_some()) {
            return Ok(());
        }
        for (id, keys) in entries(self.files)? {
            let file = format!("{}/{id}.conf", ENTRIES);
            let Some(text) = bls::script_of(&keys, &self.variables) else { continue };
            self.spend(text.len())?;
            let body = script::parse(&text).map_err(|what| format!("{file}: {what}"))?;
            let title = keys.first("title").or(keys.first("linux")).unwrap_or_default().to_owned();
            self.entries.push(MenuEntry { title, id, is_submenu: false, file: Some(file), body });
        }
        Ok(())
    }

    /// `menuentry TITLE [--class X] [--users X] [--hotkey X] [--id ID] [--unrestricted] {`
    fn entry(&mut self, words: &[Word], body: &[Statement]) -> Result<(), Fault> {
        let words = self.expand(words)?;
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
        self.entries.push(MenuEntry { title, id, is_submenu, file: None, body: body.to_vec() });
        Ok(())
    }

    /// Whether the last command of a condition succeeds. Of commands, only tests are known; no condition at all is an `else`.
    fn holds(&mut self, condition: &[Statement]) -> Result<bool, Fault> {
        let Some(last) = condition.last() else { return Ok(true) };
        let Statement::Command(words) = last else { return Ok(false) };
        // An empty word counts as a word here: `[ $unset ]` has one.
        let mut texts = Vec::new();
        for word in words {
            let text = word.expand(&self.variables, self.left);
            self.spend(text.len() + size_of::<String>())?;
            texts.push(text);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        match &texts[..] {
            ["[", inside @ .., "]"] | ["test", inside @ ..] => self.either(inside),
            ["true"] => Ok(true),
            _ => Ok(false),
        }
    }

    /// `-o` binds less than `-a`.
    fn either(&mut self, words: &[&str]) -> Result<bool, Fault> {
        for alternative in words.split(|word| *word == "-o") {
            let mut holds = true;
            for condition in alternative.split(|word| *word == "-a") {
                holds = holds && self.test(condition)?;
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn test(&mut self, words: &[&str]) -> Result<bool, Fault> {
        let count = words.iter().take_while(|word| **word == "!").count();
        let holds = match &words[count..] {
            [a, "=" | "==", b] => a == b,
            [a, "!=", b] => a != b,
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-s" | "-e" | "-f", path] if path.ends_with("/grubenv") => !self.environment.is_empty(),
            ["-s" | "-e" | "-f" | "-d", path] => self.find(path)?.is_some(),
            _ => false,
        };
        Ok(holds != (count % 2 == 1))
    }

    /// Choose by `default` and run the entry. In `A>B`, B chooses in the submenu A; `>>` is a `>` of a title.
    fn boot(mut self, default: &str, depth: usize) -> Result<Next, Fault> {
        let (first, rest) = split_default(default);
        let by_number = first.parse().ok().filter(|index| *index < self.entries.len());
        let by_name = || self.entries.iter().position(|entry| entry.id == first || entry.title == first);
        // If the default is not found, it is the first entry, as in GRUB.
        let index = by_number.or_else(by_name).unwrap_or(0);
        if index >= self.entries.len() || depth > MAX_DEPTH {
            return Err(Fault::Said(format!("its default `{default}` leads to no menu entry")));
        }
        let MenuEntry { title, is_submenu, file, body, .. } = self.entries.swap_remove(index);
        self.entries.clear();
        (self.linux, self.initrd) = (None, None);
        self.run(&body, 0)?;
        if let Some(next) = self.next.take() {
            return self.leave(&next);
        }
        if is_submenu {
            return self.boot(&rest, depth + 1);
        }
        let linux = self.linux.ok_or_else(|| format!("its default `{title}` starts no Linux"))?;
        let initrd = self.initrd.ok_or_else(|| format!("its default `{title}` has no initrd"))?;
        let (Some(kernel), [_, _, ..]) = (linux.get(1), &initrd[..]) else {
            return Err(Fault::Said(format!("its default `{title}` names no kernel or initrd")));
        };
        Ok(Next::Boot(Chosen {
            title,
            kernel: kernel.clone(),
            initrds: initrd[1..].to_vec(),
            arguments: linux[2..].join(" "),
            is_bls: file.is_some(),
            configuration: file.unwrap_or(self.path),
            device: self.variables.remove("root"),
        }))
    }
}

fn parse_environment(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
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
