//! ISOs as xorriso and genisoimage write them.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use goldsmith::base::failure::Failure;
use goldsmith::sources::iso9660::{EntryKind, Iso};
use goldsmith::sources::medium::{Edition, Medium};

use super::{make, put};

/// The kinds of names in an image; whether they are the names of the files, and whether deep directories are possible.
const WRITERS: [(&str, &[&str]); 7] = [
    ("xorriso", &["-as", "mkisofs", "-quiet", "-o", "out.iso", "tree"]),
    ("xorriso", &["-as", "mkisofs", "-quiet", "-J", "-joliet-long", "-o", "out.iso", "tree"]),
    ("xorriso", &["-abort_on", "FATAL", "-rockridge", "off", "-joliet", "on", "-outdev", "out.iso", "-map", "tree", "/"]),
    ("xorriso", &["-abort_on", "FATAL", "-rockridge", "off", "-outdev", "out.iso", "-map", "tree", "/"]),
    ("genisoimage", &["-quiet", "-R", "-o", "out.iso", "tree"]),
    ("genisoimage", &["-quiet", "-D", "-J", "-joliet-long", "-o", "out.iso", "tree"]),
    ("genisoimage", &["-quiet", "-D", "-iso-level", "3", "-o", "out.iso", "tree"]),
];

#[test]
fn files_are_found_whichever_names_an_image_has() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}.rpm", "n".repeat(60));
    let files = [
        (".treeinfo", "tree".to_owned()),
        ("empty", String::new()),
        ("images/pxeboot/vmlinuz", "kernel".to_owned()),
        ("images/pxeboot/initrd.img", "initrd\n".repeat(10_000)),
        ("a/b/c/d/e/f/g/h/i/j/deep", "deep".to_owned()),
        (&format!("Packages/{long}"), "package".to_owned()),
    ];
    for (name, content) in &files {
        put(&dir.path().join("tree"), &[(name, content.as_bytes())]);
    }
    std::os::unix::fs::symlink("empty", dir.path().join("tree/link")).unwrap();
    for (index, (program, args)) in WRITERS.iter().enumerate() {
        make(program, dir.path(), args.iter().copied());
        let bytes = fs::read(dir.path().join("out.iso")).unwrap();
        fs::remove_file(dir.path().join("out.iso")).unwrap();
        let iso = Iso::open(Arc::new(bytes)).unwrap();
        let plain = matches!(index, 3 | 6);
        for (name, content) in &files {
            // Plain ISO 9660 names are short, and a dot at the beginning is not allowed.
            if plain && (name.starts_with('.') || name.starts_with("Packages")) {
                continue;
            }
            let entry = iso.find(name).unwrap().unwrap_or_else(|| panic!("{program} {args:?}: no {name}"));
            let mut found = String::new();
            iso.open_file(&entry).unwrap().read_to_string(&mut found).unwrap();
            assert!((&found, entry.bytes) == (content, content.len() as u64), "{program} {args:?}: {name}");
        }
        let mut root: Vec<_> = iso.list("").unwrap().unwrap().into_iter().map(|entry| (entry.name.to_lowercase(), entry.kind)).collect();
        root.sort_by(|a, b| a.0.cmp(&b.0));
        root.retain(|(name, _)| !name.ends_with("treeinfo") && name != "rr_moved");
        let mut expected = vec![("a", EntryKind::Directory), ("empty", EntryKind::File), ("images", EntryKind::Directory)];
        if matches!(index, 0 | 1 | 4) {
            expected.push(("link", EntryKind::Other));
        }
        expected.push(("packages", EntryKind::Directory));
        // Without Rock Ridge a link is left out, or is an empty file.
        root.retain(|(name, kind)| name != "link" || *kind == EntryKind::Other);
        assert_eq!(root, expected.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect::<Vec<_>>(), "{program} {args:?}");
        assert_eq!((iso.find("none").unwrap(), iso.list("empty").unwrap()), (None, None));
    }
}

#[test]
fn names_of_255_bytes_are_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let name = "ä".repeat(127) + "z";
    put(&dir.path().join("tree"), &[(&name, b"x")]);
    for (program, args) in [WRITERS[0], WRITERS[4]] {
        make(program, dir.path(), args.iter().copied());
        let iso = Iso::open(Arc::new(fs::read(dir.path().join("out.iso")).unwrap())).unwrap();
        assert_eq!(iso.find(&name).unwrap().map(|entry| entry.bytes), Some(1), "{program}");
    }
}

