//! Indexes of a universe: packages by name, and by what they provide.

use std::collections::VecDeque;

use super::super::grouped::Grouped;
use super::super::model::{Name, Need, PackageId, Relation, Universe};
use super::super::version::Scheme;

/// Only one package of a slot may be installed, unless they are kernels.
///
/// A slot is a name and a colour: the 32-bit package of a name stands beside the 64-bit one in another version too (libsolv,
/// src/rules.c, `POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS`, which dnf sets; yum 3.4.3, yum/depsolve.py, compares names with architectures).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(pub(super) u32);

impl Slot {
    pub(super) fn of(name: Name, colour: Colour) -> Self {
        Self(name.index() as u32 * 2 + u32::from(colour == Colour::Narrow))
    }

    /// The place of its name among a universe's names.
    pub(super) fn name(self) -> usize {
        (self.0 / 2) as usize
    }

    fn colour(self) -> Colour {
        if self.0 % 2 == 1 { Colour::Narrow } else { Colour::Wide }
    }
}

/// What kind of machine code a package has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// 64-bit, or none at all.
    Wide,
    /// 32-bit on a 64-bit system.
    Narrow,
}

/// Architectures whose packages an x86_64 system can have (yum 3.4.3, rpmUtils/arch.py, `arches`); there are no others for it.
const RPM_ARCHES: [&str; 8] = ["x86_64", "noarch", "i686", "i586", "i486", "i386", "amd64", "ia32e"];

/// A universe with its indexes, and its packages that are forbidden.
pub(super) struct Index<'u> {
    pub(super) universe: &'u Universe,
    named: Grouped<PackageId>,
    /// By capability: the package that provides it, and the index of that provide.
    provided: Grouped<(PackageId, u32)>,
    /// By name: the package that obsoletes it, and the index of that obsolete.
    obsoleting: Grouped<(PackageId, u32)>,
    /// Of each package: the pattern that forbids it.
    forbidden: Vec<Option<u16>>,
}

impl<'u> Index<'u> {
    pub(super) fn of(universe: &'u Universe) -> Self {
        let runs_here = |arch| universe.scheme == Scheme::Debian || RPM_ARCHES.contains(&universe.text(arch));
        let all = || {
            universe
                .packages
                .iter()
                .zip(0_u32..)
                .map(|(package, id)| (package, PackageId(id)))
                .filter(|(package, _)| runs_here(package.arch))
        };
        let names = universe.names.count();
        let named = Grouped::of(names, PackageId(0), || all().map(|(package, id)| (package.name, id)));
        let provided = Grouped::of(names, (PackageId(0), 0), || {
            all().flat_map(|(package, id)| package.provides.iter().zip(0..).map(move |(provided, nth)| (provided.name, (id, nth))))
        });
        let obsoleting = Grouped::of(names, (PackageId(0), 0), || {
            all().flat_map(|(package, id)| package.obsoletes.iter().zip(0..).map(move |(relation, nth)| (relation.name, (id, nth))))
        });
        Self { universe, named, provided, obsoleting, forbidden: vec![None; universe.packages.len()] }
    }

    /// Forbid a package, for the pattern of that number.
    pub(super) fn forbid(&mut self, id: PackageId, pattern: u16) {
        self.forbidden[id.index()].get_or_insert(pattern);
    }

    /// The number of the pattern that forbids a package.
    pub(super) fn forbidden_by(&self, id: PackageId) -> Option<u16> {
        self.forbidden[id.index()]
    }

    pub(super) fn is_allowed(&self, id: PackageId) -> bool {
        self.forbidden[id.index()].is_none()
    }

    /// All packages that can be had.
    pub(super) fn all(&self) -> &[PackageId] {
        self.named.all()
    }

    /// The allowed packages of other names that obsolete a package.
    pub(super) fn obsoleters(&self, id: PackageId) -> impl Iterator<Item = PackageId> {
        let package = self.universe.package(id);
        let all = self.obsoleting.get(package.name.index()).iter();
        let are = all.filter(move |(other, nth)| {
            let candidate = self.universe.package(*other);
            self.is_allowed(*other)
                && candidate.name != package.name
                && self.universe.within(Some(package.version), candidate.obsoletes[*nth as usize].bound)
        });
        are.map(|(other, _)| *other)
    }

    /// All packages of a name.
    pub(super) fn named(&self, name: Name) -> &[PackageId] {
        self.named.get(name.index())
    }

    /// All packages of a slot.
    pub(super) fn in_slot(&self, slot: Slot) -> impl Iterator<Item = PackageId> {
        self.named.get(slot.name()).iter().copied().filter(move |id| self.colour(*id) == slot.colour())
    }

    pub(super) fn colour(&self, id: PackageId) -> Colour {
        match self.universe.text(self.universe.package(id).arch) {
            "i386" | "i486" | "i586" | "i686" => Colour::Narrow,
            _ => Colour::Wide,
        }
    }

    pub(super) fn slot(&self, id: PackageId) -> Slot {
        Slot::of(self.universe.package(id).name, self.colour(id))
    }

    /// Whether a package is, or provides, what is wanted.
    pub(super) fn meets(&self, id: PackageId, wanted: &Relation) -> bool {
        let package = self.universe.package(id);
        package.name == wanted.name && self.universe.within(Some(package.version), wanted.bound)
            || package.provides.iter().any(|provided| provided.name == wanted.name && self.universe.provides(provided, wanted))
    }

