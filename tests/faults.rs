//! Each fault ends with its exit code, one line of cause and one of remedy, and leaves nothing unfinished.

mod input;
mod host;
mod stages;
mod killed;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::fixture;
use crate::support::{Ended, Run, goldsmith};

/// The smallest recipe that is built for real. It takes 40 s less than one with Docker.
const SMALL: &str = "\
schema = 1
name = \"small\"
[media]
installer = \"deploy\"
distribution = \"debian\"
suite = \"bookworm\"
[system]
root = \"locked\"
locale = \"C.UTF-8\"
";

/// For tests that boot: an emulated guest on a busy host.
const MACHINE: Duration = Duration::from_secs(600);

/// `goldsmith` with a private store, and [`SMALL`] in its working directory as `small.toml`.
fn small<'a>(args: impl IntoIterator<Item = &'a str>) -> Run {
    goldsmith(args).file("small.toml", SMALL)
}

/// `goldsmith build` of the fixture's recipe. The artifact is to be `out`, the store is `store` and has the fixture's installation.
fn of_fixture(args: &[&str]) -> Run {
    let root = fixture::root_override(&fixture::fixture().key);
    let words = ["build", "debian-12-docker", "-o", "out", "--store", "store", "--set", &root];
    let run = goldsmith(words.into_iter().chain(args.iter().copied())).env("ROOT_PASSWORD", fixture::PASSWORD).patience(MACHINE);
    store_with_layers(run.dir(), 1);
    run
}

/// Make `store` in `dir`, with the fixture's secret and links to its first `count` layers.
fn store_with_layers(dir: &Path, count: usize) {
    let root = fixture::root_override(&fixture::fixture().key);
    let plan = fixture::goldsmith(&["plan", "--json", "debian-12-docker", "--set", &root]).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    let (from, to) = (fixture::place().join("store"), dir.join("store"));
    fs::create_dir_all(to.join("v1/layers")).unwrap();
    fs::copy(from.join("secret"), to.join("secret")).unwrap();
    for stage in &plan["stages"].as_array().unwrap()[..count] {
        let layer = Path::new("v1/layers").join(stage["id"].as_str().unwrap());
        assert!(from.join(&layer).is_dir(), "the fixture's store lacks {stage}");
        symlink(from.join(&layer), to.join(&layer)).unwrap();
    }
}

/// The message about the failure: standard error without the progress before it. The working directory is written as `[DIR]`.
pub fn told(ended: &Ended) -> String {
    let text = ended.stderr.replace(ended.dir().to_str().unwrap(), "[DIR]");
    text.find("error: ").map_or(text.clone(), |at| text[at..].to_owned())
}

/// Fail unless `ended` has this exit code, begins its words with `cause` and ends them with `remedy`, and left neither an artifact nor
/// anything unfinished.
#[track_caller]
pub fn failed(ended: &Ended, status: i32, cause: &str, remedy: &str) {
    let told = told(ended);
    assert_eq!(ended.status, status, "{}", ended.stderr);
    assert!(told.starts_with(&format!("error: {cause}")), "`{cause}` is not the cause of\n{told}");
    let last = told.lines().rev().find(|line| line.starts_with("  help: ")).unwrap_or("");
    assert!(last.starts_with(&format!("  help: {remedy}")), "`{remedy}` is not the remedy of\n{told}");
    assert!(!ended.dir().join("out").exists(), "an artifact was left");
    nothing_unfinished(ended.dir());
    for store in [".cache/goldsmith", "store"] {
        nothing_unfinished(&ended.dir().join(store).join("v1/layers"));
        assert_eq!(names(&ended.dir().join(store).join("v1/scratch")), [""; 0]);
    }
}

/// Check that nothing in `dir` is unfinished.
#[track_caller]
fn nothing_unfinished(dir: &Path) {
    let unfinished: Vec<_> = names(dir).into_iter().filter(|name| name.contains(".new-")).collect();
    assert!(unfinished.is_empty(), "{}: {unfinished:?}", dir.display());
}

/// The names in `dir`, sorted; none when it does not exist.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The directory of evidence beside `out`.
#[track_caller]
pub fn evidence(ended: &Ended) -> PathBuf {
    let found: Vec<_> = names(ended.dir()).into_iter().filter(|name| name.starts_with("out.failed-")).collect();
    let [name] = &found[..] else { panic!("evidence: {found:?}\n{}", ended.stderr) };
    assert!(ended.stderr.ends_with(&format!("  evidence: {name}\n")), "{}", ended.stderr);
    ended.dir().join(name)
}

/// Whether this host allows something that a test needs. Prints a message if not.
#[expect(clippy::print_stderr, reason = "a test that is passed over must say why")]
pub fn possible(command: &[&str], why: &str) -> bool {
    let tried = Command::new(command[0]).args(&command[1..]).stdin(Stdio::null()).output();
    let possible = tried.is_ok_and(|output| output.status.success());
    if !possible {
        eprintln!("passed over: {why} (`{}` failed)", command.join(" "));
    }
    possible
}
