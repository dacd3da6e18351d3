//! Kickstarts that the user supplies: they are used unchanged, with goldsmith's sections after them.

use std::fs;
use std::path::Path;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::failure::{Class, Failure as _};
use goldsmith::base::size::ByteSize;
use goldsmith::installer::anaconda::{self, AnacondaError};
use goldsmith::recipe::{Content, Firmware, Media, Recipe};

use super::recipes::lab;
use super::scripts::{Scratch, script};
use crate::support::goldsmith;

/// A typical kickstart of a user.
pub const THEIRS: &str = "\
# web servers, second floor
cmdline
cdrom
lang en_US.UTF-8
keyboard us
timezone --utc Europe/Berlin
rootpw --lock
user --name=admin --groups=wheel --iscrypted --password=$6$salt$UUiVVjeGRMFvOXLSOOpTr2zJtvBhbHgBSDMxyFsDtjV4OuQ6XBqDJ3aR5f9xRCBE08yMkY/RMTXzvzfV1lDVG/
network --bootproto=dhcp --device=eth0 --hostname=web
ignoredisk --only-use=vda
zerombr
clearpart --all --initlabel
autopart --type=plain --fstype=ext4
bootloader --location=mbr --append=\"console=ttyS0 net.ifnames=0 biosdevname=0\"
poweroff

%packages
@core
docker-ce-18.09.6
%end

%post
systemctl enable docker
%end
";

/// The recipe of the lab's repository with the user's kickstart.
pub fn recipe(own: &[u8], repositories: bool) -> Recipe {
    let mut recipe = lab();
    if !repositories {
        recipe.repositories.clear();
    }
    let Media::Anaconda { kickstart, .. } = &mut recipe.media else { panic!("the lab is Anaconda's") };
    *kickstart = Some(Content::File { path: "my.ks".into(), sha256: Sha256Digest::of(own), bytes: own.to_vec() });
    recipe
}

fn try_merge(own: &[u8], repositories: bool) -> Result<Vec<u8>, AnacondaError> {
    let recipe = recipe(own, repositories);
    anaconda::kickstart(&recipe)
}

fn merge(own: &[u8], repositories: bool) -> Vec<u8> {
    try_merge(own, repositories).unwrap()
}

#[test]
fn what_the_installer_would_refuse_is_not_merged() {
    for (text, evidence) in [
        (
            "poweroff\n%post\ntrue\n",
            &[
                "my.ks:3:1: error: section %post, which begins on line 2, does not end before the end of the file; close it with a line `%end`",
            ][..],
        ),
        (
            "repo --name=mine --baseurl=http://192.0.2.1/\nrepo --baseurl=http://192.0.2.1/ --name=kubernetes\nshutdown\n",
            &["my.ks:2:34: error: the recipe has a repository `kubernetes` too, which goldsmith adds here; \
               rename it here, or change the repository's `id` in the recipe"],
        ),
        (
            "rootpw two words\nrepo --name kubernetes --mirrorlist=http://192.0.2.1/\nmakeitso\n",
            &["my.ks:1:12: ", "my.ks:2:6: ", "my.ks:3:1: "],
        ),
        ("", &["my.ks:1:1: error: the file is empty"]),
        ("\u{feff}# byte order mark\npoweroff", &["my.ks:1:1: "]),
    ] {
        let refused = try_merge(text.as_bytes(), true).unwrap_err();
        let found = refused.evidence();
        assert!(
            found.len() == evidence.len() && found.iter().zip(evidence).all(|(found, expected)| found.starts_with(expected)),
            "{found:#?}"
        );
        let errors = if evidence.len() == 1 { "1 error".to_owned() } else { format!("{} errors", evidence.len()) };
        assert_eq!(refused.to_string(), format!("the kickstart my.ks cannot be used: {errors} in it"));
        assert_eq!((refused.class(), refused.remedy().as_deref()), (Class::Usage, Some("correct my.ks")));
    }
    assert!(
        try_merge(b"poweroff\nrepo --name=kubernetes --baseurl=http://192.0.2.1/\n", false).is_ok(),
        "the recipe has no repository then"
    );
    assert!(
        try_merge(b"reboot\npoweroff\nrootpw x\n%packages --nobase\n%end\n", true).is_ok(),
        "lints and warnings do not stand against it"
    );
}

