//! What the `[run]` table of an image's recipe gives its machines, read from the artifact's manifest.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Home, idle_disk};
use crate::fixture::machines;
use crate::run_cases::free_port;

/// An artifact `name` in `dir` whose recipe has the table `run`, of a disk that boots and does nothing.
fn artifact(dir: &Path, name: &str, run: &Value) -> PathBuf {
    let artifact = dir.join(name);
    fs::create_dir(&artifact).unwrap();
    let disk = idle_disk(&artifact);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(golden).unwrap()).unwrap();
    manifest["name"] = json!(name);
    manifest["recipe"]["run"] = run.clone();
    for (key, value) in [("file", json!("idle.raw")), ("format", json!("raw")), ("bytes", json!(fs::metadata(disk).unwrap().len()))] {
        manifest["image"][key] = value;
    }
    fs::write(artifact.join("manifest.json"), manifest.to_string()).unwrap();
    artifact
}

/// What is kept of the machine `name` that `up` makes with `args`, and the size of its disk. It is removed then.
#[track_caller]
fn made(home: &Home, name: &str, args: &[&str]) -> (Value, u64) {
    let mut up = home.command(&[&["up"][..], args].concat()).stderr(Stdio::null()).spawn().unwrap();
    let (place, patience) = (home.machine(name), Instant::now() + Duration::from_secs(60));
    while !place.join("boot").exists() {
        assert!(Instant::now() < patience, "{args:?}: {name} is not made");
        thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    up.wait().unwrap();
    let record = serde_json::from_slice(&fs::read(place.join("machine.json")).unwrap()).unwrap();
    let header = fs::read(place.join("disk.qcow2")).unwrap();
    home.said(&["rm", "--force", name]);
    // Docs/interop/qcow2.txt: the disk's size is at byte 24, big-endian.
    (record, u64::from_be_bytes(header[24..32].try_into().unwrap()))
}

#[test]
fn what_the_recipe_says_is_given_and_flags_say_otherwise() {
    let _slot = machines();
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (free_port(), free_port());
    let run = json!({"cpus": 3, "memory": "64M", "disk": "4M", "forward": [{"host": own, "guest": 80}], "isolated": true});
    let lab = artifact(dir.path(), "lab", &run);
    let lab = lab.to_str().unwrap();
    let facts = |(record, disk): (Value, u64)| (json!([record["cpus"], record["memory"], record["forwards"], record["isolated"]]), disk);
    assert_eq!(facts(made(&home, "lab", &[lab])), (json!([3, "64M", [{"host": own, "guest": 80}], true]), 4 << 20));
    let flags =
        ["--cpus", "1", "--memory", "65M", "--disk", "8M", "--forward", &format!("{other}:22"), "--isolated=false", "--name", "own", lab];
    assert_eq!(facts(made(&home, "own", &flags)), (json!([1, "65M", [{"host": other, "guest": 22}], false]), 8 << 20));
    let closed = made(&home, "closed", &["--forward", "none", "--name", "closed", lab]);
    assert_eq!(closed.0["forwards"], json!([]));
    // One port leads to one machine.
    let table = dir.path().join("t.csv");
    fs::write(&table, "name\nanna\n").unwrap();
    assert_eq!(made(&home, "anna", &["--from", table.to_str().unwrap(), lab]).0["forwards"], json!([]));
    // A bare image has no recipe.
    let bare = dir.path().join("bare");
    fs::create_dir(&bare).unwrap();
    let bare = idle_disk(&bare);
    let usual = made(&home, "idle", &["--memory", "64M", bare.to_str().unwrap()]);
    assert_eq!(facts(usual), (json!([null, "64M", [], false]), fs::metadata(&bare).unwrap().len()));
    home.has_no_process();
}

#[test]
fn what_the_recipe_says_is_refused_where_it_cannot_be_given() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let large = artifact(dir.path(), "large", &json!({"memory": "900T", "forward": [{"host": port, "guest": 80}]}));
    let broken = artifact(dir.path(), "broken", &json!({"cpus": 0}));
    let (large, broken) = (large.to_str().unwrap(), broken.to_str().unwrap());
    for (args, status, said) in [
        (&["up", large][..], 7, "900 TiB of memory"),
        (&["run", large], 7, "900 TiB of memory"),
        (&["up", large, "--memory", "64M"], 7, "of 127.0.0.1 cannot be used: Address already in use"),
        (&["up", large, "--memory", "64M"], 7, "it is of the recipe's `[run]`, and --forward says others, or `none`"),
        (&["up", broken], 3, "the `run` of its recipe is nothing that a machine can have: {\"cpus\":0}"),
        (&["run", broken], 3, "the `run` of its recipe is nothing that a machine can have"),
    ] {
        let told = home.refused(args, status);
        assert!(told.contains(said), "{args:?}: {told}");
    }
}
