//! Why a database of installed packages cannot be read.

use crate::base::failure::{Class, Failure};
use crate::base::size::rounded;
use crate::base::text::printable;
use crate::packages::error::IndexError;

/// Why a package database, or one package of it, cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{database} cannot be read{}: {problem}", place(.at))]
pub struct DatabaseError {
    /// The file, as the caller calls it: `/var/lib/rpm/Packages`.
    pub database: String,
    /// The byte of the file where the damage is, from 0, when it is known.
    pub at: Option<u64>,
    /// What is wrong.
    pub problem: Problem,
}

/// The fault of a package database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its bytes contradict the format.
    #[error("{0}")]
    Corrupt(String),
    /// It may be sound, but is of a kind that is not read here.
    #[error("{0}")]
    Incompatible(String),
    /// It has more than goldsmith reads.
    #[error("{0}")]
    TooMuch(String),
}

impl Failure for DatabaseError {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        let remedy = match self.problem {
            Problem::Corrupt(_) => {
                "start the system and repair its package database (rpmdb --rebuilddb, dpkg --audit), or build the image again"
            }
            Problem::Incompatible(_) => "start the system and let its own package manager list what is installed",
            Problem::TooMuch(_) => "do not trust this image: no package manager writes a database like that",
        };
        Some(remedy.to_owned())
    }
}

/// An error without the name of the file, which its reader does not know.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Option<u64>,
    pub(super) problem: Problem,
}

impl Fault {
    /// The bytes at `at` contradict the format.
    pub(super) fn corrupt(at: u64, what: impl Into<String>) -> Self {
        Self { at: Some(at), problem: Problem::Corrupt(what.into()) }
    }

    /// The file is of a kind that is not read.
    pub(super) fn incompatible(what: impl Into<String>) -> Self {
        Self { at: None, problem: Problem::Incompatible(what.into()) }
    }

    /// There is more than goldsmith reads.
    pub(super) fn too_much(what: impl Into<String>) -> Self {
        Self { at: None, problem: Problem::TooMuch(what.into()) }
    }

    /// The file is larger than it may be.
    pub(super) fn too_large(bytes: u64, limit: u64) -> Self {
        Self::too_much(format!("it has {}, and at most {} are read", rounded(bytes), rounded(limit)))
    }

    /// With the name of the file.
    pub(super) fn of(self, database: &str) -> DatabaseError {
        DatabaseError { database: database.to_owned(), at: self.at, problem: self.problem }
    }
}

impl From<IndexError> for Fault {
    fn from(error: IndexError) -> Self {
        let package =
            error.package.map(|name| format!(" (package `{}`)", printable(&name.chars().take(80).collect::<String>()))).unwrap_or_default();
        Self { at: error.at.map(|at| at.byte), problem: Problem::Corrupt(format!("{}{package}", error.problem)) }
    }
}

fn place(at: &Option<u64>) -> String {
    at.map(|at| format!(" at byte {at}")).unwrap_or_default()
}
