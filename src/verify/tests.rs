//! Disks for the tests of what is read from one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::image::Disk;

/// A disk with these files, made in `dir`. `-> TARGET` in place of a text makes a link, a path that ends in `/` a directory.
pub(super) fn disk(dir: &Path, files: &[(&str, &str)]) -> Disk {
    let tree = dir.join("tree");
    for (path, text) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            _ if path.to_string_lossy().ends_with('/') => fs::create_dir_all(path).unwrap(),
            Some(target) => symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    let disk = dir.join("disk");
    let made = Command::new("/usr/sbin/mke2fs").args(["-q", "-t", "ext4", "-d"]).args([&tree, &disk]).arg("32M").output();
    assert!(made.unwrap().status.success());
    Disk::open(&disk).unwrap()
}
