//! Tests of the module beside this file.

use super::super::model::{Need, Package, Relation, Universe};
use super::super::version::{Op, Scheme};
use super::*;

/// A universe from lines: `NAME VERSION ARCH` and then, each after a `|`, `needs`, `provides`, `conflicts`, `obsoletes` or `source` with
/// what follows, separated by commas; `[ID]` begins a repository, `@GROUP a, b` is a group.
pub(in crate::packages) fn universe(scheme: Scheme, text: &str) -> Universe {
    let mut universe = Universe::new(scheme);
    let mut repository = 0;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(id) = line.strip_prefix('[') {
            repository = universe.repository(id.trim_end_matches(']'), 1000);
        } else if let Some(group) = line.strip_prefix('@') {
            let (id, members) = group.split_once(' ').unwrap();
            let mandatory = members.split(',').map(|name| universe.names.intern(name.trim())).collect();
            universe.groups.push(super::super::model::Group { id: id.into(), mandatory, ..Default::default() });
        } else {
            let package = package(&mut universe, repository, line);
            universe.packages.push(package);
        }
    }
    universe
}

fn package(universe: &mut Universe, repository: u16, line: &str) -> Package {
    let mut parts = line.split('|');
    let head: Vec<_> = parts.next().unwrap().split_whitespace().map(|text| universe.names.intern(text)).collect();
    let mut package = Package {
        name: head[0],
        version: head[1],
        arch: head[2],
        repository,
        source: None,
        source_file: None,
        provides: vec![],
        needs: vec![],
        conflicts: vec![],
        obsoletes: vec![],
        download: 10,
        installed: 100,
        essential: false,
        priority: 0,
    };
    for part in parts {
        let (what, rest) = part.trim().split_once(' ').unwrap();
        for text in rest.split(',').map(str::trim) {
            let mut one = |text: &str| relation(universe, text);
            match what {
                "needs" if text.contains('/') && !text.starts_with('/') => {
                    package.needs.push(Need::FirstOf(text.split(" / ").map(one).collect()));
                }
                "needs" => package.needs.push(Need::One(one(text))),
                "provides" => package.provides.push(one(text)),
                "conflicts" => package.conflicts.push(one(text)),
                "obsoletes" => package.obsoletes.push(one(text)),
                "source" => package.source = Some(universe.names.intern(text)),
                other => panic!("{other}"),
            }
        }
    }
    package
}

fn relation(universe: &mut Universe, text: &str) -> Relation {
    let words: Vec<&str> = text.split(' ').collect();
    let name = universe.names.intern(words[0]);
    let bound = words.get(1).map(|op| {
        let op = [Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt].into_iter().find(|known| known.sign() == *op).unwrap();
        (op, universe.names.intern(words[2]))
    });
    Relation { name, bound }
}

/// Ask for the words: `@group`, `-taken-out`, `!forbidden`, packages.
pub(in crate::packages) fn question(words: &str) -> Question {
    let mut question = Question::default();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        if let Some(id) = word.strip_prefix('@') {
            let what = What::Group { id: id.into(), plain: false, all: false };
            question.asked.push(Asked { what, by: "the recipe".into() });
        } else if let Some(name) = word.strip_prefix('-') {
            question.deselected.push(What::Package(name.into()));
        } else if let Some(name) = word.strip_prefix('!') {
            question.forbidden.push(name.into());
        } else {
            question.asked.push(Asked { what: What::Package(word.into()), by: "the recipe".into() });
        }
    }
    question
}

/// The labels of what is installed and the notices, or the explanation.
fn answer(universe: &Universe, words: &str) -> String {
    match resolve(universe, &question(words)) {
        Ok(closure) => {
            let mut labels: Vec<String> = closure.packages.iter().map(|chosen| universe.label(chosen.id)).collect();
            labels.sort();
            let mut lines = vec![labels.join(" ")];
            lines.extend(closure.notices.iter().map(|notice| format!("! {notice}")));
            lines.join("\n")
        }
        Err(refused) => refused.to_string(),
    }
}

