//! Tests of the module beside this file.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::verify::Outcome;
use crate::verify::tests::disk;

/// The files of a disk.
fn root(dir: &Path, files: &[(&str, &str)]) -> Root {
    Root::open(&disk(dir, &[files, &[("etc/fstab", "")]].concat())).unwrap()
}

fn none() -> Settings {
    Settings { locale: None, keyboard: None, network: None, users: Vec::new(), groups: Vec::new() }
}

fn told(check: &CheckResult) -> (Outcome, &str) {
    (check.outcome, &check.detail)
}

/// The archive is made by glibc's own localedef.
#[test]
fn a_locale_is_said_and_there() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("tree/usr/lib/locale")).unwrap();
    for (source, name) in [("de_DE", "de_DE.UTF-8"), ("de_DE@euro", "de_DE@euro")] {
        let charset = if name.ends_with("8") { "UTF-8" } else { "ISO-8859-15" };
        let prefix = format!("--prefix={}", dir.path().join("tree").display());
        let made = Command::new("localedef").args([prefix.as_str(), "-i", source, "-f", charset, name]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let root = root(dir.path(), &[("etc/locale.conf", "# c\nLANG=\"de_DE.UTF-8\"\n"), ("usr/lib/locale/C.utf8/LC_CTYPE", "x")]);
    for (name, is_there) in
        [("de_DE.UTF-8", true), ("de_DE.utf8", true), ("de_DE@euro", true), ("C.UTF-8", true), ("xx_YY.UTF-8", false), ("de_DE", false)]
    {
        assert_eq!(has_locale(&root, name).unwrap(), is_there, "{name}");
    }
    for (wanted, expected) in [
        ("de_DE.UTF-8", (Outcome::Passed, "de_DE.UTF-8")),
        ("en_US.UTF-8", (Outcome::Failed, "/etc/locale.conf says `de_DE.UTF-8`, wanted `en_US.UTF-8`")),
    ] {
        assert_eq!(told(&judge(&root, &Settings { locale: Some(Locale::made(wanted)), ..none() })[0]), expected);
    }
}

#[test]
fn a_locale_that_was_not_made_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(dir.path(), &[("etc/default/locale", "LANG=xx_YY.UTF-8\n"), ("usr/lib/locale/locale-archive", "no archive")]);
    let why = "/etc/default/locale says `xx_YY.UTF-8`, and /usr/lib/locale has no such locale: programs would use C";
    assert_eq!(told(&judge(&root, &Settings { locale: Some(Locale::made("xx_YY.UTF-8")), ..none() })[0]), (Outcome::Failed, why));
}

