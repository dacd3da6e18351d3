//! The packages that a system gets.

use std::fmt;

use crate::packages::model::{PackageId, Universe};

/// The packages a system gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// Every package, by its place in the universe.
    pub packages: Vec<Chosen>,
    /// What a user would want to know.
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
    /// Somebody asks for it, with these words.
    Asked(String),
    /// This one needs it.
    Needed(PackageId),
}

impl Closure {
    /// Bytes to fetch.
    pub fn download(&self, universe: &Universe) -> u64 {
        self.packages.iter().map(|chosen| universe.package(chosen.id).download).sum()
    }

    /// Bytes on the disk once installed, as the packages' headers tell.
    pub fn installed(&self, universe: &Universe) -> u64 {
        self.packages.iter().map(|chosen| universe.package(chosen.id).installed).sum()
    }
}

/// Something about an answer that a user would want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something that is asked for is nowhere, and the question says to leave it out then.
    Missing(String),
    /// Something that was taken out is needed after all.
    ComesBack(String),
    /// What the package manager takes is not known.
    NotFollowed(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(text) | Self::ComesBack(text) | Self::NotFollowed(text)) = self;
        f.write_str(text)
    }
}
