//! The subject of a bill: an image, and the system in it.

use jiff::Timestamp;

use crate::base::digest::Sha256Digest;

/// An image, as a bill names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The name of its file.
    pub name: String,
    /// The digest of its file, when that is known.
    pub sha256: Option<Sha256Digest>,
    /// The system in it.
    pub system: System,
    /// The time in the bill. It is not the present time, since then each bill would differ.
    pub created: Timestamp,
}

/// A system, as its os-release(5) has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// `ID`: lower-case letters, digits, `.`, `_` and `-`.
    pub id: String,
    /// `VERSION_ID`; a rolling release has none.
    pub version: Option<String>,
    /// `PRETTY_NAME`.
    pub pretty_name: String,
}

impl System {
    /// From the values of os-release; an empty one counts as absent. os-release(5) gives the defaults: `ID` is then `linux`, and
    /// `PRETTY_NAME` is `Linux`. An `ID` with characters that are not allowed counts as absent.
    pub fn new(id: &str, version: &str, pretty_name: &str) -> Self {
        let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let pretty_name = if pretty_name.is_empty() { "Linux" } else { pretty_name };
        Self {
            id: if is_id(id) { id.to_ascii_lowercase() } else { "linux".into() },
            version: (!version.is_empty()).then(|| version.to_owned()),
            pretty_name: pretty_name.to_owned(),
        }
    }
}
