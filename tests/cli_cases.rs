//! The command line as a user meets it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Command;

use clap::{CommandFactory, Parser};
use goldsmith::cli::args::Args;
use goldsmith::kickstart::Lint;
use rustix::process::Signal;

use crate::machine_qemu::alive;
use crate::support::{GOLDSMITH, Run, golden, goldsmith};

/// Every command, as its words on the command line.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, words: &[String], into: &mut Vec<Vec<String>>) {
        into.push(words.to_vec());
        // Commands that only goldsmith itself calls are hidden.
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            walk(sub, &[words, &[sub.get_name().to_owned()]].concat(), into);
        }
    }
    let mut found = Vec::new();
    walk(&Args::command(), &[], &mut found);
    found
}

#[test]
fn every_command_has_its_help_and_it_fits_a_terminal() {
    let commands = commands();
    assert!(commands.len() > 13, "{commands:?}");
    for words in commands {
        let ended = goldsmith(words.iter().map(String::as_str).chain(["--help"])).end();
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{words:?}");
        for line in ended.stdout.lines() {
            assert!(line.chars().count() <= 80, "{words:?}: {line}");
        }
        let name = if words.is_empty() { "goldsmith".to_owned() } else { words.join("-") };
        golden(&format!("help/{name}.txt"), &ended.stdout);
    }
}

#[test]
fn the_definition_is_sound_and_every_argument_has_help() {
    Args::command().debug_assert();
}

#[test]
fn wrong_words_are_usage_errors_with_a_hint() {
    for (args, said) in [
        (&["biuld", "x"][..], "tip: a similar subcommand exists: 'build'"),
        (&["build"], "required arguments were not provided"),
        (&["run", "x", "--ssh", "0"], "0 is not in 1..=65535"),
        (&["run", "x", "--memory", "2048"], "without a unit this is 2048 bytes, and 64M is the least; write `2048M` for MiB"),
        (&["run", "x", "--memory", "2 cups"], "`2 cups` is not a size; write a whole number with K, M, G or T"),
        (&["completions", "csh"], "possible values: bash"),
        (&["verify", "x", "--set", "a=1"], "--recipe <RECIPE>"),
        (&[], "Usage: goldsmith"),
    ] {
        let ended = goldsmith(args.iter().copied()).end();
        assert_eq!((ended.status, ended.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn the_version_is_said() {
    goldsmith(["--version"]).end().is(0, concat!("goldsmith ", env!("CARGO_PKG_VERSION"), "\n"), "");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
    for args in ["help", "completions zsh", "man", "build --help"] {
        let script = format!("{{ '{GOLDSMITH}' {args}; echo $? >status; }} | head -c 1 >first; cat status");
        Run::program("/bin/sh", ["-c", &script]).end().is(0, "0\n", "");
        // The pipe is closed before the first byte.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        goldsmith(args.split(' ')).stdout_to(writer).end().is(0, "", "");
    }
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let said = "error: standard output cannot be written: No space left on device (os error 28)\n  help: free some space where standard output goes\n";
    goldsmith(["man"]).stdout_to(full()).end().is(7, "", said);
    assert_eq!(goldsmith(["--help"]).stdout_to(full()).end().status, 7);
}

#[test]
fn completions_are_scripts_that_their_shell_accepts() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = goldsmith(["completions", shell]).end();
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
        assert!(ended.stdout.contains("keep-on-failure"), "{shell}: {}", ended.stdout);
    }
    let bash = goldsmith(["completions", "bash"]).end().stdout;
    let asked =
        format!("{bash}\nCOMP_WORDS=(goldsmith kick); COMP_CWORD=1; _goldsmith goldsmith kick goldsmith; echo \"${{COMPREPLY[*]}}\"");
    Run::program("/bin/bash", ["-c", &asked]).end().is(0, "kickstart\n", "");
    // Built-in recipes, files beside them, and keys of `--set`, as completed by bash itself.
    for (words, found) in [
        ("goldsmith build debian-12-d", "debian-12-docker"),
        ("goldsmith check centos-7.9", "centos-7.9-docker"),
        ("goldsmith plan x --set disk.si", "disk.size="),
        ("goldsmith build --set system.root.password_e", "system.root.password_env="),
    ] {
        let list: Vec<&str> = words.split(' ').collect();
        let (last, before) = (list.len() - 1, list[list.len() - 2]);
        // `compopt` only works inside a completion.
        let asked = format!(
            "compopt() {{ :; }}\n{bash}\nCOMP_WORDS=({words}); COMP_CWORD={last}; _goldsmith goldsmith {} {before}; echo \"${{COMPREPLY[*]}}\"",
            list[last]
        );
        Run::program("/bin/bash", ["-c", &asked]).end().is(0, &format!("{found}\n"), "");
    }
    for (shell, words) in [
        ("bash", "compopt -o plusdirs"),
        ("zsh", "{_files; compadd -- centos-7.5-docker "),
        ("zsh", "disk.size= "),
        ("zsh", ":DIR:_files -/"),
        ("fish", "from build\" -a \"centos-7.5-docker "),
        ("fish", "__fish_complete_directories"),
    ] {
        assert!(goldsmith(["completions", shell]).end().stdout.contains(words), "{shell}: {words}");
    }
}

/// `program` in a home with three local machines, a draft of a fourth, and a file.
fn beside_machines<'a>(program: &'a str, args: impl IntoIterator<Item = &'a str>) -> Run {
    let machine = |run: Run, name: &str| run.file(&format!(".local/state/goldsmith/machines/{name}/machine.json"), "{}");
    ["web", "web-2", "db", ".new"].into_iter().fold(Run::program(program, args).file("webfile", ""), machine)
}

fn is_installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(program).is_file())
}

