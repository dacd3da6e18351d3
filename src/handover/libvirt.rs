//! A machine for libvirt: a domain's XML.
//!
//! Elements and values are those of libvirt 9.0's `docs/formatdomain.rst`; its `domain.rng` judges them in the tests. There is no `uuid`, so that
//! the same text defines a machine on every host, and no id of libosinfo: hosts know different ones (`Unknown OS name 'debian12'`).

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::machine::{MIB, Machine, units};
use crate::hardware::Firmware;

/// What executes the guest: libvirt's `type` of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// KVM.
    Kvm,
    /// Emulation, which QEMU calls TCG.
    Qemu,
}

/// The domain of `machine`. Neither its name nor its file's has control characters, which XML cannot carry.
pub fn domain(machine: &Machine<'_>, kind: Kind) -> String {
    // `maximum` has all features of the emulator; its own default, qemu64, runs no system that is built for x86-64-v2 (libvirt 7.1 and
    // later).
    let (kind, cpu) = match kind {
        Kind::Kvm => ("kvm", "host-passthrough"),
        Kind::Qemu => ("qemu", "maximum"),
    };
    let mut text = format!(
        "<!-- The machine writes to its disk: give it a copy or an overlay of an image that is to stay as it is. -->\n\
         <domain type='{kind}'>\n\
         \x20 <name>{}</name>\n\
         \x20 <genid/>\n\
         \x20 <memory unit='MiB'>{}</memory>\n\
         \x20 <vcpu>{}</vcpu>\n",
        escape(machine.name),
        units(machine.memory, MIB),
        machine.cpus
    );
    text.push_str(boot(machine.firmware));
    let _ = write!(
        text,
        "\x20 <features>\n\
         \x20   <acpi/>\n\
         \x20   <apic/>\n\
         \x20 </features>\n\
         \x20 <cpu mode='{cpu}'/>\n\
         \x20 <clock offset='utc'/>\n\
         \x20 <devices>\n"
    );
    devices(&mut text, machine);
    text.push_str("  </devices>\n</domain>\n");
    text
}

/// UEFI is chosen by libvirt among the host's firmware descriptors; the two features keep it from one that starts signed loaders only.
fn boot(firmware: Firmware) -> &'static str {
    match firmware {
        Firmware::Bios => "  <os>\n    <type arch='x86_64' machine='q35'>hvm</type>\n    <boot dev='hd'/>\n  </os>\n",
        Firmware::Uefi => {
            "  <os firmware='efi'>\n    <type arch='x86_64' machine='q35'>hvm</type>\n    <firmware>\n      \
             <feature enabled='no' name='enrolled-keys'/>\n      <feature enabled='no' name='secure-boot'/>\n    </firmware>\n    \
             <boot dev='hd'/>\n  </os>\n"
        }
    }
}

/// A network card. Each is on a network of its own.
const INTERFACE: &str = "    <interface type='user'>\n      <model type='virtio'/>\n    </interface>\n";

/// The interface is of the type that needs no rights, so that the text serves `qemu:///session` as well. GRUB on BIOS hangs without a display
/// adapter, so a machine without a viewer has one too.
fn devices(text: &mut String, machine: &Machine<'_>) {
    let _ = write!(
        text,
        "\x20   <disk type='file' device='disk'>\n\
         \x20     <driver name='qemu' type='{}' discard='unmap'/>\n\
         \x20     <source file='{}'/>\n\
         \x20     <target dev='vda' bus='virtio'/>\n\
         \x20   </disk>\n\
         {}\
         \x20   <serial type='pty'/>\n\
         \x20   <console type='pty'/>\n\
         \x20   <video>\n\
         \x20     <model type='vga'/>\n\
         \x20   </video>\n\
         \x20   <rng model='virtio'>\n\
         \x20     <backend model='random'>/dev/urandom</backend>\n\
         \x20   </rng>\n",
        machine.format.name(),
        escape(machine.image),
        INTERFACE.repeat(1 + machine.cards)
    );
    if machine.guest.guest_agent {
        text.push_str("    <channel type='unix'>\n      <target type='virtio' name='org.qemu.guest_agent.0'/>\n    </channel>\n");
    }
}

#[cfg(test)]
mod tests {
    use super::super::guest::Guest;
    use super::super::machine::examples;
    use super::*;

    #[test]
    fn what_the_image_is_decides_what_the_domain_has() {
        let guest = examples::guest();
        let bios = examples::machine(&guest);
        let text = domain(&bios, Kind::Qemu);
        for part in ["<domain type='qemu'>", "<cpu mode='maximum'/>", "<os>\n", "type='qcow2'", "<memory unit='MiB'>2048</memory>"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("guest_agent") && !text.contains("uuid") && !text.contains("osinfo"));
        let three = domain(&Machine { cards: 2, ..bios }, Kind::Kvm);
        assert_eq!([&text, &three].map(|text| text.matches("<interface ").count()), [1, 3]);
        let agent = Guest { guest_agent: true, ..guest.clone() };
        let text = domain(&Machine { firmware: Firmware::Uefi, guest: &agent, ..bios }, Kind::Kvm);
        for part in ["<domain type='kvm'>", "<cpu mode='host-passthrough'/>", "<os firmware='efi'>", "org.qemu.guest_agent.0"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn no_name_gets_out_of_its_element() {
        let guest = examples::guest();
        let machine = Machine { name: "a<b>&'\"c", image: "/x/'/><disk a=\"&.raw", ..examples::machine(&guest) };
        let text = domain(&machine, Kind::Qemu);
        assert!(text.contains("<name>a&lt;b&gt;&amp;&apos;&quot;c</name>"), "{text}");
        assert!(text.contains("file='/x/&apos;/&gt;&lt;disk a=&quot;&amp;.raw'/>"), "{text}");
    }
}
