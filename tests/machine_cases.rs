//! Machine specs and QEMU's arguments for them, as golden files. `REGENERATE=1` rewrites them; review the diff.

use std::fs;
use std::path::Path;

use goldsmith::base::size::ByteSize;
use goldsmith::machine::MachineSpec;
use goldsmith::machine::args::{Wiring, arguments};
use goldsmith::machine::spec::{
    Accelerator, Begins, Boot, Drive, Durability, FirmwareFiles, FlashFile, Format, Forward, Mac, NetworkSpec, Subnet, Volume,
};

/// A machine with nothing special about it.
pub fn plain(name: &str, boot: Boot, drives: Vec<Drive>) -> MachineSpec {
    MachineSpec {
        name: name.into(),
        accelerator: Accelerator::Tcg,
        cpus: 1,
        memory: ByteSize::mib(64),
        drives,
        boot,
        begins: Begins::Booting,
        ports: Vec::new(),
        network: NetworkSpec::None,
        cards: 0,
        segment: None,
        volumes: Vec::new(),
        reboots: false,
    }
}

fn cases() -> Vec<(&'static str, MachineSpec)> {
    let kernel = |firmware| Boot::Kernel {
        kernel: "/media/vmlinuz".into(),
        initrd: "/work dir/initrd, with comma.img".into(),
        command_line: "console=ttyS0,115200 inst.stage2=hd:LABEL=CentOS\\x207\\x20x86_64 quiet".into(),
        firmware,
    };
    let uefi = FirmwareFiles::Uefi {
        code: FlashFile { path: "/usr/share/OVMF/OVMF_CODE_4M.fd".into(), format: Format::Raw },
        vars: FlashFile { path: "/store/vars.qcow2".into(), format: Format::Qcow2 },
    };
    let disk = || Drive::scratch("/store/disk, \"a\"=b.qcow2", Format::Qcow2, "disk");
    let user = |outside, subnet, port: Option<u16>| NetworkSpec::User {
        outside,
        subnet,
        forwards: port.map(Forward::ssh).into_iter().collect(),
        mac: port.map(|_| Mac([0x52, 0x54, 0, 1, 2, 0xfe])),
    };
    let warm = |name: &str, begins| MachineSpec {
        begins,
        network: user(true, None, Some(2222)),
        cards: 1,
        segment: Some(Mac([0x52, 0x54, 10, 207, 0, 1])),
        ..plain(name, kernel(FirmwareFiles::Bios), vec![disk()])
    };
    vec![
        ("bios-disk", plain("bios", Boot::Disk(FirmwareFiles::Bios), vec![disk()])),
        ("uefi-disk", MachineSpec { accelerator: Accelerator::Kvm, ..plain("uefi", Boot::Disk(uefi.clone()), vec![disk()]) }),
        ("uefi-install", plain("uefi", kernel(uefi.clone()), vec![disk(), Drive::read_only("/media/c.iso", Format::Raw, "iso")])),
        (
            "install",
            MachineSpec {
                cpus: 2,
                memory: ByteSize(2 * 1024 * 1024 * 1024 + 1),
                ports: vec!["org.goldsmith.log".into(), "org.goldsmith.output".into()],
                network: user(false, Some(Subnet { guest: [172, 16, 51, 35].into(), prefix: 24, gateway: None }), None),
                ..plain(
                    "install",
                    kernel(FirmwareFiles::Bios),
                    vec![
                        disk(),
                        Drive { serial: Some("installer".into()), ..Drive::read_only("/media/c.iso", Format::Raw, "iso") },
                        Drive::read_only("/store/bundle.img", Format::Raw, "bundle"),
                    ],
                )
            },
        ),
        (
            "cards",
            MachineSpec {
                network: user(false, None, None),
                cards: 2,
                segment: Some(Mac([0x52, 0x54, 10, 207, 0, 1])),
                ..plain("cards", Boot::Disk(FirmwareFiles::Bios), vec![disk()])
            },
        ),
        (
            "volumes",
            MachineSpec {
                volumes: [("source", false), ("data", true)]
                    .map(|(tag, read_only)| Volume { dir: "/host".into(), tag: tag.to_owned(), read_only })
                    .into(),
                ..plain("volumes", Boot::Disk(FirmwareFiles::Bios), vec![disk()])
            },
        ),
        (
            "uefi-volume",
            MachineSpec {
                volumes: vec![Volume { dir: "/host".into(), tag: "source".to_owned(), read_only: false }],
                ..plain("uefi-volume", Boot::Disk(uefi.clone()), vec![disk()])
            },
        ),
        ("to-be-saved", warm("to-be-saved", Begins::ToBeSaved { memory: "/store/a,b/memory".into() })),
        (
            "saved",
            warm(
                "saved",
                Begins::Saved {
                    memory: "/store/a,b/memory".into(),
                    state: "/store/a,b/state".into(),
                    machine_type: "pc-i440fx-7.2".to_owned(),
                },
            ),
        ),
        (
            "local",
            MachineSpec {
                reboots: true,
                network: user(true, None, Some(2222)),
                segment: Some(Mac([0x52, 0x54, 10, 207, 0, 1])),
                ..plain(
                    "local",
                    Boot::Disk(FirmwareFiles::Bios),
                    vec![Drive {
                        durability: Durability::Flushed,
                        discard: false,
                        ..Drive::scratch("/vm/disk.qcow2", Format::Qcow2, "disk")
                    }],
                )
            },
        ),
    ]
}

#[test]
fn specs_become_the_arguments_of_the_golden_files() {
    for (name, spec) in cases() {
        spec.check().unwrap();
        let log = Path::new("/evidence,1/console.log");
        let ports = (0..).take(spec.ports.len()).map(|index| 12 + index).collect();
        let state = matches!(spec.begins, Begins::Saved { .. }).then_some(8);
        let run = arguments(
            &spec,
            &Wiring::Inherited {
                qmp: 10,
                console: 11,
                console_log: log,
                ports,
                segment: spec.segment.map(|_| 9),
                state,
                volumes: (20..).take(spec.volumes.len()).collect(),
            },
        );
        let paste = arguments(&spec, &Wiring::Terminal);
        // An option and its value on one line.
        let text = |args: &[String]| {
            args.iter().map(|arg| if arg.starts_with('-') { format!("\n{arg}") } else { format!(" {arg}") }).collect::<String>()
        };
        let actual = format!("# run{}\n\n# paste{}\n", text(&run), text(&paste));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/machine").join(format!("{name}.txt"));
        if std::env::var_os("REGENERATE").is_some() {
            fs::write(&path, &actual).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(actual, golden, "{name}: REGENERATE=1 rewrites {}", path.display());
    }
}
