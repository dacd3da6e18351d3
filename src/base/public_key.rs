//! Public keys of ssh. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Key types of OpenSSH that both EL7 (7.4) and Debian 12 accept.
const KEY_TYPES: [&str; 5] = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];

/// A line of `authorized_keys`, without options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(String);

/// Why a text is no public key. The text is not repeated: it may be a private one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct NotAKey {
    /// The sentence.
    pub what: &'static str,
    /// What to write instead.
    pub help: String,
}

impl PublicKey {
    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let help = "copy the one line of a `.pub` file: `ssh-ed25519 AAAA… comment`";
        let not = |what, help: &str| Err(NotAKey { what, help: help.to_owned() });
        if text.contains("PRIVATE KEY") {
            return not("this is a private key, which has no place here", help);
        }
        let mut words = text.split(' ');
        let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if text.chars().any(char::is_control) {
            return not("a public key is one line", help);
        }
        if !KEY_TYPES.contains(&kind) {
            return not("this is not a public key", &format!("{help}; known are {}", KEY_TYPES.join(", ")));
        }
        // RFC 4253, 6.6: the blob begins with the length and the name of the key type.
        let head: Vec<u8> = [&(kind.len() as u32).to_be_bytes()[..], kind.as_bytes()].concat();
        match STANDARD.decode(blob).ok() {
            Some(bytes) if bytes.starts_with(&head) && bytes.len() > head.len() + 32 => Ok(Self(text.to_owned())),
            _ => not("this public key is cut short or garbled", help),
        }
    }
}

impl TryFrom<String> for PublicKey {
    type Error = NotAKey;

    fn try_from(text: String) -> Result<Self, NotAKey> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
