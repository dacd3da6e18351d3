//! Network interfaces beside `eth0`, as Debian and EL 7 have them in files. Pure.
//!
//! Sealing writes them, as it writes the address of `eth0`: recipes that differ in them alone share all layers but the last, and the machines
//! of a build need no more than one card until then.

use std::fmt::Write as _;

use super::address::{el7_member, interfaces, method};
use crate::recipe::{FIRST_CARD, Interface, InterfaceKind, Media, Network, Recipe};

/// Commands for a shell that write the files; `None` when the recipe has no interface beside `eth0`.
pub fn script(recipe: &Recipe) -> Option<String> {
    let all = recipe.all_interfaces();
    let further = all.iter().filter(|interface| interface.name != FIRST_CARD);
    let mut script = String::new();
    let mut write = |redirection: &str, path: &str, text: &str| {
        let _ = write!(script, "cat {redirection} {path} <<'END'\n{text}END\n");
    };
    match recipe.media {
        Media::Deploy { .. } => {
            let is_in_bond = |interface: &Interface| interface.bond(&all).is_some();
            let stanzas: String = further.filter(|one| !is_in_bond(one)).map(|one| format!("\n{}", stanza(one, &all))).collect();
            if !stanzas.is_empty() {
                write(">>", Network::FILES[0], &stanzas);
            }
            if all.first().is_some_and(is_in_bond) {
                // A card that is up cannot join a bond, so nothing but the bond brings it up.
                let _ = writeln!(script, "sed -i '/^allow-hotplug {FIRST_CARD}$/d' {}", Network::FILES[0]);
            }
        }
        Media::Anaconda { .. } => {
            for interface in further {
                write(">", &Network::profile(&interface.name), &profile(interface, &all));
            }
        }
    }
    (!script.is_empty()).then_some(script)
}

/// Commands that let EL 7's `eth0` join its bond, for a kickstart that people read: sealing does that with its address.
pub fn first_member(recipe: &Recipe) -> String {
    let all = recipe.all_interfaces();
    let bond = all.iter().find(|interface| interface.name == FIRST_CARD).and_then(|first| first.bond(&all));
    bond.map(|bond| format!("cat >> {} <<'END'\n{}END\n", Network::FILES[1], el7_member(bond))).unwrap_or_default()
}

/// The stanza of an interface by interfaces(5) of ifupdown 0.8.41.
///
/// A card comes up when the kernel finds it, and so does the VLAN over it (interfaces(5), "VLAN interfaces"): a machine without the card does
/// not wait. What is called otherwise than `PARENT.ID` is no VLAN for ifupdown, so its stanza makes the link. A bond comes up at boot and takes
/// its members, which have no stanza of their own (ifenslave 2.13, examples/two_ethernet). Members that join by themselves would wait until
/// the bond is up, and with DHCP that would wait for them: seen with `bond-slaves none`, until the client gave up.
fn stanza(interface: &Interface, all: &[Interface]) -> String {
    let Interface { name, kind, network, mtu } = interface;
    let on_card = |parent: &str| all.iter().any(|other| other.name == parent && other.kind == InterfaceKind::Card);
    let is_dotted = name.contains('.');
    let begins = match kind {
        InterfaceKind::Card => "allow-hotplug",
        InterfaceKind::Vlan { parent, .. } if is_dotted && on_card(parent) => "allow-hotplug",
        InterfaceKind::Vlan { .. } | InterfaceKind::Bond { .. } => "auto",
    };
    let mut text = format!("{begins} {name}\n{}", interfaces(name, network));
    let mut line = |line: &dyn std::fmt::Display| {
        let _ = writeln!(text, "    {line}");
    };
    match kind {
        InterfaceKind::Card => {}
        InterfaceKind::Vlan { .. } if is_dotted => {}
        InterfaceKind::Vlan { id, parent } => {
            line(&format_args!("pre-up ip link set dev {parent} up"));
            line(&format_args!("pre-up test -e /sys/class/net/{name} || ip link add link {parent} name {name} type vlan id {id}"));
            line(&format_args!("post-down ip link del dev {name}"));
        }
        InterfaceKind::Bond { members, mode, miimon } => {
            line(&format_args!("bond-slaves {}", members.join(" ")));
            line(&format_args!("bond-mode {}", mode.name()));
            line(&format_args!("bond-miimon {miimon}"));
        }
    }
    if let Some(mtu) = mtu {
        match network {
            // The method has no option for it.
            Network::Dhcp => line(&format_args!("up ip link set dev {name} mtu {mtu}")),
            Network::None | Network::Static { .. } => line(&format_args!("mtu {mtu}")),
        }
    }
    text
}

