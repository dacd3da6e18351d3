//! The machine that is wanted, as types. Pure; `args` turns it into QEMU's arguments.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::ipv4::subnet;
use crate::base::random::random;
use crate::base::size::ByteSize;

pub use crate::hardware::{Equipment, Format, Forward, LEAST_MEMORY, MAX_CPUS};

/// One virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    /// For people and for the process list: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// What executes the guest's code; `probe` finds it.
    pub accelerator: Accelerator,
    /// Virtual CPUs, at least 1.
    pub cpus: u32,
    /// Memory; rounded up to whole MiB.
    pub memory: ByteSize,
    /// Virtio disks: the guest sees `/dev/vda`, `/dev/vdb`, … in this order, at most [`MAX_DRIVES`].
    pub drives: Vec<Drive>,
    /// What is started.
    pub boot: Boot,
    /// Whether it begins with that.
    pub begins: Begins,
    /// Names of virtio-serial ports: `/dev/virtio-ports/NAME` in the guest, [`super::Machine::take_port`] here.
    pub ports: Vec<String>,
    /// The guest's network.
    pub network: NetworkSpec,
    /// Cards beside that of `network`, at most [`MAX_FURTHER_CARDS`]. Each is on a network of its own, with a DHCP server and nothing else,
    /// which leads nowhere.
    pub cards: usize,
    /// The address of one more card, the last, whose frames come and go by [`super::Machine::take_segment`].
    pub segment: Option<Mac>,
    /// Directories of the host, at most [`MAX_VOLUMES`].
    pub volumes: Vec<Volume>,
    /// Whether the guest may reboot. When it may not, a reboot is [`super::MachineEvent::Shutdown`] with reason `Reset`.
    pub reboots: bool,
}

/// Disks that fit: their PCI slots are fixed, 0x10 and up, and slot 0x1f is taken on q35.
pub const MAX_DRIVES: usize = 15;

/// Volumes that fit: their PCI slots are those of the last drives.
pub const MAX_VOLUMES: usize = 8;

/// Further cards that fit: so many PCI slots are between that of the first card's devices and the last card's.
pub const MAX_FURTHER_CARDS: usize = 9;

/// Ports that fit a virtio-serial device (QEMU's `max_ports` of 31, less the one reserved for a console).
pub const MAX_PORTS: usize = 30;

/// What executes the guest's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The host's CPU through `/dev/kvm`.
    Kvm,
    /// QEMU's translator: every host can, slowly.
    Tcg,
}

impl Accelerator {
    /// How it is written in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG (emulation)",
        }
    }

    /// A deadline meant for KVM, stretched for this accelerator.
    ///
    /// TCG is 10 to 30 times slower than KVM on installer work (el7: dracut, xz, rpm scriptlets); but only the part of that work that
    /// computes gets slower, not the part that waits. The factor is ten: a deadline is the last resort, and silence is noticed long before.
    pub fn stretch(self, deadline: Duration) -> Duration {
        match self {
            Self::Kvm => deadline,
            Self::Tcg => deadline.saturating_mul(10),
        }
    }
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The image file.
    pub path: PathBuf,
    /// Its format; never guessed, a raw guest disk could claim to be anything.
    pub format: Format,
    /// Its name in QEMU's block graph: a letter, then letters, digits, `-`, `.`, `_`; at most 31 bytes (`BDRV node-name`).
    pub node: String,
    /// Its permitted writers.
    pub access: Access,
    /// Whether what the guest discards is freed in the file.
    pub discard: bool,
    /// What happens to unwritten data when the host crashes.
    pub durability: Durability,
    /// The serial number of the disk for the guest (`/dev/disk/by-id/virtio-SERIAL`), at most 20 bytes (virtio 1.1, 5.2.6).
    pub serial: Option<String>,
}

impl Drive {
    /// A build's disk: writable, discards freed, as fast as the host allows.
    pub fn scratch(path: impl Into<PathBuf>, format: Format, node: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            format,
            node: node.into(),
            access: Access::ReadWrite,
            discard: true,
            durability: Durability::Volatile,
            serial: None,
        }
    }

    /// A disk that is only read: an ISO, a volume of files.
    pub fn read_only(path: impl Into<PathBuf>, format: Format, node: impl Into<String>) -> Self {
        Self { access: Access::ReadOnly, discard: false, ..Self::scratch(path, format, node) }
    }
}

/// A directory of the host in the guest, which mounts it by `mount -t virtiofs TAG PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// The directory.
    pub dir: PathBuf,
    /// Its name for the guest, at most 36 bytes (virtio 1.2, 5.11.4).
    pub tag: String,
    /// Whether the guest cannot write.
    pub read_only: bool,
}

