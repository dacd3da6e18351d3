//! The answers of yum, compared with those of goldsmith's replay of yum.
//!
//! `tests/packages/yum-cases/README.md` explains how they were made. When `YUM_CASES` is set, the directory that it names is read instead.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use goldsmith::packages::model::{Environment, Group};
use goldsmith::packages::yum::{Failed, Failure, replay};
use goldsmith::packages::{Asked, Need, Op, Package, PackageId, Question, Relation, Scheme, Universe, What};

/// The variable for another directory with cases.
const VARIABLE: &str = "YUM_CASES";

/// A line of `wild.jsonl.gz` and `bundles.jsonl.xz`.
#[derive(Debug, Deserialize)]
struct Case {
    n: String,
    repositories: Vec<Vec<Row>>,
    #[serde(default)]
    groups: Vec<GroupRow>,
    #[serde(default)]
    environments: Vec<EnvironmentRow>,
    ask: Ask,
    yum: Verdict,
}

/// Name, version, architecture, requires, provides, conflicts, obsoletes, files, source RPM.
type Row = (String, String, String, Vec<String>, Vec<String>, Vec<String>, Vec<String>, Vec<String>, Option<String>);

/// Id, mandatory, default, optional, conditional with their conditions.
type GroupRow = (String, Vec<String>, Vec<String>, Vec<String>, Vec<(String, String)>);

/// `('ID', ['GROUP'], ['OPTION'])` as text, or as a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum EnvironmentRow {
    Text(String),
    List(String, Vec<String>, Vec<String>),
}

