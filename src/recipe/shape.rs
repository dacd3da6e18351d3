//! The schema of recipes, and the walk that compares a tree with it.
//!
//! serde stops at the first error and, for untagged values, cannot say where it was. So the JSON Schema of the written types is boiled down to
//! a [`Shape`], the tree is walked along it, and every unknown key, wrong type, word or number is reported with its place. A part that does
//! not fit is left out or replaced, so that the rest always deserialises and can be judged further.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::diagnostics::{Findings, Problem};
use super::syntax::likely_unit;
use super::tree::{KeyPath, Node, Place, Value};
use super::written;
use crate::base::text::suggestion;

/// The JSON Schema (2020-12) of a recipe: `goldsmith schema`. A recipe that extends another may leave required keys to that one.
pub fn schema() -> Json {
    let mut schema = generated(false);
    let needed = |schema: &mut Json, kept: &[&str]| match schema.get_mut("required") {
        Some(Json::Array(keys)) => {
            let (kept, needed): (Vec<_>, _) = keys.drain(..).partition(|key| key.as_str().is_some_and(|key| kept.contains(&key)));
            *keys = kept;
            needed
        }
        _ => Vec::new(),
    };
    let whole = needed(&mut schema, &["schema"]);
    let media = schema.pointer_mut("/$defs/Media").map(|media| needed(media, &[])).unwrap_or_default();
    schema["if"] = json!({"not": {"required": ["extends"]}});
    schema["then"] = json!({"required": whole, "properties": {"media": {"required": media}}});
    schema
}

fn generated(inline: bool) -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = inline);
    let mut schema = settings.into_generator().into_root_schema_for::<written::Recipe>().to_value();
    drop_null(&mut schema);
    schema
}

