//! The packages of the repositories that yum uses, by name and by capability, without the excluded ones.

use std::cmp::Ordering;

use super::super::grouped::Grouped;
use super::super::model::{Name, PackageId, Relation, Universe};
use super::super::version::Op;
use super::arch::Arch;
use super::evr::{Bound, Evr, within};
use super::names::{Dialect, Glob, forms, is_of_all_forms, is_pattern};

/// Something that is wanted: a name, or a file, and maybe a bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) name: Name,
    pub(super) bound: Option<Bound<'a>>,
}

/// The packages of a universe as yum 3.4.3 sees them (yum/packageSack.py, `MetaSack`).
pub(super) struct Sack<'u> {
    pub(super) universe: &'u Universe,
    named: Grouped<PackageId>,
    /// By capability: the package that provides it, and the index of that provide.
    provided: Grouped<(PackageId, u32)>,
    /// All packages that were there at first: the cheaper repositories first, in the order of their indexes.
    all: Vec<PackageId>,
    /// Of each package of the universe: its architecture, when yum sees it.
    seen: Vec<Option<Arch>>,
    /// The place of each repository in yum's order.
    ranks: Vec<usize>,
}

impl<'u> Sack<'u> {
    /// The packages of `universe` that yum uses with these patterns in `exclude`.
    pub(super) fn new(universe: &'u Universe, excluded: &[String]) -> Self {
        let ranks = ranks(universe);
        let seen: Vec<Option<Arch>> = universe.packages.iter().map(|package| Arch::of(universe.text(package.arch))).collect();
        let mut all: Vec<PackageId> = (0..).map(PackageId).take(seen.len()).filter(|id| seen[id.index()].is_some()).collect();
        all.sort_by_key(|id| ranks[usize::from(universe.package(*id).repository)]);
        let names = universe.names.count();
        let package = |id: &PackageId| universe.package(*id);
        let named = Grouped::of(names, PackageId(0), || all.iter().map(|id| (package(id).name, *id)));
        let provided = Grouped::of(names, (PackageId(0), 0), || {
            all.iter().flat_map(|id| package(id).provides.iter().zip(0..).map(|(provided, nth)| (provided.name, (*id, nth))))
        });
        let mut sack = Self { universe, named, provided, all, seen, ranks };
        sack.exclude(excluded);
        sack.exclude_costly();
        sack
    }

    /// Take packages out as yum.conf(5), exclude, says: their case does not matter (yum 3.4.3, yum/sqlitesack.py, `addPackageExcluder`).
    fn exclude(&mut self, patterns: &[String]) {
        for pattern in patterns {
            let pattern = pattern.to_lowercase();
            let glob = is_pattern(&pattern).then(|| Glob::new(&pattern, Dialect::Python));
            let is_it = |form: &String| {
                let form = form.to_lowercase();
                glob.as_ref().map_or(form == pattern, |glob| glob.matches(&form))
            };
            let gone: Vec<PackageId> = self.all.iter().copied().filter(|id| self.forms(*id).iter().any(is_it)).collect();
            gone.into_iter().for_each(|id| self.remove(id));
        }
    }

    /// Take out what a cheaper repository has as well (yum 3.4.3, yum/__init__.py, `costExcludePackages`).
    fn exclude_costly(&mut self) {
        let universe = self.universe;
        let cost = |id: PackageId| universe.repositories[usize::from(universe.package(id).repository)].cost;
        let has_cheaper = |id: &PackageId| {
            let of_name = self.named(universe.package(*id).name);
            of_name.into_iter().any(|other| cost(other) < cost(*id) && self.is_same(other, *id))
        };
        let gone: Vec<PackageId> = self.all.iter().copied().filter(has_cheaper).collect();
        gone.into_iter().for_each(|id| self.remove(id));
    }

    /// See only these repositories. Packages of others may be installed already, but cannot be taken.
    pub(super) fn only(&mut self, repositories: &[u16]) {
        let others: Vec<PackageId> = self.all().filter(|id| !repositories.contains(&self.universe.package(*id).repository)).collect();
        others.into_iter().for_each(|id| self.remove(id));
    }

