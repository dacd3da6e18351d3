//! A unit of systemd, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A unit of systemd that the recipe brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct Unit {
    /// Its name with its suffix, such as "backup.timer".
    pub name: String,
    /// The unit file's text.
    pub content: Option<String>,
    /// A file that holds it, relative to the recipe.
    pub source: Option<String>,
    /// Whether the boot starts it. Default: true for a unit with a section `[Install]`, else false.
    pub enable: Option<bool>,
}