/// The typed words, and their completions; each is a line of the shell's answer.
const MACHINES_TYPED: [(&str, &[&str]); 12] = [
    ("goldsmith stop w", &["web", "web-2"]),
    ("goldsmith rm web d", &["db"]),
    ("goldsmith restart x", &[]),
    ("goldsmith exec w", &["web", "web-2"]),
    ("goldsmith exec -t d", &["db"]),
    ("goldsmith shell d", &["db"]),
    ("goldsmith ssh-config d", &["db"]),
    ("goldsmith screenshot d", &["db"]),
    ("goldsmith exec web d", &[]),
    ("goldsmith inspect d", &["db"]),
    // Not a machine's.
    ("goldsmith image inspect d", &[]),
    ("goldsmith cp we", &["web-2:", "web:", "webfile"]),
];

/// The installed shells complete the words; bash always is installed.
#[test]
fn completions_know_the_machines_that_are_there() {
    let script = |shell: &'static str| goldsmith(["completions", shell]).end().stdout;
    let sorted = |stdout: &str| {
        let mut lines: Vec<String> = stdout.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let bash = script("bash");
    let in_bash = |words: &str| {
        let list: Vec<&str> = words.split(' ').collect();
        let [.., before, last] = list[..] else { panic!("{words}") };
        format!(
            "compopt() {{ :; }}\n{bash}\nCOMP_WORDS=({words}); COMP_CWORD={}; _goldsmith goldsmith {last} {before}\n\
             (( ${{#COMPREPLY[@]}} == 0 )) || printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            list.len() - 1
        )
    };
    for (words, found) in MACHINES_TYPED {
        let ended = beside_machines("/bin/bash", ["-c", &in_bash(words)]).end();
        assert_eq!((sorted(&ended.stdout), ended.stderr.as_str()), (found.iter().map(|&word| word.to_owned()).collect(), ""), "{words}");
    }
    // The state directory is that of the user. One that is not absolute does not count, and a missing one has no machines.
    for (state, found) in [("/nowhere", ""), ("relative", "db\n"), ("", "db\n")] {
        beside_machines("/bin/bash", ["-c", &in_bash("goldsmith stop d")]).env("XDG_STATE_HOME", state).end().is(0, found, "");
    }
    if is_installed("fish") {
        let fish = script("fish");
        for (words, found) in MACHINES_TYPED {
            let ended = beside_machines("fish", ["-N", "-c", &format!("{fish}\ncomplete -C '{words}'")]).end();
            // Files of the directory are offered where no other word matches.
            let offered = sorted(&ended.stdout).into_iter().filter(|word| found.contains(&"webfile") || word != "webfile");
            assert_eq!(offered.collect::<Vec<_>>(), found, "{words}: {}", ended.stderr);
        }
    }
    let zsh = script("zsh");
    for line in [
        "':name -- The machine:_goldsmith_machines'",
        "'*::names -- The machines:_goldsmith_machines'",
        "for those of a VM:{_files; _goldsmith_machines -S \\:}'",
    ] {
        assert!(zsh.contains(line), "{line}");
    }
    if is_installed("zsh") {
        let asked = format!("compdef() {{ }}\n{zsh}\ncompadd() {{ print -rl -- $machines }}\n_goldsmith_machines");
        beside_machines("zsh", ["-f", "-c", &asked]).end().is(0, "db\nweb\nweb-2\n", "");
    }
}

#[test]
fn manual_pages_are_printed_or_written_one_for_each_command() {
    let page = goldsmith(["man"]).end();
    assert_eq!((page.status, page.stderr.as_str()), (0, ""));
    for words in
        [".TH goldsmith 1", env!("CARGO_PKG_VERSION"), ".SH EXAMPLES", ".SH \"EXIT STATUS\"", ".SH \"ENVIRONMENT\"", ".SH \"FILES\""]
    {
        assert!(page.stdout.contains(words), "{words}: {}", page.stdout);
    }
    let ended = goldsmith(["man", "-o", "pages/deep"]).end();
    ended.is(0, "", "");
    for words in commands() {
        let name = ["goldsmith".to_owned()].iter().chain(&words).cloned().collect::<Vec<_>>().join("-");
        let text = std::fs::read_to_string(ended.dir().join(format!("pages/deep/{name}.1"))).expect(&name);
        assert!(text.contains(&format!(".TH {name} 1")), "{name}: {text}");
    }
    goldsmith(["man", "-o", "f"]).file("f", "").end().is(
        7,
        "",
        "error: f cannot be written: File exists (os error 17)\n  help: choose a directory you may write to with -o DIR\n",
    );
}

#[test]
fn a_kickstart_is_judged_and_each_error_has_its_place() {
    let check = |args: &[&str]| goldsmith(["kickstart", "check"].iter().chain(args).copied());
    let good = "lang en_US.UTF-8\n%include more.ks\n%packages\n@core\n%end\n";
    check(&["d/good.ks"]).file("d/good.ks", good).file("d/more.ks", "poweroff\n").end().is(0, "", "");
    let bad = "lang en_US.UTF-8\nmakeitso now\nrootpw two words\n";
    let ended = check(&["bad.ks"]).file("bad.ks", bad).end();
    assert_eq!(ended.status, 2);
    assert!(
        ended.stdout.starts_with("bad.ks:2:1: error: ") && ended.stdout.contains("\n  | makeitso now\n  | ^^^^^^^^\n"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("\nbad.ks:3:") && !ended.stdout.contains("words"), "{}", ended.stdout);
    assert!(ended.stderr.starts_with("error: 1 of 1 file would be refused by the installer of CentOS 7.5\n"), "{}", ended.stderr);
    let json = check(&["--json", "bad.ks"]).file("bad.ks", bad).end().stdout;
    let document: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&document["schema"], &document["findings"][0]["line"]), (&1.into(), &2.into()), "{document}");
    check(&["none.ks"]).end().is(
        3,
        "",
        "error: none.ks cannot be read: No such file or directory (os error 2)\n  help: correct the path, or put the file there\n",
    );
}

