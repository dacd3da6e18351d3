//! QEMU's arguments for a spec. Pure: the same spec gives the same arguments, and golden files record them.
//!
//! There are two wirings of the same machine: sockets that we bound, for the machine that runs, and the terminal, for a command that the
//! user can paste.

use std::os::fd::RawFd;
use std::path::Path;

use serde::Serialize;

use super::spec::{Accelerator, Access, Begins, Boot, Drive, Durability, FirmwareFiles, FlashFile, Format, Mac, MachineSpec, NetworkSpec};

/// PCI slots, fixed so that the guest's device names do not depend on what else is plugged. 0 to 2 are the chipset's and the display's.
const SLOT_NETWORK: usize = 0x3;
const SLOT_PORTS: usize = 0x4;
const SLOT_RANDOM: usize = 0x5;
const SLOT_FIRST_CARD: usize = 0x6;
/// The kernel numbers cards in the order of their slots, so that this one, which no recipe knows, is behind those of the recipe.
const SLOT_SEGMENT: usize = 0xf;
/// Its slot when there are no further cards. It has been there before machines had any.
const SLOT_SEGMENT_ALONE: usize = 0x6;
const SLOT_FIRST_DRIVE: usize = 0x10;
/// The first one's; the others' are below it.
const SLOT_FIRST_VOLUME: usize = 0x1e;
/// The name of a memory that is a file.
const MEMORY: &str = "memory";

/// Where the console, the monitor and the ports lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wiring<'a> {
    /// Listening sockets, bound by us and inherited by QEMU under these numbers.
    Inherited {
        /// QMP.
        qmp: RawFd,
        /// The serial console.
        console: RawFd,
        /// QEMU's own copy of the console's output; absolute.
        console_log: &'a Path,
        /// The virtio-serial ports, in the order of the spec.
        ports: Vec<RawFd>,
        /// A socket for the frames of the second card.
        segment: Option<RawFd>,
        /// The state of [`Begins::Saved`], open for reading.
        state: Option<RawFd>,
        /// Connections to what serves the volumes, in the order of the spec.
        volumes: Vec<RawFd>,
    },
    /// Console and monitor on the terminal (Ctrl-A C switches), each port's output in a file of the working directory.
    Terminal,
}

/// QEMU's arguments for `spec`, which must have passed [`MachineSpec::check`].
pub fn arguments(spec: &MachineSpec, wiring: &Wiring<'_>) -> Vec<String> {
    // The command for a terminal boots, because the files of a state are not for it, and nothing serves volumes to it.
    let spec = &match wiring {
        Wiring::Inherited { .. } => spec.clone(),
        Wiring::Terminal => MachineSpec { begins: Begins::Booting, volumes: Vec::new(), ..spec.clone() },
    };
    let mut args = Args::default();
    args.option("-name", format!("{},process=goldsmith-vm", spec.name));
    args.flags(&["-nodefaults", "-no-user-config"]);
    args.option("-machine", machine(spec));
    args.extend(accelerator_arguments(spec.accelerator));
    args.option("-smp", spec.cpus.to_string());
    // With a suffix: a bare number would be MiB.
    let memory = format!("{}M", spec.memory.bytes().div_ceil(1 << 20));
    memory_file(&mut args, spec, &memory);
    args.option("-m", memory);
    // The display adapter stays though there is no viewer: GRUB on BIOS hangs without one, and the screenshot needs it.
    args.option("-vga", "std");
    args.option("-display", "none");
    args.option("-rtc", "base=utc");
    args.option("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    if let Wiring::Inherited { state, .. } = wiring {
        if state.is_some() {
            // We say when, and from where.
            args.option("-incoming", "defer");
        }
        // QEMU pauses when the guest ends, so that the last screen can be read. It starts paused too, until all sockets are connected.
        let reboot = if spec.reboots { "reset" } else { "shutdown" };
        args.option("-action", format!("reboot={reboot},shutdown=pause,panic=pause"));
        args.flags(&["-S"]);
    } else if !spec.reboots {
        args.flags(&["-no-reboot"]);
    }
    boot(&mut args, spec);
    drives(&mut args, spec);
    volumes(&mut args, spec, wiring);
    lines(&mut args, spec, wiring);
    network(&mut args, spec, wiring);
    args.option("-device", pci(spec, "virtio-rng-pci", SLOT_RANDOM));
    args.option("-device", "pvpanic");
    args.0
}

