//! A rule of the audit, and the facts about the recipe that it needs.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::owned::Owner;
use crate::image::{ImageError, Metadata, Root};

/// Where something was found, and what was found there beside the path.
pub(super) type Places = Vec<(PathBuf, String)>;

/// Whom the recipe lets in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Whether passwords and keys of other accounts are allowed, because the user's own kickstart decides on them.
    pub others: bool,
    /// Accounts that may have a password.
    pub passwords: Vec<String>,
    /// Accounts that may have authorized keys.
    pub keys: Vec<String>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The image is not published with it.
    Fault,
    /// The user should look at it.
    Notice,
}

/// A rule: its subject and its reason.
#[derive(Debug)]
pub struct Rule {
    /// Names it in reports and waivers: `ssh-host-keys`.
    pub id: &'static str,
    /// What an image without it keeps: `no ssh host keys`.
    pub promise: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The effect on users of the image.
    pub why: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    pub(super) look: Look,
}

/// How a rule looks.
#[derive(Debug)]
pub(super) enum Look {
    /// At paths that should not be there: see [`super::paths`].
    Paths(&'static [&'static str]),
    /// At files that should be empty.
    Filled(&'static [&'static str]),
    /// At the content of each small file that people and services write: what is wrong with it, if anything.
    Content(fn(&Path, &str) -> Option<String>),
    /// At the inode of each file.
    Inode(fn(&Path, &Metadata) -> Option<String>),
    /// At the entry in the package database of each file for which `suspect` is true.
    Packaged { suspect: fn(&Path, &Metadata) -> bool, judge: fn(&Path, &Metadata, &Owner) -> Option<String> },
    /// At the blocks that no file uses.
    FreeBlocks,
    /// At the accounts.
    Accounts(fn(&Root, &Allowed) -> Result<Places, ImageError>),
}
