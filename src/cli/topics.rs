//! `goldsmith help TOPIC`: the reference, written once as Markdown in `help/`, shown on a terminal and made into manual pages.
//!
//! The Markdown has only headings, paragraphs, lists and fenced code. The keys of a recipe are added from the schema.

use serde_json::Value;

use crate::base::text::wrapped;
use crate::recipe;

/// The width of the shown text, in columns.
const WIDTH: usize = 80;

/// A subject that concerns more than one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// The name for `goldsmith help`.
    pub name: &'static str,
    /// One line for lists.
    pub about: &'static str,
    markdown: &'static str,
}

macro_rules! topics {
    ($($name:literal: $about:literal),* $(,)?) => {
        [$(Topic { name: $name, about: $about, markdown: include_str!(concat!("help/", $name, ".md")) }),*]
    };
}

/// All topics, in the order a user meets them.
pub const TOPICS: [Topic; 10] = topics! {
    "recipe": "Write a recipe: every key, extends, --set, passwords",
    "stages": "What a build does, step by step",
    "kickstart": "What Anaconda reads, and kickstarts of your own",
    "packages": "Where packages come from, what is trusted, signatures",
    "artifact": "What a build leaves, and how to run it",
    "machines": "Local VMs with names: make, reach, stop them",
    "store": "Where layers and downloads are kept, and how to remove them",
    "output": "Standard output, progress, JSON events",
    "environment": "Environment variables",
    "exit-codes": "Exit codes, and how signals end a run",
};

impl Topic {
    /// The topic called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        static ALL: [Topic; 10] = TOPICS;
        ALL.iter().find(|topic| topic.name == name)
    }

    /// The whole topic as Markdown.
    pub fn markdown(&self) -> String {
        if self.name == "recipe" { format!("{}\n## Keys\n\n```\n{}```\n", self.markdown, keys()) } else { self.markdown.to_owned() }
    }

    /// For a terminal: headings in capitals, code indented, everything else unchanged.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in lines(&self.markdown()) {
            match line {
                Line::Title(title) => text.push_str(&title.to_uppercase()),
                Line::Heading(heading) => text.push_str(&heading.to_uppercase()),
                Line::Code(code) if code.is_empty() => {}
                Line::Code(code) => text.push_str(&format!("    {code}")),
                Line::Prose(prose) => text.push_str(&prose),
                Line::Fence => continue,
            }
            text.push('\n');
        }
        text
    }

    /// The body of a manual page: man(7) requests, sections below the title.
    pub fn roff(&self) -> String {
        roff(&self.markdown(), "SH")
    }

    /// As [`Self::roff`], for a section of another page.
    pub fn roff_section(&self) -> String {
        roff(self.markdown, "SS")
    }
}

/// A line of the Markdown, by its kind.
enum Line {
    Title(String),
    Heading(String),
    Fence,
    Code(String),
    Prose(String),
}

fn lines(markdown: &str) -> Vec<Line> {
    let mut in_code = false;
    let line = |line: &str| {
        if line.starts_with("```") {
            in_code = !in_code;
            return Line::Fence;
        }
        let owned = str::to_owned;
        match (in_code, line.strip_prefix("# "), line.strip_prefix("## ")) {
            (true, ..) => Line::Code(owned(line)),
            (_, Some(title), _) => Line::Title(owned(title)),
            (_, _, Some(heading)) => Line::Heading(owned(heading)),
            _ => Line::Prose(owned(line)),
        }
    };
    markdown.lines().map(line).collect()
}

fn roff(markdown: &str, heading: &str) -> String {
    let mut page = String::new();
    let mut in_code = false;
    for line in lines(markdown) {
        match line {
            // The manual page has its own title.
            Line::Title(_) => {}
            Line::Heading(text) => page.push_str(&format!(".{heading} \"{}\"\n", escaped(&text.to_uppercase()))),
            Line::Fence => {
                in_code = !in_code;
                page.push_str(if in_code { ".PP\n.RS 4\n.nf\n" } else { ".fi\n.RE\n" });
            }
            Line::Code(text) => page.push_str(&format!("{}\n", escaped(&text))),
            Line::Prose(text) if text.is_empty() => page.push_str(".PP\n"),
            Line::Prose(text) => page.push_str(&prose(&text)),
        }
    }
    page
}

/// A line of a paragraph, or of a list: code in bold, entries with a mark.
fn prose(text: &str) -> String {
    let (mark, text) = match text.split_once(' ') {
        Some(("-", rest)) => (".IP \\(bu 2\n".to_owned(), rest),
        Some((number, rest)) if number.len() == 2 && number.ends_with('.') => (format!(".IP {number} 4\n"), rest),
        _ => (String::new(), text.trim_start()),
    };
    let mut line = String::new();
    for (index, part) in text.replace("**", "").split('`').enumerate() {
        let part = escaped(part).trim_start_matches("\\&").to_owned();
        line.push_str(&if index % 2 == 1 { format!("\\fB{part}\\fR") } else { part });
    }
    format!("{mark}{}\n", if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line })
}

/// Text that roff prints unchanged (groff_man(7): a backslash begins an escape, a dot or quote at the beginning a request).
pub fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Every key of a recipe with its values: the schema, for people.
fn keys() -> String {
    let schema = recipe::schema();
    let mut text = String::new();
    describe(&schema, &schema, "", &mut text);
    text
}

/// The keys that `--set` can replace: all except those of list entries, and for tables only the keys in them.
pub fn settable_keys() -> Vec<String> {
    let text = keys();
    let paths: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ') && !line.contains("[]")).collect();
    let is_leaf = |path: &&str| !paths.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    paths.iter().copied().filter(|path| is_leaf(path) && !matches!(*path, "schema" | "extends")).map(str::to_owned).collect()
}

