//! goldsmith on the rehearsal medium, which behaves as the facts about Anaconda 7.5 say and shares nothing with goldsmith:
//! `tests/rehearsal/README.md` tells what it proves and what it cannot.

mod flagship;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{PASSWORD, place};
use crate::support::{Run, goldsmith};

/// The recipe that is rehearsed.
const FLAGSHIP: &str = "centos-7.5-docker";

/// The medium and what a build with it has to know.
struct Medium {
    iso: String,
    sha256: String,
    bundle: String,
    /// The line of its release file.
    release: String,
    /// The version of its Docker.
    docker: String,
}

/// A file of the medium's directory.
fn at(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rehearsal").join(name)
}

/// The medium without a fault; made when it is not there yet, or of other packages.
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

/// A build of the flagship recipe to `out`, in surroundings of its own, with those overrides that `wanted` picks by their key.
fn flagship(medium: &Medium, wanted: impl Fn(&str) -> bool) -> Run {
    let words = set(&overrides(medium), wanted);
    let words = ["build", FLAGSHIP, "-o", "out"].into_iter().chain(words.iter().map(String::as_str));
    goldsmith(words).env("ROOT_PASSWORD", PASSWORD).patience(Duration::from_secs(120))
}
