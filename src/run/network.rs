//! Private networks of machines: which machine has which address. A network is what its machines' records say of it, and no file of its own.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name::Name;
use crate::base::host_name::HostName;
use crate::machine::spec::{Mac, Subnet};

/// The first network's address when no machine of it was given one: RFC 1918, and in no default of Docker, Kubernetes, libvirt or QEMU.
const USUAL: Ipv4Addr = Ipv4Addr::new(10, 207, 0, 0);
const USUAL_PREFIX: u8 = 24;

/// An address as a user writes it: `10.0.0.5` or `10.0.0.5/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    ip: Ipv4Addr,
    prefix: Option<u8>,
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

/// The network that a machine is to be on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedNetwork {
    /// The network's name.
    pub name: Name,
    /// The machine's address, the first one's if there are several; else the lowest that is free.
    pub address: Option<Address>,
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

/// A machine of a network, and what the others call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// The machine's name.
    pub(super) name: Name,
    /// Its host name, when it is not that of its image.
    pub(super) hostname: Option<HostName>,
    /// Its place.
    pub(super) place: Membership,
}

/// Why a machine cannot have a place on a network, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoPlace {
    pub(super) why: String,
    pub(super) help: String,
}

fn no_place<T>(why: String, help: &str) -> Result<T, NoPlace> {
    Err(NoPlace { why, help: help.to_owned() })
}

/// Places for `count` more machines beside those of `taken`. `own` is the network that the image brings its own address for.
pub(super) fn assign(wanted: &WantedNetwork, taken: &[Neighbour], count: usize, own: Option<Subnet>) -> Result<Vec<Membership>, NoPlace> {
    let range = range(wanted, taken)?;
    if let Some(own) = own
        && (range.has(own.network()) || Range::around(own.guest, own.prefix()).has(range.first))
    {
        let why = format!("its addresses, {range}, overlap {}/{}, in which the image has its own", own.network(), own.prefix());
        return no_place(why, "begin the network with other addresses: --address 10.208.0.1/24");
    }
    let holder = |ip: Ipv4Addr| taken.iter().find(|other| other.place.address == ip).map(|other| &other.name);
    let mut free = range.hosts(wanted.address.map(|address| address.ip)).filter(|ip| wanted.address.is_some() || holder(*ip).is_none());
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(ip) = free.next() else {
            return no_place(
                format!("no address of {range} is left"),
                "begin another network, with a shorter prefix: --address 10.208.0.1/16",
            );
        };
        if let Some(holder) = holder(ip) {
            return no_place(format!("{ip} is the address of the machine `{holder}`"), "choose another --address, or none");
        }
        places.push(Membership { name: wanted.name.clone(), address: ip, prefix: range.prefix });
    }
    Ok(places)
}

/// The addresses of a network: those of its machines, or what the first one says.
fn range(wanted: &WantedNetwork, taken: &[Neighbour]) -> Result<Range, NoPlace> {
    let first = taken.first().map(|other| Range::around(other.place.address, other.place.prefix));
    let Some(address) = wanted.address else { return Ok(first.unwrap_or_else(|| Range::around(USUAL, USUAL_PREFIX))) };
    let range = first.unwrap_or_else(|| Range::around(address.ip, address.prefix.unwrap_or(USUAL_PREFIX)));
    if !range.has(address.ip) || address.prefix.is_some_and(|prefix| prefix != range.prefix) {
        return no_place(format!("its addresses are those of {range}"), "choose an --address of these, or none");
    }
    if address.ip == range.first || address.ip == range.last() {
        return no_place(
            format!("{} is no machine's address: it names all of {range}", address.ip),
            "choose an --address between the two ends",
        );
    }
    Ok(range)
}

/// The addresses that have a prefix in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: Ipv4Addr,
    prefix: u8,
}

impl Range {
    /// That of `ip`. A prefix length of a record that was written by hand may be any number.
    fn around(ip: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.clamp(1, 30);
        Self { first: Ipv4Addr::from_bits(ip.to_bits() & !Self::rest(prefix)), prefix }
    }

    fn rest(prefix: u8) -> u32 {
        u32::MAX >> prefix
    }

    fn last(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | Self::rest(self.prefix))
    }

    fn has(self, ip: Ipv4Addr) -> bool {
        (self.first..=self.last()).contains(&ip)
    }

    /// Addresses that a machine can have, from `begin` on.
    fn hosts(self, begin: Option<Ipv4Addr>) -> impl Iterator<Item = Ipv4Addr> {
        let begin = begin.map_or(self.first.to_bits() + 1, Ipv4Addr::to_bits);
        (begin..self.last().to_bits()).map(Ipv4Addr::from_bits)
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

    fn places(address: Option<&str>, taken: &[Neighbour], count: usize, own: Option<Subnet>) -> Result<Vec<String>, String> {
        let wanted = WantedNetwork { name: "lab".parse().unwrap(), address: address.map(|text| text.parse().unwrap()) };
        let places = assign(&wanted, taken, count, own).map_err(|fault| fault.why)?;
        Ok(places.iter().map(|place| format!("{}/{}", place.address, place.prefix)).collect())
    }

    #[test]
    fn machines_get_the_lowest_addresses_that_are_free() {
        let taken = [on("10.207.0.1", 24), on("10.207.0.3", 24)];
        for (address, taken, count, expected) in [
            (None, &[][..], 2, "10.207.0.1/24 10.207.0.2/24"),
            (None, &taken, 3, "10.207.0.2/24 10.207.0.4/24 10.207.0.5/24"),
            (Some("10.207.0.9"), &taken, 1, "10.207.0.9/24"),
            (Some("192.168.5.20/28"), &[], 2, "192.168.5.20/28 192.168.5.21/28"),
            (Some("192.168.5.20"), &[], 1, "192.168.5.20/24"),
            (None, &[on("172.20.1.2", 16)], 1, "172.20.0.1/16"),
            (None, &[], 254, "10.207.0.254/24"),
        ] {
            assert!(places(address, taken, count, None).unwrap().join(" ").ends_with(expected), "{address:?} {count}");
        }
    }

    #[test]
    fn a_place_that_cannot_be_is_refused() {
        let taken = [on("10.207.0.1", 24), on("10.207.0.3", 24)];
        let own = |guest: &str, prefix| Some(Subnet { guest: guest.parse().unwrap(), prefix, gateway: None });
        for (address, count, own, why) in [
            (Some("10.207.0.3"), 1, None, "10.207.0.3 is the address of the machine `db`"),
            (Some("10.207.0.2"), 2, None, "10.207.0.3 is the address of the machine `db`"),
            (Some("10.208.0.3"), 1, None, "its addresses are those of 10.207.0.0/24"),
            (Some("10.207.0.4/16"), 1, None, "its addresses are those of 10.207.0.0/24"),
            (Some("10.207.0.0"), 1, None, "10.207.0.0 is no machine's address"),
            (Some("10.207.0.255"), 1, None, "10.207.0.255 is no machine's address"),
            (Some("10.207.0.250"), 6, None, "no address of 10.207.0.0/24 is left"),
            (None, 253, None, "no address of 10.207.0.0/24 is left"),
            (None, 1, own("10.207.0.200", 28), "overlap 10.207.0.192/28"),
            (None, 1, own("10.1.2.3", 8), "overlap 10.0.0.0/8"),
        ] {
            let said = places(address, &taken, count, own).unwrap_err();
            assert!(said.contains(why), "{address:?}: {said}");
        }
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
