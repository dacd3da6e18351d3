//! Why yum gives up, and how far it got.

use super::super::model::{PackageId, Relation};
use super::super::solve::Asked;

/// How far yum gets before it gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// All that it complains of.
    pub failures: Vec<Failure>,
    /// The packages that it has taken by then.
    pub taken: Vec<PackageId>,
}

impl Failed {
    /// Whether yum may succeed: goldsmith gave up following it.
    pub fn is_unknown(&self) -> bool {
        self.failures == [Failure::GaveUp]
    }
}

/// Why yum gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No package, group or environment is called so.
    Missing(Asked),
    /// A need that no package meets which yum would take.
    Unmet {
        /// The package that needs it.
        package: PackageId,
        /// What.
        need: Relation,
        /// Why no package meets it.
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
    /// yum goes round in circles (yum.conf(5), depsolve_loop_limit).
    Endless,
    /// The replay was stopped, so yum's result is not known. No other failure is reported then.
    GaveUp,
}

/// Why no package meets a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// No package provides it.
    Nobody,
    /// A newer version of its provider was taken before.
    NewerIsThere {
        /// The provider.
        older: PackageId,
        /// The package that was taken.
        newer: PackageId,
    },
    /// Another package stands in for its provider, and does not provide it.
    Obsoleted {
        /// The provider.
        package: PackageId,
        /// The package that replaces it.
        by: PackageId,
    },
    /// The same version of its provider is there for another architecture, and both cannot be.
    SamePlace {
        /// The provider.
        package: PackageId,
        /// The package that is there.
        there: PackageId,
    },
}
