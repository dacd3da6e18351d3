//! Enforces the house rules: which module may import which, and in which files a few calls are allowed.

mod circles;
mod names;
pub mod scanner;

use std::fs;
use std::path::{Path, PathBuf};

use scanner::{Site, scan};

/// The modules of `src/` in reading order, each with the modules that it may import. The code must follow this table.
const TABLE: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("hardware", &["base"]),
    ("recipe", &["base", "hardware"]),
    ("kickstart", &["base"]),
    ("installer", &["base", "recipe", "kickstart"]),
    ("packages", &["base"]),
    ("cache", &["base"]),
    ("sources", &["base", "recipe", "packages", "cache"]),
    ("closure", &["base", "recipe", "kickstart", "installer", "packages", "cache", "sources"]),
    ("plan", &["base", "recipe", "installer", "packages", "sources"]),
    ("machine", &["base", "hardware"]),
    ("handover", &["base", "hardware"]),
    ("image", &["base", "hardware", "packages", "handover"]),
    ("inventory", &["base", "packages", "image"]),
    ("sbom", &["base", "packages"]),
    ("compare", &["base", "packages", "image", "inventory"]),
    // `recipe` is not in the design's table. It is allowed because planned work holds value types of the recipe (a disk's layout, a
    // provision step). Copies of them in `plan` would add code and no safety.
    ("stages", &["base", "recipe", "plan", "installer", "sources", "machine", "image"]),
    ("audit", &["base", "packages", "image", "inventory"]),
    ("verify", &["base", "recipe", "machine", "image", "audit"]),
    ("artifact", &["base", "packages", "plan", "image", "verify"]),
    (
        "preflight",
        &[
            "base",
            "recipe",
            "kickstart",
            "installer",
            "packages",
            "cache",
            "sources",
            "closure",
            "plan",
            "machine",
            "image",
            "stages",
            "audit",
            "verify",
            "artifact",
        ],
    ),
    ("report", &["base", "image", "verify"]),
    ("run", &["base", "hardware", "installer", "cache", "artifact", "machine", "handover", "image"]),
    (
        "pipeline",
        &[
            "base",
            "recipe",
            "kickstart",
            "installer",
            "packages",
            "cache",
            "sources",
            "plan",
            "machine",
            "image",
            "inventory",
            "compare",
            "stages",
            "audit",
            "verify",
            "artifact",
            "preflight",
            "run",
            "report",
        ],
    ),
    (
        "cli",
        &[
            "base",
            "recipe",
            "kickstart",
            "installer",
            "packages",
            "cache",
            "sources",
            "closure",
            "plan",
            "machine",
            "handover",
            "image",
            "inventory",
            "sbom",
            "compare",
            "stages",
            "audit",
            "verify",
            "artifact",
            "preflight",
            "pipeline",
            "run",
        ],
    ),
];

const MAX_LINES: usize = 600;
const MAX_LINES_OF_MAIN: usize = 30;

/// Everything wrong with one file: `path:line: what`. `path` is relative to `src/`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let scan = scan(path, text);
    let owner = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let allowed = TABLE.iter().find(|(name, _)| *name == owner).map(|(_, allowed)| *allowed);
    let mut found = Vec::new();
    let mut say = |site: &Site, what: String| found.push(format!("{path}:{}: {what}", site.line));
    if let Some(allowed) = allowed {
        for (module, site) in &scan.imports {
            let known = TABLE.iter().any(|(name, _)| name == module);
            if module != owner && !allowed.contains(&module.as_str()) {
                let why =
                    if known { format!("`{owner}` may not import `{module}`") } else { format!("`{module}` is not a module of the table") };
                say(site, why);
            }
        }
    }
    for site in &scan.opaque {
        say(site, "`crate` is renamed or imported whole, which hides imports".into());
    }
    for site in scan.commands.iter().filter(|site| !site.in_test && !path.starts_with("base/process")) {
        say(site, "`Command::new` outside base/process".into());
    }
    for (_, site) in &scan.environment {
        // base/process.rs looks programs up in PATH, and passes a list of variables to them.
        if !site.in_test && path != "cli/environment.rs" && path != "base/process.rs" {
            say(site, "the environment is read outside cli/environment.rs".into());
        }
    }
    for site in scan.prints.iter().filter(|_| path != "cli/printer.rs") {
        say(site, "standard output or error is written outside cli/printer.rs".into());
    }
    for site in &scan.allows {
        say(site, "`allow` of a lint; use `#[expect(…, reason = …)]`".into());
    }
    if path.ends_with("/mod.rs") {
        found.push(format!("{path}: write `x.rs` beside `x/` instead of a mod.rs in it"));
    }
    let lines = text.lines().count();
    let limit = if path == "main.rs" { MAX_LINES_OF_MAIN } else { MAX_LINES };
    if lines > limit {
        found.push(format!("{path}: {lines} lines, more than {limit}"));
    }
    found
}

