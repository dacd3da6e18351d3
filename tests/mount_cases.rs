//! `goldsmith image mount`: the kernel shows the files of the image, and nothing is left afterwards.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::GOLDSMITH;

/// A running mount. On drop it is ended.
struct Mounted {
    child: Child,
    dir: PathBuf,
}

impl Mounted {
    /// Mounts `image` in `dir`, and waits for the message that the files are there.
    fn new(image: &Path, dir: PathBuf) -> Self {
        fs::create_dir(&dir).unwrap();
        let mut child = Command::new(GOLDSMITH).args(["image", "mount"]).args([image, &dir]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("{}: the files of {}; ctrl-C ends it", dir.display(), image.display())), "{line}");
        Self { child, dir }
    }

    /// Wait some seconds for its end. Returns the exit status.
    fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the mount does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("umount").arg("-l").arg(&self.dir).stderr(Stdio::null()).status();
    }
}

fn run(dir: &Path, line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{line}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An ext4 image with files of every kind, and the tree that it was made from.
fn image(place: &TempDir) -> PathBuf {
    let tree = place.path().join("tree");
    fs::create_dir_all(tree.join("etc/many")).unwrap();
    fs::write(tree.join("etc/os-release"), "ID=small\n").unwrap();
    fs::write(tree.join("etc/large"), (0..200_000).flat_map(|number: u32| number.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    fs::write(tree.join("etc/b\u{e4}r"), "").unwrap();
    fs::write(tree.join("etc/secret"), "secret").unwrap();
    fs::set_permissions(tree.join("etc/secret"), Permissions::from_mode(0o4600)).unwrap();
    symlink("../etc/os-release", tree.join("etc/link")).unwrap();
    symlink("nowhere", tree.join("etc/dangling")).unwrap();
    for number in 0..1500 {
        fs::write(tree.join(format!("etc/many/a-rather-long-name-of-a-file-{number}")), number.to_string()).unwrap();
    }
    run(
        place.path(),
        "mkfifo tree/etc/pipe && truncate -s 3M tree/etc/hole && printf end >> tree/etc/hole && mke2fs -q -t ext4 -d tree disk 64M",
    );
    run(place.path(), "debugfs -w -R 'ea_set /etc/os-release user.note \"what it is\"' disk 2>/dev/null");
    place.path().join("disk")
}

#[test]
fn the_kernel_shows_what_the_image_holds() {
    let place = tempfile::tempdir().unwrap();
    let image = image(&place);
    if !Path::new("/dev/fuse").exists() {
        fs::create_dir(place.path().join("mnt")).unwrap();
        let output = Command::new(GOLDSMITH).args(["image", "mount", "disk", "mnt"]).current_dir(place.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert!(String::from_utf8_lossy(&output.stderr).contains("see that /dev/fuse is there"));
        return;
    }
    let mut mounted = Mounted::new(&image, place.path().join("mnt"));
    run(place.path(), "diff -r --no-dereference --exclude=lost+found --exclude=pipe tree mnt");
    let list = "find . -name lost+found -prune -o -printf '%p %y %m %U %G %l ' '(' -type d -printf '\\n' -o -printf '%s %T@\\n' ')' | sort";
    let [told, real] = ["mnt", "tree"].map(|dir| run(&place.path().join(dir), list));
    // ext4 stores parts of a second, but goldsmith's readers do not return them.
    let whole = |text: &str| text.lines().map(|line| line.rsplit_once('.').map_or(line, |(line, _)| line).to_owned()).collect::<Vec<_>>();
    assert_eq!(whole(&told), whole(&real));
    assert_eq!(run(place.path(), "ls mnt/etc/many | wc -l"), "1500\n");
    assert_eq!(fs::metadata(mounted.dir.join("etc/hole")).unwrap().size(), (3 << 20) + 3);
    let [told, real] = ["mnt", "tree"].map(|dir| run(place.path(), &format!("tail -c +123457 {dir}/etc/large | head -c 1000 | sha256sum")));
    assert_eq!(told, real);
    let noted = "python3 -c 'import os; print(os.listxattr(\"mnt/etc/os-release\"), os.getxattr(\"mnt/etc/os-release\", \"user.note\"))'";
    assert_eq!(run(place.path(), noted), "['user.note'] b'what it is'\n");
    let options = run(place.path(), "findmnt -no FSTYPE,OPTIONS mnt");
    for option in ["fuse", "ro,", "nosuid", "nodev", "noexec"] {
        assert!(options.contains(option), "{option}: {options}");
    }
    assert!(fs::write(mounted.dir.join("etc/new"), "").is_err());
    assert_eq!(fs::metadata(mounted.dir.join("etc/nothing")).unwrap_err().kind(), std::io::ErrorKind::NotFound);

    // When another program unmounts it, the command ends.
    run(place.path(), "umount mnt || fusermount3 -u mnt || fusermount -u mnt");
    assert_eq!(mounted.ended(), Some(0));
    assert_eq!(fs::read_dir(&mounted.dir).unwrap().count(), 0);
}

#[test]
fn a_signal_ends_a_mount_and_wrong_images_and_places_are_told() {
    let place = tempfile::tempdir().unwrap();
    let image = image(&place);
    let at = |name: &str| place.path().join(name);
    fs::write(at("file"), "x").unwrap();
    fs::write(at("no-image"), "x").unwrap();
    fs::create_dir(at("dir")).unwrap();
    for (image, dir, status, said) in [
        ("no-image", "dir", 3, "root filesystem"),
        ("nothing", "dir", 3, "cannot read "),
        ("disk", "file", 7, "cannot mount in "),
        ("disk", "nowhere", 7, "cannot mount in "),
    ] {
        let output = Command::new(GOLDSMITH).args(["image", "mount", image, dir]).current_dir(place.path()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(status) && stderr.contains(said), "{image} {dir}: {stderr}");
    }
    if !Path::new("/dev/fuse").exists() {
        return;
    }
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut mounted = Mounted::new(&image, at(&format!("mnt{status}")));
        assert!(mounted.dir.join("etc/os-release").exists());
        mounted.signal(signal);
        assert_eq!(mounted.ended(), Some(status));
        assert_eq!(fs::read_dir(&mounted.dir).unwrap().count(), 0);
    }
}
