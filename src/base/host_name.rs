//! Names of hosts. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a host name is written, for a remedy.
pub const SPELLING: &str = "use letters, digits and `-` (not at an end), labels of up to 63 parted by dots, 64 in all";

/// A host name: RFC 1123 labels; 64 bytes are what sethostname(2) takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

impl HostName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label.
    pub fn label(&self) -> &str {
        self.0.split('.').next().unwrap_or(&self.0)
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let label = |label: &str| {
            let bytes = label.as_bytes();
            (1..=63).contains(&bytes.len())
                && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 64 && text.split('.').all(label) { Ok(Self(text.to_owned())) } else { Err(format!("not a host name: {SPELLING}")) }
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_has_labels() {
        for (text, label) in [
            ("web", Some("web")),
            ("7", Some("7")),
            ("node1.lab.example", Some("node1")),
            (&"n".repeat(63), Some(&*"n".repeat(63))),
            (&"n".repeat(64), None),
            (&["n".repeat(40), "n".repeat(24)].join("."), None),
            ("", None),
            ("a..b", None),
            ("a.", None),
            ("-a", None),
            ("a-", None),
            ("a_b", None),
            ("a b", None),
            ("\u{e9}", None),
        ] {
            let name = text.parse::<HostName>().ok();
            assert_eq!(name.as_ref().map(HostName::label), label, "{text}");
        }
    }
}
