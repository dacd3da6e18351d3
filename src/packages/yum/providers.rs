//! Which of several packages yum takes.

use std::collections::HashMap;

use super::super::model::{Name, PackageId};
use super::arch::Arch;
use super::evr::Evr;
use super::sack::Sack;
use super::transaction::Transaction;

/// The packages from which one is to be taken.
pub(super) struct Contest<'c, 'u> {
    pub(super) sack: &'c Sack<'u>,
    pub(super) transaction: &'c Transaction,
    /// The package that needs it; `None` when the user asks.
    pub(super) requirer: Option<PackageId>,
    /// What is needed, when a version of that may decide.
    pub(super) wanted: Option<Name>,
}

impl Contest<'_, '_> {
    /// The package that yum takes first (yum 3.4.3, yum/depsolve.py, `_compare_providers`, as of March 2018).
    pub(super) fn best(&self, ids: &[PackageId]) -> Option<PackageId> {
        let ids = self.one_of_each(ids);
        let mut scores = self.scores(&ids);
        let bests = |scores: &[i64]| {
            let best = scores.iter().copied().max().unwrap_or_default();
            (0..scores.len()).filter(|at| scores[*at] == best).collect::<Vec<_>>()
        };
        self.newest_provided(&ids, &bests(&scores)).into_iter().for_each(|at| scores[at] += 1);
        let tied = bests(&scores);
        if tied.len() > 1 {
            let lacks: Vec<usize> = tied.iter().map(|at| self.unmet_needs(ids[*at])).collect();
            let least = lacks.iter().min();
            tied.iter().zip(&lacks).filter(|(_, lack)| Some(*lack) == least).for_each(|(at, _)| scores[*at] += 1);
        }
        // Of those the shortest name, and of equally long ones the last.
        let name_length = |at: &usize| self.sack.name(ids[*at]).chars().count();
        let tied = bests(&scores);
        let shortest = tied.iter().map(name_length).min();
        let last = tied.into_iter().filter(|at| Some(name_length(at)) == shortest);
        last.map(|at| ids[at]).max_by(|a, b| self.sack.order(*a, *b))
    }

    /// Of packages that several repositories have, that of the cheapest.
    fn one_of_each(&self, ids: &[PackageId]) -> Vec<PackageId> {
        let mut places: HashMap<(Name, Name, Name), usize> = HashMap::new();
        let mut found: Vec<PackageId> = Vec::new();
        for id in ids {
            let package = self.sack.universe.package(*id);
            let place = *places.entry((package.name, package.version, package.arch)).or_insert_with(|| {
                found.push(*id);
                found.len() - 1
            });
            if self.sack.rank(*id) < self.sack.rank(found[place]) {
                found[place] = *id;
            }
        }
        found
    }

    fn scores(&self, ids: &[PackageId]) -> Vec<i64> {
        let (sack, others) = (self.sack, ids.len() as i64 - 1);
        let obsoleters = self.obsoleters(ids);
        let mut newest: HashMap<Name, Option<Evr<'_>>> = HashMap::new();
        let score = |(at, id): (usize, &PackageId)| {
            let name = sack.universe.package(*id).name;
            let newest = *newest.entry(name).or_insert_with(|| sack.newest(name).first().map(|id| sack.evr(*id)));
            // An outdated package counts as obsoleted by all others, and an obsoleted one as obsoleted by those that obsolete it.
            let outdated = if newest == Some(sack.evr(*id)) { 0 } else { others };
            let mut score = -1024 * (outdated + obsoleters[at]) + self.points_for_arch(*id, ids);
            if let Some(requirer) = self.requirer {
                let source = |id: PackageId| sack.universe.package(id).source_file;
                score += if source(*id) == source(requirer) { 20 } else { 0 };
                let common = sack.name(*id).chars().zip(sack.name(requirer).chars()).take_while(|(a, b)| a == b).count() as i64;
                score += if common > 2 { 2 * common } else { 0 };
            }
            let base = sack.universe.package(*id).source.unwrap_or(name);
            score + if self.transaction.has_name(base) { 5 } else { 0 }
        };
        ids.iter().enumerate().map(score).collect()
    }