const LINTED: &str = "\
lang en_US.UTF-8
keyboard us
timezone Asia/Tokyo
rootpw --lock
autopart
zerombr
%packages
@core
%end
%post
sysctl -p
sysctl --system
%end
";

#[test]
fn lints_are_warnings_that_say_why_and_what_to_do() {
    let check = |args: &[&str]| goldsmith(["kickstart", "check"].iter().chain(args).copied()).file("l.ks", LINTED).end();
    let said = "\
l.ks: warning[end-missing]: nothing says what follows the installation: no `poweroff`, `reboot` or `shutdown`
  why: the installer waits for Return when it is done, in cmdline mode too: an unattended machine never ends
  help: add `poweroff` or `reboot`
l.ks:3:1: warning[rtc-local-time]: the hardware clock counts as local time
  | timezone Asia/Tokyo
  | ^^^^^^^^^^^^^^^^^^^
  why: the hardware clock counts as local time (/etc/adjtime: LOCAL), and that of a virtual machine is UTC: hours off at each boot
  help: add `--isUtc`
l.ks:11:1: warning[sysctl-in-post]: this sets values in the installer's kernel
  | sysctl -p
  | ^^^^^^^^^
  why: it sets them in the installer's kernel, where net.bridge.* is missing too; the installed system keeps nothing of it
  help: only write the values to /etc/sysctl.d/NAME.conf; the first boot reads them
l.ks:12:1: warning[sysctl-in-post]: this sets values in the installer's kernel
  | sysctl --system
  | ^^^^^^^^^^^^^^^
";
    check(&["l.ks"]).is(0, said, "");
    let denied = "error: 4 findings of lints, and --deny-lints is given
  help: correct what is marked `warning[LINT]`, or leave a lint out with --allow LINT
";
    check(&["--deny-lints", "l.ks"]).is(2, said, denied);
    let allowed = ["--deny-lints", "--allow", "end-missing", "--allow", "rtc-local-time", "--allow=sysctl-in-post", "l.ks"];
    check(&allowed).is(0, "", "");
    let unknown = check(&["--allow", "sysctl-in-pots", "l.ks"]);
    assert_eq!((unknown.status, unknown.stdout.as_str()), (2, ""));
    assert!(unknown.stderr.contains("a similar value exists: 'sysctl-in-post'"), "{}", unknown.stderr);
    // A file that the installer refuses is refused whatever `--allow` names.
    let refused = goldsmith(["kickstart", "check", "--deny-lints", "r.ks"]).file("r.ks", "makeitso\nhalt\n").end();
    assert!(refused.status == 2 && refused.stderr.starts_with("error: 1 of 1 file would be refused"), "{}", refused.stderr);
}

