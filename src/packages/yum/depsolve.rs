//! How yum resolves the needs of what was asked for. It never goes back.

use std::collections::HashMap;

use super::super::model::{PackageId, Relation};
use super::super::solve::Why;
use super::failure::{Failure, Unmet};
use super::providers::Contest;
use super::sack::Want;
use super::work::{NotTaken, Yum};

/// The result for a need.
enum Need {
    /// A package that is there already meets it.
    Met,
    /// A package was taken for it.
    Taken,
    /// No package can be taken for it.
    Unmet,
}

/// Times that yum begins again (yum.conf(5), depsolve_loop_limit).
const LOOPS: usize = 100;

impl Yum<'_> {
    /// Take what the unresolved members need until nothing is missing (yum 3.4.3, yum/depsolve.py, `resolveDeps`).
    pub(super) fn resolve(&mut self) {
        let (mut check_removed, mut check_installed) = (true, true);
        for _ in 0..LOOPS {
            let mut again = true;
            while again {
                (again, check_removed, check_installed) = self.resolve_needs(check_removed, check_installed);
                if self.steps == 0 {
                    self.failures.push(Failure::GaveUp);
                    return;
                }
            }
            if std::mem::take(&mut check_removed) {
                for (id, need) in self.unmet_files() {
                    again |= matches!(self.need(id, &need), Need::Taken);
                }
                if again {
                    continue;
                }
            }
            if std::mem::take(&mut check_installed) {
                self.conflicts();
                if !self.drop_obsoleted() {
                    return;
                }
                check_removed = true;
                continue;
            }
            return;
        }
        self.failures.push(Failure::Endless);
    }

    /// Look once at all members whose needs are not known to be met (`_resolveRequires`): whether something was taken, and what is to be
    /// checked afterwards.
    fn resolve_needs(&mut self, mut check_removed: bool, mut check_installed: bool) -> (bool, bool, bool) {
        let mut taken = false;
        for place in self.transaction.to_resolve(&self.sack) {
            let (id, is_there) = (self.transaction.member(place).id, self.transaction.member(place).is_there);
            let needs = if is_there { self.unmet_needs(id) } else { self.needs_of_removed(id) };
            check_installed |= is_there;
            check_removed |= !is_there;
            let mut missing = false;
            for (id, need) in needs {
                if self.steps == 0 {
                    return (taken, check_removed, check_installed);
                }
                match self.need(id, &need) {
                    Need::Met => {}
                    Need::Taken => taken = true,
                    Need::Unmet => missing = true,
                }
            }
            if !missing {
                self.transaction.mark_resolved(place);
            }
        }
        (taken, check_removed, check_installed)
    }

    /// Needs of a package that no member meets yet, the narrowest first (`_checkInstall`).
    fn unmet_needs(&mut self, id: PackageId) -> Vec<(PackageId, Relation)> {
        let mut needs: Vec<Relation> = self.sack.needs(id).collect();
        needs.sort_by_key(|need| breadth(self.sack.universe.text(need.name), need));
        spend(&mut self.steps, needs.len());
        let is_met = |need: &Relation| {
            let want = self.sack.want(need);
            self.transaction.provides(&self.sack, want) || self.sack.provides(id, want, false)
        };
        needs.into_iter().filter(|need| !is_met(need)).map(|need| (id, need)).collect()
    }

    /// Needs of others that only a package met which was taken out again (`_checkRemove`).
    fn needs_of_removed(&mut self, id: PackageId) -> Vec<(PackageId, Relation)> {
        let sack = &self.sack;
        let (mut found, mut looked_at) = (Vec::new(), 0);
        for other in self.transaction.packages() {
            for need in sack.needs(other) {
                looked_at += 1;
                let want = sack.want(&need);
                if sack.provides(id, want, false) && !self.transaction.provides(sack, want) {
                    found.push((other, need));
                }
            }
        }
        spend(&mut self.steps, looked_at);
        found
    }

    /// Files that members need and no member provides (`_checkFileRequires`). A file that was provided once counts as provided from then
    /// on.
    fn unmet_files(&mut self) -> Vec<(PackageId, Relation)> {
        let mut found = Vec::new();
        for id in self.transaction.packages() {
            for need in self.sack.needs(id) {
                if !self.sack.universe.text(need.name).starts_with('/') || self.files.contains(&need.name) {
                    continue;
                }
                let need = Relation { name: need.name, bound: None };
                if self.transaction.provides(&self.sack, self.sack.want(&need)) {
                    self.files.insert(need.name);
                } else {
                    found.push((id, need));
                }
            }
        }
        found
    }

    /// Look for a package that meets a need (`_requiringFromTransaction`).
    fn need(&mut self, id: PackageId, need: &Relation) -> Need {
        let want = self.sack.want(need);
        if self.last.is_some_and(|last| self.sack.provides(last, want, false)) {
            return Need::Met;
        }
        let unmet = |cause| Failure::Unmet { package: id, need: *need, cause };
        let mut providers = self.sack.providing(want);
        spend(&mut self.steps, providers.len());
        let mut outdated: HashMap<PackageId, Vec<usize>> = HashMap::new();
        let mut newer = None;
        providers.retain(|provider| match self.beside(*provider) {
            Ok(older) => {
                outdated.insert(*provider, older);
                true
            }
            Err(there) => {
                newer.get_or_insert((*provider, there));
                false
            }
        });
        if let Some(there) = providers.iter().find(|provider| self.transaction.find(&self.sack, **provider).is_some()) {
            self.last = Some(*there);
            return Need::Met;
        }
        let contest = Contest { sack: &self.sack, transaction: &self.transaction, requirer: Some(id), wanted: Some(need.name) };
        let best = if let [only] = providers[..] { Some(only) } else { contest.best(&providers) };
        let Some(best) = best else {
            let newer = newer.or_else(|| self.replaced(want));
            self.failures.push(unmet(newer.map_or(Unmet::Nobody, |(older, newer)| Unmet::NewerIsThere { older, newer })));
            return Need::Unmet;
        };
        match self.take(best, Some(need), Why::Needed(id)) {
            Ok(place) => {
                let taken = self.transaction.member(place).id;
                self.last = Some(taken);
                // Older packages of its name go.
                if self.sack.is_same(taken, best) {
                    let older = outdated.remove(&best).unwrap_or_default();
                    older.into_iter().for_each(|place| self.transaction.remove(&self.sack, place));
                }
                Need::Taken
            }
            Err(NotTaken::Obsoleted { package, by }) => {
                self.failures.push(unmet(Unmet::Obsoleted { package, by }));
                Need::Unmet
            }
            Err(NotTaken::SamePlace(there)) => {
                self.failures.push(unmet(Unmet::SamePlace { package: best, there }));
                Need::Unmet
            }
        }
    }

    /// A package that provided what is wanted until another version took its place, and that version.
    fn replaced(&self, want: Want<'_>) -> Option<(PackageId, PackageId)> {
        let version_there = |id: PackageId| {
            let place = self.transaction.named(self.sack.universe.package(id).name).first()?;
            Some((id, self.transaction.member(*place).id))
        };
        self.transaction.gone().filter(|id| self.sack.provides(*id, want, true)).find_map(version_there)
    }

    /// The older packages of its name that a package replaces, or the newer one that keeps it out.
    fn beside(&self, id: PackageId) -> Result<Vec<usize>, PackageId> {
        let sack = &self.sack;
        let mut older = Vec::new();
        if sack.stands_beside_itself(id) {
            return Ok(older);
        }
        for place in self.transaction.named(sack.universe.package(id).name) {
            let there = self.transaction.member(*place).id;
            if sack.arch(there).stands_beside(sack.arch(id)) {
                continue;
            }
            match sack.evr(there).order(sack.evr(id)) {
                std::cmp::Ordering::Greater => return Err(there),
                std::cmp::Ordering::Less => older.push(*place),
                std::cmp::Ordering::Equal => {}
            }
        }
        Ok(older)
    }

    /// Members that may not be there together (`_checkConflicts`). With nothing installed before, yum has no way out.
    fn conflicts(&mut self) {
        let sack = &self.sack;
        let mut found = Vec::new();
        for id in self.transaction.packages() {
            let package = sack.universe.package(id);
            for relation in &package.conflicts {
                for other in self.transaction.providing(sack, sack.want(relation)) {
                    let theirs = sack.universe.package(other);
                    // A package and its own other architecture never conflict.
                    if (theirs.name, theirs.version) != (package.name, package.version) {
                        found.push(Failure::Conflict { package: id, relation: *relation, other });
                    }
                }
            }
        }
        self.failures.extend(found);
    }

    /// Take out members that other members obsolete, unless they obsolete each other (`_checkObsoletes`). Returns whether there were any.
    fn drop_obsoleted(&mut self) -> bool {
        let mut any = false;
        for by in self.transaction.packages() {
            for relation in &self.sack.universe.package(by).obsoletes {
                for place in self.transaction.named(relation.name).to_vec() {
                    let id = self.transaction.member(place).id;
                    if id == by || !self.sack.is_obsoleted_by(id, by) || self.sack.is_obsoleted_by(by, id) {
                        continue;
                    }
                    self.transaction.remove(&self.sack, place);
                    self.sack.remove(id);
                    self.obsoletes.forget(&self.sack, id);
                    any = true;
                }
            }
        }
        if any {
            self.last = None;
        }
        any
    }

    /// Members of one name in two versions: yum's `protected_multilib` (yum 3.4.3, yum/__init__.py, `buildTransaction`).
    pub(super) fn two_versions(&mut self) {
        let sack = &self.sack;
        let mut first: HashMap<_, PackageId> = HashMap::new();
        for id in self.transaction.packages().into_iter().filter(|id| !sack.stands_beside_itself(*id)) {
            let package = sack.universe.package(id);
            let one = *first.entry(package.name).or_insert(id);
            if sack.universe.package(one).version != package.version {
                self.failures.push(Failure::TwoVersions { one, other: id });
            }
        }
    }
}

fn spend(left: &mut u64, steps: usize) {
    *left = left.saturating_sub(steps as u64);
}

/// How much a need leaves open, the least first (yum 3.4.3, yum/depsolve.py, `_sort_req_key`).
fn breadth(name: &str, need: &Relation) -> (u8, u8) {
    use super::super::version::Op;
    let open = match need.bound {
        Some((Op::Eq, _)) => 1,
        Some((Op::Lt, _)) => 2,
        Some((Op::Le, _)) => 3,
        Some((Op::Gt, _)) => 4,
        Some((Op::Ge, _)) => 5,
        None => 99,
    };
    let library = name.starts_with("lib") && (name.ends_with("()") || name.ends_with("()(64bit)"));
    (open, if library { 99 } else { 0 })
}
