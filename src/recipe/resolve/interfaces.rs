//! The `[[interface]]` tables: cards beside `eth0`, VLANs and bonds.

use super::super::syntax;
use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{BondMode, FIRST_CARD, Interface, InterfaceKind, MAX_CARDS, Network, Recipe, USUAL_MTU, card_number};
use super::judge::Judge;
use super::network::network;
use crate::base::word::{ensure, or_one_of, spelled};

/// Bytes of a longest name (Linux, include/uapi/linux/if.h: `IFNAMSIZ` has one more, for the end).
const LONGEST: usize = 15;
/// Names that mean something else: to the kernel (`lo`; the file and the directories of /sys/class/net and /proc/sys/net/ipv4/conf), or to
/// Debian's ifenslave (`none`, `all`).
const RESERVED: [&str; 5] = ["lo", "all", "default", "none", "bonding_masters"];
/// Milliseconds between two looks at a bond's members, as most documents have it; the kernel's own default is never to look.
const MIIMON: u32 = 100;

/// Add the interfaces of the `[[interface]]` tables to `recipe`, which has its files and the address of `eth0`.
pub(super) fn add(judge: &mut Judge<'_>, written: &[written::Interface], recipe: &mut Recipe) {
    let path = KeyPath::from("interface");
    judge.unique(written, "interface", |index| path.at(index).at("name"), |interface| Some(interface.name.clone()));
    recipe.interfaces = written.iter().enumerate().map(|(index, interface)| one(judge, &path.at(index), interface)).collect();
    let all = Tables { written, resolved: &recipe.interfaces, first: &recipe.system.network };
    for (index, interface) in written.iter().enumerate() {
        if let Some(vlan) = &interface.vlan {
            all.check_parent(judge, index, vlan);
        }
        if interface.bond.is_some() {
            all.check_members(judge, index);
        }
    }
    all.check_vlans(judge);
    all.check_addresses(judge);
    all.check_gateways(judge);
    all.check_name_servers(judge);
    refuse_files(judge, recipe);
}

fn one(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Interface) -> Interface {
    let kind = match (&written.vlan, &written.bond) {
        (Some(vlan), _) => InterfaceKind::Vlan { id: vlan.id, parent: vlan.parent.clone() },
        (None, Some(bond)) => InterfaceKind::Bond {
            members: bond.members.clone(),
            mode: bond.mode.unwrap_or(BondMode::ActiveBackup),
            miimon: bond.miimon.unwrap_or(MIIMON),
        },
        (None, None) => InterfaceKind::Card,
    };
    if written.vlan.is_some() && written.bond.is_some() {
        let help = "keep one; a VLAN over a bond is an `[[interface]]` of its own, with the bond as its `parent`";
        judge.clash(&path.at("bond"), &path.at("vlan"), "and here", "an interface is a VLAN or a bond", help);
    }
    let name = path.at("name");
    judge.verdict(&name, interface_name(&written.name));
    if !judge.findings.is_spoiled(&name)
        && let Some((title, help)) = misnamed(&written.name, &kind)
    {
        judge.wrong(&name, title, help);
    }
    let address = written.address.clone().unwrap_or_else(|| "none".to_owned());
    if written.vlan.is_some() && address == "dhcp" {
        let help = "give it a fixed address, or \"none\" and let a unit of yours ask";
        judge.wrong(&path.at("address"), "the address of a VLAN is fixed or none: no DHCP server of a proof is on a VLAN", help);
    }
    let said = written::Network { address, gateway: written.gateway.clone(), dns: written.dns.clone() };
    Interface { name: written.name.clone(), kind, network: network(judge, path, &said), mtu: written.mtu }
}

/// The spelling of any interface's name. Other characters mean something to ifupdown, initscripts or a shell.
fn interface_name(name: &str) -> syntax::Verdict {
    let help = "write up to 15 letters, digits and `_`, a letter first: \"eth1\", \"bond0\", \"eth0.100\"";
    let is_name = name.len() <= LONGEST && spelled(name, |byte| byte.is_ascii_alphabetic(), or_one_of(b"_."));
    ensure(is_name, name, "the name of an interface", help)?;
    ensure(!RESERVED.contains(&name), name, "free as the name of an interface", "choose another name")
}