/// The last of several such commands counts, so goldsmith adds its own at the end of any kickstart.
#[test]
fn an_installation_ends_with_poweroff_whatever_the_kickstart_says() {
    for (text, added) in [
        ("cdrom\npoweroff\n", None),
        ("reboot\nshutdown\n", None),
        ("reboot\n", Some("`reboot` on line 1 does not power the machine off")),
        ("poweroff\nreboot --eject --kexec\n", Some("`reboot` on line 2 does not power the machine off")),
        ("poweroff\n\nhalt", Some("`halt` on line 3 does not power the machine off")),
        ("cmdline\n", Some("nothing powers the machine off after the installation")),
        ("poweroff\n%include /tmp/made-by-pre\n", Some("an included file may say otherwise")),
    ] {
        let merged = String::from_utf8(merge(text.as_bytes(), true)).unwrap();
        let section =
            added.map(|why| format!("\n# goldsmith: begin end\n# {why}; the last such command counts\npoweroff\n# goldsmith: end end\n"));
        assert_eq!(section.as_ref().map(|section| merged.contains(section)), section.as_ref().map(|_| true), "{text}\n{merged}");
        assert_eq!(merged.contains("begin end"), section.is_some(), "{text}");
        let ends: Vec<&str> =
            merged.lines().filter(|line| ["poweroff", "shutdown", "halt"].contains(line) || line.starts_with("reboot")).collect();
        assert!(matches!(ends.last(), Some(&("poweroff" | "shutdown"))), "{text}: {ends:?}");
        let note = anaconda::Answers::of(&recipe(text.as_bytes(), true)).unwrap().added;
        assert_eq!(note, added.map(|why| format!("{why}: goldsmith adds `poweroff`, and the last such command counts")), "{text}");
    }
}

