//! Values that several tables of a recipe have, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kernel parameter's value; true is 1 and false is 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::recipe) enum SysctlValue {
    /// 0 or 1.
    Boolean(bool),
    /// A number.
    Integer(#[schemars(range(min = i64::MIN, max = i64::MAX))] i64),
    /// Anything else.
    Text(String),
}

/// The default of what is done unless the recipe says otherwise.
pub(super) fn yes() -> bool {
    true
}
