//! Tests of the module beside this file.

use std::collections::BTreeMap;

use super::files::ENTRIES;
use super::*;
use crate::image::boot::entries::MAX_ENTRIES;

/// What grub-mkconfig 2.06 of Debian 12 writes, its menu shortened to one kernel; `GRUB_DEFAULT=0`.
const DEBIAN: &str = include_str!("../testdata/debian-12.cfg");
/// What grub2-mkconfig 2.02 of CentOS 7.5 writes on BIOS with `/boot` on its own partition.
const CENTOS: &str = include_str!("../testdata/centos-7.5.cfg");

/// Files of an image, and where its filesystems are seen by UUID or label.
#[derive(Default)]
struct Table {
    files: BTreeMap<String, String>,
    places: BTreeMap<&'static str, &'static str>,
}

impl Table {
    fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        Self { files, places: BTreeMap::from([("u-root", "/"), ("u-boot", "/boot"), ("BOOT", "/boot"), ("u-esp", "/boot/efi")]) }
    }
}

impl Files for Table {
    fn place(&self, uuid: Option<&str>, label: Option<&str>) -> Option<String> {
        self.places.get(uuid.or(label)?).map(|place| (*place).to_owned())
    }

    fn text(&self, path: &str, _: u64) -> Result<Option<String>, ImageError> {
        Ok(self.files.get(&path.replace("//", "/")).cloned())
    }

    fn exists(&self, path: &str) -> Result<bool, ImageError> {
        let path = path.replace("//", "/");
        Ok(self.files.keys().any(|file| file.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))))
    }

    fn names(&self, dir: &str) -> Result<Vec<String>, ImageError> {
        let names = self.files.keys().filter_map(|file| file.strip_prefix(dir)?.strip_prefix('/')?.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }
}

const CONFIG: &str = "/boot/grub2/grub.cfg";
const GRUBENV: &str = "/boot/grub2/grubenv";

fn chosen(config: &str, environment: &str) -> Result<Chosen, String> {
    followed(&Table::of(&[(CONFIG, config), (GRUBENV, environment)]), CONFIG)
}

fn followed(table: &Table, path: &str) -> Result<Chosen, String> {
    follow(table, path).map_err(|fault| match fault {
        Fault::Said(what) => what,
        Fault::Image(error) => panic!("{error}"),
    })
}

