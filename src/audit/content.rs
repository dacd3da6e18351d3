//! Secrets in the content of small files, and unexpected data in inodes.

use std::path::Path;

use super::paths::is_below;
use crate::image::{FileKind, Metadata};

/// Labels of private keys in PEM (RFC 7468, section 10 and 11; OpenSSH's PROTOCOL.key; RFC 4880, section 6.2), and PuTTY's own head.
const PRIVATE: [&str; 8] = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----BEGIN DSA PRIVATE KEY-----",
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    "PuTTY-User-Key-File-",
];

/// Keys that packages make. They have their own rule, which is a notice.
const OF_PACKAGES: [&str; 1] = ["/etc/ssl/private/ssl-cert-snakeoil.key"];

/// How a token begins, how many characters of what kind follow at least, and whose it is.
const TOKENS: [(&str, usize, &str); 9] = [
    ("AKIA", 16, "an AWS access key"),
    ("ghp_", 36, "a GitHub token"),
    ("github_pat_", 22, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("dckr_pat_", 20, "a Docker Hub token"),
    ("AIza", 35, "a Google API key"),
    ("npm_", 36, "an npm token"),
];

/// A private key. ssh host keys have a rule of their own.
pub(super) fn private_key(path: &Path, text: &str) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    if name.starts_with("ssh_host_") || OF_PACKAGES.iter().any(|known| path == Path::new(known)) {
        return None;
    }
    // Only at the beginning of a line: a script that searches for such labels has them elsewhere.
    let line = text.lines().find(|line| PRIVATE.iter().any(|label| line.trim_start().starts_with(label)))?;
    Some(line.trim().trim_matches('-').chars().take(40).collect())
}

/// A token whose form shows which service it is for.
pub(super) fn token(_: &Path, text: &str) -> Option<String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    for (head, least, what) in TOKENS {
        for (at, _) in text.match_indices(head) {
            let begins = at == 0 || !is_part(text.as_bytes()[at - 1]);
            let length = text.as_bytes()[at + head.len()..].iter().take_while(|byte| is_part(**byte)).count();
            if begins && length >= least {
                return Some(what.to_owned());
            }
        }
    }
    None
}

/// A password inside a URL, in a file with sources of packages.
pub(super) fn repository_password(path: &Path, text: &str) -> Option<String> {
    const PLACES: [&str; 5] = ["/etc/apt", "/etc/yum.repos.d", "/etc/yum", "/etc/dnf", "/etc/pip.conf"];
    if !PLACES.iter().any(|place| path.starts_with(place)) {
        return None;
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let mut urls = lines.flat_map(|line| line.split("://").skip(1));
    let has_password = |rest: &str| {
        let authority = rest.split(['/', ' ', '"']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.split_once(':').is_some_and(|(_, password)| !password.is_empty()))
    };
    urls.find(|rest| has_password(rest)).map(|_| "a URL with a password".to_owned())
}

/// A secret of a wireless network or of a VPN.
pub(super) fn network_secret(path: &Path, text: &str) -> Option<String> {
    const PLACES: [&str; 3] = ["/etc/NetworkManager/system-connections", "/etc/wpa_supplicant", "/etc/sysconfig/network-scripts"];
    const KEYS: [&str; 6] = ["psk", "password", "private-key-password", "WPA_PSK", "KEY1", "wep-key0"];
    (is_below(path, &PLACES) && sets(text, &KEYS)).then(|| "a key of a network".to_owned())
}

/// A profile that names the card of the build machine.
pub(super) fn hardware_address(path: &Path, text: &str) -> Option<String> {
    const PLACES: [&str; 2] = ["/etc/sysconfig/network-scripts", "/etc/NetworkManager/system-connections"];
    (is_below(path, &PLACES) && sets(text, &["HWADDR", "mac-address"])).then(|| "the address of a card".to_owned())
}

/// Whether a line of `text` gives one of `keys` a value: `KEY=VALUE`.
fn sets(text: &str, keys: &[&str]) -> bool {
    let mut entries = text.lines().filter_map(|line| line.split_once('='));
    entries.any(|(key, value)| keys.contains(&key.trim()) && !value.trim().is_empty())
}

/// A registry's credentials in Docker's own file: an `auth` that is not empty.
pub(super) fn registry_auth(path: &Path, text: &str) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    if !matches!(&*name, "config.json" | "auth.json" | ".dockercfg" | "dockercfg") {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let auths = value.get("auths").unwrap_or(&value).as_object()?;
    let has_auth = |entry: &serde_json::Value| {
        ["auth", "identitytoken", "registrytoken"].iter().any(|key| entry[key].as_str().is_some_and(|text| !text.is_empty()))
    };
    let known: Vec<&str> = auths.iter().filter(|(_, entry)| has_auth(entry)).map(|(registry, _)| registry.as_str()).collect();
    (!known.is_empty()).then(|| known.join(", "))
}

/// A log with something in it.
pub(super) fn log(path: &Path, file: &Metadata) -> Option<String> {
    let is_filled = file.kind == FileKind::File && file.size > 0 && path.starts_with("/var/log");
    is_filled.then(|| format!("{} bytes", file.size))
}

/// Files that an editor left.
pub(super) fn editor_backup(path: &Path, file: &Metadata) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let is_backup = name.ends_with('~') || name.starts_with('.') && name.ends_with(".swp") || name.starts_with(".#");
    (file.kind == FileKind::File && is_backup && is_below(path, &["/etc", "/root", "/home", "/srv", "/usr/local"])).then(String::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_what_only_looks_like_them() {
        type Look = fn(&Path, &str) -> Option<String>;
        for (look, path, text, found) in [
            (private_key as Look, "/etc/x", "-----BEGIN RSA PRIVATE KEY-----\nMII", true),
            (private_key, "/etc/x", "grep -q '-----BEGIN RSA PRIVATE KEY-----'", false),
            (private_key, "/etc/x", "-----BEGIN CERTIFICATE-----", false),
            (private_key, "/etc/ssh/ssh_host_rsa_key", "-----BEGIN OPENSSH PRIVATE KEY-----", false),
            (token, "/root/x", "key=AKIAIOSFODNN7EXAMPLE", true),
            (token, "/root/x", "NOTAKIAIOSFODNN7EXAMPLE", false),
            (token, "/root/x", "AKIA", false),
            (repository_password, "/etc/apt/sources.list", "deb https://me:secret@example.org/ x y", true),
            (repository_password, "/etc/apt/sources.list", "deb https://me@example.org/ x y", false),
            (repository_password, "/etc/apt/sources.list", "# deb https://me:secret@example.org/ x y", false),
            (repository_password, "/etc/motd", "https://me:secret@example.org/", false),
            (network_secret, "/etc/NetworkManager/system-connections/a", "[wifi-security]\npsk=12345678\n", true),
            (network_secret, "/etc/NetworkManager/system-connections/a", "psk=\n", false),
            (hardware_address, "/etc/sysconfig/network-scripts/ifcfg-eth0", "HWADDR=52:54:00:12:34:56\n", true),
            (registry_auth, "/root/.docker/config.json", r#"{"auths": {"r": {"auth": "eA=="}}}"#, true),
            (registry_auth, "/root/.docker/config.json", r#"{"auths": {"r": {}}}"#, false),
            (registry_auth, "/root/.docker/config.json", "[]", false),
        ] {
            assert_eq!(look(Path::new(path), text).is_some(), found, "{path} {text}");
        }
    }
}
