//! Addresses, and that of `eth0`: the one that every system has while it is made, and the one that sealing replaces it with. Pure.
//!
//! Recipes that differ in the address alone share all layers but the last, so nothing below it may depend on the address.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::base::ipv4::netmask;
use crate::recipe::{FIRST_CARD, Interface, Media, Network, Recipe};

/// The network of a system until it is sealed: DHCP. QEMU's network answers it, even if the network leads nowhere, and gives a router and a
/// name server to a step that may reach the internet. With a kickstart of the user's own, the kickstart sets the address.
pub fn unsealed(recipe: &Recipe) -> &Network {
    if recipe.own_kickstart().is_some() { &recipe.system.network } else { &Network::Dhcp }
}

/// The lines with which sealing replaces the DHCP setting in the installer's own file. `None` when nothing is to be replaced: the recipe's
/// network is DHCP, or a file of the recipe or the user's own kickstart sets the address.
pub fn lines(recipe: &Recipe) -> Option<String> {
    let network = &recipe.system.network;
    if unsealed(recipe) == network || recipe.writes(&Network::FILES) {
        return None;
    }
    let all = recipe.all_interfaces();
    let bond = all.iter().find(|interface| interface.name == FIRST_CARD).and_then(|first| first.bond(&all));
    Some(match &recipe.media {
        Media::Deploy { .. } => interfaces(FIRST_CARD, network) + &bond.map(debian_member).unwrap_or_default(),
        Media::Anaconda { .. } => bond.map(el7_member).unwrap_or_default() + &method(network),
    })
}

/// The line of interfaces(5) for a card in `bond` (ifenslave 2.13).
fn debian_member(bond: &Interface) -> String {
    format!("    bond-master {}\n", bond.name)
}

/// The lines of EL 7 for a card in `bond` (initscripts 9.49.41, ifup-eth).
pub(super) fn el7_member(bond: &Interface) -> String {
    format!("MASTER=\"{}\"\nSLAVE=\"yes\"\n", bond.name)
}

/// resolv.conf(5) for the recipe's fixed addresses; `None` when none says a name server.
pub fn resolv_conf(recipe: &Recipe) -> Option<String> {
    name_servers(&recipe.name_servers())
}

/// resolv.conf(5) with these name servers; nothing when there are none.
pub fn name_servers(dns: &[Ipv4Addr]) -> Option<String> {
    let lines = dns.iter().map(|server| format!("nameserver {server}\n"));
    (!dns.is_empty()).then(|| lines.collect())
}

/// A file that configures the address of `eth0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFile {
    /// interfaces(5), of Debian.
    Interfaces,
    /// The file of initscripts and of NetworkManager's plugin ifcfg-rh, of EL7.
    Ifcfg,
}

impl AddressFile {
    /// All of them. A system has one.
    pub const ALL: [Self; 2] = [Self::Interfaces, Self::Ifcfg];

    /// Where it is.
    pub fn path(self) -> &'static str {
        let [interfaces, ifcfg] = Network::FILES;
        match self {
            Self::Interfaces => interfaces,
            Self::Ifcfg => ifcfg,
        }
    }

    /// `text`, the file as it is, with this address in place of the old one; `None` when it has no settings of `eth0`, or makes it the member
    /// of a bond. Other settings of the interface stay. Name servers of [`Self::Interfaces`] are in resolv.conf(5).
    pub fn fixed(self, text: &str, address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>, dns: &[Ipv4Addr]) -> Option<String> {
        if self.is_member(text) {
            return None;
        }
        let (is_replaced, lines): (fn(&str, &mut bool) -> bool, _) = match self {
            Self::Interfaces => (is_of_its_address, fixed_interface(FIRST_CARD, address, prefix, gateway)),
            Self::Ifcfg => (is_of_address, ifcfg(address, prefix, gateway, dns)),
        };
        let (mut fixed, mut inside, mut lines) = (String::new(), false, Some(lines));
        for line in text.lines() {
            if is_replaced(line, &mut inside) {
                fixed.push_str(&lines.take().unwrap_or_default());
            } else {
                fixed.extend([line, "\n"]);
            }
        }
        lines.is_none().then_some(fixed)
    }

    /// Whether `text`, a file of this kind, makes `eth0` the member of a bond: then it has no address.
    fn is_member(self, text: &str) -> bool {
        let mut inside = false;
        text.lines().any(|line| match self {
            Self::Interfaces => is_of_stanza(line, &mut inside) && line.trim_start().starts_with("bond-master "),
            Self::Ifcfg => line.trim_start().starts_with("MASTER="),
        })
    }

    /// The fixed address that `text`, a file of this kind, gives to `eth0`, its prefix length and its gateway; nothing when it gives none.
    pub fn says(self, text: &str) -> Option<(Ipv4Addr, u8, Option<Ipv4Addr>)> {
        let mut inside = false;
        let of_stanza: Vec<&str> = text.lines().filter(|line| is_of_stanza(line, &mut inside)).map(str::trim).collect();
        let option =
            |name: &str| of_stanza.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(char::is_whitespace)).map(str::trim);
        let assigned = |name: &str| {
            let values = text.lines().filter_map(|line| line.trim().split_once('='));
            let mut found = values.filter(|(key, _)| *key == name || *key == format!("{name}0"));
            // A shell reads the file: the last line counts.
            found.next_back().map(|(_, value)| value.trim_matches(['"', '\'']))
        };
        let (address, mask, gateway) = match self {
            Self::Interfaces => (option("address"), option("netmask"), option("gateway")),
            Self::Ifcfg => (assigned("IPADDR"), assigned("PREFIX").or_else(|| assigned("NETMASK")), assigned("GATEWAY")),
        };
        let by_dhcp = self == Self::Ifcfg && assigned("BOOTPROTO").is_some_and(|how| how.eq_ignore_ascii_case("dhcp"));
        let address = address.filter(|_| !by_dhcp)?;
        let (address, mask) = address.split_once('/').map_or((address, mask), |(address, prefix)| (address, Some(prefix)));
        let prefix = mask.and_then(|mask| mask.parse().ok().or_else(|| prefix_of(mask.parse().ok()?)));
        Some((address.parse().ok()?, prefix?, gateway.and_then(|gateway| gateway.parse().ok())))
    }
}

