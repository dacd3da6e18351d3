//! The faults of a bundle.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::base::text::printable;

/// At most this many problems of one bundle are reported, because a hostile one may have any number.
const TOLD: usize = 20;

/// A single problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sources) struct Problem {
    /// The file or archive entry it is wrong with; none when it is the whole.
    entry: Option<String>,
    /// What is wrong with it, in words that fit after the name.
    what: String,
}

impl Problem {
    /// Something is wrong with `entry`.
    pub(in crate::sources) fn with(entry: impl Into<String>, what: impl Into<String>) -> Self {
        Self { entry: Some(entry.into()), what: what.into() }
    }

    /// Something is wrong with the whole.
    pub(in crate::sources) fn whole(what: impl Into<String>) -> Self {
        Self { entry: None, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.entry {
            // Names come from the bundle.
            Some(entry) => write!(f, "`{}` {}", printable(entry), printable(&self.what)),
            None => f.write_str(&printable(&self.what)),
        }
    }
}

/// All that is wrong: the first problems, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sources) struct Problems {
    told: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(in crate::sources) fn add(&mut self, problem: Problem) {
        if self.told.len() < TOLD {
            self.told.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Add those that were found elsewhere.
    pub(in crate::sources) fn extend(&mut self, others: Self) {
        others.told.into_iter().for_each(|problem| self.add(problem));
        self.more += others.more;
    }

    pub(in crate::sources) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// A line for each, and one with the number of the others.
    pub(in crate::sources) fn lines(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        self.told.iter().map(Problem::to_string).chain(more).collect()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { told: vec![problem], more: 0 }
    }
}

impl fmt::Display for Problems {
    /// The first of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.told.len().saturating_sub(1) + self.more;
        match self.told.first() {
            Some(first) if others > 0 => write!(f, "{first} (and {others} more)"),
            Some(first) => first.fmt(f),
            None => f.write_str("nothing is wrong"),
        }
    }
}

/// Why a bundle cannot be read to its end.
#[derive(Debug)]
pub(in crate::sources) enum Stop {
    /// It is no archive. These are its first bytes, unpacked.
    NotAnArchive(Vec<u8>),
    /// It is not as it must be.
    Packing(Problems),
    /// Its metadata does not fit its files.
    Metadata(Problems),
    /// It cannot be read.
    Unreadable(io::Error),
    /// A file that is made from it cannot be written.
    Unwritable { path: PathBuf, source: io::Error },
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Packing(problem.into())
    }
}
