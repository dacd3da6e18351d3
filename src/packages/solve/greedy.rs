//! The packages that apt takes, found as apt finds them: one after the other, each with its needs, and without ever going back.
//!
//! apt 2.6, apt-pkg/depcache.cc, `pkgDepCache::MarkInstall`, for a system without packages. A need that an earlier marked package meets
//! adds nothing, so the order matters: where two answers are right, the solver may find the other one. Where apt would have to go back (a
//! conflict, a need that cannot be met), this module gives no answer, and the solver decides.

use super::super::model::{PackageId, Relation};
use super::super::version::Scheme;
use super::asked::Choice;
use super::chosen::{Chosen, Why};
use super::index::Index;
use super::order;

/// How deep needs are followed; Debian's reach a few hundred.
const DEPTH: usize = 2000;

/// The packages that apt takes for `choices`; `None` where it would have to go back.
pub(super) fn as_apt(index: &Index<'_>, choices: &[Choice]) -> Option<Vec<Chosen>> {
    if index.universe.scheme != Scheme::Debian {
        return None;
    }
    let mut marking = Marking { index, there: vec![false; index.universe.packages.len()], chosen: Vec::new() };
    let asked = |choice: &Choice| Some((*choice.candidates.first()?, Why::Asked(choice.text.clone())));
    let wanted: Vec<(PackageId, Why)> = choices.iter().map(asked).collect::<Option<_>>()?;
    // mmdebstrap 1.3 first has apt install the essential packages and apt itself; everything else comes on top of that.
    let is_base = |id: PackageId| {
        let package = index.universe.package(id);
        package.essential || index.universe.text(package.name) == "apt"
    };
    let (base, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(id, _)| is_base(*id));
    for (id, why) in base {
        marking.mark(id, why, 0).ok()?;
    }
    // All packages that are asked for are marked before their needs are looked at (apt-private/private-install.cc, `TryToInstall`).
    let mut roots = Vec::new();
    for (id, why) in others {
        if marking.put(id, why).ok()? {
            roots.push(id);
        }
    }
    for id in roots {
        marking.needs_of(id, 0).ok()?;
    }
    let mut chosen = marking.chosen;
    chosen.sort_by_key(|chosen| chosen.id);
    Some(chosen)
}

/// Why a package was not marked.
enum Not {
    /// A package that is there excludes it. Nothing has changed, so another may be taken in its place.
    Excluded,
    /// apt would have to go back.
    Followed,
}

struct Marking<'i, 'u> {
    index: &'i Index<'u>,
    /// Whether a package is marked, by [`PackageId`].
    there: Vec<bool>,
    chosen: Vec<Chosen>,
}

impl Marking<'_, '_> {
    /// Mark a package and what it needs.
    fn mark(&mut self, id: PackageId, why: Why, depth: usize) -> Result<(), Not> {
        if self.put(id, why)? {
            self.needs_of(id, depth)?;
        }
        Ok(())
    }

    /// Mark a package alone. Returns whether it was not marked before.
    fn put(&mut self, id: PackageId, why: Why) -> Result<bool, Not> {
        if self.there[id.index()] {
            return Ok(false);
        }
        let twin = self.index.named(self.index.universe.package(id).name).iter().any(|other| self.there[other.index()]);
        let forbids = |other: PackageId| self.index.universe.package(other).conflicts.iter().any(|wanted| self.excludes(other, id, wanted));
        let excluded = twin
            || self.index.forbids(id).iter().any(|(other, _)| self.there[other.index()])
            || self.chosen.iter().any(|chosen| forbids(chosen.id));
        if excluded || !self.index.is_allowed(id) {
            return Err(Not::Excluded);
        }
        self.there[id.index()] = true;
        self.chosen.push(Chosen { id, why });
        Ok(true)
    }

    /// Whether what `other` conflicts with is `id`. A package may provide what it conflicts with (Debian Policy, section 7.4).
    fn excludes(&self, other: PackageId, id: PackageId, wanted: &Relation) -> bool {
        other != id && self.index.meets(id, wanted)
    }

    /// Mark the packages that a marked package needs.
    fn needs_of(&mut self, id: PackageId, depth: usize) -> Result<(), Not> {
        if depth > DEPTH {
            return Err(Not::Followed);
        }
        let index = self.index;
        for need in index.needs(id) {
            if index.who_may_meet(need).any(|other| self.there[other.index()]) {
                continue;
            }
            let mut found = false;
            for candidate in order::candidates(index, Some(id), &self.there, need) {
                match self.mark(candidate, Why::Needed(id), depth + 1) {
                    Ok(()) => found = true,
                    Err(Not::Excluded) if !self.there[candidate.index()] => continue,
                    Err(_) => return Err(Not::Followed),
                }
                break;
            }
            if !found {
                return Err(Not::Followed);
            }
        }
        Ok(())
    }
}