/// A small medium that looks like CentOS 7, made of these files and some more. `dir` also gets the tree that it is made from.
pub fn centos(dir: &Path, files: &[(&str, &[u8])]) -> PathBuf {
    let tree = "[general]\nfamily = CentOS\nversion = 7\narch = x86_64\n\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n";
    let tree_dir = dir.join("tree");
    put(
        &tree_dir,
        &[
            (".treeinfo", tree.as_bytes()),
            (".discinfo", b"1525379784.398463\n7.5\nx86_64\n"),
            ("images/pxeboot/vmlinuz", b"kernel"),
            ("images/pxeboot/initrd.img", b"initrd"),
            ("repodata/repomd.xml", b"<repomd/>"),
        ],
    );
    put(&tree_dir, files);
    make("xorriso", dir, ["-as", "mkisofs", "-quiet", "-J", "-V", "CentOS 7 x86_64", "-o", "out.iso", "tree"]);
    dir.join("out.iso")
}

#[test]
fn a_medium_tells_what_it_is_and_gives_its_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let path = centos(dir.path(), &[]);
    let medium = Medium::open(&path).unwrap();
    assert_eq!((medium.volume_id(), medium.kind().to_string().as_str()), ("CentOS 7 x86_64", "CentOS 7.5 (x86_64)"));
    assert_eq!((medium.kernel().unwrap(), medium.initrd().unwrap()), (b"kernel".to_vec(), b"initrd".to_vec()));
    assert_eq!(medium.tree().family(), Some("CentOS"));
    medium.refuse_unfit().unwrap();
    assert_eq!(medium.read("repodata/repomd.xml", 9).unwrap(), b"<repomd/>");
    let mut file = medium.open_file("repodata/repomd.xml").unwrap();
    file.seek(SeekFrom::Start(1)).unwrap();
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "repomd/>");
    let names: Vec<_> = medium.list("/images/pxeboot/").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["initrd.img", "vmlinuz"]);
    let shown = path.display();
    for (error, expected) in [
        (
            medium.read("repodata/repomd.xml", 8).unwrap_err(),
            format!(
                "the installation medium cannot be used: {shown}: it is damaged at repodata/repomd.xml: it is larger than such a file can be"
            ),
        ),
        (medium.read("none", 8).unwrap_err(), format!("the installation medium lacks none: {shown} is CentOS 7.5 (x86_64)")),
        (medium.list("none").unwrap_err(), format!("the installation medium lacks none: {shown} is CentOS 7.5 (x86_64)")),
        (
            medium.read("images", 8).unwrap_err(),
            format!("the installation medium cannot be used: {shown}: it is damaged at images: it is no regular file"),
        ),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}

/// The name of the link to a medium by the udev of this host. Its libblkid is newer than EL7's, and gives the same name when Joliet repeats
/// the label.
fn udevs_label(iso: &Path) -> Option<String> {
    let output = Command::new("blkid").args(["-p", "-o", "udev"]).arg(iso).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("ID_FS_LABEL_ENC=")).map(str::to_owned)
}

#[test]
fn every_label_is_named_as_udev_names_it() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir.path().join("tree"), &[(".treeinfo", b"[general]\narch = x86_64\nversion = 7\n")]);
    let path = dir.path().join("out.iso");
    for label in [
        "CentOS 7 x86_64",
        "RHEL-7.5 Server.x86_64",
        "RHEL-7.2 ComputeNode.x86_64",
        "OL-7.9 Server.x86_64",
        "a/b",
        "it's \"7\"",
        "$(touch x) `y` \\x20",
        "50% *?[a] {b},~!",
        "#+-.=@_",
    ] {
        // genisoimage replaces characters that Joliet forbids in the Joliet label. EL7's libblkid then takes that label, and today's
        // combines both.
        let forbidden = label.contains(['*', '/', ':', ';', '?', '\\']);
        for joliet in [&[][..], &["-J"]].into_iter().filter(|joliet| joliet.is_empty() || !forbidden) {
            let args = ["-quiet", "-R"].into_iter().chain(joliet.iter().copied()).chain(["-V", label, "-o", "out.iso", "tree"]);
            make("genisoimage", dir.path(), args);
            let found = Medium::open(&path).unwrap().device_label().unwrap();
            assert_eq!(Some(&found), udevs_label(&path).as_ref(), "{label:?} {joliet:?}");
            assert!(!found.contains([' ', '"', '\'', '`', '$']), "{found}");
        }
    }
    // If the label of Joliet differs, it takes precedence, and it may contain any character.
    make("genisoimage", dir.path(), ["-quiet", "-J", "-R", "-V", "CENTOS_7", "-o", "out.iso", "tree"]);
    let bytes = fs::read(&path).unwrap();
    let second = bytes.windows(16).position(|window| window == "CENTOS_7".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    let other: Vec<u8> = "Größe 7 \u{65e5}".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&other, second.unwrap() as u64).unwrap();
    let found = Medium::open(&path).unwrap().device_label().unwrap();
    assert_eq!((found.as_str(), udevs_label(&path).as_deref()), ("Größe\\x207\\x20日", Some("Größe\\x207\\x20日")));
}

