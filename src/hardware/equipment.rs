//! What a local machine is given: as its user says, as the recipe of its image says, or as is usual.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::size::ByteSize;

/// The least memory of a machine: with less, firmware hangs without a word.
pub const LEAST_MEMORY: ByteSize = ByteSize::mib(64);
/// The most processors, which QEMU's machine type `pc` sets.
pub const MAX_CPUS: u32 = 255;
/// Memory when nobody says how much.
const USUAL_MEMORY: ByteSize = ByteSize::gib(2);

/// What a local machine is given, as far as somebody says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Equipment {
    /// Virtual CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Size of the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<ByteSize>,
    /// Ports of the host that lead into it. An empty list says that there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Vec<Forward>>,
    /// Whether nothing leaves its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<bool>,
}

impl Equipment {
    /// What this one says, and else what `other` says.
    pub fn or(&self, other: &Self) -> Self {
        Self {
            cpus: self.cpus.or(other.cpus),
            memory: self.memory.or(other.memory),
            disk: self.disk.or(other.disk),
            forward: self.forward.as_ref().or(other.forward.as_ref()).cloned(),
            isolated: self.isolated.or(other.isolated),
        }
    }

    /// Memory.
    pub fn memory(&self) -> ByteSize {
        self.memory.unwrap_or(USUAL_MEMORY)
    }

    /// Ports of the host that lead into it.
    pub fn forwards(&self) -> &[Forward] {
        self.forward.as_deref().unwrap_or_default()
    }

    /// Whether nothing leaves the network.
    pub fn isolated(&self) -> bool {
        self.isolated.unwrap_or(false)
    }

    /// Whether a machine can have it. What a recipe says was judged with it; a manifest may come from anywhere.
    pub fn is_possible(&self) -> bool {
        self.cpus.is_none_or(|cpus| (1..=MAX_CPUS).contains(&cpus))
            && self.memory.is_none_or(|memory| memory >= LEAST_MEMORY)
            && self.forwards().iter().all(|forward| forward.host > 0 && forward.guest > 0)
    }
}

/// A TCP port of 127.0.0.1 on the host that leads to one of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forward {
    /// The host's port.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
}

impl Forward {
    /// To the guest's ssh server.
    pub fn ssh(host: u16) -> Self {
        Self { host, guest: 22 }
    }
}

impl FromStr for Forward {
    type Err = String;

    /// `8080:80`, or `80` for `80:80`.
    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or(format!("`{text}` is no port: 1 to 65535"));
        match text.split_once(':') {
            Some((host, guest)) => Ok(Self { host: port(host)?, guest: port(guest)? }),
            None => port(text).map(|port| Self { host: port, guest: port }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_first_counts() {
        let flags = Equipment { memory: Some(ByteSize::gib(1)), isolated: Some(false), ..Equipment::default() };
        let recipe = Equipment {
            cpus: Some(4),
            memory: Some(ByteSize::gib(8)),
            disk: Some(ByteSize::gib(40)),
            forward: Some(vec![Forward { host: 8080, guest: 80 }]),
            isolated: Some(true),
        };
        let given = flags.or(&recipe);
        assert_eq!(given, Equipment { memory: flags.memory, isolated: Some(false), ..recipe.clone() });
        for (said, expected) in
            [(Some(vec![Forward::ssh(2222)]), &[Forward::ssh(2222)][..]), (Some(Vec::new()), &[]), (None, recipe.forwards())]
        {
            let said = Equipment { forward: said, ..Equipment::default() };
            assert_eq!(said.or(&recipe).forwards(), expected);
        }
        assert_eq!((Equipment::default().memory(), Equipment::default().isolated()), (ByteSize::gib(2), false));
    }

    #[test]
    fn what_no_machine_can_have_is_known() {
        let said = |json: &str| serde_json::from_str::<Equipment>(json).is_ok_and(|equipment| equipment.is_possible());
        for (json, possible) in [
            ("{}", true),
            (r#"{"cpus": 255, "memory": "64M", "forward": [{"host": 1, "guest": 65535}], "isolated": true, "of": "later"}"#, true),
            (r#"{"cpus": 0}"#, false),
            (r#"{"cpus": 256}"#, false),
            (r#"{"cpus": -1}"#, false),
            (r#"{"memory": "1M"}"#, false),
            (r#"{"memory": "much"}"#, false),
            (r#"{"forward": [{"host": 0, "guest": 1}]}"#, false),
            (r#"{"forward": [{"host": 1}]}"#, false),
            ("7", false),
        ] {
            assert_eq!(said(json), possible, "{json}");
        }
    }

    #[test]
    fn a_forward_is_two_ports_or_one() {
        for (text, expected) in [
            ("8080:80", Some((8080, 80))),
            ("80", Some((80, 80))),
            ("0:80", None),
            ("80:", None),
            ("1:2:3", None),
            ("70000:1", None),
            ("127.0.0.1:80", None),
        ] {
            assert_eq!(text.parse().ok(), expected.map(|(host, guest)| Forward { host, guest }), "{text}");
        }
    }
}
