//! Tests of the module beside this file.

use super::super::model::PackageId;
use super::super::solve::tests::{question, universe};
use super::super::version::Scheme;
use super::super::{resolve, solve::Chosen};
use super::*;

/// The labels of what yum installs and its notices, or what is said of its failure.
fn answer(universe: &Universe, question: &Question) -> String {
    match replay(universe, question) {
        Ok(Replay { packages, notices }) => {
            let notices = notices.iter().map(|notice| format!("\n! {notice}"));
            labels(universe, &packages) + &notices.collect::<String>()
        }
        Err(failed) => match resolve(universe, question) {
            Ok(solution) => told(&explain(universe, question, &failed, &solution)),
            Err(_) => format!("refused: {}", failed.failures.len()),
        },
    }
}

fn labels(universe: &Universe, packages: &[Chosen]) -> String {
    let mut labels: Vec<String> = packages.iter().map(|chosen| universe.label(chosen.id)).collect();
    labels.sort();
    labels.join(" ")
}

fn told(troubles: &[Trouble]) -> String {
    troubles.iter().map(|trouble| format!("{}\nhelp: {}", trouble.text, trouble.help)).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_helps_was_tried() {
    let repositories = "[base]
        semanage 2.5-11 x86_64 | provides libsemanage.so
        semanage-python 2.5-11 x86_64 | needs semanage = 2.5-11
        tool 1-1 x86_64 | needs semanage-python
        policy 1-1 x86_64 | needs libsemanage.so
        selinux-policy 192-1 noarch
        [lab]
        semanage 2.5-12 x86_64 | provides libsemanage.so
        container 2.68-1 noarch | needs selinux-policy >= 100
        container 2.107-1 noarch | needs selinux-policy >= 216
        docker 1-1 x86_64 | needs container
        engine 1-1 x86_64 | needs v | conflicts p
        p 1-1 x86_64 | provides v
        pp 1-1 x86_64 | provides v
        old 1-1 x86_64
        new 1-1 x86_64 | obsoletes old
        user 1-1 x86_64 | needs old";
    let mut universe = universe(Scheme::Rpm, repositories);
    universe.repositories[1].is_own = true;
    for (words, expected) in [
        (
            "policy tool",
            "yum takes semanage-2.5-12.x86_64 (lab), and semanage-python-2.5-11.x86_64 (base) needs semanage = 2.5-11\n\
             help: add `semanage-2.5-11` to packages.install, or take semanage-2.5-12.x86_64 out of lab, or bring semanage-python-2.5-12.x86_64, \
             which goes with semanage-2.5-12.x86_64",
        ),
        ("policy", "policy-1-1.x86_64 semanage-2.5-12.x86_64"),
        (
            "docker",
            "yum takes container-2.107-1.noarch (lab), which needs selinux-policy >= 216\n\
             help: add `container-2.68-1` to packages.install, or take container-2.107-1.noarch out of lab",
        ),
        ("docker container-2.68", "container-2.68-1.noarch docker-1-1.x86_64 selinux-policy-192-1.noarch"),
        ("engine", "yum takes engine-1-1.x86_64 (lab) and p-1-1.x86_64 (lab)\nhelp: add `pp-1-1` to packages.install"),
        (
            "user",
            "yum takes new-1-1.x86_64 (lab) instead of old-1-1.x86_64 (lab), which it obsoletes, and user-1-1.x86_64 (lab) needs old\n\
             help: name the versions that go together in packages.install",
        ),
        ("nothing", "refused: 1"),
    ] {
        assert_eq!(answer(&universe, &question(words)), expected, "{words}");
    }
    // A package cannot be taken out of a mirror.
    universe.repositories[1].is_own = false;
    assert_eq!(
        answer(&universe, &question("docker")),
        "yum takes container-2.107-1.noarch (lab), which needs selinux-policy >= 216\nhelp: add `container-2.68-1` to packages.install"
    );
}

#[test]
fn anaconda_asks_in_its_order() {
    let text = "[base]
        a 1-1 x86_64 | needs b
        b 1-1 x86_64
        o 1-1 x86_64
        kernel 3-1 x86_64
        kernel 3-2 x86_64
        kernel-devel 3-2 x86_64
        gcc 1-1 x86_64
        @core a, b";
    let mut universe = universe(Scheme::Rpm, text);
    universe.groups[0].optional = vec![universe.names.intern("o")];
    let group = |plain, all| Asked { what: What::Group { id: "core".into(), plain, all }, by: "x".into() };
    let once = Question { asked: vec![group(false, false), group(false, true)], ..question("") };
    assert_eq!(answer(&universe, &once), "a-1-1.x86_64 b-1-1.x86_64");
    let optional = Question { asked: vec![group(false, true)], ..question("") };
    assert_eq!(answer(&universe, &optional), "a-1-1.x86_64 b-1-1.x86_64 o-1-1.x86_64");
    for (words, expected) in [
        ("@core -b", "a-1-1.x86_64 b-1-1.x86_64\n! -b has no effect: a-1-1.x86_64 needs it"),
        ("@core -a", "b-1-1.x86_64"),
        ("b -b.x86_64 o", "o-1-1.x86_64"),
        ("kernel-3-1 kernel", "kernel-3-1.x86_64 kernel-3-2.x86_64"),
        ("b -b", ""),
    ] {
        assert_eq!(answer(&universe, &question(words)), expected, "{words}");
    }
    let kernel = Asked { what: What::Package("kernel".into()), by: "Anaconda".into() };
    let compiler = Question { required: vec![kernel], ..question("gcc") };
    assert_eq!(answer(&universe, &compiler), "gcc-1-1.x86_64 kernel-3-2.x86_64 kernel-devel-3-2.x86_64");
    let missing = Question { ignore_missing: true, ..question("b nowhere") };
    assert_eq!(answer(&universe, &missing), "b-1-1.x86_64");
}

#[test]
fn an_upgrade_is_foreseen() {
    let text = "[base]
        audit-libs 2.8-3 x86_64
        audit-libs-python 2.8-3 x86_64 | needs audit-libs = 2.8-3
        docker 1-1 x86_64
        kernel 3-1 x86_64
        old 1-1 x86_64
        [lab]
        audit-libs 2.8-4 x86_64
        docker 1-2 x86_64 | needs extra
        extra 1-1 x86_64
        kernel 3-2 x86_64
        new 1-1 x86_64 | obsoletes old
        other 1-1 x86_64
        wants 1-1 x86_64
        wants 1-2 x86_64 | needs audit-libs = 2.8-4";
    let mut universe = universe(Scheme::Rpm, text);
    let installed = |universe: &Universe, words: &str| -> Vec<Chosen> {
        let is_it = |id: &PackageId| words.split(' ').any(|word| universe.label(*id).starts_with(word));
        let ids = (0..).map(PackageId).take(universe.packages.len()).filter(is_it);
        ids.map(|id| Chosen { id, why: Why::Asked("x".into()) }).collect()
    };
    let after = |universe: &Universe, words: &str, excluded: &[&str]| {
        let excluded: Vec<String> = excluded.iter().map(|name| (*name).to_owned()).collect();
        let upgraded = |excluded: &[String]| upgrade(universe, &installed(universe, words), &[1], excluded);
        match upgraded(&excluded) {
            Ok(packages) => labels(universe, &packages),
            Err(failed) => told(&explain_upgrade(universe, &installed(universe, words), &failed, |names| {
                upgraded(&[&excluded[..], names].concat()).is_ok()
            })),
        }
    };
    let last = "set packages.upgrade = false";
    let refused = "`yum upgrade` takes audit-libs-2.8-4.x86_64 (lab), and audit-libs-python-2.8-3.x86_64 (base) needs audit-libs = 2.8-3\n\
                   help: bring audit-libs-python-2.8-4.x86_64, which goes with audit-libs-2.8-4.x86_64, or ";
    for (is_own, words, excluded, expected) in [
        (true, "docker-1-1", &[][..], "docker-1-2.x86_64 extra-1-1.x86_64".to_owned()),
        (true, "docker-1-1", &["docker"], "docker-1-1.x86_64".to_owned()),
        (true, "kernel-3-1", &[], "kernel-3-1.x86_64 kernel-3-2.x86_64".to_owned()),
        (true, "old", &[], "new-1-1.x86_64".to_owned()),
        (true, "other", &[], "other-1-1.x86_64".to_owned()),
        (true, "audit-libs-2.8-3", &[], "audit-libs-2.8-4.x86_64".to_owned()),
        (true, "audit-libs-2.8-3 audit-libs-python", &[], format!("{refused}take audit-libs-2.8-4.x86_64 out of lab, or {last}")),
        (
            false,
            "audit-libs-2.8-3 audit-libs-python",
            &[],
            format!("{refused}add `audit-libs-2.8-3` to packages.install, which keeps it, or {last}"),
        ),
        // That would not help here: what else is upgraded needs the newer one.
        (false, "audit-libs-2.8-3 audit-libs-python wants-1-1", &[], format!("{refused}{last}")),
    ] {
        universe.repositories[1].is_own = is_own;
        assert_eq!(after(&universe, words, excluded), expected, "{words} {excluded:?}");
    }
}

#[test]
fn a_circle_of_obsoletes_ends() {
    let text = "[base]
        a 1-1 x86_64 | obsoletes b
        b 1-1 x86_64 | obsoletes c
        c 1-1 x86_64 | obsoletes a
        d 1-1 x86_64 | needs a";
    let universe = universe(Scheme::Rpm, text);
    assert_eq!(answer(&universe, &question("d")), "a-1-1.x86_64 d-1-1.x86_64");
}

#[test]
fn an_obsoleter_meets_no_need_with_a_version_but_one_of_three_characters() {
    let text = "[base]
        old 1-1 x86_64
        new 1-1 x86_64 | obsoletes old | provides old = 9-1
        plain 1-1 x86_64 | needs old
        equal 1-1 x86_64 | needs old = 1-1
        long 1-1 x86_64 | needs old <= 5.0-1
        three 1-1 x86_64 | needs old <= 5.0";
    let universe = universe(Scheme::Rpm, text);
    // yum 3.4.3: for `old <= 5.0-1` it looks for something called `old105.0-1`, and for `old <= 5.0` for epoch 5, which `new` is below. It
    // takes that then, and does not look whether the need is met.
    for (words, expected) in [
        ("plain", "new-1-1.x86_64 plain-1-1.x86_64"),
        ("equal", "old-1-1.x86_64 is obsoleted by new-1-1.x86_64"),
        ("long", "old-1-1.x86_64 is obsoleted by new-1-1.x86_64"),
        ("three", "new-1-1.x86_64 three-1-1.x86_64"),
    ] {
        let found = match replay(&universe, &question(words)) {
            Ok(replay) => labels(&universe, &replay.packages),
            Err(failed) => match &failed.failures[..] {
                [Failure::Unmet { cause: Unmet::Obsoleted { package, by }, .. }] => {
                    format!("{} is obsoleted by {}", universe.label(*package), universe.label(*by))
                }
                [other] => format!("{other:?}"),
                others => format!("{others:?}"),
            },
        };
        assert_eq!(found, expected, "{words}");
    }
}

#[test]
fn a_question_that_is_too_large_is_no_failure_of_yum() {
    let text = "[base]
        a 1-1 x86_64 | needs b, c
        b 1-1 x86_64 | needs d
        c 1-1 x86_64
        d 1-1 x86_64
        lost 1-1 x86_64 | needs nowhere
        zoo 1-1 x86_64 | needs c";
    let universe = universe(Scheme::Rpm, text);
    let within = |words: &str, mut steps: u64| (replay_within(&universe, &question(words), &mut steps), steps);
    let (whole, left) = within("a", 1000);
    assert_eq!(labels(&universe, &whole.unwrap().packages), "a-1-1.x86_64 b-1-1.x86_64 c-1-1.x86_64 d-1-1.x86_64");
    let needed = 1000 - left;
    assert!(needed > 6, "{needed}");
    for steps in 0..=needed {
        let (found, left) = within("a", steps);
        assert_eq!((found.is_err_and(|failed| failed.is_unknown()), left), (true, 0), "{steps}");
    }
    assert_eq!(within("a", needed + 1).1, 1);
    // A failure that is certain is kept: `lost` comes before `zoo`.
    let (failed, left) = within("lost zoo", 8);
    let failed = failed.unwrap_err();
    assert_eq!((failed.is_unknown(), left), (false, 0));
    assert!(matches!(failed.failures[..], [Failure::Unmet { cause: Unmet::Nobody, .. }]), "{failed:?}");
}
