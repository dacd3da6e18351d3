//! Networks of IPv4. Pure.

use std::net::Ipv4Addr;

use super::text::digits;

/// The netmask of a prefix length, 0 to 32 bits.
pub fn netmask(prefix: u8) -> Ipv4Addr {
    let host_bits = 32_u32.saturating_sub(prefix.into());
    u32::MAX.checked_shl(host_bits).unwrap_or(0).into()
}

/// The address of the network that `address` is in, with a prefix of 0 to 32 bits.
pub fn subnet(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    address & netmask(prefix)
}

/// Whether `text` is a network, such as `10.0.0.0/8`: an address without bits of a host, and 0 to 32 bits of prefix.
pub fn is_network(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    match (address.parse(), digits(prefix)) {
        (Ok(address), Some(prefix @ 0..=32)) => subnet(address, prefix) == address,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_no_bits_of_a_host() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "192.168.4.0/22"] {
            assert!(is_network(text), "{text}");
        }
        for text in ["10.0.0.1/8", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/", "10.0.0/8", "a/8", "fd00::/8", "0.0.0.1/0"] {
            assert!(!is_network(text), "{text}");
        }
    }

    #[test]
    fn netmasks() {
        for (prefix, mask) in [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (31, "255.255.255.254"), (32, "255.255.255.255")] {
            assert_eq!(netmask(prefix).to_string(), mask, "{prefix}");
        }
    }
}
