//! Sets of packages that can be installed together, compared with the real dnf and the real apt.
//!
//! `tests/packages/generate.py` writes repositories with the library of createrepo_c. `dnf_oracle.py` asks dnf about them and counts the
//! solutions. There are no cases in which yum and dnf are known to differ (generate.py names them); `packages::solve` tests the behaviour
//! of yum there.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use goldsmith::packages::rpm::{Kind, Repomd, add_comps, add_filelists, add_primary};
use goldsmith::packages::{Asked, Op, PackageId, Question, Relation, Scheme, Universe, What, missing_files, resolve};
use serde::Deserialize;

use crate::support::{golden, goldsmith};

/// The number has no meaning. Another one gives another set of cases.
const SEED: &str = "75";
const CASES: usize = 400;
/// The variable for another number of cases; ci/full sets it.
const CASES_VARIABLE: &str = "CLOSURE_CASES";
const LIMIT: u64 = 64 << 20;

#[derive(Deserialize)]
struct Queries {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    id: String,
    repositories: Vec<String>,
    install: Vec<String>,
    deselect: Vec<String>,
    exclude: Vec<String>,
}

/// The answer of dnf for a case. `unique`: no other set of packages is a solution, not counting sets with superfluous packages. `newest`:
/// one of the solutions has the newest version of each package.
#[derive(Deserialize)]
struct Verdict {
    id: String,
    satisfiable: bool,
    packages: Vec<String>,
    problem: Option<String>,
    unique: bool,
    newest: bool,
}

