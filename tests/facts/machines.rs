//! The arguments of the installer's kernel, and its machine.

use goldsmith::installer::anaconda::{KERNEL_ARGUMENTS, LOG_PORT, REPORT_PORT, kernel_arguments};
use goldsmith::machine::MachineSpec;
use goldsmith::machine::args::{Wiring, arguments};
use goldsmith::machine::spec::{Boot, Drive, FirmwareFiles, Format, NetworkSpec};

use crate::machine_cases::plain;

/// QEMU's arguments for an installation, and for the installed system.
fn machines() -> [Vec<String>; 2] {
    let disk = || Drive::scratch("/d.raw", Format::Raw, "disk");
    let (command_line, firmware) = (KERNEL_ARGUMENTS.into(), FirmwareFiles::Bios);
    let kernel = Boot::Kernel { kernel: "/k".into(), initrd: "/i".into(), command_line, firmware };
    let install = MachineSpec {
        ports: vec![LOG_PORT.into(), REPORT_PORT.into()],
        network: NetworkSpec::User { outside: false, subnet: None, forwards: Vec::new(), mac: None },
        ..plain(
            "install",
            kernel,
            vec![disk(), Drive::read_only("/m.iso", Format::Raw, "medium"), Drive::read_only("/v.img", Format::Raw, "volume")],
        )
    };
    let installed = plain("installed", Boot::Disk(FirmwareFiles::Bios), vec![disk()]);
    [install, installed].map(|spec| {
        let ports = (0..).take(spec.ports.len()).map(|index| 12 + index).collect();
        arguments(
            &spec,
            &Wiring::Inherited {
                qmp: 10,
                console: 11,
                console_log: std::path::Path::new("/log"),
                ports,
                segment: None,
                state: None,
                volumes: Vec::new(),
            },
        )
    })
}

fn is_told(word: &str) -> bool {
    KERNEL_ARGUMENTS.split(' ').any(|found| found == word)
}

#[test]
fn the_clock_is_utc_and_the_machine_has_no_identity_of_its_own() {
    for words in machines() {
        assert!(words.windows(2).any(|pair| pair == ["-rtc", "base=utc"]), "{words:?}");
        // systemd 219 takes the UUID as the machine-id, and clones would share it.
        assert!(!words.iter().any(|word| word.starts_with("-uuid") || word.starts_with("-smbios")), "{words:?}");
    }
}

#[test]
fn data_comes_on_disks_whose_names_do_not_move() {
    let [install, installed] = machines();
    let slots = |words: &[String]| {
        let disks = words.iter().filter(|word| word.starts_with("virtio-blk-pci,"));
        disks
            .map(|disk| {
                let option = |name: &str| disk.split(',').find_map(|option| option.strip_prefix(name)).unwrap().to_owned();
                (u32::from_str_radix(option("addr=0x").as_str(), 16).unwrap(), option("drive="))
            })
            .collect::<Vec<_>>()
    };
    // vda is the first disk by its slot.
    let disks = slots(&install);
    assert!(disks.is_sorted() && disks.iter().map(|(_, name)| name.as_str()).eq(["disk", "medium", "volume"]), "{disks:?}");
    assert_eq!(slots(&installed)[0], disks[0], "installed and booted at the same place");
    for word in install.iter().chain(&installed) {
        assert!(!["9p", "virtfs", "fsdev", "vhost-user-fs"].iter().any(|kind| word.contains(kind)), "EL7 has no driver: {word}");
    }
}

#[test]
fn a_failure_in_the_initramfs_or_the_kernel_ends_the_machine() {
    for word in ["rd.shell=0", "rd.emergency=poweroff", "panic=1"] {
        assert!(is_told(word), "{word}");
    }
    for words in machines() {
        // A restart is a different end than a power-off, and the machine must not restart.
        assert!(
            words.contains(&"reboot=shutdown,shutdown=pause,panic=pause".to_owned()) && words.contains(&"pvpanic".to_owned()),
            "{words:?}"
        );
    }
}

#[test]
fn the_installer_is_told_where_everything_is_and_asks_nothing() {
    for word in ["inst.ks=file:/ks.cfg", "inst.cmdline", "inst.nosave=all_ks"] {
        assert!(is_told(word), "{word}");
    }
    let whole = kernel_arguments(r"RHEL-7.5\x20Server.x86_64");
    assert_eq!(whole, format!(r"{KERNEL_ARGUMENTS} inst.stage2=hd:LABEL=RHEL-7.5\x20Server.x86_64"));
    let [install, _] = machines();
    let named =
        |name: &str| install.iter().filter(|word| word.starts_with("virtserialport,") && word.ends_with(&format!(",name={name}"))).count();
    assert_eq!((named("org.fedoraproject.anaconda.log.0"), named(REPORT_PORT)), (1, 1));
    // Anaconda would start a root shell on such a port.
    assert!(!install.iter().any(|word| word.contains("virtconsole") || word.contains("nr=0")));
}