/// The remedy is a command, and the test runs it with success.
#[test]
fn a_label_that_cannot_be_named_is_refused_with_a_remedy_that_works() {
    for (label, expected) in [
        ("", "it has no label"),
        ("a:b", "its label has a colon, at which the installer would cut it"),
        ("GOLDSMITH", "its label is that of the volume that brings the recipe's repositories"),
        ("OEMDRV", "its label is that of a disk with drivers, which Anaconda loads"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        centos(dir.path(), &[]);
        make("genisoimage", dir.path(), ["-quiet", "-R", "-V", "x", "-o", "it's.iso", "tree"]);
        let path = dir.path().join("it's.iso");
        let mut id = [b' '; 32];
        id[..label.len()].copy_from_slice(label.as_bytes());
        fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&id, 16 * 2048 + 40).unwrap();
        let error = Medium::open(&path).unwrap().refuse_unfit().unwrap_err();
        let shown = path.display();
        assert_eq!(
            error.to_string(),
            format!("the installer cannot find the medium by its label: {shown} is CentOS 7.5 (x86_64); {expected}")
        );
        let remedy = error.remedy().unwrap();
        let command = remedy.split_once(": ").unwrap().1;
        make("sh", dir.path(), ["-ec", command]);
        let again = Medium::open(&dir.path().join("NEW.iso")).unwrap();
        again.refuse_unfit().unwrap();
        assert_eq!((again.device_label().unwrap().as_str(), again.kernel().unwrap()), (r"CentOS\x207\x20x86_64", b"kernel".to_vec()));
    }
}

