//! Hashes of passwords. Pure.

use std::str::FromStr;

use super::fault::Fault;
use super::secret::Secret;
use super::word::or_one_of;

/// A password hash that crypt(3) of all systems made by goldsmith understands, EL7's (glibc 2.17) too: `$6$` (SHA-512) or `$5$` (SHA-256),
/// complete (crypt(5); Drepper, "Unix crypt using SHA-256 and SHA-512"). It can be attacked offline, so it is a secret too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(Secret);

impl PasswordHash {
    /// The hash. It must not be shown.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl From<PasswordHash> for Secret {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

impl FromStr for PasswordHash {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = |what: &str| Err(Fault::new(what, "make one with `openssl passwd -6`"));
        let in_base64 = |part: &str| part.bytes().all(or_one_of(b"./"));
        if text.starts_with("$y$") || text.starts_with("$gy$") {
            return wrong("this is a yescrypt hash, which crypt(3) of EL7 (glibc 2.17) does not know: the account could not log in");
        }
        let (method, digits) = match text.get(..3) {
            Some("$6$") => (&text[3..], 86),
            Some("$5$") => (&text[3..], 43),
            _ => return wrong("this is not a password hash that starts with $6$ or $5$"),
        };
        let mut parts: Vec<&str> = method.split('$').collect();
        if let Some(rounds) = parts.first().and_then(|part| part.strip_prefix("rounds=")) {
            if !(1..=9).contains(&rounds.len()) || !rounds.bytes().all(|byte| byte.is_ascii_digit()) {
                return wrong("the rounds of this password hash are not a number");
            }
            parts.remove(0);
        }
        match parts.as_slice() {
            // crypt(5): at most 16 characters of salt; with more, the hash never matches.
            [salt, hash] if (1..=16).contains(&salt.len()) && in_base64(salt) && hash.len() == digits && in_base64(hash) => {
                Ok(Self(Secret::new(text)))
            }
            _ => wrong(&format!("this password hash is cut short or garbled: behind a salt of 1 to 16 characters it has {digits} more")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA512: &str = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";

    #[test]
    fn only_hashes_that_every_system_knows_pass() {
        for hash in [
            SHA512.to_owned(),
            SHA512.replace("$6$", "$6$rounds=5000$"),
            SHA512.replace("saltsalt", "0123456789abcdef"),
            format!("$5$s${}", "b".repeat(43)),
        ] {
            assert_eq!(hash.parse::<PasswordHash>().unwrap().reveal(), hash);
        }
        for hash in [
            "",
            "secret",
            "$1$a$b",
            "$y$j9T$a$b",
            "$gy$j9T$a$b",
            &SHA512[..90],
            &SHA512.replace("saltsalt", "saltsaltsaltsalt1"),
            &SHA512.replace("saltsalt", "salt salt"),
            &SHA512.replace("saltsalt", ""),
            &SHA512.replace("$6$", "$5$"),
            &SHA512.replace("$6$", "$6$rounds=x$"),
            &SHA512.replace("$6$", "$6$rounds=$"),
            &format!("{SHA512}$"),
            "$6",
            "$6\u{e9}",
        ] {
            let fault = hash.parse::<PasswordHash>().unwrap_err();
            assert!(hash.len() < 4 || !fault.what.contains(hash), "the error shows the hash");
        }
    }

    #[test]
    fn a_hash_is_not_shown() {
        assert!(!format!("{:?}", SHA512.parse::<PasswordHash>().unwrap()).contains("salt"));
    }
}
