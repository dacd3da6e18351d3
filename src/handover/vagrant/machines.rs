//! A Vagrantfile for existing disks: vagrant-libvirt runs them without a box.
//!
//! Sources: vagrant-libvirt 0.11's documentation, "Configuration" (`storage`, with `allow_existing`, of a machine without a box), and its code:
//! `action.rb` (what `up` does without a box), `action/resolve_disk_settings.rb` (a disk's path begins at its pool's), `action/destroy_domain.rb`
//! (an existing disk stays), `action/create_networks.rb` (`host_ip`). A box could not carry them: each of its machines begins with the same disk.

use std::net::Ipv4Addr;

use super::provider::{Variables, hardware};
use crate::base::ipv4::netmask;
use crate::handover::libvirt::Kind;
use crate::handover::machine::{MIB, units};
use crate::hardware::Firmware;

/// Machines whose disks lie beside the Vagrantfile.
#[derive(Debug, Clone, Copy)]
pub struct Machines<'a> {
    /// The firmware that boots them.
    pub firmware: Firmware,
    /// The kind of libvirt domain that executes them.
    pub kind: Kind,
    /// Memory of each machine, in bytes.
    pub memory: u64,
    /// Processors of each machine.
    pub cpus: u32,
    /// The router of machines with fixed addresses.
    pub gateway: Option<Ipv4Addr>,
    /// The machines.
    pub members: &'a [Member<'a>],
}

/// One machine. Its disk is `NAME.qcow2`.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Letters, digits, `-`, `_` and `.`.
    pub name: &'a str,
    /// The fixed address of its card, with the prefix length; else it asks for one by DHCP.
    pub address: Option<(Ipv4Addr, u8)>,
    /// Whether root logs in by a key of the user.
    pub root: bool,
}

/// The text up to the machines. It has no path, so that the directory can be moved: `up` passes the directory to libvirt.
const HEAD: &str = r##"# Machines of the disks in this directory, for Vagrant and its provider vagrant-libvirt, which needs no box for them:
#   vagrant up --provider libvirt NAME
# A machine writes to its disk, and `vagrant destroy` leaves the disk there. Without a box, `up` does not wait for the system, and shares no folder.
require "digest"

# An empty name counts as none, as it does for vagrant-libvirt.
uri = ENV["LIBVIRT_DEFAULT_URI"].to_s
uri = "qemu:///system" if uri.empty?
# libvirt finds disks in pools. This directory becomes one, whose name is its own.
dir = __dir__
pool = "goldsmith-" + Digest::SHA256.hexdigest(dir)[0, 16]

Vagrant.configure("2") do |config|
  config.trigger.before :up, :reload do |trigger|
    trigger.ruby do
      virsh = ->(*words) { system("virsh", "-c", uri, *words, out: File::NULL, err: File::NULL) }
      refreshed = -> { virsh.("pool-refresh", pool) }
      # Several machines at once, each with a trigger of its own, make it once.
      refreshed.() || virsh.("pool-create-as", pool, "dir", "--target", dir) || refreshed.() ||
        abort("libvirt cannot use #{dir}; it says why: virsh -c #{uri} pool-create-as #{pool} dir --target '#{dir}'")
    end
  end
"##;

/// The end of the list of machines, and the block for each machine.
const EACH: &str = r##"  ].each do |name, root, address, netmask, host|
    config.vm.define name do |machine|
      if root
        # With the keys of your agent; another is named by `machine.ssh.private_key_path`.
        machine.ssh.username = "root"
        machine.ssh.insert_key = false
        machine.ssh.keys_only = false
      end
      if address
        machine.vm.network :private_network, ip: address, libvirt__netmask: netmask, libvirt__host_ip: host
      end
      machine.vm.provider :libvirt do |libvirt|
        libvirt.storage :file, path: "#{name}.qcow2", type: "qcow2", device: "vda", allow_existing: true
        # The first card is the one whose address is fixed.
        libvirt.mgmt_attach = address.nil?
"##;

/// The Vagrantfile of `machines`.
pub fn machines(machines: &Machines<'_>) -> String {
    let driver = match machines.kind {
        Kind::Kvm => "    libvirt.driver = \"kvm\"\n",
        // As in the domain of libvirt: its own default runs no system that is built for x86-64-v2.
        Kind::Qemu => "    libvirt.driver = \"qemu\"\n    libvirt.cpu_mode = \"maximum\"\n",
    };
    // Without a file of variables the loader would be a ROM, and OVMF's is none: QEMU takes whole pieces of 64 KiB only.
    let variables = match machines.firmware {
        Firmware::Bios => "",
        Firmware::Uefi => "        libvirt.nvram = File.join(dir, \"#{name}.vars.fd\")\n",
    };
    let rows: String = machines.members.iter().map(|member| row(member, machines)).collect();
    format!(
        "{HEAD}  config.vm.provider :libvirt do |libvirt|\n    libvirt.uri = uri\n{driver}    libvirt.memory = {}\n    libvirt.cpus = {}\n{}    \
         libvirt.random model: \"random\"\n    libvirt.storage_pool_name = pool\n  end\n  [\n{rows}{EACH}{variables}      end\n    end\n  \
         end\nend\n",
        units(machines.memory, MIB),
        machines.cpus,
        hardware(machines.firmware, Variables::File)
    )
}

