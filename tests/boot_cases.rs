//! The default boot entry of whole disks: with the programs and files of systemd, and compared with bootctl where root may mount a tmpfs.

use std::fs;
use std::path::{Path, PathBuf};

use goldsmith::image::{BootEntry, BootFiles, Disk, Fallback, Format, ImageError, Mechanism, Root};
use tempfile::TempDir;

use crate::faults::possible;
use crate::mounted_tree::{run, tried};
use crate::support::goldsmith;

/// The UUIDs of the filesystems: ESP, `/boot`, root.
const ESP: &str = "1234-ABCD";
const BOOT: &str = "0b9b1a3c-6b5a-4d3e-9a0e-3f2f6c1c7d11";
/// The ESP of a disk for mtools: `disk`, two at signs, and its offset.
const IN_DISK: &str = "$(printf '%s/disk\\100\\1001M' @)";
const GENERATOR: &str = "lib/systemd/system-generators/systemd-gpt-auto-generator";

/// A directory with the trees `esp`, `boot` and `root`, from which a disk is made.
struct Place(TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        run(&place.0, "mkdir -p @/esp @/boot @/root/etc");
        place.put("root/etc/os-release", "ID=x\n");
        files.iter().for_each(|(path, text)| place.put(path, text));
        place
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A disk with an ESP, a partition of `type_code` with the tree `boot`, and the root.
    fn disk(&self, type_code: &str) -> PathBuf {
        run(&self.0, "rm -f @/disk @/fat; truncate -s 66M @/disk; truncate -s 20M @/fat && mkfs.vfat -i 1234abcd @/fat");
        run(&self.0, "cd @/esp && if [ \"$(ls)\" ]; then LC_ALL=C.UTF-8 mcopy -s -m -Q -i @/fat * ::; fi");
        run(&self.0, &format!("sgdisk -n 1:1M:+20M -t 1:ef00 -n 2:21M:+20M -t 2:{type_code} -n 3:41M:0 -t 3:8304 @/disk"));
        run(&self.0, &format!("mke2fs -q -F -t ext4 -U {BOOT} -d @/boot -E offset={} @/disk 20M", 21 << 20));
        run(&self.0, &format!("mke2fs -q -F -t ext4 -d @/root -E offset={} @/disk 20M", 41 << 20));
        run(&self.0, "dd if=@/fat of=@/disk bs=1M seek=1 conv=notrunc status=none");
        self.0.path().join("disk")
    }

    /// The boot entry of a disk of `type_code`.
    fn boots(&self, type_code: &str) -> Result<BootEntry, ImageError> {
        self.disk(type_code);
        self.boots_now()
    }

    /// The boot entry of the last disk, with this content in the ESP's file `path`.
    fn boots_with(&self, path: &str, content: impl AsRef<[u8]>) -> Result<BootEntry, ImageError> {
        self.put("changed", content);
        run(&self.0, &format!("mcopy -o -i {IN_DISK} @/changed ::{path}"));
        self.boots_now()
    }

    /// The boot entry of the last disk.
    fn boots_now(&self) -> Result<BootEntry, ImageError> {
        BootEntry::read(&Root::open(&Disk::open(&self.0.path().join("disk")).unwrap()).unwrap())
    }

    /// The result for a machine without stored boot entries that boots a disk of these files.
    fn fallback(&self) -> Fallback {
        Fallback::of(&Root::open(&Disk::open(&self.disk("8300")).unwrap()).unwrap()).unwrap()
    }

    /// Make the unified kernel image `path` from the real stub. The sections come after those of the stub.
    fn unify(&self, path: &str, sections: &[(&str, &[u8])]) {
        let mut line = "mkdir -p \"$(dirname @/PATH)\" && objcopy".to_owned();
        for (number, (name, content)) in sections.iter().enumerate() {
            self.put(&format!("section{number}"), content);
            let address = 0x100_0000 + number * 0x100_0000;
            line += &format!(" --add-section {name}=@/section{number} --change-section-vma {name}={address:#x}");
        }
        run(&self.0, &format!("{line} /usr/lib/systemd/boot/efi/linuxx64.efi.stub @/PATH").replace("PATH", path));
    }

    /// Let the firmware start systemd-boot, and systemd mount the ESP.
    fn with_systemd_boot(self) -> Self {
        self.put("esp/EFI/BOOT/BOOTX64.EFI", fs::read("/usr/lib/systemd/boot/efi/systemd-bootx64.efi").unwrap());
        self.put(&format!("root/{GENERATOR}"), "");
        run(&self.0, "mkdir -p @/root/efi");
        self
    }
}