/// The prefix length of a netmask.
fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    u8::try_from(mask.to_bits().leading_ones()).ok()
}

/// Whether `line` belongs to the stanza of `eth0`; `inside` has the answer for the line before. A stanza ends where another one begins
/// (interfaces(5)).
fn is_of_stanza(line: &str, inside: &mut bool) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words[..] {
        ["iface", "eth0", "inet", ..] => *inside = true,
        ["iface" | "mapping" | "auto" | "source" | "source-directory" | "no-auto-down" | "no-scripts", ..] => *inside = false,
        [first, ..] if first.starts_with("allow-") => *inside = false,
        // An empty line or a comment stays.
        [] => return false,
        [first, ..] if first.starts_with('#') => return false,
        _ => {}
    }
    *inside
}

/// Whether `line` belongs to the stanza of `eth0`, and sets its address or method: interfaces(5), the methods `static` and `dhcp` of
/// `inet`.
fn is_of_its_address(line: &str, inside: &mut bool) -> bool {
    const OPTIONS: [&str; 12] = [
        "iface",
        "address",
        "netmask",
        "broadcast",
        "network",
        "gateway",
        "pointopoint",
        "dns-nameservers",
        "hostname",
        "leasehours",
        "leasetime",
        "client",
    ];
    is_of_stanza(line, inside) && line.split_ascii_whitespace().next().is_some_and(|word| OPTIONS.contains(&word))
}

/// Whether `line` sets the method of the address, or one of its parts (sysconfig.txt of initscripts 9.49; keys may be numbered).
fn is_of_address(line: &str, _: &mut bool) -> bool {
    let key = line.trim_start().split('=').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(key, "BOOTPROTO" | "IPADDR" | "NETMASK" | "PREFIX" | "GATEWAY" | "DNS") || key.starts_with("IPV6")
}

/// interfaces(5) of a Debian system until it is sealed. Hot-plug, so that a machine without the interface does not wait for it.
pub(super) const INTERFACES: &str = "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\niface eth0 inet dhcp\n";

/// The first lines of the stanza of the interface `name`.
pub(super) fn interfaces(name: &str, network: &Network) -> String {
    match network {
        Network::Dhcp => format!("iface {name} inet dhcp\n"),
        Network::None => format!("iface {name} inet manual\n"),
        Network::Static { address, prefix, gateway, .. } => fixed_interface(name, *address, *prefix, *gateway),
    }
}

fn fixed_interface(name: &str, address: Ipv4Addr, prefix: u8, gateway: Option<Ipv4Addr>) -> String {
    let mut lines = format!("iface {name} inet static\n    address {address}/{prefix}\n");
    if let Some(gateway) = gateway {
        let _ = writeln!(lines, "    gateway {gateway}");
    }
    lines
}

/// The keys of EL 7 for the address of an interface. Without one, IPv6 is off as well.
pub(super) fn method(network: &Network) -> String {
    match network {
        Network::Dhcp => "BOOTPROTO=\"dhcp\"\n".to_owned(),
        Network::None => "BOOTPROTO=\"none\"\nIPV6INIT=\"no\"\n".to_owned(),
        Network::Static { address, prefix, gateway, dns } => ifcfg(*address, *prefix, *gateway, dns),
    }
}

