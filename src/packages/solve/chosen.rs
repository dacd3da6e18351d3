//! The packages that a system gets.

use std::fmt;

use crate::packages::model::{PackageId, Universe};

/// The packages a system gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// Every package, by its place in the universe.
    pub packages: Vec<Chosen>,
    /// Notices for the user.
    pub notices: Vec<Notice>,
}

/// A package that a system gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The package.
    pub id: PackageId,
    /// Why.
    pub why: Why,
}

/// Why a system gets a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was requested, with these words.
    Asked(String),
    /// This one needs it.
    Needed(PackageId),
}

impl Closure {
    /// Bytes to fetch.
    pub fn download(&self, universe: &Universe) -> u64 {
        self.packages.iter().map(|chosen| universe.package(chosen.id).download).sum()
    }

    /// Bytes on the disk once installed, by the packages' headers.
    pub fn installed(&self, universe: &Universe) -> u64 {
        self.packages.iter().map(|chosen| universe.package(chosen.id).installed).sum()
    }
}

/// Something about an answer that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A request names a package that is in no repository, and the question allows leaving it out.
    Missing(String),
    /// A package that was taken out is needed after all.
    ComesBack(String),
    /// It is not known what the package manager will take.
    NotFollowed(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(text) | Self::ComesBack(text) | Self::NotFollowed(text)) = self;
        f.write_str(text)
    }
}