/// Why an interface of this kind cannot have this name, which is spelled right, and what to do.
fn misnamed(name: &str, kind: &InterfaceKind) -> Option<(String, String)> {
    if name == FIRST_CARD {
        return Some((format!("`{FIRST_CARD}` has its settings elsewhere"), "say its address in `[system.network]`".to_owned()));
    }
    match (kind, card_number(name)) {
        (InterfaceKind::Card, Some(1..MAX_CARDS)) => None,
        (InterfaceKind::Card, _) => Some((
            format!("no network card is called `{name}`: the kernel numbers them"),
            format!("write \"eth1\" to \"eth{}\"; for another kind of interface, add `vlan = {{ … }}` or `bond = {{ … }}`", MAX_CARDS - 1),
        )),
        (_, Some(_)) => {
            Some((format!("the kernel calls a card `{name}`"), "choose another name, such as \"bond0\" or \"eth0.100\"".to_owned()))
        }
        (InterfaceKind::Vlan { id, parent }, None) => {
            // ifupdown takes all that has a dot for PARENT.ID (interfaces(5), "VLAN interfaces"); NetworkManager 1.10.2 takes the number in
            // such a name, and in `vlan100`, before VLAN_ID (nms-ifcfg-rh-reader.c, `make_vlan_setting`).
            let dotted = name.contains('.') && name != format!("{parent}.{id}");
            let numbered = name
                .strip_prefix("vlan")
                .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()) && rest.parse() != Ok(*id));
            (dotted || numbered).then(|| {
                let title = format!("`{name}` is the name of another VLAN than {id} over `{parent}`");
                (title, format!("call it \"{parent}.{id}\", \"vlan{id}\", or a name without a dot"))
            })
        }
        (InterfaceKind::Bond { .. }, None) => {
            let is_vlan = name.contains('.') || name.starts_with("vlan");
            is_vlan.then(|| (format!("`{name}` is the name of a VLAN"), "call the bond \"bond0\", for example".to_owned()))
        }
    }
}

/// The tables as they are written and resolved, and the address of `eth0`.
struct Tables<'a> {
    written: &'a [written::Interface],
    resolved: &'a [Interface],
    first: &'a Network,
}

