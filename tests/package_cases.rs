//! Package indexes, versions and databases: compared with the tools of the formats (rpm, createrepo_c, libcomps, dpkg, apt, SQLite,
//! Berkeley DB), and tested with files made to break a reader.

mod hostile;
pub mod installed;
mod repositories;
mod suites;
mod versions;

use std::io::Write;
use std::process::{Command, Stdio};

use goldsmith::packages::{Need, Relation, Universe};

/// Run a program with a standard input. Returns its output; it must succeed.
fn said_by(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {}", output.status);
    output.stdout
}

/// The output of `oracle.py`. Its modules are packages of Debian, so it needs Debian's python.
fn oracle(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/package_cases/oracle.py");
    said_by(Command::new("/usr/bin/python3").arg("-B").arg(script).args(arguments), input)
}

fn relations(universe: &Universe, relations: &[Relation]) -> Vec<String> {
    relations.iter().map(|relation| universe.relation(relation)).collect()
}

fn needs(universe: &Universe, needs: &[Need]) -> Vec<String> {
    needs.iter().map(|need| relations(universe, need.alternatives()).join(" | ")).collect()
}

/// Numbers that are the same in every run (Numerical Recipes, section 7.1, the 64-bit generator of Knuth).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}
