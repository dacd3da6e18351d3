//! Network interfaces: cards, VLANs and bonds, and their addresses.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The first card, whose address is [`System::network`](super::System).
pub const FIRST_CARD: &str = "eth0";
/// Network cards that a machine has at most, the first one too: so many PCI slots are kept for them.
pub const MAX_CARDS: usize = 8;
/// The MTU of Ethernet in bytes, which every interface has unless it is set (Linux, include/uapi/linux/if_ether.h, `ETH_DATA_LEN`).
pub const USUAL_MTU: u16 = 1500;

/// The address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Network {
    /// From a DHCP server.
    Dhcp,
    /// None: the interface is only brought up.
    None,
    /// Fixed.
    Static {
        /// IPv4 address.
        address: Ipv4Addr,
        /// Prefix length in bits, 1 to 31.
        prefix: u8,
        /// Default gateway, inside the subnet.
        gateway: Option<Ipv4Addr>,
        /// Name servers.
        dns: Vec<Ipv4Addr>,
    },
}

impl Network {
    /// Where Debian and EL 7 keep it.
    pub const FILES: [&str; 2] = ["/etc/network/interfaces", "/etc/sysconfig/network-scripts/ifcfg-eth0"];

    /// The file of EL 7 for the interface called `name`.
    pub fn profile(name: &str) -> String {
        format!("/etc/sysconfig/network-scripts/ifcfg-{name}")
    }
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name in the kernel: at most 15 bytes, letters, digits and `_`; of a VLAN also `PARENT.ID`.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: InterfaceKind,
    /// Its address.
    pub network: Network,
    /// Bytes of its longest packet; the kernel's choice when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum InterfaceKind {
    /// A network card. All images boot with `net.ifnames=0`, so its name is `eth` and its number in the order of the PCI slots.
    Card,
    /// A VLAN (IEEE 802.1Q).
    Vlan {
        /// The VLAN's number, 1 to 4094.
        id: u16,
        /// The card or bond that carries it.
        parent: String,
    },
    /// Several cards that act as one.
    Bond {
        /// Its cards, at least one; none has an address.
        members: Vec<String>,
        /// How they share the work.
        mode: BondMode,
        /// Milliseconds between two looks at the members' links.
        miimon: u32,
    },
}

/// How the members of a bond share the work (Linux, Documentation/networking/bonding.rst, `mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BondMode {
    /// Packets go out of one member after the other.
    #[serde(rename = "balance-rr")]
    RoundRobin,
    /// One member works until its link is gone; the switch need not know.
    #[serde(rename = "active-backup")]
    ActiveBackup,
    /// By a hash of the packet's addresses.
    #[serde(rename = "balance-xor")]
    Xor,
    /// Every packet goes out of every member.
    #[serde(rename = "broadcast")]
    Broadcast,
    /// Link aggregation (LACP), which the switch takes part in.
    #[serde(rename = "802.3ad")]
    Lacp,
    /// Outgoing packets go by the members' load.
    #[serde(rename = "balance-tlb")]
    TransmitLoad,
    /// Outgoing and incoming packets go by the members' load.
    #[serde(rename = "balance-alb")]
    AdaptiveLoad,
}

impl BondMode {
    /// The kernel's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "balance-rr",
            Self::ActiveBackup => "active-backup",
            Self::Xor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::Lacp => "802.3ad",
            Self::TransmitLoad => "balance-tlb",
            Self::AdaptiveLoad => "balance-alb",
        }
    }
}

/// The number of a network card by the kernel's name for it: 2 of `eth2`.
pub fn card_number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix("eth")?;
    let number = digits.parse().ok()?;
    (digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))).then_some(number)
}

impl Interface {
    /// The bond in `interfaces` that has it as a member.
    pub fn bond<'a>(&self, interfaces: &'a [Interface]) -> Option<&'a Interface> {
        interfaces.iter().find(|other| matches!(&other.kind, InterfaceKind::Bond { members, .. } if members.contains(&self.name)))
    }
}

/// `eth0`, whose address is `first`, and the interfaces beside it, in an order in which each comes after those that it needs: cards, bonds,
/// VLANs. A card that is only named as the member of a bond is among them.
pub(super) fn all_interfaces(first: &Network, further: &[Interface]) -> Vec<Interface> {
    let card = |name: &str, network: Network| Interface { name: name.to_owned(), kind: InterfaceKind::Card, network, mtu: None };
    let mut all = vec![card(FIRST_CARD, first.clone())];
    all.extend(further.iter().cloned());
    for interface in further {
        let InterfaceKind::Bond { members, .. } = &interface.kind else { continue };
        for member in members {
            if !all.iter().any(|other| other.name == *member) {
                all.push(card(member, Network::None));
            }
        }
    }
    all.sort_by_key(|interface| match interface.kind {
        InterfaceKind::Card => (0, card_number(&interface.name)),
        InterfaceKind::Bond { .. } => (1, None),
        InterfaceKind::Vlan { .. } => (2, None),
    });
    all
}

/// Network cards beside `eth0` that a machine must have, so that these interfaces are there. The kernel numbers cards one after the other.
pub fn further_cards(interfaces: &[Interface]) -> usize {
    interfaces.iter().filter_map(|interface| card_number(&interface.name)).max().unwrap_or(0)
}
