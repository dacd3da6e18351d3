//! Circles of imports between files.
//!
//! File A imports file B when code of A names an item that is defined in B. The name is followed through use declarations, so that a
//! re-export neither hides an import nor counts as one. A module that only re-exports its own descendants imports none of them. Code for
//! tests only is left out. (A file for tests only is read like any other: no other code names it, so it cannot be part of a circle.)
//!
//! Two kinds of imports are not found: types that are used without being named, and names in lower case that come by `pub use` or `*` and
//! are passed on without a call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::names::{Import, Module, Path, modules};

/// One import: the name, and the line with it.
#[derive(Debug, Clone)]
struct Edge {
    name: String,
    line: usize,
}

/// The imports of each file: the first line of every other file that it needs.
type Imports = BTreeMap<String, BTreeMap<String, Edge>>;

/// Files that import each other in a circle.
#[derive(Debug)]
pub struct Circle {
    /// The files in the order of their names: `a.rs b.rs`.
    pub files: String,
    /// The names that form the circle: `a.rs:1 (Name) -> b.rs:2 (Other) -> a.rs`.
    pub way: String,
}

/// The circles of imports between `files`, each a path relative to `src/` and its text: for every import that is part of a circle the
/// shortest one, each once, short ones first.
pub fn circles(files: &[(&str, &str)]) -> Vec<Circle> {
    let imports = Tree::read(files).imports();
    let mut found = BTreeMap::new();
    for (from, targets) in &imports {
        for to in targets.keys() {
            if let Some(way) = shortest(&imports, to, from) {
                let members: BTreeSet<&str> = way.iter().copied().collect();
                found.entry((way.len(), members)).or_insert_with(|| told(&imports, from, &way));
            }
        }
    }
    found.into_iter().map(|((_, members), way)| Circle { files: members.into_iter().collect::<Vec<_>>().join(" "), way }).collect()
}

/// The files from `from` to `to`, both included.
fn shortest<'a>(imports: &'a Imports, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(file) = queue.pop_front() {
        if file == to {
            let mut way = vec![file];
            while let Some(Some(earlier)) = before.get(way[way.len() - 1]) {
                way.push(earlier);
            }
            way.reverse();
            return Some(way);
        }
        for next in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if !before.contains_key(next.as_str()) {
                before.insert(next, Some(file));
                queue.push_back(next);
            }
        }
    }
    None
}

/// The text for the circle from `from` through `way` and back.
fn told(imports: &Imports, from: &str, way: &[&str]) -> String {
    let files: Vec<&str> = std::iter::once(from).chain(way.iter().copied()).collect();
    let steps = files.windows(2).map(|pair| {
        let edge = &imports[pair[0]][pair[1]];
        format!("{}:{} ({})", pair[0], edge.line, edge.name)
    });
    steps.chain([from.to_owned()]).collect::<Vec<_>>().join(" -> ")
}

/// The target of a path.
#[derive(Debug, Clone)]
enum Target {
    /// An item of this name in this file.
    Item(String, String),
    Module(Path),
}

/// The lookups in progress. A name that is looked for again within its own lookup is not found.
type Seen = BTreeSet<(Path, String)>;

/// Every module that is not for tests only, by its path.
struct Tree {
    modules: BTreeMap<Path, Module>,
}

impl Tree {
    fn read(files: &[(&str, &str)]) -> Self {
        // main.rs is a separate crate, which no file imports.
        let files = files.iter().filter(|(path, _)| *path != "main.rs");
        let modules = files.flat_map(|(path, text)| modules(path, text)).map(|module| (module.path.clone(), module));
        Self { modules: modules.collect() }
    }

    fn imports(&self) -> Imports {
        let apart = self.associated_apart();
        let methods = self.methods_apart(&apart);
        let mut imports = Imports::new();
        for module in self.modules.values() {
            let declared = module.imports.iter().filter(|import| !self.is_own_reexport(module, import));
            let declared = declared.filter(|import| import.name.is_some()).map(|import| (&import.path, import.line));
            let named = module.named.iter().map(|named| (&named.path, named.line));
            let mut add = |file: &str, name: &str, line: usize| {
                if file != module.file {
                    let targets = imports.entry(module.file.clone()).or_default();
                    targets.entry(file.to_owned()).or_insert_with(|| Edge { name: name.to_owned(), line });
                }
            };
            for (path, line) in declared.chain(named) {
                let Some(Target::Item(file, name)) = self.resolve(&module.path, path, &mut Seen::new()) else { continue };
                add(&file, &name, line);
                if let Some(other) = path.last().and_then(|last| apart.get(&(file, name, last.clone()))) {
                    add(other, &path.join("::"), line);
                }
            }
            for call in &module.calls {
                if let Some(file) = methods.get(&call.path[0]) {
                    add(file, &call.path[0], call.line);
                }
            }
        }
        imports
    }

