//! `report.html` in a browser: the pages of a good and of a failed build, and the findings of axe-core.

use std::fs;
use std::path::Path;
use std::process::Command;

use goldsmith::report::{Evidence, Failed, Log, Page, Screen};
use goldsmith::verify::CheckResult;

use crate::fixture::fixture;

/// The directory in which ci/full puts puppeteer-core and axe-core.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/browser");
/// The directory of the pictures.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/report");

/// A page of a failed build with every part that such a page can have.
fn failed(screen: Vec<u8>) -> Page {
    let text = "<script>document.title = 'taken'</script> and a word of more than ".to_owned() + &"forty".repeat(40);
    Page {
        name: "failed <b>lab</b>".to_owned(),
        failed: Some(Failed {
            what: format!("sealing: machine `seal`: {text}"),
            evidence: vec![text.clone(); 5],
            remedy: Some("correct it".to_owned()),
        }),
        checks: vec![CheckResult::failed("docker", text.clone()), CheckResult::passed("hostname", "master")],
        evidence: Evidence {
            screens: vec![Screen { machine: "seal".to_owned(), png: screen }],
            logs: vec![Log { title: "seal/console.log".to_owned(), text }],
        },
        ..Page::default()
    }
}

/// Runs the script on `pages`. Returns whether it found no fault, and its output.
fn judge(pages: &[&Path]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report_cases/browser.mjs");
    let output = Command::new("node").args([script, TOOLS, PICTURES]).args(pages).output().unwrap();
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

#[test]
#[ignore = "it needs Chromium, which is large; ci/full runs it"]
fn a_browser_shows_the_pages_and_axe_finds_no_fault() {
    fs::create_dir_all(PICTURES).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::copy(fixture().artifact.join("report.html"), at("good.html")).unwrap();
    let (passed, said) = judge(&[&at("good.html")]);
    assert!(passed && said.lines().count() == 4, "{said}");
    let mut views = said;
    let screen = fs::read(Path::new(PICTURES).join("good-390-dark.png")).unwrap();
    fs::write(at("failed.html"), failed(screen).render().unwrap()).unwrap();
    let (passed, said) = judge(&[&at("failed.html")]);
    assert!(passed && said.lines().count() == 4, "{said}");
    views.push_str(&said);
    fs::write(Path::new(PICTURES).join("views.ndjson"), views).unwrap();
    // The light and the dark colours differ.
    assert_eq!(said.matches("\"background\":\"rgb(255, 255, 255)\"").count(), 2, "{said}");

    let good = fs::read_to_string(at("good.html")).unwrap();
    for (name, from, to) in [
        ("no language", "<html lang=\"en\">", "<html>"),
        ("pale text", "--dim: #4d5762", "--dim: #c0c0c0"),
        ("too wide", "</main>", "<div style=\"width:3000px\">x</div></main>"),
        ("a picture of the network", "</main>", "<img src=\"https://example.org/x.png\" alt=\"x\"></main>"),
        ("a script", "</main>", "<script>1</script></main>"),
    ] {
        let spoilt = good.replace(from, to);
        assert_ne!(spoilt, good, "{name}");
        fs::write(at("spoilt.html"), spoilt).unwrap();
        let (passed, said) = judge(&[&at("spoilt.html")]);
        assert!(!passed, "{name}: {said}");
    }
}
