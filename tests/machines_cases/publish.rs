//! `goldsmith publish`: a machine that was changed by hand becomes an artifact with a parent.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Home, PATIENCE, ended, idle_disk};
use crate::fixture::{fixture, machines, place};
use crate::support::make_disk;

/// The digest of a file, as sha256sum(1) tells it.
fn sha256(path: &Path) -> String {
    let said = ended(Command::new("sha256sum").arg("--").arg(path));
    String::from_utf8(said.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn manifest(dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(dir.join("manifest.json")).unwrap()).unwrap()
}

/// An artifact in `dir` of a system that cannot boot: it has no kernel. `recipe` is what its manifest says of that.
fn small_artifact(dir: &Path, recipe: Value) {
    let tree = dir.join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=small\nPRETTY_NAME=Small\n").unwrap();
    make_disk(&tree, &dir.join("small.raw"));
    fs::remove_dir_all(&tree).unwrap();
    let mut manifest: Value = serde_json::from_str(include_str!("../golden/manifest.json")).unwrap();
    manifest["name"] = json!("small");
    manifest["recipe"] = recipe;
    let bytes = fs::metadata(dir.join("small.raw")).unwrap().len();
    let image = &mut manifest["image"];
    for (key, value) in
        [("file", json!("small.raw")), ("format", json!("raw")), ("bytes", json!(bytes)), ("sha256", json!(sha256(&dir.join("small.raw"))))]
    {
        image[key] = value;
    }
    fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
}

/// Make a machine of what cannot boot, and end it. While it runs it is not published.
fn make(home: &Home, image: &Path, name: &str) {
    let words = ["up", image.to_str().unwrap(), "--name", name, "--memory", "64M"];
    let mut up = home.command(&words).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    let runs = || {
        let listed: Value = serde_json::from_str(&home.said(&["ps", "--json"])).unwrap();
        listed["machines"].as_array().unwrap().iter().any(|machine| machine["name"] == name && machine["qemu"].is_u64())
    };
    while !runs() {
        assert!(Instant::now() < patience, "it does not start");
        thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_child(&up), Signal::INT).unwrap();
    up.wait().unwrap();
    let refused = home.refused(&["publish", name], 2);
    assert!(refused.contains(&format!("the machine `{name}` is running\n  help: stop it first: goldsmith stop {name}")), "{refused}");
    home.said(&["stop", name, "--within", "0"]);
}

#[test]
fn what_cannot_be_published_is_told_and_nothing_is_lost() {
    let _slot = machines();
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let target = at("new/out");
    let output = target.to_str().unwrap();
    // The refusal of a machine, which leaves nothing, not even the directory above.
    let refused = |args: &[&str], status: i32, said: &str| {
        let told = home.refused(&[&["publish", "-o", output], args].concat(), status);
        assert!(told.contains(said), "{args:?}: {told}");
        assert!(!at("new").exists());
    };
    refused(&["web"], 2, "error: there is no machine `web`\n  help: `goldsmith ps` lists the machines");
    refused(&["a/b"], 2, "a name has 1 to 63 letters");
    refused(&["web", "--name", "../web"], 2, "a name has 1 to 63 letters");

    let idle = idle_disk(dir.path());
    make(&home, &idle, "bare");
    refused(&["bare"], 3, "error: the machine `bare` cannot be published: nothing says what its image promises, since ");
    refused(&["bare"], 3, "  help: publish a machine that `goldsmith up` made from what `goldsmith build` or `goldsmith publish` left");

    // An artifact whose manifest says too little, and then as much as a build says.
    let parent = at("parent");
    small_artifact(&parent, json!({ "name": "small" }));
    make(&home, &parent, "small");
    refused(&["small"], 3, "its manifest does not say how its image was made (missing field `build`)");
    let build = json!({ "cpus": 1, "memory": "256M", "deadline": { "secs": 60, "nanos": 0 }, "network": "closed" });
    let mut whole = manifest(&parent);
    whole["recipe"] = json!({ "name": "small", "build": build, "output": { "compress": "zlib" } });
    fs::write(parent.join("manifest.json"), whole.to_string()).unwrap();
    let (disk, image) = (home.machine("small/disk.qcow2"), parent.join("small.raw"));
    let before = (sha256(&disk), sha256(&image));

    // What is at the target.
    for (made, said) in [
        ("file", "is not an artifact of goldsmith (it has no manifest.json), so it is not replaced"),
        ("manifest.json", "holds another artifact ("),
    ] {
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join(made), whole.to_string()).unwrap();
        let told = home.refused(&["publish", "small", "-o", output], 2);
        assert!(told.contains(said), "{told}");
        assert_eq!(names(&target), [made]);
        fs::remove_dir_all(at("new")).unwrap();
    }
    fs::write(at("new"), "a file").unwrap();
    let told = home.refused(&["publish", "small", "-o", output], 7);
    assert!(told.contains("cannot be written: Not a directory"), "{told}");
    fs::remove_file(at("new")).unwrap();

    // There is no kernel to boot it for the sealing.
    refused(&["small"], 3, &format!("error: {} has no /boot\n", disk.display()));
    assert_eq!((sha256(&disk), sha256(&image)), before);

    // As after a power cut: the journal holds a change. debugfs makes it like a kernel's, so that it could be replayed.
    let dirty = at("dirty.raw");
    fs::copy(&image, &dirty).unwrap();
    let debugfs = |args: &[&str]| ended(Command::new("/usr/sbin/debugfs").args(args).arg(&dirty));
    let blocks = String::from_utf8(debugfs(&["-R", "blocks /etc/os-release"]).stdout).unwrap();
    let (block, content, commands) = (blocks.trim(), at("block"), at("commands"));
    fs::write(&content, [0; 1024]).unwrap();
    fs::write(&commands, format!("jo -c -v 3\njw -b {block} {}\njc\n", content.display())).unwrap();
    assert!(debugfs(&["-w", "-f", commands.to_str().unwrap()]).status.success());
    let write = format!("write -s {} 0 32M", dirty.display());
    assert!(ended(Command::new("qemu-io").args(["-f", "qcow2", "-c", &write]).arg(&disk)).status.success());
    refused(&["small"], 3, "error: the disk of the machine `small` is as after a power cut: / (ext4) was not unmounted\n");
    refused(&["small"], 3, "  help: boot it once and shut it down: goldsmith start small && goldsmith stop small");

    // The image under it is damaged, changed, gone.
    let modified = fs::metadata(&image).unwrap().modified().unwrap();
    let changed = |second: u64| {
        let file = fs::File::options().write(true).open(&image).unwrap();
        file.write_all_at(b"x", 4096).unwrap();
        file.set_modified(modified + Duration::from_secs(second)).unwrap();
    };
    changed(0);
    refused(&["small"], 3, "is not the image of its manifest: its sha256 is ");
    changed(1);
    refused(&["small"], 3, "is not the image any more that it was made from\n  help: bring the image back as it was");
    fs::rename(&parent, at("moved")).unwrap();
    refused(&["small"], 3, "which it was made from, is not there any more\n  help: bring the image back as it was");
    home.said(&["rm", "bare", "small"]);
    home.has_no_process();
}