impl EnvironmentRow {
    fn parts(&self) -> (String, Vec<String>, Vec<String>) {
        match self {
            Self::List(id, groups, options) => (id.clone(), groups.clone(), options.clone()),
            Self::Text(text) => serde_json::from_str(&text.replace('(', "[").replace(')', "]").replace('\'', "\"")).unwrap(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Ask {
    install: Vec<String>,
    deselect: Vec<String>,
    exclude: Vec<String>,
    required: Vec<String>,
    #[serde(default)]
    costs: Vec<u32>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    installs: Option<Vec<String>>,
    refuses: Option<Vec<String>>,
}

fn directory() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/yum-cases");
    std::env::var_os(VARIABLE).map_or_else(own, PathBuf::from)
}

fn relation(universe: &mut Universe, text: &str) -> Relation {
    let text = text.trim().trim_end_matches("(pre)").trim_end();
    let (name, rest) = text.find(['<', '>', '=']).map_or((text, ""), |at| text.split_at(at));
    let end = rest.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(rest.len());
    let op = [Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt].into_iter().find(|op| op.sign() == &rest[..end]);
    let version = rest[end..].trim();
    let version = version.strip_prefix("0:").unwrap_or(version);
    let (name, version) = (universe.names.intern(name.trim()), universe.names.intern(version));
    Relation { name, bound: op.map(|op| (op, version)) }
}

/// Add a package with those of its files that a dependency may name.
fn add(universe: &mut Universe, repository: u16, row: &Row, needed: &BTreeSet<&str>) {
    let (name, version, arch, requires, provides, conflicts, obsoletes, files, source) = row;
    let version = version.strip_prefix("0:").unwrap_or(version);
    let mut relations = |texts: &[String]| texts.iter().map(|text| relation(universe, text)).collect::<Vec<_>>();
    let needs = relations(requires).into_iter().map(Need::One).collect();
    let (mut provides, conflicts, obsoletes) = (relations(provides), relations(conflicts), relations(obsoletes));
    let files = files.iter().map(|file| file.trim_end_matches('/')).filter(|file| needed.contains(file));
    provides.extend(files.map(|file| Relation { name: universe.names.intern(file), bound: None }));
    // rpmbuild adds this capability.
    if let Some((_, isa)) = [("x86_64", "x86-64"), ("i686", "x86-32")].iter().find(|(known, _)| known == arch) {
        let own = format!("{name}({isa})");
        let bound = Some((Op::Eq, universe.names.intern(version)));
        provides.push(Relation { name: universe.names.intern(&own), bound });
    }
    let source_name = source.as_deref().and_then(|file| file.strip_suffix(".src.rpm")?.rsplitn(3, '-').nth(2));
    let package = Package {
        name: universe.names.intern(name),
        version: universe.names.intern(version),
        arch: universe.names.intern(arch),
        repository,
        source: source_name.map(|name| universe.names.intern(name)),
        source_file: source.as_deref().map(|file| universe.names.intern(file)),
        provides,
        needs,
        conflicts,
        obsoletes,
        download: 1,
        installed: 1,
        essential: false,
        priority: Package::OPTIONAL,
    };
    universe.add(package);
}

fn universe(case: &Case) -> Universe {
    let mut universe = Universe::new(Scheme::Rpm);
    let relations = case.repositories.iter().flatten().flat_map(|row| row.3.iter().chain(&row.5));
    let asked = case.ask.install.iter().chain(&case.ask.required);
    let needed: BTreeSet<&str> = relations.chain(asked).map(|text| text.trim_end_matches("(pre)").trim()).collect();
    for (number, rows) in case.repositories.iter().enumerate() {
        let repository = universe.repository(&format!("r{number}"), case.ask.costs.get(number).copied().unwrap_or(1000));
        rows.iter().for_each(|row| add(&mut universe, repository, row, &needed));
    }
    for (id, mandatory, default, optional, conditional) in &case.groups {
        let mut names = |names: &[String]| names.iter().map(|name| universe.names.intern(name)).collect::<Vec<_>>();
        let (mandatory, default, optional) = (names(mandatory), names(default), names(optional));
        let conditional = conditional.iter().map(|(name, when)| (universe.names.intern(name), universe.names.intern(when))).collect();
        universe.groups.push(Group { id: id.clone(), mandatory, default, optional, conditional });
    }
    for (id, groups, options) in case.environments.iter().map(EnvironmentRow::parts) {
        universe.environments.push(Environment { id, groups, options });
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

fn question(ask: &Ask) -> Question {
    let asked = |text: &String| Asked { what: what(text), by: "the case".to_owned() };
    Question {
        asked: ask.install.iter().map(asked).collect(),
        deselected: ask.deselect.iter().map(|text| what(text)).collect(),
        required: ask.required.iter().map(asked).collect(),
        forbidden: ask.exclude.clone(),
        ignore_missing: false,
    }
}

/// `NAME-EPOCH:VERSION-RELEASE.ARCH`.
fn nevra(universe: &Universe, id: PackageId) -> String {
    let package = universe.package(id);
    let version = universe.text(package.version);
    let epoch = if version.contains(':') { "" } else { "0:" };
    format!("{}-{epoch}{version}.{}", universe.text(package.name), universe.text(package.arch))
}

/// The text that yum would print.
fn words(universe: &Universe, failure: &Failure) -> String {
    let label = |id: PackageId| {
        let label = nevra(universe, id);
        let (name, version) = (universe.text(universe.package(id).name), universe.text(universe.package(id).version));
        match version.split_once(':') {
            Some((epoch, rest)) => format!("{epoch}:{name}-{rest}.{}", universe.text(universe.package(id).arch)),
            None => label.replace("-0:", "-"),
        }
    };
    match failure {
        Failure::Missing(asked) => asked.what.text(),
        Failure::Unmet { package, need, .. } => format!("{} requires {}", label(*package), universe.relation(need)),
        Failure::Conflict { package, other, .. } => {
            format!("{} conflicts with {}", universe.text(universe.package(*package).name), label(*other))
        }
        Failure::TwoVersions { one, other } => format!("Protected multilib versions: {} != {}", label(*one), label(*other)),
        Failure::Endless => "Depsolving loop limit reached.".to_owned(),
        Failure::GaveUp => "(goldsmith gave up)".to_owned(),
    }
}

/// The difference between the answers of the replay and of yum.
fn difference(case: &Case) -> Option<String> {
    let universe = universe(case);
    let ours = replay(&universe, &question(&case.ask));
    match (ours, &case.yum.installs) {
        (Ok(replay), Some(theirs)) => {
            let ours: BTreeSet<String> = replay.packages.iter().map(|chosen| nevra(&universe, chosen.id)).collect();
            let theirs: BTreeSet<String> = theirs.iter().cloned().collect();
            (ours != theirs).then(|| format!("only ours {:?}, only yum's {:?}", &ours - &theirs, &theirs - &ours))
        }
        (Ok(replay), None) => Some(format!("we take {} packages, yum refuses: {:?}", replay.packages.len(), case.yum.refuses)),
        (Err(Failed { failures, .. }), theirs) => {
            // Missing packages were only recorded when there was no other error.
            let all_missing = failures.iter().all(|failure| matches!(failure, Failure::Missing(_)));
            let told = failures.iter().filter(|failure| all_missing || !matches!(failure, Failure::Missing(_)));
            let ours: BTreeSet<String> = told.map(|failure| words(&universe, failure)).collect();
            let why: BTreeSet<String> =
                case.yum.refuses.iter().flatten().map(|why| why.lines().last().unwrap_or_default().to_owned()).collect();
            (theirs.is_some() || ours != why).then(|| format!("we refuse {ours:?}, yum {why:?}"))
        }
    }
}

/// Compare all cases of a file with yum's answers.
fn hold(file: &str, cases: &[Case]) {
    let differ: Vec<String> =
        cases.iter().filter_map(|case| difference(case).map(|what| format!("{} {:?}: {what}", case.n, case.ask))).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{file}: {} of {} agree", cases.len() - differ.len(), cases.len()).unwrap();
    assert!(!cases.is_empty() && differ.is_empty(), "{file}: {} of {} differ:\n{}", differ.len(), cases.len(), differ.join("\n"));
}

fn lines(text: &str) -> Vec<Case> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_replay_takes_what_yum_takes_of_wild_repositories() {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&fs::read(directory().join("wild.jsonl.gz")).unwrap()[..]).read_to_string(&mut text).unwrap();
    hold("wild.jsonl.gz", &lines(&text));
}

#[test]
fn the_replay_takes_what_yum_takes_of_a_medium_with_a_bundle() {
    let mut text = String::new();
    liblzma::read::XzDecoder::new(&fs::read(directory().join("bundles.jsonl.xz")).unwrap()[..]).read_to_string(&mut text).unwrap();
    hold("bundles.jsonl.xz", &lines(&text));
}

#[test]
fn the_replay_falls_into_the_same_traps_as_yum() {
    let text = fs::read_to_string(directory().join("cases.txt")).unwrap();
    let cases: Vec<Case> = text.split("## ").filter(|part| !part.trim().is_empty()).map(trap).collect();
    hold("cases.txt", &cases);
}

/// A case of `cases.txt`.
fn trap(text: &str) -> Case {
    let list = |text: &str| -> Vec<String> { serde_json::from_str(&text.replace('\'', "\"")).unwrap() };
    let mut lines = text.lines();
    let n = lines.next().unwrap().to_owned();
    let (mut repositories, mut groups) = (vec![Vec::new(), Vec::new()], Vec::new());
    let (mut ask, mut yum) = (Ask::default(), None);
    for line in lines.map(str::trim) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        // The list that begins after `from`.
        let after = |from: &str| {
            let rest = &rest[rest.find(from).unwrap() + from.len() - 1..];
            list(&rest[..=rest.find(']').unwrap()])
        };
        match word {
            "r0" => repositories[0].push(row(rest)),
            "r1" => repositories[1].push(row(rest)),
            "group" => {
                let id = rest.split(' ').next().unwrap().to_owned();
                groups.push((id, after(" m["), after(" d["), after(" o["), Vec::new()));
            }
            "ask" => {
                let (deselect, exclude, required) = (after(" -["), after(" !["), after(" req ["));
                ask = Ask { install: list(&rest[..rest.find(" -[").unwrap()]), deselect, exclude, required, costs: Vec::new() };
            }
            "yum:" => {
                yum = Some(match rest.strip_prefix("REFUSES ") {
                    Some(why) => Verdict { installs: None, refuses: Some(list(why)) },
                    None => Verdict { installs: Some(list(rest)), refuses: None },
                });
            }
            _ => {}
        }
    }
    Case { n, repositories, groups, environments: Vec::new(), ask, yum: yum.unwrap() }
}

/// `NAME-VERSION-RELEASE.ARCH REQ a, b PRO c`.
fn row(text: &str) -> Row {
    let mut words = text.split(' ');
    let (rest, arch) = words.next().unwrap().rsplit_once('.').unwrap();
    let mut parts = rest.rsplitn(3, '-');
    let (release, version, name) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let mut tags: [Vec<String>; 4] = Default::default();
    let mut at = 0;
    for word in words {
        match ["REQ", "PRO", "CON", "OBS"].iter().position(|tag| *tag == word) {
            Some(tag) => at = tag,
            None => tags[at].push(word.trim_end_matches(',').to_owned()),
        }
    }
    let [requires, provides, conflicts, obsoletes] = tags;
    let version = format!("{version}-{release}");
    (name.to_owned(), version, arch.to_owned(), requires, provides, conflicts, obsoletes, Vec::new(), None)
}