/// Accelerator and CPU model. `probe` and machines use the same arguments.
///
/// `max` under TCG is every feature the translator has. It is given without the two promises that a string instruction is quick in steps of
/// one byte (ERMS, FSRM). With them Linux clears and copies pages byte by byte (`clear_page_erms`, arch/x86/lib/clear_page_64.S), and TCG
/// looks through all the code of a page that it has translated at each of the 4096 writes. Timed on QEMU 7.2 with a dracut initramfs of 20
/// MB, whose pages are freed and cleared when the real root takes over: the real root's systemd spoke after 91 s with them, after 38 s
/// without. Masking 5-level paging, SMAP or XSAVE gains nothing that shows, and the baseline model `qemu64` runs no distribution built for
/// x86-64-v2.
pub fn accelerator_arguments(accelerator: Accelerator) -> Vec<String> {
    let (accelerator, cpu) = match accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        Accelerator::Tcg => ("tcg,thread=multi", "max,erms=off,fsrm=off"),
    };
    ["-accel", accelerator, "-cpu", cpu].map(str::to_owned).to_vec()
}

/// What `blockdev-add` and `-blockdev` take (QEMU's `qapi/block-core.json`, `BlockdevOptions`): format on top, file below.
#[derive(Debug, Clone, Serialize)]
pub struct BlockNode {
    driver: &'static str,
    #[serde(rename = "node-name")]
    node: String,
    #[serde(rename = "read-only")]
    read_only: bool,
    discard: &'static str,
    cache: Cache,
    file: FileNode,
    /// `Some(None)` is JSON's null: an overlay whose backing file the snapshot command supplies.
    #[serde(skip_serializing_if = "Option::is_none")]
    backing: Option<Option<String>>,
}

#[derive(Debug, Clone, Serialize)]
struct FileNode {
    driver: &'static str,
    filename: String,
    discard: &'static str,
    cache: Cache,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Cache {
    direct: bool,
    #[serde(rename = "no-flush")]
    no_flush: bool,
}

impl BlockNode {
    /// The node of a drive.
    pub fn of(drive: &Drive) -> Self {
        let cache = Cache { direct: false, no_flush: drive.durability == Durability::Volatile };
        let discard = if drive.discard { "unmap" } else { "ignore" };
        let file = FileNode { driver: "file", filename: text(&drive.path), discard, cache };
        let read_only = drive.access == Access::ReadOnly;
        Self { driver: drive.format.name(), node: drive.node.clone(), read_only, discard, cache, file, backing: None }
    }

    /// The node of a qcow2 overlay that is to be laid over a running disk.
    pub fn overlay(path: &Path, node: &str) -> Self {
        Self { backing: Some(None), ..Self::of(&Drive::scratch(path, Format::Qcow2, node)) }
    }

    fn flash(file: &FlashFile, node: &str, read_only: bool) -> Self {
        let drive = Drive { discard: false, ..Drive::scratch(&file.path, file.format, node) };
        Self { read_only, ..Self::of(&drive) }
    }
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn flags(&mut self, flags: &[&str]) {
        self.extend(flags.iter().map(|&flag| flag.to_owned()));
    }

    fn option(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_owned());
        self.0.push(value.into());
    }

    fn extend(&mut self, words: impl IntoIterator<Item = String>) {
        self.0.extend(words);
    }

    fn blockdev(&mut self, node: &BlockNode) {
        // JSON, because a path may hold any character that QEMU's own syntax would take apart.
        self.option("-blockdev", serde_json::json!(node).to_string());
    }
}

/// BIOS machines are i440fx, as all documentation of these guests has it; OVMF runs on q35, where it is tested most. A saved state is that of
/// one version of a type.
fn machine(spec: &MachineSpec) -> String {
    let kind = match &spec.begins {
        Begins::Saved { machine_type, .. } => machine_type,
        Begins::Booting | Begins::ToBeSaved { .. } => "pc",
    };
    let kind = match spec.boot.firmware() {
        FirmwareFiles::Uefi { .. } => "q35,pflash0=flash-code,pflash1=flash-vars",
        FirmwareFiles::Bios => kind,
    };
    let has_memory = spec.begins != Begins::Booting || !spec.volumes.is_empty();
    if has_memory { format!("{kind},memory-backend={MEMORY}") } else { kind.to_owned() }
}

