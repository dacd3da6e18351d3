//! Directories of the host in local machines.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::{Value, json};

use super::Home;
use crate::fixture::{fixture, machines};
use crate::support::make_disk;

#[test]
fn a_directory_of_the_host_is_read_and_written_and_another_one_is_only_read() {
    let _slot = machines();
    let home = Home::new();
    let (work, data) = (home.dir.path().join("a,work=1"), home.dir.path().join("data"));
    [&work, &data].iter().for_each(|dir| fs::create_dir(dir).unwrap());
    fs::write(data.join("read"), "only\n").unwrap();
    let artifact = fixture().artifact.to_str().unwrap();
    let volumes = [format!("{}:/work", work.display()), format!("{}:/srv/data set:ro", data.display())];
    let up = ["up", artifact, "--name", "v", "--memory", "768M", "--isolated", "--volume", &volumes[0], "--volume", &volumes[1]];
    home.said(&up);
    let shell = |script: &str| home.run(&["exec", "v", "--", "sh", "-c", script]);

    let output = shell("cat '/srv/data set/read' && echo out > /work/file && chown 1000:1001 /work/file && chmod 640 /work/file");
    assert!(output.status.success() && output.stdout == b"only\n", "{output:?}");
    let file = work.join("file");
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((fs::read_to_string(&file).unwrap().as_str(), metadata.permissions().mode() & 0o777), ("out\n", 0o640));
    if rustix::process::geteuid().is_root() {
        assert_eq!((metadata.uid(), metadata.gid()), (1000, 1001));
    }
    fs::write(&file, "from the host\n").unwrap();
    // The guest keeps what it knows of a file for a second (virtiofsd, `cache=auto`).
    assert_eq!(shell("sleep 3; cat /work/file").stdout, b"from the host\n");
    // A link to a file of the host leads to one of the guest, and no way leads out of the directory.
    std::os::unix::fs::symlink(data.join("read"), work.join("link")).unwrap();
    assert!(!shell("cat /work/link").status.success());

    // Root of the guest may mount its side anew. The host's side stays as it is.
    let output = shell("mount -o remount,rw '/srv/data set'; echo changed > '/srv/data set/read'");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("Read-only file system"), "{output:?}");
    assert_eq!(fs::read_to_string(data.join("read")).unwrap(), "only\n");

    let shown: Value = serde_json::from_str(&home.said(&["inspect", "v", "--json"])).unwrap();
    assert_eq!(
        shown["volumes"],
        json!([
            { "dir": work.canonicalize().unwrap(), "path": "/work", "read_only": false },
            { "dir": data.canonicalize().unwrap(), "path": "/srv/data set", "read_only": true },
        ])
    );
    assert!(home.run(&up).status.success(), "the same volumes are no other ones");
    assert!(home.refused(&["up", artifact, "--name", "v", "--volume", &volumes[1]], 2).contains("was not made with this `--volume`"));
    home.said(&["stop", "v"]);
    home.has_no_process();
    // A directory that is gone is told at the next start.
    fs::remove_dir_all(&data).unwrap();
    let said = home.refused(&["start", "v"], 7);
    assert!(said.contains("the volume ") && said.contains("data: No such file or directory"), "{said}");
    home.said(&["rm", "v"]);
    home.has_no_process();
}

/// An artifact whose kernel is that of CentOS 7.5.
fn el7(dir: &Path) -> String {
    let modules = dir.join("tree/lib/modules/3.10.0-862.el7.x86_64");
    fs::create_dir_all(&modules).unwrap();
    fs::write(modules.join("modules.dep"), "kernel/fs/fuse/fuse.ko.xz:\nkernel/fs/fuse/cuse.ko.xz: kernel/fs/fuse/fuse.ko.xz\n").unwrap();
    fs::create_dir_all(dir.join("tree/etc")).unwrap();
    fs::write(dir.join("tree/etc/os-release"), "ID=centos\n").unwrap();
    make_disk(&dir.join("tree"), &dir.join("disk.raw"));
    let mut manifest: Value = serde_json::from_str(include_str!("../golden/manifest.json")).unwrap();
    for (key, value) in
        [("file", json!("disk.raw")), ("format", json!("raw")), ("bytes", json!(fs::metadata(dir.join("disk.raw")).unwrap().len()))]
    {
        manifest["image"][key] = value;
    }
    fs::write(dir.join("manifest.json"), manifest.to_string()).unwrap();
    dir.to_str().unwrap().to_owned()
}

#[test]
fn volumes_that_cannot_be_are_refused_before_a_machine_is_made() {
    let home = Home::new();
    let dir = tempfile::tempdir().unwrap();
    let image = el7(dir.path());
    let here = dir.path().to_str().unwrap();
    for (volumes, status, why) in [
        (vec![format!("{here}:/work")], 3, "3.10.0-862.el7.x86_64 has no virtiofs, which came with Linux 5.4"),
        (vec![format!("{here}/none:/work")], 2, "the directory cannot be read: No such file or directory"),
        (vec![format!("{here}/disk.raw:/work")], 2, "it is no directory"),
        (vec![format!("{here}:/work"), format!("{here}:/work:ro")], 2, "another volume is at /work"),
        (vec![format!("{here}:work")], 2, "write DIR:PATH"),
        (vec![format!("{here}:/work"), "--warm".to_owned()], 2, "cannot be used with"),
    ] {
        let words: Vec<&str> =
            volumes.iter().flat_map(|word| if word == "--warm" { vec!["--warm"] } else { vec!["--volume", word] }).collect();
        let said = home.refused(&[&["up", &image, "--name", "v"], &words[..]].concat(), status);
        assert!(said.contains(why), "{why}: {said}");
    }
    assert!(!home.machine("v").exists());
}
