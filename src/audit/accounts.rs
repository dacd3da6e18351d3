//! Accounts that allow more log-ins than the recipe: passwords, keys, a second root.

use std::path::PathBuf;

use super::rule::{Allowed, Places};
use crate::image::{ImageError, Root};

/// Bytes of such a file that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Accounts with an empty password, which every user can log in to.
pub(super) fn empty_passwords(root: &Root, _: &Allowed) -> Result<Places, ImageError> {
    by_password(root, |_, password| password.is_empty(), "has an empty password")
}

/// Accounts with a password that the recipe does not give them. `!` and `*` before or in place of a hash lock an account.
pub(super) fn passwords(root: &Root, allowed: &Allowed) -> Result<Places, ImageError> {
    if allowed.others {
        return Ok(Places::new());
    }
    let has_one = |password: &str| !password.is_empty() && password != "x" && !password.starts_with(['!', '*']);
    let is_foreign = |name: &String, password: &str| has_one(password) && !allowed.passwords.contains(name);
    by_password(root, is_foreign, "has a password that the recipe does not set")
}

/// Accounts for which `is_wrong` is true by their name and password: the second field of passwd(5) and of shadow(5).
fn by_password(root: &Root, is_wrong: impl Fn(&String, &str) -> bool, what: &str) -> Result<Places, ImageError> {
    let mut found = Places::new();
    for path in ["/etc/passwd", "/etc/shadow"] {
        let lines = lines(root, path)?;
        let wrong = lines.iter().filter(|fields| is_wrong(&fields[0], &fields[1]));
        found.extend(wrong.map(|fields| at(path, format!("{} {what}", fields[0]))));
    }
    Ok(found)
}

/// Accounts beside root that are root.
pub(super) fn second_root(root: &Root, _: &Allowed) -> Result<Places, ImageError> {
    let lines = lines(root, "/etc/passwd")?;
    let others = lines.iter().filter(|fields| fields[0] != "root" && fields.get(2).is_some_and(|uid| uid.parse() == Ok(0u32)));
    Ok(others.map(|fields| at("/etc/passwd", format!("{} has the user id 0", fields[0]))).collect())
}

/// Keys that are not in the recipe, and that allow a log-in.
pub(super) fn authorized_keys(root: &Root, allowed: &Allowed) -> Result<Places, ImageError> {
    let mut found = Places::new();
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
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.filter(|fields| fields.len() > 1 && !fields[0].starts_with('#')).collect())
}
