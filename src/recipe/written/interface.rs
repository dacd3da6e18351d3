//! Network interfaces beside `eth0`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recipe::interface::BondMode;

/// A network interface beside `eth0`: another card, a VLAN, or several cards that act as one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Interface {
    /// Its name: "eth1" to "eth7" is a card; a VLAN is called "eth0.100" or as you like, and a bond as you like ("bond0").
    pub name: String,
    /// Makes it a VLAN.
    pub vlan: Option<Vlan>,
    /// Makes it a bond.
    pub bond: Option<Bond>,
    /// "none", "dhcp" (not of a VLAN), or an IPv4 address with its prefix length, such as "192.0.2.10/24". Default: "none".
    pub address: Option<String>,
    /// Default gateway of a fixed address, on one interface of all; none unless given.
    pub gateway: Option<String>,
    /// Name servers, of a fixed address; none unless given.
    #[serde(default)]
    pub dns: Vec<String>,
    /// Bytes of its longest packet. Default: 1500, that of the parent for a VLAN.
    #[schemars(range(min = 576, max = 9216))]
    pub mtu: Option<u16>,
}

/// A VLAN (IEEE 802.1Q).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Vlan {
    /// Its number.
    #[schemars(range(min = 1, max = 4094))]
    pub id: u16,
    /// The card or bond that carries it, such as "eth0".
    pub parent: String,
}

/// Several cards that act as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Bond {
    /// Its cards, such as "eth1" and "eth2". None has an address of its own.
    pub members: Vec<String>,
    /// How they share the work: bonding.rst of Linux explains the modes. Default: active-backup, of which the switch need not know.
    pub mode: Option<BondMode>,
    /// Milliseconds between two looks at the members' links. Default: 100.
    #[schemars(range(min = 10, max = 60000))]
    pub miimon: Option<u32>,
}
