//! Lays a recipe over the one that it extends.
//!
//! Tables merge key by key, and lists grow: what the upper recipe lists is added to what the lower one has. Entries that are known by a name
//! merge with the entry of the same name. `replace` removes a list or table of the lower recipe first.

use super::resolved::Inherited;
use super::tree::{Entry, KeyPath, Node, Place, Value};
use super::written::CHECK_KINDS;

/// The key that identifies an entry of a list, by the list's path.
const NAMED: [(&[&str], &str); 11] = [
    (&["repository"], "id"),
    (&["repository", "upstream"], "name"),
    (&["interface"], "name"),
    (&["group"], "name"),
    (&["user"], "name"),
    (&["file"], "path"),
    (&["certificate_authority"], "name"),
    (&["unit"], "name"),
    (&["provision"], "name"),
    (&["provision", "files"], "path"),
    (&["check"], "name"),
];

/// Lists whose items are alternatives for one thing, in an order: the upper recipe's list is for something else, so it replaces the lower
/// one.
const ALTERNATIVES: [&str; 3] = ["urls", "dns", "ntp"];

/// Keys of which a table has only one: the upper recipe's replaces the lower one's.
const ONE_OF: [(&[&str], &[&str]); 10] = [
    (&["repository"], &["archive", "upstream"]),
    (&["repository", "gpg_keys"], &["file", "url"]),
    (&["interface"], &["vlan", "bond"]),
    (&["user"], &["password_env", "password_hash"]),
    (&["file"], &["content", "source"]),
    (&["certificate_authority"], &["content", "source"]),
    (&["unit"], &["content", "source"]),
    (&["provision"], &["script", "script_file"]),
    (&["provision", "files"], &["content", "source"]),
    (&["check"], &CHECK_KINDS),
];

/// The `extends` of a recipe.
#[derive(Debug, Clone)]
pub(super) struct Extends {
    /// The other recipe.
    pub reference: String,
    /// Where that is written.
    pub place: Place,
    /// Lists and tables of the other recipe that are removed, and where that is written.
    pub replace: Vec<(KeyPath, Place)>,
}

/// Take `extends` out of a tree. A value that does not fit the schema stays, so that the walker reports it.
pub(super) fn take_extends(tree: &mut Node) -> Option<Extends> {
    let Value::Table(table) = &mut tree.value else { return None };
    let found = read_extends(&table.get("extends")?.node)?;
    table.remove("extends");
    Some(found)
}

fn read_extends(node: &Node) -> Option<Extends> {
    let entries = match &node.value {
        Value::String(reference) => {
            return Some(Extends { reference: reference.clone(), place: node.place.clone(), replace: Vec::new() });
        }
        Value::Table(entries) if entries.keys().all(|key| ["recipe", "replace"].contains(&key.as_str())) => entries,
        _ => return None,
    };
    let Node { value: Value::String(reference), place } = &entries.get("recipe")?.node else { return None };
    let replace = match entries.get("replace").map(|entry| &entry.node.value) {
        None => Vec::new(),
        Some(Value::Array(items)) => {
            let path = |item: &Node| match &item.value {
                Value::String(dotted) => Some((KeyPath::from(dotted.as_str()), item.place.clone())),
                _ => None,
            };
            items.iter().map(path).collect::<Option<_>>()?
        }
        Some(_) => return None,
    };
    Some(Extends { reference: reference.clone(), place: place.clone(), replace })
}

/// Remove the value at `path` from `node`, in every item of the lists on the way. Returns whether there was any.
pub(super) fn remove(node: &mut Node, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return false };
    match &mut node.value {
        Value::Table(table) if rest.is_empty() => table.remove(step).is_some(),
        Value::Table(table) => table.get_mut(step).is_some_and(|entry| remove(&mut entry.node, rest)),
        // All items are searched, also after the first that had it.
        Value::Array(items) => {
            let mut found = false;
            for item in items {
                found |= remove(item, path);
            }
            found
        }
        _ => false,
    }
}

