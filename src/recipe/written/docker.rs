//! Settings of Docker's daemon, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of Docker's daemon. They become `/etc/docker/daemon.json`, and `docker info` has to say them once the image has booted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Docker {
    /// Registries that are asked before Docker Hub: `https://mirror.example.org`, without a path.
    #[serde(default)]
    pub registry_mirrors: Vec<String>,
    /// Registries that need no TLS: "registry.lab:5000", or a network such as "10.0.0.0/8".
    #[serde(default)]
    pub insecure_registries: Vec<String>,
    /// Where containers' output goes. Default: "json-file".
    pub log_driver: Option<LogDriver>,
    /// Size at which the log of a container begins anew, such as "10m": a number with k, m or g ("json-file" and "local").
    pub log_max_size: Option<String>,
    /// Logs of a container that are kept, when `log_max_size` is given.
    #[schemars(range(min = 1, max = 1000))]
    pub log_max_files: Option<u32>,
    /// Who manages the limits of containers; Kubernetes wants kubelet's. Default: Docker's own.
    pub cgroup_driver: Option<CgroupDriver>,
    /// How images lie on the disk. Default: Docker's own.
    pub storage_driver: Option<StorageDriver>,
    /// Whether containers go on while the daemon is restarted. Default: false.
    pub live_restore: Option<bool>,
}

/// A log driver that every Docker has (18.09, `daemon/logger`), and that needs no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::recipe) enum LogDriver {
    /// A file of JSON for each container.
    JsonFile,
    /// A compressed file for each container.
    Local,
    /// systemd's journal.
    Journald,
    /// The system's syslog.
    Syslog,
    /// Nowhere.
    None,
}

impl LogDriver {
    /// Docker's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
            Self::None => "none",
        }
    }

    /// Whether its logs have a size.
    pub fn rotates(self) -> bool {
        matches!(self, Self::JsonFile | Self::Local)
    }
}

/// Who manages cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::recipe) enum CgroupDriver {
    /// Docker itself.
    Cgroupfs,
    /// systemd.
    Systemd,
}

impl CgroupDriver {
    /// Docker's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroupfs",
            Self::Systemd => "systemd",
        }
    }
}

/// How images lie on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::recipe) enum StorageDriver {
    /// Layers over each other; ext4 and XFS carry it.
    Overlay2,
    /// A copy for each layer: slow, and runs anywhere.
    Vfs,
}

impl StorageDriver {
    /// Docker's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay2 => "overlay2",
            Self::Vfs => "vfs",
        }
    }
}