#[test]
fn findings_of_lints_are_records_too() {
    let json = goldsmith(["kickstart", "check", "--json", "l.ks"]).file("l.ks", LINTED).end();
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    golden("kickstart-check.json", &format!("{document:#}\n"));
    let listed = goldsmith(["kickstart", "lints", "--json"]).end();
    let document: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    let ids: Vec<&str> = document["lints"].as_array().unwrap().iter().map(|lint| lint["lint"].as_str().unwrap()).collect();
    assert_eq!(ids, Lint::all().map(|lint| lint.id).collect::<Vec<_>>());
    let one = "\
halt: `halt`
  why: it is the same as nothing: the installer waits for Return when it is done
  help: write `poweroff` or `reboot` instead
  source: pyanaconda/ui/tui/spokes/progress.py:133-141; pykickstart/commands/reboot.py: RHEL7_Reboot
";
    goldsmith(["kickstart", "lints", "halt"]).end().is(0, one, "");
}

/// A host of stubs: every program is there, in a version that is new enough.
fn healthy(args: &[&str]) -> Run {
    goldsmith(args.iter().copied())
        .stub("qemu-system-x86_64", "echo 'QEMU emulator version 7.2.18 (Debian)'; echo more")
        .stub("qemu-img", "echo qemu-img version 10.0.2")
        .stub("qemu-nbd", "echo qemu-nbd 10.0.2")
        .stub("mmdebstrap", "echo mmdebstrap 1.3.5")
        .stub("mke2fs", "echo 'mke2fs 1.47.0 (5-Feb-2023)' >&2")
        .stub("unshare", "case $1 in --version) echo unshare from util-linux 2.38.1 ;; *) echo 0 ;; esac")
        .stub("createrepo_c", "echo 'Version: 0.17.3 (Features: DeltaRPM LegacyWeakdeps )'")
}

/// The rows of `names`, as the table has them.
fn rows(table: &str, names: &[&str]) -> String {
    let wanted = |line: &&str| names.contains(&line[10..].split("  ").next().unwrap_or(""));
    let lines: Vec<_> = table.lines().collect();
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| wanted(line)) {
        text.push_str(&format!("{line}\n"));
        if let Some(mend) = lines.get(at + 1).filter(|line| line.starts_with("          mend: ")) {
            text.push_str(&format!("{mend}\n"));
        }
    }
    text
}

#[test]
fn the_doctor_tries_each_program() {
    let names = ["QEMU", "qemu-img", "mmdebstrap", "mke2fs", "unshare", "createrepo_c", "qemu-nbd", "namespaces"];
    let ended = healthy(&["doctor"]).end();
    let expected = "\
ok        QEMU            7.2.18
ok        qemu-img        10.0.2
ok        qemu-nbd        10.0.2
ok        mmdebstrap      1.3.5
ok        mke2fs          1.47.0
ok        unshare         2.38.1
ok        createrepo_c    0.17.3
ok        namespaces      a contained root was entered and left
";
    assert_eq!(rows(&ended.stdout, &names), expected, "{}", ended.stderr);

    let ended = healthy(&["doctor"])
        .stub("qemu-system-x86_64", "echo 'QEMU emulator version 6.0.0'")
        .stub("qemu-img", "echo 'cannot open shared object' >&2; exit 127")
        .stub("mmdebstrap", "echo hello")
        .stub("unshare", "case $1 in --version) echo 2.38 ;; *) echo 'unshare failed: Operation not permitted' >&2; exit 1 ;; esac")
        .end();
    let found = rows(&ended.stdout, &names[..4]);
    let expected = "\
missing   QEMU            6.0.0 is too old, 7.2 is needed
          mend: apt-get install qemu-system-x86
missing   qemu-img        qemu-img failed with exit status 127: cannot open shared object
          mend: apt-get install qemu-utils
degraded  mmdebstrap      its version is not known (`hello`), 1.3 is needed
          mend: apt-get install mmdebstrap
ok        mke2fs          1.47.0
";
    assert_eq!(found, expected);
    let namespaces = rows(&ended.stdout, &["namespaces"]);
    assert!(namespaces.starts_with("missing   namespaces      ") && namespaces.contains("Operation not permitted"), "{namespaces}");
    assert_eq!(ended.status, 7);
    // Only some recipes need it, so without it nothing counts as missing.
    let without = healthy(&["doctor"]).stub("createrepo_c", "exit 127").end();
    let found = rows(&without.stdout, &["createrepo_c"]);
    assert!(found.starts_with("degraded  createrepo_c    createrepo_c failed with exit status 127"), "{found}");
    assert!(found.ends_with(
        "; only recipes with an archive of packages that has no repodata need it\n          mend: apt-get install createrepo-c\n"
    ));
    assert!(!without.stderr.contains("createrepo_c"), "{}", without.stderr);
    let without = healthy(&["doctor"]).stub("qemu-nbd", "exit 127").end();
    let found = rows(&without.stdout, &["qemu-nbd"]);
    assert!(
        found.starts_with("degraded  qemu-nbd ")
            && found.ends_with("; only images in VMDK, VHDX and VHD need it\n          mend: apt-get install qemu-utils\n"),
        "{found}"
    );
    assert!(ended.stderr.starts_with("error: this host cannot build: QEMU, qemu-img, accelerator, namespaces"), "{}", ended.stderr);
}