fn python(script: &str, args: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages").join(script);
    let output = Command::new("/usr/bin/python3").arg("-B").arg(path).args(args).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn universe(dir: &Path, repositories: &[String], question: &Question) -> Universe {
    let mut universe = Universe::new(Scheme::Rpm);
    let repomd =
        |repository: &String| Repomd::read(repository, File::open(dir.join(repository).join("repodata/repomd.xml")).unwrap()).unwrap();
    let input = |repository: &String, repomd: &Repomd, kind| {
        repomd
            .entry(kind)
            .map(|entry| entry.input(&entry.href, File::open(dir.join(repository).join(&entry.href)).unwrap(), LIMIT).unwrap())
    };
    for repository in repositories {
        let (id, repomd) = (universe.repository(repository, 1000), repomd(repository));
        add_primary(&mut universe, id, input(repository, &repomd, Kind::Primary).unwrap(), &mut |_, _| ()).unwrap();
        if let Some(comps) = input(repository, &repomd, Kind::Groups) {
            add_comps(&mut universe, comps).unwrap();
        }
    }
    for _ in 0..4 {
        let files = missing_files(&universe, question);
        for (repository, id) in repositories.iter().zip(0..) {
            let wanted = |file: &str| files.iter().any(|known| known == file);
            add_filelists(&mut universe, id, input(repository, &repomd(repository), Kind::Filelists).unwrap(), &wanted).unwrap();
        }
    }
    universe
}

fn what(text: &str) -> What {
    let mut words = text.split(' ');
    let name = words.next().unwrap();
    let option = |wanted: &str| text.split(' ').any(|word| word == wanted);
    match (name.strip_prefix("@^"), name.strip_prefix('@')) {
        (Some(id), _) => What::Environment(id.to_owned()),
        (_, Some(id)) => What::Group { id: id.to_owned(), plain: option("--nodefaults"), all: option("--optional") },
        _ => What::Package(text.to_owned()),
    }
}

fn question(case: &Case) -> Question {
    Question {
        asked: case.install.iter().map(|text| Asked { what: what(text), by: "the case".to_owned() }).collect(),
        deselected: case.deselect.iter().map(|text| what(text)).collect(),
        forbidden: case.exclude.clone(),
        ..Question::default()
    }
}

/// `NAME-EPOCH:VERSION-RELEASE.ARCH`.
fn nevra(universe: &Universe, id: PackageId) -> String {
    let package = universe.package(id);
    let version = universe.text(package.version);
    let epoch = if version.contains(':') { "" } else { "0:" };
    format!("{}-{epoch}{version}.{}", universe.text(package.name), universe.text(package.arch))
}

/// The fault of an answer: a need that no package meets, or two packages that exclude each other.
fn flaw(universe: &Universe, ids: &[PackageId]) -> Option<String> {
    let meets = |id: PackageId, wanted: &Relation| {
        let package = universe.package(id);
        let own = Relation { name: package.name, bound: Some((Op::Eq, package.version)) };
        [own].iter().chain(&package.provides).any(|provided| provided.name == wanted.name && universe.provides(provided, wanted))
    };
    for id in ids {
        let package = universe.package(*id);
        for need in &package.needs {
            if !ids.iter().any(|other| need.alternatives().iter().any(|wanted| meets(*other, wanted))) {
                return Some(format!("nobody meets {need:?} of {}", nevra(universe, *id)));
            }
        }
        for relation in &package.conflicts {
            if let Some(other) = ids.iter().find(|other| *other != id && meets(**other, relation)) {
                return Some(format!("{} conflicts with {}", nevra(universe, *id), nevra(universe, *other)));
            }
        }
    }
    None
}

#[test]
fn dnf_says_the_same_of_hundreds_of_generated_repositories() {
    let cases = std::env::var(CASES_VARIABLE).map_or(CASES, |count| count.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    python("generate.py", &[place, "--seed", SEED, "--cases", &cases.to_string()]);
    let queries: Queries = serde_json::from_slice(&fs::read(dir.path().join("queries.json")).unwrap()).unwrap();
    let verdicts: Vec<Verdict> = python("dnf_oracle.py", &[place]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((queries.cases.len(), verdicts.len()), (cases, cases));
    let mut differ = Vec::new();
    let (mut satisfiable, mut compared) = (0, 0);
    for (case, verdict) in queries.cases.iter().zip(&verdicts) {
        assert_eq!(case.id, verdict.id);
        let question = question(case);
        let universe = universe(dir.path(), &case.repositories, &question);
        let mut say = |what: String| {
            let problem = verdict.problem.as_deref().unwrap_or_default().trim();
            differ.push(format!("{} {:?} -{:?} !{:?}: {what}\n    dnf: {problem}", case.id, case.install, case.deselect, case.exclude));
        };
        match (resolve(&universe, &question), verdict.satisfiable) {
            (Ok(closure), true) => {
                satisfiable += 1;
                let ids: Vec<PackageId> = closure.packages.iter().map(|chosen| chosen.id).collect();
                if let Some(flaw) = flaw(&universe, &ids) {
                    say(flaw);
                }
                let ours: BTreeSet<String> = ids.iter().map(|id| nevra(&universe, *id)).collect();
                let dnfs: BTreeSet<String> = verdict.packages.iter().cloned().collect();
                compared += usize::from(verdict.unique || verdict.newest);
                if (verdict.unique || verdict.newest) && ours != dnfs {
                    say(format!("only ours {:?}, only dnf's {:?}", &ours - &dnfs, &dnfs - &ours));
                }
            }
            (Err(_), false) => {}
            (Ok(_), false) => say("dnf finds no answer, we do".to_owned()),
            (Err(refused), true) => say(format!("dnf finds an answer, we say {refused}")),
        }
    }
    assert!(satisfiable > cases / 3 && satisfiable < cases * 2 / 3 && compared > cases / 4, "{satisfiable} {compared}: the cases are poor");
    assert!(differ.is_empty(), "{} of {cases} differ:\n{}", differ.len(), differ.join("\n"));
}

#[derive(Deserialize)]
struct Bundles {
    cases: Vec<BundleCase>,
}

/// A medium and a bundle in the shape of the real ones.
#[derive(Deserialize)]
struct BundleCase {
    id: String,
    recipe: String,
    set: Vec<String>,
}

/// The rows of `goldsmith check` for kickstart, packages and checks. The other rows have digests or depend on the host.
fn rows_of(stdout: &str) -> String {
    let mut shown = true;
    let told = |line: &&str| {
        if !line.starts_with(' ') {
            shown = ["kickstart", "packages", "disk", "checks"].iter().any(|area| line.split_whitespace().nth(1) == Some(area));
        }
        shown
    };
    stdout.lines().filter(told).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_traps_of_a_bundle_are_told_before_anything_boots() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    python("flagship.py", &[place, "--trap", "all"]);
    let bundles: Bundles = serde_json::from_slice(&fs::read(dir.path().join("queries.json")).unwrap()).unwrap();
    let mut dnf = python("dnf_oracle.py", &[place]);
    assert!(bundles.cases.len() > 6);
    for case in &bundles.cases {
        let line = dnf.lines().next().unwrap().to_owned();
        dnf.drain(..=line.len());
        let verdict: Verdict = serde_json::from_str(&line).unwrap();
        assert_eq!(verdict.id, case.id);
        let sets = case.set.iter().flat_map(|set| ["--set", set.as_str()]);
        let ended = goldsmith(["check", case.recipe.as_str()].into_iter().chain(sets)).env("ROOT_PASSWORD", "x").end();
        let found = rows_of(&ended.stdout);
        golden(&format!("closure/{}.txt", case.id), &found);
        // dnf finds a set that can be installed together. yum may still fail there, and so may its upgrade.
        let is_solved = |line: &str| {
            let upgrades = line.starts_with("wrong     packages   `yum upgrade` takes ");
            upgrades || line.starts_with("ok        packages ") || line.trim_start().starts_with("the packages can be had together")
        };
        let solved = found.lines().any(is_solved);
        assert_eq!(solved, verdict.satisfiable, "{}: {found}\ndnf: {:?}", case.id, verdict.problem);
    }
    // Without an archive, the message says which packages must be in it.
    let medium = bundles.cases[0].set.iter().find(|set| set.starts_with("media.iso=")).unwrap();
    let ended = goldsmith(["check", "centos-7.5-kubernetes-node", "--set", medium]).env("ROOT_PASSWORD", "x").end();
    golden("closure/no-archive.txt", &rows_of(&ended.stdout));
}

/// The output of apt_oracle.py.
#[derive(Deserialize)]
struct AptAnswer {
    packages: std::collections::BTreeMap<String, String>,
}

#[test]
fn apt_would_install_the_same_packages_for_the_default_image() {
    let ended = goldsmith(["check", "debian-12-docker", "--json"]).end();
    let document: serde_json::Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    let text = |package: &serde_json::Value, field: &str| package[field].as_str().unwrap().to_owned();
    let packages = document["packages"].as_array().unwrap();
    let ours: std::collections::BTreeMap<String, String> =
        packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect();
    let recipe = goldsmith::recipe::load("debian-12-docker", &[], &Nothing).unwrap();
    let asked = goldsmith::installer::deploy::packages(&recipe);
    let words: Vec<&str> = ["bookworm"].into_iter().chain(asked.iter().map(String::as_str)).collect();
    let apt: AptAnswer = serde_json::from_str(&python("apt_oracle.py", &words)).unwrap();
    assert!(ours.len() > 150);
    assert_eq!(ours, apt.packages);
}

/// A host without files and variables, because the embedded recipe needs none.
struct Nothing;

impl goldsmith::recipe::RecipeHost for Nothing {
    fn read(&self, _: &Path, _: u64) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}