/// The top-level modules in `src/` that are not in the table.
fn unknown_modules(top_level: &[String]) -> Vec<String> {
    let stems = top_level.iter().map(|name| name.trim_end_matches(".rs"));
    stems.filter(|stem| !["lib", "main"].contains(stem) && !TABLE.iter().any(|(name, _)| name == stem)).map(str::to_owned).collect()
}

/// The modules declared by `lib.rs` that are not in reading order.
fn out_of_order(lib: &str) -> Vec<String> {
    let position = |module: &str| TABLE.iter().position(|(name, _)| *name == module);
    let declared = scan("lib.rs", lib).declared;
    declared.windows(2).filter(|pair| position(&pair[0]) > position(&pair[1])).map(|pair| pair.join(" before ")).collect()
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn the_source_keeps_the_house_rules() {
    let mut files = Vec::new();
    rust_files(&src(), &mut files);
    files.sort();
    assert!(files.len() > 5, "only {} files found in {}", files.len(), src().display());
    let found: Vec<_> = files
        .iter()
        .flat_map(|file| violations(file.strip_prefix(src()).unwrap().to_str().unwrap(), &fs::read_to_string(file).unwrap()))
        .collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    let nameless: Vec<_> = files.iter().filter(|file| !says_its_purpose(&fs::read_to_string(file).unwrap())).collect();
    assert!(nameless.is_empty(), "begin these files with a line that says what they are for, `//! …`:\n{nameless:#?}");
}

/// Whether the first line of a file states its purpose.
fn says_its_purpose(text: &str) -> bool {
    text.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|purpose| purpose.len() > 10)
}

#[test]
fn a_purpose_stands_in_the_first_line() {
    for (text, expected) in
        [("//! Reads disks.\n", true), ("//!\n", false), ("// Reads disks.\n", false), ("use x;\n//! Reads disks.\n", false)]
    {
        assert_eq!(says_its_purpose(text), expected, "{text}");
    }
}

#[test]
fn no_file_imports_itself_through_others() {
    let mut files = Vec::new();
    rust_files(&src(), &mut files);
    let texts: Vec<_> =
        files.iter().map(|file| (file.strip_prefix(src()).unwrap().to_str().unwrap(), fs::read_to_string(file).unwrap())).collect();
    let texts: Vec<_> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let found = circles::circles(&texts);
    let ways: Vec<_> = found.iter().map(|circle| &circle.way).collect();
    assert!(ways.is_empty(), "move what both files need to a file of its own, which both import:\n{ways:#?}");
}