/// The file of an interface for initscripts and NetworkManager.
///
/// The keys are those that initscripts 9.49.41 reads (sysconfig.txt; ifup: VLAN, VID, PHYSDEV; ifup-eth: MASTER and SLAVE, BONDING_OPTS, MTU),
/// and NetworkManager 1.10.2 (nms-ifcfg-rh-reader.c: `make_vlan_setting`: VLAN_ID, `is_bond_device`: BONDING_MASTER). There is no HWADDR: it
/// would bind the image to the cards of one machine.
fn profile(interface: &Interface, all: &[Interface]) -> String {
    let Interface { name, kind, network, mtu } = interface;
    let mut text = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{key}=\"{value}\"");
    };
    match kind {
        InterfaceKind::Card => line("TYPE", &"Ethernet"),
        InterfaceKind::Vlan { id, parent } => {
            line("TYPE", &"Vlan");
            line("VLAN", &"yes");
            line("PHYSDEV", parent);
            line("VLAN_ID", id);
            line("VID", id);
        }
        InterfaceKind::Bond { mode, miimon, .. } => {
            line("TYPE", &"Bond");
            line("BONDING_MASTER", &"yes");
            line("BONDING_OPTS", &format_args!("mode={} miimon={miimon}", mode.name()));
        }
    }
    line("NAME", name);
    line("DEVICE", name);
    line("ONBOOT", &"yes");
    if let Some(mtu) = mtu {
        line("MTU", mtu);
    }
    text.push_str(&interface.bond(all).map(el7_member).unwrap_or_default());
    text.push_str(&method(network));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::BondMode;

    fn fixed(address: &str, gateway: Option<&str>) -> Network {
        Network::Static {
            address: address.parse().unwrap(),
            prefix: 24,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            dns: vec!["10.9.0.2".parse().unwrap()],
        }
    }

    fn interface(name: &str, kind: InterfaceKind, network: Network) -> Interface {
        Interface { name: name.to_owned(), kind, network, mtu: None }
    }

    fn vlan(id: u16, parent: &str) -> InterfaceKind {
        InterfaceKind::Vlan { id, parent: parent.to_owned() }
    }

    fn all() -> Vec<Interface> {
        let members = vec!["eth2".to_owned(), "eth3".to_owned()];
        vec![
            interface("eth0", InterfaceKind::Card, Network::None),
            Interface { mtu: Some(9000), ..interface("eth1", InterfaceKind::Card, fixed("10.9.0.5", Some("10.9.0.1"))) },
            interface("eth2", InterfaceKind::Card, Network::None),
            interface("bond0", InterfaceKind::Bond { members, mode: BondMode::Lacp, miimon: 50 }, Network::Dhcp),
            interface("eth0.7", vlan(7, "eth0"), Network::None),
            Interface { mtu: Some(1400), ..interface("lan", vlan(8, "bond0"), fixed("10.8.0.5", None)) },
            interface("bond0.9", vlan(9, "bond0"), Network::None),
        ]
    }

    #[test]
    fn debian_has_a_stanza_for_each() {
        let all = all();
        let stanzas: Vec<String> = all.iter().map(|interface| stanza(interface, &all)).collect();
        let expected = [
            "allow-hotplug eth0\niface eth0 inet manual\n",
            "allow-hotplug eth1\niface eth1 inet static\n    address 10.9.0.5/24\n    gateway 10.9.0.1\n    mtu 9000\n",
            "allow-hotplug eth2\niface eth2 inet manual\n",
            "auto bond0\niface bond0 inet dhcp\n    bond-slaves eth2 eth3\n    bond-mode 802.3ad\n    bond-miimon 50\n",
            "allow-hotplug eth0.7\niface eth0.7 inet manual\n",
            "auto lan\niface lan inet static\n    address 10.8.0.5/24\n    pre-up ip link set dev bond0 up\n    \
             pre-up test -e /sys/class/net/lan || ip link add link bond0 name lan type vlan id 8\n    post-down ip link del dev lan\n    \
             mtu 1400\n",
            "auto bond0.9\niface bond0.9 inet manual\n",
        ];
        assert_eq!(stanzas, expected);
    }

    #[test]
    fn el7_has_a_file_for_each() {
        let all = all();
        let profiles: Vec<String> = all.iter().skip(1).map(|interface| profile(interface, &all)).collect();
        let tail = |name: &str| format!("NAME=\"{name}\"\nDEVICE=\"{name}\"\nONBOOT=\"yes\"\n");
        let none = "BOOTPROTO=\"none\"\nIPV6INIT=\"no\"\n";
        let address = |of: &str, gateway: &str| {
            format!(
                "BOOTPROTO=\"none\"\nIPADDR=\"{of}\"\nNETMASK=\"255.255.255.0\"\n{gateway}DNS1=\"10.9.0.2\"\nPREFIX=\"24\"\nIPV6INIT=\"no\"\n"
            )
        };
        let vlan = |id: u16, parent: &str| format!("TYPE=\"Vlan\"\nVLAN=\"yes\"\nPHYSDEV=\"{parent}\"\nVLAN_ID=\"{id}\"\nVID=\"{id}\"\n");
        let expected = [
            format!("TYPE=\"Ethernet\"\n{}MTU=\"9000\"\n{}", tail("eth1"), address("10.9.0.5", "GATEWAY=\"10.9.0.1\"\n")),
            format!("TYPE=\"Ethernet\"\n{}MASTER=\"bond0\"\nSLAVE=\"yes\"\n{none}", tail("eth2")),
            format!(
                "TYPE=\"Bond\"\nBONDING_MASTER=\"yes\"\nBONDING_OPTS=\"mode=802.3ad miimon=50\"\n{}BOOTPROTO=\"dhcp\"\n",
                tail("bond0")
            ),
            format!("{}{}{none}", vlan(7, "eth0"), tail("eth0.7")),
            format!("{}{}MTU=\"1400\"\n{}", vlan(8, "bond0"), tail("lan"), address("10.8.0.5", "")),
            format!("{}{}{none}", vlan(9, "bond0"), tail("bond0.9")),
        ];
        assert_eq!(profiles, expected);
    }
}