impl Tables<'_> {
    fn at(index: usize) -> KeyPath {
        KeyPath::from("interface").at(index)
    }

    fn index_of(&self, name: &str) -> Option<usize> {
        self.resolved.iter().position(|interface| interface.name == name)
    }

    /// The bond that has the card as a member, as its index.
    fn bond_of(&self, card: &str) -> Option<usize> {
        self.written.iter().position(|other| other.bond.as_ref().is_some_and(|bond| bond.members.iter().any(|member| member == card)))
    }

    /// On Debian the client of DHCP replaces `/etc/resolv.conf`, and with it the name servers of fixed addresses (dhclient-script(8)). In a
    /// proof no DHCP server names any, so a proof cannot find that. NetworkManager of EL 7 joins the lists.
    fn check_name_servers(&self, judge: &mut Judge<'_>) {
        if judge.installer != Some(Installer::Deploy) {
            return;
        }
        let first = (FIRST_CARD, KeyPath::from("system.network"), self.first);
        let others = self.resolved.iter().enumerate().map(|(index, other)| (other.name.as_str(), Self::at(index), &other.network));
        let all: Vec<(&str, KeyPath, &Network)> = std::iter::once(first).chain(others).collect();
        let Some((asking, place, _)) = all.iter().find(|(_, _, network)| **network == Network::Dhcp) else { return };
        for (_, path, network) in &all {
            if matches!(network, Network::Static { dns, .. } if !dns.is_empty()) {
                let title = format!("DHCP of `{asking}` replaces these name servers");
                let help = format!("give `{asking}` a fixed address, or remove `dns`");
                judge.clash(&path.at("dns"), &place.at("address"), "DHCP", title, help);
            }
        }
    }

    fn check_parent(&self, judge: &mut Judge<'_>, index: usize, vlan: &written::Vlan) {
        let path = Self::at(index).at("vlan").at("parent");
        let parent = &vlan.parent;
        if let Some(bond) = self.bond_of(parent) {
            let name = &self.written[bond].name;
            let title = format!("`{parent}` is a member of the bond `{name}`, so it carries no VLAN");
            judge.clash(&path, &Self::at(bond).at("bond").at("members"), "the bond", title, format!("say `parent = \"{name}\"`"));
            return;
        }
        let found = self.index_of(parent);
        match found.map(|found| &self.resolved[found].kind) {
            None if parent == FIRST_CARD => {}
            None => {
                let help = format!("name {FIRST_CARD} or another `[[interface]]`; a card needs no more than `name = \"eth1\"`");
                judge.wrong(&path, format!("there is no interface `{parent}`"), help);
            }
            Some(InterfaceKind::Vlan { .. }) => {
                let title = format!("`{parent}` is a VLAN itself, and carries no other");
                judge.wrong(&path, title, "name a card or a bond; interfaces that carry each other in a circle are never up");
            }
            Some(_) => {
                let carries = found.and_then(|found| self.written[found].mtu).unwrap_or(USUAL_MTU);
                // Linux, net/8021q/vlan_dev.c, `vlan_dev_change_mtu`.
                if let Some(mtu) = self.written[index].mtu.filter(|mtu| *mtu > carries) {
                    let title = format!("packets of {mtu} bytes do not fit `{parent}`, which carries {carries}");
                    judge.wrong(&Self::at(index).at("mtu"), title, format!("make it smaller, or set `mtu` of `{parent}`"));
                }
            }
        }
        if parent == FIRST_CARD && self.written[index].mtu.is_some_and(|mtu| mtu > USUAL_MTU) {
            let title = format!("`{FIRST_CARD}` carries packets of {USUAL_MTU} bytes");
            judge.wrong(&Self::at(index).at("mtu"), title, format!("write {USUAL_MTU} or less, or choose another parent"));
        }
    }

    fn check_members(&self, judge: &mut Judge<'_>, index: usize) {
        let path = Self::at(index).at("bond").at("members");
        let Some(bond) = &self.written[index].bond else { return };
        if bond.members.is_empty() {
            let title = format!("the bond `{}` has no members", self.written[index].name);
            judge.wrong(&path, title, "name its cards, such as [\"eth1\", \"eth2\"]");
        }
        for (place, member) in bond.members.iter().enumerate() {
            let here = path.at(place);
            if !matches!(card_number(member), Some(0..MAX_CARDS)) {
                let title = format!("`{member}` is no network card, and only cards are members of a bond");
                judge.wrong(&here, title, format!("name cards: \"{FIRST_CARD}\" to \"eth{}\"", MAX_CARDS - 1));
                continue;
            }
            let earlier = self.earlier(index, place, member);
            if let Some(earlier) = earlier {
                judge.clash(&here, &earlier, "first here", format!("`{member}` is a member twice"), "remove one of the two");
                continue;
            }
            self.check_member(judge, &here, member);
        }
    }

    /// An earlier place where this card is a member.
    fn earlier(&self, index: usize, place: usize, card: &str) -> Option<KeyPath> {
        let mut bonds = self.written.iter().enumerate().filter_map(|(bond, interface)| Some((bond, interface.bond.as_ref()?)));
        bonds.find_map(|(bond, written)| {
            let found = written.members.iter().position(|member| member == card)?;
            ((bond, found) < (index, place)).then(|| Self::at(bond).at("bond").at("members").at(found))
        })
    }

    /// A member has no address, and takes the MTU of the bond.
    fn check_member(&self, judge: &mut Judge<'_>, here: &KeyPath, member: &str) {
        let table = self.index_of(member);
        let (network, address) = match table {
            Some(table) => (&self.resolved[table].network, Self::at(table).at("address")),
            None if member == FIRST_CARD => (self.first, KeyPath::from("system.network.address")),
            None => return,
        };
        if *network != Network::None {
            let title = format!("`{member}` is a member of a bond, so it has no address of its own");
            let help = format!("give the address to the bond, and say `address = \"none\"` of `{member}`");
            judge.clash(here, &address, if judge.is_written(&address) { "its address" } else { "DHCP, by default" }, title, help);
        }
        if let Some(table) = table.filter(|table| self.written[*table].mtu.is_some()) {
            let title = format!("`{member}` gets the MTU of its bond");
            judge.clash(&Self::at(table).at("mtu"), here, "its bond", title, "set it for the bond");
        }
    }

    /// The kernel makes a VLAN of one number once over an interface (Linux, net/8021q/vlan.c, `vlan_check_real_dev`).
    fn check_vlans(&self, judge: &mut Judge<'_>) {
        let one = |interface: &written::Interface| {
            let vlan = interface.vlan.as_ref()?;
            Some(format!("{} over {}", vlan.id, vlan.parent))
        };
        judge.unique(self.written, "VLAN", |index| Self::at(index).at("vlan").at("id"), one);
    }

    /// All fixed addresses: of `eth0`, then of the tables.
    fn fixed(&self) -> Vec<(KeyPath, &Network)> {
        let first = (KeyPath::from("system.network"), self.first);
        std::iter::once(first).chain(self.resolved.iter().enumerate().map(|(index, one)| (Self::at(index), &one.network))).collect()
    }

    fn check_addresses(&self, judge: &mut Judge<'_>) {
        let all = self.fixed();
        let address = |(_, network): &(KeyPath, &Network)| match network {
            Network::Static { address, .. } => Some(address.to_string()),
            _ => None,
        };
        judge.unique(&all, "address", |index| all[index].0.at("address"), address);
    }

    /// A system has one default gateway, which may come by DHCP.
    fn check_gateways(&self, judge: &mut Judge<'_>) {
        let all = self.fixed();
        let has = |network: &Network| matches!(network, Network::Static { gateway: Some(_), .. });
        let mut given = all.iter().filter(|(_, network)| has(network)).map(|(path, _)| path.at("gateway"));
        let Some(first) = given.next() else { return };
        for other in given {
            let title = "there are two default gateways, and a system uses one";
            judge.clash(&other, &first, "the other one", title, "keep one; routes to other networks need a unit of yours");
        }
        for (index, interface) in self.resolved.iter().enumerate() {
            if has(&interface.network) && *self.first == Network::Dhcp {
                let title = format!("there would be two default gateways: {FIRST_CARD} gets one by DHCP");
                let help = format!("remove it, or say under `[system.network]` that the address of {FIRST_CARD} is fixed, or \"none\"");
                judge.clash(&Self::at(index).at("gateway"), &KeyPath::from("system.network.address"), "DHCP", title, help);
            } else if interface.network == Network::Dhcp {
                let title = format!("there would be two default gateways: `{}` gets one by DHCP", interface.name);
                judge.clash(&Self::at(index).at("address"), &first, "the other one", title, "fix the address, or remove the gateway");
            }
        }
    }
}

