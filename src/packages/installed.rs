//! What a system has installed.

use serde::Serialize;

/// A package that a system has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version, as its package manager shows it.
    pub version: String,
    /// The architecture it is for; `all` for every one.
    pub architecture: String,
    /// The source package it was built from.
    pub source: String,
    /// Bytes that its files take, as its maker says; nothing when he does not.
    pub bytes: Option<u64>,
    /// One line of what it is.
    pub summary: String,
}
