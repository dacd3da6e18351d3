//! A failure of another process, in a form that can be passed on.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::base::failure::{Class, Failure};

/// A failure of another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{what}")]
pub struct Told {
    class: Class,
    what: String,
    remedy: Option<String>,
    evidence: Vec<String>,
    evidence_dir: Option<PathBuf>,
}

impl Told {
    /// `failure` of a machine that leaves its evidence in `dir`, for another process.
    pub(super) fn of(failure: &dyn Failure, dir: PathBuf) -> Self {
        Self {
            class: failure.class(),
            what: failure.to_string(),
            remedy: failure.remedy(),
            evidence: failure.evidence(),
            evidence_dir: Some(dir),
        }
    }
}

impl Failure for Told {
    fn class(&self) -> Class {
        self.class
    }

    fn remedy(&self) -> Option<String> {
        self.remedy.clone()
    }

    fn evidence(&self) -> Vec<String> {
        self.evidence.clone()
    }

    fn evidence_dir(&self) -> Option<PathBuf> {
        self.evidence_dir.clone()
    }
}