/// Devices that the build machine does not have: the text, its place and the beginning of the message. An error refuses the kickstart.
#[test]
fn what_the_build_machine_cannot_give_is_said_before_any_boot() {
    const LAYOUT: &str = "the image is sealed and verified from outside";
    for (text, severity, place, said) in [
        ("clearpart --drives=sda\n", "error", (1, 20), "`clearpart --drives` names sda"),
        ("ignoredisk --only-use=vda,/dev/sdb\n", "error", (1, 23), "`ignoredisk --only-use` names /dev/sdb"),
        ("part / --fstype=ext4 --size=1 --ondisk=hda\n", "error", (1, 40), "`part --ondisk` names hda"),
        ("part / --fstype=ext4 --onpart=nvme0n1p1\n", "error", (1, 31), "`part --onpart` names nvme0n1p1"),
        ("bootloader --boot-drive=sda\n", "error", (1, 25), "`bootloader --boot-drive` names sda"),
        ("clearpart --drives='sd*|sda'\n", "", (0, 0), ""),
        ("clearpart --drives=disk/by-id/virtio-x,vda --list=vda1\n", "", (0, 0), ""),
        ("network --device=ens3 --bootproto=dhcp\n", "warning", (1, 18), "`network` names ens3"),
        ("network --device=enp0s3\n", "warning", (1, 18), "`network` names enp0s3"),
        ("network --device=bond0 --bondslaves=eth0,eth1\n", "warning", (1, 37), "`network` names eth1"),
        ("network --device=eth0\nnetwork --device=link\nnetwork --device=bond0 --bondslaves=eth0\nnetwork --hostname=x\n", "", (0, 0), ""),
        ("url --url=http://192.0.2.1/\n", "error", (1, 5), "`url` is not reached"),
        ("nfs --server=192.0.2.1 --dir=/x\n", "error", (1, 5), "`nfs` is not reached"),
        ("url --url=file:///run/install/repo\nurl --url=\n", "error", (2, 1), "url needs"),
        ("repo --name=x --mirrorlist=https://192.0.2.1/\n", "warning", (1, 15), "this repository is not reached"),
        ("repo --name=x --baseurl=file:///run/x\n", "", (0, 0), ""),
        ("%include http://192.0.2.1/x.ks\n", "error", (1, 10), "this file is not fetched"),
        ("%post\nyum -y install vim\n%end\n", "warning", (2, 1), "`yum` reaches nothing"),
        ("%post\nif true; then /usr/bin/wget -q http://192.0.2.1/x; fi\n%end\n", "warning", (2, 15), "`wget` reaches nothing"),
        ("%post\ncurl -o /x https://192.0.2.1/x\n%end\n", "warning", (2, 1), "`curl` reaches nothing"),
        ("%post\nyum -y --disablerepo='*' --enablerepo=x install vim\nyum clean all\necho yum install\n%end\n", "", (0, 0), ""),
        ("autopart\n", "", (0, 0), ""),
        ("autopart --type=plain\n", "", (0, 0), ""),
        ("autopart --nolvm --fstype=ext4\n", "", (0, 0), ""),
        ("autopart --type=thinp\n", "error", (1, 1), "autopart makes thin volumes: "),
        ("autopart --type=btrfs\n", "error", (1, 1), "autopart makes btrfs: "),
        ("autopart --type=plain --fstype=ext4 --encrypted --passphrase=x\n", "error", (1, 37), "the disk is encrypted: "),
        ("part / --size=4096\n", "", (0, 0), ""),
        ("part / --fstype=xfs --size=4096\n", "", (0, 0), ""),
        ("part / --fstype=vfat --size=4096\n", "error", (1, 1), "/ is on vfat: "),
        ("part /boot --encrypted --passphrase=x --size=512\npart / --size=4096\n", "error", (1, 1), "/boot is on an encrypted device: "),
        ("part pv.1 --size=1\nvolgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=1 --fstype=ext4\n", "", (0, 0), ""),
        (
            "part pv.1 --size=1\nvolgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=1 --fstype=btrfs\n",
            "error",
            (3, 1),
            "/ is on btrfs: ",
        ),
        (
            "part pv.1 --size=1 --encrypted --passphrase=x\nvolgroup vg pv.1\nlogvol / --vgname=vg --name=root --size=1\n",
            "error",
            (1, 1),
            "pv.1 is encrypted: ",
        ),
        (
            "part raid.1 --size=1\npart raid.2 --size=1\nraid pv.1 --device=0 --level=1 raid.1 raid.2\nvolgroup vg pv.1\n\
             logvol / --vgname=vg --name=root --size=1\n",
            "error",
            (3, 1),
            "pv.1 is a RAID array: ",
        ),
        (
            "part pv.1 --size=1\nvolgroup vg pv.1\nlogvol none --thinpool --vgname=vg --name=pool --size=1\n\
             logvol / --thin --poolname=pool --vgname=vg --name=root --size=1\n",
            "error",
            (4, 1),
            "/ is on a thin volume: ",
        ),
        ("part / --fstype=ext4 --size=4096\npart /var --fstype=ext4 --size=1\n", "error", (2, 1), "/var is a file system of its own"),
        ("part / --fstype=ext4 --size=4096\npartition /srv/ --fstype=xfs --size=1\n", "error", (2, 1), "/srv/ is a file system of its own"),
        (
            "part / --fstype=ext4 --size=4096\npart pv.1 --size=1\nvolgroup vg pv.1\nlogvol /home --vgname=vg --name=home --size=1\n",
            "error",
            (4, 1),
            "/home is a file system of its own",
        ),
        (
            "part / --fstype=ext4 --size=4096\npart raid.1 --size=1\npart raid.2 --size=1\n\
             raid /usr --device=0 --level=1 --fstype=ext4 raid.1 raid.2\n",
            "error",
            (4, 1),
            "/usr is a file system of its own",
        ),
        (
            "part / --fstype=ext4 --size=4096\npart /boot --fstype=ext4 --size=512\npart /boot/efi --fstype=efi --size=200\n\
             part swap --size=512\npart biosboot --fstype=biosboot --size=1\n",
            "",
            (0, 0),
            "",
        ),
    ] {
        let text = format!("{text}poweroff\n");
        let own = recipe(text.as_bytes(), false);
        let refused = try_merge(text.as_bytes(), false).err().map(|error| error.evidence());
        let warnings = || anaconda::Answers::of(&own).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = refused.clone().unwrap_or_else(warnings);
        assert_eq!(refused.is_some(), severity == "error", "{text}: {found:?}");
        if severity.is_empty() {
            assert!(found.is_empty(), "{text}: {found:?}");
            continue;
        }
        let begins = format!("my.ks:{}:{}: {severity}: {said}", place.0, place.1);
        assert!(found.len() == 1 && found[0].starts_with(&begins), "{begins}\n{found:#?}");
        assert!(!said.ends_with(": ") || found[0].contains(LAYOUT), "{found:?}");
    }
}

