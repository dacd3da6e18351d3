//! A recipe's text as a tree in which every key and every value has its place.
//!
//! Trees of several texts (a recipe, what it extends, `--set`) are laid over one another; each value keeps its own place, so that an error
//! points at the right text.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, de::Error};

/// Tables and arrays within one another. The schema needs 6; the parser alone would accept some thousands, and this code recurses.
const MAX_DEPTH: usize = 32;

/// A text that values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name for people: the path as given, `debian-12-docker (compiled in)`, `--set`.
    pub name: String,
    /// The text with secrets masked, which may be shown. Every byte is at the same offset as in the real text.
    pub shown: String,
    /// Where relative paths written in it lead from.
    pub dir: PathBuf,
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the [`Source`].
    pub source: usize,
    /// Byte offset of the first byte.
    pub start: usize,
    /// Byte offset behind the last byte.
    pub end: usize,
}

impl Place {
    pub(super) fn new(source: usize, span: Range<usize>) -> Self {
        Self { source, start: span.start, end: span.end }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

/// A TOML value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(BTreeMap<String, Entry>),
    /// A kind of value that no key of a recipe takes, by its description: `a float`.
    Other(&'static str),
}

/// A key's value, and the place of the key itself.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: Place,
    pub node: Node,
}

impl Value {
    /// The kind of value, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Boolean(_) => "a boolean",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// The path of a value: table keys and, as digits, array indices.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(pub Vec<String>);

impl KeyPath {
    /// The path one step further down.
    pub(super) fn at(&self, step: impl fmt::Display) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }
}

impl From<&str> for KeyPath {
    /// From a constant; no step of it holds a dot.
    fn from(dotted: &str) -> Self {
        Self(dotted.split('.').map(str::to_owned).collect())
    }
}

impl fmt::Display for KeyPath {
    /// As `--set` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            let bare = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if bare { write!(f, "{dot}{step}")? } else { write!(f, "{dot}{step:?}")? }
        }
        Ok(())
    }
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct NotToml {
    pub message: String,
    pub place: Place,
}

/// The tree of a whole TOML document, or everything that keeps the text from being one.
pub(super) fn parse(source: usize, text: &str) -> Result<Node, Vec<NotToml>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| not_toml(source, error)).collect());
    }
    let mut too_deep = None;
    let table = convert_table(source, table.get_ref(), 0, &mut too_deep);
    match too_deep {
        None => Ok(Node { place: Place::new(source, 0..0), value: Value::Table(table) }),
        Some(place) => Err(vec![NotToml { message: format!("nested deeper than {MAX_DEPTH} levels"), place }]),
    }
}

fn not_toml(source: usize, error: &Error) -> NotToml {
    let message = error.message().lines().collect::<Vec<_>>().join(", ");
    NotToml { message, place: Place::new(source, error.span().unwrap_or(0..0)) }
}

fn convert_table(source: usize, table: &DeTable<'_>, depth: usize, too_deep: &mut Option<Place>) -> BTreeMap<String, Entry> {
    let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let node = convert(source, value, depth + 1, too_deep);
        (key.get_ref().clone().into_owned(), Entry { key: Place::new(source, key.span()), node })
    };
    table.iter().map(entry).collect()
}

fn convert(source: usize, value: &Spanned<DeValue<'_>>, depth: usize, too_deep: &mut Option<Place>) -> Node {
    let place = Place::new(source, value.span());
    if depth > MAX_DEPTH {
        too_deep.get_or_insert(place.clone());
        return Node { place, value: Value::Other("nothing") };
    }
    let value = match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("an integer beyond 64 bits"),
        },
        DeValue::Float(_) => Value::Other("a float"),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| convert(source, item, depth + 1, too_deep)).collect()),
        DeValue::Table(table) => Value::Table(convert_table(source, table, depth, too_deep)),
    };
    Node { place, value }
}

