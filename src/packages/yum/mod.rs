//! What yum 3.4.3 does with a question, right or wrong: the replay of the program that installs CentOS 7.
//!
//! The solver ([`super::solve`]) finds whether there is an answer. yum does not search: it takes the newest package of what is asked for, for
//! each need the provider that it likes best, and never goes back. So it fails where there is an answer, and takes other packages than the
//! solver would. This module makes the same choices in the same order:
//!
//! ```text
//! Question ─select→ Transaction ─depsolve (providers, obsoletes)→ packages
//!             sack: what yum sees                       └ failures: what yum would print
//! ```
//!
//! Read in yum of March 2018 (git 1bc3d512) with CentOS's changes (`multilib_policy=best`), on an empty disk and with `x86_64` as the best
//! architecture, in the order in which Anaconda 21.48.22.134 asks (pyanaconda/packaging/yumpayload.py, `_applyYumSelections`).

mod arch;
mod depsolve;
mod evr;
mod names;
mod obsoletes;
mod providers;
mod sack;
mod select;
mod transaction;

use std::collections::{HashSet, VecDeque};

use super::model::{Name, PackageId, Relation, Universe};
use super::solve::{Asked, Chosen, Question, What, Why};
use obsoletes::Obsoletes;
use sack::Sack;
use transaction::Transaction;

/// Why yum gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No package, group or environment is called so.
    Missing(Asked),
    /// A need that no package meets which yum would take.
    Unmet {
        /// Who needs it.
        package: PackageId,
        /// What.
        need: Relation,
        /// Why nobody meets it.
        cause: Unmet,
    },
    /// A package conflicts with another.
    Conflict {
        /// Whose conflict it is.
        package: PackageId,
        /// The conflict.
        relation: Relation,
        /// The other.
        other: PackageId,
    },
    /// Two versions of a package were taken.
    TwoVersions {
        /// One.
        one: PackageId,
        /// The other.
        other: PackageId,
    },
    /// yum goes round in circles.
    Endless,
}

/// Why nobody meets a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// Nobody provides it.
    Nobody,
    /// A newer version of its provider was taken before.
    NewerIsThere {
        /// The provider.
        older: PackageId,
        /// What was taken.
        newer: PackageId,
    },
    /// Another package stands in for its provider, and does not provide it.
    Obsoleted {
        /// The provider.
        package: PackageId,
        /// What stands in for it.
        by: PackageId,
    },
    /// The same version of its provider is there for another architecture, and both cannot be.
    SamePlace {
        /// The provider.
        package: PackageId,
        /// What is there.
        there: PackageId,
    },
}

/// Why a package is not taken.
enum NotTaken {
    /// This one is there already.
    SamePlace(PackageId),
    /// This one stands in for it.
    Obsoleted { package: PackageId, by: PackageId },
}

/// yum at work.
struct Yum<'u> {
    sack: Sack<'u>,
    obsoletes: Obsoletes,
    transaction: Transaction,
    /// Ids of groups that are selected.
    selected: HashSet<String>,
    /// Packages of groups that come since another was taken, and that one.
    pending: VecDeque<(PackageId, PackageId)>,
    /// The package that was taken last for a need.
    last: Option<PackageId>,
    /// Needed files that somebody provided once.
    files: HashSet<Name>,
    failures: Vec<Failure>,
    /// Steps taken.
    work: u64,
}

/// The packages that yum takes for `question`, as Anaconda asks it.
///
/// # Errors
/// All that yum would complain of.
pub fn replay(universe: &Universe, question: &Question) -> Result<Vec<Chosen>, Vec<Failure>> {
    let sack = Sack::new(universe, &question.forbidden);
    let obsoletes = Obsoletes::of(&sack);
    let mut yum = Yum {
        sack,
        obsoletes,
        transaction: Transaction::default(),
        selected: HashSet::new(),
        pending: VecDeque::new(),
        last: None,
        files: HashSet::new(),
        failures: Vec::new(),
        work: 0,
    };
    yum.select(question);
    yum.resolve();
    if yum.failures.is_empty() {
        yum.two_versions();
    }
    let Yum { transaction, mut failures, .. } = yum;
    if failures.is_empty() {
        let members = transaction.places().into_iter().map(|place| transaction.member(place));
        let mut chosen: Vec<Chosen> = members.map(|member| Chosen { id: member.id, why: member.why.clone() }).collect();
        chosen.sort_by_key(|chosen| chosen.id);
        return Ok(chosen);
    }
    let mut told: Vec<Failure> = Vec::new();
    failures.retain(|failure| {
        let new = !told.contains(failure);
        told.extend(new.then(|| failure.clone()));
        new
    });
    Err(failures)
}

impl Yum<'_> {
    /// Anaconda asks for groups before packages, takes out packages before groups, and asks for what it requires itself last.
    fn select(&mut self, question: &Question) {
        let is_package = |what: &What| matches!(what, What::Package(_));
        for of_packages in [false, true] {
            for asked in question.asked.iter().filter(|asked| is_package(&asked.what) == of_packages) {
                self.ask_for(asked, question.ignore_missing);
            }
        }
        for what in &question.deselected {
            if let What::Package(text) = what {
                self.drop_package(text);
            }
        }
        for what in &question.deselected {
            if let What::Group { id, .. } = what
                && !self.drop_group(id)
                && !question.ignore_missing
            {
                self.failures.push(Failure::Missing(Asked { what: what.clone(), by: "the kickstart".to_owned() }));
            }
        }
        for asked in &question.required {
            self.ask_for(asked, question.ignore_missing);
        }
    }

    fn ask_for(&mut self, asked: &Asked, ignore_missing: bool) {
        if !self.ask(&asked.what, &Why::Asked(asked.what.text())) && !ignore_missing {
            self.failures.push(Failure::Missing(asked.clone()));
        }
    }
}