fn boot(config: &str, environment: &str) -> (String, String, String, String) {
    let entry = chosen(config, environment).unwrap();
    (entry.title, entry.kernel, entry.initrds.join(" "), entry.arguments)
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
fn every_initramfs_is_loaded_in_its_order() {
    let config = "menuentry a {\nlinux (hd0,msdos1)/vmlinuz a='b c'\ninitrd /ucode.img /initrd.img\n}";
    assert_eq!(boot(config, ""), ("a".into(), "(hd0,msdos1)/vmlinuz".into(), "/ucode.img /initrd.img".into(), "a=b c".into()));
}

#[test]
fn what_cannot_be_booted_says_why() {
    let doubled = format!("set a=xxxxxxxx\n{}menuentry $a {{ }}", "set a=$a$a\n".repeat(60));
    let looks = "if [ -e /x ]; then a; fi\n".repeat(5_000);
    let too_much = "it does more than anything that boots would";
    for (config, complaint) in [
        ("", "it has no menu entry"),
        ("blscfg", "its menu is in boot loader entries (`blscfg`), and /boot/loader/entries holds none"),
        (
            "search.fs_uuid 1 root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg",
            "its menu is elsewhere (`configfile ()/boot/grub/grub.cfg`), and the image does not show that file",
        ),
        ("configfile /grub2/grub.cfg", "it leads back to /boot/grub2/grub.cfg"),
        ("source /grub2/grub.cfg", "it reads more than 16 other files, or they read each other"),
        ("menuentry a { chainloader +1\n }", "its default `a` starts no Linux"),
        ("menuentry a { linux /k\n }", "its default `a` has no initrd"),
        ("menuentry a { linux\n initrd\n }", "its default `a` names no kernel or initrd"),
        ("submenu a { }", "its default `` leads to no menu entry"),
        (&doubled, too_much),
        (&looks, too_much),
        (&"load_env\n".repeat(20_000), too_much),
    ] {
        assert_eq!(chosen(config, "a=b").unwrap_err(), format!("{CONFIG}: {complaint}"));
    }
}

#[test]
fn tests_are_decided() {
    let negated = format!("{}-n x", "! ".repeat(100_001));
    for (condition, expected) in [
        ("-n \"\" -o -n x", true),
        ("-n x -a -n \"\"", false),
        ("! -n x", false),
        ("! ! -n x", true),
        (&negated, false),
        ("-d /grub2", true),
        ("-f /grub2/none", false),
        ("-s $prefix/grubenv", true),
    ] {
        let entry = |title: &str| format!("menuentry {title} {{ linux /k\n initrd /i\n }}");
        let config = format!("if [ {condition} ]; then\n{}\nelse\n{}\nfi", entry("yes"), entry("no"));
        let title = chosen(&config, "a=b").unwrap().title;
        assert_eq!(title == "yes", expected, "{}", &condition[..condition.len().min(40)]);
    }
}

/// What the stub of each distribution's ESP is: shim's GRUB begins there.
#[test]
fn a_stub_on_the_esp_leads_to_the_menu() {
    let menu = "set default=0\nmenuentry real { linux /vmlinuz a\n initrd /initrd.img\n }";
    let fedora = "search --no-floppy --root-dev-only --fs-uuid --set=dev u-boot\nset prefix=($dev)/grub2\nexport $prefix\nconfigfile $prefix/grub.cfg\n";
    let debian = "search.fs_uuid u-boot root hd0,gpt2\nset prefix=($root)'/grub2'\nconfigfile $prefix/grub.cfg\n";
    let coreos = "if [ -e (md/md-boot) ]; then\n set prefix=md/md-boot\nelse\n if [ -f ${config_directory}/bootuuid.cfg ]; then\n  source \
                  ${config_directory}/bootuuid.cfg\n fi\n if [ -n \"${BOOT_UUID}\" ]; then\n  search --fs-uuid \"${BOOT_UUID}\" --set prefix --no-floppy\n \
                  else\n  search --label BOOT --set prefix --no-floppy\n fi\nfi\nif [ -d ($prefix)/grub2 ]; then\n set prefix=($prefix)/grub2\n \
                  configfile $prefix/grub.cfg\nelse\n set prefix=($prefix)/boot/grub2\n configfile $prefix/grub.cfg\nfi\nboot\n";
    let stub = "/boot/efi/EFI/x/grub.cfg";
    for text in [fedora, debian, coreos, "search --set --fs-uuid u-boot\nconfigfile /grub2/grub.cfg"] {
        for more in [&[][..], &[("/boot/efi/EFI/x/bootuuid.cfg", "set BOOT_UUID=\"u-boot\"")]] {
            let files: Vec<_> = [(stub, text), (CONFIG, menu)].iter().chain(more).copied().collect();
            let found = followed(&Table::of(&files), stub).unwrap();
            assert_eq!((found.title.as_str(), found.configuration.as_str()), ("real", CONFIG), "{text}");
        }
    }
    // A configuration on another disk, and configurations that lead in a circle.
    let other = fedora.replace("u-boot", "u-elsewhere");
    let said = followed(&Table::of(&[(stub, &other)]), stub).unwrap_err();
    assert_eq!(said, format!("{stub}: its menu is elsewhere (`configfile ()/grub2/grub.cfg`), and the image does not show that file"));
    let said = followed(&Table::of(&[(stub, fedora), (CONFIG, "configfile /efi/EFI/x/grub.cfg")]), stub).unwrap_err();
    assert_eq!(said, format!("{CONFIG}: it leads back to {stub}"));
    let chain: Vec<_> = (0..9).map(|number| (format!("/boot/{number}"), format!("configfile /boot/{}", number + 1))).collect();
    let chain: Vec<_> = chain.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(followed(&Table::of(&chain), "/boot/0").unwrap_err(), "/boot/0: more than 8 configurations follow each other");
}

/// Entries as kernel-install of EL8 and of Fedora writes them, and what `default` is there.
#[test]
fn boot_loader_entries_are_the_menu() {
    let id = "0f0d61a9d8d64cd6a7d2d6d5fb0b0c0b";
    let entry = |version: &str, options: &str| {
        let (path, title) = (format!("/boot/loader/entries/{id}-{version}.conf"), format!("Linux ({version}) 8"));
        let text = format!(
            "title {title}\nversion {version}\nlinux /vmlinuz-{version}\ninitrd /initramfs-{version}.img $tuned_initrd\noptions {options}\n\
             id linux-{version}\ngrub_users $grub_users\ngrub_arg --unrestricted\ngrub_class kernel\n"
        );
        (path, text)
    };
    let entries = [
        entry("4.18.0-9.el8.x86_64", "$kernelopts $tuned_params"),
        entry("4.18.0-80.el8.x86_64", "$kernelopts $tuned_params"),
        entry("0-rescue", "root=/dev/vda1 ro"),
    ];
    let config = "if [ -s $prefix/grubenv ]; then\n load_env\nfi\nset default=\"${saved_entry}\"\nsearch --no-floppy --fs-uuid --set=root u-boot\n\
                  if [ -z \"${kernelopts}\" ]; then\n set kernelopts=\"root=fallback ro \"\nfi\ninsmod blscfg\nblscfg\nmenuentry other { linux /other\n \
                  initrd /other.img\n }";
    let (rescue, older) = (format!("{id}-0-rescue"), format!("{id}-4.18.0-9.el8.x86_64"));
    let (old, new) = ("/vmlinuz-4.18.0-9.el8.x86_64", "/vmlinuz-4.18.0-80.el8.x86_64");
    for (environment, kernel, arguments) in [
        ("a=b".to_owned(), new, "root=fallback ro"),
        ("kernelopts=root=UUID=1 ro quiet".to_owned(), new, "root=UUID=1 ro quiet"),
        ("kernelopts=a\ntuned_params=skew_tick=1\ntuned_initrd=($root)/tuned.img".to_owned(), new, "a skew_tick=1"),
        (format!("saved_entry={older}"), old, "root=fallback ro"),
        (format!("saved_entry={rescue}"), "/vmlinuz-0-rescue", "root=/dev/vda1 ro"),
        ("saved_entry=1".to_owned(), old, "root=fallback ro"),
        ("saved_entry=Linux (0-rescue) 8".to_owned(), "/vmlinuz-0-rescue", "root=/dev/vda1 ro"),
        ("saved_entry=other".to_owned(), "/other", ""),
        ("saved_entry=gone".to_owned(), new, "root=fallback ro"),
    ] {
        let mut files = vec![(CONFIG, config), (GRUBENV, environment.as_str())];
        files.extend(entries.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        let found = followed(&Table::of(&files), CONFIG).unwrap();
        assert_eq!((found.kernel.trim_start_matches("(/boot)"), found.arguments.as_str()), (kernel, arguments), "{environment}");
        assert_eq!((found.is_bls, found.configuration != CONFIG), (kernel != "/other", kernel != "/other"));
        assert_eq!(found.initrds.len(), if environment.contains("tuned_initrd") { 2 } else { 1 });
        assert_eq!(found.device.as_deref(), Some("/boot"));
    }
    let many: Vec<_> = (0..=MAX_ENTRIES).map(|number| (format!("{ENTRIES}/{number}.conf"), "linux /k")).collect();
    let mut files: Vec<_> = many.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.push((CONFIG, "blscfg"));
    let complaint = format!("{CONFIG}: {ENTRIES} holds 1001 entries, 1000 at most are read");
    assert_eq!(followed(&Table::of(&files), CONFIG).unwrap_err(), complaint);
}

#[test]
fn files_are_found_where_grub_means_them() {
    let table = Table::of(&[("/boot/vmlinuz", ""), ("/vmlinuz", ""), ("/boot/only", ""), ("/boot/boot/deep", "")]);
    for (name, device, expected) in [
        ("/vmlinuz", None, Some("/boot/vmlinuz")),
        ("/vmlinuz", Some("/"), Some("/vmlinuz")),
        ("(/)/vmlinuz", Some("/boot"), Some("/vmlinuz")),
        ("(hd0,gpt1)/vmlinuz", Some("/"), Some("/boot/vmlinuz")),
        ("/boot/deep", Some("/boot"), Some("/boot/boot/deep")),
        ("/only", Some("/"), Some("/boot/only")),
        ("only", None, None),
        ("(hd0", None, None),
        ("/none", Some("/boot"), None),
    ] {
        assert_eq!(locate(&table, name, device).unwrap().as_deref(), expected, "{name} {device:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "([a-z={}'\"$#;\\\\\n >\\[\\]]|menuentry |submenu |if |then |fi\n|linux |initrd |blscfg\n|search --set=root |source |configfile /){0,60}") {
        let _ = followed(&Table::of(&[(CONFIG, &text), (GRUBENV, &text), ("/boot/loader/entries/a.conf", &text), ("/boot/a", &text)]), CONFIG);
    }
}
