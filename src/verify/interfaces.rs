//! Whether the network interfaces are as the recipe says, by the kernel of the booted system.

use std::net::Ipv4Addr;

use super::CheckResult;
use crate::recipe::{FIRST_CARD, Interface, InterfaceKind, Network};

/// The kernel's facts about an interface, each in a line of `KEY VALUE`.
///
/// A card may come up after the boot is over (`allow-hotplug`), so its address is waited for. Files are those of Linux:
/// Documentation/ABI/testing/sysfs-class-net, net/8021q/vlanproc.c (`vlan_seq_show`: name, id and parent with `|` between them), and
/// Documentation/networking/bonding.rst, "Configuring Bonding Manually via Sysfs". `NAME` and `WANTED` are replaced.
const FACTS: &str = r#"
here=/sys/class/net/NAME
for try in $(seq 60); do
    if [ -e $here ] && { echo; ip -o -4 address show dev NAME; } | grep -qF -e 'WANTED'; then break; fi
    sleep 1
done
[ -e $here ] || { echo absent; exit 0; }
echo "flags $(cat $here/flags)"
echo "mtu $(cat $here/mtu)"
[ ! -e $here/device ] || echo device
[ ! -e $here/master ] || echo "master $(basename "$(readlink $here/master)")"
sed -n 's/^NAME  *| *\([0-9]*\) *| *\([^ ]*\) *$/vlan \1 \2/p' /proc/net/vlan/config 2> /dev/null
for key in mode miimon slaves; do
    [ ! -e $here/bonding/$key ] || echo "$key $(cat $here/bonding/$key)"
done
ip -o -4 address show dev NAME scope global | sed -n 's/.* inet \([^ ]*\) .*/address \1/p'
ip -4 route show default | sed -n 's/^default via \([^ ]*\) dev NAME\( .*\)\{0,1\}$/gateway \1/p'
sed -n 's/^nameserver  */dns /p' /etc/resolv.conf
echo end
"#;

/// The script that asks for the facts about `interface`.
pub(super) fn question(interface: &Interface) -> String {
    // The empty text is found in any line.
    let wanted = match &interface.network {
        Network::None => String::new(),
        Network::Dhcp => " scope global ".to_owned(),
        Network::Static { address, prefix, .. } => format!(" {address}/{prefix} "),
    };
    FACTS.replace("WANTED", &wanted).replace("NAME", &interface.name)
}

/// Judge the lines that [`question`] leads to; `all` has all interfaces.
pub(super) fn judge(interface: &Interface, all: &[Interface], lines: &[String]) -> CheckResult {
    let name = format!("interface {} is up as the recipe says", interface.name);
    if lines.iter().any(|line| line == "absent") {
        return CheckResult::failed(name, "the kernel has no such interface");
    }
    if lines.last().is_none_or(|line| line != "end") {
        return CheckResult::could_not_run(name, "the system did not answer to the end");
    }
    let facts = Facts(lines);
    let mut faults = facts.of_link(interface, all);
    faults.extend(facts.of_address(&interface.network));
    if faults.is_empty() { CheckResult::passed(name, facts.shown(interface)) } else { CheckResult::failed(name, faults.join("; ")) }
}

struct Facts<'a>(&'a [String]);