/// The firmware of the recipe decides which partition a boot loader needs. A kickstart without one is refused, with the place in it.
#[test]
fn the_kickstart_is_held_against_the_firmware() {
    const ROOT: &str = "part / --fstype=ext4 --size=4096\n";
    const ESP: &str = "part /boot/efi --fstype=efi --size=200\n";
    const BIOSBOOT: &str = "part biosboot --fstype=biosboot --size=1\n";
    const GPT: &str = "clearpart --all --initlabel --disklabel=gpt\n";
    let no_esp = "my.ks:1:1: error: UEFI boots this machine (the recipe's `disk.firmware`), and there is no EFI system partition";
    let msdos = "my.ks:1:41: error: UEFI boots this machine (the recipe's `disk.firmware`), and Anaconda boots UEFI from a GPT";
    let for_uefi = "my.ks:2:1: error: BIOS boots this machine, and the disk becomes GPT without a biosboot partition";
    for (firmware, text, said) in [
        (Firmware::Uefi, ROOT.to_owned(), no_esp),
        (Firmware::Uefi, format!("{ROOT}{BIOSBOOT}"), no_esp),
        (Firmware::Uefi, format!("{ROOT}{ESP}"), ""),
        (Firmware::Uefi, format!("{ROOT}partition efi --fstype=efi --size=200\n"), ""),
        (Firmware::Uefi, format!("reqpart\n{ROOT}"), ""),
        (Firmware::Uefi, "autopart --type=plain\n".to_owned(), ""),
        // A %pre may make the lines that are missing.
        (Firmware::Uefi, format!("%include /tmp/parts\n{ROOT}%pre\ntouch /tmp/parts\n%end\n"), ""),
        (Firmware::Uefi, format!("clearpart --all --initlabel --disklabel=msdos\n{ROOT}{ESP}"), msdos),
        (Firmware::Uefi, format!("{GPT}{ROOT}{ESP}"), ""),
        (Firmware::Bios, format!("{GPT}{ESP}{ROOT}"), for_uefi),
        (Firmware::Bios, format!("{GPT}{ESP}{ROOT}{BIOSBOOT}"), ""),
        (Firmware::Bios, format!("{ROOT}{ESP}"), ""),
    ] {
        let mut recipe = recipe(format!("{text}poweroff\n").as_bytes(), false);
        recipe.disk.firmware = firmware;
        let found = anaconda::kickstart(&recipe).err().map_or(Vec::new(), |error| error.evidence());
        assert_eq!(found.len(), usize::from(!said.is_empty()), "{firmware:?} {text}: {found:?}");
        assert!(found.iter().all(|found| found.starts_with(said)), "{text}: {found:?}");
    }
}

