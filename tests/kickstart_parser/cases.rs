//! The 91 cases: `valid/` and `invalid/` are the verdict of today's ksvalidator, column `el75` that of the parser of CentOS 7.5.

use std::fs;
use std::path::Path;

use goldsmith::kickstart::{Severity, lint};

use super::{read, said};

/// Files that ksvalidator 3.78 refuses and the parser of 7.5 accepts, with the reasons.
const DIVERGENT: [(&str, &str); 7] = [
    ("41-packages-nobase-deprecated.ks", "ksvalidator makes deprecation warnings errors"),
    ("51-upgrade-removed.ks", "ksvalidator makes deprecation warnings errors"),
    ("60-divergent-sshkey.ks", "`sshkey` was in 7.3 to 7.9 and is missing in the RHEL 7 handler of 3.x"),
    ("61-divergent-firewall-use-system-defaults.ks", "the option was in 1.99.66.18 and is missing in the RHEL 7 handler of 3.x"),
    ("62-divergent-reboot-kexec.ks", "the option was in 1.99.66.3 and is missing in the RHEL 7 handler of 3.x"),
    ("63-divergent-mount.ks", "`mount` was in 1.99.66.15 and is missing in the RHEL 7 handler of 3.x"),
    ("64-divergent-sshpw-sshkey.ks", "the option was in 1.99.66.7 and is missing in the RHEL 7 handler of 3.x"),
];

struct Case {
    file: String,
    text: String,
    ksvalidator: bool,
    el75: String,
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kickstart_files");
    let table = fs::read_to_string(root.join("verdicts.tsv")).unwrap();
    let rows = table.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|row| {
        let [folder, file, rc, el75, _message] = row.splitn(5, '\t').collect::<Vec<_>>().try_into().unwrap();
        let text = fs::read_to_string(root.join(folder).join(file)).unwrap();
        Case { file: file.into(), text, ksvalidator: rc == "0", el75: el75.into() }
    })
    .collect()
}

/// Files that pykickstart accepts and Anaconda 21.48.22.134 refuses, with the reasons.
const REFUSED_BY_ANACONDA: [(&str, &str); 2] = [
    ("27-semantically-wrong-but-valid.ks", "ClearPart.parse and PartitionData.execute: KickstartValueError"),
    ("51-upgrade-removed.ks", "Upgrade.parse: sys.exit(1)"),
];

#[test]
fn every_case_gets_the_verdict_of_the_parser_of_7_5() {
    let cases = cases();
    assert_eq!(cases.len(), 91);
    let mut wrong = Vec::new();
    for case in &cases {
        let document = read(&case.text);
        let warned = document.diagnostics().iter().any(|found| found.severity == Severity::Warning);
        let agrees = match case.el75.as_str() {
            _ if REFUSED_BY_ANACONDA.iter().any(|(file, _)| *file == case.file) => !document.is_accepted(),
            "OK" => document.is_accepted(),
            "WARN" => document.is_accepted() && warned,
            "FAIL" => !document.is_accepted(),
            other => panic!("{}: {other}", case.file),
        };
        if !agrees {
            wrong.push(format!("{} is {}, but:\n{}", case.file, case.el75, said(&document)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let divergent: Vec<_> = cases.iter().filter(|case| case.ksvalidator != (case.el75 != "FAIL")).map(|case| case.file.as_str()).collect();
    assert_eq!(divergent, DIVERGENT.map(|(file, _)| file));
}

#[test]
fn every_case_is_kept_byte_for_byte() {
    for case in cases() {
        let document = read(&case.text);
        assert_eq!(document.to_string(), case.text, "{}", case.file);
        assert_eq!(said(&read(&document.to_string())), said(&document), "{}", case.file);
    }
}

#[test]
fn the_lints_of_the_accepted_cases_are_known() {
    let mut text = String::new();
    for case in cases() {
        let document = read(&case.text);
        for found in lint(&document).into_iter().filter(|_| document.is_accepted()) {
            let line = found.place.map(|place| format!(":{}", place.line)).unwrap_or_default();
            text.push_str(&format!("{}{line}: {}: {}\n", case.file, found.lint.id, found.message));
        }
    }
    crate::support::golden("kickstart-lints.txt", &text);
}