/// The permitted writers of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The guest. QEMU locks the file: a second writer is refused.
    ReadWrite,
    /// No machine. Several may read the file at once.
    ReadOnly,
}

/// What happens to unwritten data when the host crashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is lost, and the image with it: the guest's flushes are ignored. For build disks, which a crash discards anyway.
    Volatile,
    /// What the guest flushed is on the disk.
    Flushed,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Boot {
    /// A Linux kernel that QEMU hands over: SeaBIOS runs it like a boot sector, OVMF as an EFI program, which the kernel is as well (Linux,
    /// Documentation/admin-guide/efi-stub.rst), so that the guest sees the firmware.
    Kernel {
        /// The kernel (bzImage).
        kernel: PathBuf,
        /// Its initial RAM filesystem.
        initrd: PathBuf,
        /// Its arguments, at most 2047 bytes on x86 (`COMMAND_LINE_SIZE`).
        command_line: String,
        /// The firmware that runs it.
        firmware: FirmwareFiles,
    },
    /// The first drive, through firmware and boot loader.
    Disk(FirmwareFiles),
}

/// How a machine begins. A state that is saved has no network cards, so that each machine that goes on from it gets cards with addresses of its
/// own ([`super::Machine::plug_cards`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Begins {
    /// With a boot.
    #[default]
    Booting,
    /// With a boot and without its network cards: its state is going to be saved ([`super::Machine::save_state`]).
    ToBeSaved {
        /// The file that is its memory.
        memory: PathBuf,
    },
    /// Where a machine of the same spec was when its state was saved. Its network cards are plugged in later.
    Saved {
        /// The file that was its memory. It is not changed: pages that this machine writes are its own.
        memory: PathBuf,
        /// The file with the state of its processors and devices.
        state: PathBuf,
        /// The versioned name of that machine's type: `pc-i440fx-7.2`.
        machine_type: String,
    },
}

impl Boot {
    /// The machine's firmware.
    pub fn firmware(&self) -> &FirmwareFiles {
        match self {
            Self::Kernel { firmware, .. } | Self::Disk(firmware) => firmware,
        }
    }
}

/// The firmware of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirmwareFiles {
    /// QEMU's own SeaBIOS.
    Bios,
    /// UEFI in two flash chips.
    Uefi {
        /// The program; only read.
        code: FlashFile,
        /// The variables: this machine's own copy of the template, written to.
        vars: FlashFile,
    },
}

/// A flash chip's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashFile {
    /// The file.
    pub path: PathBuf,
    /// Its format. Distributions ship both, and a qcow2 attached as raw is garbage that hangs the guest before its first output.
    pub format: Format,
}

/// The guest's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkSpec {
    /// No interface.
    None,
    /// One interface on QEMU's user network (libslirp), with DHCP.
    User {
        /// Whether the guest reaches beyond: the internet, and the host's loopback with it. Else nothing leaves (`restrict=on`).
        outside: bool,
        /// The network's own addresses, for a guest with an address of its own; else 10.0.2.0/24.
        subnet: Option<Subnet>,
        /// TCP ports of the host that lead into the guest. No other port is ever listened on.
        forwards: Vec<Forward>,
        /// The card's address; else QEMU's own, 52:54:00:12:34:56, which the first card of every machine has.
        mac: Option<Mac>,
    },
}

/// A network card's address. As text, `52:54:00:12:34:56`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A random one, which begins as those of QEMU's own cards do: a card whose address no maker has given (IEEE 802-2014, 8.4).
    pub fn random() -> Self {
        let [a, b, c] = random();
        Self([0x52, 0x54, 0, a, b, c])
    }
}

impl TryFrom<String> for Mac {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2)).collect::<Option<Vec<_>>>();
        let bytes = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| format!("`{text}` is no address of a network card"))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Addresses of the user network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// The guest's address.
    pub guest: Ipv4Addr,
    /// The guest's prefix length in bits.
    pub prefix: u8,
    /// The guest's own gateway; the host's end then has that address, else nothing would answer there.
    pub gateway: Option<Ipv4Addr>,
}

impl Subnet {
    /// The prefix length of QEMU's side: guest, host and name server must fit, so it may be wider than the guest's.
    pub fn prefix(self) -> u8 {
        self.prefix.clamp(1, 29)
    }

    /// The subnet's first address.
    pub fn network(self) -> Ipv4Addr {
        subnet(self.guest, self.prefix())
    }

