//! Loads a recipe from a reference: reads it and the recipes it extends, lays the overrides on top, checks it against the schema, and
//! judges it.

use std::path::{Component, Path, PathBuf};

use super::builtin::{builtin, builtin_names};
use super::diagnostics::{Diagnostics, Findings, Passage, Problem};
use super::host::RecipeHost;
use super::layers;
use super::mask::mask;
use super::resolve::{self, Judge, cannot_read};
use super::resolved::{Inherited, Recipe};
use super::shape::{RECIPE, fit};
use super::tree::{self, KeyPath, Node, Place, Source, Value};
use crate::base::failure::Class;
use crate::base::text::{shell_quote, suggestion};

/// The longest recipe, in bytes.
const MAX_RECIPE: u64 = 1 << 20;
/// The longest line of a recipe, in bytes: errors show lines, and showing fifty of a megabyte takes minutes.
const MAX_LINE: usize = 16 << 10;
/// How many recipes may stand on top of one another.
const MAX_LAYERS: usize = 8;
/// The recipe format this goldsmith reads.
const SCHEMA: i64 = 1;

/// Load the recipe that `reference` names: a path when it holds a `/` or ends in `.toml`, else the name of a compiled-in recipe.
/// `overrides` are the `path.to.key=value` of `--set`, in their order.
///
/// # Errors
/// All of its errors at once.
pub fn load(reference: &str, overrides: &[String], host: &dyn RecipeHost) -> Result<Recipe, Diagnostics> {
    let mut loading = Loading { host, sources: Vec::new(), findings: Findings::default(), open: Vec::new(), inherited: Vec::new() };
    match loading.load(reference, overrides) {
        Some(recipe) if loading.findings.is_empty() => Ok(recipe),
        _ => Err(Diagnostics::new(reference, loading.sources, loading.findings)),
    }
}

/// Whether a reference is a path and not the name of a compiled-in recipe.
fn is_path(reference: &str) -> bool {
    reference.contains('/') || reference.ends_with(".toml")
}

struct Loading<'a> {
    host: &'a dyn RecipeHost,
    sources: Vec<Source>,
    findings: Findings,
    /// The recipes being read, outermost first.
    open: Vec<String>,
    /// The lists of the recipe below the one read last.
    inherited: Vec<Inherited>,
}

