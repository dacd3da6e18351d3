//! A group, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A group that the system has, with the users that name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Group {
    /// Its name.
    pub name: String,
    /// Group id, to fix it.
    #[schemars(range(min = 100, max = 60000))]
    pub gid: Option<u32>,
    /// Takes an id below 1000, as groups of services have, when none is fixed.
    #[serde(default)]
    pub system: bool,
}
