//! What `yum upgrade` does with an installed system.

use super::super::model::{PackageId, Universe};
use super::super::solve::{Chosen, Why};
use super::arch::Arch;
use super::sack::Sack;
use super::work::Yum;
use super::{Failed, STEPS};

/// The packages that are there after `yum upgrade` of a system with these `installed`, from these repositories alone (their indexes into
/// [`Universe::repositories`]) and without what the patterns in `excluded` name.
///
/// What is obsoleted is replaced first, then every package by the newest of its name; what they need comes with them (yum 3.4.3,
/// yum/__init__.py, `update` without arguments). An installed package that needs the old version stops yum.
///
/// # Errors
/// All that yum would complain of: it ends with 1 then and changes nothing. Or that there is too much to follow yum ([`Failed::is_unknown`]).
pub fn upgrade(universe: &Universe, installed: &[Chosen], repositories: &[u16], excluded: &[String]) -> Result<Vec<Chosen>, Failed> {
    let mut sack = Sack::new(universe, excluded);
    sack.only(repositories);
    let mut yum = Yum::new(sack, STEPS);
    for chosen in installed {
        yum.transaction.add(&yum.sack, chosen.id, chosen.why.clone());
    }
    yum.transaction.unresolved.clear();
    for chosen in installed {
        if let Some(obsoleter) = yum.obsoletes.last(&yum.sack, chosen.id).filter(|obsoleter| !yum.is_kept(*obsoleter)) {
            yum.put_in_place_of(chosen.id, obsoleter);
        }
    }
    for chosen in installed {
        let Some(newest) = yum.update_of(chosen.id) else { continue };
        let newest = yum.obsoletes.last(&yum.sack, newest).unwrap_or(newest);
        yum.put_in_place_of(chosen.id, newest);
    }
    yum.resolve();
    yum.end()
}

impl Yum<'_> {
    /// Whether an installed package is of the same name, and not older.
    fn is_kept(&self, id: PackageId) -> bool {
        let of_name = self.transaction.named(self.sack.universe.package(id).name);
        of_name.iter().any(|place| self.sack.evr(self.transaction.member(*place).id).order(self.sack.evr(id)).is_ge())
    }

    /// The newest package of the same name that may take the place of an installed one, when it is newer (yum 3.4.3, rpmUtils/updates.py,
    /// `doUpdates`): of 64-bit and noarch packages one may follow the other, as may one 32-bit package another.
    fn update_of(&self, id: PackageId) -> Option<PackageId> {
        let sack = &self.sack;
        let is_narrow = |id: PackageId| !matches!(sack.arch(id), Arch::X86_64 | Arch::Noarch);
        let mut candidates = sack.named(sack.universe.package(id).name);
        candidates.retain(|other| is_narrow(*other) == is_narrow(id) || sack.arch(*other) == Arch::Noarch);
        let newest = sack.newest_of(candidates);
        let best = newest.into_iter().min_by_key(|other| (sack.arch(*other), sack.rank(*other)))?;
        sack.evr(best).order(sack.evr(id)).is_gt().then_some(best)
    }

    /// Put a package in the place of an installed one, or beside it when several versions may be there.
    fn put_in_place_of(&mut self, old: PackageId, new: PackageId) {
        // It may be gone already.
        let Some(place) = self.transaction.find(&self.sack, old) else { return };
        let beside = self.sack.stands_beside_itself(new);
        let why = self.transaction.member(place).why.clone();
        if !beside {
            self.transaction.remove(&self.sack, place);
        }
        if self.transaction.find(&self.sack, new).is_none() {
            let why = if beside { Why::Asked("yum upgrade".to_owned()) } else { why };
            self.transaction.add(&self.sack, new, why);
        }
    }
}
