//! The descriptor of an OVA: which machine the disk is to run in.
//!
//! Names and their order are those of DMTF's DSP0243 1.1.1, "Open Virtualization Format Specification"; numbers of devices those of CIM's
//! `ResourceType` ("CIM_ResourceAllocationSettingData"). VMware's additions are marked as not required, so that other programs ignore them.

use std::fmt::Write;

use super::guest::{Adapter, Controller, Guest};
use super::vmdk::Written;

/// Enough for a small server, and not too much for any host. The user can change both at the import.
const CPUS: u32 = 2;
const MEMORY_MIB: u32 = 2048;
/// The format of the disk, by its usual name ("urls … identify the format", 9.1).
const FORMAT: &str = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";
/// Virtual hardware of ESXi 5.5, the oldest with UEFI and all that is asked for here.
const HARDWARE: &str = "vmx-10";
const NAMESPACES: [(&str, &str); 6] = [
    ("", "http://schemas.dmtf.org/ovf/envelope/1"),
    (":ovf", "http://schemas.dmtf.org/ovf/envelope/1"),
    (":rasd", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"),
    (":vssd", "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"),
    (":vmw", "http://www.vmware.com/schema/ovf"),
    (":xsi", "http://www.w3.org/2001/XMLSchema-instance"),
];

/// The descriptor of the machine `name` whose one disk is the file `disk`, which is `written`.
pub(super) fn descriptor(name: &str, disk: &str, written: &Written, guest: &Guest) -> String {
    let (name, disk) = (escaped(name), escaped(disk));
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Envelope".to_owned();
    for (prefix, space) in NAMESPACES {
        // Writing to a string does not fail.
        let _ = write!(text, " xmlns{prefix}=\"{space}\"");
    }
    let (os, kind) = system(guest);
    let _ = write!(
        text,
        ">\n\
        <References>\n<File ovf:href=\"{disk}\" ovf:id=\"file1\" ovf:size=\"{length}\"/>\n</References>\n\
        <DiskSection>\n<Info>Virtual disks</Info>\n\
        <Disk ovf:capacity=\"{capacity}\" ovf:capacityAllocationUnits=\"byte\" ovf:diskId=\"vmdisk1\" ovf:fileRef=\"file1\" \
        ovf:format=\"{FORMAT}\" ovf:populatedSize=\"{populated}\"/>\n</DiskSection>\n\
        <NetworkSection>\n<Info>Logical networks</Info>\n\
        <Network ovf:name=\"{NETWORK}\">\n<Description>The network of the machine</Description>\n</Network>\n</NetworkSection>\n\
        <VirtualSystem ovf:id=\"{name}\">\n<Info>A virtual machine</Info>\n<Name>{name}</Name>\n\
        <OperatingSystemSection ovf:id=\"{os}\" vmw:osType=\"{kind}\">\n<Info>The guest operating system</Info>\n\
        <Description>{description}</Description>\n</OperatingSystemSection>\n\
        <VirtualHardwareSection>\n<Info>Virtual hardware</Info>\n\
        <System>\n<vssd:ElementName>Virtual Hardware Family</vssd:ElementName>\n<vssd:InstanceID>0</vssd:InstanceID>\n\
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>\n\
        <vssd:VirtualSystemType>{HARDWARE}</vssd:VirtualSystemType>\n</System>\n",
        length = written.length,
        capacity = written.capacity,
        populated = written.populated,
        description = escaped(guest.name.as_deref().unwrap_or("Linux (64-bit)")),
    );
    items(&mut text, guest);
    if guest.uefi {
        // VMware's own key (ovftool's output for such machines); without it the machine has a BIOS.
        text.push_str("<vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
    }
    text.push_str("</VirtualHardwareSection>\n</VirtualSystem>\n</Envelope>\n");
    text
}

/// The name of the only network. Importers ask for the network of theirs to use.
const NETWORK: &str = "VM Network";

/// CPUs, memory, controller, disk and network adapter. Elements of an item stand in the order of the alphabet, which the schema wants.
fn items(text: &mut String, guest: &Guest) {
    let controller = match guest.controller {
        Controller::LsiLogic => "lsilogic",
        Controller::Pvscsi => "VirtualSCSI",
    };
    let adapter = match guest.adapter {
        Adapter::E1000 => "E1000",
        Adapter::Vmxnet3 => "VmxNet3",
    };
    let all: [&[(&str, &str)]; 5] = [
        &[
            ("AllocationUnits", "hertz * 10^6"),
            ("Description", "Number of virtual CPUs"),
            ("ElementName", &format!("{CPUS} virtual CPUs")),
            ("InstanceID", "1"),
            ("ResourceType", "3"),
            ("VirtualQuantity", &CPUS.to_string()),
        ],
        &[
            ("AllocationUnits", "byte * 2^20"),
            ("Description", "Memory size"),
            ("ElementName", &format!("{MEMORY_MIB} MiB of memory")),
            ("InstanceID", "2"),
            ("ResourceType", "4"),
            ("VirtualQuantity", &MEMORY_MIB.to_string()),
        ],
        &[
            ("Address", "0"),
            ("Description", "SCSI controller"),
            ("ElementName", "SCSI controller 0"),
            ("InstanceID", "3"),
            ("ResourceSubType", controller),
            ("ResourceType", "6"),
        ],
        &[
            ("AddressOnParent", "0"),
            ("ElementName", "Hard disk 1"),
            ("HostResource", "ovf:/disk/vmdisk1"),
            ("InstanceID", "4"),
            ("Parent", "3"),
            ("ResourceType", "17"),
        ],
        &[
            ("AddressOnParent", "7"),
            ("AutomaticAllocation", "true"),
            ("Connection", NETWORK),
            ("Description", &format!("{adapter} Ethernet adapter on {NETWORK}")),
            ("ElementName", "Network adapter 1"),
            ("InstanceID", "5"),
            ("ResourceSubType", adapter),
            ("ResourceType", "10"),
        ],
    ];
    for item in all {
        text.push_str("<Item>\n");
        for (name, value) in item {
            let _ = writeln!(text, "<rasd:{name}>{value}</rasd:{name}>");
        }
        text.push_str("</Item>\n");
    }
}

/// The number of a system (CIM_OperatingSystem, `OSType`) and VMware's name of it (vSphere API, `VirtualMachineGuestOsIdentifier`), of
/// which the oldest that fits is used, because most hosts know it.
fn system(guest: &Guest) -> (u32, &'static str) {
    match guest.distribution.as_deref() {
        Some("debian") => (96, "debian8_64Guest"),
        Some("ubuntu") => (94, "ubuntu64Guest"),
        Some("centos") => (107, "centos64Guest"),
        Some("rhel") => (80, "rhel7_64Guest"),
        _ => (101, "otherLinux64Guest"),
    }
}

/// Text as it stands in XML, between tags and between quotes. Characters that XML does not allow ("Char", XML 1.0, 2.2) become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\0'..=' ' if letter != ' ' => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_a_tag() {
        assert_eq!(escaped("a&<b>\"'\u{1}\n\u{ffff} é"), "a&amp;&lt;b&gt;&quot;&apos;\u{fffd}\u{fffd}\u{fffd} é");
    }
}
