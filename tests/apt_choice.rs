//! The packages of a Debian image, compared with the choice of apt: alternatives, virtual packages, conflicts.
//!
//! `tests/packages/requests.txt` has a request on each line. `apt_oracle.py` asks the host's apt for each, with the indexes that goldsmith
//! uses.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use goldsmith::packages::{Asked, Input, Question, Scheme, Universe, What, debian, resolve};
use serde::Deserialize;

const LIMIT: u64 = 512 << 20;

/// The output of apt_oracle.py for a request.
#[derive(Deserialize)]
struct Answer {
    asked: Vec<String>,
    packages: BTreeMap<String, String>,
    refused: Option<String>,
    indexes: Vec<String>,
}

fn answers(state: &Path) -> Vec<Answer> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages");
    let mut oracle = Command::new("/usr/bin/python3");
    oracle.arg("-B").arg(dir.join("apt_oracle.py")).arg("--state").arg(state).arg("--requests").arg(dir.join("requests.txt"));
    let output = oracle.arg("bookworm").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn universe(indexes: &[String]) -> Universe {
    let mut universe = Universe::new(Scheme::Debian);
    for path in indexes {
        let repository = universe.repository(path, 1000);
        let input = Input::new(path, File::open(path).unwrap(), None, LIMIT).unwrap();
        debian::add_packages(&mut universe, repository, "amd64", input, &mut |_, _| ()).unwrap();
    }
    universe
}

/// The request of an installation, as `pipeline` makes it for the deploy installer.
fn question(packages: &[String]) -> Question {
    let asked = |what| Asked { what, by: "the test".to_owned() };
    let base = [What::Essential, What::Package("apt".to_owned())];
    let asked = base.into_iter().chain(packages.iter().map(|name| What::Package(name.clone()))).map(asked).collect();
    Question { asked, ..Question::default() }
}

#[test]
fn the_set_of_packages_is_apts_own() {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/apt-state");
    fs::create_dir_all(&state).unwrap();
    let answers = answers(&state);
    let universe = universe(&answers[0].indexes);
    let (mut differ, mut same, mut refused) = (Vec::new(), 0, 0);
    for answer in &answers {
        let ours = resolve(&universe, &question(&answer.asked));
        match (ours, &answer.refused) {
            (Err(_), Some(_)) => refused += 1,
            (Err(ours), None) => differ.push(format!("{:?}: apt has an answer, goldsmith has none: {ours}", answer.asked)),
            (Ok(_), Some(why)) => differ.push(format!("{:?}: goldsmith has an answer, apt has none: {why}", answer.asked)),
            (Ok(closure), None) => {
                let line = |package: &goldsmith::packages::Package| {
                    (universe.text(package.name).to_owned(), universe.text(package.version).to_owned())
                };
                let ours: BTreeMap<_, _> = closure.packages.iter().map(|chosen| line(universe.package(chosen.id))).collect();
                let missing: Vec<_> = answer.packages.iter().filter(|(name, version)| ours.get(*name) != Some(version)).collect();
                let more: Vec<_> = ours.iter().filter(|(name, version)| answer.packages.get(*name) != Some(version)).collect();
                match missing.is_empty() && more.is_empty() {
                    true => same += 1,
                    false => differ.push(format!("{:?}: only apt's {missing:?}, only ours {more:?}", answer.asked)),
                }
            }
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ ({same} sets are the same, {refused} refused by both):\n{}",
        differ.len(),
        answers.len(),
        differ.join("\n")
    );
    assert!(same >= 50 && refused >= 5, "{same} {refused}");
}