/// TOML has no null; an `Option` only means that the key may be absent.
fn drop_null(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            object.retain(|key, value| !(key == "default" && value.is_null()));
            if let Some(Json::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_mut_slice() {
                    let only = only.take();
                    object.insert("type".into(), only);
                }
            }
            if let Some(Json::Array(kinds)) = object.get_mut("anyOf") {
                kinds.retain(|kind| kind.get("type").is_none_or(|kind| kind != "null"));
                if let [Json::Object(only)] = kinds.as_mut_slice() {
                    let only = std::mem::take(only);
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            if let Some(default) = object.get_mut("default") {
                drop_null_values(default);
            }
            object.values_mut().for_each(drop_null);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}

/// The same in a default, however deep.
fn drop_null_values(default: &mut Json) {
    if let Json::Object(table) = default {
        table.retain(|_, value| !value.is_null());
        table.values_mut().for_each(drop_null_values);
    }
}

/// The allowed values: for each kind of TOML value, whether it is allowed and how.
#[derive(Debug, Default)]
pub(super) struct Shape {
    boolean: bool,
    integer: Option<(i64, i64)>,
    string: bool,
    /// The only strings, when there are any here.
    words: Vec<String>,
    array: Option<Box<Shape>>,
    table: Option<Table>,
}

/// The keys of a table.
#[derive(Debug, Default)]
struct Table {
    keys: Vec<(String, Shape)>,
    required: Vec<String>,
    /// The shape of the values of all other keys.
    others: Option<Box<Shape>>,
}

/// The shape of a recipe.
pub(super) static RECIPE: LazyLock<Shape> = LazyLock::new(|| {
    let mut shape = Shape::default();
    shape.absorb(&generated(true));
    shape
});

impl Shape {
    /// Also allow the values that `schema` allows.
    fn absorb(&mut self, schema: &Json) {
        for alternative in ["anyOf", "oneOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten() {
            self.absorb(alternative);
        }
        let word = |word: &Json| word.as_str().map(str::to_owned);
        self.words.extend(schema.get("const").and_then(word));
        self.words.extend(schema.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(word));
        match schema.get("type").and_then(Json::as_str) {
            Some("boolean") => self.boolean = true,
            Some("integer") => {
                let bound = |key, other| schema.get(key).and_then(Json::as_i64).unwrap_or(other);
                self.integer = Some((bound("minimum", i64::MIN), bound("maximum", i64::MAX)));
            }
            Some("string") => self.string = true,
            Some("array") => {
                let mut items = Self::default();
                items.absorb(schema.get("items").unwrap_or(&Json::Null));
                self.array = Some(Box::new(items));
            }
            Some("object") => self.table = Some(Table::of(schema)),
            _ => {}
        }
    }

    /// The shape at `path`, if a recipe has such a key.
    pub(super) fn at(&self, path: &[(String, Place)]) -> Option<&Self> {
        let Some(((step, _), rest)) = path.split_first() else { return Some(self) };
        let below = match (&self.table, &self.array) {
            (Some(table), _) if table.get(step).is_some() => table.get(step),
            (_, Some(items)) if step.parse::<usize>().is_ok() => Some(&**items),
            _ => None,
        };
        below?.at(rest)
    }

    /// Whether this may be text.
    pub(super) fn takes_text(&self) -> bool {
        self.string
    }

    /// Whether this may be text and nothing that is written without quotes.
    pub(super) fn takes_text_alone(&self) -> bool {
        self.string && !self.boolean && self.integer.is_none()
    }

    /// Whether this may be a list of texts.
    pub(super) fn takes_texts(&self) -> bool {
        self.array.as_ref().is_some_and(|items| items.string)
    }

    /// For a person: `"gpt" or "mbr"`, `a boolean, an integer or a string`.
    pub(super) fn wanted(&self) -> String {
        let mut kinds: Vec<String> = self.words.iter().map(|word| format!("{word:?}")).collect();
        let kind = |is: bool, kind: &str| is.then(|| kind.to_owned());
        kinds.extend(kind(self.boolean, "true or false"));
        kinds.extend(self.integer.map(|(least, most)| match least {
            i64::MIN => "an integer".to_owned(),
            _ => format!("an integer {}", range(least, most)),
        }));
        kinds.extend(kind(self.string && self.words.is_empty(), "a string"));
        kinds.extend(kind(self.array.is_some(), "an array"));
        kinds.extend(kind(self.table.is_some(), "a table"));
        match kinds.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => kinds.join(""),
        }
    }

    /// Some value of this shape.
    fn stand_in(&self) -> Json {
        if let Some(word) = self.words.first() {
            word.as_str().into()
        } else if self.string {
            "".into()
        } else if let Some((least, most)) = self.integer {
            0.clamp(least, most).into()
        } else if self.boolean {
            false.into()
        } else if let Some(table) = &self.table {
            let required = table.required.iter().filter_map(|key| Some((key.clone(), table.get(key)?.stand_in())));
            Json::Object(required.collect())
        } else {
            Json::Array(Vec::new())
        }
    }

    /// The paths of all tables, dotted, that have a key called `key`.
    fn homes_of(&self, key: &str, path: &str, homes: &mut Vec<String>) {
        if let Some(items) = &self.array {
            items.homes_of(key, path, homes);
        }
        for (name, shape) in self.table.iter().flat_map(|table| &table.keys) {
            if name == key {
                homes.push(path.to_owned());
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            shape.homes_of(key, &below, homes);
        }
    }
}

impl Table {
    fn of(schema: &Json) -> Self {
        let shape = |schema| {
            let mut shape = Shape::default();
            shape.absorb(schema);
            shape
        };
        let keys = schema.get("properties").and_then(Json::as_object).into_iter().flatten();
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        Self {
            keys: keys.map(|(key, schema)| (key.clone(), shape(schema))).collect(),
            required: required.filter_map(|key| key.as_str().map(str::to_owned)).collect(),
            others: schema.get("additionalProperties").filter(|others| others.is_object()).map(|others| Box::new(shape(others))),
        }
    }

    fn get(&self, key: &str) -> Option<&Shape> {
        self.keys.iter().find(|(name, _)| name == key).map(|(_, shape)| shape).or(self.others.as_deref())
    }
}

/// The part of the tree that fits the schema of a recipe, with stand-ins for required values that do not fit.
pub(super) fn fit(tree: &Node, findings: &mut Findings) -> Json {
    let mut fitting = Fitting { tree, findings };
    fitting.value(tree, &RECIPE, &KeyPath::default()).unwrap_or_else(|| RECIPE.stand_in())
}

struct Fitting<'a> {
    tree: &'a Node,
    findings: &'a mut Findings,
}

impl Fitting<'_> {
    fn value(&mut self, node: &Node, shape: &Shape, path: &KeyPath) -> Option<Json> {
        match (&node.value, shape) {
            (Value::Boolean(value), Shape { boolean: true, .. }) => return Some((*value).into()),
            (Value::Integer(value), Shape { integer: Some((least, most)), .. }) => {
                if (least..=most).contains(&value) {
                    return Some((*value).into());
                }
                let title = format!("`{path}` must be {}, not {value}", range(*least, *most));
                self.findings.at(self.tree, path, Problem::new(title));
                return None;
            }
            (Value::String(text), Shape { string: true, words, .. }) => {
                if words.is_empty() || words.contains(text) {
                    return Some(text.as_str().into());
                }
                // The word itself is not repeated: a password that was written for `root` gets here.
                let problem = Problem::new(format!("`{path}` must be {}", shape.wanted()));
                let meant = suggestion(text, words.iter().map(String::as_str));
                self.findings.at(self.tree, path, with_suggestion(problem, meant));
                return None;
            }
            (Value::Array(items), Shape { array: Some(shape), .. }) => {
                let item = |(index, item)| self.value(item, shape, &path.at(index)).unwrap_or_else(|| shape.stand_in());
                return Some(items.iter().enumerate().map(item).collect());
            }
            (Value::Table(_), Shape { table: Some(table), .. }) => return Some(self.table(node, table, path)),
            _ => {}
        }
        let problem = Problem::new(format!("`{path}` must be {}, not {}", shape.wanted(), node.value.kind()));
        let help = match (&node.value, shape.array.as_deref()) {
            (Value::Table(_), _) if path.0.iter().take(2).eq(["kernel", "sysctl"]) => {
                Some(r#"quote the whole key, like `"net.ipv4.ip_forward" = 1`"#.to_owned())
            }
            (Value::Integer(number), _) if shape.string && shape.words.is_empty() && *number >= 0 => with_unit(path, *number),
            (Value::Integer(_) | Value::Boolean(_) | Value::Other(_), _) if shape.string && shape.words.is_empty() => {
                Some("put it in quotes".to_owned())
            }
            (Value::String(_), None) if shape.boolean || shape.integer.is_some() => Some("write it without quotes".to_owned()),
            (Value::String(_), Some(Shape { string: true, .. })) => Some("put it in square brackets".to_owned()),
            (Value::Table(_), Some(Shape { table: Some(_), .. })) => Some(format!("write `[[{path}]]`, with double brackets")),
            _ => None,
        };
        let problem = if let Some(help) = help { problem.help(help) } else { problem };
        self.findings.at(self.tree, path, problem);
        None
    }

    fn table(&mut self, node: &Node, shape: &Table, path: &KeyPath) -> Json {
        let mut fitted = Map::new();
        for (key, entry) in node.table().into_iter().flatten() {
            match shape.get(key) {
                Some(shape) => {
                    if let Some(value) = self.value(&entry.node, shape, &path.at(key)) {
                        fitted.insert(key.clone(), value);
                    }
                }
                None => self.unknown(key, &entry.key, shape, path),
            }
        }
        for key in &shape.required {
            if !fitted.contains_key(key) {
                self.missing(key, path);
                fitted.insert(key.clone(), shape.get(key).map_or(Json::Null, Shape::stand_in));
            }
        }
        Json::Object(fitted)
    }

    fn unknown(&mut self, key: &str, place: &Place, shape: &Table, path: &KeyPath) {
        let keys: Vec<&str> = shape.keys.iter().map(|(key, _)| key.as_str()).collect();
        let shown = KeyPath(vec![key.to_owned()]);
        if key == "password" && keys.contains(&"password_env") {
            let problem = Problem::new("a plain password has no place in a recipe").show(place.clone(), "");
            let problem = problem.help("keep it in an environment variable, `password_env = \"ROOT_PASSWORD\"`");
            self.findings.push(problem.help("or write its hash, `password_hash = \"$6$…\"`, as `openssl passwd -6` makes it"));
            self.findings.spoil(path.clone());
            return;
        }
        let home = if path.0.is_empty() { String::new() } else { format!(" in `{path}`") };
        let problem = Problem::new(format!("unknown key `{shown}`{home}")).show(place.clone(), "");
        let mut homes = Vec::new();
        RECIPE.homes_of(key, "", &mut homes);
        let meant = suggestion(key, keys.iter().copied());
        let problem = match (meant, homes.as_slice()) {
            (Some(_), _) => with_suggestion(problem, meant),
            (None, [only]) if !only.is_empty() => problem.help(format!("`{shown}` belongs in `{only}`")),
            (None, [only]) if only.is_empty() => problem.help(format!("`{shown}` belongs to the top, before the first `[table]`")),
            _ => problem.help(format!("known are {}", keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))),
        };
        self.findings.push(problem);
        if let Some(meant) = meant {
            self.findings.spoil(path.at(meant));
        }
    }

    fn missing(&mut self, key: &str, path: &KeyPath) {
        let path = path.at(key);
        let needed = Problem::new(format!("`{path}` is missing"));
        let problem = match path.to_string().as_str() {
            "schema" => needed.help("begin with `schema = 1`"),
            "name" => needed.help("name the image, like `name = \"web-server\"`"),
            "media" | "media.installer" => {
                needed.help("say what installs: `[media]` with `installer = \"anaconda\"` or `installer = \"deploy\"`")
            }
            _ => needed,
        };
        self.findings.at(self.tree, &path, problem);
    }
}