fn expect(universe: &Universe, cases: &[(&str, &str)]) {
    for (words, expected) in cases {
        assert_eq!(answer(universe, words), *expected, "asked: {words}");
    }
}

#[test]
fn what_is_asked_for_is_understood_as_yum_does() {
    let universe = universe(
        Scheme::Rpm,
        "[base]
        a 1-1 x86_64
        a 2-1 x86_64 | provides cap
        a 2-1 i686
        b 1:3-2 noarch | needs a = 1
        bb 1-1 i686
        c 1-1 x86_64 | needs /usr/bin/bb
        d 9-1 x86_64 | provides /usr/bin/bb
        d 5-1 x86_64 | provides /usr/bin/bb
        new-a 1-1 x86_64 | obsoletes old-a < 5
        old-a 4-1 x86_64
        part 1-1 x86_64
        part 2-1 x86_64
        whole 1-1 x86_64 | obsoletes part < 2
        @g a, c, nowhere
        @h a, old-a",
    );
    expect(
        &universe,
        &[
            ("a", "a-2-1.x86_64"),
            ("a.i686", "a-2-1.i686"),
            ("a.i686 a", "a-2-1.i686 a-2-1.x86_64"),
            ("a-1", "a-1-1.x86_64"),
            ("a-1-1", "a-1-1.x86_64"),
            ("1:b-3-2", "the recipe asks for 1:b-3-2\n  yum does not know the form `1:b-3-2`: write `b-3-2` or `1:b-3-2.noarch`"),
            ("b-1:3-2.noarch", "a-1-1.x86_64 b-1:3-2.noarch"),
            ("b*", "a-1-1.x86_64 b-1:3-2.noarch bb-1-1.i686"),
            ("b?", "bb-1-1.i686"),
            ("cap", "a-2-1.x86_64"),
            ("/usr/bin/bb", "d-9-1.x86_64"),
            ("c", "c-1-1.x86_64 d-9-1.x86_64"),
            ("old-a", "new-a-1-1.x86_64"),
            ("@g", "a-2-1.x86_64 c-1-1.x86_64 d-9-1.x86_64"),
            // A package that obsoletes only older versions does not replace the newest.
            ("part*", "part-2-1.x86_64"),
            // The package that a name was replaced by is taken out.
            ("@h -new-a", "a-2-1.x86_64"),
            ("@h -old-a", "a-2-1.x86_64 new-a-1-1.x86_64"),
            ("@g -a", "c-1-1.x86_64 d-9-1.x86_64"),
            ("c -d", "c-1-1.x86_64 d-9-1.x86_64\n! -d has no effect: c-1-1.x86_64 needs it"),
            ("c !d-9*", "c-1-1.x86_64 d-5-1.x86_64"),
        ],
    );
}