    /// Addresses for the host's end and the name server: the gateway, and the lowest from `.2` on that are free.
    pub fn host_and_dns(self) -> (Ipv4Addr, Ipv4Addr) {
        let inside = |address: &Ipv4Addr| subnet(*address, self.prefix()) == self.network();
        let gateway = self.gateway.filter(inside);
        let mut free = (2..8).map(|offset| Ipv4Addr::from_bits(self.network().to_bits() | offset)).filter(|address| *address != self.guest);
        let mut next = |taken| free.find(|address| Some(*address) != taken).unwrap_or(self.guest);
        let host = gateway.unwrap_or_else(|| next(None));
        (host, next(Some(host)))
    }
}

/// Why a spec cannot become a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("machine `{machine}`: {what}")]
pub struct SpecError {
    machine: String,
    what: String,
}

impl MachineSpec {
    /// Refuse what QEMU would not refuse but misunderstand.
    ///
    /// # Errors
    /// A name that is no name, too many drives, a path that is not UTF-8, a kernel command line that is cut.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong = |what: String| Err(SpecError { machine: self.name.clone(), what });
        let word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !word(&self.name) {
            return wrong("the name may hold letters, digits, `.`, `-` and `_` only".into());
        }
        if self.cpus == 0 || self.memory.bytes() == 0 {
            return wrong("it needs a CPU and memory".into());
        }
        if self.cards > MAX_FURTHER_CARDS {
            return wrong(format!("{} further network cards, and {MAX_FURTHER_CARDS} fit", self.cards));
        }
        if self.volumes.len() > MAX_VOLUMES {
            return wrong(format!("{} volumes, and {MAX_VOLUMES} fit", self.volumes.len()));
        }
        if !self.volumes.is_empty() && self.begins != Begins::Booting {
            return wrong("a machine with volumes has no saved state".into());
        }
        let fit = MAX_DRIVES - self.volumes.len();
        if self.drives.len() > fit {
            return wrong(format!("{} drives, and {fit} fit", self.drives.len()));
        }
        if let Some(Volume { tag, .. }) = self.volumes.iter().find(|volume| !word(&volume.tag) || volume.tag.len() > 36) {
            return wrong(format!("`{tag}` cannot name a volume"));
        }
        for (index, drive) in self.drives.iter().enumerate() {
            let node = &drive.node;
            if !word(node) || node.len() > 31 || !node.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return wrong(format!("`{node}` cannot name a drive"));
            }
            if self.drives[..index].iter().any(|other| other.node == *node) {
                return wrong(format!("two drives are named `{node}`"));
            }
            if drive.serial.as_deref().is_some_and(|serial| !word(serial) || serial.len() > 20) {
                return wrong(format!("the serial number of drive `{node}` is not 1 to 20 letters, digits, `.`, `-`, `_`"));
            }
        }
        if let Begins::Saved { machine_type, .. } = &self.begins
            && !word(machine_type)
        {
            return wrong(format!("`{machine_type}` is no type of a machine"));
        }
        if self.ports.len() > MAX_PORTS {
            return wrong(format!("{} ports, and {MAX_PORTS} fit", self.ports.len()));
        }
        for (index, port) in self.ports.iter().enumerate() {
            if !word(port) || self.ports[..index].contains(port) {
                return wrong(format!("`{port}` cannot name a port"));
            }
        }
        match &self.boot {
            Boot::Kernel { command_line, .. } if command_line.len() > 2047 => {
                wrong(format!("the kernel command line has {} bytes, and the kernel reads 2047", command_line.len()))
            }
            Boot::Disk(_) if self.drives.is_empty() => wrong("there is no drive to boot from".into()),
            _ => match self.files().find(|path| path.to_str().is_none()) {
                Some(path) => wrong(format!("the path `{}` is not UTF-8", path.display())),
                None => Ok(()),
            },
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let kernel = match &self.boot {
            Boot::Kernel { kernel, initrd, .. } => vec![kernel, initrd],
            Boot::Disk(_) => Vec::new(),
        };
        let firmware = match self.boot.firmware() {
            FirmwareFiles::Uefi { code, vars } => vec![&code.path, &vars.path],
            FirmwareFiles::Bios => Vec::new(),
        };
        self.drives.iter().map(|drive| &drive.path).chain(kernel).chain(firmware)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> MachineSpec {
        MachineSpec {
            name: "m".into(),
            accelerator: Accelerator::Tcg,
            cpus: 1,
            memory: ByteSize::mib(64),
            drives: vec![Drive::scratch("/d", Format::Raw, "disk")],
            boot: Boot::Disk(FirmwareFiles::Bios),
            begins: Begins::Booting,
            ports: vec!["org.goldsmith.0".into()],
            network: NetworkSpec::None,
            cards: 0,
            segment: None,
            volumes: Vec::new(),
            reboots: false,
        }
    }

    #[test]
    fn what_qemu_would_misunderstand_is_refused() {
        let disk = || Drive::scratch("/d", Format::Raw, "disk");
        let kernel =
            |command_line: String| Boot::Kernel { kernel: "/k".into(), initrd: "/i".into(), command_line, firmware: FirmwareFiles::Bios };
        let volume = |tag: &str| Volume { dir: "/d".into(), tag: tag.to_owned(), read_only: false };
        let cases: Vec<(MachineSpec, &str)> = vec![
            (MachineSpec { name: "a,b".into(), ..spec() }, "the name"),
            (MachineSpec { cpus: 0, ..spec() }, "needs a CPU"),
            (MachineSpec { memory: ByteSize(0), ..spec() }, "needs a CPU"),
            (MachineSpec { cards: 10, ..spec() }, "10 further network cards"),
            (MachineSpec { drives: vec![], ..spec() }, "no drive to boot"),
            (MachineSpec { drives: vec![disk(), disk()], ..spec() }, "two drives"),
            (MachineSpec { drives: vec![Drive { node: "0".into(), ..disk() }], ..spec() }, "`0` cannot name"),
            (MachineSpec { drives: vec![Drive { node: "n".repeat(32), ..disk() }], ..spec() }, "cannot name"),
            (MachineSpec { drives: vec![Drive { serial: Some("s".repeat(21)), ..disk() }], ..spec() }, "serial number"),
            (
                MachineSpec {
                    begins: Begins::Saved { memory: "/m".into(), state: "/s".into(), machine_type: "pc,accel=kvm".into() },
                    ..spec()
                },
                "`pc,accel=kvm` is no type",
            ),
            (MachineSpec { ports: vec!["a b".into()], ..spec() }, "`a b` cannot name a port"),
            (MachineSpec { ports: vec!["a".into(), "a".into()], ..spec() }, "cannot name a port"),
            (MachineSpec { ports: (0..31).map(|n| n.to_string()).collect(), ..spec() }, "31 ports"),
            (MachineSpec { boot: kernel("x".repeat(2048)), ..spec() }, "2048 bytes"),
            (MachineSpec { volumes: vec![volume("v"); 9], ..spec() }, "9 volumes"),
            (MachineSpec { volumes: vec![volume("a,b")], ..spec() }, "`a,b` cannot name a volume"),
            (MachineSpec { volumes: vec![volume("v")], begins: Begins::ToBeSaved { memory: "/m".into() }, ..spec() }, "no saved state"),
            (MachineSpec { drives: (0..16).map(|n| Drive { node: format!("d{n}"), ..disk() }).collect(), ..spec() }, "16 drives"),
        ];
        assert_eq!(spec().check(), Ok(()));
        for (spec, words) in cases {
            let error = spec.check().expect_err(words).to_string();
            assert!(error.contains(words), "{error} lacks {words}");
        }
    }

    #[test]
    fn the_subnet_leaves_the_guest_its_address() {
        for (guest, prefix, gateway, expected) in [
            ("172.16.51.35", 24, None, "172.16.51.0/24 172.16.51.2 172.16.51.3"),
            ("10.0.0.2", 24, None, "10.0.0.0/24 10.0.0.3 10.0.0.4"),
            ("10.0.0.3", 29, None, "10.0.0.0/29 10.0.0.2 10.0.0.4"),
            ("10.9.8.7", 8, None, "10.0.0.0/8 10.0.0.2 10.0.0.3"),
            ("10.0.0.9", 31, None, "10.0.0.8/29 10.0.0.10 10.0.0.11"),
            ("10.0.0.9", 24, Some("10.0.0.1"), "10.0.0.0/24 10.0.0.1 10.0.0.2"),
            ("10.0.0.9", 24, Some("10.0.0.2"), "10.0.0.0/24 10.0.0.2 10.0.0.3"),
            ("10.0.0.9", 24, Some("10.0.1.1"), "10.0.0.0/24 10.0.0.2 10.0.0.3"),
        ] {
            let subnet = Subnet { guest: guest.parse().unwrap(), prefix, gateway: gateway.map(|address| address.parse().unwrap()) };
            let (host, dns) = subnet.host_and_dns();
            assert_eq!(format!("{}/{} {host} {dns}", subnet.network(), subnet.prefix()), expected, "{guest}");
        }
    }
}