/// The memory of a machine whose state is saved is a file. Those that go on from the state map it privately, so that nothing is read before it is
/// used, and pages which none of them has changed are there once. What serves a volume reads and writes the memory of the guest (vhost-user).
fn memory_file(args: &mut Args, spec: &MachineSpec, size: &str) {
    let (path, share) = match &spec.begins {
        Begins::Booting if spec.volumes.is_empty() => return,
        Begins::Booting => return args.option("-object", format!("memory-backend-memfd,id={MEMORY},size={size},share=on")),
        Begins::ToBeSaved { memory } => (memory, "on"),
        Begins::Saved { memory, .. } => (memory, "off"),
    };
    args.option("-object", format!("memory-backend-file,id={MEMORY},size={size},share={share},mem-path={}", escape(&text(path))));
}

fn boot(args: &mut Args, spec: &MachineSpec) {
    match &spec.boot {
        Boot::Kernel { kernel, initrd, command_line, firmware: _ } => {
            args.option("-kernel", text(kernel));
            args.option("-initrd", text(initrd));
            args.option("-append", command_line.as_str());
        }
        // SeaBIOS that finds nothing to boot says so and resets after this many milliseconds, instead of waiting for ever.
        Boot::Disk(_) => args.option("-boot", "strict=on,reboot-timeout=1000"),
    }
    if let FirmwareFiles::Uefi { code, vars } = spec.boot.firmware() {
        args.blockdev(&BlockNode::flash(code, "flash-code", true));
        args.blockdev(&BlockNode::flash(vars, "flash-vars", false));
    }
}

fn drives(args: &mut Args, spec: &MachineSpec) {
    for (index, drive) in spec.drives.iter().enumerate() {
        args.blockdev(&BlockNode::of(drive));
        let mut device = pci(spec, "virtio-blk-pci", SLOT_FIRST_DRIVE + index);
        // An error of the host's disk stops the guest and is reported. Otherwise the guest would see an I/O error that it cannot explain.
        device.push_str(&format!(",drive={},id=disk{index},werror=stop,rerror=stop", drive.node));
        if let Some(serial) = &drive.serial {
            device.push_str(&format!(",serial={serial}"));
        }
        if index == 0 && matches!(spec.boot, Boot::Disk(_)) {
            device.push_str(",bootindex=1");
        }
        args.option("-device", device);
    }
}

fn volumes(args: &mut Args, spec: &MachineSpec, wiring: &Wiring<'_>) {
    let Wiring::Inherited { volumes, .. } = wiring else { return };
    for (index, (volume, fd)) in spec.volumes.iter().zip(volumes).enumerate() {
        args.option("-chardev", format!("socket,id=volume{index},fd={fd}"));
        let device = pci(spec, "vhost-user-fs-pci", SLOT_FIRST_VOLUME - index);
        args.option("-device", format!("{device},chardev=volume{index},tag={}", volume.tag));
    }
}

fn lines(args: &mut Args, spec: &MachineSpec, wiring: &Wiring<'_>) {
    let socket = |id: &str, fd: RawFd| format!("socket,id={id},fd={fd},server=on,wait=off");
    match wiring {
        Wiring::Inherited { qmp, console, console_log, .. } => {
            args.option("-chardev", socket("qmp", *qmp));
            args.option("-mon", "chardev=qmp,mode=control");
            args.option("-chardev", format!("{},logfile={},logappend=off", socket("console", *console), escape(&text(console_log))));
        }
        Wiring::Terminal => {
            args.option("-chardev", "stdio,id=console,mux=on,signal=off");
            args.option("-mon", "chardev=console,mode=readline");
        }
    }
    args.option("-device", "isa-serial,chardev=console");
    if spec.ports.is_empty() {
        return;
    }
    args.option("-device", format!("{},id=ports", pci(spec, "virtio-serial-pci", SLOT_PORTS)));
    for (index, name) in spec.ports.iter().enumerate() {
        let chardev = match wiring {
            Wiring::Inherited { ports, .. } => ports.get(index).map(|fd| socket(&format!("port{index}"), *fd)),
            Wiring::Terminal => None,
        };
        args.option("-chardev", chardev.unwrap_or_else(|| format!("file,id=port{index},path={name}.out")));
        // Port 0 is reserved for a virtio console.
        let number = index + 1;
        args.option("-device", format!("virtserialport,bus=ports.0,nr={number},chardev=port{index},id=port{index},name={name}"));
    }
}

