//! The state for judging a recipe: places, the installer, access to files, and the list of errors.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::super::RecipeHost;
use super::super::diagnostics::{Findings, Passage, Problem};
use super::super::syntax::{Verdict, host_path};
use super::super::tree::{KeyPath, Node, Source};
use super::super::written::Installer;
use crate::base::failure::Class;
use crate::base::fault::Fault;
use crate::base::size::rounded;

/// The longest file that content, scripts and keys are read from, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// One recipe's judge.
pub(in super::super) struct Judge<'a> {
    tree: &'a Node,
    sources: &'a [Source],
    /// The machine the recipe is loaded on.
    pub host: &'a dyn RecipeHost,
    /// The errors so far.
    pub findings: &'a mut Findings,
    /// The installer, unless that value is wrong.
    pub installer: Option<Installer>,
    /// Whether the kickstart is the user's own.
    pub own_kickstart: bool,
}

impl<'a> Judge<'a> {
    /// The judge of `tree`, whose values are written in `sources`.
    pub fn new(tree: &'a Node, sources: &'a [Source], host: &'a dyn RecipeHost, findings: &'a mut Findings) -> Self {
        Self { tree, sources, host, findings, installer: None, own_kickstart: false }
    }

    /// Whether the recipe has a value at `path`.
    pub fn is_written(&self, path: &KeyPath) -> bool {
        self.tree.has(path)
    }

    /// The passage at `path`, for errors that only show later.
    pub fn passage(&self, path: &KeyPath) -> Option<Passage> {
        self.is_written(path).then(|| Passage::of(self.sources, &self.tree.place(path))).flatten()
    }

    /// Report that the value at `path` is wrong.
    pub fn wrong(&mut self, path: &KeyPath, title: impl Into<String>, help: impl Into<String>) {
        self.findings.at(self.tree, path, Problem::new(title).help(help));
    }

    /// Report that the text at `path` is wrong, in its first line that ends in one of `ends`, as the recipe spells them.
    pub fn wrong_line(&mut self, path: &KeyPath, ends: &[&str], title: impl Into<String>, help: impl Into<String>) {
        if self.findings.is_spoiled(path) {
            return;
        }
        let mut place = self.tree.place(path);
        let written = self.sources.get(place.source).and_then(|source| source.shown.get(place.start..place.end)).unwrap_or_default();
        if let Some(at) = ends.iter().filter_map(|end| written.find(end)).min() {
            place.end = place.start + at;
            place.start += written[..at].rfind('\n').map_or(0, |newline| newline + 1);
        }
        self.findings.push(Problem::new(title).show(place, "").help(help));
        self.findings.spoil(path.clone());
    }

    /// Report that the value at `path` gives a secret away. It is not shown.
    pub fn leak(&mut self, path: &KeyPath, title: impl Into<String>, help: impl Into<String>) {
        self.findings.hide(self.tree.place(path));
        self.wrong(path, title, help);
    }

    /// Every text that is written below `path`, with its place.
    pub fn strings(&self, path: &KeyPath) -> Vec<(KeyPath, String)> {
        self.tree.strings(path)
    }

    /// Where the first text of the list at `path` is written that `fits`.
    pub fn place_in(&self, path: &KeyPath, fits: impl Fn(&str) -> bool) -> Option<KeyPath> {
        self.tree.strings(path).into_iter().find(|(_, text)| fits(text)).map(|(path, _)| path)
    }

    /// Report that the value at `path` contradicts the one at `other`; `because` gives the reason in a few words.
    pub fn clash(&mut self, path: &KeyPath, other: &KeyPath, because: &str, title: impl Into<String>, help: impl Into<String>) {
        if self.findings.is_spoiled(path) || self.findings.is_spoiled(other) {
            return;
        }
        let problem = Problem::new(title).show(self.tree.place(path), "").help(help);
        // A default has no place in the text that could be shown.
        self.findings.push(if self.tree.has(other) { problem.show(self.tree.place(other), because) } else { problem });
        self.findings.spoil(path.clone());
    }

    /// Report that the value at `path` is not for deploy.
    pub fn not_for_deploy(&mut self, path: &KeyPath, title: &str, help: &str) {
        if self.installer == Some(Installer::Deploy) {
            self.clash(path, &KeyPath::from("media.installer"), "deploy is chosen here", title, help);
        }
    }

    /// Report that the value at `path` is not for anaconda.
    pub fn not_for_anaconda(&mut self, path: &KeyPath, title: &str, help: &str) {
        if self.installer == Some(Installer::Anaconda) {
            self.clash(path, &KeyPath::from("media.installer"), "anaconda is chosen here", title, help);
        }
    }

