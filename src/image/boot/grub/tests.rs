//! Tests of the module beside this file.

use super::*;

/// What grub-mkconfig 2.06 of Debian 12 writes, its menu shortened to one kernel; `GRUB_DEFAULT=0`.
const DEBIAN: &str = include_str!("../testdata/debian-12.cfg");
/// What grub2-mkconfig 2.02 of CentOS 7.5 writes on BIOS with `/boot` on its own partition.
const CENTOS: &str = include_str!("../testdata/centos-7.5.cfg");

fn boot(config: &str, environment: &str) -> (String, String, String, String) {
    let entry = default_entry(config, environment).unwrap();
    (entry.title, entry.kernel, entry.initrd, entry.arguments)
}

#[test]
fn debian_boots_the_default_that_is_set() {
    let kernel = "/boot/vmlinuz-6.1.0-30-cloud-amd64";
    let initrd = "/boot/initrd.img-6.1.0-30-cloud-amd64";
    let root = "root=UUID=0b9b1a3c-6b5a-4d3e-9a0e-3f2f6c1c7d11 ro";
    let plain = ("Debian GNU/Linux", format!("{root} console=tty0 console=ttyS0,115200 net.ifnames=0"));
    let advanced = ("Debian GNU/Linux, with Linux 6.1.0-30-cloud-amd64", plain.1.clone());
    let recovery = ("Debian GNU/Linux, with Linux 6.1.0-30-cloud-amd64 (recovery mode)", format!("{root} single console=tty0"));
    let id = "0b9b1a3c-6b5a-4d3e-9a0e-3f2f6c1c7d11";
    for (default, environment, (title, arguments)) in [
        ("0".to_owned(), "", &plain),
        ("1".to_owned(), "", &advanced),
        ("1>1".to_owned(), "", &recovery),
        ("Advanced options for Debian GNU/Linux>1".to_owned(), "", &recovery),
        (format!("gnulinux-advanced-{id}>gnulinux-6.1.0-30-cloud-amd64-recovery-{id}"), "", &recovery),
        ("no such entry".to_owned(), "", &plain),
        ("${saved_entry}".to_owned(), "# GRUB Environment Block\nsaved_entry=1>1\n######", &recovery),
        ("${saved_entry}".to_owned(), "", &plain),
        ("0".to_owned(), "next_entry=1>1\n", &recovery),
    ] {
        let config = DEBIAN.replace("set default=\"0\"", &format!("set default=\"{default}\""));
        let expected = ((*title).to_owned(), kernel.to_owned(), initrd.to_owned(), arguments.clone());
        assert_eq!(boot(&config, environment), expected, "{default} {environment}");
    }
}

#[test]
fn el7_boots_what_grubenv_saved() {
    let arguments = "root=/dev/mapper/centos-root ro crashkernel=auto rd.lvm.lv=centos/root rhgb quiet LANG=en_US.UTF-8";
    let kernel = |version: &str| (format!("/vmlinuz-{version}"), format!("/initramfs-{version}.img"));
    for (environment, title, version) in [
        (
            "# GRUB Environment Block\nsaved_entry=CentOS Linux (3.10.0-862.el7.x86_64) 7 (Core)\n####",
            "CentOS Linux (3.10.0-862.el7.x86_64) 7 (Core)",
            "3.10.0-862.el7.x86_64",
        ),
        ("saved_entry=CentOS Linux (0-rescue-6a2b) 7 (Core)", "CentOS Linux (0-rescue-6a2b) 7 (Core)", "0-rescue-6a2b"),
        ("", "CentOS Linux (3.10.0-862.el7.x86_64) 7 (Core)", "3.10.0-862.el7.x86_64"),
    ] {
        let (kernel, initrd) = kernel(version);
        let arguments = if version.starts_with('0') { arguments.trim_end_matches(" LANG=en_US.UTF-8") } else { arguments };
        assert_eq!(boot(CENTOS, environment), (title.to_owned(), kernel, initrd, arguments.to_owned()));
    }
    // On UEFI the same menu speaks of linuxefi and initrdefi.
    let efi = CENTOS.replace("linux16", "linuxefi").replace("initrd16", "initrdefi");
    assert_eq!(boot(&efi, ""), boot(CENTOS, ""));
}

#[test]
fn microcode_before_the_initramfs_is_not_the_initramfs() {
    let config = "menuentry a {\nlinux (hd0,msdos1)/vmlinuz a='b c'\ninitrd /ucode.img /initrd.img\n}";
    assert_eq!(boot(config, ""), ("a".into(), "(hd0,msdos1)/vmlinuz".into(), "/initrd.img".into(), "a=b c".into()));
}

#[test]
fn what_cannot_be_booted_says_why() {
    for (config, complaint) in [
        ("", "it has no menu entry"),
        ("blscfg", "its menu is elsewhere (`blscfg`), which is not followed"),
        (
            "search.fs_uuid 1 root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg",
            "its menu is elsewhere (`configfile ()/boot/grub/grub.cfg`), which is not followed",
        ),
        ("menuentry a { chainloader +1\n }", "its default `a` starts no Linux"),
        ("menuentry a { linux /k\n }", "its default `a` has no initrd"),
        ("menuentry a { linux\n initrd\n }", "its default `a` names no kernel or initrd"),
        ("submenu a { }", "its default `` leads to no menu entry"),
    ] {
        assert_eq!(default_entry(config, "").unwrap_err(), complaint);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "([a-z={}'\"$#;\\\\\n >\\[\\]]|menuentry |submenu |if |then |fi\n|linux |initrd ){0,60}") {
        let _ = default_entry(&text, &text);
    }
}
