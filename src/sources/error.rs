//! Why an input cannot be used.

use std::io;
use std::path::PathBuf;

use crate::base::digest::Sha256Digest;
use crate::base::failure::{Class, Failure};
use crate::base::process::ProcessError;

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The recipe wants a file, and it is nowhere.
    #[error("{what} is missing: {}", .path.as_ref().map_or_else(|| "the recipe gives no path to a local copy".to_owned(), |path| format!("there is no {}", path.display())))]
    Missing {
        /// What the file is to the recipe.
        what: String,
        /// The recipe's key that names it: `media.iso.path`.
        key: String,
        /// Where it was looked for.
        path: Option<PathBuf>,
        /// Where it can be had.
        urls: Vec<String>,
        /// What it must hash to.
        sha256: Option<Sha256Digest>,
    },
    /// The file cannot be read.
    #[error("{what} cannot be read: {}: {source}", path.display())]
    Unreadable {
        /// What the file is to the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the one the recipe pins.
    #[error("{what} is another file than the recipe pins: {} has sha256 {found}, the recipe says {expected}", path.display())]
    WrongDigest {
        /// What the file is to the recipe.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// What it hashes to.
        found: Sha256Digest,
        /// What it must hash to.
        expected: Sha256Digest,
    },
    /// The file is not of the kind it must be.
    #[error("{what} is not {kind}: {}", path.display())]
    WrongKind {
        /// What the file is to the recipe.
        what: String,
        /// What it must be.
        kind: &'static str,
        /// Where it is.
        path: PathBuf,
    },
    /// A repository's signed index cannot be had.
    #[error("the package repository cannot be reached: {url}")]
    Unreachable {
        /// The index.
        url: String,
        /// What apt's downloader said.
        source: ProcessError,
    },
    /// The host has no tool to ask.
    #[error(transparent)]
    Tool(#[from] ProcessError),
    /// A scratch file could not be made.
    #[error("{} cannot be written: {source}", path.display())]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Failure for SourceError {
    fn class(&self) -> Class {
        match self {
            Self::Tool(error) => error.class(),
            Self::Scratch { .. } => Class::Host,
            _ => Class::Input,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Missing { key, urls, sha256, .. } => {
                let from = urls.first().map(|url| format!("download {url}, then ")).unwrap_or_default();
                let pinned = sha256.map(|digest| format!(" (sha256 {digest})")).unwrap_or_default();
                format!("{from}say where it is{pinned}: --set {key}='\"FILE\"'")
            }
            Self::Unreadable { path, .. } => format!("see `ls -l {}`", path.display()),
            Self::WrongDigest { .. } => "download it again, or correct the recipe's sha256 if this is the file you mean".to_owned(),
            Self::WrongKind { path, .. } => format!("see what it is: file {}", path.display()),
            Self::Unreachable { .. } => "check the network and the host's package sources: apt-get update".to_owned(),
            Self::Tool(error) => return error.remedy(),
            Self::Scratch { path, .. } => format!("make room or give permission: {}", path.display()),
        })
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Unreachable { source, .. } | Self::Tool(source) => source.evidence(),
            _ => Vec::new(),
        }
    }
}
