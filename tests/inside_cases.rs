//! `goldsmith image ls|cat|cp|find`: their output for a disk, compared with the tree that the disk was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::package_cases::installed::{made as package_databases, theirs as packages_by_rpm};
use crate::support::{GOLDSMITH, goldsmith, make_disk};

/// A disk without partitions, and the tree with its files.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let tree = place.at("tree");
        for (path, text) in [
            ("etc/os-release", "ID=debian\n"),
            ("etc/passwd", "root:x:0:0::/root:\nme:x:1234:1:\n"),
            ("etc/group", "me:x:1234:\n"),
            ("a b/x", ""),
        ] {
            fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
            fs::write(tree.join(path), text).unwrap();
        }
        fs::create_dir_all(tree.join("a b/closed/deep")).unwrap();
        fs::write(tree.join("a b/closed/deep/file"), "deep").unwrap();
        fs::set_permissions(tree.join("a b/closed"), Permissions::from_mode(0o555)).unwrap();
        fs::write(tree.join("a b").join(OsStr::from_bytes(b"\xff\x1b[31m")), "bytes").unwrap();
        fs::set_permissions(tree.join("a b/x"), Permissions::from_mode(0o6755)).unwrap();
        let large = File::create(tree.join("large")).unwrap();
        large.write_all_at(b"begin", 0).unwrap();
        large.write_all_at(b"end", 5_000_000).unwrap();
        symlink("../../etc/os-release", tree.join("a b/link")).unwrap();
        symlink("nowhere", tree.join("a b/dangling")).unwrap();
        symlink("loop", tree.join("loop")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, tree.join("a b/pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
            .unwrap();
        make_disk(&tree, &place.at("disk"));
        place
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn image(&self, words: &[&str]) -> Output {
        Command::new(GOLDSMITH).arg("image").args(words).current_dir(&self.0).output().unwrap()
    }

    /// The output of a command that must succeed without messages.
    fn shows(&self, words: &[&str]) -> Vec<u8> {
        let output = self.image(words);
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn text(&self, words: &[&str]) -> String {
        String::from_utf8(self.shows(words)).unwrap()
    }

    fn json(&self, words: &[&str]) -> serde_json::Value {
        serde_json::from_slice(&self.shows(words)).unwrap()
    }
}

/// The files below `tree`, by path: the kept bits of the mode, and the content or target.
fn listed(tree: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![tree.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let (mode, content) = if metadata.is_dir() {
                waiting.push(path.clone());
                (metadata.mode() & 0o777 | 0o700, Vec::new())
            } else if metadata.is_symlink() {
                (0, fs::read_link(&path).unwrap().into_os_string().into_vec())
            } else if metadata.is_file() {
                (metadata.mode() & 0o777 | 0o600, fs::read(&path).unwrap())
            } else {
                continue;
            };
            found.insert(path.strip_prefix(tree).unwrap().to_owned(), (mode, content));
        }
    }
    found
}

#[test]
fn directories_are_listed() {
    let place = Place::new();
    assert_eq!(place.text(&["ls", "disk"]), "a b\netc\nlarge\nloop\nlost+found\n");
    assert_eq!(place.text(&["ls", "disk", "etc/"]), "group\nos-release\npasswd\n");
    assert_eq!(place.text(&["ls", "disk", "/a b/link"]), "/a b/link\n");
    // A pipe gets the bytes of a name unchanged.
    assert_eq!(place.shows(&["ls", "disk", "/a b"]), b"closed\ndangling\nlink\npipe\nx\n\xff\x1b[31m\n");
    let long = place.text(&["ls", "disk", "/a b/link", "-l"]);
    assert!(long.starts_with("lrwxrwxrwx root ") && long.ends_with(" 20 /a b/link -> ../../etc/os-release\n"), "{long}");
    let json = place.json(&["ls", "disk", "/a b", "--json"]);
    assert_eq!((&json["schema"], &json["path"], &json["entries"][1]["target"]), (&1.into(), &"/a b".into(), &"nowhere".into()));
    let names: Vec<_> = json["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(names, ["directory", "symlink", "symlink", "pipe", "file", "file"]);
    assert_eq!(json["entries"][5]["path_base64"], "L2EgYi//G1szMW0=");
}

#[test]
fn files_are_written_as_they_are() {
    let place = Place::new();
    assert_eq!(place.shows(&["cat", "disk", "large"]), fs::read(place.at("tree/large")).unwrap());
    assert_eq!(place.text(&["cat", "disk", "/a b/link", "/a b/closed/deep/file"]), "ID=debian\ndeep");
    for (words, said) in [
        (&["cat", "disk", "/etc"][..], "error: /etc in [DIR]/disk is a directory, not a file\n"),
        (&["cat", "disk", "/a b/pipe"], "error: /a b/pipe in [DIR]/disk is a pipe, not a file\n"),
        (&["cat", "disk", "/none"], "error: [DIR]/disk has no /none\n"),
        (&["cat", "disk", "/a b/dangling"], "error: [DIR]/disk has no /a b/dangling\n"),
        (&["cat", "disk", "/loop"], "error: [DIR]/disk has no /loop: its links lead nowhere\n"),
        (&["cat", "disk", "/etc/passwd/x"], "error: [DIR]/disk has no /etc/passwd/x\n"),
        (&["ls", "disk", "/none"], "error: [DIR]/disk has no /none\n"),
        (&["find", "disk", "/etc/passwd"], "error: /etc/passwd in [DIR]/disk is a file, not a directory\n"),
        (&["cp", "disk", "/a b/pipe", "new"], "error: /a b/pipe in [DIR]/disk is a pipe, not a file\n"),
        (&["cp", "disk", "/etc", "tree"], ""),
        (
            &["cp", "disk", "/etc", "/etc/passwd", "none"],
            "error: none is no directory, so it cannot take several files\n  help: make that directory first\n",
        ),
        (&["cp", "disk", "/", "tree"], "error: / has no name of its own\n  help: give a new name as the target\n"),
        (&["cp", "disk", "/etc", "none/new"], "error: cannot write none/new: No such file or directory (os error 2)\n"),
    ] {
        let output = place.image(words);
        let text = String::from_utf8(output.stderr).unwrap().replace(place.0.path().to_str().unwrap(), "[DIR]");
        let text = text.split("  help: make the directory").next().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{words:?}");
        assert!(text == said || said.is_empty() && text.starts_with("error: cannot write tree/etc: "), "{words:?}: {text}");
        assert!(!place.at("new").exists() && !place.at("none").exists());
    }
}

#[test]
fn trees_are_copied_whole_or_not_at_all() {
    let place = Place::new();
    let output = place.image(&["cp", "disk", "/", "copy"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "warning: /a b/pipe is a pipe, which is not copied\n");
    assert!(output.status.success());
    let (mut ours, theirs) = (listed(&place.at("copy")), listed(&place.at("tree")));
    assert!(ours.remove(Path::new("lost+found")).is_some());
    assert_eq!(ours, theirs);
    // Holes stay holes, and set-uid bits are removed, because the copy has another owner.
    assert!(place.at("copy/large").metadata().unwrap().blocks() * 512 < 1_000_000);
    assert_eq!(place.at("copy/a b/x").metadata().unwrap().mode() & 0o7777, 0o755);
    let json = place.json(&["cp", "disk", "/etc", "/large", "copy/lost+found", "--json"]);
    assert_eq!((&json["files"], &json["bytes"]), (&5.into(), &5_000_056.into()));
    assert_eq!(fs::read(place.at("copy/lost+found/large")).unwrap(), fs::read(place.at("tree/large")).unwrap());
    // Existing files stay.
    let again = place.image(&["cp", "disk", "/large", "copy/lost+found"]);
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("copy/lost+found/large: "), "{again:?}");
}

/// A directory that contains itself has endless paths.
#[test]
fn a_walk_ends_in_a_directory_that_holds_itself() {
    let place = Place::new();
    let linked = Command::new("/usr/sbin/debugfs").args(["-w", "-R", "ln /etc /etc/self", "disk"]).current_dir(&place.0).output().unwrap();
    assert!(linked.status.success());
    for words in [&["find", "disk"][..], &["cp", "disk", "/etc", "copy"], &["audit", "disk"]] {
        let output = place.image(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{words:?}: {said}");
        assert!(said.contains("is damaged: 128 directories lie in each other, as if one held itself"), "{said}");
    }
    assert!(!place.at("copy").exists());
}

/// The database of this host, as dpkg-query reads it.
#[test]
fn packages_are_those_that_dpkg_knows() {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/fstab"), "").unwrap();
    fs::create_dir_all(tree.join("var/lib/dpkg")).unwrap();
    fs::copy("/var/lib/dpkg/status", tree.join("var/lib/dpkg/status")).unwrap();
    make_disk(&tree, &place.path().join("disk"));
    let output = Command::new(GOLDSMITH).args(["image", "packages", "disk", "--json"]).current_dir(&place).output().unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |package: &serde_json::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let of = |package: &serde_json::Value| {
        ["name", "version", "architecture", "source", "summary"].map(|key| text(package, key)).join("\t")
            + &format!("\t{}", package["installed_size"].as_u64().map_or(String::new(), |bytes| (bytes / 1024).to_string()))
    };
    let mut ours: Vec<String> = found["packages"].as_array().unwrap().iter().map(of).collect();
    let format =
        "-f=${db:Status-Status} ${Package}\t${Version}\t${Architecture}\t${source:Package}\t${binary:Summary}\t${Installed-Size}\n";
    let theirs = Command::new("dpkg-query").arg("--admindir").arg(tree.join("var/lib/dpkg")).args(["-W", format]).output().unwrap();
    let theirs = String::from_utf8(theirs.stdout).unwrap();
    // dpkg-query keeps a space at the end of a description.
    let installed = theirs.lines().filter_map(|line| line.strip_prefix("installed "));
    let mut theirs: Vec<String> = installed.map(|line| line.replace(" \t", "\t")).collect();
    ours.sort();
    theirs.sort();
    assert!(theirs.len() > 50, "{theirs:?}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
    let none = Place::new().image(&["packages", "disk"]);
    assert!(String::from_utf8_lossy(&none.stderr).contains("disk has no package database: neither /var/lib/dpkg/status nor one of RPM"));
}

/// The databases of EL 7, of EL 9 with a log, and of SUSE, compared with the output of rpm.
#[test]
fn packages_are_those_that_rpm_knows() {
    for (made, backend, at) in [
        ("bdb-4096-little", "bdb_ro", "var/lib/rpm"),
        ("wal-interrupted", "sqlite", "usr/lib/sysimage/rpm"),
        ("sqlite", "sqlite", "usr/share/rpm"),
    ] {
        let database = package_databases().join(made);
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("etc")).unwrap();
        fs::write(tree.join("etc/fstab"), "").unwrap();
        fs::create_dir_all(tree.join(at)).unwrap();
        for file in fs::read_dir(&database).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), tree.join(at).join(file.file_name())).unwrap();
        }
        let disk = place.path().join("disk");
        make_disk(&tree, &disk);
        let output = Command::new(GOLDSMITH).args(["image", "packages", "--json"]).arg(&disk).output().unwrap();
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let of = |package: &serde_json::Value| {
            let known = |key: &&str| package[*key].as_str().unwrap_or_default().to_owned();
            ["name", "version", "architecture", "source", "license", "signed_by"].iter().map(known).collect::<Vec<_>>().join("\t")
        };
        let mut ours: Vec<String> = found["packages"].as_array().unwrap().iter().map(of).collect();
        let mut theirs: Vec<String> = packages_by_rpm(&database, backend).iter().map(of).collect();
        ours.sort();
        theirs.sort();
        assert!(theirs.len() > 5);
        assert_eq!(ours, theirs, "{made}");
    }
}

