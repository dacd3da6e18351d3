//! The interface of all errors of goldsmith: the class, and the remedy.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whose fault an error is. It decides the exit code, and nothing else does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A bug of goldsmith.
    Bug,
    /// The command line, a recipe or a kickstart is wrong.
    Usage,
    /// An input file is missing or is not what it should be; a source or the network failed.
    Input,
    /// The machine, the installation or a provision step failed.
    Machine,
    /// The image broke a promise: a check failed.
    Image,
    /// A check could not be run, so nothing is known.
    CannotCheck,
    /// The host lacks a tool, space, memory or a permission.
    Host,
    /// The user interrupted the run (SIGINT).
    Interrupted,
    /// The run was asked to end (SIGTERM).
    Terminated,
}

/// One thing that is wrong in a text of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named; `--set` for an override.
    pub file: Option<String>,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// The character in the line, from 1.
    pub column: Option<usize>,
    /// What is wrong: one sentence.
    pub message: String,
    /// What to do about it.
    pub help: Vec<String>,
}

/// An error that is part of the product: besides *what failed, where and why* (its `Display`) it says whose fault it is and what to do now.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// Whose fault it is.
    fn class(&self) -> Class;

    /// The remedy for the user: one sentence, imperative.
    fn remedy(&self) -> Option<String>;

    /// Lines that prove the cause (an installer's log, a console's tail), oldest first.
    fn evidence(&self) -> Vec<String> {
        Vec::new()
    }

    /// For machines: each thing that is wrong in a file, with its place. Empty when it is about no text of the user's.
    fn findings(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// A directory the failed run left behind to look at.
    fn evidence_dir(&self) -> Option<PathBuf> {
        None
    }
}

/// Any module's failure, for the layers that only pass failures on.
pub struct AnyFailure(Box<dyn Failure>);

impl AnyFailure {
    /// The failure itself.
    pub fn get(&self) -> &dyn Failure {
        &*self.0
    }
}

impl<F: Failure> From<F> for AnyFailure {
    fn from(failure: F) -> Self {
        Self(Box::new(failure))
    }
}

impl fmt::Debug for AnyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for AnyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
