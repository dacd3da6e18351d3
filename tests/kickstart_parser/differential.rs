//! Thousands of generated kickstarts, judged here and by ksvalidator 3.78; every disagreement has its reason in a table.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use goldsmith::kickstart::{Document, Severity, parse};

use super::generate::{Grammar, Random, kickstarts};

/// A construct on which ksvalidator 3.78 and the parser of 7.5 differ.
struct Row {
    construct: &'static str,
    reason: &'static str,
    /// Which of them refuses it.
    refused_by: Refuser,
    /// Whether this row explains `message` (of ksvalidator or goldsmith) about `text`.
    explains: fn(message: &str, text: &str) -> bool,
}

#[derive(PartialEq, Clone, Copy, Debug)]
enum Refuser {
    Today,
    Us,
}

/// Commands (and sections) whose class in 7.5 never reads the words that optparse leaves over.
const IGNORE_WORDS: [&str; 30] = [
    "autostep",
    "bootloader",
    "clearpart",
    "dmraid",
    "firstboot",
    "group",
    "harddrive",
    "ignoredisk",
    "liveimg",
    "logging",
    "multipath",
    "network",
    "nfs",
    "ostreesetup",
    "reboot",
    "poweroff",
    "shutdown",
    "halt",
    "reqpart",
    "rescue",
    "selinux",
    "services",
    "url",
    "user",
    "vnc",
    "zfcp",
    "%pre",
    "%pre-install",
    "%post",
    "%packages",
];
const IGNORE_WORDS_TOO: [&str; 2] = ["%onerror", "%traceback"];

fn ignores_words(text: &str) -> bool {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .any(|first| IGNORE_WORDS.contains(&first) || IGNORE_WORDS_TOO.contains(&first))
}

/// The words argparse did not know.
fn unknown(message: &str) -> Option<Vec<&str>> {
    message.strip_prefix("unrecognized arguments:").map(|words| words.split_whitespace().collect())
}

/// Whether a word of `text` is `--`, possibly with a comment behind it.
fn has_end_of_options(text: &str) -> bool {
    text.split_whitespace().any(|word| word.split('#').next() == Some("--"))
}

fn quotes_any(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}

const fn today(construct: &'static str, reason: &'static str, explains: fn(&str, &str) -> bool) -> Row {
    Row { construct, reason, refused_by: Refuser::Today, explains }
}