/// Lay `over` on top of `base`.
pub(super) fn lay(base: &mut Node, over: Node) {
    lay_at(base, over, &mut Vec::new());
}

fn lay_at(base: &mut Node, over: Node, path: &mut Vec<String>) {
    match (&mut base.value, over.value) {
        // `system.root` counts as one value, so that a recipe which locks root does not inherit its parent's password.
        (Value::Table(_), value @ Value::Table(_)) if path.iter().eq(["system", "root"]) => base.value = value,
        (Value::Table(table), Value::Table(entries)) => {
            for (_, keys) in ONE_OF.iter().filter(|(home, _)| path.iter().eq(*home)) {
                if keys.iter().any(|key| entries.contains_key(*key)) {
                    table.retain(|key, _| !keys.contains(&key.as_str()) || entries.contains_key(key));
                }
            }
            for (key, Entry { key: place, node }) in entries {
                match table.get_mut(&key) {
                    Some(below) => {
                        below.key = place;
                        path.push(key);
                        lay_at(&mut below.node, node, path);
                        path.pop();
                    }
                    None => drop(table.insert(key, Entry { key: place, node })),
                }
            }
        }
        (Value::Array(items), Value::Array(new)) if !path.last().is_some_and(|last| ALTERNATIVES.contains(&last.as_str())) => {
            add(items, new, path);
        }
        (_, value) => base.value = value,
    }
    base.place = over.place;
}

/// Add items to a list. An item that is there already, with the same name or value, is not added twice.
fn add(items: &mut Vec<Node>, new: Vec<Node>, path: &mut Vec<String>) {
    let key = NAMED.iter().find(|(home, _)| path.iter().eq(*home)).map(|(_, key)| *key);
    for item in new {
        let name = key.and_then(|key| text(&item, key)).map(str::to_owned);
        let same = items.iter_mut().find(|below| match (&name, key) {
            (Some(name), Some(key)) => text(below, key) == Some(name),
            _ => matches!((&below.value, &item.value), (Value::String(one), Value::String(other)) if one == other),
        });
        match same {
            Some(below) => lay_at(below, item, path),
            None => items.push(item),
        }
    }
}

