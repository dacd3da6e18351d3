//! Gives the universe to the solver in its own form.
//!
//! [resolvo] decides between versions of a name. So a need becomes a union of sets of one package each, in the order of [`super::order`].
//! The solver then tries them in exactly that order, whatever their names are.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;

use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider, Interner, KnownDependencies, NameId,
    Requirement, SolvableId, SolverCache, StringId, VersionSetId, VersionSetUnionId,
};

use super::super::model::PackageId;
use super::index::{Colour, Index, Slot};
use super::order;

pub(super) struct Provider<'p, 'u> {
    pub(super) index: &'p Index<'u>,
    /// Whether a package will be there in any case, by [`PackageId`].
    pub(super) settled: &'p [bool],
    sets: RefCell<Sets>,
    /// Rounds of the solver so far.
    rounds: Cell<u32>,
}

/// Rounds of propagation before the solver gives up. The 60,000 packages of Debian take some thousand. Only a repository that is made to
/// keep a solver busy takes more than this.
const ROUNDS: u32 = 200_000;

/// Sets of packages that the solver was given. A set with the number of a package is that package alone; these are the others.
#[derive(Default)]
struct Sets {
    all_but: Vec<(Slot, Vec<PackageId>)>,
    unions: Vec<Vec<VersionSetId>>,
    known_unions: HashMap<Vec<VersionSetId>, VersionSetUnionId>,
}

impl<'p, 'u> Provider<'p, 'u> {
    pub(super) fn new(index: &'p Index<'u>, settled: &'p [bool]) -> Self {
        Self { index, settled, sets: RefCell::default(), rounds: Cell::new(0) }
    }

    fn count(&self) -> u32 {
        self.index.universe.packages.len() as u32
    }

    /// One of these, the first that can be had.
    pub(super) fn one_of(&self, ids: &[PackageId]) -> Requirement {
        if let [id] = ids {
            return Requirement::Single(VersionSetId(id.0));
        }
        let set: Vec<VersionSetId> = ids.iter().map(|id| VersionSetId(id.0)).collect();
        let sets = &mut *self.sets.borrow_mut();
        Requirement::Union(*sets.known_unions.entry(set).or_insert_with_key(|set| {
            sets.unions.push(set.clone());
            VersionSetUnionId(sets.unions.len() as u32 - 1)
        }))
    }

    /// The packages of a slot except these.
    fn none_of(&self, slot: Slot, ids: Vec<PackageId>) -> VersionSetId {
        let sets = &mut *self.sets.borrow_mut();
        sets.all_but.push((slot, ids));
        VersionSetId(self.count() + sets.all_but.len() as u32 - 1)
    }

    fn dependencies(&self, id: PackageId) -> KnownDependencies {
        let mut known = KnownDependencies::default();
        for need in self.index.needs(id) {
            let candidates = order::candidates(self.index, Some(id), self.settled, need);
            known.requirements.push(ConditionalRequirement::from(self.one_of(&candidates)));
        }
        let mut forbidden: Vec<(Slot, PackageId)> =
            self.index.forbids(id).into_iter().map(|(other, _)| (self.index.slot(other), other)).collect();
        let name = self.index.universe.package(id).name;
        // Within a slot the solver itself takes only one.
        let across =
            [Colour::Wide, Colour::Narrow].map(|colour| Slot::of(name, colour)).into_iter().filter(|slot| *slot != self.index.slot(id));
        for slot in across {
            forbidden.extend(self.index.in_slot(slot).filter(|other| self.index.same_place(id, *other)).map(|other| (slot, other)));
        }
        forbidden.sort_unstable();
        forbidden.dedup();
        for group in forbidden.chunk_by(|(a, _), (b, _)| a == b) {
            known.constrains.push(self.none_of(group[0].0, group.iter().map(|(_, id)| *id).collect()));
        }
        known
    }
}

pub(super) fn package(id: SolvableId) -> PackageId {
    PackageId(id.into_raw())
}

impl Interner for Provider<'_, '_> {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.index.universe.label(package(solvable))
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        name.into_raw()
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        version_set.0
    }

    fn display_string(&self, string_id: StringId) -> impl Display + '_ {
        string_id.0
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        let slot = match version_set.0.checked_sub(self.count()) {
            None => self.index.slot(PackageId(version_set.0)),
            Some(other) => self.sets.borrow().all_but[other as usize].0,
        };
        NameId::from_raw(slot.0)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        NameId::from_raw(self.index.slot(package(solvable)).0)
    }

    fn version_sets_in_union(&self, version_set_union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.sets.borrow().unions[version_set_union.0 as usize].clone().into_iter()
    }

    fn resolve_condition(&self, _condition: ConditionId) -> Condition {
        unreachable!("no requirement has a condition")
    }
}

impl DependencyProvider for Provider<'_, '_> {
    async fn filter_candidates(&self, candidates: &[SolvableId], version_set: VersionSetId, inverse: bool) -> Vec<SolvableId> {
        let sets = self.sets.borrow();
        let within = |id: &SolvableId| match version_set.0.checked_sub(self.count()) {
            None => id.into_raw() == version_set.0,
            Some(other) => sets.all_but[other as usize].1.binary_search(&package(*id)).is_err(),
        };
        candidates.iter().copied().filter(|id| within(id) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let slot = Slot(name.into_raw());
        let there = self.index.in_slot(slot).filter(|id| self.index.is_allowed(*id));
        let candidates: Vec<SolvableId> = there.map(|id| SolvableId::from_raw(id.0)).collect();
        let first = candidates.first().copied();
        let allow_multiple = first.is_some_and(|id| self.index.stands_beside_itself(self.index.universe.package(package(id)).name));
        Some(Candidates { candidates, allow_multiple, ..Candidates::default() })
    }

    // A set that is asked for has one package, so there is nothing to sort.
    async fn sort_candidates(&self, _solver: &SolverCache<Self>, _solvables: &mut [SolvableId]) {}

    fn should_cancel_with_value(&self) -> Option<Box<dyn Any>> {
        self.rounds.set(self.rounds.get() + 1);
        (self.rounds.get() > ROUNDS).then(|| Box::new(()) as Box<dyn Any>)
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        Dependencies::Known(self.dependencies(package(solvable)))
    }
}