impl Node {
    /// The entries, when this is a table.
    pub(super) fn table(&self) -> Option<&BTreeMap<String, Entry>> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    /// The best place to show for `path`: the value, the key when the value is a table, or the nearest value above that is written.
    pub(super) fn place(&self, path: &KeyPath) -> Place {
        let mut node = self;
        let mut place = &self.place;
        for (index, step) in path.0.iter().enumerate() {
            let last = index + 1 == path.0.len();
            match &node.value {
                Value::Table(table) => match table.get(step) {
                    Some(entry) => {
                        let whole = matches!(entry.node.value, Value::Table(_)) || !last;
                        place = if whole { &entry.key } else { &entry.node.place };
                        node = &entry.node;
                    }
                    None => break,
                },
                Value::Array(items) => match step.parse().ok().and_then(|index: usize| items.get(index)) {
                    Some(item) => (node, place) = (item, &item.place),
                    None => break,
                },
                _ => break,
            }
        }
        place.clone()
    }

    /// Whether a value is written at `path`.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        self.node(path).is_some()
    }

    fn node(&self, path: &KeyPath) -> Option<&Self> {
        fn below<'a>(node: &'a Node, step: &String) -> Option<&'a Node> {
            match &node.value {
                Value::Table(table) => table.get(step).map(|entry| &entry.node),
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                _ => None,
            }
        }
        path.0.iter().try_fold(self, below)
    }

    /// Every text that is written at `path` or below it, with its path.
    pub(super) fn strings(&self, path: &KeyPath) -> Vec<(KeyPath, String)> {
        let mut found = Vec::new();
        if let Some(node) = self.node(path) {
            node.collect_strings(path, &mut found);
        }
        found
    }

    fn collect_strings(&self, path: &KeyPath, found: &mut Vec<(KeyPath, String)>) {
        match &self.value {
            Value::String(text) => found.push((path.clone(), text.clone())),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| item.collect_strings(&path.at(index), found)),
            Value::Table(table) => table.iter().for_each(|(key, entry)| entry.node.collect_strings(&path.at(key), found)),
            Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => {}
        }
    }

    /// The source that the value at `path` is written in; the recipe itself when it is not written at all.
    pub(super) fn source(&self, path: &KeyPath) -> usize {
        self.place(path).source
    }

    /// Put `over` at the place of `keys`, making tables on the way. The error is a sentence about a key that cannot be followed, and its
    /// index.
    pub(super) fn set(&mut self, keys: &[(String, Place)], over: Self) -> Result<(), (usize, String)> {
        let mut node = self;
        for (index, (key, place)) in keys.iter().enumerate() {
            if !matches!(node.value, Value::Table(_) | Value::Array(_)) {
                node.value = Value::Table(BTreeMap::new());
            }
            node = match &mut node.value {
                Value::Array(items) => {
                    let length = items.len();
                    let item = key.parse().ok().and_then(|index: usize| items.get_mut(index));
                    item.ok_or_else(|| (index, format!("there is no item `{key}` in an array of {length}, counted from 0")))?
                }
                Value::Table(table) => {
                    let made = || Entry { key: place.clone(), node: Self { place: place.clone(), value: Value::Table(BTreeMap::new()) } };
                    let entry = table.entry(key.clone()).or_insert_with(made);
                    entry.key = place.clone();
                    &mut entry.node
                }
                _ => return Err((index, "the value above is neither a table nor an array".to_owned())),
            };
        }
        *node = over;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse(0, text).unwrap()
    }

    #[test]
    fn places_are_of_values_keys_or_what_is_nearest() {
        let text = "[disk]\nsize = \"8G\"\n[[check]]\nport = { number = 1 }";
        let tree = tree(text);
        for (path, shown) in
            [("disk.size", "\"8G\""), ("disk", "disk"), ("disk.swap", "disk"), ("check.0.port.number", "1"), ("check.0.port", "port")]
        {
            let place = tree.place(&KeyPath::from(path));
            assert_eq!(&text[place.start..place.end], shown, "{path}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = format!("a = {}1{}", "{ a.a.a.a = ".repeat(15), " }".repeat(15));
        assert!(parse(0, &nested).unwrap_err()[0].message.contains("deeper"));
        let deepest = format!("a = {}1{}", format!("{{ {}a = ", "a.".repeat(78)).repeat(78), " }".repeat(78));
        assert!(parse(0, &deepest).unwrap_err()[0].message.contains("deeper"));
        for text in
            [format!("a = {}", "[".repeat(100_000)), format!("{}a = 1", "a.".repeat(100_000)), format!("a = {}", "{ a = ".repeat(100_000))]
        {
            assert!(parse(0, &text).is_err());
        }
    }
}