/// The text that a table has under a key.
fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.table()?.get(key)?.node.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The lists of a recipe, for people: a recipe that is laid over it inherits them.
pub(super) fn lists(node: &Node) -> Vec<Inherited> {
    fn walk(node: &Node, path: &KeyPath, found: &mut Vec<Inherited>) {
        match &node.value {
            Value::Table(table) => table.iter().for_each(|(key, entry)| walk(&entry.node, &path.at(key), found)),
            Value::Array(items) if !path.0.last().is_some_and(|last| ALTERNATIVES.contains(&last.as_str())) => {
                found.push(Inherited { list: path.to_string(), items: items.iter().map(label).collect() });
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(node, &KeyPath::default(), &mut found);
    found
}

/// The label of an item: its text, its name, or its subject, such as `service docker`.
fn label(item: &Node) -> String {
    if let Value::String(text) = &item.value {
        return text.clone();
    }
    let of = |node: &Node| {
        ["name", "id", "path", "archive", "unit", "key", "run", "number"].iter().find_map(|key| text(node, key)).map(str::to_owned)
    };
    of(item).unwrap_or_else(|| {
        let Some((kind, entry)) = item.table().and_then(|table| table.first_key_value()) else { return "an item".to_owned() };
        of(&entry.node).map_or_else(|| kind.clone(), |name| format!("{kind} {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::parse;
    use super::*;

    fn laid(base: &str, over: &str) -> Node {
        let mut base = parse(0, base).unwrap();
        lay(&mut base, parse(1, over).unwrap());
        base
    }

    fn items(node: &Node, path: &str) -> Vec<String> {
        lists(node).into_iter().find(|list| list.list == path).map(|list| list.items).unwrap_or_default()
    }

    #[test]
    fn tables_merge_and_values_are_replaced() {
        let tree = laid(
            "a = 1\n[system]\nhostname = \"x\"\nroot = { password_env = \"P\" }",
            "[system]\nroot = { ssh_keys = [] }\nlocale = \"C\"",
        );
        let at = |path: &str| tree.source(&KeyPath::from(path));
        assert_eq!((at("a"), at("system.hostname"), at("system.locale"), at("system.root")), (0, 0, 1, 1));
        let root = tree.table().unwrap()["system"].node.table().unwrap()["root"].node.table().unwrap();
        assert_eq!(root.keys().collect::<Vec<_>>(), ["ssh_keys"]);
    }

    #[test]
    fn lists_grow_and_what_is_there_is_not_there_twice() {
        let tree = laid(
            "packages.install = [\"docker.io\", \"less\"]\nsystem.network.dns = [\"192.0.2.1\"]\n[[check]]\nservice.unit = \"docker\"",
            "packages.install = [\"htop\", \"less\"]\nsystem.network.dns = [\"192.0.2.2\"]\n[[check]]\nservice.unit = \"docker\"",
        );
        assert_eq!(items(&tree, "packages.install"), ["docker.io", "less", "htop"]);
        assert_eq!(items(&tree, "check"), ["service docker", "service docker"]);
        assert_eq!(tree.source(&KeyPath::from("system.network.dns.0")), 1, "name servers are in an order");
        assert_eq!((tree.source(&KeyPath::from("check.0")), tree.source(&KeyPath::from("check.1"))), (0, 1));
    }

    #[test]
    fn entries_of_one_name_merge() {
        let tree = laid(
            "[[user]]\nname = \"ada\"\ngroups = [\"docker\"]\npassword_env = \"P\"\n[[file]]\npath = \"/a\"\nmode = \"0600\"\ncontent = \"x\"\n\
             [[check]]\nname = \"release\"\nfile = { path = \"/etc/a\", contains = \"7.5\" }\n\
             [[repository]]\nid = \"k\"\narchive = { path = \"x\" }\nunpack_to = \"/k\"",
            "[[user]]\nname = \"ada\"\ngroups = [\"adm\"]\npassword_hash = \"$6$x\"\n[[user]]\nname = \"bob\"\n[[file]]\npath = \"/a\"\nsource = \"y\"\n\
             [[check]]\nname = \"release\"\nfile = { path = \"/etc/a\", contains = \"7.9\" }\n\
             [[repository]]\nid = \"k\"\nupstream = [{ name = \"u\", urls = [] }]",
        );
        assert_eq!((items(&tree, "user"), items(&tree, "check").len()), (vec!["ada".to_owned(), "bob".to_owned()], 1));
        let has = |path: &str| tree.has(&KeyPath::from(path));
        for path in
            ["user.0.groups.1", "user.0.password_hash", "file.0.source", "file.0.mode", "repository.0.upstream", "repository.0.unpack_to"]
        {
            assert!(has(path), "{path}");
        }
        for path in ["user.0.password_env", "file.0.content", "file.1", "repository.0.archive", "check.1"] {
            assert!(!has(path), "{path}");
        }
        assert_eq!(tree.source(&KeyPath::from("check.0.file.contains")), 1);
        let tree = laid("[[check]]\nname = \"web\"\nport.number = 80", "[[check]]\nname = \"web\"\nhttp.url = \"http://localhost/\"");
        assert!(tree.has(&KeyPath::from("check.0.http")) && !tree.has(&KeyPath::from("check.0.port")));
    }

    #[test]
    fn what_is_to_be_replaced_goes_first() {
        let mut tree =
            parse(0, "packages.install = [\"a\"]\n[[repository]]\nid = \"x\"\n[[repository]]\nid = \"k\"\nupstream = []").unwrap();
        for (path, found) in [("packages.install", true), ("repository.upstream", true), ("repository.upstream", false), ("check", false)] {
            assert_eq!(remove(&mut tree, &KeyPath::from(path).0), found, "{path}");
        }
        assert_eq!((items(&tree, "packages.install").len(), items(&tree, "repository")), (0, vec!["x".to_owned(), "k".to_owned()]));
    }
}
