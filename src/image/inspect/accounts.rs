//! Finds the accounts that can log in.

use serde::Serialize;

use crate::image::{ImageError, Root};

/// Bytes of an account file that are read.
const MAX_BYTES: u64 = 4 << 20;

/// An account with a shell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its shell; an empty one is `/bin/sh` (passwd(5)).
    pub shell: String,
    /// Whether it has a password that can be entered.
    pub has_password: bool,
}

/// The accounts of `root` that have a shell, in the order of passwd(5). Those that end a session at once (nologin(8), false(1), sync(1)) have none.
pub(super) fn accounts(root: &Root) -> Result<Vec<Account>, ImageError> {
    let read = |path| Ok::<_, ImageError>(String::from_utf8_lossy(&root.read_if_there(path, MAX_BYTES)?.unwrap_or_default()).into_owned());
    let (passwd, shadow) = (read("/etc/passwd")?, read("/etc/shadow")?);
    let hidden = |name: &str| shadow.lines().filter_map(|line| line.split_once(':')).find(|(other, _)| *other == name);
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, password, uid, _, _, _, shell] = fields[..] else { return None };
        let password = hidden(name).map_or(password, |(_, rest)| rest.split(':').next().unwrap_or_default());
        let shell = if shell.is_empty() { "/bin/sh" } else { shell };
        let is_one = !["nologin", "false", "sync", "shutdown", "halt"].iter().any(|word| shell.ends_with(&format!("/{word}")));
        let account = Account { name: name.into(), uid: uid.parse().ok()?, shell: shell.into(), has_password: is_password(password) };
        is_one.then_some(account)
    };
    Ok(passwd.lines().filter_map(account).collect())
}

/// `!` and `*` before or in place of a hash lock an account (shadow(5)); an empty one allows every log-in.
fn is_password(field: &str) -> bool {
    !field.starts_with(['!', '*']) && field != "x"
}
