//! The packages that yum has decided to install so far.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::model::{Name, PackageId};
use super::super::solve::Why;
use super::sack::{Sack, Want};

/// A package that is, or was, to be installed.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: PackageId,
    pub(super) why: Why,
    /// It was not taken out again.
    pub(super) is_there: bool,
}

/// The packages to be installed on an empty disk (yum 3.4.3, yum/transactioninfo.py, `TransactionData`).
#[derive(Debug, Default)]
pub(super) struct Transaction {
    members: Vec<Member>,
    /// The members of a name that are there.
    named: HashMap<Name, Vec<usize>>,
    /// The packages of the members that are there.
    there: HashSet<PackageId>,
    /// Members whose needs, or whose requirers once they are gone, are to be looked at.
    pub(super) unresolved: BTreeSet<usize>,
    /// Packages of groups that come when one of that name does.
    pub(super) conditional: HashMap<Name, Vec<PackageId>>,
}

impl Transaction {
    pub(super) fn member(&self, place: usize) -> &Member {
        &self.members[place]
    }

    /// The places of all members that are there.
    pub(super) fn places(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|place| self.members[*place].is_there).collect()
    }

    /// The packages of all members that are there.
    pub(super) fn packages(&self) -> Vec<PackageId> {
        self.members.iter().filter(|member| member.is_there).map(|member| member.id).collect()
    }

    /// The packages that were taken out again.
    pub(super) fn gone(&self) -> impl Iterator<Item = PackageId> {
        self.members.iter().filter(|member| !member.is_there).map(|member| member.id)
    }

    /// The places of the members of a name.
    pub(super) fn named(&self, name: Name) -> &[usize] {
        self.named.get(&name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The member that is this package, of whatever repository.
    pub(super) fn find(&self, sack: &Sack<'_>, id: PackageId) -> Option<usize> {
        let of_name = self.named(sack.universe.package(id).name);
        of_name.iter().copied().find(|place| sack.is_same(self.members[*place].id, id))
    }

    pub(super) fn has_name(&self, name: Name) -> bool {
        !self.named(name).is_empty()
    }

    /// Whether a member provides what is wanted.
    pub(super) fn provides(&self, sack: &Sack<'_>, want: Want<'_>) -> bool {
        sack.any_providing(want, |id| self.there.contains(&id))
    }

    /// The members that provide what is wanted.
    pub(super) fn providing(&self, sack: &Sack<'_>, want: Want<'_>) -> Vec<PackageId> {
        let mut found = sack.all_providing(want);
        found.retain(|id| self.there.contains(id));
        found
    }

    pub(super) fn add(&mut self, sack: &Sack<'_>, id: PackageId, why: Why) -> usize {
        let place = self.members.len();
        self.members.push(Member { id, why, is_there: true });
        self.named.entry(sack.universe.package(id).name).or_default().push(place);
        self.there.insert(id);
        self.unresolved.insert(place);
        place
    }

    pub(super) fn remove(&mut self, sack: &Sack<'_>, place: usize) {
        let member = &mut self.members[place];
        if std::mem::replace(&mut member.is_there, false) {
            let id = member.id;
            self.named.entry(sack.universe.package(id).name).or_default().retain(|other| *other != place);
            self.there.remove(&id);
            self.unresolved.insert(place);
        }
    }

    /// The members to be looked at, in yum's order (yum 3.4.3, yum/transactioninfo.py, `getUnresolvedMembers`).
    pub(super) fn to_resolve(&self, sack: &Sack<'_>) -> Vec<usize> {
        let mut places: Vec<usize> = self.unresolved.iter().copied().collect();
        places.sort_by(|a, b| sack.order(self.members[*a].id, self.members[*b].id));
        places
    }

    pub(super) fn mark_resolved(&mut self, place: usize) {
        self.unresolved.remove(&place);
    }
}
