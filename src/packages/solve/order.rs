//! Which of several packages that meet a need is taken.

use std::cmp::Reverse;

use super::super::model::{Need, PackageId};
use super::super::version::Scheme;
use super::index::{Colour, Index};

/// Several packages that meet a need, one of which is to be taken.
pub(super) struct Contest<'c, 'u> {
    pub(super) index: &'c Index<'u>,
    /// The package that needs it; `None` when the recipe asks.
    pub(super) requirer: Option<PackageId>,
    /// Whether a package will be there in any case, by [`PackageId`].
    pub(super) settled: &'c [bool],
    candidates: &'c [PackageId],
}

/// A rule gives a candidate points.
type Rule = fn(&Contest<'_, '_>, PackageId) -> i64;

/// yum 3.4.3, yum/depsolve.py, `_compare_providers`, in its order. The sum decides; between equal sums [`TIES`] do.
const RULES: &[Rule] = &[
    // Of packages of one name the newest: 1024 less for each that is newer.
    older,
    // 1024 less for each other candidate that obsoletes it.
    obsoleted,
    // The requirer's architecture: 5 for each candidate of another.
    architecture,
    // 20 when it is made from the same source package as the requirer.
    same_source,
    // 5 when its base package will be there.
    base_package,
    // A name that begins like the requirer's: 2 for each common letter, when there are more than 2.
    common_prefix,
];

/// What decides between equal sums, the least first.
const TIES: &[Rule] = &[
    // Needs that are not met yet (`_compare_providers`, its `rec_depsolve`).
    unmet_needs,
    // The length of the name (`_compare_providers`, its 1000 - length).
    name_length,
    // The cost of the repository (yum.conf(5), cost).
    cost,
];

fn older(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let universe = contest.index.universe;
    let package = universe.package(id);
    let newer = contest.candidates.iter().map(|other| universe.package(*other)).filter(|other| {
        other.name == package.name
            && other.version != package.version
            && universe.scheme.compare(universe.text(other.version), universe.text(package.version)).is_gt()
    });
    -1024 * newer.count() as i64
}

fn obsoleted(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let universe = contest.index.universe;
    let package = universe.package(id);
    let obsoletes = |other: &PackageId| {
        let mut obsoletes = universe.package(*other).obsoletes.iter();
        *other != id && obsoletes.any(|relation| relation.name == package.name && universe.within(Some(package.version), relation.bound))
    };
    -1024 * contest.candidates.iter().filter(|other| obsoletes(other)).count() as i64
}

fn architecture(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let wanted = contest.requirer.map_or(Colour::Wide, |requirer| contest.index.colour(requirer));
    if contest.index.colour(id) != wanted {
        return 0;
    }
    5 * contest.candidates.iter().filter(|other| contest.index.colour(**other) != wanted).count() as i64
}

fn same_source(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let source = |id: PackageId| {
        let package = contest.index.universe.package(id);
        package.source.map(|source| (source, package.version))
    };
    match contest.requirer {
        Some(requirer) if source(id).is_some() && source(requirer) == source(id) => 20,
        _ => 0,
    }
}

fn base_package(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let there = |source| contest.index.named(source).iter().any(|id| contest.settled[id.index()]);
    if contest.index.universe.package(id).source.is_some_and(there) { 5 } else { 0 }
}

fn common_prefix(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let universe = contest.index.universe;
    let Some(requirer) = contest.requirer else { return 0 };
    let (a, b) = (universe.text(universe.package(id).name), universe.text(universe.package(requirer).name));
    let common = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    if common > 2 { 2 * common as i64 } else { 0 }
}

fn unmet_needs(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let index = contest.index;
    let settled =
        |need: &Need| need.alternatives().iter().any(|wanted| index.meeting(wanted).iter().any(|other| contest.settled[other.index()]));
    index.needs(id).filter(|need| !settled(need)).count() as i64
}

fn name_length(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let universe = contest.index.universe;
    universe.text(universe.package(id).name).len() as i64
}

fn cost(contest: &Contest<'_, '_>, id: PackageId) -> i64 {
    let universe = contest.index.universe;
    i64::from(universe.repositories[usize::from(universe.package(id).repository)].cost)
}

/// The candidates for a need of `requirer`, the one to be taken first.
pub(super) fn candidates(index: &Index<'_>, requirer: Option<PackageId>, settled: &[bool], need: &Need) -> Vec<PackageId> {
    let mut found = Vec::new();
    for wanted in need.alternatives() {
        let mut more = index.meeting(wanted);
        more.retain(|id| index.is_allowed(*id) && !found.contains(id));
        match index.universe.scheme {
            Scheme::Rpm => sort_as_yum(index, requirer, settled, &mut more),
            Scheme::Debian => {
                more.retain(|id| settled[id.index()] || !index.is_superseded(*id));
                sort_as_apt(index, wanted.name, &mut more);
            }
        }
        found.extend(more);
    }
    found
}

/// Sort packages as yum prefers them for `requirer`.
pub(super) fn sort_as_yum(index: &Index<'_>, requirer: Option<PackageId>, settled: &[bool], ids: &mut [PackageId]) {
    if ids.len() < 2 {
        return;
    }
    let universe = index.universe;
    let key = {
        let contest = Contest { index, requirer, settled, candidates: ids };
        let key = |id: PackageId| {
            let points: i64 = RULES.iter().map(|rule| rule(&contest, id)).sum();
            let ties: Vec<i64> = TIES.iter().map(|tie| tie(&contest, id)).collect();
            (Reverse(points), ties, universe.text(universe.package(id).name), id)
        };
        let mut keys: Vec<_> = ids.iter().map(|id| key(*id)).collect();
        keys.sort();
        keys
    };
    ids.iter_mut().zip(key).for_each(|(id, key)| *id = key.3);
}

/// Sort packages as apt prefers them: the package of the name itself, in its newest version, then those that provide it, the more
/// important first (apt 2.6, apt-pkg/depcache.cc, `pkgDepCache::MarkInstall` and `IsVirtualPackageProvidedBy…`).
fn sort_as_apt(index: &Index<'_>, wanted: super::super::model::Name, ids: &mut [PackageId]) {
    let universe = index.universe;
    ids.sort_by(|a, b| {
        let (left, right) = (universe.package(*a), universe.package(*b));
        let text = |name| universe.text(name);
        (left.name != wanted)
            .cmp(&(right.name != wanted))
            .then_with(|| if left.name == right.name { std::cmp::Ordering::Equal } else { left.priority.cmp(&right.priority) })
            .then_with(|| text(left.name).cmp(text(right.name)))
            .then_with(|| universe.scheme.compare(text(right.version), text(left.version)))
            .then_with(|| a.cmp(b))
    });
}
