//! Why a stage failed.

use std::io;
use std::path::PathBuf;

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::process::ProcessError;
use crate::image::ImageError;
use crate::machine::runner::RunnerError;
use crate::sources::SourceError;

/// Why a stage failed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The tree could not be assembled from packages.
    #[error("the packages could not be installed: {cause}")]
    Packages {
        /// Whose fault that is.
        class: Class,
        /// The line with the cause, in the tool's words.
        cause: String,
        /// The remedy.
        remedy: String,
        /// The end of the tool's output.
        tail: Vec<String>,
    },
    /// The recipe's settings could not be applied to the tree.
    #[error("the settings could not be applied: {cause}")]
    Settings {
        /// Whose fault that is.
        class: Class,
        /// The action and the reason of its failure.
        cause: String,
        /// The remedy.
        remedy: String,
        /// The end of the output.
        tail: Vec<String>,
    },
    /// An installer did not do its work.
    #[error("the installation failed: {cause}")]
    Installation {
        /// Why.
        cause: String,
        /// The remedy.
        remedy: String,
        /// The lines that show it.
        lines: Vec<String>,
        /// The directory with all its evidence.
        dir: PathBuf,
    },
    /// An input could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A disk file could not be made or read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The machine or the runner failed.
    #[error("{what}: {source}")]
    Runner {
        /// The action that failed.
        what: String,
        /// Why it failed.
        source: RunnerError,
    },
    /// A script of goldsmith's own failed in the guest.
    #[error("goldsmith's {what} step failed: {source}")]
    Ours {
        /// Which one.
        what: &'static str,
        /// Why it failed.
        source: RunnerError,
    },
    /// A tool of the host failed.
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
    /// The scratch file could not be kept as a layer.
    #[error("{0}")]
    Keep(AnyFailure),
}

impl From<RunnerError> for StageError {
    fn from(source: RunnerError) -> Self {
        Self::Runner { what: "the guest".to_owned(), source }
    }
}

impl From<crate::machine::MachineError> for StageError {
    fn from(source: crate::machine::MachineError) -> Self {
        RunnerError::from(source).into()
    }
}

impl StageError {
    /// Say what was being done.
    pub(super) fn doing(self, what: &str) -> Self {
        match self {
            Self::Runner { source, .. } => Self::Runner { what: what.to_owned(), source },
            other => other,
        }
    }

    /// Mark the failure as one of goldsmith's own script, which the user cannot correct.
    pub(super) fn ours(self, what: &'static str) -> Self {
        match self {
            Self::Runner { source: source @ RunnerError::Failed { .. }, .. } => Self::Ours { what, source },
            other => other,
        }
    }
}

impl Failure for StageError {
    fn class(&self) -> Class {
        match self {
            Self::Packages { class, .. } | Self::Settings { class, .. } => *class,
            Self::Installation { .. } => Class::Machine,
            Self::Source(error) => error.class(),
            Self::Image(error) => error.class(),
            Self::Runner { source, .. } | Self::Ours { source, .. } => source.class(),
            Self::Tool(error) => error.class(),
            Self::Scratch { .. } => Class::Host,
            Self::Keep(error) => error.get().class(),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Packages { remedy, .. } | Self::Settings { remedy, .. } | Self::Installation { remedy, .. } => Some(remedy.clone()),
            Self::Source(error) => error.remedy(),
            Self::Image(error) => error.remedy(),
            Self::Runner { source, .. } => source.remedy(),
            Self::Ours { .. } => Some("read the lines shown; unless they name a step of the recipe, please report this".to_owned()),
            Self::Tool(error) => error.remedy(),
            Self::Scratch { path, .. } => Some(format!("make room or give permission: {}", path.display())),
            Self::Keep(error) => error.get().remedy(),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Packages { tail, .. } | Self::Settings { tail, .. } => tail.clone(),
            Self::Installation { lines, .. } => lines.clone(),
            Self::Source(error) => error.evidence(),
            Self::Runner { source, .. } | Self::Ours { source, .. } => source.evidence(),
            Self::Tool(error) => error.evidence(),
            _ => Vec::new(),
        }
    }

    fn evidence_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Runner { source, .. } | Self::Ours { source, .. } => source.evidence_dir(),
            Self::Installation { dir, .. } => Some(dir.clone()),
            _ => None,
        }
    }
}