impl Loading<'_> {
    fn load(&mut self, reference: &str, overrides: &[String]) -> Option<Recipe> {
        let mut tree = self.tree(reference, Path::new(""), None)?;
        for text in overrides {
            if let Err(problem) = self.set(&mut tree, text) {
                self.findings.push(problem);
            }
        }
        let fitted = fit(&tree, &mut self.findings);
        let suite = KeyPath::from("media.suite");
        let suite_at = tree.has(&suite).then(|| Passage::of(&self.sources, &tree.place(&suite))).flatten();
        match serde_json::from_value(fitted) {
            Ok(written) => {
                let mut judge = Judge::new(&tree, &self.sources, self.host, &mut self.findings);
                let inherited = std::mem::take(&mut self.inherited);
                Some(Recipe { inherited, suite_at, ..resolve::recipe(&mut judge, &written) })
            }
            // serde's sentence is left out: it may quote a secret.
            Err(_) => {
                self.findings.push(Problem::new("the recipe fits the schema but not the types").class(Class::Bug));
                None
            }
        }
    }

    /// The tree of the recipe that `reference` names, laid over what it extends. Relative paths lead from `dir`; `named_at` is where the
    /// reference is written, when that is in a recipe.
    fn tree(&mut self, reference: &str, dir: &Path, named_at: Option<Place>) -> Option<Node> {
        let show = |problem: Problem| if let Some(place) = named_at.clone() { problem.show(place, "") } else { problem };
        let path = is_path(reference).then(|| dir.join(reference));
        let id = path.as_deref().map_or_else(|| reference.to_owned(), |path| normal(path).display().to_string());
        if self.open.contains(&id) {
            let round = self.open.iter().chain([&id]).map(String::as_str).collect::<Vec<_>>().join(" → ");
            self.findings.push(show(Problem::new(format!("the recipe extends itself: {round}")).help("remove one `extends`")));
            return None;
        }
        if self.open.len() == MAX_LAYERS {
            let problem = Problem::new(format!("more than {MAX_LAYERS} recipes extend one another"));
            self.findings.push(show(problem.help("merge some of them into one file")));
            return None;
        }
        let text = match &path {
            Some(path) => self.text(path),
            None => builtin(reference).map(str::to_owned).ok_or_else(|| unknown(reference)),
        };
        let text = text.map_err(|problem| self.findings.push(show(problem))).ok()?;
        let name = path.as_ref().map_or_else(|| format!("{reference} (compiled in)"), |path| path.display().to_string());
        let dir = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let mut tree = self.parse(name, &text, dir.clone())?;
        self.schema(&tree);
        let Some(extends) = layers::take_extends(&mut tree) else {
            if tree.has(&KeyPath::from("extends")) {
                // Keys that the other recipe would have brought are not reported as missing; the walker reports the error of `extends`.
                ["name", "media", "system"].into_iter().for_each(|key| self.findings.spoil(KeyPath::from(key)));
            }
            return Some(tree);
        };
        self.open.push(id);
        let base = self.tree(&extends.reference, &dir, Some(extends.place));
        self.open.pop();
        let mut base = base?;
        for (path, place) in extends.replace {
            if !layers::remove(&mut base, &path.0) {
                let problem = Problem::new(format!("`{}` has no `{path}` that could be replaced", extends.reference)).show(place, "");
                let lists = layers::lists(&base);
                self.findings.push(match suggestion(&path.to_string(), lists.iter().map(|inherited| inherited.list.as_str())) {
                    Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                    None => problem.help("`goldsmith plan` shows the lists that a recipe inherits"),
                });
            }
        }
        self.inherited = layers::lists(&base);
        layers::lay(&mut base, tree);
        Some(base)
    }

    fn text(&self, path: &Path) -> Result<String, Problem> {
        let bytes = self.host.read(path, MAX_RECIPE).map_err(|error| cannot_read(path, &error, MAX_RECIPE))?;
        if let Some(line) = bytes.split(|byte| *byte == b'\n').position(|line| line.len() > MAX_LINE) {
            let problem = Problem::new(format!("line {} of `{}` is longer than {MAX_LINE} bytes", line + 1, path.display()));
            return Err(problem.help("break it up; long content belongs in a file, which `source` names"));
        }
        String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count();
            let problem = Problem::new(format!("`{}` is not UTF-8 text: line {line} has a byte that is not", path.display()));
            problem.help("save it as UTF-8; a recipe is a TOML file")
        })
    }

    fn parse(&mut self, name: String, text: &str, dir: PathBuf) -> Option<Node> {
        let index = self.sources.len();
        let parsed = tree::parse(index, text);
        self.sources.push(Source { name, shown: mask(text, parsed.as_ref().ok()), dir });
        match parsed {
            Ok(tree) => Some(tree),
            Err(errors) => {
                for error in errors {
                    let problem = Problem::new(format!("this is not TOML: {}", error.message)).show(error.place, "");
                    self.findings.push(problem.help("see https://toml.io for the syntax"));
                }
                None
            }
        }
    }

    /// Every file names the format that it is written in, parents too.
    fn schema(&mut self, tree: &Node) {
        let path = KeyPath::from("schema");
        let problem = match tree.table().and_then(|table| table.get("schema")).map(|entry| &entry.node.value) {
            Some(Value::Integer(SCHEMA)) => return,
            Some(_) => {
                Problem::new(format!("`schema` must be {SCHEMA}")).help("this goldsmith reads no other recipe format; a newer one may")
            }
            None => Problem::new("`schema` is missing").help(format!("begin the file with `schema = {SCHEMA}`")),
        };
        self.findings.push(problem.show(tree.place(&path), ""));
        self.findings.spoil(path);
    }

    /// Lay one override over the tree.
    fn set(&mut self, tree: &mut Node, text: &str) -> Result<(), Problem> {
        let index = self.sources.len();
        let parsed = tree::parse(index, text);
        let unquoted = unquoted(index, text, parsed.as_ref().ok());
        let structure = parsed.as_ref().ok().filter(|_| unquoted.is_none());
        self.sources.push(Source { name: "--set".into(), shown: mask(text, structure), dir: PathBuf::new() });
        let at = |start, end| Place { source: index, start, end };
        let usage = "write `--set path.to.key=value`, with the value as in a recipe";
        let Some(equals) = unquoted_equals(text) else {
            return Err(Problem::new("this override has no `=`").show(at(0, text.len()), "").help(usage));
        };
        let wrong_key = || Problem::new("this is not the path of a key").show(at(0, equals), "").help(usage);
        let depth = match tree::parse(index, &format!("{}=0", &text[..equals])) {
            Ok(key) => chain(key).map(|(keys, _)| keys.len()).ok_or_else(wrong_key)?,
            Err(_) => return Err(wrong_key()),
        };
        if let Some((keys, node)) = unquoted {
            return self.put(tree, &keys, node, at(0, equals));
        }
        let Ok(parsed) = parsed else { return Err(wrong_value(text, equals, at(equals + 1, text.len()))) };
        let one = || Problem::new("this override is more than one key and its value").show(at(0, text.len()), "").help(usage);
        let (keys, node) = chain_of(parsed, depth).ok_or_else(one)?;
        self.put(tree, &keys, node, at(0, equals))
    }

    /// Put the value of an override at the place of its keys, which are written at `key`.
    fn put(&self, tree: &mut Node, keys: &[(String, Place)], node: Node, key: Place) -> Result<(), Problem> {
        if keys.first().is_some_and(|(key, _)| key == "extends") {
            let problem = Problem::new("`extends` cannot be overridden").show(key, "");
            return Err(problem.help("name the other recipe instead of this one"));
        }
        tree.set(keys, node).map_err(|(step, why)| {
            let place = keys.get(step).map_or(key, |(_, place)| place.clone());
            Problem::new(why).show(place, "").help("`goldsmith schema` describes every key")
        })
    }
}

