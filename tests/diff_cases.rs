//! `goldsmith image diff`: the reported differences of two disks, compared with the changes to the tree of the second.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::path::Path;
use std::process::Command;

use goldsmith::image::Disk;
use rustix::fs::XattrFlags;
use tempfile::TempDir;

use crate::support::{GOLDSMITH, make_disk};

/// A small Debian system: packages with their lists of files, accounts, settings.
fn system(tree: &Path) {
    let status = |name: &str, version: &str| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\nDescription: x\n\n")
    };
    for (path, text) in [
        ("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian 12\"\n"),
        ("etc/hostname", "node\n"),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("etc/shadow", "root:$6$salt$hash:1::::::\n"),
        ("etc/group", "root:x:0:\ndocker:x:999:\n"),
        ("etc/sysctl.d/10-node.conf", "# swap\nvm.swappiness = 60\nnet/ipv4/ip_forward=1\n"),
        ("etc/app/app.conf", "first\nsecond\nthird\n"),
        ("usr/bin/tool", "version 1"),
        ("usr/lib/tool/data", "data 1"),
        ("usr/bin/other", "other"),
        ("var/lib/dpkg/status", &(status("tool", "1.0-1") + &status("other", "2"))),
        ("var/lib/dpkg/info/tool.list", "/.\n/bin\n/bin/tool\n/usr\n/usr/lib/tool\n/usr/lib/tool/data\n"),
        ("var/lib/dpkg/info/other.list", "/.\n/usr/bin/other\n"),
    ] {
        put(tree, path, text);
    }
    fs::set_permissions(tree.join("etc/shadow"), Permissions::from_mode(0o640)).unwrap();
    symlink("usr/bin", tree.join("bin")).unwrap();
    fs::create_dir_all(tree.join("etc/systemd/system/multi-user.target.wants")).unwrap();
}

fn put(tree: &Path, path: &str, text: &str) {
    fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
    fs::write(tree.join(path), text).unwrap();
}

fn edit(tree: &Path, path: &str, old: &str, new: &str) {
    let text = fs::read_to_string(tree.join(path)).unwrap();
    assert!(text.contains(old), "{path} has no {old}");
    fs::write(tree.join(path), text.replace(old, new)).unwrap();
}

fn attribute(tree: &Path, path: &str, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(tree.join(path), name, value, XattrFlags::empty()).unwrap();
}

