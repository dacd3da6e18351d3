//! Any text of a recipe is either installed unchanged or refused. It is never executed.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use goldsmith::base::secret::Secret;
use goldsmith::kickstart::quote;
use goldsmith::recipe::{Content, FileEntry, Password, Recipe};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::recipes::lab;
use super::render;
use super::scripts::{Scratch, script, sections};

/// Puts a text into a recipe.
type Set = fn(&mut Recipe, String);

const HOSTILE: [&str; 20] = [
    "'",
    "\"",
    "a'b\"c\\d",
    "$(touch canary)",
    "`touch canary`",
    "'$(touch canary)'",
    "'; touch canary; '",
    "\n%end\ntouch canary\n",
    "x\n%post\ntouch canary",
    "x\r\ny",
    "END\ntouch canary\n",
    "a # b",
    "#",
    "--plaintext",
    "%end",
    "$releasever",
    "a\\",
    "\u{2028}%end\u{85}",
    "ünï\u{0}",
    "",
];

/// Put `text` wherever a recipe takes free text.
fn poisoned(text: &str) -> Vec<(&'static str, Recipe)> {
    let setters: [(&'static str, Set); 20] = [
        ("name", |r, t| r.name = t),
        ("summary", |r, t| r.summary = t),
        ("hostname", |r, t| r.system.hostname = t),
        ("timezone", |r, t| r.system.timezone = t),
        ("locale", |r, t| r.system.locale = t),
        ("keyboard", |r, t| r.system.keyboard = t),
        ("root hash", |r, t| r.system.root.password = Password::Hash { hash: Secret::new(t) }),
        ("root password", |r, t| r.system.root.password = Password::Env { name: t.clone(), value: Secret::new(t) }),
        ("root key", |r, t| r.system.root.ssh_keys = vec![t]),
        ("repository id", |r, t| r.repositories[0].id = t),
        ("repository file", |r, t| r.repositories[0].kept.as_mut().unwrap().file = format!("{t}.repo")),
        ("unpack_to", |r, t| r.repositories[0].kept.as_mut().unwrap().unpack_to = format!("/{t}")),
        ("module", |r, t| r.kernel.modules = vec![t]),
        ("sysctl key", |r, t| r.kernel.sysctl = [(t, "1".to_owned())].into()),
        ("sysctl value", |r, t| r.kernel.sysctl = [("a.b".to_owned(), t)].into()),
        ("argument", |r, t| r.kernel.arguments = vec![t]),
        ("package", |r, t| r.packages.install.push(t)),
        ("unit", |r, t| r.services.enable.push(t)),
        ("file path", |r, t| {
            let content = Content::Inline { text: "x\n".into() };
            r.files.push(FileEntry { path: format!("/x/{t}"), mode: 0o644, owner: "root:root".into(), content });
        }),
        ("file content", |r, t| {
            r.files.push(FileEntry { path: "/x/y".into(), mode: 0o644, owner: "root:root".into(), content: Content::Inline { text: t } });
        }),
    ];
    let poison = |(name, set): (&'static str, Set)| {
        let mut recipe = lab();
        set(&mut recipe, text.to_owned());
        (name, recipe)
    };
    setters.into_iter().map(poison).collect()
}

#[test]
fn hostile_text_is_refused_or_arrives_as_it_is() {
    let headers = |text: &str| sections(text).into_iter().map(|(header, _)| header).collect::<Vec<_>>();
    let clean = headers(&render(&lab()).unwrap());
    let mut accepted = 0;
    for hostile in HOSTILE {
        for (field, recipe) in poisoned(hostile) {
            let text = match render(&recipe) {
                Ok(text) => text,
                Err(error) => {
                    assert!(!error.to_string().contains(['\n', '\r']), "{field}: {error}");
                    continue;
                }
            };
            accepted += 1;
            assert_eq!(headers(&text), clean, "{field} {hostile:?}");
            let scratch = Scratch::new();
            let output = scratch.run(&script(&text, "%post --erroronfail", "generic_initramfs"));
            assert!(output.status.success(), "{field} {hostile:?}: {}", String::from_utf8_lossy(&output.stderr));
            for file in &recipe.files {
                assert_eq!(fs::read(scratch.path("root").join(&file.path[1..])).unwrap(), file.content.bytes(), "{hostile:?}");
            }
            fs::create_dir_all(scratch.path("volume/kubernetes")).unwrap();
            assert!(
                scratch.run(&script(&text, "%post --nochroot --erroronfail", "copy_repository ")).status.success(),
                "{field} {hostile:?}"
            );
            assert!(
                scratch.path("root").join(&recipe.repositories[0].kept.as_ref().unwrap().unpack_to[1..]).is_dir(),
                "{field} {hostile:?}"
            );
            assert!(!scratch.path("canary").exists(), "{field} {hostile:?} was executed");
        }
    }
    assert!(accepted > 20, "nothing was tried: {accepted}");
}

/// Python's shlex, as both parsers call it, on lines that end in NUL.
const SHLEX: &str = "import json, shlex, sys
for line in sys.stdin.buffer.read().decode().split('\\0')[:-1]:
    print(json.dumps(shlex.split(line, comments=True)))";

#[test]
fn pythons_shlex_reads_back_what_is_quoted() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = "[^\\x00-\\x1f\\x7f-\\x9f\u{2028}\u{2029}]{0,12}|[a#'\"\\\\$ ]{0,8}";
    let strategy = proptest::string::string_regex(strategy).unwrap();
    let mut values: Vec<String> = HOSTILE.iter().map(|text| text.replace(|c: char| c.is_control() || c == '\u{2028}', "")).collect();
    values.extend((0..500).map(|_| strategy.new_tree(&mut runner).unwrap().current()));
    let lines: String = values.iter().map(|value| format!("command --option={} {}\0", quote(value), quote(value))).collect();
    let mut child = Command::new("python3").args(["-c", SHLEX]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.lines().count(), values.len());
    for (value, line) in values.iter().zip(output.lines()) {
        let words: Vec<String> = serde_json::from_str(line).unwrap();
        assert_eq!(words, ["command".to_owned(), format!("--option={value}"), value.clone()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// For the output of `quote`, shell-words splits as shlex does. proptest can shrink its cases.
    #[test]
    fn quoted_text_splits_back(values in proptest::collection::vec("[^\\x00-\\x1f]{0,12}", 0..4)) {
        let line = values.iter().map(|value| quote(value)).collect::<Vec<_>>().join(" ");
        prop_assert_eq!(shell_words::split(&line).unwrap(), values);
    }
}