impl Facts<'_> {
    /// The values of the lines that begin with `key`.
    fn all(&self, key: &str) -> Vec<&str> {
        self.0.iter().filter_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).map(str::trim).collect()
    }

    fn one(&self, key: &str) -> Option<&str> {
        self.all(key).first().copied()
    }

    fn of_link(&self, interface: &Interface, all: &[Interface]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |what: &str, found: Option<&str>, wanted: Option<String>| {
            if found != wanted.as_deref() {
                let [found, wanted] = [found, wanted.as_deref()].map(|value| value.unwrap_or("none").to_owned());
                faults.push(format!("{what}: {found}, wanted {wanted}"));
            }
        };
        let word = |yes: bool| if yes { "yes" } else { "no" };
        // IFF_UP (Linux, include/uapi/linux/if.h) is the lowest bit.
        let flags = self.one("flags").and_then(|flags| u32::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
        expect("up", Some(word(flags.is_some_and(|flags| flags & 1 == 1))), Some("yes".to_owned()));
        let is_card = self.0.iter().any(|line| line == "device");
        expect("a card", Some(word(is_card)), Some(word(interface.kind == InterfaceKind::Card).to_owned()));
        let (vlan, mode, miimon) = match &interface.kind {
            InterfaceKind::Card => (None, None, None),
            InterfaceKind::Vlan { id, parent } => (Some(format!("{id} {parent}")), None, None),
            InterfaceKind::Bond { mode, miimon, .. } => (None, Some(mode.name().to_owned()), Some(miimon.to_string())),
        };
        expect("VLAN and parent", self.one("vlan"), vlan);
        // The kernel writes its number after the name.
        expect("bond mode", self.one("mode").and_then(|mode| mode.split(' ').next()), mode);
        expect("miimon", self.one("miimon"), miimon);
        expect("bond", self.one("master"), interface.bond(all).map(|bond| bond.name.clone()));
        if let Some(mtu) = interface.mtu {
            expect("MTU", self.one("mtu"), Some(mtu.to_string()));
        }
        if let InterfaceKind::Bond { members, .. } = &interface.kind {
            let sorted = |mut names: Vec<&str>| {
                names.sort_unstable();
                names.join(" ")
            };
            let found = sorted(self.one("slaves").unwrap_or_default().split_ascii_whitespace().collect());
            expect("members", Some(&found), Some(sorted(members.iter().map(String::as_str).collect())));
        }
        faults
    }

    fn of_address(&self, network: &Network) -> Vec<String> {
        let (addresses, gateways, servers) = (self.all("address"), self.all("gateway"), self.all("dns"));
        let shown = |values: &[&str]| if values.is_empty() { "none".to_owned() } else { values.join(", ") };
        let mut faults = Vec::new();
        let mut expect = |what: &str, found: &[&str], wanted: &[String]| {
            if found != wanted {
                let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
                faults.push(format!("{what}: {}, wanted {}", shown(found), shown(&wanted)));
            }
        };
        match network {
            Network::Dhcp if addresses.is_empty() => faults.push("address: none, wanted one by DHCP".to_owned()),
            Network::Dhcp => {}
            Network::None => expect("address", &addresses, &[]),
            Network::Static { address, prefix, gateway, dns } => {
                expect("address", &addresses, &[format!("{address}/{prefix}")]);
                expect("default gateway", &gateways, &gateway.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>());
                for server in dns.iter().map(Ipv4Addr::to_string).filter(|server| !servers.contains(&server.as_str())) {
                    faults.push(format!("name server {server} is not in /etc/resolv.conf"));
                }
            }
        }
        faults
    }

    /// The facts in a few words.
    fn shown(&self, interface: &Interface) -> String {
        let kind = match &interface.kind {
            InterfaceKind::Card if interface.name == FIRST_CARD => "the first card".to_owned(),
            InterfaceKind::Card => "a card".to_owned(),
            InterfaceKind::Vlan { id, parent } => format!("VLAN {id} over {parent}"),
            InterfaceKind::Bond { mode, .. } => {
                format!("{} of {}", mode.name(), self.one("slaves").unwrap_or_default())
            }
        };
        let mut parts = vec![kind];
        parts.extend(self.one("master").map(|bond| format!("in {bond}")));
        parts.extend(self.all("address").into_iter().map(str::to_owned));
        parts.extend(self.one("gateway").map(|gateway| format!("by {gateway}")));
        parts.extend(self.one("mtu").map(|mtu| format!("MTU {mtu}")));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::BondMode;
    use crate::verify::Outcome;

    fn interface(name: &str, kind: InterfaceKind, network: Network) -> Interface {
        Interface { name: name.to_owned(), kind, network, mtu: None }
    }

    fn fixed(gateway: Option<&str>) -> Network {
        Network::Static {
            address: "10.9.0.5".parse().unwrap(),
            prefix: 24,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            dns: vec!["10.9.0.2".parse().unwrap()],
        }
    }

    fn judged(interface: &Interface, all: &[Interface], lines: &str, outcome: Outcome, detail: &str) {
        let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
        let found = judge(interface, all, &lines);
        assert_eq!((found.outcome, found.detail.as_str()), (outcome, detail), "{} {lines:?}", interface.name);
    }

    const CARD: &str = "flags 0x1003\nmtu 1500\ndevice\n";

    #[test]
    fn a_card_is_judged_by_the_kernels_facts() {
        let card = |network: Network| interface("eth1", InterfaceKind::Card, network);
        let by = || card(fixed(Some("10.9.0.1")));
        let (passed, failed) = (Outcome::Passed, Outcome::Failed);
        for (interface, lines, outcome, detail) in [
            (card(Network::None), format!("{CARD}end"), passed, "a card, MTU 1500"),
            (card(Network::None), CARD.to_owned(), Outcome::CouldNotRun, "the system did not answer to the end"),
            (card(Network::None), "absent".to_owned(), failed, "the kernel has no such interface"),
            (card(Network::None), "flags 0x1002\ndevice\nend".to_owned(), failed, "up: no, wanted yes"),
            (card(Network::None), format!("{CARD}address 10.9.0.5/24\nend"), failed, "address: 10.9.0.5/24, wanted none"),
            (card(Network::None), format!("{CARD}master bond0\nend"), failed, "bond: bond0, wanted none"),
            (card(Network::Dhcp), format!("{CARD}end"), failed, "address: none, wanted one by DHCP"),
            (card(Network::Dhcp), format!("{CARD}address 198.18.1.15/24\nend"), passed, "a card, 198.18.1.15/24, MTU 1500"),
            (
                by(),
                format!("{CARD}address 10.9.0.5/24\ngateway 10.9.0.1\ndns 10.9.0.2\nend"),
                passed,
                "a card, 10.9.0.5/24, by 10.9.0.1, MTU 1500",
            ),
            (
                by(),
                format!("{CARD}address 10.9.0.5/16\naddress 10.9.0.6/24\nend"),
                failed,
                "address: 10.9.0.5/16, 10.9.0.6/24, wanted 10.9.0.5/24; default gateway: none, wanted 10.9.0.1; \
                 name server 10.9.0.2 is not in /etc/resolv.conf",
            ),
        ] {
            judged(&interface, &[], &lines, outcome, detail);
        }
    }

    #[test]
    fn a_vlan_and_a_bond_are_judged_by_the_kernels_facts() {
        let vlan = |network: Network| interface("eth1.7", InterfaceKind::Vlan { id: 7, parent: "eth1".to_owned() }, network);
        let members = vec!["eth1".to_owned(), "eth2".to_owned()];
        let kind = InterfaceKind::Bond { members, mode: BondMode::ActiveBackup, miimon: 100 };
        let bond = Interface { mtu: Some(9000), ..interface("bond0", kind, Network::Dhcp) };
        let member = interface("eth1", InterfaceKind::Card, Network::None);
        let all = [bond.clone()];
        let (passed, failed) = (Outcome::Passed, Outcome::Failed);
        for (interface, lines, outcome, detail) in [
            (&member, format!("{CARD}master bond0\nend"), passed, "a card, in bond0, MTU 1500"),
            (&member, format!("{CARD}end"), failed, "bond: none, wanted bond0"),
            (
                &vlan(fixed(None)),
                "flags 0x1003\nmtu 1500\nvlan 7 eth1\naddress 10.9.0.5/24\ndns 10.9.0.2\nend".to_owned(),
                passed,
                "VLAN 7 over eth1, 10.9.0.5/24, MTU 1500",
            ),
            (&vlan(Network::None), "flags 0x1003\nvlan 8 eth2\nend".to_owned(), failed, "VLAN and parent: 8 eth2, wanted 7 eth1"),
            (&vlan(Network::None), format!("{CARD}end"), failed, "a card: yes, wanted no; VLAN and parent: none, wanted 7 eth1"),
            (
                &bond,
                "flags 0x1403\nmtu 9000\nmode active-backup 1\nmiimon 100\nslaves eth2 eth1\naddress 198.18.1.15/24\nend".to_owned(),
                passed,
                "active-backup of eth2 eth1, 198.18.1.15/24, MTU 9000",
            ),
            (
                &bond,
                "flags 0x1403\nmtu 1500\nmode balance-rr 0\nmiimon 0\nslaves eth1\naddress 198.18.1.15/24\nend".to_owned(),
                failed,
                "bond mode: balance-rr, wanted active-backup; miimon: 0, wanted 100; MTU: 1500, wanted 9000; members: eth1, wanted eth1 eth2",
            ),
        ] {
            judged(interface, &all, &lines, outcome, detail);
        }
    }
}