#[test]
fn every_module_is_in_the_table_and_declared_in_its_order() {
    let top: Vec<_> = fs::read_dir(src()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(unknown_modules(&top), [""; 0]);
    assert_eq!(out_of_order(&fs::read_to_string(src().join("lib.rs")).unwrap()), [""; 0]);
}

#[test]
fn the_table_has_no_cycle() {
    for (at, (name, allowed)) in TABLE.iter().enumerate() {
        for import in *allowed {
            assert!(TABLE[..at].iter().any(|(earlier, _)| earlier == import), "`{name}` imports `{import}`, which is not read before it");
        }
    }
}

/// The rules fire: each row is a file, its text, and the expected findings (line and a fragment), in order.
#[test]
fn each_rule_fires_where_it_must_and_only_there() {
    let long = "//\n".repeat(MAX_LINES + 1);
    let long_main = "//\n".repeat(MAX_LINES_OF_MAIN + 1);
    type Said<'a> = &'a [(usize, &'a str)];
    let cases: &[(&str, &str, Said)] = &[
        ("recipe/x.rs", "use crate::base::size;\nuse crate::recipe::Recipe;", &[]),
        ("recipe/x.rs", "use crate::machine::Machine;", &[(1, "`recipe` may not import `machine`")]),
        ("recipe/x.rs", "use crate::{base, machine::{a, b}, image};", &[(1, "`machine`"), (1, "`image`")]),
        ("recipe/x.rs", "use {std::fmt, crate::{base::{x, y}, cli}};", &[(1, "`cli`")]),
        ("recipe/x.rs", "fn f() {\n  crate :: machine\n  ::go();\n}", &[(2, "`machine`")]),
        ("recipe/x.rs", "use crate::nowhere::x;", &[(1, "not a module of the table")]),
        ("recipe/x.rs", "// crate::machine::x\n/* crate::machine /* crate::image */ */ const S: &str = \"crate::machine\";", &[]),
        ("recipe/x.rs", "const S: &str = r##\"crate::image \"# \"##; const C: char = '\"'; use crate::image;", &[(1, "`image`")]),
        ("recipe/x.rs", "fn f<'a>(x: &'a str) { let c = '\\''; crate::image::f() }", &[(1, "`image`")]),
        ("recipe/x.rs", "use super::super::machine::x;", &[(1, "`machine`")]),
        ("recipe/x.rs", "use super::resolved;\nmod tests { use super::super::resolved; }", &[]),
        ("recipe.rs", "use super::machine;\npub(super) fn f() {}", &[(1, "`machine`")]),
        ("recipe.rs", "mod tests { use super::*; use super::super::machine; }", &[(1, "`machine`")]),
        ("recipe/x.rs", "pub(crate) fn f() {}\npub(in crate::recipe) fn g() {}", &[]),
        ("recipe/x.rs", "use crate as me;\nuse crate::*;\nuse crate::{self as me};", &[(1, "renamed"), (2, "whole"), (3, "renamed")]),
        ("pipeline.rs", "use crate::stages;\nuse crate::cli;", &[(2, "`pipeline` may not import `cli`")]),
        ("cli/x.rs", "use std::process::Command;\nfn f() { Command::new(\"x\"); }", &[(2, "Command::new")]),
        (
            "cli/x.rs",
            "#[cfg(test)]\nmod tests { fn f() { Command::new(\"x\"); env::var(\"X\"); } }\nfn g() { Command::new(\"x\"); }",
            &[(3, "Command::new")],
        ),
        ("base/process.rs", "fn f() { Command::new(\"x\"); std::env::var_os(\"PATH\"); }", &[]),
        ("base/process.rs", "fn f() { std::env::vars_os(); }", &[]),
        ("base/process/x.rs", "fn f() { Command::new(\"x\"); }", &[]),
        ("base/x.rs", "use std::env::{self, vars};\nfn f() { env!(\"X\"); env::current_dir(); }", &[(1, "environment")]),
        ("cli/environment.rs", "fn f() { std::env::var_os(\"HOME\"); }", &[]),
        ("cli/x.rs", "fn f() { std::env::var_os(\"HOME\"); }", &[(1, "environment")]),
        (
            "base/x.rs",
            "fn f() {\n println!(\"\");\n eprint!(\"\");\n std::io::stdout();\n}",
            &[(2, "standard"), (3, "standard"), (4, "standard")],
        ),
        ("cli/printer.rs", "fn f() { std::io::stdout(); }", &[]),
        (
            "base/x.rs",
            "#![allow(dead_code)]\n#[expect(x, reason = \"allow(\")]\n#[cfg_attr(test, allow(y))]",
            &[(1, "allow"), (3, "allow")],
        ),
        ("base/x.rs", "fn allow(x: u8) { allow(x) }", &[]),
        ("base/x.rs", &long, &[(0, "601 lines, more than 600")]),
        ("base/x/mod.rs", "", &[(0, "instead of a mod.rs")]),
        ("main.rs", &long_main, &[(0, "31 lines, more than 30")]),
    ];
    for (path, text, expected) in cases {
        let found = violations(path, text);
        assert_eq!(found.len(), expected.len(), "{path}: {text}\n{found:?}");
        for (said, (line, fragment)) in found.iter().zip(*expected) {
            let place = if *line == 0 { format!("{path}: ") } else { format!("{path}:{line}: ") };
            assert!(said.starts_with(&place) && said.contains(fragment), "{text}\n{said}\n{place}{fragment}");
        }
    }
}

#[test]
fn unknown_and_misplaced_modules_are_named() {
    let top = ["lib.rs", "main.rs", "base", "pipeline.rs", "util", "misc.rs"].map(str::to_owned);
    assert_eq!(unknown_modules(&top), ["util", "misc"]);
    assert_eq!(out_of_order("pub mod recipe;\npub mod base;\nmod cli;"), ["recipe before base"]);
}