const fn us(construct: &'static str, reason: &'static str, explains: fn(&str, &str) -> bool) -> Row {
    Row { construct, reason, refused_by: Refuser::Us, explains }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    today("reboot --kexec", "added to 7 in 1.99.66.3; the RHEL 7 handler of 3.x lacks it", |message, text| {
        text.contains("--ke") && unknown(message).is_some_and(|words| words.iter().any(|word| word.starts_with("--ke")))
    }),
    today("firewall --use-system-defaults", "added to 7 in 1.99.66.18; the RHEL 7 handler of 3.x lacks it", |message, text| {
        text.contains("firewall") && unknown(message).is_some_and(|words| words.iter().all(|word| word.starts_with("--u")))
    }),
    today("sshpw --sshkey", "added to 7 in 1.99.66.7; the RHEL 7 handler of 3.x lacks it", |message, text| {
        text.contains("--ss") && message.starts_with("Unexpected arguments to sshpw command: ['--ss")
    }),
    today("sshkey", "added to 7 in 1.99.66.7; the RHEL 7 handler of 3.x lacks it", |message, _| message == "Unknown command: sshkey"),
    today("mount", "added to 7 in 1.99.66.15; the RHEL 7 handler of 3.x lacks it", |message, _| message == "Unknown command: mount"),
    today("logvol --cache…", "added to 7 in 1.99.66.4; the RHEL 7 class of 3.x lacks it", |message, text| {
        text.contains("--cache") && message.starts_with("Unexpected arguments to logvol command: ['--cache")
    }),
    today("%packages --nobase", "ksvalidator makes deprecation warnings errors", |message, text| {
        text.contains("--nob") && message.starts_with("Ignoring deprecated option")
    }),
    today("a second definition", "ksvalidator makes the warning of a duplicate an error", |message, _| {
        message.ends_with("already been defined.") || message.contains("has already been defined in volume group")
    }),
    today("words left over", "the classes of 1.99.66 drop what optparse leaves over; argparse refuses it", |message, text| {
        ignores_words(text) && unknown(message).is_some_and(|words| words.iter().all(|word| !word.starts_with("--") && (!word.starts_with('-') || *word == "-")))
    }),
    today("words behind `--`", "`--` ends the options of optparse; argparse also hands it on as an argument", |message, text| {
        let handed_on = unknown(message).is_some_and(|words| words.contains(&"--")) || message.ends_with("'--']");
        has_end_of_options(text) && (handed_on || message == "device command requires a single argument: module name")
    }),
    today("a quoted option in a value's place", "argparse leaves a word with a space and what follows over", |message, text| {
        text.contains("\\ ") && ignores_words(text) && unknown(message).is_some_and(|words| words.iter().all(|word| word.contains('=')))
    }),
    today("logvol with several words", "F20_LogVol takes the first and drops the rest", |message, _| {
        message.starts_with("Unexpected arguments to logvol command: ['") && !message.contains("'--")
    }),
    today("sshpw with several words", "F13_SshPw joins them, wherever they stand; argparse takes only those that stand together", |message, _| {
        message.starts_with("Unexpected arguments to sshpw command: ['") && !message.contains("'--")
    }),
    today("rootpw --lock with several words", "F18_RootPw counts words only without --lock", |message, text| {
        text.contains("--l") && message.starts_with("Unexpected arguments to rootpw command: ['")
    }),
    today("rootpw \"\"", "F18_RootPw counts the words and does not look at them", |message, text| {
        text == "rootpw \"\"\n" && message == "A single argument is expected for the rootpw command"
    }),
    today("a value that begins with a dash", "optparse takes the next word whatever it is; argparse wants `=` then", |message, _| {
        message.ends_with(": expected one argument")
    }),
    today("a value that is `--`", "optparse takes it; argparse drops it from the values", |message, text| {
        let lost = message.ends_with("object has no attribute 'split'") || message == "Can't specify --port without --host.";
        text.contains("=--") && lost
    }),
    today("0x and 0b numbers", "optparse reads them, int() of Python 3 does not", |message, _| {
        quotes_any(message, &["invalid int value: '0x", "invalid int value: '0b"])
    }),
    today("unknown raid, btrfs and autopart values", "the callbacks of 1.99.66 ignore what is not in their map", |message, _| {
        quotes_any(message, &["Invalid raid level: ", "Invalid btrfs level: ", "Invalid autopart type: "])
    }),
    today("empty lists", "the callbacks of 1.99.66 make a list of one empty text, which is not empty", |message, text| {
        (text.contains("services") && message == "One of --disabled or --enabled must be provided.")
            || (text.contains("ignoredisk") && message.starts_with("One of --drives , --only-use"))
    }),
    today("a file of white space", "1.99.66 looks at the length only", |message, text| {
        !text.is_empty() && text.trim().is_empty() && message.ends_with("Empty file")
    }),
    today("multipath twice", "FC6_MultiPath never finds the device in its list (multipath.py:104)", |message, text| {
        text.contains("multipath") && message.starts_with("Device '")
    }),
    today("iscsi --port", "a text to FC6_Iscsi of 1.99.66 (iscsi.py:134)", |message, text| {
        text.contains("iscsi") && message.starts_with("argument --port: invalid int value:")
    }),
    today("vertical tab, NEL", "lines of a Python 3 str end there, lines of a Python 2 str do not", |message, text| {
        text.contains(['\u{b}', '\u{85}']) && message == "Unknown command: b"
    }),
    us("short and long passwords of vnc", "six to eight characters in 1.99.66.18 (vnc.py:119-125)", |message, _| message.starts_with("vnc: the password")),
    us("unknown file systems and disk labels", "Anaconda refuses them, pykickstart does not look", |message, _| {
        message.contains("--fstype: the installer knows no file system") || message.contains("--disklabel cannot be")
    }),
    us("members that nothing makes", "Anaconda refuses them, pykickstart does not look", |message, _| message.contains("no `part` or `raid` line makes")),
    us("%certificate", "added long after 7", |message, _| message == "there is no section `%certificate`"),
    us("nvdimm", "added to 7 in 1.99.66.19, which is in 7.6", |message, text| text.contains("nvdimm") && message == "there is no command `nvdimm`"),
    us("a text value that begins with `--`", "`_check_string` of 1.99.66 refuses it; argparse takes it behind `=`", |message, text| {
        text.contains("=--x") && message.ends_with("is followed by an option where its value should be")
    }),
    us("08, 1_0", "a leading 0 is octal to optparse, and Python 2 knows no `_`", |message, _| {
        quotes_any(message, &["takes a whole number, not `08`", "takes a whole number, not `1_0`"])
    }),
    us("pwpolicy", "pykickstart does not look into %anaconda, Anaconda does", |message, text| {
        text.starts_with("%anaconda") && (message == "pwpolicy needs a policy name" || message.contains("takes a whole number, not `x`"))
    }),
    us("%addon without a name", "pykickstart does not look at the header, Anaconda takes args[1]", |message, _| message == "%addon needs the name of an addon"),
    us("unknown options of a group", "the plain OptionParser of 1.99.66 exits; 3.x makes them a part of the name", |message, _| {
        message.starts_with("@group has no option `-")
    }),
    us("unknown options of volgroup", "3.x takes them for partitions", |message, text| {
        text.contains("volgroup") && message.starts_with("volgroup has no option `-")
    }),
    us("autopart --type and --nolvm", "the first one wins in 1.99.66, the last one in 3.x", |message, text| {
        text.contains("--nolvm") && message == "autopart: --fstype and --type=btrfs exclude each other"
    }),
    us("an empty list besides another", "the callbacks of 1.99.66 make a list of one empty text, which is not empty", |message, text| {
        text.contains("--interactive") && message.starts_with("ignoredisk needs one of")
    }),
    us("logging --port=--", "argparse drops `--` from the values", |message, text| {
        text.contains("=--") && message == "logging: --port needs --host"
    }),
    us("logvol --hibernation without a size", "F20_LogVol of 1.99.66 does not count --hibernation as a size", |message, text| {
        text.contains("--hib") && message == "logvol has no size"
    }),
    us("%packages --ignore", "1.99.66 still knows --ignoredeps, so that the beginning is of two options", |message, text| {
        text.starts_with("%packages") && quotes_any(message, &["is the beginning of --ignoremissing", "--ignoredeps is no longer supported"])
    }),
];

