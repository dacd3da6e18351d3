//! Addresses of network interfaces.

use std::net::Ipv4Addr;

use super::super::tree::KeyPath;
use super::super::{Network, written};
use super::judge::Judge;
use crate::base::ipv4::subnet;
use crate::base::text::digits;

/// The address at `path`, a table of `address`, `gateway` and `dns`.
pub(super) fn network(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Network) -> Network {
    let address_path = path.at("address");
    if written.address == "dhcp" {
        for (key, said) in [("gateway", written.gateway.is_some()), ("dns", !written.dns.is_empty())] {
            if said {
                let title = format!("with DHCP, the server gives `{key}`");
                judge.clash(&path.at(key), &address_path, "DHCP is chosen here", title, format!("remove `{key}`, or fix `address`"));
            }
        }
        return Network::Dhcp;
    }
    if written.address == "none" {
        for (key, said) in [("gateway", written.gateway.is_some()), ("dns", !written.dns.is_empty())] {
            if said {
                let title = format!("an interface without an address has no `{key}`");
                judge.clash(&path.at(key), &address_path, "it has none", title, format!("remove `{key}`, or give it an `address`"));
            }
        }
        return Network::None;
    }
    let dns = written.dns.iter().enumerate();
    let dns = dns.filter_map(|(index, text)| address(judge, &path.at("dns").at(index), text)).collect();
    let gateway = written.gateway.as_ref().and_then(|text| address(judge, &path.at("gateway"), text));
    let (text, prefix) = written.address.split_once('/').unwrap_or((&written.address, ""));
    let fits = |prefix: &u8| (1..=31).contains(prefix);
    let (Ok(host), Some(prefix)) = (text.parse::<Ipv4Addr>(), digits(prefix).filter(fits)) else {
        let title = format!("`{}` is not an address with its prefix length", written.address);
        judge.wrong(&address_path, title, "write \"dhcp\", \"none\", or an IPv4 address and 1 to 31 bits, like \"192.0.2.10/24\"");
        return Network::Dhcp;
    };
    if let Some(what) = no_host(host, prefix) {
        judge.wrong(&address_path, format!("{host} is {what}"), "give the machine an address of its own");
    }
    if let Some(gateway) = gateway {
        let outside = subnet(gateway, prefix) != subnet(host, prefix);
        if outside || gateway == host {
            let what = if outside { format!("outside of {}/{prefix}", subnet(host, prefix)) } else { "the machine itself".to_owned() };
            let title = format!("the gateway {gateway} is {what}");
            judge.clash(&path.at("gateway"), &address_path, "the subnet", title, "name a router of the machine's own subnet");
        } else if let Some(what) = no_host(gateway, prefix) {
            judge.wrong(&path.at("gateway"), format!("{gateway} is {what}"), "name a router of the machine's own subnet");
        }
    }
    Network::Static { address: host, prefix, gateway, dns }
}

fn address(judge: &mut Judge<'_>, path: &KeyPath, text: &str) -> Option<Ipv4Addr> {
    let parsed = text.parse::<Ipv4Addr>().ok().filter(|address| !address.is_unspecified() && !address.is_broadcast());
    if parsed.is_none() {
        judge.wrong(path, format!("`{text}` is not an IPv4 address"), "write it like \"192.0.2.1\"");
    }
    parsed
}

/// Why no machine has this address in a subnet of this prefix length, 1 to 31.
fn no_host(address: Ipv4Addr, prefix: u8) -> Option<&'static str> {
    let host_bits = address.to_bits() & !(u32::MAX << (32 - prefix));
    if address.is_loopback() {
        Some("a loopback address")
    } else if address.is_multicast() || address.is_broadcast() || address.octets()[0] == 0 {
        Some("no machine's address")
    } else if prefix < 31 && host_bits == 0 {
        // RFC 3021: a subnet of 31 bits has neither.
        Some("the address of the subnet itself")
    } else if prefix < 31 && host_bits == !(u32::MAX << (32 - prefix)) {
        Some("the broadcast address of its subnet")
    } else {
        None
    }
}