/// Files that configure the interfaces: sealing writes them, so the recipe may not bring them as well.
fn refuse_files(judge: &mut Judge<'_>, recipe: &Recipe) {
    if recipe.interfaces.is_empty() {
        return;
    }
    let tables = KeyPath::from("interface");
    let mut names = vec![(Network::FILES[0].to_owned(), tables.at(0))];
    for interface in recipe.all_interfaces() {
        // `eth0`, and a card that is only named as a member, have no table.
        let table = recipe.interfaces.iter().position(|other| other.name == interface.name).unwrap_or(0);
        names.push((Network::profile(&interface.name), tables.at(table)));
    }
    let steps = recipe.provision.iter().enumerate().map(|(index, step)| (KeyPath::from("provision").at(index).at("files"), &step.files));
    for (list, files) in std::iter::once((KeyPath::from("file"), &recipe.files)).chain(steps) {
        for file in files {
            if let Some((path, table)) = names.iter().find(|(path, _)| file.path == path.as_str()) {
                let title = format!("{path} is written from `[[interface]]`");
                let help = "keep one of them; `extends = { recipe = …, replace = [\"file\"] }` leaves inherited files out";
                let place = judge.place_in(&list, |text| text == path).unwrap_or_else(|| list.clone());
                judge.clash(&place, table, "an interface", title, help);
            }
        }
    }
}
