//! Private networks of machines: which machine has which address. A network has no file of its own: it consists of its machines' records.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::base::host_name::HostName;
use crate::base::ipv4::{netmask, subnet};
use crate::machine::spec::{Mac, Subnet};

/// The first network's address when the user gave none for its machines: RFC 1918, and in no default of Docker, Kubernetes, libvirt or
/// QEMU.
const USUAL: Ipv4Addr = Ipv4Addr::new(10, 207, 0, 0);
const USUAL_PREFIX: u8 = 24;
/// The default of QEMU's user network (QEMU's manual, "User mode").
const QEMU: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 0);
const QEMU_PREFIX: u8 = 24;

/// An address as a user writes it: `10.0.0.5` or `10.0.0.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    ip: Ipv4Addr,
    prefix: Option<u8>,
}

impl Address {
    /// Whether it is `ip`.
    pub(super) fn is(self, ip: Ipv4Addr) -> bool {
        self.ip == ip
    }

    /// The address so many after this one. An address after the last one is outside of its network, and is refused by [`assign`].
    pub(super) fn after(self, count: u32) -> Self {
        Self { ip: Ipv4Addr::from_bits(self.ip.to_bits().saturating_add(count)), ..self }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
        let ip = ip.parse().map_err(|_| format!("`{ip}` is no IPv4 address"))?;
        let prefix = prefix.map(|prefix| match prefix.parse() {
            Ok(prefix @ 8..=30) => Ok(prefix),
            _ => Err(format!("`{prefix}` is no prefix length: 8 to 30")),
        });
        Ok(Self { ip, prefix: prefix.transpose()? })
    }
}

/// The place of a machine on its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The network's name.
    pub name: Name,
    /// The machine's address.
    pub address: Ipv4Addr,
    /// The network's prefix length in bits.
    pub prefix: u8,
}

impl Membership {
    /// The address of its card: no other machine of the network has it, since none has the same IP address. The first byte is that of a
    /// card whose address no maker has given (IEEE 802-2014, 8.4).
    pub(super) fn mac(&self) -> Mac {
        let [a, b, c, d] = self.address.octets();
        Mac([0x52, 0x54, a, b, c, d])
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on {}", self.address, self.prefix, self.name)
    }
}

/// A machine of a network, and its names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// The machine's name.
    pub(super) name: Name,
    /// Its host name, when it is not that of its image.
    pub(super) hostname: Option<HostName>,
    /// Its place.
    pub(super) place: Membership,
}

impl Neighbour {
    /// All its names, the host name first.
    pub(super) fn names(&self) -> Vec<&str> {
        names(&self.name, self.hostname.as_ref())
    }
}

/// All names of a machine, each once. The host name comes first: it is the canonical one (hosts(5)).
pub(super) fn names<'a>(name: &'a Name, hostname: Option<&'a HostName>) -> Vec<&'a str> {
    let mut names = Vec::new();
    for name in hostname.iter().flat_map(|hostname| [hostname.as_str(), hostname.label()]).chain([name.as_str()]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// A machine that is to come to a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Newcomer<'a> {
    /// Its name.
    pub(super) name: &'a Name,
    /// Its host name; `None` when its name cannot be made into one.
    pub(super) hostname: Option<&'a HostName>,
    /// The address that is wanted; else the lowest that is free.
    pub(super) address: Option<Address>,
}

/// Why a machine cannot have a place on a network, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPlace {
    /// Which of the newcomers.
    pub(super) index: usize,
    pub(super) why: String,
    pub(super) help: &'static str,
}