/// `autopart` makes a /home when there is space for it, and that is not mounted while the image is sealed.
#[test]
fn autopart_makes_no_home_of_its_own() {
    for (options, gib, refused) in [
        ("--type=plain", 49, false),
        ("--type=plain", 50, true),
        ("--type=partition", 200, true),
        ("--type=lvm", 50, true),
        ("", 49, false),
        ("", 50, true),
        ("--nolvm", 50, true),
        ("--type=plain --nohome", 200, false),
    ] {
        let mut recipe = recipe(format!("autopart {options} --fstype=ext4\npoweroff\n").as_bytes(), false);
        recipe.disk.size = ByteSize::gib(gib);
        let found = anaconda::kickstart(&recipe).err().map_or(Vec::new(), |error| error.evidence());
        assert_eq!(found.len(), usize::from(refused), "{options} {gib}: {found:?}");
        assert!(found.iter().all(|found| found.starts_with("my.ks:1:1: error: autopart gives /home its own partition")), "{found:?}");
    }
}

/// A file beside the kickstart does not exist in the installer. It is merged when the recipe says so, and reported otherwise.
#[test]
fn files_beside_the_kickstart_are_merged_when_the_recipe_says_so() {
    let recipe = |more: &str| {
        let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
        format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"ks/my.ks\"\niso = {iso}\n{more}")
    };
    let run = |words: &[&'static str], more: &str, inner: &str| {
        goldsmith(words.iter().copied().chain(["r/r.toml"]))
            .file("r/r.toml", &recipe(more))
            .file(
                "r/ks/my.ks",
                "cdrom\n%include common.ks # x\n%packages\n%include \"sub/pack ages\"\n%end\n%include /tmp/made\npoweroff\n",
            )
            .file("r/ks/common.ks", "%include sub/lang.ks\nkeyboard us")
            .file("r/ks/sub/lang.ks", inner)
            .file("r/ks/sub/pack ages", "@core\n")
            .end()
    };
    let render = ["kickstart", "render"];
    let refused = run(&render, "", "lang en_US.UTF-8\n");
    assert_eq!((refused.status, refused.stdout.as_str()), (2, ""));
    for part in ["the kickstart includes `common.ks`, which lies beside it and is not in the installer", "`kickstart_includes = \"merge\"`"]
    {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    // sub/lang.ks is looked for beside the file that includes it.
    let merged = run(&render, "kickstart_includes = \"merge\"\n", "unused\n");
    assert!(merged.stdout.is_empty() && merged.stderr.contains("there is no command `unused`"), "{}", merged.stderr);
    let merged = run(&render, "kickstart_includes = \"merge\"\n", "lang en_US.UTF-8\n");
    let expected = "cdrom\nlang en_US.UTF-8\nkeyboard us\n%packages\n@core\n%end\n%include /tmp/made\npoweroff\n\n# goldsmith: begin";
    assert!(merged.stdout.starts_with(expected), "{}{}", merged.stdout, merged.stderr);
    let cyclic = run(&render, "kickstart_includes = \"merge\"\n", "%include lang.ks\n");
    assert!(cyclic.status == 2 && cyclic.stderr.contains("nested more than 8 deep"), "{}", cyclic.stderr);
}