/// The words of a machine's answer.
fn answer(home: &Home, name: &str, command: &str) -> String {
    home.said(&["exec", name, "--", "sh", "-c", command])
}

/// A package that is made in the guest, where no repository is reached.
const INSTALL: &str = "mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/handmade && echo text > /tmp/p/usr/share/handmade/text && \
     printf 'Package: handmade\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: lab <lab@example.org>\\nDescription: made by hand\\n' \
     > /tmp/p/DEBIAN/control && dpkg-deb --build /tmp/p /tmp/p.deb > /dev/null && dpkg -i /tmp/p.deb > /dev/null && \
     echo mine > /etc/mine && echo 'secret words' > /root/.bash_history";

/// A machine of the built image is changed, published, and the result is used as any artifact is.
#[test]
#[ignore = "boots the default image nine times; ci/full runs it"]
fn a_changed_machine_becomes_an_artifact_that_names_its_parent() {
    let _slot = machines();
    let home = Home::new();
    let parent = &fixture().artifact;
    let dir = place().join("published");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let key = home.dir.path().join("key");
    assert!(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap().success());
    let public = format!("{}.pub", key.display());
    let given = ["--hostname", "dev.lab", "--network", "lab", "--ssh-key", &public, "--disk", "9G", "--isolated", "--memory", "1G"];
    home.said(&[&["up", parent.to_str().unwrap(), "--name", "dev"][..], &given].concat());
    let own = answer(&home, "dev", "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub");
    answer(
        &home,
        "dev",
        &format!("{INSTALL}; openssl genrsa 2048 > /etc/mine.key 2> /dev/null || echo '-----BEGIN PRIVATE KEY-----' > /etc/mine.key"),
    );
    answer(&home, "dev", "cp -P /etc/localtime /root/localtime; ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime");
    home.said(&["stop", "dev"]);
    let disk = home.machine("dev/disk.qcow2");
    let before = sha256(&disk);

    let target = dir.join("child");
    let publish = ["publish", "dev", "-o", target.to_str().unwrap(), "--name", "handmade"];
    an_interrupted_one_leaves_nothing(&home, &publish, &dir);

    // A promise of the recipe is broken, and the audit finds a key.
    let told = home.refused(&publish, 5);
    for part in [
        "the image is not published: ",
        "time zone: found `Asia/Tokyo`, wanted ",
        "no private keys: found /etc/mine.key",
        "goldsmith start dev",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let left = names(&dir);
    assert!(left.len() == 1 && left[0].starts_with("child.failed-"), "{left:?}");
    assert!(names(&dir.join(&left[0])).contains(&"report.html".to_owned()));
    fs::remove_dir_all(dir.join(&left[0])).unwrap();
    assert_eq!(sha256(&disk), before, "the machine was changed");

    // It still lives. What was wrong is undone.
    home.said(&["start", "dev"]);
    assert_eq!(answer(&home, "dev", "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub"), own);
    answer(&home, "dev", "rm /etc/mine.key; mv /root/localtime /etc/localtime");
    home.said(&["snapshot", "save", "dev", "before"]);
    home.said(&["stop", "dev"]);
    let before = sha256(&disk);
    let published = home.said(&[&["--json"][..], &publish].concat());
    let record: Value = serde_json::from_str(published.lines().last().unwrap()).unwrap();
    assert_eq!((&record["event"], &record["made"]), (&json!("artifact"), &json!(true)), "{record}");
    assert_eq!(sha256(&disk), before, "the machine was changed");
    the_artifact_names_its_parent(parent, &target, &record);
    the_image_has_what_was_changed_and_nothing_of_the_machine(&home, &target, own.lines().next().unwrap());
    assert_eq!(home.said(&publish), format!("{}: up to date\n", target.join("handmade.qcow2").display()));
    let other = home.refused(&["publish", "dev", "-o", target.to_str().unwrap()], 2);
    assert!(other.contains("holds another artifact (") && other.contains("replace it with --force"), "{other}");

    it_is_an_artifact_as_any_other(&home, parent, &target);
    home.said(&["rm", "dev"]);
    home.has_no_process();
    fs::remove_dir_all(&dir).unwrap();
}

/// ctrl-C while the sealing machine boots: no artifact, no evidence, no scratch directory, no process.
fn an_interrupted_one_leaves_nothing(home: &Home, publish: &[&str], dir: &Path) {
    let scratch = || names(&place().join("store/v1/scratch"));
    let before = scratch();
    let mut child =
        home.command(publish).stdout(Stdio::null()).stderr(fs::File::create(home.dir.path().join("said")).unwrap()).spawn().unwrap();
    let patience = Instant::now() + PATIENCE;
    while !fs::read_to_string(home.dir.path().join("said")).unwrap().contains("seal: begun") {
        assert!(Instant::now() < patience && child.try_wait().unwrap().is_none(), "it does not seal");
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_secs(2));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((names(dir), scratch()), (Vec::<String>::new(), before));
    home.has_no_process();
}

fn the_artifact_names_its_parent(parent: &Path, target: &Path, record: &Value) {
    let (from, made) = (manifest(parent), manifest(target));
    let named = &made["parent"];
    assert_eq!(
        (&named["name"], &named["content_id"], &named["image"], &named["changed"]),
        (&from["name"], &from["content_id"], &from["image"]["sha256"], &json!("by-hand"))
    );
    assert_eq!((&record["parent"], &made["recipe"], &made["promises"]), (named, &from["recipe"], &from["promises"]));
    assert_eq!((&made["name"], &made["image"]["virtual_bytes"]), (&json!("handmade"), &json!(9_u64 << 30)));
    assert_eq!(made["inputs"], json!([{ "name": "image of debian-12-docker", "sha256": from["image"]["sha256"], "urls": [] }]));
    let checks = |manifest: &Value| -> Vec<String> {
        manifest["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(checks(&made), checks(&from));
    assert!(made["checks"].as_array().unwrap().iter().all(|check| check["outcome"] == "passed"), "{}", made["checks"]);
    assert_eq!(names(target), ["SHA256SUMS", "build.ndjson", "handmade.qcow2", "manifest.json", "report.html"]);
    let sums = ended(Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(target));
    assert!(sums.status.success(), "{sums:?}");
    let page = fs::read_to_string(target.join("report.html")).unwrap();
    for part in ["changed by hand since", "What changed since the parent", "handmade"] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing names a directory of this host.
    for name in ["manifest.json", "build.ndjson", "report.html"] {
        let text = fs::read_to_string(target.join(name)).unwrap().replace("&#x2f;", "/");
        assert!(!text.contains(place().to_str().unwrap()) && !text.contains("/goldsmith/machines"), "{name}: {text}");
    }
}

fn the_image_has_what_was_changed_and_nothing_of_the_machine(home: &Home, target: &Path, machine_id: &str) {
    let image = target.join("handmade.qcow2");
    let image = image.to_str().unwrap();
    assert!(home.said(&["image", "packages", image]).lines().any(|line| line.contains("handmade")));
    assert!(home.said(&["image", "sbom", image]).contains("\"handmade\""));
    assert_eq!(home.said(&["image", "cat", image, "/etc/mine"]), "mine\n");
    assert_eq!(home.said(&["image", "cat", image, "/etc/hostname"]), "master\n");
    let hosts = home.said(&["image", "cat", image, "/etc/hosts"]);
    assert_eq!(hosts, home.said(&["image", "cat", fixture().artifact.to_str().unwrap(), "/etc/hosts"]));
    assert!(!home.said(&["image", "cat", image, "/root/.ssh/authorized_keys"]).contains("goldsmith"));
    // Not even in blocks that no file uses.
    for text in ["# goldsmith: ", "secret words", machine_id, "dev.lab"] {
        assert!(!crate::fixture::holds(Path::new(image), text.as_bytes()), "{text}");
    }
    assert!(crate::fixture::holds(Path::new(image), b"made by hand"), "nothing would be found");
}

/// `image diff`, `clone` and `up` take it. What `verify` would do, publishing has done.
fn it_is_an_artifact_as_any_other(home: &Home, parent: &Path, target: &Path) {
    let (parent, target) = (parent.to_str().unwrap(), target.to_str().unwrap());
    let differs = home.said(&["image", "diff", parent, target]);
    assert!(differs.contains("handmade") && differs.contains("/etc/mine"), "{differs}");
    let clones: PathBuf = home.dir.path().join("clones");
    home.said(&["clone", target, "-o", clones.to_str().unwrap(), "--count", "2"]);
    assert_eq!(home.said(&["image", "cat", clones.join("handmade-2.qcow2").to_str().unwrap(), "/etc/mine"]), "mine\n");
    home.said(&["up", target, "--memory", "1G", "--isolated"]);
    assert_eq!(
        answer(home, "handmade", "hostname; cat /etc/mine; dpkg-query -W -f '${Status}' handmade"),
        "master\nmine\ninstall ok installed"
    );
    home.said(&["stop", "handmade"]);
    home.said(&["rm", "handmade"]);
}
