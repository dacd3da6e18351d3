//! goldsmith on the rehearsal medium for Anaconda. The medium behaves as the facts about Anaconda 7.5 say, and it shares no code with
//! goldsmith. `tests/rehearsal/README.md` explains what it can and cannot prove.

mod built;
mod flagship;
mod rows;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{PASSWORD, place};
use crate::support::{Ended, Run, goldsmith};

/// The recipe that is rehearsed.
const FLAGSHIP: &str = "centos-7.5-docker";

/// The medium, and the facts that a build with it needs.
struct Medium {
    iso: String,
    sha256: String,
    bundle: String,
    /// The line of its release file.
    release: String,
    /// The version of its Docker.
    docker: String,
}

/// The table of messages.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/rehearsal-rows.txt");

/// A file of the medium's directory.
fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal").join(name)
}

/// The medium without a fault. It is made when it does not exist yet, or was made of other packages.
fn medium() -> &'static Medium {
    static MEDIUM: OnceLock<Medium> = OnceLock::new();
    MEDIUM.get_or_init(|| made(&[]))
}

/// The medium with a fault: `KIND@PHASE`, `stage2-missing` or `stage2-broken`.
fn faulty(fault: &str) -> Medium {
    // The faulty one is a copy.
    medium();
    made(&["--fault", fault])
}

fn made(more: &[&str]) -> Medium {
    let cache = place().join("rehearsal");
    fs::create_dir_all(&cache).unwrap();
    let built = Command::new(at("build.py")).arg("--cache").arg(cache).args(more).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let said: Value = serde_json::from_slice(&built.stdout).unwrap();
    let word = |key: &str| said[key].as_str().unwrap().to_owned();
    Medium { iso: word("iso"), sha256: word("sha256"), bundle: word("bundle"), release: word("release"), docker: word("docker") }
}

/// A search path whose `qemu-system-x86_64` has EL7's disks: 7.5's virtio_blk can neither discard nor write zeroes (el7-facts,
/// Corrections 1), and what QEMU does not offer, Debian's cannot do either. `more` are arguments for a machine with a network.
fn el7_path(name: &str, more: &str) -> String {
    let path = std::env::var("PATH").unwrap();
    let directory = place().join("rehearsal-host").join(name);
    fs::create_dir_all(&directory).unwrap();
    let qemu = std::env::split_paths(&path).map(|place| place.join("qemu-system-x86_64")).find(|place| place.exists());
    let qemu = qemu.expect("QEMU is installed");
    let wrapper = directory.join("qemu-system-x86_64");
    let disks = "-global virtio-blk-pci.discard=off -global virtio-blk-pci.write-zeroes=off";
    let script =
        format!("#!/bin/sh\nmore=\ncase $* in *netdev=net0*) more='{more}' ;; esac\nexec '{}' {disks} $more \"$@\"\n", qemu.display());
    // Tests run at the same time, and one may be running the file that another writes.
    let new = directory.join(format!("new-{:?}", std::thread::current().id()));
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, wrapper).unwrap();
    format!("{}:{path}", directory.display())
}

/// Whether the row `name` is run: `REHEARSAL_ROWS` names it or is `all`, or the variable is not set and the row always runs.
fn is_wanted(name: &str, always: bool) -> bool {
    let wanted = std::env::var("REHEARSAL_ROWS").unwrap_or_default();
    wanted == "all" || if wanted.is_empty() { always } else { wanted.split(',').any(|row| row == name) }
}

/// Add a row to the table: its name, seconds in all, the exit code and the message. The table has only rows of this run.
fn note(name: &str, ended: &Ended, took: Duration, said: &str) {
    static NEW: OnceLock<()> = OnceLock::new();
    // Remove the table of an earlier run, if there was one.
    NEW.get_or_init(|| drop(fs::remove_file(TABLE)));
    let mut table = OpenOptions::new().create(true).append(true).open(TABLE).unwrap();
    writeln!(table, "{name:<24} {:>5.0} s  exit {}  {said}", took.as_secs_f64(), ended.status).unwrap();
}

/// The overrides that the medium's README lists, as keys and values; DOCKER and the like are filled in.
fn overrides(medium: &Medium) -> Vec<(String, String)> {
    let text = fs::read_to_string(at("README.md")).unwrap();
    let (_, section) = text.split_once("\n## Overrides\n").unwrap();
    let (_, list) = section.split_once("```text\n").unwrap();
    let (list, _) = list.split_once("```").unwrap();
    let values = [
        ("SHA256", &medium.sha256),
        ("ISO", &medium.iso),
        ("BUNDLE", &medium.bundle),
        ("DOCKER", &medium.docker),
        ("RELEASE", &medium.release),
    ];
    let filled = |value: &str| values.iter().fold(value.to_owned(), |value, (name, with)| value.replace(name, with));
    list.lines().map(|line| line.split_once(" = ").unwrap()).map(|(key, value)| (key.to_owned(), filled(value))).collect()
}

/// `--set` and its value for every override that `wanted` picks by its key.
fn set(overrides: &[(String, String)], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let picked = overrides.iter().filter(|(key, _)| wanted(key));
    picked.flat_map(|(key, value)| ["--set".to_owned(), format!("{key}={value}")]).collect()
}

/// A build of the flagship recipe to `out`, in a separate directory, with those overrides that `wanted` picks by their key.
fn flagship(medium: &Medium, wanted: impl Fn(&str) -> bool) -> Run {
    let words = set(&overrides(medium), wanted);
    let words = ["build", FLAGSHIP, "-o", "out"].into_iter().chain(words.iter().map(String::as_str));
    goldsmith(words).env("ROOT_PASSWORD", PASSWORD).env("PATH", el7_path("plain", "")).patience(Duration::from_secs(120))
}

/// If the stand-in logs a line that its table lacks, its installation ends with an exception, and that looks like a fault of goldsmith.
#[test]
fn the_stand_in_has_every_line_that_it_logs_and_logs_every_line() {
    let table = fs::read_to_string(at("runtime/lines.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    let mut there: Vec<String> = Vec::new();
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        there.push(row[0].to_owned());
    }
    let mut logged: Vec<String> = Vec::new();
    for file in fs::read_dir(at("runtime/pyanaconda")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            let text = fs::read_to_string(&path).unwrap();
            logged.extend(text.split("lines.log(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    // A line may be logged in several places, and it is once in the table.
    there.sort();
    logged.sort();
    logged.dedup();
    assert_eq!(logged, there);
}