/// The output of `image diff` for a system and the same one after `change`.
fn said(change: impl Fn(&Path), words: &[&str]) -> String {
    let place = TempDir::new().unwrap();
    let (before, after) = (place.path().join("before"), place.path().join("after"));
    for tree in [&before, &after] {
        fs::create_dir(tree).unwrap();
        system(tree);
    }
    // Other times do not count as a difference.
    fs::write(after.join("usr/bin/other"), "other").unwrap();
    change(&after);
    make_disk(&before, &place.path().join("a.raw"));
    make_disk(&after, &place.path().join("b.raw"));
    let output = Command::new(GOLDSMITH).args(["image", "diff", "a.raw", "b.raw"]).args(words).current_dir(&place).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines for people, without the line about the space of files.
fn lines(change: impl Fn(&Path)) -> Vec<String> {
    said(change, &[]).lines().filter(|line| !line.starts_with("used: ")).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn what_is_the_same_has_no_difference() {
    assert_eq!(lines(|_| {}), ["nothing differs but times"]);
}

/// A change of the tree, and the lines that it must cause.
type Case = (fn(&Path), &'static [&'static str]);

const CASES: &[Case] = &[
    (|tree| edit(tree, "etc/hostname", "node", "host"), &["system", "~ host name  host, was node", "files", "~ /etc/hostname  content"]),
    (|tree| edit(tree, "etc/sysctl.d/10-node.conf", "= 60", "= 10"), &["sysctls", "~ vm.swappiness  10, was 60", "files", "1 of sysctls"]),
    // A file of the same name in /etc hides the other.
    (
        |tree| put(tree, "usr/lib/sysctl.d/10-node.conf", "vm.swappiness = 1\n"),
        &["files", "+ /usr/lib/sysctl.d", "and 1 below /usr/lib/sysctl.d"],
    ),
    (
        |tree| put(tree, "etc/sysctl.conf", "net.ipv4.ip_forward = 0\n-kernel.x=1\n"),
        &["sysctls", "+ kernel.x             1", "~ net.ipv4.ip_forward  0, was 1", "files", "1 of sysctls"],
    ),
    (|tree| edit(tree, "etc/sysctl.d/10-node.conf", "# swap", "# less"), &["files", "~ /etc/sysctl.d/10-node.conf  content"]),
    (
        |tree| symlink("/lib/a.service", tree.join("etc/systemd/system/multi-user.target.wants/a.service")).unwrap(),
        &["units", "+ a.service  enabled", "files", "1 of units"],
    ),
    (
        |tree| edit(tree, "etc/shadow", "$hash", "$other"),
        &["users and groups", "~ root  another password, was a password", "files", "1 of users"],
    ),
    (
        |tree| edit(tree, "etc/shadow", "$6$salt$hash", "!"),
        &[
            "users and groups",
            "~ root  uid 0, gid 0, /root, /bin/bash, no password, was uid 0, gid 0, /root, /bin/bash, a password",
            "files",
            "1 of users",
        ],
    ),
    (
        |tree| edit(tree, "etc/group", "999:", "999:me"),
        &["users and groups", "~ group docker  gid 999, members me, was gid 999", "files", "1 of users"],
    ),
    (|tree| put(tree, "opt/new/deep/file", "12345"), &["files", "+ /opt", "and 3 below /opt"]),
    (|tree| fs::remove_file(tree.join("usr/bin/other")).unwrap(), &["files", "- /usr/bin/other"]),
    (
        |tree| fs::set_permissions(tree.join("usr/bin/other"), Permissions::from_mode(0o4755)).unwrap(),
        &["files", "~ /usr/bin/other  mode 4755, was 644"],
    ),
    (
        |tree| lchown(tree.join("usr/bin/other"), Some(0), Some(999)).unwrap(),
        &["files", "~ /usr/bin/other  owner root:docker, was root:root"],
    ),
    (|tree| put(tree, "usr/bin/other", "oth3r"), &["files", "~ /usr/bin/other  content"]),
    (
        |tree| {
            fs::remove_file(tree.join("bin")).unwrap();
            symlink("usr/sbin", tree.join("bin")).unwrap();
        },
        &["files", "~ /bin  content"],
    ),
    (
        |tree| {
            fs::remove_file(tree.join("usr/bin/other")).unwrap();
            symlink("tool", tree.join("usr/bin/other")).unwrap();
        },
        &["files", "~ /usr/bin/other  a link, was a file"],
    ),
    (
        |tree| attribute(tree, "usr/bin/other", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        &["files", "~ /usr/bin/other  capabilities"],
    ),
    (|tree| attribute(tree, "usr/bin/other", "security.selinux", b"system_u:object_r:bin_t:s0\0"), &["files", "~ /usr/bin/other  label"]),
    (|tree| attribute(tree, "usr/bin/other", "user.note", b"x"), &["files", "~ /usr/bin/other  attribute user.note"]),
    // Control characters in a name must not reach the terminal.
    (|tree| put(tree, "usr/bin/\u{1b}[2J", ""), &["files", "+ /usr/bin/"]),
];

#[test]
fn each_change_is_told_and_nothing_else() {
    for (number, (change, expected)) in CASES.iter().enumerate() {
        assert_eq!(lines(change), *expected, "case {number}");
    }
}

/// A package and a sysctl: the package's files (`/bin` is a link) and dpkg's records do not count as separate differences.
fn one_package_and_one_sysctl(tree: &Path) {
    edit(tree, "var/lib/dpkg/status", "1.0-1", "1.1-1");
    put(tree, "usr/bin/tool", "version 2, larger");
    put(tree, "usr/lib/tool/data", "data 2");
    put(tree, "var/lib/dpkg/info/tool.list", "/.\n/bin\n/bin/tool\n/usr\n/usr/lib/tool\n/usr/lib/tool/data\n/usr/lib/tool/more\n");
    put(tree, "usr/lib/tool/more", "more");
    edit(tree, "etc/sysctl.d/10-node.conf", "= 60", "= 10");
}

#[test]
fn one_package_and_one_sysctl_are_exactly_these() {
    let expected = [
        "packages",
        "~ tool  1.1-1, was 1.0-1",
        "sysctls",
        "~ vm.swappiness  10, was 60",
        "files",
        "1 of sysctls",
        "3 of package tool",
        "2 of records of packages",
    ];
    assert_eq!(lines(one_package_and_one_sysctl), expected);
    let every = said(one_package_and_one_sysctl, &["--files"]);
    assert!(every.contains("  ~ /usr/bin/tool  content (package tool)\n"), "{every}");
    assert!(every.contains("  + /usr/lib/tool/more (package tool)\n"), "{every}");
    let records = said(one_package_and_one_sysctl, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    assert_eq!(json["event"], "comparison");
    let counts = ["system", "packages", "units", "users", "sysctls", "kernel_arguments"].map(|group| json[group].as_array().unwrap().len());
    assert_eq!(counts, [0, 1, 0, 0, 1, 0]);
    let unexplained = json["files"].as_array().unwrap().iter().filter(|file| file["because"].is_null()).count();
    assert_eq!(unexplained, 0);
}

#[test]
fn text_is_shown_where_everybody_may_read_it() {
    let change = |tree: &Path| {
        edit(tree, "etc/app/app.conf", "second", "2nd");
        put(tree, "etc/app/new.conf", "line\n");
        edit(tree, "etc/shadow", "$hash", "$other");
        put(tree, "etc/app/secret", "password = 1\n");
        fs::set_permissions(tree.join("etc/app/secret"), Permissions::from_mode(0o600)).unwrap();
    };
    let found = said(change, &["--text", "--files"]);
    let expected = "      --- before/etc/app/app.conf\n      +++ after/etc/app/app.conf\n      @@ -1,3 +1,3 @@\n       first\n      -second\n      +2nd\n       third\n";
    assert!(found.contains(expected) && found.contains("      +line\n"), "{found}");
    assert!(!found.contains("$other") && !found.contains("password = 1"), "{found}");
}

/// Filesystems of two images have different ids, and files name these. That is not a difference, but other changes in these files are.
#[test]
fn ids_of_filesystems_are_no_difference() {
    let place = TempDir::new().unwrap();
    let run = |line: &str| assert!(Command::new("sh").args(["-ec", line]).current_dir(&place).status().unwrap().success(), "{line}");
    let ids = ["11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-aaaaaaaaaaaa"];
    let lines = |options: [&str; 2]| {
        for ((name, id), options) in ["a", "b"].iter().zip(ids).zip(options) {
            let tree = place.path().join(format!("tree-{name}"));
            let _ = fs::remove_dir_all(&tree);
            fs::create_dir(&tree).unwrap();
            system(&tree);
            put(&tree, "etc/fstab", &format!("UUID={id} / ext4 {options} 0 1\n"));
            let menu = format!("menuentry 'x' {{\n linux /vmlinuz-1 root=UUID={id} ro\n initrd /initrd.img-1\n}}\n");
            put(&tree, "boot/grub/grub.cfg", &menu);
            put(&tree, "boot/vmlinuz-1", "");
            put(&tree, "boot/initrd.img-1", "");
            run(&format!("rm -f {name}.raw && /usr/sbin/mke2fs -q -t ext4 -U {id} -d tree-{name} {name}.raw 32M"));
        }
        let output = Command::new(GOLDSMITH).args(["image", "diff", "a.raw", "b.raw"]).current_dir(&place).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(lines(["defaults", "defaults"]), ["files", "2 of ids of filesystems"]);
    assert_eq!(lines(["defaults", "noatime"]), ["files", "~ /etc/fstab  content", "1 of ids of filesystems"]);
}

/// Two overlays on one image: clusters that both have from it are not read, and clusters that one of them has written are found.
#[test]
fn what_two_overlays_share_is_not_read() {
    let place = TempDir::new().unwrap();
    let at = |name: &str| place.path().join(name);
    system(&at("tree"));
    // The content can be compressed, and no two clusters are equal.
    let large: String = (0..200_000).map(|number| format!("line {number}\n")).collect();
    put(&at("tree"), "usr/lib/large", &large);
    make_disk(&at("tree"), &at("base.raw"));
    let run = |line: &str| assert!(Command::new("sh").args(["-ec", line]).current_dir(&place).status().unwrap().success(), "{line}");
    run("qemu-img convert -c -O qcow2 base.raw base.qcow2");
    let marker = b"line 100000\n";
    let raw = fs::read(at("base.raw")).unwrap();
    let offset = raw.windows(marker.len()).position(|window| window == marker).unwrap() as u64;
    for (base, format) in [("base.raw", "raw"), ("base.qcow2", "qcow2")] {
        run(&format!("for over in a b; do qemu-img create -q -f qcow2 -b {base} -F {format} $over.qcow2; done"));
        let lines = || {
            let output = Command::new(GOLDSMITH).args(["image", "diff", "a.qcow2", "b.qcow2"]).current_dir(&place).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().filter(|line| !line.starts_with("image file")).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        if format == "qcow2" {
            // Unpacking this cluster must fail.
            let stored = Disk::open(&at(base)).unwrap().bytes().stored(offset, 1).unwrap().1.unwrap();
            assert!(stored.unpacked.is_some(), "{stored:?}");
            let file = File::options().write(true).open(at(base)).unwrap();
            file.write_all_at(&[0xff; 64], stored.offset).unwrap();
        }
        assert_eq!(lines(), ["nothing differs but times"], "{format}");
        if format == "raw" {
            run(&format!("qemu-io -f qcow2 -c 'write -q -P 0x41 {} 512' b.qcow2", offset & !511));
            assert_eq!(lines(), ["files", "~ /usr/lib/large  content"]);
        }
    }
}
