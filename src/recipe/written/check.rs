//! The promises of a recipe, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::promise::Protocol;
use super::value::{SysctlValue, yes};

/// The keys of a [`Check`] that tell its kind, in the order of its fields.
pub(in crate::recipe) const CHECK_KINDS: [&str; 9] = ["docker", "command", "service", "package", "file", "sysctl", "port", "http", "swap"];

/// A promise verified on the finished image: a name, if you like, and exactly one other key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Check {
    /// For people. Default: made from what is checked.
    pub name: Option<String>,
    /// What `docker info` says of the daemon that the boot started.
    pub docker: Option<DockerCheck>,
    /// A command run as root.
    pub command: Option<CommandCheck>,
    /// A systemd unit.
    pub service: Option<ServiceCheck>,
    /// An installed package.
    pub package: Option<PackageCheck>,
    /// A file, read from the disk without booting it.
    pub file: Option<FileCheck>,
    /// A kernel parameter, read after boot and before Docker starts.
    pub sysctl: Option<SysctlCheck>,
    /// A port of the guest.
    pub port: Option<PortCheck>,
    /// What a server of the guest answers, asked from the guest itself.
    pub http: Option<HttpCheck>,
    /// Swap space, once the boot is over.
    pub swap: Option<SwapCheck>,
}

/// What `docker info` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct DockerCheck {
    /// Version of the daemon, with or without the distribution's suffix (`+dfsg1`).
    pub version: Option<String>,
    /// Storage driver, such as "overlay2".
    pub storage_driver: Option<String>,
    /// Cgroup driver: "cgroupfs" or "systemd".
    pub cgroup_driver: Option<String>,
    /// Parts of warnings that are allowed; any other warning fails the check.
    #[serde(default)]
    pub allow_warnings: Vec<String>,
}

/// A command run as root by `/bin/sh -c`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct CommandCheck {
    /// The command.
    pub run: String,
    /// The exit status it must end with.
    #[serde(default)]
    #[schemars(range(min = 0, max = 255))]
    pub status: i32,
    /// What its standard output must contain.
    pub stdout: Option<String>,
}

/// A systemd unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct ServiceCheck {
    /// The unit, with or without `.service`.
    pub unit: String,
    /// Whether it must be enabled.
    pub enabled: Option<bool>,
    /// Whether it must be active once the boot is over.
    pub active: Option<bool>,
    /// It ends until something sets it up, and systemd must start it again each time: kubelet, until its node has joined.
    #[serde(default)]
    pub restarting: bool,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct PackageCheck {
    /// Its name.
    pub name: String,
    /// What its version must start with.
    pub version: Option<String>,
    /// Whether it must be there (true) or must not.
    #[serde(default = "yes")]
    pub installed: bool,
}

/// A file, read from the disk without booting it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct FileCheck {
    /// Absolute path in the image.
    pub path: String,
    /// Whether it must be there (true) or must not.
    #[serde(default = "yes")]
    pub exists: bool,
    /// What it must contain.
    pub contains: Option<String>,
    /// What it must hash to.
    pub sha256: Option<String>,
    /// Its permission bits, octal, as text.
    pub mode: Option<String>,
    /// Whose it is: `user:group`, by the names that the image has.
    pub owner: Option<String>,
}

/// A kernel parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct SysctlCheck {
    /// Dotted key.
    pub key: String,
    /// Its value.
    pub value: SysctlValue,
}

/// A port of the guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct PortCheck {
    /// Its number.
    #[schemars(range(min = 1, max = 65535))]
    pub number: u16,
    /// Whose port.
    #[serde(default)]
    pub protocol: Protocol,
    /// Whether something must listen there (true) or must not.
    #[serde(default = "yes")]
    pub listening: bool,
}

/// What a server answers to a GET.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct HttpCheck {
    /// What is asked for: `http://`, a loopback address (the proof has no network), a port unless it is 80, and a path.
    pub url: String,
    /// The status it must answer with; a redirection is not followed.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub status: u16,
    /// What the first 64 KiB of the answer must contain, after its header.
    pub contains: Option<String>,
}

fn ok() -> u16 {
    200
}

/// Swap space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct SwapCheck {
    /// Whether some must be in use (true) or none may be.
    pub active: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind that is missing would not replace an inherited one, and would not be named when a check has none.
    #[test]
    fn every_key_of_a_check_but_its_name_is_a_kind() {
        let schema = schemars::schema_for!(Check);
        let mut keys: Vec<&str> = schema.get("properties").unwrap().as_object().unwrap().keys().map(String::as_str).collect();
        keys.retain(|key| *key != "name");
        let mut kinds = CHECK_KINDS.to_vec();
        kinds.sort_unstable();
        keys.sort_unstable();
        assert_eq!(kinds, keys);
    }
}
