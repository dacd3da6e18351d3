//! The address of `eth0`: what every system has while it is made, and what sealing puts in the place of that. Pure.
//!
//! Recipes that differ in the address alone share all layers but the last, so nothing below it may depend on the address.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::base::ipv4::netmask;
use crate::recipe::{Media, Network, Recipe};

/// What a system has until it is sealed: DHCP. QEMU's network answers, also where it leads nowhere, and gives a step that may reach the
/// internet a router and a name server. A kickstart of the user's own says the address itself.
pub fn unsealed(recipe: &Recipe) -> &Network {
    if recipe.own_kickstart().is_some() { &recipe.system.network } else { &Network::Dhcp }
}

/// The lines that sealing puts in the place of the one which says DHCP, in the installer's own file. `None` when there is nothing to put: the
/// recipe's network is DHCP, a file of the recipe's own says it, or a kickstart of the user's own does.
pub fn lines(recipe: &Recipe) -> Option<String> {
    let network = &recipe.system.network;
    if unsealed(recipe) == network || recipe.writes(&Network::FILES) {
        return None;
    }
    match (network, &recipe.media) {
        (Network::Dhcp, _) => None,
        (Network::Static { address, prefix, gateway, .. }, Media::Deploy { .. }) => Some(interfaces(*address, *prefix, *gateway)),
        (Network::Static { address, prefix, gateway, dns }, Media::Anaconda { .. }) => Some(ifcfg(*address, *prefix, *gateway, dns)),
    }
}

/// resolv.conf(5) as the recipe's static network says; nothing when a DHCP server will say.
pub fn resolv_conf(recipe: &Recipe) -> Option<String> {
    match &recipe.system.network {
        Network::Static { dns, .. } if !dns.is_empty() => Some(dns.iter().map(|server| format!("nameserver {server}\n")).collect()),
        _ => None,
    }
}

/// interfaces(5) of a Debian system until it is sealed. Hot-plug, so that a machine without the interface does not wait for it.
pub(super) const INTERFACES: &str = "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n";

/// The same interface with an address of its own.
fn interfaces(address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> String {
    let mut lines = format!("iface eth0 inet static\n    address {address}/{prefix}\n");
    if let Some(gateway) = gateway {
        let _ = writeln!(lines, "    gateway {gateway}");
    }
    lines
}

/// What EL7 has of the kickstart's `--bootproto=static --noipv6` where it has BOOTPROTO and the keys of IPv6 of `--bootproto=dhcp`, which
/// sealing takes out. The initramfs writes the netmask and the name servers, and NetworkManager the prefix beside them (dracut 033-502,
/// modules.d/45ifcfg/write-ifcfg.sh; NetworkManager 1.10.2, nms-ifcfg-rh-writer.c: `write_ip4_setting`, `write_ip6_setting`). Every value
/// is in quotes, as Anaconda writes the file last (pyanaconda/network.py: `setOnboot`).
fn ifcfg(address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>, dns: &[Ipv4Addr]) -> String {
    let mut lines = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(lines, "{key}=\"{value}\"");
    };
    line("BOOTPROTO", &"none");
    line("IPADDR", &address);
    line("NETMASK", &netmask(prefix));
    if let Some(gateway) = gateway {
        line("GATEWAY", &gateway);
    }
    for (index, server) in (1..).zip(dns) {
        line(&format!("DNS{index}"), server);
    }
    line("PREFIX", &prefix);
    line("IPV6INIT", &"no");
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_recipe_leaves_out_has_no_line() {
        let [address, gateway, first, second] = ["192.0.2.10", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|text| text.parse().unwrap());
        assert_eq!(interfaces(address, 24, None), "iface eth0 inet static\n    address 192.0.2.10/24\n");
        assert_eq!(interfaces(address, 24, Some(gateway)), "iface eth0 inet static\n    address 192.0.2.10/24\n    gateway 192.0.2.1\n");
        let (begins, ends) =
            ("BOOTPROTO=\"none\"\nIPADDR=\"192.0.2.10\"\nNETMASK=\"255.255.255.128\"\n", "PREFIX=\"25\"\nIPV6INIT=\"no\"\n");
        assert_eq!(ifcfg(address, 25, None, &[]), format!("{begins}{ends}"));
        let more = "GATEWAY=\"192.0.2.1\"\nDNS1=\"192.0.2.2\"\nDNS2=\"192.0.2.3\"\n";
        assert_eq!(ifcfg(address, 25, Some(gateway), &[first, second]), format!("{begins}{more}{ends}"));
    }
}
