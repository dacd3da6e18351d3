//! Refuses secrets in the parts that are published with the image: the manifest has checks, summary and kernel settings as they are
//! written.

use super::super::tree::KeyPath;
use super::super::{Password, Recipe};
use super::judge::Judge;

/// Parts of a recipe that the manifest shows word by word.
const PUBLISHED: [&str; 7] = ["certificate_authority", "check", "container_image", "docker", "kernel", "summary", "system.proxy"];
/// Keys whose values are not searched: they are names with a fixed spelling, which may happen to equal a password, or are not published.
const NAMES: [&str; 9] = ["unit", "version", "storage_driver", "cgroup_driver", "log_driver", "key", "mode", "archive", "source"];
/// Characters of the shortest password that is also found inside words. A shorter one is only found as a whole word.
const LONG: usize = 8;
/// Characters of the shortest password that is looked for.
const SHORTEST: usize = 4;
/// Ids of hashes that crypt(5) of libxcrypt 4.4 knows.
const HASHES: [&str; 11] = ["1", "2a", "2b", "2x", "2y", "5", "6", "7", "y", "gy", "sha1"];
/// Characters of the shortest hash in base 64, without its salt: that of MD5 has 22.
const HASH: usize = 22;

/// Refuse passwords of `recipe` in published parts, and texts there that look like a password.
pub(super) fn refuse_secrets(judge: &mut Judge<'_>, recipe: &Recipe) {
    let accounts = [&recipe.system.root].into_iter().chain(recipe.users.iter().map(|user| &user.account));
    let known: Vec<(String, &str)> = accounts
        .filter_map(|account| match &account.password {
            Password::Env { name, value } => Some((format!("the value of `{name}`"), value.reveal())),
            Password::Hash { hash } => Some(("the hash of a password".to_owned(), hash.reveal())),
            Password::Locked => None,
        })
        .collect();
    for part in PUBLISHED {
        for (path, text) in judge.strings(&KeyPath::from(part)) {
            if path.0.last().is_some_and(|key| NAMES.contains(&key.as_str())) || is_package_name(&path) {
                continue;
            }
            let named = known.iter().find(|(_, secret)| holds(&text, secret)).map(|(what, _)| what.as_str());
            if let Some(what) = named.or_else(|| looks_secret(&text)) {
                judge.leak(
                    &path,
                    format!("this holds {what}, and is published with the image"),
                    "leave it out; a check can compare a digest (`sha256sum`) or a mode instead",
                );
            }
        }
    }
}

fn is_package_name(path: &KeyPath) -> bool {
    matches!(&path.0[..], [.., package, name] if package == "package" && name == "name")
}

/// Whether `text` holds the password `secret`. A short password, or a short word of small letters such as `docker`, is not counted, because
/// it occurs in many harmless texts.
fn holds(text: &str, secret: &str) -> bool {
    let length = secret.chars().count();
    if length >= LONG {
        return text.contains(secret);
    }
    if length < SHORTEST || secret.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return false;
    }
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(secret).any(|(at, _)| !is_word(text[..at].chars().next_back()) && !is_word(text[at + secret.len()..].chars().next()))
}

/// The kind of secret that `text` seems to hold, also one that is not of the recipe.
fn looks_secret(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY") {
        return Some("a private key");
    }
    let has_password = |(at, _): (usize, &str)| {
        let rest = &text[at + 3..];
        let host = rest.split(|c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace()).next().unwrap_or_default();
        host.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    };
    if text.match_indices("://").any(has_password) {
        return Some("a password in a URL");
    }
    // `$6$salt$hash`, and `$y$parameters$salt$hash`.
    let is_hash = |(at, _): (usize, &str)| {
        let mut parts = text[at + 1..].split('$');
        let id = parts.next().is_some_and(|id| HASHES.contains(&id));
        let digits = |part: &str| part.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"./".contains(byte)).count();
        id && parts.take(3).any(|part| digits(part) >= HASH)
    };
    text.match_indices('$').any(is_hash).then_some("what looks like the hash of a password")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_and_an_ordinary_word_is_not_one() {
        for (text, secret, expected) in [
            ("echo root:hunter2 | chpasswd", "hunter2", true),
            ("hunter2", "hunter2", true),
            ("hunter23", "hunter2", false),
            ("ahunter2", "hunter2", false),
            ("docker info", "docker", false),
            ("Docker info", "Docker", true),
            ("uname -m | grep x86", "x", false),
            ("x1y", "x1", false),
            ("before-correct horse-after", "correct horse", true),
            ("apasswordb", "password", true),
            ("é1üa!", "1üa!", false),
            ("=1üa!", "1üa!", true),
        ] {
            assert_eq!(holds(text, secret), expected, "{text} {secret}");
        }
        for (text, expected) in [
            ("curl http://me:token@host/x", true),
            ("curl http://host:80/a@b:c", false),
            ("git clone ssh://git@host/x", false),
            ("grep '$6$salt$Qf8mDB5sFVe6MwrzSDVCkxKDBKdxSDvdkcZRgbFOkOHoJZnqTRAzQ8H0N' /etc/shadow", true),
            ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", true),
            ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7", true),
            ("$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW", true),
            ("awk '{print $1$2}'", false),
            ("echo $OS$VERSION_OF_THE_DISTRIBUTION_IN_LONG", false),
            ("grep -c '^root:\\$6\\$' /etc/shadow", false),
            ("! grep -r 'BEGIN RSA PRIVATE KEY' /etc", true),
        ] {
            assert_eq!(looks_secret(text).is_some(), expected, "{text}");
        }
    }
}
