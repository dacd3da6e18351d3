//! Accounts that let in more than the recipe says: passwords, keys, a second root.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::image::{ImageError, Root};

/// Bytes of such a file that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Whom the recipe lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Whether passwords and keys of others are somebody else's to say: a kickstart's of the user's own.
    pub others: bool,
    /// Accounts that may have a password.
    pub passwords: Vec<String>,
    /// Accounts that may have authorized keys.
    pub keys: Vec<String>,
}

/// Accounts that anybody can use: the password is empty (shadow(5), second field; passwd(5) the same).
pub(super) fn empty_passwords(root: &Root, _: &Allowed) -> Result<Vec<(PathBuf, String)>, ImageError> {
    let mut found = Vec::new();
    for path in ["/etc/passwd", "/etc/shadow"] {
        let lines = lines(root, path)?;
        found.extend(
            lines.iter().filter(|fields| fields[1].is_empty()).map(|fields| at(path, format!("{} has an empty password", fields[0]))),
        );
    }
    Ok(found)
}

/// Accounts with a password that the recipe does not give them. `!` and `*` before or in place of a hash lock an account.
pub(super) fn passwords(root: &Root, allowed: &Allowed) -> Result<Vec<(PathBuf, String)>, ImageError> {
    let mut found = Vec::new();
    if allowed.others {
        return Ok(found);
    }
    for path in ["/etc/passwd", "/etc/shadow"] {
        let lines = lines(root, path)?;
        let has_one = |fields: &&Vec<String>| {
            !fields[1].is_empty() && fields[1] != "x" && !fields[1].starts_with(['!', '*']) && !allowed.passwords.contains(&fields[0])
        };
        found.extend(
            lines.iter().filter(has_one).map(|fields| at(path, format!("{} has a password that the recipe does not set", fields[0]))),
        );
    }
    Ok(found)
}

/// Accounts beside root that are root.
pub(super) fn second_root(root: &Root, _: &Allowed) -> Result<Vec<(PathBuf, String)>, ImageError> {
    let lines = lines(root, "/etc/passwd")?;
    let others = lines.iter().filter(|fields| fields[0] != "root" && fields.get(2).is_some_and(|uid| uid.parse() == Ok(0u32)));
    Ok(others.map(|fields| at("/etc/passwd", format!("{} has the user id 0", fields[0]))).collect())
}

/// Keys that let in somebody whom the recipe does not name.
pub(super) fn authorized_keys(root: &Root, allowed: &Allowed) -> Result<Vec<(PathBuf, String)>, ImageError> {
    let mut found = Vec::new();
    if allowed.others {
        return Ok(found);
    }
    for fields in lines(root, "/etc/passwd")? {
        let Some(home) = fields.get(5).filter(|home| home.starts_with('/') && !allowed.keys.contains(&fields[0])) else { continue };
        for name in ["authorized_keys", "authorized_keys2"] {
            let path = PathBuf::from(format!("{home}/.ssh/{name}"));
            let text = root.read_if_there(&path, MAX_BYTES).ok().flatten().unwrap_or_default();
            let keys =
                String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count();
            if keys > 0 && !found.iter().any(|(other, _)| *other == path) {
                found.push((path, format!("{keys} for {}", fields[0])));
            }
        }
    }
    Ok(found)
}

fn at(path: &str, detail: String) -> (PathBuf, String) {
    (path.into(), detail)
}

/// The fields of each line that has two at least.
fn lines(root: &Root, path: &str) -> Result<Vec<Vec<String>>, ImageError> {
    let bytes = root.read_if_there(path, MAX_BYTES)?.unwrap_or_default();
    let lines =
        String::from_utf8_lossy(&bytes).lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>();
    Ok(lines.into_iter().filter(|fields| fields.len() > 1 && !fields[0].starts_with('#')).collect())
}
