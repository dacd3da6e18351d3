//! Every unsuccessful end of an installation (el7-facts, B6), on real machines: the message and the exit code of goldsmith.
//!
//! The quickest row always runs. `REHEARSAL_ROWS=all` (as in ci/full), or names with commas between them, choose the others.
//! `target/rehearsal-rows.txt` then has the output and the time of each row.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use super::{Medium, el7_path, faulty, flagship, is_wanted, note};
use crate::faults::{evidence, failed, told};
use crate::fixture::{PASSWORD, machines};
use crate::support::{Ended, Run, goldsmith};

/// The smallest kickstart that the installer accepts, because the rows do not test the rest of an installation.
const KICKSTART: &str = include_str!("../rehearsal/least.ks");

/// Longer than the longest row may take: some rows wait for silence, or for the deadline of a spinning processor.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The input of the installer in a row.
enum Given {
    /// [`KICKSTART`] with a line replaced by another text, and a section after it.
    Kickstart(&'static str, &'static str, &'static str),
    /// [`KICKSTART`], and at a phase (KIND@PHASE) an end that only a fault can cause.
    Fault(&'static str),
    /// [`KICKSTART`], on a medium with a fault that no script can cause.
    Medium(&'static str),
    /// The flagship recipe, on a medium with a fault.
    Flagship(&'static str),
}
use Given::{Fault, Flagship, Kickstart};

/// A way to end.
struct Row {
    name: &'static str,
    /// It always runs.
    always: bool,
    given: Given,
    /// A part of the cause, and one of the remedy.
    cause: &'static str,
    remedy: &'static str,
}

const fn row(name: &'static str, given: Given, cause: &'static str, remedy: &'static str) -> Row {
    Row { name, always: false, given, cause, remedy }
}

const fn always(row: Row) -> Row {
    Row { always: true, ..row }
}

/// Faults that `check` would find are in files that a `%pre` makes, so that they reach the installer.
const ROWS: &[Row] = &[
    always(row(
        "syntax error",
        Kickstart("poweroff\n", "poweroff\n%include /tmp/more.ks\n", "%pre\necho nonsense > /tmp/more.ks\n%end\n"),
        "does not understand the kickstart (The following problem occurred on line 1 of the kickstart file: ",
        "see the line",
    )),
    row(
        "no such disk",
        Kickstart("--drives=vda", "--drives=vdz", ""),
        "does not understand the kickstart (The following problem occurred on line 8 of the kickstart file: ",
        "see the line",
    ),
    row(
        "%pre --erroronfail",
        Kickstart("", "", "%pre --erroronfail\nexit 3\n%end\n"),
        "a script of the kickstart failed",
        "correct the script",
    ),
    row("%pre fails", Kickstart("", "", "%pre\nexit 3\n%end\n"), "a script of the kickstart failed (Error code 3", "correct the script"),
    row(
        "missing package",
        Kickstart("coreutils\n", "coreutils\n%include /tmp/more.ks\n", "%pre\necho no-such-thing > /tmp/more.ks\n%end\n"),
        "a package is neither on the medium nor in the recipe's repositories (CmdlineError: Missing package: no-such-thing",
        "correct [packages]",
    ),
    row(
        "missing answer",
        Kickstart("rootpw --plaintext rehearsal\n", "", ""),
        "the installer lacks what the kickstart should have told it",
        "read",
    ),
    row("unreadable repository", Flagship("unreadable@metadata"), "a repository's metadata cannot be read", "make the archive again"),
    row("disk too small", Kickstart("--size=200", "--size=9000", ""), "the disk cannot be laid out as the kickstart says", "change [disk]"),
    row("%post --erroronfail", Kickstart("", "", "%post --erroronfail\nexit 4\n%end\n"), "a script of the kickstart failed", "correct"),
    row(
        "%post fails",
        Kickstart("", "", "%post\necho to be read\nexit 4\n%end\n"),
        "a script of the kickstart failed (Error code 4",
        "correct",
    ),
    row("kernel panic", Fault("panic@storage"), "its kernel panicked", "read"),
    row("silent hang", Fault("hang@storage"), "the installer hangs at `", "read"),
    row("spinning hang", Fault("spin@storage"), "the installer did not get further than `", "read"),
    row("dots", Fault("dots@metadata"), "the installer hangs at `", "read"),
    row("prompt", Fault("prompt@storage"), "the installer asks a question", "read"),
    row("early power-off", Fault("poweroff@storage"), "the installer's machine powered off at `", "read"),
    row("exception", Fault("crash@storage"), "the installer crashed", "read"),
    row(
        "stage2 missing",
        Given::Medium("stage2-missing"),
        "its initramfs could not get the installer's system off the medium",
        "see whether",
    ),
    row("stage2 broken", Given::Medium("stage2-broken"), "its initramfs", "see whether"),
    row("too little memory", Given::Medium("memory@start"), "the machine has too little memory for the installer", "give it more"),
];

#[test]
fn each_way_to_fail_is_told_by_its_name() {
    let mut wrong = String::new();
    for row in ROWS.iter().filter(|row| is_wanted(row.name, row.always)) {
        let _slot = machines();
        let begun = Instant::now();
        let ended = build(row).end();
        note(row.name, &ended, begun.elapsed(), &cause_and_remedy(&ended));
        if let Err(why) = std::panic::catch_unwind(|| judge(row, &ended)) {
            let why = why.downcast_ref::<String>().map_or("", String::as_str);
            writeln!(wrong, "--- {}: {why}", row.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A build that must fail as the row says.
fn build(row: &Row) -> Run {
    let spins = matches!(row.given, Fault(fault) if fault.starts_with("spin"));
    let (kickstart, medium): (String, Option<Medium>) = match row.given {
        Kickstart(line, with, section) => (format!("{}{section}", KICKSTART.replacen(line, with, 1)), None),
        Fault(fault) => (format!("{KICKSTART}%pre\necho {fault} > /run/rehearsal.fault\n%end\n"), None),
        Given::Medium(fault) => (KICKSTART.to_owned(), Some(faulty(fault))),
        Flagship(fault) => return flagship(&faulty(fault), |_| true).patience(PATIENCE),
    };
    let medium = medium.as_ref().unwrap_or_else(|| super::medium());
    let recipe = format!(
        "schema = 1\nname = \"row\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"row.ks\"\niso = {{ path = \"{}\", sha256 = \"{}\" }}\n{}",
        medium.iso,
        medium.sha256,
        // On an emulated processor, the deadline is ten times as long.
        if spins { "[build]\ndeadline = \"1m\"\n" } else { "" }
    );
    goldsmith(["build", "row.toml", "-o", "out"])
        .file("row.toml", &recipe)
        .file("row.ks", &kickstart)
        .env("PATH", el7_path("plain", ""))
        .patience(PATIENCE)
}

#[track_caller]
fn judge(row: &Row, ended: &Ended) {
    failed(ended, 4, "the installation failed: ", row.remedy);
    let told = told(ended);
    assert!(told.lines().next().unwrap().contains(row.cause), "`{}` is not the cause of\n{told}", row.cause);
    let machine = evidence(ended).join("install");
    for name in ["console.log", "ks.cfg", "screen.png"] {
        assert!(machine.join(name).exists(), "{name} is not among the evidence");
    }
    assert!(!fs::read_to_string(machine.join("ks.cfg")).unwrap().contains(PASSWORD));
}

/// The first line of the message, and the remedy.
fn cause_and_remedy(ended: &Ended) -> String {
    let told = told(ended);
    let help = told.lines().rev().find(|line| line.starts_with("  help: ")).unwrap_or("");
    format!("{}\n{:<40}{help}", told.lines().next().unwrap_or(""), "")
}
