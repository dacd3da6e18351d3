//! Anaconda's requests to yum, and the packages that yum takes for them.

use super::super::model::{Group, Name, PackageId, Relation};
use super::super::solve::{What, Why};
use super::super::version::Op;
use super::evr::{Bound, Evr, within};
use super::names::{Dialect, Glob, is_pattern};
use super::providers::Contest;
use super::sack::Want;
use super::work::{NotTaken, Yum};

impl Yum<'_> {
    /// Ask for a package by any of its forms, by a pattern, by a capability or a file (yum 3.4.3, yum/__init__.py, `install`); false when
    /// there is none.
    pub(super) fn ask_package(&mut self, text: &str, why: &Why) -> bool {
        let mut ids = self.sack.matching(text);
        if ids.is_empty() {
            ids = self.by_capability(text);
        }
        self.take_best(&ids, why);
        !ids.is_empty()
    }

    /// yum 3.4.3, yum/__init__.py, `returnPackagesByDep`.
    fn by_capability(&self, text: &str) -> Vec<PackageId> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let bound = match words[..] {
            [_, op, version] if !text.starts_with('/') => {
                let op = [Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt].into_iter().find(|known| known.sign() == op);
                op.map(|op| Bound { op, evr: Evr::of(version) })
            }
            _ => None,
        };
        if bound.is_none() && is_pattern(text) {
            return self.sack.providing_glob(text);
        }
        let name = if bound.is_some() { words[0] } else { text };
        let Some(name) = self.sack.universe.names.get(name) else { return Vec::new() };
        let ids = self.sack.providing(Want { name, bound });
        let wanted = Some(name).filter(|_| bound.is_none());
        if is_pattern(text) { ids } else { self.contest(wanted).best_of_each_kind(&ids, true) }
    }

    fn contest(&self, wanted: Option<Name>) -> Contest<'_, '_> {
        Contest { sack: &self.sack, transaction: &self.transaction, requirer: None, wanted }
    }

    /// Take of each name the newest, for the architectures that it is wanted for.
    fn take_best(&mut self, ids: &[PackageId], why: &Why) {
        let universe = self.sack.universe;
        let name = |id: PackageId| universe.package(id).name;
        let mut ids = ids.to_vec();
        ids.sort_by_key(|id| universe.text(name(*id)));
        for of_name in ids.chunk_by(|a, b| name(*a) == name(*b)) {
            let mut wanted = of_name.to_vec();
            if wanted.iter().any(|id| self.sack.arch(*id).is_preferred()) {
                wanted.retain(|id| self.sack.arch(*id).is_preferred());
            }
            let newest = self.sack.newest_of(wanted);
            for id in self.contest(None).best_of_each_kind(&newest, false) {
                // A package that cannot be taken is skipped (yum logs it).
                let _not_taken = self.take(id, None, why.clone());
            }
        }
    }

    /// Take a package, or what obsoletes it, and what comes with it (yum 3.4.3, yum/__init__.py, `install`, for a package).
    pub(super) fn take(&mut self, id: PackageId, need: Option<&Relation>, why: Why) -> Result<usize, NotTaken> {
        let taken = self.take_one(id, need, why);
        while let Some((id, by)) = self.pending.pop_front() {
            let _not_taken = self.take_one(id, None, Why::Needed(by));
        }
        taken
    }

    fn take_one(&mut self, id: PackageId, need: Option<&Relation>, why: Why) -> Result<usize, NotTaken> {
        if let Some(place) = self.transaction.find(&self.sack, id) {
            return Ok(place);
        }
        if let Some(other) = self.in_its_place(id) {
            return Err(NotTaken::SamePlace(other));
        }
        let Some(obsoleter) = self.obsoletes.last(&self.sack, id) else {
            let name = self.sack.universe.package(id).name;
            let place = self.transaction.add(&self.sack, id, why);
            let conditional = self.transaction.conditional.get(&name).into_iter().flatten();
            self.pending.extend(conditional.map(|other| (*other, id)));
            return Ok(place);
        };
        match need {
            Some(need) if !self.stands_in_for(obsoleter, need) => Err(NotTaken::Obsoleted { package: id, by: obsoleter }),
            _ => self.take_one(obsoleter, None, why),
        }
    }

    /// A package of the same name and version that cannot be there beside it (yum 3.4.3, yum/__init__.py, `_valid_install_arch`).
    fn in_its_place(&self, id: PackageId) -> Option<PackageId> {
        let (sack, package) = (&self.sack, self.sack.universe.package(id));
        let members = self.transaction.named(package.name).iter().map(|place| self.transaction.member(*place).id);
        let excludes = |other: &PackageId| {
            let (own, theirs) = (sack.arch(id), sack.arch(*other));
            own != theirs && sack.universe.package(*other).version == package.version && !own.stands_beside(theirs)
        };
        members.into_iter().find(excludes)
    }

    /// Whether yum thinks that an obsoleter provides what a package needs.
    ///
    /// It does so only for needs without a version: yum puts name, operator and version together and takes that for a name, unless the
    /// version has three characters, of which it then takes the first for the epoch, the second for the version and the third for the
    /// release (yum 3.4.3, yum/depsolve.py, `_requiringFromTransaction`, `reqtuple`).
    fn stands_in_for(&self, obsoleter: PackageId, need: &Relation) -> bool {
        let universe = self.sack.universe;
        let Some((op, version)) = need.bound else {
            return self.sack.provides(obsoleter, Want { name: need.name, bound: None }, true);
        };
        let text = universe.text(version);
        let mut ends = text.char_indices().map(|(at, _)| at).skip(1);
        let (Some(one), Some(two), None) = (ends.next(), ends.next(), ends.next()) else { return false };
        let evr = Evr { epoch: &text[..one], version: &text[one..two], release: Some(&text[two..]) };
        let package = universe.package(obsoleter);
        let wanted = Some(Bound { op, evr });
        let own = package.name == need.name && within(wanted, Some(Bound { op: Op::Eq, evr: self.sack.evr(obsoleter) }));
        own || package.provides.iter().any(|provided| provided.name == need.name && within(wanted, Bound::of(universe, provided)))
    }

    /// Select the groups that `pattern` names, once (yum 3.4.3, yum/__init__.py, `selectGroup`); false when there is none.
    pub(super) fn ask_group(&mut self, pattern: &str, plain: bool, all: bool, why: &Why) -> bool {
        let groups = self.groups(pattern);
        let any = !groups.is_empty();
        for group in groups {
            if !self.selected.insert(group.id.clone()) {
                continue;
            }
            let default = if plain { &[][..] } else { &group.default };
            let optional = if all { &group.optional[..] } else { &[] };
            let mut names: Vec<Name> = group.mandatory.iter().chain(default).chain(optional).copied().collect();
            names.dedup();
            for name in names {
                let ids = self.sack.named(name);
                self.take_best(&ids, why);
            }
            for (name, when) in &group.conditional {
                self.ask_conditional(*name, *when, why);
            }
        }
        any
    }

    fn ask_conditional(&mut self, name: Name, when: Name, why: &Why) {
        let mut ids = self.sack.named(name);
        if self.transaction.has_name(when) {
            return self.take_best(&ids, why);
        }
        ids.retain(|id| self.sack.arch(*id).is_preferred());
        let newest = self.sack.newest_of(ids);
        self.transaction.conditional.entry(when).or_default().extend(newest);
    }

    /// The groups that a pattern names: by their id, else by a pattern of it whose case does not matter (yum 3.4.3, yum/comps.py,
    /// `return_groups`). Those of one id in several repositories are one.
    fn groups(&self, pattern: &str) -> Vec<Group> {
        let groups = &self.sack.universe.groups;
        let mut found: Vec<Group> = Vec::new();
        for part in pattern.split(',').map(str::trim) {
            let glob = Glob::new(&part.to_lowercase(), Dialect::Python);
            let exact = groups.iter().any(|group| group.id == part);
            let is_it = |group: &&Group| if exact { group.id == part } else { glob.matches(&group.id.to_lowercase()) };
            for group in groups.iter().filter(is_it) {
                match found.iter_mut().find(|known| known.id == group.id) {
                    Some(known) => {
                        known.mandatory.extend(&group.mandatory);
                        known.default.extend(&group.default);
                        known.optional.extend(&group.optional);
                        known.conditional.extend(&group.conditional);
                    }
                    None => found.push(group.clone()),
                }
            }
        }
        found
    }

    /// Take out again what is there of a package (yum 3.4.3, yum/transactioninfo.py, `deselect`).
    pub(super) fn drop_package(&mut self, text: &str) {
        let names = &self.sack.universe.names;
        let of = |name: &str| names.get(name).map(|name| self.transaction.named(name).to_vec()).unwrap_or_default();
        let mut places: Vec<usize> = of(text);
        if let (true, [name, arch]) = (places.is_empty(), &text.split('.').collect::<Vec<_>>()[..]) {
            places = of(name);
            let is_of_arch = |place: &usize| {
                let package = self.sack.universe.package(self.transaction.member(*place).id);
                self.sack.universe.text(package.arch) == *arch
            };
            places.retain(is_of_arch);
        }
        if places.is_empty() {
            let mut ids = self.sack.matching_among(&self.transaction.packages(), text);
            if ids.is_empty() {
                ids = self.sack.matching(text);
            }
            places = ids.iter().filter_map(|id| self.transaction.find(&self.sack, *id)).collect();
            self.transaction.conditional.values_mut().for_each(|packages| packages.retain(|id| !ids.contains(id)));
        }
        places.into_iter().for_each(|place| self.transaction.remove(&self.sack, place));
    }

    /// Take out again what is there of a group, even if another group wants it (yum 3.4.3, yum/__init__.py, `deselectGroup` with `force`,
    /// as Anaconda calls it); false when there is none.
    pub(super) fn drop_group(&mut self, pattern: &str) -> bool {
        let groups = self.groups(pattern);
        for group in &groups {
            self.selected.remove(&group.id);
            let conditional = group.conditional.iter().map(|(name, _)| name);
            for name in group.mandatory.iter().chain(&group.optional).chain(&group.default).chain(conditional) {
                let places = self.transaction.named(*name).to_vec();
                let with_it = if places.is_empty() { None } else { self.transaction.conditional.get(name).cloned() };
                let others = with_it.unwrap_or_default();
                let others = others.iter().filter_map(|id| self.transaction.find(&self.sack, *id)).collect::<Vec<_>>();
                places.into_iter().chain(others).for_each(|place| self.transaction.remove(&self.sack, place));
            }
        }
        !groups.is_empty()
    }

    /// Ask for anything; false when there is no such thing.
    pub(super) fn ask(&mut self, what: &What, why: &Why) -> bool {
        match what {
            What::Package(text) => self.ask_package(text, why),
            What::Group { id, plain, all } => self.ask_group(id, *plain, *all, why),
            What::Environment(id) => {
                let environments = &self.sack.universe.environments;
                let known: Vec<_> = environments.iter().filter(|environment| environment.id == *id).collect();
                let mut groups: Vec<String> = known.iter().flat_map(|environment| environment.groups.clone()).collect();
                groups.sort();
                groups.dedup();
                let all_there = groups.iter().all(|group| self.ask_group(group, false, false, why));
                !known.is_empty() && all_there
            }
            What::Essential => false,
        }
    }
}