/// Places on `network` for more machines beside those of `taken`. `own` is the network of their first cards.
///
/// # Errors
/// All newcomers that cannot have one.
pub(super) fn assign(
    network: &Name,
    newcomers: &[Newcomer<'_>],
    taken: &[Neighbour],
    own: Option<Subnet>,
) -> Result<Vec<Membership>, Vec<NoPlace>> {
    let range = range(newcomers, taken);
    let own = own.map_or(Range::around(QEMU, QEMU_PREFIX), |own| Range::around(own.guest, own.prefix()));
    if range.has(own.first) || own.has(range.first) {
        let why = format!("its addresses, {range}, overlap those of the first card, {own}");
        return Err(vec![NoPlace { index: 0, why, help: "begin the network with other addresses: --address 10.208.0.1/24" }]);
    }
    let mut faults = misnamed(newcomers, taken);
    match addresses(newcomers, taken) {
        Ok(found) if faults.is_empty() => {
            let place = |(address, prefix)| Membership { name: network.clone(), address, prefix };
            Ok(found.into_iter().map(place).collect())
        }
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

/// Newcomers whose names the other machines could not use.
pub(super) fn misnamed(newcomers: &[Newcomer<'_>], taken: &[Neighbour]) -> Vec<NoPlace> {
    let mut called: BTreeMap<&str, &Name> =
        taken.iter().flat_map(|other| other.names().into_iter().map(|name| (name, &other.name))).collect();
    let mut faults = Vec::new();
    for (index, newcomer) in newcomers.iter().enumerate() {
        faults.extend(nameless(newcomer, &called).map(|(why, help)| NoPlace { index, why, help }));
        called.extend(names(newcomer.name, newcomer.hostname).into_iter().map(|name| (name, newcomer.name)));
    }
    faults
}

/// An address with its prefix length for each newcomer: the one it wants, or the lowest that is free.
///
/// # Errors
/// All newcomers that cannot have one.
pub(super) fn addresses(newcomers: &[Newcomer<'_>], taken: &[Neighbour]) -> Result<Vec<(Ipv4Addr, u8)>, Vec<NoPlace>> {
    let range = range(newcomers, taken);
    let mut holders: BTreeMap<Ipv4Addr, &Name> = taken.iter().map(|other| (other.place.address, &other.name)).collect();
    let mut faults = Vec::new();
    for (index, newcomer) in newcomers.iter().enumerate() {
        let Some(address) = newcomer.address else { continue };
        match fault(address, range, &holders) {
            Some((why, help)) => faults.push(NoPlace { index, why, help }),
            None => drop(holders.insert(address.ip, newcomer.name)),
        }
    }
    let mut free = range.hosts().filter(|ip| !holders.contains_key(ip));
    let mut found = Vec::with_capacity(newcomers.len());
    for (index, newcomer) in newcomers.iter().enumerate() {
        match newcomer.address.map(|address| address.ip).or_else(|| free.next()) {
            Some(address) => found.push((address, range.prefix)),
            None => {
                let help = "begin another network, with a shorter prefix: --address 10.208.0.1/16";
                faults.push(NoPlace { index, why: format!("no address of {range} is left"), help });
                break;
            }
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Whether `other` can be a machine on the network of `address`, whose prefix has so many bits.
pub(super) fn reaches(address: Ipv4Addr, prefix: u8, other: Ipv4Addr) -> bool {
    let range = Range::around(address, prefix);
    range.has(other) && other != range.first && other != range.last()
}

/// Why the other machines could not use a machine's names.
fn nameless(newcomer: &Newcomer<'_>, called: &BTreeMap<&str, &Name>) -> Option<(String, &'static str)> {
    let help = "give it another one with --hostname, or in the table's column `hostname`";
    if newcomer.hostname.is_none() {
        return Some((format!("`{}` makes no host name", newcomer.name), help));
    }
    let other = names(newcomer.name, newcomer.hostname).into_iter().find_map(|name| Some((name, called.get(name)?)));
    other.map(|(name, other)| (format!("`{name}` is a name of the machine `{other}`"), help))
}

/// Why no machine of a network can have this address.
fn fault(Address { ip, prefix }: Address, range: Range, holders: &BTreeMap<Ipv4Addr, &Name>) -> Option<(String, &'static str)> {
    if !range.has(ip) || prefix.is_some_and(|prefix| prefix != range.prefix) {
        let prefix = prefix.map(|prefix| format!("/{prefix}")).unwrap_or_default();
        return Some((format!("{ip}{prefix} is none of its addresses, which are {range}"), "choose one of these, or none"));
    }
    if ip == range.first || ip == range.last() {
        return Some((format!("{ip} is no machine's address: it names all of {range}"), "choose one between the two ends"));
    }
    holders.get(&ip).map(|holder| (format!("{ip} is the address of the machine `{holder}`"), "choose another address, or none"))
}

/// The range of a network: that of its machines, or of the first address.
fn range(newcomers: &[Newcomer<'_>], taken: &[Neighbour]) -> Range {
    let of_taken = taken.first().map(|other| Range::around(other.place.address, other.place.prefix));
    let first = || newcomers.iter().find_map(|newcomer| newcomer.address);
    of_taken
        .or_else(|| first().map(|address| Range::around(address.ip, address.prefix.unwrap_or(USUAL_PREFIX))))
        .unwrap_or_else(|| Range::around(USUAL, USUAL_PREFIX))
}

/// The addresses that have a prefix in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: Ipv4Addr,
    prefix: u8,
}

impl Range {
    /// The range around `ip`. A prefix length of a record that was written by hand may be any number.
    fn around(ip: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.clamp(1, 30);
        Self { first: subnet(ip, prefix), prefix }
    }

    fn rest(prefix: u8) -> u32 {
        !netmask(prefix).to_bits()
    }

    fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | Self::rest(self.prefix))
    }

    fn has(self, ip: Ipv4Addr) -> bool {
        (self.first..=self.last()).contains(&ip)
    }

    /// Addresses that a machine can have.
    fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first.to_bits() + 1..self.last().to_bits()).map(Ipv4Addr::from_bits)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(address: &str, prefix: u8) -> Neighbour {
        let place = Membership { name: "lab".parse().unwrap(), address: address.parse().unwrap(), prefix };
        Neighbour { name: "db".parse().unwrap(), hostname: None, place }
    }

    /// Machines `new-0`, `new-1`, … with these addresses, or with a host name in place of one.
    fn places(wanted: &[Option<&str>], taken: &[Neighbour], own: Option<Subnet>) -> Result<String, String> {
        let names: Vec<Name> = (0..wanted.len()).map(|number| format!("new-{number}").parse().unwrap()).collect();
        let hosts: Vec<Option<HostName>> = (names.iter().zip(wanted))
            .map(|(name, text)| {
                text.filter(|text| text.parse::<Address>().is_err()).map_or_else(|| name.host_name(), |text| text.parse().ok())
            })
            .collect();
        let newcomers: Vec<Newcomer<'_>> = (0..wanted.len())
            .map(|n| Newcomer { name: &names[n], hostname: hosts[n].as_ref(), address: wanted[n].and_then(|text| text.parse().ok()) })
            .collect();
        match assign(&"lab".parse().unwrap(), &newcomers, taken, own) {
            Ok(places) => Ok(places.iter().map(|place| format!("{}/{} ", place.address, place.prefix)).collect()),
            Err(faults) => Err(faults.iter().map(|fault| format!("{}: {}; ", fault.index, fault.why)).collect()),
        }
    }

    #[test]
    fn machines_get_what_they_want_or_the_lowest_addresses_that_are_free() {
        let taken = [on("10.207.0.1", 24), on("10.207.0.3", 24)];
        for (wanted, taken, expected) in [
            (&[None, None][..], &[][..], "10.207.0.1/24 10.207.0.2/24 "),
            (&[None, None, None], &taken, "10.207.0.2/24 10.207.0.4/24 10.207.0.5/24 "),
            (&[Some("10.207.0.9")], &taken, "10.207.0.9/24 "),
            (&[None, Some("10.207.0.2")], &taken, "10.207.0.4/24 10.207.0.2/24 "),
            (&[Some("192.168.5.17/28"), None], &[], "192.168.5.17/28 192.168.5.18/28 "),
            (&[None, Some("192.168.5.20")], &[], "192.168.5.1/24 192.168.5.20/24 "),
            (&[None], &[on("172.20.1.2", 16)], "172.20.0.1/16 "),
        ] {
            assert_eq!(places(wanted, taken, None).unwrap(), expected);
        }
        assert!(places(&[None; 254], &[], None).unwrap().ends_with(" 10.207.0.254/24 "));
        let address = |text: &str| text.parse::<Address>().unwrap();
        assert_eq!(address("10.0.0.9/24").after(2), address("10.0.0.11/24"));
    }

    #[test]
    fn all_places_that_cannot_be_are_told() {
        let taken = [on("10.207.0.1", 24), on("10.207.0.3", 24)];
        let own = |guest: &str, prefix| Some(Subnet { guest: guest.parse().unwrap(), prefix, gateway: None });
        for (wanted, own, faults) in [
            (&[Some("10.207.0.3")][..], None, "0: 10.207.0.3 is the address of the machine `db`; "),
            (
                &[Some("10.207.0.4"), Some("10.207.0.4"), Some("10.208.0.3"), Some("10.207.0.5/16")],
                None,
                "1: 10.207.0.4 is the address of the machine `new-0`; 2: 10.208.0.3 is none of its addresses, which are 10.207.0.0/24; \
                 3: 10.207.0.5/16 is none of its addresses, which are 10.207.0.0/24; ",
            ),
            (&[Some("10.207.0.0")], None, "0: 10.207.0.0 is no machine's address: it names all of 10.207.0.0/24; "),
            (&[Some("10.207.0.255")], None, "0: 10.207.0.255 is no machine's address: it names all of 10.207.0.0/24; "),
            (&[None; 253], None, "252: no address of 10.207.0.0/24 is left; "),
            (&[None], own("10.207.0.200", 28), "0: its addresses, 10.207.0.0/24, overlap those of the first card, 10.207.0.192/28; "),
            (&[None], own("10.1.2.3", 8), "0: its addresses, 10.207.0.0/24, overlap those of the first card, 10.0.0.0/8; "),
            (
                &[Some("a_b"), Some("db"), Some("web.lab"), Some("web.example"), Some("new-0.lab")],
                None,
                "0: `new-0` makes no host name; 1: `db` is a name of the machine `db`; 3: `web` is a name of the machine `new-2`; \
                 4: `new-0` is a name of the machine `new-0`; ",
            ),
        ] {
            assert_eq!(places(wanted, &taken, own).unwrap_err(), faults);
        }
        let overlaps = places(&[Some("10.0.2.77/28")], &[], None).unwrap_err();
        assert_eq!(overlaps, "0: its addresses, 10.0.2.64/28, overlap those of the first card, 10.0.2.0/24; ");
        for (text, why) in [("10.0.0", "no IPv4 address"), ("10.0.0.1/31", "no prefix length"), ("10.0.0.1/", "no prefix length")] {
            assert!(text.parse::<Address>().unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn no_two_cards_of_a_network_have_one_address() {
        let place = on("10.207.0.3", 24).place;
        assert_eq!((place.mac().to_string(), place.mac().0[0] & 3), ("52:54:0a:cf:00:03".to_owned(), 2));
        assert_eq!(place.to_string(), "10.207.0.3/24 on lab");
    }
}
