//! The packages that replace others.

use std::collections::HashMap;

use super::super::model::{Name, PackageId, Relation};
use super::super::version::Op;
use super::arch::Arch;
use super::evr::{Bound, within};
use super::sack::Sack;

/// What the newest packages of all names obsolete (yum 3.4.3, yum/packageSack.py, `returnObsoletes`: older versions of an obsoleter do not
/// count).
pub(super) struct Obsoletes {
    /// By the name that is obsoleted.
    by_name: HashMap<Name, Vec<(Relation, PackageId)>>,
}

impl Obsoletes {
    pub(super) fn of(sack: &Sack<'_>) -> Self {
        let mut by_name: HashMap<Name, Vec<(Relation, PackageId)>> = HashMap::new();
        for id in sack.all().filter(|id| !sack.universe.package(*id).obsoletes.is_empty()) {
            let newest = sack.newest(sack.universe.package(id).name);
            // A package that two repositories have counts once.
            if newest.into_iter().find(|other| sack.is_same(*other, id)) == Some(id) {
                for relation in &sack.universe.package(id).obsoletes {
                    by_name.entry(relation.name).or_default().push((*relation, id));
                }
            }
        }
        Self { by_name }
    }

    /// Forget what a package obsoletes, since it is there no more (yum 3.4.3, rpmUtils/updates.py, `delPackage`).
    pub(super) fn forget(&mut self, sack: &Sack<'_>, id: PackageId) {
        self.by_name.values_mut().for_each(|obsoleters| obsoleters.retain(|(_, other)| !sack.is_same(*other, id)));
    }

    /// The package that stands in for `id` in the end; nothing when there is none, or when they stand in for each other in a circle (yum
    /// 3.4.3, yum/__init__.py, `_test_loop`).
    pub(super) fn last(&self, sack: &Sack<'_>, id: PackageId) -> Option<PackageId> {
        let (mut slow, mut node, mut found) = (id, id, None);
        loop {
            let Some(next) = self.next(sack, node) else { return found };
            let Some(after) = self.next(sack, next) else { return Some(next) };
            // OK to unwrap: `node` went the same way before.
            slow = self.next(sack, slow).unwrap_or(slow);
            if sack.is_same(after, slow) {
                return None;
            }
            (node, found) = (after, Some(after));
        }
    }

    /// The package that stands in for `id` (yum 3.4.3, yum/__init__.py, `_pkg2obspkg`).
    fn next(&self, sack: &Sack<'_>, id: PackageId) -> Option<PackageId> {
        let mut obsoleting = self.all(sack, id);
        let arch = sack.arch(id);
        let alike = |other: &PackageId| !arch.stands_beside(sack.arch(*other));
        if obsoleting.iter().any(alike) {
            obsoleting.retain(alike);
        }
        let first = *obsoleting.first()?;
        obsoleting.retain(|other| sack.name(*other) == sack.name(first));
        // A stable sort by two keys that yum compares one after the other.
        let nearer = |carch: Arch, a: PackageId, b: PackageId| match (carch.distance(sack.arch(a)), carch.distance(sack.arch(b))) {
            (0, _) | (_, 0) => std::cmp::Ordering::Equal,
            (one, other) => one.cmp(&other),
        };
        let best = obsoleting.into_iter().reduce(|best, other| {
            let order = nearer(arch, other, best).then_with(|| nearer(Arch::BEST, other, best));
            if order.is_lt() { other } else { best }
        })?;
        sack.named(sack.universe.package(best).name).into_iter().find(|other| sack.is_same(*other, best))
    }

    /// All that obsolete `id`: of each name and architecture the newest (yum 3.4.3, rpmUtils/updates.py, `checkForObsolete`).
    fn all(&self, sack: &Sack<'_>, id: PackageId) -> Vec<PackageId> {
        let name = sack.universe.package(id).name;
        let own = Some(Bound { op: Op::Eq, evr: sack.evr(id) });
        let obsoletes = |(relation, other): &&(Relation, PackageId)| {
            let itself = relation.bound.is_none() && sack.universe.package(*other).name == name;
            !itself && within(Bound::of(sack.universe, relation), own)
        };
        let mut found: Vec<PackageId> = Vec::new();
        for (_, other) in self.by_name.get(&name).into_iter().flatten().filter(obsoletes) {
            if !found.contains(other) {
                found.push(*other);
            }
        }
        found
    }
}
