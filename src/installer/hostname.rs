//! The host name: the one that every system has while it is made, and the one that sealing replaces it with. Pure.
//!
//! Recipes that differ in the host name alone share all layers but the last, so nothing below it may depend on the name.

use crate::recipe::Recipe;

/// The host name of every system until it is sealed. Maintainer scripts of packages, Anaconda and provision steps see it.
///
/// Not `localhost`, which means that there is no name yet, and lets the network give one, by DHCP or by its name service: NetworkManager
/// (nm_utils_is_specific_hostname), dhclient-script (set_hostname), and of `localhost.localdomain` Anaconda (pyanaconda/network.py,
/// wait_for_connecting_NM_thread). A distinctive word also makes it easy to find the places where it was written down. `tree.sh` and
/// `seal.sh` have it in their texts, which are in the stages' keys.
pub const UNNAMED: &str = "unnamed-image";

/// The lines that sealing reads: the host name, and the names of 127.0.1.1 in hosts(5), which may be empty. `None` with a kickstart of the
/// user's own, which sets the name itself.
pub fn names(recipe: &Recipe) -> Option<String> {
    let name = &recipe.system.hostname;
    recipe.own_kickstart().is_none().then(|| format!("{name}\n{}\n", own_names(name)))
}

/// hosts(5) of a system with this name, as Debian has it.
pub fn hosts(name: &str) -> String {
    let own = own_names(name);
    let own = if own.is_empty() { own } else { format!("127.0.1.1 {own}\n") };
    format!("127.0.0.1 localhost\n{own}::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n")
}

/// The names of 127.0.1.1, the address of the machine's own names. `localhost` is left out: it has the address 127.0.0.1 already.
fn own_names(name: &str) -> String {
    let short = name.split('.').next().unwrap_or(name);
    let mut names: Vec<&str> = [name, short].into_iter().filter(|name| *name != "localhost").collect();
    names.dedup();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_has_one_address_of_each_kind() {
        for (name, own) in [
            ("localhost", ""),
            ("localhost.localdomain", "127.0.1.1 localhost.localdomain\n"),
            ("node", "127.0.1.1 node\n"),
            ("node.lab", "127.0.1.1 node.lab node\n"),
            (UNNAMED, "127.0.1.1 unnamed-image\n"),
        ] {
            let ends = "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n";
            assert_eq!(hosts(name), format!("127.0.0.1 localhost\n{own}{ends}"), "{name}");
        }
    }
}
