//! Reads the accounts that can log in from an image before it is booted.

use crate::image::{Disk, ImageError, Root};

/// The most that is read of a file of accounts, in bytes.
const MAX_ACCOUNTS: u64 = 1 << 20;

/// The accounts of an image that have a way to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logins {
    /// By a password: those whose field of shadow(5) is neither locked nor empty.
    pub by_password: Vec<String>,
    /// By an ssh key: those with lines in `.ssh/authorized_keys`.
    pub by_key: Vec<String>,
}

impl Logins {
    /// Read them; `None` when the accounts of the disk cannot be read.
    pub fn of(disk: &Disk) -> Option<Self> {
        Self::read(&Root::open(disk).ok()?).ok()
    }

    fn read(root: &Root) -> Result<Self, ImageError> {
        let text = |path: &str| root.read(path, MAX_ACCOUNTS).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let by_key = homes(&text("/etc/passwd")?).into_iter().filter(|(_, home)| {
            let keys = root.read_if_there(format!("{home}/.ssh/authorized_keys"), MAX_ACCOUNTS);
            keys.is_ok_and(|keys| keys.is_some_and(|keys| has_keys(&String::from_utf8_lossy(&keys))))
        });
        Ok(Self { by_key: by_key.map(|(name, _)| name).collect(), by_password: with_password(&text("/etc/shadow")?) })
    }

    /// The account that ssh reaches: root, else the first.
    pub fn for_ssh(&self) -> Option<&str> {
        let both = || self.by_key.iter().chain(&self.by_password).map(String::as_str);
        // Debian's sshd takes no password of root's (sshd_config(5), PermitRootLogin).
        self.by_key
            .iter()
            .map(String::as_str)
            .find(|name| *name == "root")
            .or_else(|| both().find(|name| *name != "root"))
            .or_else(|| both().next())
    }
}

/// shadow(5): a hash of crypt(5) begins with `$`.
fn with_password(shadow: &str) -> Vec<String> {
    let entries = shadow.lines().filter_map(|line| line.split_once(':'));
    entries.filter(|(_, rest)| rest.starts_with('$')).map(|(name, _)| name.to_owned()).collect()
}

/// passwd(5): the accounts with a shell, and their homes.
fn homes(passwd: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, _, _, _, home, shell] = fields[..] else { return None };
        (!shell.ends_with("/nologin") && !shell.ends_with("/false")).then(|| (name.to_owned(), home.trim_end_matches('/').to_owned()))
    };
    passwd.lines().filter_map(entry).collect()
}

/// sshd(8): empty lines and lines that begin with `#` are no keys.
fn has_keys(text: &str) -> bool {
    text.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_as_the_system_reads_them() {
        let shadow = "root:*:1::::::\nada:$6$a$b:1::::::\nbob:!$6$a$b:1::::::\neve:!!:1::::::\nnobody::1::::::\n";
        assert_eq!(with_password(shadow), ["ada"]);
        let passwd = "root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada/:/bin/sh\nsync:x:1:1::/:/usr/sbin/nologin\nbroken\n";
        let home = |name: &str, home: &str| (name.to_owned(), home.to_owned());
        assert_eq!(homes(passwd), [home("root", "/root"), home("ada", "/home/ada")]);
        assert!(has_keys("# mine\nssh-ed25519 AAAA\n") && !has_keys("# mine\n\n  \n"));
    }

    #[test]
    fn ssh_reaches_who_has_a_key() {
        let logins = |by_password: &[&str], by_key: &[&str]| Logins {
            by_password: by_password.iter().map(|name| (*name).to_owned()).collect(),
            by_key: by_key.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (passwords, keys, who) in [
            (&[][..], &[][..], None),
            (&["root"][..], &[][..], Some("root")),
            (&["root"][..], &["ada"][..], Some("ada")),
            (&["root", "ada"][..], &[][..], Some("ada")),
            (&["ada"][..], &["ada", "root"][..], Some("root")),
        ] {
            assert_eq!(logins(passwords, keys).for_ssh(), who, "{passwords:?} {keys:?}");
        }
    }
}