/// A network card of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Card {
    /// What its other end is, with its name as `id`: the value of `-netdev`.
    backend: String,
    netdev: String,
    slot: usize,
    mac: Option<Mac>,
}

impl Card {
    /// Its device as properties of QEMU's, `driver` first.
    pub(super) fn device(&self, spec: &MachineSpec) -> Vec<(&'static str, String)> {
        let address = [("bus", bus(spec).to_owned()), ("addr", format!("{:#x}", self.slot)), ("netdev", self.netdev.clone())];
        let mac = self.mac.map(|mac| ("mac", mac.to_string()));
        std::iter::once(("driver", "virtio-net-pci".to_owned())).chain(address).chain(mac).collect()
    }
}

/// The network cards of `spec`, in the order of their slots.
pub(super) fn cards(spec: &MachineSpec, wiring: &Wiring<'_>) -> Vec<Card> {
    first_card(spec).into_iter().chain(further_cards(spec)).chain(segment_card(spec, wiring)).collect()
}

fn first_card(spec: &MachineSpec) -> Option<Card> {
    let NetworkSpec::User { outside, subnet, forwards, mac } = &spec.network else { return None };
    let mut backend = format!("user,id=net0,restrict={}", if *outside { "off" } else { "on" });
    let mut guest = String::new();
    if let Some(subnet) = subnet {
        let (host, dns) = subnet.host_and_dns();
        backend.push_str(&format!(",net={}/{},host={host},dns={dns},dhcpstart={}", subnet.network(), subnet.prefix(), subnet.guest));
        guest = subnet.guest.to_string();
    }
    for forward in forwards {
        backend.push_str(&format!(",hostfwd=tcp:127.0.0.1:{}-{guest}:{}", forward.host, forward.guest));
    }
    Some(Card { backend, netdev: "net0".to_owned(), slot: SLOT_NETWORK, mac: *mac })
}

/// Each card has addresses of its own from the DHCP server of its network, out of the range for benchmarks (RFC 2544), which no recipe
/// should use.
fn further_cards(spec: &MachineSpec) -> impl Iterator<Item = Card> {
    (1..=spec.cards).map(|number| Card {
        backend: format!("user,id=card{number},restrict=on,net=198.18.{number}.0/24"),
        netdev: format!("card{number}"),
        slot: SLOT_FIRST_CARD + number - 1,
        mac: None,
    })
}

/// A frame is a datagram (QEMU 7.2, `dgram`). When the terminal command starts the machine alone, the card is on a hub with nothing else.
fn segment_card(spec: &MachineSpec, wiring: &Wiring<'_>) -> Option<Card> {
    let mac = spec.segment?;
    let backend = match wiring {
        Wiring::Inherited { segment: Some(fd), .. } => format!("dgram,id=net1,local.type=fd,local.str={fd}"),
        _ => "hubport,id=net1,hubid=0".to_owned(),
    };
    let slot = if spec.cards == 0 { SLOT_SEGMENT_ALONE } else { SLOT_SEGMENT };
    Some(Card { backend, netdev: "net1".to_owned(), slot, mac: Some(mac) })
}

/// A machine whose state is going to be saved has neither cards nor their other ends: the state of QEMU's user network would be saved, too. One
/// that begins with a saved state has the other ends from the start.
fn network(args: &mut Args, spec: &MachineSpec, wiring: &Wiring<'_>) {
    if matches!(spec.begins, Begins::ToBeSaved { .. }) {
        return;
    }
    for card in cards(spec, wiring) {
        args.option("-netdev", card.backend.as_str());
        if spec.begins == Begins::Booting {
            let properties = card.device(spec).into_iter();
            let words = properties.map(|(name, value)| if name == "driver" { value } else { format!("{name}={value}") });
            args.option("-device", words.collect::<Vec<_>>().join(","));
        }
    }
}

fn pci(spec: &MachineSpec, device: &str, slot: usize) -> String {
    format!("{device},bus={},addr={slot:#x}", bus(spec))
}

fn bus(spec: &MachineSpec) -> &'static str {
    match spec.boot.firmware() {
        FirmwareFiles::Uefi { .. } => "pcie.0",
        FirmwareFiles::Bios => "pci.0",
    }
}

/// The path is UTF-8, because the spec was checked.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A value inside `key=value,…`: QEMU reads a doubled comma as one.
fn escape(value: &str) -> String {
    value.replace(',', ",,")
}
