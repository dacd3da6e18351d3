//! Networks of IPv4. Pure.

use std::net::Ipv4Addr;

/// The netmask of a prefix length, 0 to 32 bits.
pub fn netmask(prefix: u8) -> Ipv4Addr {
    let host_bits = 32_u32.saturating_sub(prefix.into());
    u32::MAX.checked_shl(host_bits).unwrap_or(0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmasks() {
        for (prefix, mask) in [(0, "0.0.0.0"), (1, "128.0.0.0"), (20, "255.255.240.0"), (31, "255.255.255.254"), (32, "255.255.255.255")] {
            assert_eq!(netmask(prefix).to_string(), mask, "{prefix}");
        }
    }
}