/// The summary of a system in `inspect`: its space, the accounts that can log in, packages, Docker.
#[test]
fn inspect_tells_use_log_ins_packages_and_docker() {
    let place = tempfile::tempdir().unwrap();
    let tree = place.path().join("tree");
    for (path, text) in [
        ("etc/fstab", "/dev/sdb1 /srv ext4\n"),
        (
            "etc/passwd",
            "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nada:x:1000:1000::/home/ada:\nopen::1001:1001::/:/bin/sh\n",
        ),
        ("etc/shadow", "root:!:1::::::\nada:$6$a$b:1::::::\n"),
        ("etc/docker/daemon.json", "{\"storage-driver\": \"overlay2\"}"),
        (
            "var/lib/docker/image/overlay2/repositories.json",
            "{\"Repositories\":{\"alpine\":{\"alpine:3.9\":\"sha256:1\",\"alpine@sha256:2\":\"sha256:1\"}}}",
        ),
        ("var/lib/docker/image/vfs/repositories.json", "{"),
        ("usr/sbin/dockerd", ""),
        ("var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nStatus: purge ok not-installed\n"),
    ] {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), text).unwrap();
    }
    make_disk(&tree, &place.path().join("disk"));
    let said = |words: &[&str]| {
        let output = Command::new(GOLDSMITH).args(["image", "inspect", "disk"]).args(words).current_dir(&place).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let json: serde_json::Value = serde_json::from_str(&said(&["--json"])).unwrap();
    let system = &json["system"];
    let accounts: Vec<_> =
        system["accounts"].as_array().unwrap().iter().map(|one| (one["name"].as_str(), one["has_password"].as_bool())).collect();
    assert_eq!(accounts, [(Some("root"), Some(false)), (Some("ada"), Some(true)), (Some("open"), Some(true))]);
    assert_eq!(json["packages"], serde_json::json!({"count": 1, "database": "dpkg"}));
    let docker = serde_json::json!({
        "engine": true, "settings": {"storage-driver": "overlay2"}, "drivers": ["overlay2", "vfs"], "images": ["alpine:3.9"],
    });
    assert_eq!(system["docker"], docker);
    let problems: Vec<&str> = json["problems"].as_array().unwrap().iter().filter_map(|problem| problem.as_str()).collect();
    let not_understood = "/var/lib/docker/image/vfs/repositories.json is not understood: ";
    assert!(problems.iter().any(|problem| problem.starts_with(not_understood)), "{problems:?}");
    assert!(system["unmounted"][0].as_str().unwrap().starts_with("/srv (/dev/sdb1): "));
    let usage = &system["mounts"][0]["usage"];
    let room = Command::new("/usr/sbin/dumpe2fs").args(["-h", "disk"]).current_dir(&place).output().unwrap();
    let room = String::from_utf8(room.stdout).unwrap();
    let number = |key: &str| room.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim().parse::<u64>().unwrap();
    assert_eq!(usage["free"].as_u64(), Some(number("Free blocks:") * number("Block size:")));
    let table = said(&[]);
    assert!(table.contains("log-ins        root (uid 0), ada (uid 1000, with a password), open (uid 1001, with a password)\n"), "{table}");
    assert!(table.contains("packages       1, dpkg\n") && table.contains("images alpine:3.9\n"), "{table}");
}

