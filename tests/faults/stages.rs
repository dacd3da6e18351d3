//! Packages, provision steps, checks and boots that fail.

use std::fs;

use serde_json::Value;

use super::{evidence, failed, fixture, of_fixture, told};

/// Two steps. The second one damages the boot loader's configuration.
const STEPS: &str = "{ name = \"first\", script = \"echo made > /root/made\" }, \
    { name = \"spoil\", script = \"sed -i 's|root=UUID=[^ ]*|root=/dev/nonexistent|' /boot/grub/grub.cfg; cat /root/made\" }";

#[test]
#[ignore = "waits for a root that never comes; ci/full runs it"]
fn a_failed_step_keeps_the_layers_before_it_and_a_guest_that_never_boots_is_told_with_evidence() {
    let _slot = fixture::machines();
    let last = "{ name = \"last\", script = \"echo to be read >&2; exit 3\" }";
    let ended = of_fixture(&["--set", &format!("provision=[{STEPS}, {last}]")]).end();
    failed(&ended, 4, "provision step `last`: step-2 failed with exit status 3: to be read\n", "correct the script");
    assert!(evidence(&ended).join("provision/console.log").exists());

    let again = of_fixture(&["--set", &format!("provision=[{STEPS}]")]);
    fs::remove_dir_all(again.dir().join("store")).unwrap();
    fs::rename(ended.dir().join("store"), again.dir().join("store")).unwrap();
    let ended = again.end();
    for step in ["install", "provision first", "provision spoil"] {
        assert!(ended.stderr.contains(&format!("{step}: cached")), "{}", ended.stderr);
    }
    let cause =
        "sealing: machine `seal`: the guest failed: its initramfs did not find the root filesystem (console: Gave up waiting for root";
    failed(&ended, 4, cause, "compare root= on the kernel command line with the disk");
    let machine = evidence(&ended).join("seal");
    assert!(fs::read_to_string(machine.join("console.log")).unwrap().contains("/dev/nonexistent does not exist"));
    assert!(fs::read(machine.join("screen.png")).unwrap().starts_with(b"\x89PNG"));
    // The page for people has the cause, the screen, and the last output of the machine.
    let page = fs::read_to_string(evidence(&ended).join("report.html")).unwrap();
    for part in ["did not find the root filesystem", "data:image/png;base64,", "nonexistent does not exist", "compare root= on"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_check_that_fails_keeps_the_image_from_being_published() {
    let _slot = fixture::machines();
    let check = "check=[{ name = \"never\", command = { run = \"echo to be read >&2; exit 3\" } }]";
    let ended = of_fixture(&["--set", check, "--set", "output.compress=false"]).end();
    failed(&ended, 5, "the image is not published: 1 check failed\n", "correct the recipe, or the check");
    assert_eq!(told(&ended).lines().nth(1).unwrap(), "  never: exit status 3, wanted 0: to be read", "{}", ended.stderr);
    let dir = evidence(&ended);
    let report: Value = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
    let failed: Vec<_> = report["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "failed").collect();
    assert_eq!(failed.iter().map(|check| check["name"].as_str().unwrap()).collect::<Vec<_>>(), ["never"]);
    // The journal has each check, in the form of `--json`, although the image failed.
    let journal = fs::read_to_string(dir.join("build.ndjson")).unwrap();
    let records = journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let checks: Vec<_> = records.filter(|record| record["event"] == "check").collect();
    assert_eq!(checks.len(), report["checks"].as_array().unwrap().len());
    let never = checks.iter().find(|check| check["name"] == "never").unwrap();
    assert_eq!((&never["outcome"], &never["detail"]), (&"failed".into(), &"exit status 3, wanted 0: to be read".into()));
    let page = fs::read_to_string(dir.join("report.html")).unwrap();
    assert!(page.contains("Failed: 1 check failed") && page.contains("exit status 3, wanted 0: to be read"), "{page}");
}
