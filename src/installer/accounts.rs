//! The accounts' passwords as the wanted system stores them.
//!
//! Installers make every account locked, and sealing sets the passwords. Their salts belong to one store, so a layer with passwords could
//! not be shared between stores, and a new password would need a new installation.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha_crypt::{Params, sha512_crypt};
use sha2::Sha256;

use crate::base::secret::Secret;
use crate::recipe::{Group, Password, Recipe};

/// The accounts of a recipe that have a password, which may include root, and the crypt(3) hash of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts(BTreeMap<String, Secret>);

impl Accounts {
    /// Hash the recipe's passwords. The salts are an HMAC of `secret` (the store's), recipe and user: the same recipe gives the same
    /// hashes on this host, and without the secret one cannot tell from two images whether their passwords are equal.
    pub fn derive(recipe: &Recipe, secret: &[u8]) -> Self {
        let users = recipe.users.iter().map(|user| (user.name.as_str(), &user.account.password));
        let login = |(name, password): (&str, &Password)| {
            let hash = match password {
                Password::Locked => return None,
                Password::Hash { hash } => hash.clone().into(),
                Password::Env { value, .. } => crypt_hash(value.reveal(), &salt(secret, &recipe.name, name)),
            };
            Some((name.to_owned(), hash))
        };
        Self([("root", &recipe.system.root.password)].into_iter().chain(users).filter_map(login).collect())
    }

    /// What sealing reads: `NAME:HASH` lines, in the order of the names. `None` when no account has a password.
    pub fn lines(&self) -> Option<Secret> {
        let lines: String = self.0.iter().map(|(name, hash)| format!("{name}:{}\n", hash.reveal())).collect();
        (!lines.is_empty()).then(|| Secret::new(lines))
    }
}

/// The digits of crypt(3)'s base 64.
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Sixteen digits, 96 bits: all that crypt(3) reads of a salt. A longer one would be stored whole and match no password.
fn salt(secret: &[u8], recipe: &str, user: &str) -> String {
    // OK to unwrap: HMAC takes keys of any length (RFC 2104).
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any key length");
    mac.update(recipe.as_bytes());
    mac.update(&[0]);
    mac.update(user.as_bytes());
    mac.finalize().into_bytes().iter().take(16).map(|byte| digit((*byte).into())).collect()
}

/// `$6$`: SHA-512 with the default 5000 rounds, which are not written (crypt(5)).
fn crypt_hash(password: &str, salt: &str) -> Secret {
    let digest = sha512_crypt(password.as_bytes(), salt.as_bytes(), Params::RECOMMENDED);
    Secret::new(format!("$6${salt}${}", crypt_base64(&digest)))
}

/// The order of bytes that "Unix crypt using SHA-256 and SHA-512" (Drepper, version 0.6, step 22) lays down: three columns of 21 whose
/// roles rotate, then the last byte alone; lowest digit first.
fn crypt_base64(digest: &[u8; 64]) -> String {
    let mut out = String::with_capacity(86);
    let mut group = |bytes: [u8; 3], digits: usize| {
        let bits = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]);
        out.extend((0..digits).map(|place| digit(bits >> (6 * place))));
    };
    for row in 0..21 {
        let mut bytes = [digest[row], digest[row + 21], digest[row + 42]];
        bytes.rotate_left(row % 3);
        group(bytes, 4);
    }
    group([0, 0, digest[63]], 2);
    out
}

fn digit(bits: u32) -> char {
    DIGITS[(bits & 63) as usize].into()
}

/// The arguments of `add_group` in the installers' scripts: the name, the id or `-`, and options of groupadd(8).
pub(super) fn group_words(group: &Group) -> Vec<String> {
    let id = group.gid.map(|gid| gid.to_string());
    let mut words = vec![group.name.to_string(), id.clone().unwrap_or_else(|| "-".to_owned())];
    words.extend(id.into_iter().flat_map(|id| ["--gid".to_owned(), id]));
    words.extend(group.system.then(|| "--system".to_owned()));
    words
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_systems_own_crypt_agrees() {
        for password in ["secret", "pass word 'with' \"quotes\" $x", "ünï", &"long".repeat(30)] {
            let hash = crypt_hash(password, &salt(b"store", "recipe", "root"));
            let program = "import crypt, sys; print(crypt.crypt(sys.argv[1], sys.argv[2]))";
            let output = Command::new("python3").args(["-W", "ignore", "-c", program, password, hash.reveal()]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), hash.reveal(), "{password}");
        }
    }

    #[test]
    fn the_lines_are_those_of_accounts_with_a_password() {
        assert_eq!(Accounts(BTreeMap::new()).lines(), None);
        let accounts = [("root", "$6$a$b"), ("ada", "$5$c$d")].map(|(name, hash)| (name.to_owned(), Secret::new(hash)));
        let lines = Accounts(accounts.into()).lines().unwrap();
        assert_eq!(lines.reveal(), "ada:$5$c$d\nroot:$6$a$b\n");
    }

    #[test]
    fn salts_tell_stores_recipes_and_users_apart_and_nothing_else() {
        let base = salt(b"store", "recipe", "root");
        assert_eq!(base, salt(b"store", "recipe", "root"));
        for other in [salt(b"other", "recipe", "root"), salt(b"store", "recipf", "root"), salt(b"store", "reciper", "oot")] {
            assert_ne!(base, other);
        }
    }
}