fn unknown(reference: &str) -> Problem {
    let names: Vec<&str> = builtin_names().collect();
    let problem = Problem::new(format!("no recipe called `{reference}` is compiled in"));
    let problem = match suggestion(reference, names.iter().copied()) {
        Some(name) => problem.help(format!("did you mean `{name}`?")),
        None => problem.help(format!("compiled in are {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))),
    };
    problem.help(format!("a file is named by a path that holds `/` or ends in `.toml`: `./{reference}`"))
}

/// A path without `.` and `..`, to compare whether two are the same file.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Where the key of an override ends.
fn unquoted_equals(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match (quote, byte) {
            (None, b'=') => return Some(index),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(b'"'), b'\\') => {
                bytes.next();
            }
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// An override whose value is text without quotes, where a recipe takes text: `system.hostname=node`, `build.memory=4G`. `parsed` is the
/// override as TOML, if it is that. A value that begins like a TOML string, array or table is taken as one, even if it has an error.
fn unquoted(index: usize, text: &str, parsed: Option<&Node>) -> Option<Chain> {
    let equals = unquoted_equals(text)?;
    let value = text[equals + 1..].trim();
    if value.is_empty() || value.starts_with(['"', '\'', '[', '{']) || value.chars().any(char::is_control) {
        return None;
    }
    let (keys, _) = chain(tree::parse(index, &format!("{}=0", &text[..equals])).ok()?)?;
    let shape = RECIPE.at(&keys)?;
    let start = text.len() - text[equals + 1..].trim_start().len();
    let node = Node { place: Place { source: index, start, end: start + value.len() }, value: Value::String(value.to_owned()) };
    (shape.takes_text_alone() || (shape.takes_text() && parsed.is_none())).then_some((keys, node))
}

type Chain = (Vec<(String, Place)>, Node);

/// The keys down to the value of a tree in which every table holds one entry.
fn chain(tree: Node) -> Option<Chain> {
    chain_of(tree, usize::MAX)
}

/// The first `depth` keys of such a tree, or all, and what is below.
fn chain_of(mut node: Node, depth: usize) -> Option<Chain> {
    let mut keys = Vec::new();
    while keys.len() < depth {
        let Value::Table(table) = node.value else { break };
        let mut entries = table.into_iter();
        let (key, entry) = entries.next()?;
        if entries.next().is_some() {
            return None;
        }
        keys.push((key, entry.key));
        node = entry.node;
    }
    (!keys.is_empty()).then_some((keys, node))
}

/// The error that the value of an override is no TOML, and no text that is allowed without quotes ([`unquoted`]).
fn wrong_value(text: &str, equals: usize, place: Place) -> Problem {
    let (key, value) = (text[..equals].trim(), text[equals + 1..].trim());
    let problem = Problem::new(format!("the value of `{key}` is not TOML")).show(place.clone(), "");
    let quotable = !value.is_empty() && !value.contains(['"', '\'', '\\', '[', '{']) && !value.chars().any(char::is_control);
    let shape = tree::parse(place.source, &format!("{key}=0")).ok().and_then(chain).and_then(|(keys, _)| RECIPE.at(&keys));
    match shape {
        Some(shape) if quotable && shape.takes_texts() => {
            problem.help(format!("a list needs brackets: --set {}", shell_quote(&format!("{key}=[\"{value}\"]"))))
        }
        Some(shape) if !shape.takes_text() => problem.help(format!("it must be {}", shape.wanted())),
        _ => problem.help("text needs double quotes, and the shell single ones around the whole: --set 'path.to.key=\"text\"'"),
    }
}
