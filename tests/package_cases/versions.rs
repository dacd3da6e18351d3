//! Orders of versions, pair by pair, compared with rpm and dpkg.

use std::cmp::Ordering;
use std::process::Command;

use goldsmith::packages::{Op, Relation, Scheme, Universe};

use super::{Dice, oracle, said_by};

const PIECES: &[&str] =
    &["0", "00", "1", "01", "9", "10", "20180501", "99999999999999999999999", "a", "b", "rc", "Z", "el7", "beta", "git1"];
const SEPARATORS: &[&str] = &["", ".", ".", "+", "~", "~~"];

/// A version and a similar one. Both begin with a digit, as dpkg requires.
fn pair(dice: &mut Dice, separators: &[&str]) -> (String, String) {
    let mut parts: Vec<[&str; 2]> = (0..1 + dice.roll(4)).map(|_| [dice.pick(PIECES), dice.pick(separators)]).collect();
    parts[0][0] = dice.pick(&PIECES[..8]);
    let (epoch, release) = (dice.pick(&["", "", "0:", "1:", "10:"]), dice.pick(&["", "-1", "-1", "-0", "-1.el7", "-10~rc1"]));
    let join = |parts: &[[&str; 2]], epoch: &str, release: &str| format!("{epoch}{}{release}", parts.concat().concat());
    let first = join(&parts, epoch, release);
    let at = dice.roll(parts.len());
    match dice.roll(8) {
        0 => return (first, join(&parts, dice.pick(&["", "0:", "1:"]), release)),
        1 => return (first, join(&parts, epoch, dice.pick(&["", "-1", "-2", "-01", "-0"]))),
        2 => parts.truncate(1 + at),
        3 => parts.push([dice.pick(PIECES), ""]),
        4 | 5 => parts[at][1] = dice.pick(separators),
        _ if at == 0 => parts[0][0] = dice.pick(&PIECES[..8]),
        _ => parts[at][0] = dice.pick(PIECES),
    }
    (first, join(&parts, epoch, release))
}

fn pairs(seed: u64, count: usize, separators: &[&str]) -> Vec<(String, String)> {
    let mut dice = Dice(seed);
    (0..count).map(|_| pair(&mut dice, separators)).collect()
}

/// Compare the verdicts of the tool with those of goldsmith. Each of the three must occur often enough to prove something.
fn agree(scheme: Scheme, pairs: &[(String, String)], verdicts: &[Ordering]) {
    assert_eq!(pairs.len(), verdicts.len());
    for ((a, b), verdict) in pairs.iter().zip(verdicts) {
        assert_eq!(scheme.compare(a, b), *verdict, "{scheme:?}: {a} and {b}");
        assert_eq!(scheme.compare(b, a), verdict.reverse(), "{scheme:?}: {b} and {a}");
    }
    for verdict in [Ordering::Less, Ordering::Equal, Ordering::Greater] {
        let count = verdicts.iter().filter(|one| **one == verdict).count();
        assert!(count * 10 > pairs.len(), "only {count} of {} pairs are {verdict:?}", pairs.len());
    }
}

#[test]
fn rpm_agrees_on_three_thousand_pairs() {
    let pairs = pairs(1, 3_000, &[SEPARATORS, &["^", "^", "_", "."]].concat());
    let verdicts: Vec<i8> = serde_json::from_slice(&oracle(&["order"], &serde_json::to_vec(&pairs).unwrap())).unwrap();
    agree(Scheme::Rpm, &pairs, &verdicts.iter().map(|verdict| verdict.cmp(&0)).collect::<Vec<_>>());
}

#[test]
fn dpkg_agrees_on_six_hundred_pairs() {
    let pairs = pairs(2, 600, SEPARATORS);
    let script = "while read -r a b; do
        if dpkg --compare-versions \"$a\" lt \"$b\"; then echo lt; elif dpkg --compare-versions \"$a\" eq \"$b\"; then echo eq; else echo gt; fi
    done";
    let lines: String = pairs.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
    let said = said_by(Command::new("sh").args(["-c", script]), lines.as_bytes());
    let verdict = |line: &str| match line {
        "lt" => Ordering::Less,
        "eq" => Ordering::Equal,
        _ => Ordering::Greater,
    };
    agree(Scheme::Debian, &pairs, &String::from_utf8(said).unwrap().lines().map(verdict).collect::<Vec<_>>());
}

#[test]
fn rpm_agrees_on_what_satisfies_a_relation() {
    let mut dice = Dice(3);
    let signs = [("", None), ("<", Some(Op::Lt)), ("<=", Some(Op::Le)), ("=", Some(Op::Eq)), (">=", Some(Op::Ge)), (">", Some(Op::Gt))];
    let mut asked = Vec::new();
    let mut ours = Vec::new();
    let mut universe = Universe::new(Scheme::Rpm);
    let name = universe.names.intern("x");
    for (provided, wanted) in pairs(4, 3_000, SEPARATORS) {
        let mut relation = |version: &str| {
            let (sign, op) = dice.pick(&signs);
            let version = if op.is_some() { version } else { "" };
            ((sign, version.to_owned()), Relation { name, bound: op.map(|op| (op, universe.names.intern(version))) })
        };
        let (provided, wanted) = (relation(&provided), relation(&wanted));
        asked.push((provided.0, wanted.0));
        ours.push(universe.provides(&provided.1, &wanted.1));
    }
    let theirs: Vec<bool> = serde_json::from_slice(&oracle(&["overlap"], &serde_json::to_vec(&asked).unwrap())).unwrap();
    let mut newer = 0;
    for ((ask, ours), theirs) in asked.iter().zip(&ours).zip(&theirs) {
        // A rule that rpm 4.18 has and EL7's rpm 4.11 does not (rpmio/rpmver.c, `rpmverOverlap`): when one of two equal versions has no
        // release, that one matches everything if its sign has `=`.
        if ours != theirs {
            let [(a_sign, a), (b_sign, b)] = [&ask.0, &ask.1];
            let (one, other) = if a.contains('-') { (b_sign, (b, a)) } else { (a_sign, (a, b)) };
            let version_of_other = other.1.rsplit_once('-').map_or("", |(version, _)| version);
            let same = Scheme::Rpm.compare(other.0, version_of_other).is_eq();
            assert!(same && one.contains('=') && *theirs, "{ask:?}: {ours} and not {theirs}");
            newer += 1;
        }
    }
    assert!(newer < 150, "{newer}");
    let satisfied = theirs.iter().filter(|satisfied| **satisfied).count();
    assert!((500..2_500).contains(&satisfied), "{satisfied}");
}
