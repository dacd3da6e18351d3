//! Why a recipe cannot be installed by Anaconda, and which field of the recipe is the cause.

use crate::base::failure::{Class, Failure};
use crate::base::text::counted;
use crate::kickstart::{Diagnostic, Severity, ValueError, Word};

/// Why a recipe cannot be installed by Anaconda.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnacondaError {
    /// A value has no place in a kickstart.
    #[error("{field}: {source}")]
    Value {
        /// The recipe's field.
        field: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A setting this installer cannot make.
    #[error("{field}: {why}")]
    Refused {
        /// The recipe's field.
        field: String,
        /// What is wrong.
        why: String,
        /// The remedy.
        remedy: String,
    },
    /// The recipe's kickstart cannot be used.
    #[error("the kickstart {name} cannot be used: {} in it", counted(errors(findings).count(), "error"))]
    Own {
        /// The file.
        name: String,
        /// All that was found in it, by place; at least one is an error.
        findings: Vec<Diagnostic>,
    },
    /// goldsmith made a kickstart that the installer would refuse.
    #[error("the parser of CentOS 7.5 would refuse the kickstart that goldsmith made: {} in it", counted(errors(findings).count(), "error"))]
    Made {
        /// All that was found in it, by place; at least one is an error.
        findings: Vec<Diagnostic>,
    },
}

fn errors(findings: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    findings.iter().filter(|found| found.severity == Severity::Error)
}

/// Errors that are shown as evidence.
const SHOWN: usize = 20;

impl AnacondaError {
    pub(super) fn refused(field: impl Into<String>, why: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { field: field.into(), why: why.into(), remedy: remedy.into() }
    }

    /// The findings of the installer's parser, by place; empty when there is no kickstart to parse.
    fn findings(&self) -> &[Diagnostic] {
        match self {
            Self::Own { findings, .. } | Self::Made { findings } => findings,
            Self::Value { .. } | Self::Refused { .. } => &[],
        }
    }
}

impl Failure for AnacondaError {
    fn class(&self) -> Class {
        match self {
            Self::Value { .. } | Self::Refused { .. } | Self::Own { .. } => Class::Usage,
            Self::Made { .. } => Class::Bug,
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Value { source, .. } => source.remedy(),
            Self::Refused { remedy, .. } => Some(remedy.clone()),
            Self::Own { name, .. } => Some(format!("correct {name}")),
            Self::Made { .. } => Some("please report it, with the recipe".to_owned()),
        }
    }

    fn evidence(&self) -> Vec<String> {
        errors(self.findings()).take(SHOWN).map(ToString::to_string).collect()
    }
}

/// Tell which field a wrong value came from.
pub(super) trait InField<T> {
    fn in_field(self, field: impl Into<String>) -> Result<T, AnacondaError>;
}

impl<T> InField<T> for Result<T, ValueError> {
    fn in_field(self, field: impl Into<String>) -> Result<T, AnacondaError> {
        self.map_err(|source| AnacondaError::Value { field: field.into(), source })
    }
}

/// A word that goldsmith itself writes, whatever the recipe says.
pub(super) fn constant(text: &str) -> Result<Word, AnacondaError> {
    Word::new(text).in_field("(goldsmith)")
}