    /// `pub use` of something below the module itself.
    fn is_own_reexport(&self, module: &Module, import: &Import) -> bool {
        let below = |file: &str| {
            let owner = self.modules.values().find(|other| other.file == file);
            owner.is_some_and(|owner| owner.path.starts_with(&module.path))
        };
        import.public
            && match self.resolve(&module.path, &import.path, &mut Seen::new()) {
                Some(Target::Item(file, _)) => below(&file),
                _ => true,
            }
    }

    /// Functions of `impl Type` blocks in another file than the type's, by the type's file, its name and their own; each with its file.
    fn associated_apart(&self) -> BTreeMap<(String, String, String), String> {
        let mut apart = BTreeMap::new();
        for module in self.modules.values() {
            for (path, function) in &module.associated {
                if let Some(Target::Item(file, name)) = self.resolve(&module.path, path, &mut Seen::new())
                    && file != module.file
                {
                    apart.insert((file, name, function.clone()), module.file.clone());
                }
            }
        }
        apart
    }

    /// Those of them whose method name is defined in no other file, so that a call needs their file.
    fn methods_apart(&self, apart: &BTreeMap<(String, String, String), String>) -> BTreeMap<String, String> {
        let mut methods = BTreeMap::new();
        for ((_, _, function), file) in apart {
            let alike = self.modules.values().filter(|module| module.methods.contains(function));
            if alike.map(|module| &module.file).collect::<BTreeSet<_>>().len() == 1 {
                methods.insert(function.clone(), file.clone());
            }
        }
        methods
    }

    /// The target of `path` in the module at `from`; `None` when it is not in this crate.
    fn resolve(&self, from: &Path, path: &[String], seen: &mut Seen) -> Option<Target> {
        let mut module = from.clone();
        let mut rest = path;
        let mut anchored = false;
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" => module.clear(),
                "super" => drop(module.pop()),
                "self" => {}
                _ => break,
            }
            anchored = true;
            rest = &rest[1..];
        }
        while let Some((name, behind)) = rest.split_first() {
            match self.lookup(&module, name, behind.is_empty(), seen) {
                Some(Target::Module(next)) => module = next,
                Some(item) => return Some(item),
                // A macro has made it, or it does not exist.
                None if anchored => return self.modules.get(&module).map(|module| Target::Item(module.file.clone(), name.clone())),
                None => return None,
            }
            anchored = true;
            rest = behind;
        }
        Some(Target::Module(module))
    }

    /// The target of `name` in the module at `path`. A module and an item may share a name. At the end of a path the item is meant.
    fn lookup(&self, path: &Path, name: &str, last: bool, seen: &mut Seen) -> Option<Target> {
        let child = Path::from_iter(path.iter().cloned().chain([name.to_owned()]));
        let child = self.modules.keys().any(|module| module.starts_with(&child)).then_some(Target::Module(child));
        if !last && child.is_some() {
            return child;
        }
        // Trees of tests may lack the file of a parent.
        let Some(module) = self.modules.get(path) else { return child };
        if module.items.contains(name) {
            return Some(Target::Item(module.file.clone(), name.to_owned()));
        }
        if !seen.insert((path.clone(), name.to_owned())) {
            return child;
        }
        let mut imports = module.imports.iter();
        if let Some(import) = imports.find(|import| import.name.as_deref() == Some(name)) {
            return self.resolve(path, &import.path, seen).or(child);
        }
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        child.or_else(|| {
            globs.into_iter().find_map(|glob| match self.resolve(path, &glob.path, seen) {
                Some(Target::Module(target)) => self.lookup(&target, name, last, seen),
                _ => None,
            })
        })
    }
}

