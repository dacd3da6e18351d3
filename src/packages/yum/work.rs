//! The state that yum keeps while it works.

use std::collections::{HashSet, VecDeque};

use super::super::model::{Name, PackageId};
use super::failure::Failure;
use super::obsoletes::Obsoletes;
use super::sack::Sack;
use super::transaction::Transaction;

/// Why a package is not taken.
pub(super) enum NotTaken {
    /// This one is there already.
    SamePlace(PackageId),
    /// This one stands in for it.
    Obsoleted { package: PackageId, by: PackageId },
}

/// yum at work.
pub(super) struct Yum<'u> {
    pub sack: Sack<'u>,
    pub obsoletes: Obsoletes,
    pub transaction: Transaction,
    /// Ids of groups that are selected.
    pub selected: HashSet<String>,
    /// Packages of groups that come because another was taken, and that one.
    pub pending: VecDeque<(PackageId, PackageId)>,
    /// The package that was taken last for a need.
    pub last: Option<PackageId>,
    /// Needed files that were provided once.
    pub files: HashSet<Name>,
    pub failures: Vec<Failure>,
    /// Steps that it may still take.
    pub steps: u64,
}

impl<'u> Yum<'u> {
    /// With nothing taken yet, and so many `steps` that it may take.
    pub(super) fn new(sack: Sack<'u>, steps: u64) -> Self {
        Self {
            steps: steps.saturating_sub(sack.universe.packages.len() as u64),
            obsoletes: Obsoletes::of(&sack),
            sack,
            transaction: Transaction::default(),
            selected: HashSet::new(),
            pending: VecDeque::new(),
            last: None,
            files: HashSet::new(),
            failures: Vec::new(),
        }
    }
}