#[test]
fn the_doctor_speaks_json_and_so_do_failures() {
    let ended = healthy(&["--json", "doctor"]).end();
    let mut documents = serde_json::Deserializer::from_str(&ended.stdout).into_iter::<serde_json::Value>();
    let document = documents.next().unwrap().unwrap();
    assert_eq!(document["requirements"][0], serde_json::json!({"name": "QEMU", "verdict": "ok", "detail": "7.2.18", "mend": null}));
    let ended = goldsmith(["doctor", "--json"]).without("HOME").end();
    let record: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status, &record["event"], &record["exit"]), (2, &"error".into(), &2.into()));
    assert_eq!(record["remedy"], "say where layers and downloads are to be kept: --store DIR");
    assert!(ended.stderr.starts_with("error: no store directory:"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_a_run_that_hangs_and_takes_its_children_along() {
    for (signal, status, said) in [(Signal::INT, 130, "error: interrupted\n"), (Signal::TERM, 143, "error: terminated\n")] {
        let started = healthy(&["doctor"]).stub("qemu-system-x86_64", "echo $$ >pid; exec sleep 1000").start();
        let pid = loop {
            let text = std::fs::read_to_string(started.dir().join("pid")).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n') {
                break pid.parse().unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        started.signal(signal);
        started.end().is(status, "", said);
        // It was sent SIGKILL, and on a busy host it may take a moment to end.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while alive(pid) {
            assert!(std::time::Instant::now() < patience, "the child outlived the run");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn the_store_is_listed_and_cleaned() {
    let store = tempfile::tempdir().unwrap();
    let at = |path: &str| store.path().join(path);
    let cache =
        |words: &str| goldsmith(["cache"].into_iter().chain(words.split(' ')).chain(["--store", store.path().to_str().unwrap()])).end();
    let place = store.path().canonicalize().unwrap().display().to_string();
    cache("list").is(0, &format!("0 B in {place}\n"), "");
    // Three layers, each on the one before. Of the files, one is complete, one is a beginning, and one is both.
    let id = |digit: &str| digit.repeat(64);
    let layer = |digit: &str, below: Option<(&str, &str)>| {
        let dir = at("v1/layers").join(id(digit));
        std::fs::create_dir_all(&dir).unwrap();
        let make = match below {
            None => "qemu-img create -q -f raw disk.raw 1M".to_owned(),
            Some((digit, disk)) => {
                format!("qemu-img create -q -f qcow2 -F {} -b ../{}/{disk} disk.qcow2", disk.trim_start_matches("disk."), id(digit))
            }
        };
        assert!(Command::new("/bin/sh").args(["-c", &make]).current_dir(dir).status().unwrap().success());
    };
    layer("a", None);
    layer("b", Some(("a", "disk.raw")));
    layer("c", Some(("b", "disk.qcow2")));
    for name in [id("1"), format!(".{}.part", id("1")), format!(".{}.part", id("2"))] {
        std::fs::write(at("v1/files").join(name), "x").unwrap();
    }
    std::fs::create_dir_all(at("v1/scratch/run-dead")).unwrap();
    std::fs::create_dir_all(at("v1/memory/digest-1")).unwrap();
    std::fs::write(at("v1/memory/digest-1").join(id("f")), "x").unwrap();
    let names =
        |text: &str| -> Vec<String> { text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect() };
    let listed = names(&cache("list").stdout);
    let expected = [
        "layer aaaaaaaaaaaa",
        "layer bbbbbbbbbbbb",
        "layer cccccccccccc",
        "file 111111111111",
        "beginning 111111111111",
        "beginning 222222222222",
        "leftover run-dead",
        "memory digest-1",
    ];
    assert_eq!(listed[..8], expected);
    let json: serde_json::Value = serde_json::from_str(&cache("list --json").stdout).unwrap();
    assert_eq!(json["entries"][2]["stands_on"], serde_json::json!([id("b"), id("a")]));
    assert_eq!(
        json["entries"][6],
        serde_json::json!({"kind": "memory", "id": format!("digest-1/{}", id("f")), "bytes": json["entries"][6]["bytes"],
        "last_used": json["entries"][6]["last_used"], "about": null, "stands_on": null})
    );

    for (words, said) in [
        ("remove", "required arguments were not provided"),
        ("remove --all --files", "cannot be used with"),
        ("remove abc --layers", "cannot be used with"),
        ("remove abc", "nothing is in the store with an id that begins with `abc`"),
        ("remove 1", "2 things are in the store with an id that begins with `1`"),
    ] {
        let ended = cache(words);
        assert!(ended.status == 2 && ended.stderr.contains(said), "{words}: {}", ended.stderr);
    }
    // Useless entries are removed with every removal.
    let lines = names(&cache("remove --unused-for 1").stdout);
    assert_eq!(lines[..2], ["removed beginning", "removed leftover"]);
    // A layer in use keeps those below it, whichever process uses it. It is a failure when a named entry is not removed.
    let used = File::open(at("v1/layers").join(id("b"))).unwrap();
    used.lock_shared().unwrap();
    let ended = cache("remove --layers");
    assert_eq!(
        (ended.status, names(&ended.stdout)),
        (0, vec!["removed layer".into(), "kept layer".into(), "kept layer".into(), names(&ended.stdout)[3].clone()])
    );
    assert!(
        ended.stdout.contains("bbbbbbbbbbbb  a running goldsmith uses it\n")
            && ended.stdout.contains("aaaaaaaaaaaa  layer bbbbbbbbbbbb needs it\n")
    );
    let ended = cache("remove aaaaaa");
    assert!(ended.status == 7 && ended.stderr.contains("2 things could not be removed"), "{}", ended.stderr);
    drop(used);
    let json: serde_json::Value = serde_json::from_str(&cache("remove aaaaaa --json").stdout).unwrap();
    let removed: Vec<_> = json["removed"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!((removed, &json["kept"]), (vec![id("b").as_str(), id("a").as_str()], &serde_json::json!([])));
    assert_eq!(names(&cache("remove --files").stdout)[..2], ["removed file", "removed beginning"]);
    cache("remove --all");
    cache("list").is(0, &format!("0 B in {place}\n"), "");
}

/// The read of a FIFO with a silent writer is not ended by a signal, but the run must still end.
#[test]
fn a_read_that_does_not_come_back_ends_with_the_signal() {
    for (args, signal, status, said) in [
        (&["check", "recipe.toml"][..], Signal::INT, 130, "error: interrupted"),
        (&["kickstart", "check", "recipe.toml"][..], Signal::TERM, 143, "error: terminated"),
    ] {
        let run = goldsmith(args.iter().copied());
        let fifo = run.dir().join("recipe.toml");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let started = run.start();
        // The writer's end is open as soon as the run reads, and stays open without any data.
        let silent = File::options().write(true).open(&fifo).unwrap();
        started.signal(signal);
        let ended = started.end();
        drop(silent);
        assert_eq!(ended.status, status, "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

/// The image is so large that its digest takes minutes.
#[test]
fn a_signal_ends_the_reading_of_a_large_image_in_order() {
    let length = 1u64 << 36;
    let (reads, writes) = std::io::pipe().unwrap();
    let manifest = include_str!("golden/manifest.json").replace("\"bytes\": 5,", &format!("\"bytes\": {length},"));
    let run = goldsmith(["verify", "out", "--json"]).file("out/manifest.json", &manifest).stdout_to(writes);
    File::create(run.dir().join("out/debian-12-docker.qcow2")).unwrap().set_len(length).unwrap();
    let started = run.start();
    let mut records = BufReader::new(reads).lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    assert!(records.any(|record| record["event"] == "progress" && record["done"].as_u64() > Some(0)));
    started.signal(Signal::INT);
    let ended = started.end();
    // When the time limit forces the end, no task reports its end.
    let end = records.find(|record| record["event"] == "end").expect("the end was forced");
    assert_eq!((&end["title"], &end["outcome"]), (&"check the image".into(), &"interrupted".into()));
    assert_eq!((ended.status, ended.stderr.contains("error: interrupted\n")), (130, true), "{}", ended.stderr);
}

/// The name of a recipe, or its file, in place of an image or a kickstart: the message says what it is, and names the command that was
/// meant.
#[test]
fn a_recipe_in_the_wrong_place_is_named_as_one() {
    let recipe = "schema = 1\nextends = \"debian-12-docker\"\nname = \"lab\"\n";
    for command in [&["verify"][..], &["image", "inspect"]] {
        for (image, status, error, help) in [
            (
                "debian-12-docker",
                3,
                "there is no image debian-12-docker: the recipe `debian-12-docker` is not built in this directory",
                "build it with `goldsmith build debian-12-docker`, or give the path of an image",
            ),
            (
                "lab/lab.qcow2",
                3,
                "there is no image lab/lab.qcow2: the recipe `lab.toml` is not built in this directory",
                "build it with `goldsmith build lab.toml`, or give the path of an image",
            ),
            (
                "lab.toml",
                2,
                "lab.toml is a recipe, not an image",
                "build it with `goldsmith build lab.toml`, then give the directory which that made",
            ),
        ] {
            let words = command.iter().copied().chain([image]);
            let ended = goldsmith(words).file("lab.toml", recipe).end();
            ended.is(status, "", &format!("error: {error}\n  help: {help}\n"));
        }
    }
    // These commands first build the recipe that they are to start. They do not build for a file in another directory than that of the
    // build.
    for command in ["run", "up"] {
        let ended = goldsmith([command, "broken.toml"]).file("broken.toml", "schema = 1\nextends = \"debian-12-docker\"\nname = 7\n").end();
        assert!(ended.status == 2 && ended.stderr.contains("broken.toml:3:8"), "{}", ended.stderr);
        let ended = goldsmith([command, "lab/lab.qcow2"]).file("lab.toml", recipe).end();
        assert!(ended.status == 3 && ended.stderr.contains("the recipe `lab.toml` is not built"), "{}", ended.stderr);
    }
    let said = "error: lab.toml is a recipe, not a kickstart\n  \
                help: check the recipe with `goldsmith check lab.toml`; `goldsmith kickstart render lab.toml` shows the kickstart that it makes\n";
    goldsmith(["kickstart", "check", "lab.toml"]).file("lab.toml", recipe).end().is(2, "", said);
}

#[test]
fn a_starter_goes_to_standard_output_or_into_a_new_directory() {
    let printed = goldsmith(["init", "-"]).end();
    printed.is(0, goldsmith::recipe::starter(), "");
    assert_eq!(std::fs::read_dir(printed.dir()).unwrap().count(), 0);
    let written = goldsmith(["init", "a/b.toml"]).end();
    written.is(0, "a/b.toml written; edit it, then run: goldsmith build a/b.toml\n", "");
    let names: Vec<_> = std::fs::read_dir(written.dir().join("a")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["b.toml"]);
    // The message must not show the name of the temporary file.
    let refused = goldsmith(["init", "/proc/b.toml"]).end();
    assert!(refused.status == 7 && refused.stderr.starts_with("error: /proc/b.toml cannot be written: "), "{}", refused.stderr);
    assert!(!refused.stderr.contains(".tmp"), "{}", refused.stderr);
}

/// Each help has examples, and each example is a command line that goldsmith takes.
#[test]
fn every_help_has_examples_that_are_command_lines() {
    for words in commands() {
        let help = goldsmith(words.iter().map(String::as_str).chain(["--help"])).end().stdout;
        let examples: Vec<&str> = help.split_once("Examples:\n").map(|(_, rest)| rest.lines().collect()).unwrap_or_default();
        assert!(!examples.is_empty(), "{words:?} has no example: {help}");
        for example in examples {
            let line = example.split(['|', '>']).next().unwrap().trim().replace('*', "a");
            let parsed = Args::try_parse_from(shell_words::split(&line).unwrap());
            assert!(parsed.is_ok(), "{words:?}: {line}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn help_knows_topics_and_commands() {
    for topic in &goldsmith::cli::topics::TOPICS {
        let ended = goldsmith(["help", topic.name]).end();
        assert_eq!((ended.status, ended.stderr.as_str()), (0, ""), "{}", topic.name);
        assert!(ended.stdout.starts_with(&topic.text()), "{}", topic.name);
        for place in [&["--help"][..], &["help", "help"]] {
            assert!(goldsmith(place.iter().copied()).end().stdout.contains(topic.name), "{place:?} lacks {}", topic.name);
        }
    }
    for words in
        commands().iter().filter(|words| words.len() != 1 || !goldsmith::cli::topics::TOPICS.iter().any(|topic| topic.name == words[0]))
    {
        let by_flag = goldsmith(words.iter().map(String::as_str).chain(["--help"])).end();
        goldsmith(["help"].into_iter().chain(words.iter().map(String::as_str))).end().is(0, &by_flag.stdout, "");
    }
    let said = "error: there is no command and no topic `exit-code`\n  help: did you mean `goldsmith help exit-codes`?\n";
    goldsmith(["help", "exit-code"]).end().is(2, "", said);
}

/// The real groff reads the pages and gives no warning.
#[test]
fn groff_takes_the_manual_pages() {
    let pages = goldsmith(["man", "-o", "pages"]).end();
    pages.is(0, "", "");
    for entry in std::fs::read_dir(pages.dir().join("pages")).unwrap() {
        let path = entry.unwrap().path();
        let output = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{}: {said}", path.display());
    }
}

/// With `--json` everything on standard output is a record, wrong words and wrong recipes included.
#[test]
fn errors_are_records_with_their_places() {
    let record = |args: &[&str], recipe: &str| -> serde_json::Value {
        let ended = goldsmith(args.iter().copied()).file("r.toml", recipe).end();
        let record: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stdout));
        assert_eq!((ended.status, &record["event"]), (2, &"error".into()), "{record}");
        assert!(record["elapsed"].as_f64().unwrap() >= 0.0 && record["time"].is_string() && record["schema"] == 1, "{record}");
        record
    };
    let words = record(&["biuld", "r.toml", "--json"], "");
    assert_eq!((&words["what"], &words["class"]), (&"unrecognized subcommand 'biuld'".into(), &"usage".into()));
    assert_eq!(words["remedy"], "a similar subcommand exists: 'build'");
    let missing = record(&["--json", "build"], "");
    assert_eq!(missing["what"], "the following required arguments were not provided: <RECIPE>");
    let recipe = "schema = 1\nextends = \"debian-12-docker\"\nname = \"é\"\ndisk = { size = 20 }\n";
    let wrong = record(&["plan", "--json", "r.toml"], recipe);
    let findings = wrong["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 2, "{wrong}");
    assert_eq!((&findings[0]["file"], &findings[0]["line"], &findings[0]["column"]), (&"r.toml".into(), &3.into(), &8.into()));
    assert_eq!(
        findings[1],
        serde_json::json!({"file": "r.toml", "line": 4, "column": 17, "message": "`disk.size` must be a string, not an integer",
        "help": ["put it in quotes, with a unit: \"20G\""]})
    );
    // Help is text, and not a record.
    assert!(goldsmith(["--json", "--help"]).end().stdout.starts_with("Turns one"));
}

/// A missing network is one cause and reported once, however many inputs are missing because of it. No host has a name in `.invalid` (RFC
/// 6761, 6.4).
#[test]
fn one_cause_is_told_once() {
    let sets = [
        "system.root=locked",
        "media.iso.urls=[\"https://nowhere.invalid/x.iso\"]",
        "repository=[{ id = \"a\", upstream = [{ name = \"b\", urls = [\"https://nowhere.invalid/\"] }] }]",
    ];
    let words = ["check", "centos-7.5-docker"].into_iter().chain(sets.iter().flat_map(|set| ["--set", set]));
    let ended = goldsmith(words).end();
    let wrong: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with("wrong ")).collect();
    let row = "wrong     sources    no server's name can be resolved, so these inputs cannot be fetched:";
    assert_eq!((ended.status, &wrong[..]), (3, &[row][..]), "{}{}", ended.stdout, ended.stderr);
    for about in ["- the installation medium\n", "- repomd.xml of b\n"] {
        assert!(ended.stdout.contains(about), "{about}: {}", ended.stdout);
    }
}

/// A shell in a failed guest needs a terminal. Without one, a message says so once, and the build goes on to its end.
#[test]
fn without_a_terminal_no_shell_is_promised() {
    let iso = format!("media.iso={{ path = \"none.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    for more in [&["--keep-on-failure"][..], &["--keep-on-failure", "--json"], &[]] {
        let words = ["build", "centos-7.5-docker", "--set", "system.root=locked", "--set", &iso].into_iter().chain(more.iter().copied());
        let ended = goldsmith(words).end();
        let said = [ended.stdout.as_str(), &ended.stderr].concat().matches("--keep-on-failure needs a terminal").count();
        assert_eq!((ended.status, said), (3, usize::from(!more.is_empty())), "{more:?}: {}{}", ended.stdout, ended.stderr);
    }
}
