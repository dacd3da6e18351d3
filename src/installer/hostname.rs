//! The host name: what every system is called while it is made, and what sealing puts in the place of that. Pure.
//!
//! Recipes that differ in the host name alone share all layers but the last, so nothing below it may depend on the name.

use crate::recipe::Recipe;

/// What every system is called until it is sealed: by the maintainer scripts of its packages, by Anaconda, and while it is provisioned.
///
/// Not `localhost`, which means that there is no name yet, and lets the network give one, by DHCP or by its name service: NetworkManager
/// (nm_utils_is_specific_hostname), dhclient-script (set_hostname), and of `localhost.localdomain` Anaconda (pyanaconda/network.py,
/// wait_for_connecting_NM_thread). A word of its own can be found where it was written down, too. `tree.sh` and `seal.sh`
/// have it in their texts, which are in the stages' keys.
pub const UNNAMED: &str = "unnamed-image";

/// What sealing reads, a line each: the host name, and what 127.0.1.1 of hosts(5) is called, perhaps nothing. `None` beside a kickstart of the
/// user's own, which says the name itself.
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

/// What 127.0.1.1, the address of the machine's own names, is called. `localhost` has its address already, and would not lead to 127.0.0.1 with
/// another.
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