#[test]
fn what_is_nowhere_is_said_with_what_comes_nearest() {
    let universe = universe(
        Scheme::Rpm,
        "[base]
        audit-libs 2.8.1-3.el7 x86_64
        docker-ce 3:18.09.9-3.el7 x86_64
        docker-ce 3:18.09.1-3.el7 x86_64
        lvm2 1-1 x86_64
        @core lvm2
        [lab]
        python-audit 2.8.4-4.el7 x86_64 | needs audit-libs = 2.8.4-4.el7
        tool 1-1 x86_64 | needs /usr/bin/perl, lib.so(V1)
        old 1-1 x86_64 | needs docker-ce < 3:18.09.0",
    );
    expect(
        &universe,
        &[
            ("lwm2", "the recipe asks for lwm2\n  none of the repositories base, lab has lwm2; it has lvm2"),
            (
                "docker-ce-18.09.6",
                "the recipe asks for docker-ce-18.09.6\n  there is docker-ce-3:18.09.9-3.el7.x86_64 (base), docker-ce-3:18.09.1-3.el7.x86_64 (base)",
            ),
            ("@bare", "the recipe asks for @bare\n  no repository has it; there is @core"),
            (
                "python-audit",
                "the recipe asks for python-audit
  python-audit-2.8.4-4.el7.x86_64 (lab) needs audit-libs = 2.8.4-4.el7
    the nearest there is: audit-libs-2.8.1-3.el7.x86_64 (base)",
            ),
            (
                "tool",
                "none of the repositories base, lab has these, and all of them are needed
  a package with the file /usr/bin/perl, which tool-1-1.x86_64 (lab) needs
  lib.so(V1), which tool-1-1.x86_64 (lab) needs",
            ),
            (
                "old",
                "the recipe asks for old
  old-1-1.x86_64 (lab) needs docker-ce < 3:18.09.0
    the nearest there is: docker-ce-3:18.09.1-3.el7.x86_64 (base)",
            ),
            (
                "lwm2 tool lvm2",
                "none of the repositories base, lab has these, and all of them are needed
  lwm2, which the recipe asks for; there is lvm2
  a package with the file /usr/bin/perl, which tool-1-1.x86_64 (lab) needs
  lib.so(V1), which tool-1-1.x86_64 (lab) needs",
            ),
            // A failure with another cause keeps its own reason.
            (
                "tool old nothing",
                "none of the repositories base, lab has these, and all of them are needed
  nothing, which the recipe asks for
  a package with the file /usr/bin/perl, which tool-1-1.x86_64 (lab) needs
  lib.so(V1), which tool-1-1.x86_64 (lab) needs
the recipe asks for old
  old-1-1.x86_64 (lab) needs docker-ce < 3:18.09.0
    the nearest there is: docker-ce-3:18.09.1-3.el7.x86_64 (base)",
            ),
            ("lvm2 !lvm2", "the recipe asks for lvm2\n  lvm2-1-1.x86_64 (base) is excluded by lvm2"),
        ],
    );
}

#[test]
fn conflicts_are_told_from_both_ends() {
    let universe = universe(
        Scheme::Rpm,
        "[base]
        docker 1.13-1 x86_64 | needs runc
        runc 1-1 x86_64
        docker-ce 3:18-1 x86_64 | conflicts docker | needs containerd.io
        containerd.io 1.2-1 x86_64 | provides runc | obsoletes runc
        podman 1-1 x86_64 | needs runc >= 1
        a 1-1 x86_64 | needs x = 1
        b 1-1 x86_64 | needs x = 2
        x 1 x86_64
        x 2 x86_64
        mta-one 1-1 x86_64 | provides mta | conflicts a
        mta-two 1-1 x86_64 | provides mta | needs x = 2
        mail 1-1 x86_64 | needs mta",
    );
    expect(
        &universe,
        &[
            ("podman docker-ce", "containerd.io-1.2-1.x86_64 docker-ce-3:18-1.x86_64 podman-1-1.x86_64"),
            (
                "docker docker-ce x",
                "the recipe asks for docker
  docker-ce-3:18-1.x86_64 conflicts with docker-1.13-1.x86_64
    the recipe asks for docker-ce",
            ),
            (
                "a b",
                "the recipe asks for b
  b-1-1.x86_64 needs x = 2
    x-2.x86_64 cannot be beside x-1.x86_64
      the recipe asks for a
      a-1-1.x86_64 needs x = 1",
            ),
            (
                "a mail",
                "the recipe asks for mail
  mail-1-1.x86_64 needs mta
    mta-one-1-1.x86_64 conflicts with a-1-1.x86_64
      the recipe asks for a
    mta-two-1-1.x86_64 needs x = 2
      x-2.x86_64 cannot be beside x-1.x86_64
        the recipe asks for a
        a-1-1.x86_64 needs x = 1",
            ),
        ],
    );
}

