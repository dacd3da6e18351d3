//! Debian's indexes on this host: every package, need, capability and conflict, compared with a second reader.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use goldsmith::packages::{Input, PackageId, Scheme, Universe, debian};
use serde_json::{Value, json};

use super::{needs, oracle, relations, said_by};

fn read(text: &[u8], arch: &str) -> Universe {
    let mut universe = Universe::new(Scheme::Debian);
    let repository = universe.repository("host", 500);
    let input = Input::new("Packages", text, None, 1 << 30).unwrap();
    debian::add_packages(&mut universe, repository, arch, input, &mut |_, _| {}).unwrap();
    universe
}

fn described(universe: &Universe) -> BTreeMap<String, Value> {
    let describe = |(index, package): (usize, &goldsmith::packages::Package)| {
        let label = universe.label(PackageId(index as u32));
        let package = json!({
            "label": label,
            "arch": universe.text(package.arch),
            "needs": needs(universe, &package.needs),
            "provides": relations(universe, &package.provides),
            "conflicts": relations(universe, &package.conflicts),
            "essential": package.essential,
            "size": package.download,
        });
        (label, package)
    };
    universe.packages.iter().enumerate().map(describe).collect()
}

/// Read `text` with both readers. Returns the number of packages.
fn agree(text: &[u8]) -> usize {
    let arch = String::from_utf8(said_by(Command::new("dpkg").arg("--print-architecture"), b"")).unwrap();
    let ours = described(&read(text, arch.trim()));
    let theirs = oracle(&["packages", arch.trim()], text);
    let theirs =
        theirs.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let theirs: BTreeMap<_, _> = theirs.map(|package| (package["label"].as_str().unwrap().to_owned(), package)).collect();
    assert!(ours.keys().eq(theirs.keys()), "{:?}", ours.keys().find(|key| !theirs.contains_key(*key)));
    for (label, package) in &ours {
        assert_eq!(*package, theirs[label], "{label}");
    }
    ours.len()
}

/// dpkg's database has the form of an index, and every host has one.
#[test]
fn the_installed_packages_are_read_as_a_second_reader_reads_them() {
    let text = fs::read("/var/lib/dpkg/status").unwrap();
    // Removed packages, and those of a second architecture, are in it with their relations too.
    assert!(agree(&text) > 100);
}

/// `apt-cache dumpavail` prints the packages of all indexes of apt. On a host without indexes it prints nothing, and then only the test
/// above has an effect.
#[test]
fn what_apt_offers_is_read_as_a_second_reader_reads_it() {
    let available = said_by(Command::new("apt-cache").arg("dumpavail"), b"");
    let packages = agree(&available);
    assert_eq!(packages == 0, available.is_empty());
}