    /// Take a package out.
    pub(super) fn remove(&mut self, id: PackageId) {
        self.seen[id.index()] = None;
    }

    /// All packages that yum sees: the cheaper repositories first.
    pub(super) fn all(&self) -> impl Iterator<Item = PackageId> {
        self.all.iter().copied().filter(|id| self.sees(*id))
    }

    fn sees(&self, id: PackageId) -> bool {
        self.seen[id.index()].is_some()
    }

    /// The architecture of a package, also of one that was taken out.
    pub(super) fn arch(&self, id: PackageId) -> Arch {
        // OK to unwrap: only packages of such an architecture are in `all`.
        Arch::of(self.universe.text(self.universe.package(id).arch)).unwrap_or(Arch::Noarch)
    }

    pub(super) fn evr(&self, id: PackageId) -> Evr<'u> {
        Evr::of(self.universe.text(self.universe.package(id).version))
    }

    pub(super) fn name(&self, id: PackageId) -> &'u str {
        self.universe.text(self.universe.package(id).name)
    }

    fn forms(&self, id: PackageId) -> [String; 7] {
        forms(self.name(id), self.evr(id), self.universe.text(self.universe.package(id).arch))
    }

    /// Whether two packages have the same name, version and architecture.
    pub(super) fn is_same(&self, a: PackageId, b: PackageId) -> bool {
        let (left, right) = (self.universe.package(a), self.universe.package(b));
        (left.name, left.version, left.arch) == (right.name, right.version, right.arch)
    }

    /// The place of a package's repository in yum's order: by cost, then by id (yum 3.4.3, yum/yumRepo.py, `__cmp__`).
    pub(super) fn rank(&self, id: PackageId) -> usize {
        self.ranks[usize::from(self.universe.package(id).repository)]
    }

    /// yum's order of packages: name, version, architecture, repository (yum 3.4.3, yum/packages.py, `PackageObject.__cmp__`).
    pub(super) fn order(&self, a: PackageId, b: PackageId) -> Ordering {
        let universe = self.universe;
        let (left, right) = (universe.package(a), universe.package(b));
        let repository = |number: u16| &universe.repositories[usize::from(number)].id;
        self.name(a)
            .cmp(self.name(b))
            .then_with(|| self.evr(a).order(self.evr(b)))
            .then_with(|| universe.text(left.arch).cmp(universe.text(right.arch)))
            .then_with(|| repository(left.repository).cmp(repository(right.repository)))
    }

    /// All packages of a name.
    pub(super) fn named(&self, name: Name) -> Vec<PackageId> {
        self.named.get(name.index()).iter().copied().filter(|id| self.sees(*id)).collect()
    }

    /// The packages of the newest version of a name, of all architectures.
    pub(super) fn newest(&self, name: Name) -> Vec<PackageId> {
        self.newest_of(self.named(name))
    }

    /// Of packages of one name the newest.
    pub(super) fn newest_of(&self, mut ids: Vec<PackageId>) -> Vec<PackageId> {
        let newest = ids.iter().copied().reduce(|best, id| if self.evr(id).order(self.evr(best)).is_gt() { id } else { best });
        ids.retain(|id| newest.is_some_and(|newest| self.evr(*id).order(self.evr(newest)).is_eq()));
        ids
    }

    /// The want of a relation.
    pub(super) fn want(&self, relation: &Relation) -> Want<'u> {
        Want { name: relation.name, bound: Bound::of(self.universe, relation) }
    }

    /// What a package needs, without what it needs of rpm itself (yum 3.4.3, yum/depsolve.py, `_checkInstall`).
    pub(super) fn needs(&self, id: PackageId) -> impl Iterator<Item = Relation> {
        let needs = self.universe.package(id).needs.iter().flat_map(|need| need.alternatives());
        needs.copied().filter(|need| !self.universe.text(need.name).starts_with("rpmlib("))
    }

    /// Whether a package provides the wanted capability; its own files count when `files` is true.
    pub(super) fn provides(&self, id: PackageId, want: Want<'_>, files: bool) -> bool {
        let package = self.universe.package(id);
        let own = package.name == want.name && within(want.bound, Some(Bound { op: Op::Eq, evr: self.evr(id) }));
        let is_file = self.universe.text(want.name).starts_with('/');
        let meets = |provided: &Relation| provided.name == want.name && within(want.bound, Bound::of(self.universe, provided));
        own || (files || !is_file) && package.provides.iter().any(meets)
    }

    /// All packages, also those that were taken out, that provide what is wanted.
    pub(super) fn all_providing(&self, want: Want<'_>) -> Vec<PackageId> {
        let own = |id: &&PackageId| within(want.bound, Some(Bound { op: Op::Eq, evr: self.evr(**id) }));
        let mut found: Vec<PackageId> = self.named.get(want.name.index()).iter().filter(own).copied().collect();
        for (id, nth) in self.provided.get(want.name.index()) {
            let provided = &self.universe.package(*id).provides[*nth as usize];
            if within(want.bound, Bound::of(self.universe, provided)) && !found.contains(id) {
                found.push(*id);
            }
        }
        found
    }

    /// Whether a package that `is_wanted` provides what is wanted.
    pub(super) fn any_providing(&self, want: Want<'_>, is_wanted: impl Fn(PackageId) -> bool) -> bool {
        let own = |id: &PackageId| is_wanted(*id) && within(want.bound, Some(Bound { op: Op::Eq, evr: self.evr(*id) }));
        let meets = |(id, nth): &(PackageId, u32)| {
            is_wanted(*id) && within(want.bound, Bound::of(self.universe, &self.universe.package(*id).provides[*nth as usize]))
        };
        self.named.get(want.name.index()).iter().any(own) || self.provided.get(want.name.index()).iter().any(meets)
    }

    /// All packages that provide what is wanted.
    pub(super) fn providing(&self, want: Want<'_>) -> Vec<PackageId> {
        let mut found = self.all_providing(want);
        found.retain(|id| self.sees(*id));
        found
    }

    /// The version in which a package provides `name`, when it does so once and with a version (yum 3.4.3, yum/depsolve.py,
    /// `_pkg2prov_version`).
    pub(super) fn provided_version(&self, id: PackageId, name: Name) -> Option<Evr<'u>> {
        let package = self.universe.package(id);
        let own = (package.name == name).then(|| self.evr(id));
        let provided = package.provides.iter().filter(|provided| provided.name == name);
        let told = provided.filter_map(|provided| match provided.bound {
            Some((Op::Eq, version)) => Some(Evr::of(self.universe.text(version))),
            _ => None,
        });
        let mut all = own.into_iter().chain(told);
        match (all.next(), all.next()) {
            (one, None) => one.map(|evr| Evr { release: Some(evr.release.unwrap_or("0")), ..evr }),
            _ => None,
        }
    }

    /// Whether one of `obsoletes`, a package's relations, is for that package (yum 3.4.3, yum/packages.py, `obsoletedBy`).
    pub(super) fn is_obsoleted_by(&self, id: PackageId, by: PackageId) -> bool {
        let own = Bound { op: Op::Eq, evr: self.evr(id) };
        let (name, obsoletes) = (self.universe.package(id).name, &self.universe.package(by).obsoletes);
        obsoletes.iter().any(|relation| relation.name == name && within(Some(own), Bound::of(self.universe, relation)))
    }

    /// The packages that `text` names (yum 3.4.3, yum/sqlitesack.py, `returnPackages`).
    pub(super) fn matching(&self, text: &str) -> Vec<PackageId> {
        if is_pattern(text) {
            return self.matching_glob(text);
        }
        if !is_of_all_forms(text) {
            return self.universe.names.get(text).map(|name| self.named(name)).unwrap_or_default();
        }
        let whole = text.split_once(':').filter(|(epoch, _)| epoch.bytes().all(|c| c.is_ascii_digit())).map_or(text, |(_, rest)| rest);
        let ends = whole.bytes().enumerate().filter(|(_, c)| matches!(c, b'-' | b'.')).map(|(at, _)| at).chain([whole.len()]);
        let names = ends.filter_map(|end| self.universe.names.get(&whole[..end]));
        let of_names = names.flat_map(|name| self.named(name));
        of_names.filter(|id| self.forms(*id).iter().any(|form| form == text)).collect()
    }

    fn matching_glob(&self, text: &str) -> Vec<PackageId> {
        let glob = Glob::new(text, Dialect::Sql);
        let (prefix, all_forms) = (glob.prefix(), is_of_all_forms(text));
        let is_it = |id: &PackageId| {
            let name = self.name(*id);
            // This skips most packages early. The form that begins with an epoch begins with a digit.
            let may = name.starts_with(&prefix) || prefix.starts_with(name) || prefix.starts_with(|c: char| c.is_ascii_digit());
            may && match all_forms {
                true => self.forms(*id).iter().any(|form| glob.matches(form)),
                false => glob.matches(name),
            }
        };
        self.all.iter().copied().filter(|id| self.sees(*id) && is_it(id)).collect()
    }

    /// The packages that provide what matches a pattern (yum 3.4.3, yum/sqlitesack.py, `searchPrco`).
    pub(super) fn providing_glob(&self, text: &str) -> Vec<PackageId> {
        let glob = Glob::new(text, Dialect::Sql);
        let provides = |id: &PackageId| {
            let mut names = self.universe.package(*id).provides.iter().map(|provided| self.universe.text(provided.name));
            names.any(|name| glob.matches(name))
        };
        self.all.iter().copied().filter(|id| self.sees(*id) && provides(id)).collect()
    }

    /// Whether a package of `ids` has a form that `text` matches (yum 3.4.3, yum/packages.py, `parsePackages`).
    pub(super) fn matching_among(&self, ids: &[PackageId], text: &str) -> Vec<PackageId> {
        let named: Vec<PackageId> = ids.iter().copied().filter(|id| self.forms(*id).iter().any(|form| form == text)).collect();
        if !named.is_empty() || !is_pattern(text) {
            return named;
        }
        let glob = Glob::new(text, Dialect::Python);
        ids.iter().copied().filter(|id| self.forms(*id).iter().any(|form| glob.matches(form))).collect()
    }

    /// Whether several versions may be there at a time (yum 3.4.3, yum/depsolve.py, `allowedMultipleInstalls`).
    pub(super) fn stands_beside_itself(&self, id: PackageId) -> bool {
        let package = self.universe.package(id);
        let mut names = std::iter::once(package.name).chain(package.provides.iter().map(|provided| provided.name));
        names.any(|name| INSTALL_ONLY.contains(&self.universe.text(name)))
    }
}

/// What may be there in several versions at a time (yum 3.4.3, yum/config.py, `installonlypkgs`; yum.conf(5) of CentOS 7).
const INSTALL_ONLY: [&str; 14] = [
    "kernel",
    "kernel-bigmem",
    "installonlypkg(kernel)",
    "installonlypkg(kernel-module)",
    "installonlypkg(vm)",
    "kernel-enterprise",
    "kernel-smp",
    "kernel-modules",
    "kernel-debug",
    "kernel-unsupported",
    "kernel-source",
    "kernel-devel",
    "kernel-PAE",
    "kernel-PAE-debug",
];

/// The place of each repository in yum's order.
fn ranks(universe: &Universe) -> Vec<usize> {
    let repositories = &universe.repositories;
    let mut order: Vec<usize> = (0..repositories.len()).collect();
    order.sort_by_key(|number| (repositories[*number].cost, &repositories[*number].id));
    let mut ranks = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(rank, number)| ranks[number] = rank);
    ranks
}
