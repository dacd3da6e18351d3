//! Any text of a recipe is either installed unchanged or refused. It is never executed.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use goldsmith::base::account::Owner;
use goldsmith::base::fault::Fault;
use goldsmith::base::image_path::ImagePath;
use goldsmith::base::package::PackageName;
use goldsmith::base::secret::Secret;
use goldsmith::kickstart::quote;
use goldsmith::recipe::{Content, FileEntry, Password, Recipe};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::recipes::{KEY, lab};
use super::render;
use super::scripts::{Scratch, script, sections};

/// Puts a text into a recipe.
type Set<T = ()> = fn(&mut Recipe, String) -> T;

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
    let free: [(&'static str, Set); 5] = [
        ("name", |r, t| r.name = t),
        ("summary", |r, t| r.summary = t),
        ("root password", |r, t| r.system.root.password = Password::Env { name: t.clone(), value: Secret::new(t) }),
        ("repository file", |r, t| r.repositories[0].kept.as_mut().unwrap().file = format!("{t}.repo")),
        ("file content", |r, t| {
            r.files.push(FileEntry {
                path: ImagePath::made("/x/y"),
                mode: 0o644,
                owner: Owner::root(),
                content: Content::Inline { text: t },
            });
        }),
    ];
    let typed: [(&'static str, Set<Result<(), Fault>>); 15] = [
        ("hostname", |r, t| {
            r.system.hostname = t.parse()?;
            Ok(())
        }),
        ("repository id", |r, t| {
            r.repositories[0].id = t.parse()?;
            Ok(())
        }),
        ("argument", |r, t| {
            r.kernel.arguments = vec![t.parse()?];
            Ok(())
        }),
        ("timezone", |r, t| {
            r.system.timezone = t.parse()?;
            Ok(())
        }),
        ("locale", |r, t| {
            r.system.locale = t.parse()?;
            Ok(())
        }),
        ("keyboard", |r, t| {
            r.system.keyboard = t.parse()?;
            Ok(())
        }),
        ("root hash", |r, t| {
            r.system.root.password = Password::Hash { hash: t.parse()? };
            Ok(())
        }),
        ("root key", |r, t| {
            r.system.root.ssh_keys = vec![format!("{KEY} {t}").parse()?];
            Ok(())
        }),
        ("unpack_to", |r, t| {
            r.repositories[0].kept.as_mut().unwrap().unpack_to = format!("/{t}").parse()?;
            Ok(())
        }),
        ("module", |r, t| {
            r.kernel.modules = vec![t.parse()?];
            Ok(())
        }),
        ("sysctl key", |r, t| {
            r.kernel.sysctl = [(t.parse()?, "1".parse()?)].into();
            Ok(())
        }),
        ("sysctl value", |r, t| {
            r.kernel.sysctl = [("a.b".parse()?, t.parse()?)].into();
            Ok(())
        }),
        ("package", |r, t| {
            r.packages.install.push(PackageName::of_rpm(&t)?);
            Ok(())
        }),
        ("unit", |r, t| {
            r.services.enable.push(t.parse()?);
            Ok(())
        }),
        ("file path", |r, t| {
            let content = Content::Inline { text: "x\n".into() };
            r.files.push(FileEntry { path: format!("/x/{t}").parse()?, mode: 0o644, owner: Owner::root(), content });
            Ok(())
        }),
    ];
    let poisoned = |(name, set): (&'static str, Set)| {
        let mut recipe = lab();
        set(&mut recipe, text.to_owned());
        (name, recipe)
    };
    // A text that is no value of the field's type cannot get into a recipe.
    let poisoned_if_it_fits = |(name, set): (&'static str, Set<Result<(), Fault>>)| {
        let mut recipe = lab();
        set(&mut recipe, text.to_owned()).ok().map(|()| (name, recipe))
    };
    free.into_iter().map(poisoned).chain(typed.into_iter().filter_map(poisoned_if_it_fits)).collect()
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
