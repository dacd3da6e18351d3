//! The files that give a copy of an image its own identity: the same settings that `personal.sh` makes in a machine at boot.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::personal::{END, KEYS_BEGIN, LOOPBACK, NAMES_BEGIN};
use crate::base::host_name::HostName;
use crate::base::public_key::PublicKey;
use crate::image::{ImageError, PutFile, Root};
use crate::installer::address::{AddressFile, name_servers};

const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const MACHINE_ID: &str = "/etc/machine-id";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const KEYS: &str = "/root/.ssh/authorized_keys";
/// Bytes of a file of the image that is changed.
const MAX_BYTES: u64 = 1 << 20;

/// The files of an image that are different in each copy, with the image's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    hosts: String,
    keys: String,
    /// The file that sets the address, if it is of a known kind.
    address: Option<(AddressFile, String)>,
    /// Whether the image has a machine-id of its own, which a sealed image does not have.
    is_used: bool,
}

/// The own settings of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFiles<'a> {
    pub(super) hostname: &'a HostName,
    /// Addresses, each with its names.
    pub(super) names: Vec<(Ipv4Addr, Vec<&'a str>)>,
    pub(super) keys: &'a [PublicKey],
    /// Its fixed address.
    pub(super) address: Option<Fixed<'a>>,
}

/// A fixed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed<'a> {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: Option<Ipv4Addr>,
    pub(super) dns: &'a [Ipv4Addr],
}

impl Texts {
    /// Read the files of the image with this root.
    ///
    /// # Errors
    /// The image is damaged, or one is larger than such a file is.
    pub(super) fn read(root: &Root) -> Result<Self, ImageError> {
        let text = |path: &str| {
            let told = root.read_if_there(path, MAX_BYTES)?.map(String::from_utf8).transpose();
            told.map_err(|_| ImageError::NotEditable { path: root.disk().to_owned(), what: format!("{path} is not UTF-8") })
        };
        let mut address = None;
        for file in AddressFile::ALL {
            let said = text(file.path())?.filter(|text| file.fixed(text, LOOPBACK, 8, None, &[]).is_some());
            address = address.or(said.map(|text| (file, text)));
        }
        // machine-id(5): 32 digits, or `uninitialized`, or nothing.
        let is_used = text(MACHINE_ID)?.is_some_and(|id| id.trim().len() == 32);
        Ok(Self { is_used, hosts: text(HOSTS)?.unwrap_or_default(), keys: text(KEYS)?.unwrap_or_default(), address })
    }

    /// Whether the image has a file that sets its address.
    pub(super) fn have_address(&self) -> bool {
        self.address.is_some()
    }

    /// The fixed address of the image itself, with its prefix length.
    pub(super) fn fixed(&self) -> Option<(Ipv4Addr, u8)> {
        self.address.as_ref().and_then(|(file, text)| file.says(text)).map(|(address, prefix, _)| (address, prefix))
    }

    /// A warning when copies would share an identity: one sentence.
    pub(super) fn warning(&self) -> Option<String> {
        self.is_used.then(|| {
            "the image has a machine-id, which all clones would share, as other identities of a machine that has run: see `goldsmith image audit`"
                .to_owned()
        })
    }

    /// The files of a copy with the settings `own`.
    pub(super) fn files(&self, own: &OwnFiles<'_>) -> Vec<PutFile> {
        // Types are those of the reference policy (selinux-policy 3.13.1: systemd.fc, sysnetwork.fc, ssh.fc).
        let file = |path: &str, text: String, mode, selinux_type| PutFile {
            path: PathBuf::from(path),
            content: text.into_bytes(),
            mode,
            selinux_type,
        };
        let mut files = vec![file(HOSTNAME, format!("{}\n", own.hostname), 0o644, "hostname_etc_t")];
        let entries = own.names.iter().map(|(address, names)| format!("{address} {}", names.join(" ")));
        // The image's names for 127.0.1.1 are left out: they are its old names, and may belong to another machine now.
        let is_loopback = |line: &&str| line.split_ascii_whitespace().next().is_some_and(|address| address == LOOPBACK.to_string());
        let hosts: String = self.hosts.lines().filter(|line| !is_loopback(line)).flat_map(|line| [line, "\n"]).collect();
        files.push(file(HOSTS, with_block(&hosts, NAMES_BEGIN, entries), 0o644, "net_conf_t"));
        if !own.keys.is_empty() {
            let keys = own.keys.iter().map(|key| key.as_str().to_owned());
            files.push(file(KEYS, with_block(&self.keys, KEYS_BEGIN, keys), 0o600, "ssh_home_t"));
        }
        if let (Some(Fixed { address, prefix, gateway, dns }), Some((config, text))) = (own.address, &self.address) {
            let fixed = config.fixed(text, address, prefix, gateway, dns);
            files.extend(fixed.map(|text| file(config.path(), text, 0o644, "net_conf_t")));
            files.extend(name_servers(dns).map(|text| file(RESOLV_CONF, text, 0o644, "net_conf_t")));
        }
        files
    }
}

/// `text` with `lines` between the line `begin` and [`END`], in the place of those that are there.
fn with_block(text: &str, begin: &str, lines: impl Iterator<Item = String>) -> String {
    let mut inside = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        inside |= line == begin;
        if !inside {
            kept.push(line.to_owned());
        }
        inside &= line != END;
    }
    let block = [begin.to_owned()].into_iter().chain(lines).chain([END.to_owned()]);
    kept.into_iter().chain(block).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f a";

    fn own<'a>(hostname: &'a HostName, keys: &'a [PublicKey], address: Option<Fixed<'a>>) -> OwnFiles<'a> {
        OwnFiles { hostname, names: vec![(Ipv4Addr::new(10, 0, 0, 1), vec!["anna.lab", "anna"])], keys, address }
    }

    #[test]
    fn a_copy_has_its_own_names_keys_and_address() {
        let (hostname, keys) = ("anna.lab".parse().unwrap(), [KEY.parse().unwrap()]);
        let texts = Texts {
            hosts: "127.0.0.1 localhost\n127.0.1.1 master\n# goldsmith: names of this network\n10.9.9.9 old\n# goldsmith: end\n\n::1 localhost\n".to_owned(),
            keys: String::new(),
            address: Some((AddressFile::Interfaces, "iface eth0 inet dhcp\n".to_owned())),
            is_used: false,
        };
        let dns = [Ipv4Addr::new(10, 0, 0, 2)];
        let address = Fixed { address: Ipv4Addr::new(10, 0, 0, 1), prefix: 24, gateway: None, dns: &dns };
        let files = texts.files(&own(&hostname, &keys, Some(address)));
        let told: Vec<_> =
            files.iter().map(|file| (file.path.to_str().unwrap(), String::from_utf8(file.content.clone()).unwrap())).collect();
        let hosts = "127.0.0.1 localhost\n\n::1 localhost\n# goldsmith: names of this network\n10.0.0.1 anna.lab anna\n# goldsmith: end\n";
        assert_eq!(
            told,
            [
                (HOSTNAME, "anna.lab\n".to_owned()),
                (HOSTS, hosts.to_owned()),
                (KEYS, format!("{KEYS_BEGIN}\n{KEY}\n{END}\n")),
                ("/etc/network/interfaces", "iface eth0 inet static\n    address 10.0.0.1/24\n".to_owned()),
                (RESOLV_CONF, "nameserver 10.0.0.2\n".to_owned()),
            ]
        );
        assert_eq!(files[2].mode, 0o600);
        let paths: Vec<_> = texts.files(&own(&hostname, &[], None)).into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [Path::new(HOSTNAME), Path::new(HOSTS)]);
    }
}
