//! What local machines of the image are given, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `goldsmith up` and `goldsmith run` give a machine of the image when nothing else is said. No part of the image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Run {
    /// Virtual CPUs. Default: 2, or 1 when emulated.
    #[schemars(range(min = 1, max = 255))]
    pub cpus: Option<u32>,
    /// Memory, at least "64M". Default: "2G".
    pub memory: Option<String>,
    /// Size of the disk that `up` makes, at least `disk.size`, which is the default.
    pub disk: Option<String>,
    /// Ports of 127.0.0.1 that lead to one of the machine, for `up` of a single one: "8080:80", or "80" for "80:80".
    #[serde(default)]
    pub forward: Vec<String>,
    /// Whether nothing leaves the machine's network. Default: false.
    pub isolated: Option<bool>,
}