    /// Of each package, how many of the others obsolete it.
    fn obsoleters(&self, ids: &[PackageId]) -> Vec<i64> {
        let universe = self.sack.universe;
        let mut counts = vec![0; ids.len()];
        let mut places: HashMap<Name, Vec<usize>> = HashMap::new();
        ids.iter().enumerate().for_each(|(at, id)| places.entry(universe.package(*id).name).or_default().push(at));
        for by in ids {
            let mut obsoleted: Vec<usize> =
                universe.package(*by).obsoletes.iter().filter_map(|relation| places.get(&relation.name)).flatten().copied().collect();
            obsoleted.sort_unstable();
            obsoleted.dedup();
            let mut is_obsoleted = |at: &usize| ids[*at] != *by && self.sack.is_obsoleted_by(ids[*at], *by);
            obsoleted.retain(&mut is_obsoleted);
            obsoleted.into_iter().for_each(|at| counts[at] += 1);
        }
        counts
    }

    /// 5 for each other package whose architecture is further away, from the requirer's and from the system's (`_compare_arch_distance`).
    fn points_for_arch(&self, id: PackageId, ids: &[PackageId]) -> i64 {
        let own = self.sack.arch(id);
        let from = self.requirer.map(|requirer| self.sack.arch(requirer)).into_iter().chain([Arch::BEST]);
        let points = from.map(|from| {
            let further = |other: &&PackageId| match (from.distance(own), from.distance(self.sack.arch(**other))) {
                (0, _) => false,
                (_, 0) => true,
                (own, other) => own < other,
            };
            5 * ids.iter().filter(further).count() as i64
        });
        points.sum()
    }

    /// Of the best, those that provide the newest version of the wanted capability, when each has a version.
    fn newest_provided(&self, ids: &[PackageId], best: &[usize]) -> Vec<usize> {
        let Some(wanted) = self.wanted.filter(|_| best.len() > 1) else { return Vec::new() };
        let versions: Option<Vec<(usize, Evr<'_>)>> =
            best.iter().map(|at| Some((*at, self.sack.provided_version(ids[*at], wanted)?))).collect();
        let versions = versions.unwrap_or_default();
        let newest = versions.iter().map(|(_, evr)| *evr).reduce(|best, evr| if evr.order(best).is_ge() { evr } else { best });
        versions.into_iter().filter(|(_, evr)| Some(*evr) == newest).map(|(at, _)| at).collect()
    }

    /// How many needs of a package are not met yet.
    fn unmet_needs(&self, id: PackageId) -> usize {
        let sack = self.sack;
        let is_met = |want| self.transaction.provides(sack, want) || sack.provides(id, want, false);
        sack.needs(id).filter(|need| !is_met(sack.want(need))).count()
    }

    /// The packages that yum takes when a person asks for one of `ids`: one for each kind of architecture (yum 3.4.3, yum/__init__.py,
    /// `bestPackagesFromList`).
    pub(super) fn best_of_each_kind(&self, ids: &[PackageId], single_name: bool) -> Vec<PackageId> {
        let of = |kind: fn(Arch) -> bool| -> Vec<PackageId> { ids.iter().copied().filter(|id| kind(self.sack.arch(*id))).collect() };
        let wide = self.best(&of(|arch| arch == Arch::X86_64));
        let mut narrow = self.best(&of(|arch| !matches!(arch, Arch::X86_64 | Arch::Noarch)));
        let noarch = self.best(&of(|arch| arch == Arch::Noarch));
        if let (true, Some(wide), Some(other)) = (single_name, wide, narrow)
            && self.sack.name(wide) != self.sack.name(other)
        {
            narrow = None;
        }
        let Some(noarch) = noarch else { return wide.into_iter().chain(narrow).collect() };
        match wide.or(narrow) {
            None => vec![noarch],
            Some(other) if self.best(&[other, noarch]) == Some(noarch) => vec![noarch],
            Some(_) => wide.into_iter().chain(narrow).collect(),
        }
    }
}