#[test]
fn keyboards_and_addresses_are_read_from_the_files_of_both() {
    let statically = Network::Static {
        address: "192.0.2.10".parse().unwrap(),
        prefix: 24,
        gateway: Some("192.0.2.1".parse().unwrap()),
        dns: Vec::new(),
    };
    let interfaces =
        "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet static\n    address 192.0.2.10/24\n    gateway 192.0.2.1\n";
    let ifcfg = "TYPE=\"Ethernet\"\nBOOTPROTO=\"none\"\nIPADDR=\"192.0.2.10\"\nPREFIX=\"24\"\nGATEWAY=\"192.0.2.1\"\n";
    let old = "BOOTPROTO=static\nIPADDR0=192.0.2.10\nNETMASK=255.255.255.0\n";
    let (debian, el7) = ("etc/network/interfaces", "etc/sysconfig/network-scripts/ifcfg-eth0");
    let dhcp = Network::Dhcp;
    for (path, text, wanted, expected) in [
        (debian, interfaces, &statically, (Outcome::Passed, "192.0.2.10/24 by 192.0.2.1")),
        (el7, ifcfg, &statically, (Outcome::Passed, "192.0.2.10/24 by 192.0.2.1")),
        (debian, "iface eth0 inet dhcp\n", &dhcp, (Outcome::Passed, "dhcp")),
        (el7, "BOOTPROTO=dhcp\n", &dhcp, (Outcome::Passed, "dhcp")),
        (
            el7,
            old,
            &statically,
            (Outcome::Failed, "/etc/sysconfig/network-scripts/ifcfg-eth0 says `192.0.2.10/24`, wanted `192.0.2.10/24 by 192.0.2.1`"),
        ),
        (debian, interfaces, &dhcp, (Outcome::Failed, "/etc/network/interfaces says `192.0.2.10/24 by 192.0.2.1`, wanted `dhcp`")),
        (debian, "auto lo\n", &dhcp, (Outcome::Failed, "/etc/network/interfaces does not say it, wanted `dhcp`")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let found = judge(&root(dir.path(), &[(path, text)]), &Settings { network: Some(wanted.clone()), ..none() });
        assert_eq!(told(&found[0]), expected, "{text}");
    }
    let (debian, el7, x11) = ("etc/default/keyboard", "etc/vconsole.conf", "etc/X11/xorg.conf.d/00-keyboard.conf");
    for (files, wanted, outcome) in [
        (&[(debian, "XKBMODEL=\"pc105\"\nXKBLAYOUT=\"de\"\n")][..], "de", Outcome::Passed),
        (&[(debian, "XKBLAYOUT=\"us\"\n")], "de", Outcome::Failed),
        (&[(el7, "KEYMAP=\"de-latin1\"\nFONT=\"x\"\n")], "de-latin1", Outcome::Passed),
        (&[(el7, "KEYMAP=\"uk\"\n")], "gb", Outcome::Passed),
        (&[(el7, "KEYMAP=\"us\"\n"), (x11, "Section \"InputClass\"\n Option \"XkbLayout\" \"cn\"\n")], "cn", Outcome::Passed),
        (&[(el7, "KEYMAP=\"us\"\n")], "fr", Outcome::Failed),
        (&[], "us", Outcome::Passed),
        (&[], "de", Outcome::Failed),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let found = judge(&root(dir.path(), files), &Settings { keyboard: Some(Keymap::made(wanted)), ..none() });
        assert_eq!(found[0].outcome, outcome, "{files:?} {wanted}: {}", found[0].detail);
    }
}

#[test]
fn accounts_are_as_they_are_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let root = root(
        dir.path(),
        &[
            ("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nada:x:1500:1500::/home/ada:/bin/bash\nbob:x:1501:1501::/home/bob:/bin/zsh\n"),
            ("etc/group", "root:x:0:\ndocker:x:998:ada,eve\nwheel:x:10:\nada:x:1500:\n"),
            ("bin/bash", ""),
            ("usr/bin/sudo", ""),
            ("etc/sudoers", "root ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n"),
            ("etc/sudoers.d/90-goldsmith", "ada ALL=(ALL) NOPASSWD: ALL\n"),
            ("etc/sudoers.d/bob.disabled", "bob ALL=(ALL) NOPASSWD: ALL\n"),
        ],
    );
    let ada = Account {
        name: "ada".parse().unwrap(),
        uid: Some(1500),
        shell: "/bin/bash".parse().unwrap(),
        groups: vec!["docker".parse().unwrap(), "ada".parse().unwrap()],
        sudo: true,
    };
    let bob = Account { name: "bob".parse().unwrap(), uid: None, shell: "/bin/zsh".parse().unwrap(), groups: Vec::new(), sudo: true };
    for (account, expected) in [
        (ada.clone(), (Outcome::Passed, "user id 1500")),
        (Account { uid: Some(1000), ..ada.clone() }, (Outcome::Failed, "its user id is 1500, wanted 1000")),
        (Account { shell: "/bin/sh".parse().unwrap(), ..ada.clone() }, (Outcome::Failed, "its shell is `/bin/bash`, wanted `/bin/sh`")),
        (Account { groups: vec!["wheel".parse().unwrap()], ..ada.clone() }, (Outcome::Failed, "it is not in the group `wheel`")),
        (Account { name: "eve".parse().unwrap(), ..ada.clone() }, (Outcome::Failed, "/etc/passwd has no `eve`")),
        (bob.clone(), (Outcome::Failed, "its shell /bin/zsh is not there")),
    ] {
        let found = judge(&root, &Settings { users: vec![account.clone()], ..none() });
        assert_eq!(told(&found[0]), expected, "{account:?}");
    }
    let docker = Group { name: "docker".parse().unwrap(), gid: Some(998), system: true };
    for (group, expected) in [
        (docker.clone(), (Outcome::Passed, "group id 998")),
        (Group { gid: None, ..docker.clone() }, (Outcome::Passed, "group id 998")),
        (Group { gid: Some(99), ..docker.clone() }, (Outcome::Failed, "its id is 998, wanted 99")),
        (Group { name: "dock".parse().unwrap(), ..docker }, (Outcome::Failed, "/etc/group has no `dock`")),
    ] {
        let found = judge(&root, &Settings { groups: vec![group.clone()], ..none() });
        assert_eq!(told(&found[0]), expected, "{group:?}");
    }
    let found = judge(&root, &Settings { users: vec![ada, bob], ..none() });
    assert_eq!(told(&found[1]), (Outcome::Passed, "/etc/sudoers.d/90-goldsmith"));
    assert_eq!(told(&found[3]), (Outcome::Failed, "no file of /etc/sudoers.d says so"));
}

/// A file that sudo never reads grants nothing.
#[test]
fn a_directory_that_sudoers_does_not_include_grants_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = ("etc/sudoers.d/90-goldsmith", "ada ALL=(ALL) NOPASSWD: ALL\n");
    let root = root(dir.path(), &[("usr/bin/sudo", ""), ("etc/sudoers", "root ALL=(ALL) ALL\n"), file]);
    let ada = Account { name: "ada".parse().unwrap(), uid: None, shell: "/bin/sh".parse().unwrap(), groups: Vec::new(), sudo: true };
    let found = judge(&root, &Settings { users: vec![ada], ..none() });
    assert_eq!(told(&found[1]), (Outcome::Failed, "/etc/sudoers does not include /etc/sudoers.d"));
}

/// A damaged archive gives a bounded result and no panic.
#[test]
fn an_archive_may_hold_anything() {
    let mut head = vec![0; 56];
    head[..4].copy_from_slice(&0xde02_0109_u32.to_le_bytes());
    head[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    head[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(archived(&head), Some(Vec::new()));
    head[8..12].copy_from_slice(&40_u32.to_le_bytes());
    head[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
    head[48..52].copy_from_slice(&1_u32.to_le_bytes());
    assert_eq!(archived(&head), None);
    assert_eq!(archived(&head[..10]), None);
}