#[test]
fn providers_are_chosen_by_yums_rules() {
    let universe = universe(
        Scheme::Rpm,
        "[base]
        user 1-1 x86_64 | needs cap | source suite
        cap-long-name 1-1 x86_64 | provides cap
        cap-b 1-1 x86_64 | provides cap
        prefix 1-1 x86_64 | needs tool
        prefix-tool 1-1 x86_64 | provides tool
        tl 1-1 x86_64 | provides tool
        made 1-1 x86_64 | needs part | source made
        other-part 1-1 x86_64 | provides part | source made
        p 1-1 x86_64 | provides part
        few 1-1 x86_64 | needs base
        base-a 1-1 x86_64 | provides base | needs cap, tool
        base-bb 1-1 x86_64 | provides base
        gone 1-1 x86_64 | provides old
        here 1-1 x86_64 | provides old | obsoletes gone
        newer 1-1 x86_64 | needs old",
    );
    expect(
        &universe,
        &[
            ("user", "cap-b-1-1.x86_64 user-1-1.x86_64"),
            ("prefix", "prefix-1-1.x86_64 prefix-tool-1-1.x86_64"),
            ("made", "made-1-1.x86_64 other-part-1-1.x86_64"),
            ("few", "base-bb-1-1.x86_64 few-1-1.x86_64"),
            ("newer", "here-1-1.x86_64 newer-1-1.x86_64"),
        ],
    );
}

#[test]
fn debian_alternatives_come_in_their_order() {
    let universe = universe(
        Scheme::Debian,
        "[main]
        a 1 amd64 | needs nowhere / b / c
        b 1 amd64
        c 1 amd64
        mail 1 amd64 | needs mta >= 1
        exim 1 amd64 | provides mta
        postfix 1 amd64 | provides mta = 2
        docker.io 2 amd64 | conflicts docker
        docker 1 amd64
        self 1 amd64 | provides thing | conflicts thing",
    );
    expect(
        &universe,
        &[
            ("a", "a 1 b 1"),
            ("mail", "mail 1 postfix 1"),
            ("docker.io self", "docker.io 2 self 1"),
            ("docker=2", "the recipe asks for docker=2\n  there is docker 1"),
            ("docker.io docker", "the recipe asks for docker\n  docker.io 2 conflicts with docker 1\n    the recipe asks for docker.io"),
        ],
    );
}

/// apt's answer is not always the one that a solver would find: apt never goes back.
#[test]
fn debian_packages_are_taken_in_apts_order() {
    let universe = universe(
        Scheme::Debian,
        "[main]
        front 1 amd64 | needs agent / tool, helper
        helper 1 amd64 | needs tool
        agent 1 amd64
        tool 1 amd64
        default-mta 1 amd64 | provides mta-of-the-day
        shell 1 amd64 | provides awk
        other 1 amd64 | provides awk
        old 1 amd64 | conflicts tool
        picky 1 amd64 | needs old / tool",
    );
    expect(
        &universe,
        &[
            // The helper would bring the tool, but the first alternative is taken before that is known.
            ("front", "agent 1 front 1 helper 1 tool 1"),
            // What is asked for is there before the needs are looked at.
            ("front tool", "front 1 helper 1 tool 1"),
            ("mta-of-the-day", "default-mta 1"),
            ("awk", "the recipe asks for awk\n  it is a virtual package: name one of those that provide it, other, shell"),
            // A package that is there excludes the first alternative.
            ("tool picky", "picky 1 tool 1"),
            // apt would have to go back; the solver does.
            ("picky tool", "picky 1 tool 1"),
        ],
    );
}

#[test]
fn no_explanation_is_longer_than_people_read() {
    // A chain of 5,000 that ends in nothing, and layers of ten in which each needs one of the next.
    let mut text = String::from("[base]\n");
    for n in 0..5000 {
        text.push_str(&format!("chain{n} 1 noarch | needs chain{}\n", n + 1));
    }
    for (layer, n) in (0..30).flat_map(|layer| (0..10).map(move |n| (layer, n))) {
        text.push_str(&format!("p{layer}-{n} 1 noarch | provides layer{layer} | needs layer{}\n", layer + 1));
    }
    text.push_str("left 1 noarch | needs both = 1\nright 1 noarch | needs r0\nboth 1 noarch\nboth 2 noarch\n");
    for n in 0..2000 {
        text.push_str(&format!("r{n} 1 noarch | needs r{}\n", n + 1));
    }
    text.push_str("r2000 1 noarch | needs both = 2");
    let universe = universe(Scheme::Rpm, &text);
    for asked in ["chain0", "layer0", "left right"] {
        let lines = answer(&universe, asked);
        assert!((2..80).contains(&lines.lines().count()), "{asked}: {lines}");
    }
}