/// Kernel, initramfs and arguments that a machine would be given.
fn extracted(place: &Place, disk: &Path) -> (Vec<u8>, Vec<u8>, String) {
    let into = tempfile::tempdir_in(place.0.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let files = runtime.block_on(BootFiles::extract(disk, Format::Raw, into.path())).unwrap();
    let (kernel, initrd, arguments) = files.parts();
    (fs::read(kernel).unwrap(), fs::read(initrd).unwrap(), arguments.to_owned())
}

/// An ESP as the packages of EL7 make it, and with one file missing each: the result for a machine without stored boot entries.
#[test]
fn a_new_machine_is_followed_to_its_boot_loader() {
    const EFI: &str = "/boot/efi/EFI";
    let fstab = format!("UUID={ESP} /boot/efi vfat defaults 0 0\n");
    let place = Place::new(&[("root/etc/fstab", &fstab), ("esp/EFI/centos/grubx64.efi", "MZ"), ("root/boot/efi/.keep", "")]);
    let ends = |place: &Place, why: &str| assert_eq!(place.fallback(), Fallback::Ends(why.to_owned()));
    let leads = |place: &Place, way: &[&str]| {
        assert_eq!(place.fallback(), Fallback::Leads(way.iter().map(|program| format!("{EFI}/{program}")).collect()));
    };
    ends(&place, "there is no EFI/BOOT/BOOTX64.EFI on the EFI system partition (/boot/efi)");
    place.put("esp/EFI/BOOT/BOOTX64.EFI", "MZ");
    ends(&place, "/boot/efi/EFI/BOOT/BOOTX64.EFI is no program: it is no PE file: its header is not where it says");
    let loader = fs::read("/usr/lib/systemd/boot/efi/systemd-bootx64.efi").unwrap();
    place.put("esp/EFI/BOOT/BOOTX64.EFI", &loader);
    leads(&place, &["BOOT/BOOTX64.EFI"]);
    // A shim holds the name of the program that it starts.
    place.put(
        "esp/EFI/BOOT/BOOTX64.EFI",
        [&loader[..], &"\\grubx64.efi\0".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat(),
    );
    ends(&place, "/boot/efi/EFI/BOOT/BOOTX64.EFI starts /boot/efi/EFI/BOOT/grubx64.efi, which is not there");
    place.put("esp/EFI/BOOT/grubx64.efi", "MZ");
    leads(&place, &["BOOT/BOOTX64.EFI", "BOOT/grubx64.efi"]);
    place.put("esp/EFI/BOOT/fbx64.efi", "MZ");
    let starts = "/boot/efi/EFI/BOOT/BOOTX64.EFI starts /boot/efi/EFI/BOOT/fbx64.efi, and ";
    ends(&place, &format!("{starts}no directory of /boot/efi/EFI has a BOOTX64.CSV or BOOT.CSV that names a boot loader"));
    let list = "\u{feff}shimx64.efi,CentOS Linux,,This is the boot entry for CentOS Linux\n";
    place.put("esp/EFI/centos/BOOTX64.CSV", list.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
    ends(&place, &format!("{starts}/boot/efi/EFI/centos/BOOTX64.CSV names shimx64.efi, which is not there"));
    place.put("esp/EFI/centos/shimx64.efi", "MZ");
    leads(&place, &["BOOT/BOOTX64.EFI", "BOOT/fbx64.efi", "centos/shimx64.efi"]);
    place.put("root/etc/fstab", "");
    ends(&place, "the system mounts no EFI system partition");
}

#[test]
fn grub_with_boot_loader_entries_is_followed_from_the_esp() {
    let menu = "load_env\nset default=\"${saved_entry}\"\nsearch --no-floppy --fs-uuid --set=root UUID\nblscfg\n".replace("UUID", BOOT);
    let stub =
        format!("search --no-floppy --fs-uuid --set=dev {BOOT}\nset prefix=($dev)/other\nexport $prefix\nconfigfile $prefix/grub.cfg\n");
    let entry = |version: &str| {
        format!(
            "title Rocky ({version})\nversion {version}\nlinux /vmlinuz-{version}\ninitrd /early.img /initramfs-{version}.img\noptions root=/dev/vda3 $x\n"
        )
    };
    let place = Place::new(&[
        ("esp/EFI/rocky/grub.cfg", &stub),
        ("boot/other/grub.cfg", &menu),
        ("boot/loader/entries/m-5.14.0-9.conf", &entry("5.14.0-9")),
        ("boot/loader/entries/m-5.14.0-70.conf", &entry("5.14.0-70")),
        ("root/etc/fstab", &format!("UUID={BOOT} /boot ext4 defaults 0 0\nUUID={ESP} /boot/efi vfat defaults 0 0\n")),
        ("boot/early.img", "odd"),
    ]);
    for version in ["9", "70"] {
        place.put(&format!("boot/vmlinuz-5.14.0-{version}"), format!("kernel {version}"));
        place.put(&format!("boot/initramfs-5.14.0-{version}.img"), format!("initrd {version}"));
    }
    for (environment, version) in [("x=quiet", "70"), ("x=quiet\nsaved_entry=m-5.14.0-9\n", "9")] {
        place.put("boot/other/grubenv", environment);
        let entry = place.boots("8300").unwrap();
        assert_eq!(entry.mechanism, Mechanism::GrubBootLoaderEntries);
        assert_eq!(entry.configuration, format!("/boot/loader/entries/m-5.14.0-{version}.conf"));
        // Each archive begins at a multiple of four bytes.
        let expected = (format!("kernel {version}"), format!("odd\0initrd {version}"), "root=/dev/vda3 quiet".to_owned());
        let (kernel, initrd, arguments) = extracted(&place, &place.0.path().join("disk"));
        assert_eq!((kernel, initrd, arguments), (expected.0.into_bytes(), expected.1.into_bytes(), expected.2));
    }
    let disk = place.0.path().join("disk");
    let shown = goldsmith(["image", "inspect", disk.to_str().unwrap()]).end();
    let row = "boots how      grub + boot loader entries, /boot/loader/entries/m-5.14.0-9.conf\n";
    assert!(shown.stdout.contains(row), "{}", shown.stdout);
    let json: serde_json::Value =
        serde_json::from_str(&goldsmith(["image", "inspect", disk.to_str().unwrap(), "--json"]).end().stdout).unwrap();
    let expected = serde_json::json!({
        "mechanism": "grub-boot-loader-entries",
        "configuration": "/boot/loader/entries/m-5.14.0-9.conf",
        "title": "Rocky (5.14.0-9)",
        "kernel": "/boot/vmlinuz-5.14.0-9",
        "kernel_part": null,
        "initrd": "/boot/initramfs-5.14.0-9.img",
        "initrds": [{"path": "/boot/early.img", "part": null}, {"path": "/boot/initramfs-5.14.0-9.img", "part": null}],
        "arguments": "root=/dev/vda3 quiet",
    });
    assert_eq!(json["system"]["boot"], expected);
    // A missing kernel is reported with the entry that names it.
    fs::remove_file(place.0.path().join("boot/vmlinuz-5.14.0-9")).unwrap();
    let said = place.boots("8300").unwrap_err().to_string();
    assert!(said.ends_with("no (/boot)/vmlinuz-5.14.0-9, which /boot/loader/entries/m-5.14.0-9.conf boots"), "{said}");
}

#[test]
fn unified_kernel_images_give_their_sections() {
    let place = Place::new(&[]).with_systemd_boot();
    let (kernel, initrd) = ([&[1; 5_001][..], b"end"].concat(), vec![2; 70_003]);
    let sections: &[(&str, &[u8])] = &[
        (".osrel", b"ID=debian\nPRETTY_NAME=\"Debian 13\"\nVERSION_ID=13\n"),
        (".cmdline", b"root=UUID=1 ro\n"),
        (".uname", b"6.12"),
        (".linux", &kernel),
        (".initrd", &initrd),
    ];
    let path = "esp/EFI/Linux/debian-6.12.efi";
    place.unify(path, sections);
    let entry = place.boots("8300").unwrap();
    assert_eq!((entry.mechanism, entry.title.as_str()), (Mechanism::UnifiedKernelImage, "Debian 13"));
    assert_eq!(entry.kernel.to_string(), "/efi/EFI/Linux/debian-6.12.efi (.linux)");
    assert_eq!(extracted(&place, &place.0.path().join("disk")), (kernel.clone(), initrd.clone(), "root=UUID=1 ro".to_owned()));
    // The firmware can start it itself, and it need not have arguments or a description.
    let bare: Vec<_> = sections.iter().copied().filter(|(name, _)| [".linux", ".initrd"].contains(name)).collect();
    fs::remove_file(place.0.path().join(path)).unwrap();
    place.unify("esp/EFI/BOOT/BOOTX64.EFI", &bare);
    let entry = place.boots("8300").unwrap();
    assert_eq!((entry.configuration.as_str(), entry.arguments.as_str()), ("/efi/EFI/BOOT/BOOTX64.EFI", ""));
    assert_eq!(extracted(&place, &place.0.path().join("disk")), (kernel, initrd, String::new()));
}

#[test]
fn systemd_boot_chooses_as_bootctl_does() {
    let place = Place::new(&[("esp/k", "kernel"), ("esp/i", "initrd"), ("boot/k", "kernel"), ("boot/i", "initrd")]).with_systemd_boot();
    let type_1 = |name: &str, more: &str| place.put(name, format!("title {name}\nlinux /k\ninitrd \\i\noptions a\noptions b\n{more}"));
    type_1("esp/loader/entries/a-5.conf", "version 5\nmachine-id dd235d00696545768f6f693bfd23b15f\n");
    type_1("esp/loader/entries/a-10.conf", "version 10\n");
    type_1("esp/loader/entries/b-3_rc1.conf", "");
    type_1("boot/loader/entries/b-3.conf", "architecture x64\n");
    type_1("boot/loader/entries/c.conf", "sort-key xxxx\nversion 5\nmachine-id 309de666fd5044268a9a26541ac93176\n");
    type_1("esp/loader/entries/cx.conf", "sort-key xxxx\nversion 10\nmachine-id 309de666fd5044268a9a26541ac93176\n");
    type_1("esp/loader/entries/d.conf", "sort-key kkkk\nversion 100\n");
    place.put("esp/loader/entries/quoted.conf", "# comment\n\ntitle \"quoted\"\nlinux /k\ninitrd /i\nsort-key kkkk\nversion 99\n");
    for version in ["6.1", "6.12"] {
        let release = format!("ID=lmn\nPRETTY_NAME=\"L {version}\"\nVERSION_ID={version}\n");
        let sections: &[(&str, &[u8])] = &[(".osrel", release.as_bytes()), (".cmdline", b"x"), (".linux", b"k"), (".initrd", b"i")];
        place.unify(&format!("esp/EFI/Linux/l-{version}.efi"), sections);
    }
    // The kernel cannot mount FAT on every host. bootctl accepts any filesystem when these variables are set, and it accepts a directory
    // with one mounted on it.
    let oracle = "export SYSTEMD_RELAX_ESP_CHECKS=1 SYSTEMD_RELAX_XBOOTLDR_CHECKS=1; mkdir -p @/e @/x && mount -t tmpfs x @/e && \
                  mount -t tmpfs x @/x && cp -a @/esp/. @/e && cp -a @/boot/. @/x && BOOTCTL list --esp-path=@/e --boot-path=@/x";
    // Debian's package puts systemd-boot into the ESP of a host that has one, so ci/setup does not install it.
    let bootctl = std::env::var("BOOTCTL").unwrap_or_else(|_| "/usr/bin/bootctl".to_owned());
    if !possible(&[&bootctl, "--version"], "there is no bootctl; BOOTCTL names one")
        || !possible(&["unshare", "-m", "true"], "only root can mount what bootctl looks at")
    {
        return;
    }
    let oracle = oracle.replace("BOOTCTL", &bootctl);
    let said = |options: &str| tried(&place.0, &format!("unshare -m sh -c '{oracle} {options}'"));
    place.disk("ea00");
    let mut left = 0;
    loop {
        let (success, text) = said("--json=short");
        assert!(success, "{text}");
        let entries: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        // A pattern of each kind, while all entries are there.
        let patterns: &[&str] = if left == 0 { &["", "nothing", "a-*.conf", "B-3*", "?.conf", "[lm]-6.1.efi", "cx.conf"] } else { &[""] };
        for pattern in patterns {
            let text = if pattern.is_empty() { "timeout 3\n".to_owned() } else { format!("default {pattern}\n") };
            place.put("esp/loader/loader.conf", &text);
            let ours = place.boots_with("loader/loader.conf", &text).unwrap();
            let theirs = match said("") {
                (true, text) if !pattern.is_empty() && text.contains("(default)") => {
                    let rest = &text[text.find("(default)").unwrap()..];
                    let rest = &rest[rest.find("source: ").unwrap() + 8..];
                    rest[..rest.find('\n').unwrap()].to_owned()
                }
                _ => entries[0]["path"].as_str().unwrap().to_owned(),
            };
            let theirs = theirs.replace(place.0.path().to_str().unwrap(), "").replacen("/e/", "/efi/", 1).replacen("/x/", "/boot/", 1);
            assert_eq!(ours.configuration, theirs, "{pattern}");
            if ours.mechanism == Mechanism::SystemdBoot && ours.title != "quoted" {
                assert_eq!(ours.arguments, "a b");
            }
        }
        // The rest of the order: the first entry is removed each time.
        let first = entries[0]["path"].as_str().unwrap();
        let (in_esp, in_boot) = (first.split_once("/e/"), first.split_once("/x/"));
        if let Some((_, path)) = in_esp {
            run(&place.0, &format!("rm '@/esp/{path}' && mdel -i {IN_DISK} '::{path}'"));
        } else if let Some((_, path)) = in_boot {
            run(&place.0, &format!("rm '@/boot/{path}' && debugfs -w -R 'rm /{path}' '@/disk?offset={}'", 21 << 20));
        }
        left += 1;
        if entries.len() == 1 {
            break;
        }
    }
    assert_eq!(left, 10);
    assert!(place.boots_now().unwrap_err().to_string().contains("no boot configuration"), "no entry is left");
}

#[test]
fn what_systemd_boot_passes_over_is_passed_over() {
    let entry = "linux /k\ninitrd /i\n";
    let place = Place::new(&[
        ("esp/k", "kernel"),
        ("esp/i", "initrd"),
        ("esp/loader/loader.conf", "default @saved\n"),
        ("esp/loader/entries/z-arm.conf", &format!("{entry}architecture aa64\n")),
        ("esp/loader/entries/y-absent.conf", "linux /absent\ninitrd /i\n"),
        ("esp/loader/entries/x.txt", entry),
        ("esp/loader/entries/w-without.conf", "title none\n"),
        ("esp/loader/entries/v+0-3.conf", entry),
        ("esp/loader/entries/b+2-1.conf", entry),
        ("esp/loader/entries/a.conf", entry),
        ("esp/EFI/Linux/garbage.efi", "MZ garbage"),
    ])
    .with_systemd_boot();
    place.unify("esp/EFI/Linux/nothing.efi", &[(".osrel", b"ID=a\n")]);
    assert_eq!(place.boots("8300").unwrap().configuration, "/efi/loader/entries/b+2-1.conf");
    // Without the generator the ESP is not mounted, and then the boot entry is not known.
    fs::remove_file(place.0.path().join("root").join(GENERATOR)).unwrap();
    assert!(place.boots("8300").is_err());
}

/// Each damaged file is reported with its name, and nothing hangs.
#[test]
fn damaged_boot_configurations_are_told() {
    let place = Place::new(&[("esp/k", "kernel"), ("esp/i", "initrd")]).with_systemd_boot();
    let uki = "esp/EFI/Linux/a.efi";
    place.unify(uki, &[(".osrel", b"ID=a\n"), (".linux", &[1; 3000]), (".initrd", &[2; 3000]), (".cmdline", b"x")]);
    let sound = fs::read(place.0.path().join(uki)).unwrap();
    let header = |name: &str| {
        sound.windows(8).position(|window| window.starts_with(name.as_bytes()) && window[name.len()..] == [0; 8][name.len()..]).unwrap()
    };
    let linux = header(".linux");
    let initrd = header(".initrd");
    let spoilt = |at: usize, bytes: &[u8]| {
        let mut file = sound.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    place.put("esp/loader/entries/noise.conf", "");
    place.put("esp/loader/loader.conf", "");
    place.disk("ea00");
    let sections_at = u32::from_le_bytes(sound[0x3c..0x40].try_into().unwrap()) as usize + 6;
    let offset_of_linux = sound[linux + 20..linux + 24].to_vec();
    for (what, file, complaint) in [
        ("the kernel lies behind the end", spoilt(linux + 20, &[0xff; 4]), "boot configuration"),
        ("more sections than there are", spoilt(sections_at, &[90]), ""),
        ("too many sections", spoilt(sections_at, &[0xff, 0xff]), "boot configuration"),
        ("kernel and initramfs in one place", spoilt(initrd + 20, &offset_of_linux), "its sections .linux and .initrd lie over each other"),
        ("cut off", sound[..sound.len() / 2].to_vec(), "boot configuration"),
        ("only zeros", vec![0; 5000], "boot configuration"),
    ] {
        match place.boots_with("EFI/Linux/a.efi", file) {
            Ok(entry) => assert!(complaint.is_empty() && entry.arguments == "x", "{what}: {entry:?}"),
            Err(error) => assert!(error.to_string().contains(complaint), "{what}: {error}"),
        }
    }
    run(&place.0, &format!("mdel -i {IN_DISK} ::EFI/Linux/a.efi"));
    let noise: Vec<u8> = (0..60_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (path, content, complaint) in [
        ("loader/entries/noise.conf", noise.clone(), "no boot configuration"),
        ("loader/loader.conf", noise, "no boot configuration"),
        ("loader/entries/noise.conf", b"linux /k\ninitrd /../../i\n".to_vec(), "no /efi/../../i"),
        ("loader/entries/noise.conf", b"linux /k\n".to_vec(), "has no initrd"),
        ("loader/entries/noise.conf", b"linux /EFI\ninitrd /i\n".to_vec(), "no boot configuration"),
        ("loader/entries/noise.conf", b"linux /k\ninitrd /EFI\n".to_vec(), "is a directory, not a file"),
        ("loader/entries/noise.conf", ["linux /k\noptions ".as_bytes(), &[b'x'; 1 << 20]].concat(), "has no initrd"),
    ] {
        let said = place.boots_with(path, content).unwrap_err().to_string();
        assert!(said.contains(complaint), "{path}: {said}");
    }
    for number in 0..1_001 {
        place.put(&format!("boot/loader/entries/{number}.conf"), "");
    }
    let said = place.boots("ea00").unwrap_err().to_string();
    assert!(said.contains("/boot/loader/entries holds 1001 entries, 1000 at most are read"), "{said}");
}