fn range(least: i64, most: i64) -> String {
    if least == most { least.to_string() } else { format!("from {least} to {most}") }
}

/// The text to write for a number, where a size or a time span is meant.
fn with_unit(path: &KeyPath, number: i64) -> Option<String> {
    let unit = |unit: &str| Some(format!("put it in quotes, with a unit: \"{number}{unit}\""));
    match path.0.last().map(String::as_str) {
        Some("size" | "swap" | "memory") => unit(likely_unit(u64::try_from(number).unwrap_or(0))),
        Some("deadline") => unit("m"),
        _ => Some("put it in quotes".to_owned()),
    }
}

fn with_suggestion(problem: Problem, meant: Option<&str>) -> Problem {
    match meant {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    /// Every path of the schema, as the public schema spells it: an independent walk over `$ref`.
    fn paths(schema: &Json, node: &Json, path: &KeyPath, found: &mut Vec<KeyPath>) {
        if let Some(reference) = node.get("$ref").and_then(Json::as_str) {
            let target = schema.pointer(reference.trim_start_matches('#')).expect("a definition");
            paths(schema, target, path, found);
        }
        for (key, below) in node.get("properties").and_then(Json::as_object).into_iter().flatten() {
            found.push(path.at(key));
            paths(schema, below, &path.at(key), found);
        }
        if let Some(items) = node.get("items") {
            paths(schema, items, path, found);
        }
        for alternative in ["anyOf", "oneOf"].iter().filter_map(|key| node.get(key)?.as_array()).flatten() {
            paths(schema, alternative, path, found);
        }
    }

    fn lookup<'a>(shape: &'a Shape, path: &[String]) -> Option<&'a Shape> {
        let Some((key, rest)) = path.split_first() else { return Some(shape) };
        let table = shape.table.as_ref().or_else(|| shape.array.as_ref()?.table.as_ref())?;
        lookup(&table.keys.iter().find(|(name, _)| name == key)?.1, rest)
    }

    #[test]
    fn the_walker_knows_exactly_the_keys_of_the_schema() {
        let schema = schema();
        let mut found = Vec::new();
        paths(&schema, &schema, &KeyPath::default(), &mut found);
        assert!(found.len() > 100, "{}", found.len());
        for path in &found {
            assert!(lookup(&RECIPE, &path.0).is_some(), "{path}");
        }
        fn count(shape: &Shape) -> usize {
            let tables = shape.table.iter().chain(shape.array.iter().filter_map(|items| items.table.as_ref()));
            tables.flat_map(|table| &table.keys).map(|(_, shape)| 1 + count(shape)).sum()
        }
        assert_eq!(count(&RECIPE), found.len());
    }

    #[test]
    fn every_integer_has_a_range_and_every_value_a_kind() {
        fn walk(shape: &Shape, path: &str) {
            assert!(!shape.wanted().is_empty(), "{path}");
            if let Some((least, most)) = shape.integer {
                assert!(shape.string || (least > i64::MIN && most < i64::MAX), "{path}");
            }
            shape.array.iter().for_each(|items| walk(items, path));
            for (key, shape) in shape.table.iter().flat_map(|table| &table.keys) {
                walk(shape, &format!("{path}.{key}"));
            }
        }
        walk(&RECIPE, "");
    }

    #[test]
    fn stand_ins_deserialise() {
        for text in [
            "",
            "schema = 7\nname = 1\nmedia = 2\nsystem = []\ncheck = [1, {port = {number = 0}}]\nuser = [{}]\nrepository = [{}]\nfile = [{}]",
        ] {
            let tree = parse(0, text).unwrap();
            let mut findings = Findings::default();
            let fitted = fit(&tree, &mut findings);
            assert!(!findings.is_empty());
            serde_json::from_value::<written::Recipe>(fitted).unwrap();
        }
    }
}