/// The oracle's process: its grammar, then its verdicts.
struct Oracle {
    child: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Oracle {
    fn start() -> (Oracle, Grammar) {
        let python = crate::kickstart_cases::ksvalidator().with_file_name("python3");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kickstart_parser/oracle.py");
        let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        (Oracle { child, output }, serde_json::from_str(&line).unwrap())
    }

    fn judge(mut self, texts: &[String]) -> Vec<Vec<String>> {
        let mut input = self.child.stdin.take().unwrap();
        writeln!(input, "{}", serde_json::to_string(texts).unwrap()).unwrap();
        drop(input);
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&line).unwrap()
    }
}

/// The oracle does not read included files, so they are empty here.
fn empty(_: &str, _: &str) -> Option<String> {
    Some(String::new())
}

fn errors(document: &Document) -> Vec<String> {
    document.diagnostics().iter().filter(|found| found.severity == Severity::Error).map(|found| found.message.clone()).collect()
}

/// The messages of the oracle, each on one line.
fn joined(messages: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for message in messages.iter().filter(|message| !message.starts_with("The following problem occurred on")) {
        found.push(message.clone());
    }
    if found.is_empty() { messages.to_vec() } else { found }
}

/// Each option of each command is in a file with that command, with its full name.
fn every_option_is_tried(grammar: &Grammar, texts: &[String]) {
    for (command, options) in grammar.commands.iter().chain(&grammar.sections) {
        for option in options {
            let tried = |text: &&String| {
                let mut words = text.split(|c: char| c.is_whitespace() || c == '=');
                words.find(|word| !word.is_empty()) == Some(command) && words.any(|word| option.names.iter().any(|name| name == word))
            };
            assert!(texts.iter().any(|text| tried(&text)), "{command} {:?}", option.names);
        }
    }
}

#[test]
fn thousands_of_kickstarts_get_the_verdict_of_ksvalidator_or_one_with_a_reason() {
    let (oracle, grammar) = Oracle::start();
    let grammar = grammar.with_7_5();
    let texts = kickstarts(&grammar, &mut Random::new(75), 40, 400);
    assert!(texts.len() >= 3_000, "{}", texts.len());
    every_option_is_tried(&grammar, &texts);
    let verdicts = oracle.judge(&texts);
    assert_eq!(verdicts.len(), texts.len());
    let mut fired: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unexplained = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for (text, today) in texts.iter().zip(&verdicts) {
        let document = parse("ks.cfg", text, &empty);
        assert_eq!(document.to_string(), *text, "kept byte for byte");
        let ours = errors(&document);
        let (messages, refuser) = match (today.is_empty(), ours.is_empty()) {
            (true, true) => {
                taken += 1;
                continue;
            }
            (false, false) => {
                refused += 1;
                continue;
            }
            (false, true) => (joined(today), Refuser::Today),
            (true, false) => (ours, Refuser::Us),
        };
        for message in &messages {
            let row = ROWS.iter().find(|row| row.refused_by == refuser && (row.explains)(message, text));
            match row {
                Some(row) => *fired.entry(row.construct).or_default() += 1,
                None => unexplained.push(format!("{refuser:?} refused: {message}\n    {text:?}")),
            }
        }
    }
    let silent: Vec<_> = ROWS.iter().filter(|row| !fired.contains_key(row.construct)).map(|row| (row.construct, row.reason)).collect();
    unexplained.sort();
    assert!(unexplained.is_empty(), "{} unexplained\n{}", unexplained.len(), unexplained.join("\n"));
    assert!(silent.is_empty(), "rows that never fire: {silent:?}");
    // Both verdicts must be frequent, because the comparison would prove nothing otherwise.
    assert!(taken > 500 && refused > 500, "{taken} taken, {refused} refused");
}