/// A kickstart from elsewhere must not carry this host's files into an image.
#[test]
fn files_outside_the_kickstarts_directory_are_not_merged() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["r/ks/sub", "r/ks/kept", "other"] {
        fs::create_dir_all(path(name)).unwrap();
    }
    for name in ["other/key", "r/key"] {
        fs::write(path(name), "# a private key\n").unwrap();
    }
    fs::write(path("r/ks/kept/lang.ks"), "lang en_US.UTF-8\n").unwrap();
    fs::write(path("r/ks/sub/up.ks"), "%include ../kept/lang.ks\n").unwrap();
    for (link, to) in [("file", "../../other/key"), ("directory", "../../other"), ("inside", "kept/lang.ks"), ("dangling", "nowhere")] {
        std::os::unix::fs::symlink(to, path(&format!("r/ks/{link}"))).unwrap();
    }
    let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let said = |include: &str, merges: &str| {
        fs::write(path("r/ks/my.ks"), format!("cdrom\n%include {include}\npoweroff\n")).unwrap();
        let recipe =
            format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"ks/my.ks\"\niso = {iso}\n{merges}");
        fs::write(path("r/r.toml"), recipe).unwrap();
        let ended = goldsmith(["kickstart", "render", path("r/r.toml").to_str().unwrap()]).end();
        (ended.status, ended.stdout, ended.stderr)
    };
    let merge = "kickstart_includes = \"merge\"\n";
    for include in ["../key", "sub/../../key", "\"../key\"", "../nothing", "file", "directory/key", "sub/up.ks"] {
        for merges in [merge, ""].into_iter().take(if include == "sub/up.ks" { 1 } else { 2 }) {
            let (status, stdout, stderr) = said(include, merges);
            assert_eq!((status, stdout.as_str()), (2, ""), "{include}");
            let name = if include == "sub/up.ks" { "../kept/lang.ks" } else { include.trim_matches('"') };
            let title = format!("the kickstart includes `{name}`, which lies outside the kickstart's directory");
            assert!(stderr.contains(&title) && !stderr.contains("private key") && !stderr.contains("merge"), "{include}: {stderr}");
        }
    }
    let (_, stdout, stderr) = said("inside", merge);
    assert!(stdout.starts_with("cdrom\nlang en_US.UTF-8\npoweroff\n"), "{stdout}{stderr}");
    let (_, _, stderr) = said("dangling", merge);
    assert!(stderr.contains("there is no file `dangling`"), "{stderr}");
}

#[test]
fn render_build_and_check_refuse_it_alike() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.ks"), "poweroff\n%post\ntrue\n").unwrap();
    let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let recipe = format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"my.ks\"\niso = {iso}\n");
    let path = dir.path().join("r.toml");
    fs::write(&path, recipe).unwrap();
    for words in [&["kickstart", "render"][..], &["build"]] {
        let ended = goldsmith(words.iter().copied().chain([path.to_str().unwrap()])).end();
        let name = fs::canonicalize(dir.path().join("my.ks")).unwrap();
        let name = name.display();
        let said = format!(
            "error: the kickstart {name} cannot be used: 1 error in it\n  \
             {name}:3:1: error: section %post, which begins on line 2, does not end before the end of the file; close it with a line `%end`\n  help: correct {name}\n"
        );
        assert!(
            ended.status == 2 && ended.stdout.is_empty() && ended.stderr.starts_with(&said),
            "{words:?}: {}{}",
            ended.stdout,
            ended.stderr
        );
    }
    let ended = goldsmith(["check", path.to_str().unwrap()]).end();
    let rows: Vec<&str> = ended.stdout.lines().filter(|line| line.contains(" kickstart  ")).collect();
    assert_eq!(
        (ended.status, &rows[..]),
        (2, &["wrong     kickstart  line 3: section %post, which begins on line 2, does not end before the end of the file"][..]),
        "{}",
        ended.stderr
    );
}

#[test]
fn goldsmiths_sections_follow_the_users_text() {
    for (name, repositories) in [("own", true), ("own-without-repositories", false)] {
        let text = String::from_utf8(merge(THEIRS.as_bytes(), repositories)).unwrap();
        crate::support::golden(&format!("kickstart/{name}.ks"), &text);
        let (code, said) = super::validate(&text);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert_eq!(text.matches("# goldsmith: begin ").count(), text.matches("# goldsmith: end ").count());
        assert!(!text.contains("timezone Asia/Shanghai") && !text.contains("generic_initramfs"), "the recipe's settings have no say");
    }
}