/// Each row is a tree of files and the circles that must be found in it, as `a.rs b.rs`.
#[test]
fn circles_are_found_through_every_kind_of_path() {
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: &[(&str, Files, &[&str])] = &[
        ("two", &[("x/a.rs", "use super::b::B; pub struct A;"), ("x/b.rs", "use crate::x::a::A; pub struct B;")], &["x/a.rs x/b.rs"]),
        (
            "three",
            &[
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "pub struct B; fn f() { crate::c::c() }"),
                ("c.rs", "pub fn c() { let _ = super::a::A; }"),
            ],
            &["a.rs b.rs c.rs"],
        ),
        ("none", &[("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "pub struct B;")], &[]),
        (
            "a re-export hides no import",
            &[
                ("x/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
                ("x/a.rs", "use super::B; pub struct A;"),
                ("x/b.rs", "use super::A; pub struct B;"),
            ],
            &["x/a.rs x/b.rs"],
        ),
        (
            "a re-export is no import",
            &[
                ("x/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::*;"),
                ("x/a.rs", "use super::B; pub struct A;"),
                ("x/b.rs", "pub struct B;"),
            ],
            &[],
        ),
        (
            "through another module's re-export, under another name",
            &[
                ("x.rs", "mod a; pub use a::A as Other;"),
                ("x/a.rs", "use crate::y::b; pub struct A;"),
                ("y.rs", "pub use inner::b; mod inner;"),
                ("y/inner.rs", "pub fn b(_: crate::x::Other) {}"),
            ],
            &["x/a.rs y/inner.rs"],
        ),
        (
            "a child that needs its parent's item, and a parent whose code needs the child",
            &[("x.rs", "mod a; pub use a::A; pub struct X(A);"), ("x/a.rs", "use super::X; pub struct A;")],
            &["x.rs x/a.rs"],
        ),
        (
            "a parent that only declares and re-exports",
            &[("x.rs", "mod a; pub use a::A; pub struct X;"), ("x/a.rs", "use super::X; pub struct A;")],
            &[],
        ),
        (
            "a re-export of what stands elsewhere is an import",
            &[("a.rs", "pub use crate::b::B; pub struct A;"), ("b.rs", "use crate::a::A; pub struct B;")],
            &["a.rs b.rs"],
        ),
        (
            "a module that is imported is no import of its file before an item is named",
            &[("x.rs", "use y::b; mod y; pub struct X;"), ("x/y.rs", "pub mod b;"), ("x/y/b.rs", "use crate::x::X;")],
            &[],
        ),
        (
            "by the module's name",
            &[
                ("x.rs", "use y::b; mod y; pub struct X; fn f() { b::f::<u8>() }"),
                ("x/y.rs", "pub mod b;"),
                ("x/y/b.rs", "use crate::x::X; pub fn f<T>() {}"),
            ],
            &["x.rs x/y/b.rs"],
        ),
        (
            "the parent's private import reaches the child",
            &[
                ("x.rs", "use crate::z::Z; mod a; "),
                ("x/a.rs", "pub fn a(_: super::Z) {}"),
                ("z.rs", "pub struct Z; fn f() { crate::x::a::a(Z) }"),
            ],
            &["x/a.rs z.rs"],
        ),
        (
            "a module and a function of one name",
            &[("x.rs", "mod a; pub use a::a; pub struct X; fn f() { a() }"), ("x/a.rs", "use super::X; pub fn a() {}")],
            &["x.rs x/a.rs"],
        ),
        (
            "only tests import",
            &[
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use super::*; use crate::a::A; }\n#[cfg(test)]\nuse crate::a::A;"),
                ("b/tests.rs", "use crate::a::A;"),
            ],
            &[],
        ),
        (
            "comments and texts name nothing",
            &[("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", "// crate::a::A\npub struct B; const S: &str = \"crate::a::A\";")],
            &[],
        ),
        ("what a macro makes", &[("a.rs", "use crate::b::B; checked!(A);"), ("b.rs", "use crate::a::A; checked! { B }")], &["a.rs b.rs"]),
        (
            "an associated function in another file",
            &[("x.rs", "mod a; pub struct X; fn f() { X::new() }"), ("x/a.rs", "use super::X; impl X { pub fn new() -> Self { X } }")],
            &["x.rs x/a.rs"],
        ),
        (
            "a method in another file",
            &[("x.rs", "mod a; pub struct X; fn f(x: X) { x.go() }"), ("x/a.rs", "use super::X; impl X { pub fn go(&self) {} }")],
            &["x.rs x/a.rs"],
        ),
        (
            "within one file, through a module with braces",
            &[("a.rs", "pub struct A; mod inner { use super::A; pub struct I; } use inner::I;")],
            &[],
        ),
        (
            "two circles",
            &[
                ("a.rs", "use crate::b::B; use crate::c::C; pub struct A;"),
                ("b.rs", "use crate::a::A; pub struct B;"),
                ("c.rs", "use crate::a::A; pub struct C;"),
            ],
            &["a.rs b.rs", "a.rs c.rs"],
        ),
    ];
    for (what, files, expected) in cases {
        let found = circles(files);
        assert_eq!(found.iter().map(|circle| &circle.files).collect::<Vec<_>>(), *expected, "{what}: {found:?}");
    }
}

#[test]
fn a_circle_is_told_with_names_and_lines() {
    let files = [("a.rs", "\nuse crate::b::B;\npub struct A;"), ("b.rs", "pub struct B(\ncrate::a::A);")];
    let [circle] = &circles(&files)[..] else { panic!("one circle is there") };
    assert_eq!(circle.way, "a.rs:2 (B) -> b.rs:2 (A) -> a.rs");
}
