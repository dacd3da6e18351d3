//! An authority whose certificates the system trusts, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An authority whose certificates the system trusts, beside those that the distribution brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct CertificateAuthority {
    /// Name of its file in the image, without a suffix: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// Its certificate, in PEM.
    pub content: Option<String>,
    /// A file that holds it, relative to the recipe.
    pub source: Option<String>,
}