/// A copy that takes minutes: 256 GiB of zeros are read.
#[test]
fn a_copy_that_is_interrupted_leaves_nothing() {
    let run = goldsmith(["image", "cp", "disk", "/", "copy"]);
    let tree = run.dir().join("tree");
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::write(tree.join("etc/fstab"), "").unwrap();
    File::create(tree.join("large")).unwrap().set_len(1 << 38).unwrap();
    make_disk(&tree, &run.dir().join("disk"));
    let names = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect::<BTreeSet<_>>();
    let before = names(run.dir());
    let started = run.start();
    let has_begun = || {
        let new = names(started.dir()).difference(&before).next().map(|name| started.dir().join(name).join("large"));
        new.is_some_and(|large| large.exists())
    };
    while !has_begun() {
        thread::sleep(Duration::from_millis(5));
    }
    started.signal(Signal::INT);
    let ended = started.end();
    ended.is(130, "", "error: interrupted\n");
    assert_eq!(names(ended.dir()), before);
}

#[test]
fn files_are_found() {
    let place = Place::new();
    let theirs =
        Command::new("find").args(["/tree", "-mindepth", "1"].map(|word| word.trim_start_matches('/'))).current_dir(&place.0).output();
    let lines = |bytes: &[u8]| {
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        lines.sort();
        lines
    };
    let ours = lines(&place.shows(&["find", "disk"]));
    let theirs: Vec<_> =
        lines(&theirs.unwrap().stdout).into_iter().map(|line| line.strip_prefix(b"tree").unwrap_or(&line).to_vec()).collect();
    assert_eq!(ours.into_iter().filter(|line| line != b"/lost+found").collect::<Vec<_>>(), theirs);
    for (words, found) in [
        (&["--name", "*e*", "--kind", "file"][..], "/a b/closed/deep/file\n/etc/os-release\n/large\n"),
        (&["--mode", "6000"], "/a b/x\n"),
        (&["--at-least", "1M"], "/large\n"),
        (&["/a b", "--kind", "link"], "/a b/dangling\n/a b/link\n"),
        (&["--name", "none"], ""),
    ] {
        let words: Vec<&str> = ["find", "disk"].into_iter().chain(words.iter().copied()).collect();
        assert_eq!(place.text(&words), found, "{words:?}");
    }
    assert_eq!(place.json(&["find", "disk", "--mode", "4000", "--json"])["files"][0]["mode"], "6755");
}