    /// All packages that are, or provide, what is wanted, forbidden ones too: those of its name first.
    pub(super) fn meeting(&self, wanted: &Relation) -> Vec<PackageId> {
        let universe = self.universe;
        let mut found: Vec<PackageId> = self.named_within(wanted).collect();
        for (id, nth) in self.provided.get(wanted.name.index()) {
            if universe.provides(&universe.package(*id).provides[*nth as usize], wanted) && !found.contains(id) {
                found.push(*id);
            }
        }
        found
    }

    /// All allowed packages that meet a need, in no order that matters.
    pub(super) fn who_may_meet(&self, need: &Need) -> impl Iterator<Item = PackageId> {
        let found = need.alternatives().iter().flat_map(|wanted| self.meeting(wanted));
        found.filter(|id| self.is_allowed(*id))
    }

    /// All packages that may come in with `roots`, including those that obsolete others.
    pub(super) fn reachable(&self, roots: impl IntoIterator<Item = PackageId>) -> Vec<PackageId> {
        let mut seen = vec![false; self.universe.packages.len()];
        let mut found: Vec<PackageId> = Vec::new();
        let mut queue: VecDeque<PackageId> = roots.into_iter().collect();
        while let Some(id) = queue.pop_front() {
            if !std::mem::replace(&mut seen[id.index()], true) {
                found.push(id);
                queue.extend(self.needs(id).flat_map(|need| self.who_may_meet(need)).chain(self.obsoleters(id)));
            }
        }
        found
    }

    /// All packages that provide a capability in some version, and the version.
    pub(super) fn providers(&self, name: Name) -> impl Iterator<Item = (PackageId, &'u Relation)> {
        self.provided.get(name.index()).iter().map(|(id, nth)| (*id, &self.universe.package(*id).provides[*nth as usize]))
    }

    /// All packages of the wanted name and version.
    pub(super) fn named_within(&self, wanted: &Relation) -> impl Iterator<Item = PackageId> {
        let bound = wanted.bound;
        self.named(wanted.name).iter().copied().filter(move |id| self.universe.within(Some(self.universe.package(*id).version), bound))
    }

    /// Those needs of a package that it does not meet itself.
    pub(super) fn needs(&self, id: PackageId) -> impl Iterator<Item = &'u Need> {
        let needs = &self.universe.package(id).needs;
        needs.iter().filter(move |need| !need.alternatives().iter().any(|wanted| self.meets(id, wanted)))
    }

    /// Whether there is a newer package of its name. apt has one candidate of each name and looks at no other (apt_preferences(5)).
    pub(super) fn is_superseded(&self, id: PackageId) -> bool {
        let universe = self.universe;
        let package = universe.package(id);
        let mut others = self.named(package.name).iter().map(|other| universe.package(*other).version);
        others
            .any(|other| other != package.version && universe.scheme.compare(universe.text(other), universe.text(package.version)).is_gt())
    }

    /// Whether two packages are of one name and may not both be there.
    pub(super) fn same_place(&self, a: PackageId, b: PackageId) -> bool {
        let (left, right) = (self.universe.package(a), self.universe.package(b));
        let noarch = |name: Name| self.universe.text(name) == "noarch";
        a != b
            && left.name == right.name
            && (self.colour(a) == self.colour(b) || noarch(left.arch) || noarch(right.arch))
            && !self.stands_beside_itself(left.name)
    }

    /// Whether several versions of a package may be there at a time.
    ///
    /// yum 3.4.3, yum/config.py, `installonlypkgs`, which dnf has much the same.
    pub(super) fn stands_beside_itself(&self, name: Name) -> bool {
        self.universe.scheme == Scheme::Rpm
            && matches!(
                self.universe.text(name),
                "kernel"
                    | "kernel-bigmem"
                    | "kernel-enterprise"
                    | "kernel-smp"
                    | "kernel-debug"
                    | "kernel-unsupported"
                    | "kernel-source"
                    | "kernel-devel"
                    | "kernel-PAE"
                    | "kernel-PAE-debug"
            )
    }

    /// The packages that a package forbids, and by which relation: those it conflicts with, and those it obsoletes.
    pub(super) fn forbids(&self, id: PackageId) -> Vec<(PackageId, Forbids<'u>)> {
        let package = self.universe.package(id);
        let mut found = Vec::new();
        for relation in &package.conflicts {
            let others = self.meeting(relation).into_iter().filter(|other| *other != id);
            found.extend(others.map(|other| (other, Forbids::Conflict(relation))));
        }
        for relation in &package.obsoletes {
            // By name only (libsolv, src/rules.c, `POOL_FLAG_OBSOLETEUSESPROVIDES`; rpm 4.11, lib/depends.c, `addUpgradeErasures`).
            let others = self.named_within(relation).filter(|other| self.universe.package(*other).name != package.name);
            found.extend(others.map(|other| (other, Forbids::Obsolete(relation))));
        }
        found
    }
}

/// How one package forbids another.
#[derive(Debug, Clone, Copy)]
pub(super) enum Forbids<'u> {
    /// `Conflicts`, or Debian's `Breaks`.
    Conflict(&'u Relation),
    /// `Obsoletes`.
    Obsolete(&'u Relation),
}
