//! Why an image could not be verified. A verification that failed is no such error, but a report.

use std::path::PathBuf;

use crate::base::failure::{Class, Failure};
use crate::image::ImageError;
use crate::machine::MachineError;
use crate::machine::runner::RunnerError;

/// Why an image could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The image cannot be read.
    #[error("the image cannot be verified: {0}")]
    Image(#[from] ImageError),
    /// The image's system did not come up.
    #[error("the booted image cannot be asked: {0}")]
    Runner(#[from] RunnerError),
}

impl From<MachineError> for VerifyError {
    fn from(error: MachineError) -> Self {
        Self::Runner(error.into())
    }
}

impl Failure for VerifyError {
    /// A guest that does not come up is a fault of the image: it breaks its first promise. In other failures there is no verdict.
    fn class(&self) -> Class {
        match self {
            Self::Image(error) => error.class(),
            Self::Runner(RunnerError::Machine(error)) if error.is_the_guests() => Class::Image,
            Self::Runner(error) => match error.class() {
                Class::Machine => Class::CannotCheck,
                other => other,
            },
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Image(error) => error.remedy(),
            Self::Runner(error) => error.remedy(),
        }
    }

    fn evidence(&self) -> Vec<String> {
        match self {
            Self::Image(error) => error.evidence(),
            Self::Runner(error) => error.evidence(),
        }
    }

    fn evidence_dir(&self) -> Option<PathBuf> {
        match self {
            Self::Image(error) => error.evidence_dir(),
            Self::Runner(error) => error.evidence_dir(),
        }
    }
}