    /// The value of a verdict; if it has none, report its fault.
    pub fn verdict<T>(&mut self, path: &KeyPath, verdict: Verdict<T>) -> Option<T> {
        match verdict {
            Ok(value) => Some(value),
            Err(fault) => {
                self.wrong(path, fault.what, fault.help);
                None
            }
        }
    }

    /// The text, after its spelling is checked.
    pub fn spelled(&mut self, path: &KeyPath, text: &str, speller: fn(&str) -> Verdict) -> String {
        self.verdict(path, speller(text));
        text.to_owned()
    }

    /// The value that the text stands for, if it is spelled right.
    pub fn parsed<T: FromStr<Err = Fault>>(&mut self, path: &KeyPath, text: &str) -> Option<T> {
        self.verdict(path, text.parse())
    }

    /// The values of an array's texts that are spelled right.
    pub fn all_parsed<T: FromStr<Err = Fault>>(&mut self, path: &KeyPath, texts: &[String]) -> Vec<T> {
        self.all_read(path, texts, T::from_str)
    }

    /// The values of an array's texts that `read` takes.
    pub fn all_read<T>(&mut self, path: &KeyPath, texts: &[String], read: fn(&str) -> Verdict<T>) -> Vec<T> {
        texts.iter().enumerate().filter_map(|(index, text)| self.verdict(&path.at(index), read(text))).collect()
    }

    /// All texts of an array, after their spelling is checked.
    pub fn all_spelled(&mut self, path: &KeyPath, texts: &[String], speller: fn(&str) -> Verdict) -> Vec<String> {
        texts.iter().enumerate().map(|(index, text)| self.spelled(&path.at(index), text, speller)).collect()
    }

    /// Report that none of `keys`, two or more, is given below `path`, although one must be.
    pub fn none_of(&mut self, path: &KeyPath, keys: &[&str], title: impl Into<String>) {
        if !keys.iter().any(|key| self.findings.is_spoiled(&path.at(key))) {
            let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
            let (last, rest) = keys.split_last().map_or((String::new(), String::new()), |(last, rest)| (last.clone(), rest.join(", ")));
            self.wrong(path, title, format!("add {rest} or {last}"));
        }
    }

    /// Report items for which `key` gives the same value.
    pub fn unique<T>(&mut self, items: &[T], noun: &str, path: impl Fn(usize) -> KeyPath, key: impl Fn(&T) -> Option<String>) {
        let mut seen = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(key) = key(item) else { continue };
            match seen.get(&key) {
                None => {
                    seen.insert(key, index);
                }
                Some(first) => self.clash(
                    &path(index),
                    &path(*first),
                    "first here",
                    format!("{noun} `{key}` is there twice"),
                    "remove one, or give it another name",
                ),
            }
        }
    }

    /// A path of this machine: relative ones lead from the directory of the file they are written in.
    pub fn host_path(&mut self, path: &KeyPath, text: &str) -> PathBuf {
        self.verdict(path, host_path(text));
        let source = self.sources.get(self.tree.source(path));
        source.map_or_else(|| PathBuf::from(text), |source| source.dir.join(text))
    }

    /// A file that the recipe needs now.
    pub fn read(&mut self, path: &KeyPath, text: &str) -> (PathBuf, Vec<u8>) {
        self.read_at_most(MAX_FILE, path, text)
    }

    /// A file of at most `limit` bytes that the recipe needs now.
    pub fn read_at_most(&mut self, limit: u64, path: &KeyPath, text: &str) -> (PathBuf, Vec<u8>) {
        let file = self.host_path(path, text);
        if self.findings.is_spoiled(path) {
            return (file, Vec::new());
        }
        let bytes = self.host.read(&file, limit).unwrap_or_else(|error| {
            self.findings.at(self.tree, path, cannot_read(&file, &error, limit));
            Vec::new()
        });
        (file, bytes)
    }
}

/// The problem of a file that cannot be read.
pub(in super::super) fn cannot_read(file: &Path, error: &io::Error, limit: u64) -> Problem {
    let (why, class) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), Class::Input),
        io::ErrorKind::PermissionDenied => ("permission denied".to_owned(), Class::Input),
        io::ErrorKind::IsADirectory => ("it is a directory".to_owned(), Class::Input),
        io::ErrorKind::FileTooLarge => (format!("it is longer than {}", rounded(limit)), Class::Usage),
        _ => (error.to_string(), Class::Input),
    };
    Problem::new(format!("cannot read `{}`: {why}", file.display())).class(class)
}