/// Add the keys of `node`, whose own path is `path`. `check[]` is an entry of the list `check`.
fn describe(schema: &Value, node: &Value, path: &str, text: &mut String) {
    let node = resolved(schema, node);
    for alternative in ["anyOf", "oneOf"].iter().filter_map(|key| node[*key].as_array()).flatten() {
        describe(schema, alternative, path, text);
    }
    for (key, value) in node["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let kind = kind(schema, value);
        let default = shown_default(&value["default"]);
        text.push_str(&format!("{path}\n    {kind}{default}\n"));
        let about = value["description"].as_str().or_else(|| resolved(schema, value)["description"].as_str()).unwrap_or_default();
        for line in wrapped(&about.split_whitespace().collect::<Vec<_>>().join(" "), WIDTH - 8) {
            text.push_str(&format!("    {line}\n"));
        }
        describe(schema, value, &path, text);
    }
    if node["items"].is_object() {
        describe(schema, &node["items"], &format!("{path}[]"), text);
    }
}

fn resolved<'a>(schema: &'a Value, node: &'a Value) -> &'a Value {
    let name = node["$ref"].as_str().and_then(|to| to.strip_prefix("#/$defs/"));
    name.map_or(node, |name| &schema["$defs"][name])
}

/// `text`, `a number`, `one of "gpt", "mbr"`.
fn kind(schema: &Value, node: &Value) -> String {
    let mut words = Vec::new();
    let mut kinds = Vec::new();
    gather(schema, node, &mut words, &mut kinds);
    if !words.is_empty() {
        kinds.insert(0, words.join(" or "));
    }
    kinds.dedup();
    kinds.join(", or ")
}

fn gather(schema: &Value, node: &Value, words: &mut Vec<String>, kinds: &mut Vec<String>) {
    let node = resolved(schema, node);
    for alternative in ["anyOf", "oneOf"].iter().filter_map(|key| node[*key].as_array()).flatten() {
        gather(schema, alternative, words, kinds);
    }
    let listed = node["enum"].as_array().into_iter().flatten().chain(node.get("const"));
    let before = words.len();
    words.extend(listed.map(Value::to_string));
    let kind = match node["type"].as_str() {
        Some("string") if words.len() == before => "text",
        Some("integer") => "a whole number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        Some("object") => "a table",
        _ => return,
    };
    kinds.push(kind.to_owned());
}

/// `; default "8G"`, for a default that fits on a line.
fn shown_default(default: &Value) -> String {
    match default {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => format!("; default {default}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{environment, exit};

    /// Every path of keys in the schema, found in another way than by [`describe`]: by a walk over all `properties`.
    fn names(node: &Value, found: &mut Vec<String>) {
        if let Some(properties) = node["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        match node {
            Value::Object(map) => map.values().for_each(|value| names(value, found)),
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            _ => {}
        }
    }

    fn text(topic: &str) -> String {
        Topic::named(topic).unwrap().text()
    }

    #[test]
    fn the_reference_is_complete() {
        let recipe = text("recipe");
        let mut keys = Vec::new();
        names(&crate::recipe::schema(), &mut keys);
        assert!(keys.len() > 100);
        for key in keys {
            let is_there = |line: &str| line.trim().rsplit('.').next() == Some(&key);
            assert!(recipe.lines().any(is_there), "`help recipe` lacks the key {key}");
        }
        for name in crate::recipe::builtin_names() {
            assert!(recipe.contains(&format!("`{name}`:")), "`help recipe` lacks {name}");
        }
        let codes = text("exit-codes");
        for code in exit::ALL {
            assert!(codes.lines().any(|line| line.trim().starts_with(&format!("{code}  "))), "`help exit-codes` lacks {code}");
        }
        assert!(codes.contains("(SIGHUP), a run\nends with 129"), "`help exit-codes` lacks SIGHUP");
        let variables = text("environment");
        for name in environment::names_read() {
            assert!(variables.contains(&format!("`{name}`")), "`help environment` lacks {name}");
        }
        let artifact = text("artifact");
        for file in [
            "NAME.qcow2",
            crate::artifact::MANIFEST_FILE,
            crate::artifact::PAGE_FILE,
            crate::artifact::SUMS_FILE,
            crate::artifact::EVENTS_FILE,
        ] {
            assert!(artifact.lines().any(|line| line.trim().starts_with(&format!("{file}  "))), "`help artifact` lacks {file}");
        }
    }

    #[test]
    fn topics_fit_a_terminal() {
        for topic in TOPICS {
            for line in lines(topic.markdown) {
                if let Line::Prose(line) = line {
                    assert!(line.chars().count() <= WIDTH, "{}: {line}", topic.name);
                }
            }
            assert!(topic.markdown.starts_with("# ") && topic.markdown.ends_with('\n'), "{}", topic.name);
            assert!(topic.markdown.matches("```").count() % 2 == 0, "{}: a code block does not end", topic.name);
            assert!(!topic.text().contains("```"), "{}", topic.name);
        }
    }

    #[test]
    fn pages_are_roff() {
        for (markdown, expected) in [
            ("## Two words\n", ".SH \"TWO WORDS\"\n"),
            ("a `b-c` d\n", "a \\fBb\\-c\\fR d\n"),
            ("`.part` is\n", "\\fB.part\\fR is\n"),
            ("- one\n  more\n", ".IP \\(bu 2\none\nmore\n"),
            ("1. one\n", ".IP 1. 4\none\n"),
            ("```sh\n.x \\n\n```\n", ".PP\n.RS 4\n.nf\n\\&.x \\en\n.fi\n.RE\n"),
        ] {
            assert_eq!(roff(markdown, "SH"), expected, "{markdown}");
        }
    }
}
