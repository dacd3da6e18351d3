//! Why an artifact could not be read or written.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::digest::Sha256Digest;
use crate::base::failure::{Class, Failure};
use crate::base::text::printable;

/// Why an artifact could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file system refused.
    #[error("{} cannot be {doing}: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What was tried, as a participle: `written`.
        doing: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The target holds an artifact of another content id.
    #[error("{} holds another artifact ({}, not {})", path.display(), found.short(), wanted.short())]
    OtherId {
        /// The target.
        path: PathBuf,
        /// The id that is there.
        found: Sha256Digest,
        /// The id that was to be published.
        wanted: Sha256Digest,
    },
    /// Something that no build made is at the target.
    #[error("{} is not an artifact of goldsmith ({why}), so it is not replaced", path.display())]
    NotOurs {
        /// The target.
        path: PathBuf,
        /// Why it is not taken for an artifact.
        why: String,
    },
    /// The target is an artifact, and in it is a file that no build put there.
    #[error("{} holds `{}`{}, so it is not replaced", path.display(), printable(file), maker(file))]
    HoldsForeign {
        /// The target.
        path: PathBuf,
        /// The file's name.
        file: String,
    },
    /// The path to open is not an artifact.
    #[error("{} is not an artifact: {why}", path.display())]
    NotAnArtifact {
        /// The path to open.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The image is not the one its manifest describes.
    #[error("{} is not the image of its manifest: {why}", path.display())]
    Damaged {
        /// The image.
        path: PathBuf,
        /// The difference.
        why: String,
    },
    /// The draft cannot become an artifact.
    #[error("the artifact in the making is not complete: {why}")]
    BadDraft {
        /// What is wrong with it.
        why: String,
    },
}

impl ArtifactError {
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, doing, source }
    }
}

/// Who put `file` into an artifact, as far as its name tells (`run::disk` has the names).
fn maker(file: &str) -> &'static str {
    let stem = file.strip_suffix(".json").or_else(|| file.strip_suffix(".qcow2"));
    let kept = stem.is_some_and(|stem| stem.ends_with(".run")) || file.contains(".run.vars.");
    if kept { ", which `goldsmith run --keep` made" } else { ", which goldsmith did not put there" }
}

fn reads(doing: &str) -> bool {
    matches!(doing, "read" | "opened")
}

impl Failure for ArtifactError {
    fn class(&self) -> Class {
        match self {
            Self::Io { source, doing, .. } if source.kind() == io::ErrorKind::NotFound && reads(doing) => Class::Input,
            Self::Io { .. } => Class::Host,
            Self::OtherId { .. } | Self::NotOurs { .. } | Self::HoldsForeign { .. } => Class::Usage,
            Self::NotAnArtifact { .. } | Self::Damaged { .. } => Class::Input,
            Self::BadDraft { .. } => Class::Bug,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::Io { source, doing, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, or choose another directory with -o DIR".into()
                }
                io::ErrorKind::NotFound if reads(doing) => "check the path".into(),
                io::ErrorKind::PermissionDenied if reads(doing) => "make it readable for you".into(),
                _ if reads(doing) => return None,
                _ => "choose a directory you may write to with -o DIR".into(),
            },
            Self::OtherId { .. } => "replace it with --force, or name another directory: -o DIR".into(),
            Self::NotOurs { .. } => "name another directory: -o DIR".into(),
            Self::HoldsForeign { .. } => "move that file away, or name another directory: -o DIR".into(),
            Self::NotAnArtifact { .. } => "give the directory that `goldsmith build` made, or the image in it".into(),
            Self::Damaged { .. } => "build it again, or copy it again from where it came".into(),
            Self::BadDraft { .. } => return None,
        })
    }
}
