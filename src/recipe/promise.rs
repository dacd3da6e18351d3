//! The promises of a recipe about the finished image. The manifest repeats them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::image_path::ImagePath;
use crate::base::kernel::SysctlKey;
use crate::base::local_url::LocalUrl;
use crate::base::package::PackageName;
use crate::base::unit::UnitName;
use crate::base::word::Line;

/// A promise verified on the finished image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// For people: given, or made from the kind.
    pub name: String,
    /// What is promised.
    pub kind: CheckKind,
}

/// Settings of a Docker daemon that `docker info` shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerSettings {
    /// Registries that are asked before Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// Registries that need no TLS: hosts, perhaps with ports, and networks.
    pub insecure_registries: Vec<String>,
    /// `LoggingDriver`.
    pub log_driver: Option<String>,
    /// `LiveRestoreEnabled`.
    pub live_restore: Option<bool>,
}

impl DockerSettings {
    /// Whether no setting is given.
    fn say_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

impl Protocol {
    fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }
}

/// What a check looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CheckKind {
    /// `docker info`, asked of the daemon that the boot started.
    Docker {
        /// `ServerVersion`, with or without a distribution's `+dfsg…` suffix.
        version: Option<String>,
        /// `Driver`.
        storage_driver: Option<String>,
        /// `CgroupDriver`.
        cgroup_driver: Option<String>,
        /// Warnings that are allowed, as substrings; any other fails the check.
        allow_warnings: Vec<String>,
        /// The settings of the `[docker]` table. Older manifests do not have them.
        #[serde(default, skip_serializing_if = "DockerSettings::say_nothing")]
        settings: DockerSettings,
    },
    /// A command run as root by `/bin/sh -c`.
    Command {
        /// The command.
        run: String,
        /// The exit status it must end with.
        status: i32,
        /// What its standard output must contain.
        stdout: Option<String>,
    },
    /// A systemd unit.
    Service {
        /// The unit.
        unit: UnitName,
        /// Whether it must be enabled.
        enabled: Option<bool>,
        /// Whether it must be active once the boot is over.
        active: Option<bool>,
        /// Until something sets it up, it ends again and again, and systemd must start it each time. Older manifests do not have this.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restarting: bool,
    },
    /// An installed package.
    Package {
        /// Its name.
        package: PackageName,
        /// What its version must start with.
        version: Option<String>,
        /// Whether it must be there (true) or must not.
        installed: bool,
    },
    /// A file, read from the disk without booting it.
    File {
        /// Where it is.
        path: ImagePath,
        /// Whether it must be there (true) or must not.
        exists: bool,
        /// What it must contain.
        contains: Option<String>,
        /// The required digest.
        sha256: Option<Sha256Digest>,
        /// Its permission bits.
        mode: Option<u32>,
        /// Whose it is. Older manifests do not have this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// A kernel parameter, read after boot and before Docker starts.
    Sysctl {
        /// Its name.
        key: SysctlKey,
        /// Its value, with a space between its words.
        value: Line,
    },
    /// A port of the guest.
    Port {
        /// Its number.
        port: u16,
        /// Its protocol. Older manifests do not have this field, and mean TCP.
        #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
        protocol: Protocol,
        /// Whether something must listen there (true) or must not.
        listening: bool,
    },
    /// What a server of the guest answers to a GET, asked from the guest itself.
    Http {
        /// What is asked for.
        url: LocalUrl,
        /// The status it must answer with.
        status: u16,
        /// What the body must contain.
        contains: Option<String>,
    },
    /// Swap space, once the boot is over.
    Swap {
        /// Whether some must be in use (true) or none may be.
        active: bool,
    },
}
