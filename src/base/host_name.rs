//! Names of hosts. Pure.

use super::fault::Fault;
use super::word::{ensure, word};

/// How a host name is written, for a remedy.
const SPELLING: &str = "use letters, digits and `-` (not at an end), labels of up to 63 parted by dots, 64 in all";

word! {
    /// A host name: RFC 1123 labels; 64 bytes are what sethostname(2) takes.
    HostName, host_name
}

impl HostName {
    /// The first label.
    pub fn label(&self) -> &str {
        self.split('.').next().unwrap_or(self)
    }
}

fn host_name(text: &str) -> Result<(), Fault> {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    ensure(text.len() <= 64 && text.split('.').all(label), text, "a host name", SPELLING)
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
