//! The name of a local machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::host_name::HostName;

/// Longest name: that of a host (RFC 1035, 2.3.4).
const NAME_BYTES: usize = 63;

/// The name of a local machine or a network of such: letters, digits, `-`, `_` and `.`, the first a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// A name from `text`, which has only characters of a name. If it does not begin with a letter or digit, or is too long, this makes a
    /// similar name.
    pub(super) fn after(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self(format!("vm{text}").chars().take(60).collect()))
    }

    /// The `number`th of several machines of this name: `lab-3`.
    pub(super) fn numbered(&self, number: u32) -> Self {
        let end = format!("-{number}");
        let begin: String = self.0.chars().take(NAME_BYTES - end.len()).collect();
        Self(begin + &end)
    }

    /// The host name that is most like it.
    pub(super) fn host_name(&self) -> Option<HostName> {
        self.0.replace('_', "-").trim_end_matches(['-', '.']).parse().ok()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match text.chars().next() {
            Some(first) if first.is_ascii_alphanumeric() && text.chars().all(is_part) && text.len() <= NAME_BYTES => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!("a name has 1 to {NAME_BYTES} letters, digits, `-`, `_` and `.`, and begins with a letter or digit")),
        }
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_file_name_and_a_word() {
        for (text, is_name) in [
            ("debian-12-docker", true),
            ("7.5_a", true),
            (&"n".repeat(63), true),
            (&"n".repeat(64), false),
            ("", false),
            (".", false),
            ("..", false),
            ("-a", false),
            ("a/b", false),
            ("a b", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(text.parse::<Name>().is_ok(), is_name, "{text}");
            assert_eq!(serde_json::from_value::<Name>(serde_json::json!(text)).is_ok(), is_name, "{text}");
        }
        for (text, name) in [("web", "web"), ("_web", "vm_web"), (&".".repeat(70), &format!("vm{}", ".".repeat(58)))] {
            assert_eq!(Name::after(text).as_str(), name);
            assert!(Name::after(text).as_str().parse::<Name>().is_ok());
        }
        for (text, host) in [("web", Some("web")), ("my_web_", Some("my-web")), ("a..b", None), ("7.5_a", Some("7.5-a"))] {
            let name = text.parse::<Name>().unwrap().host_name();
            assert_eq!(name.as_ref().map(HostName::as_str), host);
        }
        for (text, numbered) in [("lab", "lab-12".to_owned()), (&"n".repeat(63), format!("{}-12", "n".repeat(60)))] {
            assert_eq!(text.parse::<Name>().unwrap().numbered(12).as_str(), numbered);
        }
    }
}
