//! Files made to break a parser. They get an error, and the time and memory are in proportion to the file.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use goldsmith::kickstart::{Document, Severity, parse};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::{nothing, read, said};

fn refused(text: &str) -> Document {
    let document = read(text);
    assert!(!document.is_accepted());
    assert_eq!(document.to_string(), text);
    document
}

#[test]
fn huge_and_binary_files_are_refused() {
    let binary: String = (0..200_000u32).filter_map(|number| char::from_u32(number.wrapping_mul(2_654_435_761) % 0x11_0000)).collect();
    for text in [
        binary,
        "x".repeat(1 << 20),
        format!("part {}", "--bogus ".repeat(1 << 17)),
        format!("repo --name=a {}", "a=\"b\"\\ ".repeat(1 << 17)),
        format!("lang \"{}", "\\\"".repeat(1 << 19)),
        "bogus --x\n".repeat(100_000),
        "%bogus\n".repeat(100_000),
        "%post\n".repeat(100_000),
        "%packages\n@a --bogus\n%end\n".repeat(33_000),
        "part / --size=1\nautopart\n".repeat(50_000),
        format!("%pre\n{}", "x\n".repeat(100_000)),
        "\"\n".repeat(100_000),
    ] {
        let document = refused(&text);
        assert!(document.diagnostics().len() <= 1_002, "{}", document.diagnostics().len());
    }
}

#[test]
fn a_hundred_thousand_good_lines_are_taken() {
    let text = format!("{}%packages\n{}%end\n", "repo --name=a --baseurl=b # c\n".repeat(50_000), "vim\n".repeat(50_000));
    let document = read(&text);
    assert!(document.is_accepted());
    assert_eq!((document.commands().count(), document.packages().map(|section| section.entries().count()).sum()), (50_000, 50_000));
}

#[test]
fn the_first_error_is_kept_behind_a_thousand_warnings() {
    assert!(!read(&format!("{}bogus\n", "firstboot x\n".repeat(2_000))).is_accepted());
}

#[test]
fn includes_end_in_cycles_in_depth_and_in_number() {
    let text = "lang a\n%include a\n";
    for (included, wrong) in [
        ((&|_: &str, _: &str| Some("%include a\n".to_owned())) as &dyn Fn(&str, &str) -> Option<String>, "`a` includes itself"),
        (&|path, _| Some(if path == "a" { "%include b\n" } else { "%include a\n" }.to_owned()), "`a` includes itself"),
        (&|path, _| Some(format!("%include {path}x\n")), "includes are nested more than 32 deep"),
        (&|path, _| Some(format!("%include {path}x\n%include {path}y\n")), "more than 256 files or 16 MiB are included"),
        (&|path, _| Some(format!("%include {path}x\n{}", "#\n".repeat(1 << 20))), "more than 256 files or 16 MiB are included"),
    ] {
        let reads = Cell::new(0);
        let counted = |path: &str, from: &str| {
            reads.set(reads.get() + 1);
            included(path, from)
        };
        let document = parse("ks.cfg", text, &counted);
        assert!(said(&document).contains(wrong), "{wrong}: {}", said(&document));
        assert!(reads.get() < 2_000, "{}", reads.get());
    }
}

/// The texts of the cases, to be damaged.
fn seeds() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kickstart_files");
    let mut files: Vec<_> = ["valid", "invalid"].iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap()).collect();
    files.sort_by_key(|file| file.as_ref().unwrap().path());
    files.into_iter().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// Pieces that a mutation inserts.
const PIECES: [&str; 16] =
    ["\n", "\"", "'", "\\", "#", " ", "--", "=", "%end\n", "%include x\n", "%packages\n", "@", "-", "\u{85}", "\0", "part / --size=1\n"];

proptest! {
    #![proptest_config(Config { cases: 1_500, rng_seed: RngSeed::Fixed(75), failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_spoilt_kickstart_is_kept_and_its_findings_have_places(
        seed in 0..91_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..3_usize, 0..PIECES.len()), 1..8),
    ) {
        let mut text: Vec<char> = seeds()[seed].chars().collect();
        for (at, length, piece) in changes {
            let at = at.index(text.len() + 1);
            let end = (at + length * 3).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        let text: String = text.into_iter().collect();
        let included = |path: &str, _: &str| (path == "x").then(|| "lang a\n%packages\nvim\n".to_owned());
        let document = parse("ks.cfg", &text, &included);
        prop_assert_eq!(document.to_string(), text);
        for found in document.diagnostics() {
            let file = &document.files()[found.span.file];
            prop_assert!(file.text.get(found.span.start..found.span.end).is_some(), "{:?}", found);
            let before = file.text[..found.span.start].replace("\r\n", "\n").replace('\r', "\n");
            prop_assert!(found.line == before.matches('\n').count() + 1 || file.text.is_empty(), "{:?}", found);
            prop_assert!(!found.message.is_empty() && found.shown_column >= 1);
        }
        prop_assert_eq!(document.is_accepted(), document.diagnostics().iter().all(|found| found.severity != Severity::Error));
    }
}

#[test]
fn no_finding_shows_a_password() {
    for line in [
        "rootpw hunter2 hunter2",
        "rootpw --iscryptd hunter2",
        "rootpw --iscrypted=hunter2 x",
        "rootpw \"hunter2",
        "rootpw -hunter2",
        "rotpw hunter2",
        "  rootpw\t--plaintext hunter2 b",
        "sshpw --user hunter2",
        "user --name=a --password hunter2 hunter2",
        "user --name=a --pasword=hunter2",
        "user --password --hunter2",
        "part / --passphrase=hunter2 --bogus",
        "part / --passphrase 'hunter2 hunter2",
        "bootloader --md5pass=hunter2 --bogus",
        "network --wpakey hunter2 --wepkey=hunter2 --bogus",
        "iscsi --password=hunter2 --reverse-password=hunter2",
        "vnc --password=hunter2 --bogus",
        "realm join --one-time-password=hunter2",
        "realm join --one-time-password hunter2 a b # hunter2",
        "url --url=ftp://me:hunter2@h/x --bogus",
        "bogus '$6$salt$hunter2'",
        "autopart --encrypted --passphrase=hunter2 --type=bogus",
    ] {
        let document = parse("ks.cfg", &format!("{line}\n"), &nothing);
        assert!(!document.diagnostics().is_empty(), "{line}");
        for found in document.diagnostics() {
            let all = format!("{found} {} {}", found.shown, found.help.clone().unwrap_or_default());
            assert!(!all.contains("hunter2"), "{line}: {all}");
        }
    }
}