#[test]
fn every_byte_of_the_users_stays_where_it_is() {
    let whole = THEIRS.as_bytes();
    // The script is not changed, because a CR would change its commands.
    let (before, script) = THEIRS.split_once("%post\n").unwrap();
    let crlf = format!("{}%post\n{script}", before.replace('\n', "\r\n"));
    let cases: [(&[u8], &[u8]); 5] = [
        (whole, b""),
        (&whole[..whole.len() - 1], b"\n"),
        (crlf.as_bytes(), b""),
        (b"poweroff # no line end", b"\n"),
        (b"poweroff # \xe9t\xe9, in Latin-1\n", b""),
    ];
    for (own, joint) in cases {
        let text = merge(own, true);
        let rest = text.strip_prefix(own).and_then(|rest| rest.strip_prefix(joint));
        assert!(rest.is_some_and(|rest| rest.starts_with(b"\n# goldsmith: begin repositories\n")), "{}", String::from_utf8_lossy(&text));
    }
}

#[test]
fn the_added_sections_do_what_they_say() {
    let scratch = Scratch::new();
    let text = String::from_utf8(merge(THEIRS.as_bytes(), true)).unwrap();
    fs::create_dir_all(scratch.path("volume/kubernetes/repodata")).unwrap();
    fs::write(scratch.path("volume/kubernetes/repodata/repomd.xml"), "<x/>").unwrap();
    let contexts = "root/etc/selinux/targeted/contexts/files/file_contexts";
    for labelled in [false, true] {
        if labelled {
            fs::create_dir_all(scratch.path(contexts).parent().unwrap()).unwrap();
            fs::write(scratch.path(contexts), "").unwrap();
        }
        for (header, call) in [
            ("%pre", "check_nonce"),
            ("%post --nochroot --erroronfail", "copy_repository "),
            ("%post --erroronfail", "repository_file "),
            ("%post --nochroot --erroronfail", "finish"),
        ] {
            let output = scratch.run(&script(&text, header, call));
            assert!(output.status.success(), "{header} {call}: {}", String::from_utf8_lossy(&output.stderr));
            if call == "repository_file " {
                let said = format!("setfiles -F {} /root/Docker /etc/yum.repos.d/local.repo", scratch.path(contexts).display());
                assert_eq!(fs::read_to_string(scratch.path("calls")).unwrap().lines().any(|line| line == said), labelled);
            }
        }
        assert_eq!(fs::read_to_string(scratch.path("port")).unwrap(), "step finishing\nok 0123abcd\n");
    }
    assert_eq!(fs::read_to_string(scratch.path("root/root/Docker/repodata/repomd.xml")).unwrap(), "<x/>");
    let local = fs::read_to_string(scratch.path("root/etc/yum.repos.d/local.repo")).unwrap();
    assert_eq!(local, "[kubernetes]\nname=kubernetes\nbaseurl=file:///root/Docker\nenabled=1\ngpgcheck=0\n");
}

#[test]
fn render_shows_the_users_text_and_what_is_added() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("my.ks"), THEIRS).unwrap();
    let iso = format!("{{ path = \"c.iso\", sha256 = \"{}\" }}", "0".repeat(64));
    let recipe = format!("schema = 1\nname = \"web\"\n[media]\ninstaller = \"anaconda\"\nkickstart = \"my.ks\"\niso = {iso}\n");
    let path = dir.path().join("r.toml");
    fs::write(&path, recipe).unwrap();
    let output = crate::fixture::goldsmith(&["kickstart", "render", path.to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kickstart/own-without-repositories.ks");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(golden).unwrap());
}

#[test]
fn a_script_of_windows_is_refused() {
    let dos = THEIRS.replace("%post\nsystemctl enable docker\n", "%post\nsystemctl enable docker\r\n");
    let error = try_merge(dos.as_bytes(), false).unwrap_err();
    let told = error.evidence();
    assert!(told.len() == 1 && told[0].contains("this line of a shell script ends in CR LF"), "{told:?}");
    // Outside of scripts the installer accepts a CR.
    assert!(try_merge(THEIRS.replace("poweroff\n", "poweroff\r\n").as_bytes(), false).is_ok());
}
