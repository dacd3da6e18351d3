//! A host that lacks a tool, memory, space or the network.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{MACHINE, SMALL, failed, fixture, names, possible, small, store_with_layers};
use crate::support::{Ended, GOLDSMITH, Run};

/// A directory with links to every program of `PATH` except one.
fn all_programs_but(missing: &str, dir: &Path) -> PathBuf {
    let farm = dir.join("programs");
    std::fs::create_dir(&farm).unwrap();
    for place in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for name in names(&place).into_iter().filter(|name| name != missing) {
            // The first program of a name in `PATH` counts, so an error for a later one is ignored.
            let _ = symlink(place.join(&name), farm.join(&name));
        }
    }
    farm
}

#[test]
fn a_missing_tool_is_named_before_the_work() {
    for (tool, package) in [("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("mmdebstrap", "mmdebstrap")] {
        let run = small(["build", "small.toml", "-o", "out"]);
        let path = all_programs_but(tool, run.dir());
        let ended = run.env("PATH", path).end();
        failed(&ended, 7, &format!("{tool} is not installed\n"), &format!("install it: apt-get install {package}"));
        assert!(!ended.stderr.contains("install: begun"), "{}", ended.stderr);
    }
}

#[test]
fn a_machine_that_is_larger_than_the_host_is_not_begun() {
    let ended = small(["build", "small.toml", "-o", "out", "--set", "build.memory=\"900G\""]).end();
    failed(&ended, 7, "the machine needs 900 GiB of memory, and the host has ", "end other programs, or give the machine less");
    assert!(!ended.stderr.contains("install: begun"), "{}", ended.stderr);
}

#[test]
fn a_repository_that_cannot_be_reached_is_an_input() {
    if !possible(&["unshare", "-n", "true"], "no network namespace can be made") {
        return;
    }
    let ended = Run::program("/usr/bin/unshare", ["-n", GOLDSMITH, "build", "small.toml", "-o", "out"]).file("small.toml", SMALL).end();
    failed(&ended, 3, "the package repository cannot be reached: ", "check the network and the host's package sources: apt-get update");
}

/// Run `script` where it can mount: it finds goldsmith as `$GOLDSMITH`, and `small.toml`.
fn with_mounts(script: &str) -> Option<Run> {
    let can = possible(&["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], "no small disk can be made");
    let run = || Run::program("/usr/bin/unshare", ["-m", "sh", "-euc", script]).file("small.toml", SMALL).env("GOLDSMITH", GOLDSMITH);
    can.then(|| run().patience(MACHINE))
}

/// The files left on the small disk, as listed by the script. The disk itself ends with its namespace.
fn left(ended: &Ended) -> String {
    std::fs::read_to_string(ended.dir().join("left")).unwrap()
}

#[test]
fn a_full_disk_is_noticed_before_the_work() {
    let script = |on: &str| {
        format!(
            "mkdir disk; mount -t tmpfs -o size=64m tmpfs disk; c=0; \"$GOLDSMITH\" build small.toml {on} || c=$?; ls -A disk > left; exit $c"
        )
    };
    let Some(store) = with_mounts(&script("--store disk -o out")) else { return };
    let ended = store.end();
    // The exact free space depends on the size of the package indexes.
    failed(&ended, 7, "[DIR]/disk has 5", "free 2.9");
    assert!(ended.stderr.contains(" MiB free, 3.00 GiB needed"), "{}", ended.stderr);
    let Some(output) = with_mounts(&script("-o disk/out")) else { return };
    let ended = output.end();
    failed(&ended, 7, "[DIR]/disk has 64.0 MiB free, 256 MiB needed", "free 192 MiB there, or choose another directory");
    assert_eq!(left(&ended), "");
}

#[test]
fn a_disk_that_fills_up_under_the_package_manager_is_survived() {
    let _slot = fixture::machines();
    // A store that passes the check, and shrinks when mmdebstrap has begun to write to it.
    let script = "mkdir store; mount -t tmpfs -o size=4g tmpfs store
        (until [ -d store/v1/scratch/run-*/deploy/tree/var/lib ]; do sleep 0.05; done
         used=$(df -k --output=used store | tail -n 1); mount -o remount,size=$((used + 8192))k store) & watcher=$!
        c=0; \"$GOLDSMITH\" build small.toml --store store -o out || c=$?
        kill $watcher 2>/dev/null || true
        ls -A store/v1/scratch store/v1/layers > left; exit $c";
    let Some(run) = with_mounts(script) else { return };
    let ended = run.end();
    failed(&ended, 7, "the packages could not be installed: ", "make room in the store, or name another: --store DIR");
    assert_eq!(left(&ended), "store/v1/layers:\n\nstore/v1/scratch:\n");
}

/// Add the inputs of the fixture's recipe.
fn with_fixture(run: Run) -> Run {
    run.env("ROOT", fixture::root_override(&fixture::fixture().key)).env("ROOT_PASSWORD", fixture::PASSWORD)
}

#[test]
fn a_disk_that_fills_up_under_a_machine_is_survived() {
    let _slot = fixture::machines();
    let script = "mkdir small; mount -t tmpfs -o size=1g tmpfs small; cp -a store/. small
        (until [ -s small/v1/scratch/run-*/evidence/seal/console.log ]; do sleep 0.05; done
         used=$(df -k --output=used small | tail -n 1); mount -o remount,size=$((used + 512))k small) & watcher=$!
        c=0; \"$GOLDSMITH\" build debian-12-docker --set \"$ROOT\" --store small -o out || c=$?
        kill $watcher 2>/dev/null || true
        ls -A small/v1/scratch small/v1/layers > left; exit $c";
    let Some(run) = with_mounts(script) else { return };
    store_with_layers(run.dir(), 1);
    let ended = with_fixture(run).end();
    failed(
        &ended,
        7,
        "sealing: machine `seal`: the host's disk is full: the write on drive `disk` failed",
        "free space on the host's disk",
    );
    assert!(left(&ended).ends_with("small/v1/scratch:\n") && left(&ended).lines().count() == 4, "{}", left(&ended));
}

#[test]
fn a_disk_that_fills_up_under_the_artifact_is_survived() {
    let _slot = fixture::machines();
    // The uncompressed image is more than twice as large as the first disk. The second disk has enough space until the image is being
    // written.
    for (size, shrink, begin, cause, remedy) in [
        (300, "true", "[DIR]/disk/.out.new-", "has 300 MiB free, ", "free "),
        (
            900,
            "until [ \"$(df -k --output=used disk | tail -n 1)\" -gt 20000 ]; do sleep 0.02; done
             mount -o remount,size=$(($(df -k --output=used disk | tail -n 1) + 20000))k disk",
            "cannot write [DIR]/disk/.out.new-",
            "No space left on device",
            "",
        ),
    ] {
        let script = format!(
            "mkdir disk; mount -t tmpfs -o size={size}m tmpfs disk
             ({shrink}) & watcher=$!
             c=0; \"$GOLDSMITH\" build debian-12-docker --set \"$ROOT\" --set output.compress=false --store store -o disk/out || c=$?
             kill $watcher 2>/dev/null || true
             ls -A disk > left; exit $c"
        );
        let Some(run) = with_mounts(&script) else { return };
        store_with_layers(run.dir(), 2);
        let ended = with_fixture(run).end();
        failed(&ended, 7, begin, remedy);
        assert!(super::told(&ended).lines().next().unwrap().contains(cause), "{}", ended.stderr);
        assert_eq!(left(&ended), "", "{size}");
    }
}

/// An overlay cannot be used without the layer that it was made on, and over another one its data is garbage.
#[test]
fn a_plan_reuses_a_layer_only_with_all_it_was_made_on() {
    let store = tempfile::tempdir().unwrap();
    let layers = store.path().join("v1/layers");
    let plan = |json: bool| {
        let words = ["plan", "small.toml", "--store", store.path().to_str().unwrap()].into_iter().chain(json.then_some("--json"));
        let ended = small(words).end();
        assert_eq!(ended.status, 0, "{}", ended.stderr);
        ended.stdout
    };
    let document: serde_json::Value = serde_json::from_str(&plan(true)).unwrap();
    let [install, seal] = [0, 1].map(|index| document["stages"][index]["id"].as_str().unwrap().to_owned());
    let make = |id: &str, arguments: &str, record: &str| {
        let dir = layers.join(id);
        fs::create_dir_all(&dir).unwrap();
        let made = Command::new("/bin/sh").args(["-c", &format!("qemu-img create -q {arguments}")]).current_dir(&dir).status().unwrap();
        assert!(made.success());
        fs::write(dir.join("layer.json"), record).unwrap();
    };
    make(&install, "-f raw disk.raw 1M", r#"{"schema":1,"mark":"one","base":null}"#);
    make(&seal, &format!("-f qcow2 -F raw -b ../{install}/disk.raw disk.qcow2"), r#"{"schema":1,"mark":"two","base":"one"}"#);
    let lines = |wanted: &str| {
        let text = plan(false);
        let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some(wanted));
        line.unwrap_or_else(|| panic!("{wanted}: {text}")).to_owned()
    };
    for stage in ["install", "seal"] {
        assert!(lines(stage).starts_with("reuse ") && lines(stage).ends_with("  the store has its layer"), "{}", lines(stage));
    }
    make(&install, "-f raw disk.raw 1M", r#"{"schema":1,"mark":"another","base":null}"#);
    assert!(lines("install").starts_with("reuse "), "{}", lines("install"));
    let line = lines("seal");
    let why = format!("the layer in the store cannot be used: the layer {} under it was made again since", &install[..12]);
    assert!(line.starts_with("run ") && line.ends_with(&why), "{line}");
    fs::remove_dir_all(layers.join(&install)).unwrap();
    assert!(lines("install").starts_with("run ") && lines("seal").starts_with("run "), "{}", plan(false));
    let document: serde_json::Value = serde_json::from_str(&plan(true)).unwrap();
    assert_eq!((&document["stages"][1]["layer"], &document["stages"][1]["run"]), (&false.into(), &true.into()), "{document}");
    assert!(document["stages"][1]["unusable"].as_str().unwrap().contains("No such file"), "{document}");
}