/// A line of the list of machines: name, whether root logs in, address, netmask, the host's address on that network.
fn row(member: &Member<'_>, machines: &Machines<'_>) -> String {
    let Some((address, prefix)) = member.address else { return format!("    [\"{}\", {}],\n", member.name, member.root) };
    let host = host(address, prefix, machines).map_or_else(|| "nil".to_owned(), |host| format!("\"{host}\""));
    format!("    [\"{}\", {}, \"{address}\", \"{}\", {host}],\n", member.name, member.root, netmask(prefix))
}

/// The host's address on the network of `address`: the gateway's, else the lowest that no machine has.
fn host(address: Ipv4Addr, prefix: u8, machines: &Machines<'_>) -> Option<Ipv4Addr> {
    let mask = netmask(prefix).to_bits();
    let (first, last) = (address.to_bits() & mask, address.to_bits() | !mask);
    let mut free = (first.saturating_add(1)..last).map(Ipv4Addr::from_bits);
    let taken = |host: &Ipv4Addr| machines.members.iter().any(|member| member.address.is_some_and(|(address, _)| address == *host));
    machines.gateway.filter(|gateway| (first..=last).contains(&gateway.to_bits())).or_else(|| free.find(|host| !taken(host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(firmware: Firmware, kind: Kind, gateway: Option<&str>, members: &[Member<'_>]) -> String {
        machines(&Machines { firmware, kind, memory: 1 << 30, cpus: 2, gateway: gateway.map(|text| text.parse().unwrap()), members })
    }

    fn member<'a>(name: &'a str, address: Option<&str>) -> Member<'a> {
        Member { name, address: address.map(|text| (text.parse().unwrap(), 24)), root: address.is_none() }
    }

    #[test]
    fn each_machine_has_a_line_with_what_is_its_own() {
        let members = [member("anna", None), member("b.c", Some("10.0.0.1")), member("d", Some("10.0.0.2"))];
        for (gateway, host) in [(None, "10.0.0.3"), (Some("10.0.0.254"), "10.0.0.254"), (Some("10.9.0.1"), "10.0.0.3")] {
            let text = of(Firmware::Bios, Kind::Kvm, gateway, &members);
            let rows = format!(
                "  [\n    [\"anna\", true],\n    [\"b.c\", false, \"10.0.0.1\", \"255.255.255.0\", \"{host}\"],\n    \
                 [\"d\", false, \"10.0.0.2\", \"255.255.255.0\", \"{host}\"],\n  ].each"
            );
            assert!(text.contains(&rows), "{text}");
        }
    }

    #[test]
    fn a_network_that_is_full_leaves_the_host_to_libvirt() {
        let full = Member { address: Some(("10.0.0.1".parse().unwrap(), 32)), ..member("a", None) };
        assert!(of(Firmware::Bios, Kind::Kvm, None, &[full]).contains("\"255.255.255.255\", nil],\n"));
    }

    #[test]
    fn the_host_and_the_disk_decide_on_what_runs_it() {
        let members = [member("a", None)];
        let bios = of(Firmware::Bios, Kind::Kvm, None, &members);
        assert!(bios.contains("libvirt.driver = \"kvm\"") && !bios.contains("cpu_mode") && !bios.contains("nvram"), "{bios}");
        let uefi = of(Firmware::Uefi, Kind::Qemu, None, &members);
        assert!(
            uefi.contains("cpu_mode = \"maximum\"") && uefi.contains("libvirt.loader = %w[") && uefi.contains("libvirt.nvram ="),
            "{uefi}"
        );
        for text in [bios, uefi] {
            // The trigger's pool and the machines are on one libvirt, and a network that is there may have DHCP (`verify_dhcp`).
            let said = ["    libvirt.uri = uri\n", "uri = \"qemu:///system\" if uri.empty?\n", "trigger.before :up, :reload do"];
            assert!(said.iter().all(|part| text.contains(part)) && !text.contains("dhcp_enabled"), "{text}");
            assert!(text.ends_with("      end\n    end\n  end\nend\n") && text.contains("libvirt.memory = 1024\n"), "{text}");
        }
    }
}