/// `.treeinfo` of Red Hat Enterprise Linux, Oracle Linux and Scientific Linux (osinfo-db, tests/treeinfodata): their media are accepted and
/// called by their names.
#[test]
fn media_of_the_relatives_of_centos_are_taken_and_named() {
    for (label, general, expected) in [
        (
            "RHEL-7.5 Server.x86_64",
            "family = Red Hat Enterprise Linux\nname = Red Hat Enterprise Linux 7.5\nvariant = Server\nversion = 7.5",
            "Red Hat Enterprise Linux 7.5 (x86_64)",
        ),
        (
            "OL-7.9 Server.x86_64",
            "family = Oracle Linux\nname = Oracle Linux 7.9\nvariant = Server\nversion = 7.9",
            "Oracle Linux 7.9 (x86_64)",
        ),
        (
            "SL-75-x86_64",
            "family = Scientific\nname = Scientific-7.5\nvariant = RELEASE\nversion = 7.5\npackagedir =",
            "Scientific 7.5 (x86_64)",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let tree = format!(
            "[general]\n; WARNING.0 = for compatibility\narch = x86_64\n{general}\n[images-x86_64]\nkernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img\n"
        );
        centos(dir.path(), &[(".treeinfo", tree.as_bytes()), (".discinfo", b"1\nx\nx86_64\n")]);
        make("genisoimage", dir.path(), ["-quiet", "-J", "-R", "-V", label, "-o", "out.iso", "tree"]);
        let medium = Medium::open(&dir.path().join("out.iso")).unwrap();
        medium.refuse_unfit().unwrap();
        assert_eq!((medium.kind().to_string().as_str(), medium.kind().known), (expected, None));
        assert_eq!(medium.device_label().unwrap(), label.replace(' ', r"\x20"));
    }
}

/// The file gets the length and the volume size of a known ISO. Only its digest differs then.
#[test]
fn the_sizes_of_known_media_are_recognised() {
    let dir = tempfile::tempdir().unwrap();
    let path = centos(dir.path(), &[]);
    for (bytes, expected, edition) in [
        (949_536_768_u64, "CentOS 7.5.1804 Minimal (x86_64)", Edition::Minimal),
        (4_469_153_792, "CentOS 7.5.1804 DVD (x86_64)", Edition::Dvd),
        (4_711_297_024, "CentOS 7.9.2009 DVD (x86_64)", Edition::Dvd),
    ] {
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(bytes).unwrap();
        let blocks = u32::try_from(bytes / 2048).unwrap();
        file.write_all_at(&[blocks.to_le_bytes(), blocks.to_be_bytes()].concat(), 16 * 2048 + 80).unwrap();
        let medium = Medium::open(&path).unwrap();
        assert_eq!((medium.kind().to_string().as_str(), medium.kind().edition), (expected, Some(edition)));
    }
}

/// Rebuilt media, with metadata of createrepo_c 1.x.
#[test]
fn a_medium_whose_metadata_yum_cannot_use_is_refused() {
    let whole: &[&str] = &["--general-compress-type=gz"];
    type Change = fn(&Path);
    let cases: [(&str, &[&str], Change, &str); 8] = [
        ("as EL 7 has it", whole, |_| (), ""),
        ("without databases", &["--general-compress-type=gz", "--no-database"], |_| (), ""),
        (
            "zstd",
            whole,
            |dir| fs::write(dir.join("primary.xml.gz"), zstd::encode_all(&b"<metadata/>"[..], 1).unwrap()).unwrap(),
            "`repodata/primary.xml.gz` is compressed with zstd, which yum 3.4.3 of EL 7 cannot read",
        ),
        (
            "groups under a name that yum does not know",
            &["--general-compress-type=gz", "--no-database"],
            |dir| {
                let path = dir.join("repomd.xml");
                let text = fs::read_to_string(&path).unwrap();
                let start = text.find("<data type=\"group\">").unwrap();
                let end = start + text[start..].find("</data>").unwrap() + 7;
                fs::write(&path, format!("{}{}", &text[..start], &text[end..]).replace("group_gz", "group_xz")).unwrap();
            },
            "`repodata/comps.xml.gz` has groups as group_xz, a type that yum does not know",
        ),
        (
            "a database is missing",
            whole,
            |dir| fs::remove_file(dir.join("primary.sqlite.gz")).unwrap(),
            "`repodata/primary.sqlite.gz` is named by repomd.xml (primary_db) and is not on the medium; yum prefers it to primary.xml, and stops",
        ),
        (
            "groups are missing",
            whole,
            |dir| fs::remove_file(dir.join("comps.xml.gz")).unwrap(),
            "`repodata/comps.xml.gz` is named by repomd.xml (group_gz) and is not on the medium",
        ),
        (
            "filelists.xml is another one",
            whole,
            |dir| fs::copy(dir.join("other.xml.gz"), dir.join("filelists.xml.gz")).map(drop).unwrap(),
            "`repodata/filelists.xml.gz` is not what repomd.xml says (filelists)",
        ),
        ("other.xml is missing", whole, |dir| fs::remove_file(dir.join("other.xml.gz")).unwrap(), ""),
    ];
    for (name, options, change, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        put(dir.path(), &[("comps.xml", b"<comps><group><id>core</id><name>Core</name></group></comps>")]);
        put(&tree, &[]);
        fs::create_dir_all(&tree).unwrap();
        let fixed = ["--quiet", "--simple-md-filenames", "--groupfile", "../comps.xml"];
        make("createrepo_c", &tree, fixed.iter().chain(options).copied().chain(["."]));
        change(&tree.join("repodata"));
        let repomd = fs::read(tree.join("repodata/repomd.xml")).unwrap();
        let path = centos(dir.path(), &[("repodata/repomd.xml", &repomd)]);
        let judged = Medium::open(&path).unwrap().refuse_unfit();
        if expected.is_empty() {
            judged.unwrap_or_else(|error| panic!("{name}: {error}"));
            continue;
        }
        let error = judged.expect_err(name);
        let begin = format!(
            "the installation medium cannot be used: {} is CentOS 7.5 (x86_64); yum of EL 7 cannot use its repodata: ",
            path.display()
        );
        assert_eq!(error.to_string().strip_prefix(&begin), Some(expected), "{name}: {error}");
        assert!(error.remedy().unwrap().contains("createrepo_c --no-database --general-compress-type=gz --groupfile"));
    }
}

#[test]
fn a_medium_that_cannot_carry_a_recipe_says_why() {
    let unfit = |files: &[(&str, &[u8])], without: &str| {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("tree"), &[]);
        centos(dir.path(), files);
        if !without.is_empty() {
            fs::remove_file(dir.path().join("tree").join(without)).unwrap();
            make("xorriso", dir.path(), ["-as", "mkisofs", "-quiet", "-V", "X", "-o", "out.iso", "tree"]);
        }
        let path = dir.path().join("out.iso");
        let error = Medium::open(&path).and_then(|medium| medium.refuse_unfit().and_then(|()| medium.kernel()).map(drop)).unwrap_err();
        assert!(error.remedy().is_some());
        error.to_string().replace(path.to_str().unwrap(), "ISO")
    };
    let tree = |text: &str| [("x", Vec::new()), (".treeinfo", format!("[general]\n{text}").into_bytes())];
    for (files, without, expected) in [
        (
            tree(""),
            "",
            "the installation medium has no installer: ISO is an ISO 9660 image with the label `CentOS 7 x86_64` and without a .treeinfo",
        ),
        (
            tree("family=CentOS\nversion=8\narch=x86_64"),
            "",
            "the installation medium cannot carry the recipe: ISO is CentOS 8 (x86_64); only the installer of EL7 is known to goldsmith",
        ),
        (
            tree("family=CentOS\nversion=7\narch=aarch64"),
            "",
            "the installation medium cannot carry the recipe: ISO is CentOS 7.5 (aarch64); goldsmith's machines are x86_64",
        ),
        (
            tree("family=CentOS\nversion=7\narch=x86_64"),
            "",
            "the installation medium lacks a kernel (.treeinfo names none): ISO is CentOS 7.5 (x86_64)",
        ),
        (
            tree("family=CentOS\nversion=7\narch=x86_64"),
            "repodata/repomd.xml",
            "the installation medium cannot carry the recipe: ISO is CentOS 7.5 NetInstall (x86_64); it has no packages, and the installation has no network",
        ),
        (
            tree("arch=x86_64\nversion=7\n[images-x86_64]\nkernel=x\ninitrd=none"),
            "",
            "the installation medium lacks none: ISO is unknown distribution 7.5 (x86_64)",
        ),
        (
            tree("arch=x86_64\nversion=7\n[images-x86_64]\nkernel=x\ninitrd=x\n[checksums]\nx=sha256:00"),
            "",
            "the installation medium cannot be used: ISO: it is damaged at x: it does not hash to what .treeinfo says",
        ),
    ] {
        let files: Vec<_> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
        assert_eq!(unfit(&files, without), expected);
    }
}

