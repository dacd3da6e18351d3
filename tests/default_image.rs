//! The embedded default, built for real: what the artifact says and what foreign tools say of it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{fixture, goldsmith, machines, root_override};

#[test]
fn the_default_image_is_built_and_proved() {
    let _slot = machines();
    let fixture = fixture();
    let manifest: Value = serde_json::from_slice(&fs::read(fixture.artifact.join("manifest.json")).unwrap()).unwrap();
    let checks = manifest["checks"].as_array().unwrap();
    assert!(checks.len() > 25 && checks.iter().all(|check| check["outcome"] == "passed"), "{checks:#?}");
    assert!(manifest["docker_info"]["ServerVersion"].as_str().unwrap().starts_with("20.10.24"));
    assert_eq!(manifest["verification"]["verified"], true);
    let text = manifest.to_string();
    assert!(!text.contains(crate::fixture::PASSWORD) && !text.contains("$6$"), "a password is in the manifest");
    let image = fixture.artifact.join("debian-12-docker.qcow2");
    for command in [Command::new("qemu-img").arg("check").arg(&image), Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"])] {
        let output = command.current_dir(&fixture.artifact).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // Asked for again, it is there already, and nothing is run.
    let output = fixture.artifact.to_str().unwrap();
    let again = goldsmith(&["build", "debian-12-docker", "-o", output, "--set", &root_override(&fixture.key)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), format!("{}: up to date\n", image.display()));
}
