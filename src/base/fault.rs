//! The fault of a text that is not what it should be. Pure.

/// Why a text cannot be used, and the remedy. In one line, where there is no other place for the remedy, it has both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {help}")]
pub struct Fault {
    /// The sentence. It quotes the text unless that may be a secret.
    pub what: String,
    /// What to write instead.
    pub help: String,
}

impl Fault {
    /// The fault with this sentence and remedy.
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into() }
    }
}