/// The keys that EL7 writes for the kickstart's `--bootproto=static --noipv6` in place of BOOTPROTO and the keys of IPv6 of
/// `--bootproto=dhcp`, which sealing takes out. The initramfs writes the netmask and the name servers, and NetworkManager the prefix beside
/// them (dracut 033-502, modules.d/45ifcfg/write-ifcfg.sh; NetworkManager 1.10.2, nms-ifcfg-rh-writer.c: `write_ip4_setting`,
/// `write_ip6_setting`). Every value is in quotes, as Anaconda writes the file last (pyanaconda/network.py: `setOnboot`).
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
        assert_eq!(fixed_interface("eth0", address, 24, None), "iface eth0 inet static\n    address 192.0.2.10/24\n");
        assert_eq!(
            fixed_interface("eth0", address, 24, Some(gateway)),
            "iface eth0 inet static\n    address 192.0.2.10/24\n    gateway 192.0.2.1\n"
        );
        let (begins, ends) =
            ("BOOTPROTO=\"none\"\nIPADDR=\"192.0.2.10\"\nNETMASK=\"255.255.255.128\"\n", "PREFIX=\"25\"\nIPV6INIT=\"no\"\n");
        assert_eq!(ifcfg(address, 25, None, &[]), format!("{begins}{ends}"));
        let more = "GATEWAY=\"192.0.2.1\"\nDNS1=\"192.0.2.2\"\nDNS2=\"192.0.2.3\"\n";
        assert_eq!(ifcfg(address, 25, Some(gateway), &[first, second]), format!("{begins}{more}{ends}"));
    }

    #[test]
    fn a_file_of_a_system_gets_another_address_and_keeps_the_rest() {
        let [address, gateway, server] = ["10.0.0.7", "10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let fixed = |file: AddressFile, text: &str| file.fixed(text, address, 24, Some(gateway), &[server]);
        let stanza = "iface eth0 inet static\n    address 10.0.0.7/24\n    gateway 10.0.0.1\n";
        let begin = "auto lo\niface lo inet loopback\n\nallow-hotplug eth0\n";
        for (text, expected) in [
            (INTERFACES, format!("{begin}{stanza}")),
            (
                "iface eth0 inet static\n  address 1.2.3.4/8\n  # mine\n\tgateway 1.0.0.1\n  post-up ip route add 1.0.0.0/8 dev eth0\n  mtu 1400\n\n\
                 auto eth1\niface eth1 inet dhcp\n",
                format!("{stanza}  # mine\n  post-up ip route add 1.0.0.0/8 dev eth0\n  mtu 1400\n\nauto eth1\niface eth1 inet dhcp\n"),
            ),
            ("iface eth0 inet dhcp\niface eth0 inet6 auto\n", format!("{stanza}iface eth0 inet6 auto\n")),
        ] {
            assert_eq!(fixed(AddressFile::Interfaces, text), Some(expected));
        }
        let text = "TYPE=Ethernet\nBOOTPROTO=\"dhcp\"\nIPV6INIT=yes\nIPADDR0=1.2.3.4\nONBOOT=yes\nDNS2=1.1.1.1\nUUID=x";
        let expected = format!("TYPE=Ethernet\n{}ONBOOT=yes\nUUID=x\n", ifcfg(address, 24, Some(gateway), &[server]));
        assert_eq!(fixed(AddressFile::Ifcfg, text).as_ref(), Some(&expected));
        for (file, text, said) in [
            (AddressFile::Interfaces, INTERFACES, None),
            (AddressFile::Interfaces, stanza, Some((address, 24, Some(gateway)))),
            (AddressFile::Interfaces, "iface eth0 inet static\n\taddress 10.0.0.7\n\tnetmask 255.255.0.0\n", Some((address, 16, None))),
            (AddressFile::Interfaces, "iface eth1 inet static\n address 10.0.0.7/8\n", None),
            (AddressFile::Ifcfg, expected.as_str(), Some((address, 24, Some(gateway)))),
            (AddressFile::Ifcfg, "IPADDR0='10.0.0.7'\nNETMASK=255.0.0.0\n", Some((address, 8, None))),
            (AddressFile::Ifcfg, "BOOTPROTO=dhcp\nIPADDR=10.0.0.7\nPREFIX=8\n", None),
            (AddressFile::Ifcfg, "IPADDR=10.0.0.7\n", None),
        ] {
            assert_eq!(file.says(text), said, "{text}");
        }
        for (file, text) in [
            (AddressFile::Interfaces, "iface ens3 inet dhcp\n"),
            (AddressFile::Interfaces, "iface eth0 inet manual\n    bond-master bond0\n"),
            (AddressFile::Ifcfg, "DEVICE=eth0\n"),
            (AddressFile::Ifcfg, ""),
            (AddressFile::Ifcfg, "BOOTPROTO=\"none\"\nMASTER=\"bond0\"\nSLAVE=\"yes\"\n"),
        ] {
            assert_eq!(fixed(file, text), None, "{text}");
        }
    }
}