#[test]
fn a_file_that_is_no_medium_is_called_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let iso = fs::read(centos(dir.path(), &[])).unwrap();
    let path = dir.path().join("wrong");
    let shown = path.display();
    let volume = u64::from(u32::from_le_bytes(iso[16 * 2048 + 80..][..4].try_into().unwrap())) * 2048;
    for (content, expected, remedy) in [
        (b"".to_vec(), format!("the installation medium is not an ISO 9660 image: {shown} is an empty file"), "correct the path"),
        (
            b"<html>404".to_vec(),
            format!("the installation medium is not an ISO 9660 image: {shown} is a web page of 9 bytes"),
            "download it again, from an address that gives the file itself",
        ),
        (
            b"QFI\xfb\0\0\0\x03".to_vec(),
            format!("the installation medium is not an ISO 9660 image: {shown} is a qcow2 disk image of 8 bytes"),
            "correct the path",
        ),
        (
            iso[..100_000].to_vec(),
            format!("the installation medium is cut short: {shown} has 100000 of {volume} bytes"),
            "let the download go on",
        ),
    ] {
        fs::write(&path, content).unwrap();
        let error = Medium::open(&path).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.remedy().unwrap().starts_with(remedy), "{:?}", error.remedy());
    }
    let error = Medium::open(dir.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("the installation medium is not an ISO 9660 image: {} is a directory", dir.path().display()));
    // No process will ever write into this pipe.
    make("mkfifo", dir.path(), ["pipe"]);
    let error = Medium::open(&dir.path().join("pipe")).unwrap_err();
    assert!(error.to_string().ends_with("/pipe is no regular file"), "{error}");
}
