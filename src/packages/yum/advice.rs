//! Advice for when yum fails although there is a set of packages that fits.

use std::cell::Cell;

use super::super::model::{PackageId, Universe};
use super::super::solve::{Asked, Chosen, Closure, Question, What};
use super::super::version::Op;
use super::evr::Evr;
use super::names::forms;
use super::{Failed, Failure, STEPS, Unmet, replay_within};

/// Remedies that are tried; each is a replay.
const TRIES: usize = 24;
/// Packages that a remedy may name.
const NAMED: usize = 4;

/// A failure in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The fault.
    pub text: String,
    /// Why.
    pub because: Vec<String>,
    /// The remedy.
    pub help: String,
}

/// What goes wrong with `question`, for which there is a `solution` that yum does not find, and what helps. The remedy has been tried.
pub fn explain(universe: &Universe, question: &Question, failed: &Failed, solution: &Closure) -> Vec<Trouble> {
    let words = Words { universe };
    let remedy = remedy(universe, question, failed, solution);
    let trouble = |failure: &Failure| {
        let (text, mut because) = words.failure(failure, "yum");
        because.push(
            "the packages can be had together, but yum always takes the newest or best-scored package and does not backtrack".to_owned(),
        );
        let siblings = words.sibling(failure);
        let help = match (&remedy, siblings) {
            (Some(remedy), Some(sibling)) => format!("{remedy}, or {sibling}"),
            (Some(remedy), None) => remedy.clone(),
            (None, Some(sibling)) => sibling,
            (None, None) => "name the versions that go together in packages.install".to_owned(),
        };
        Trouble { text, because, help }
    };
    failed.failures.iter().map(trouble).collect()
}

/// What goes wrong with `yum upgrade` of a system with these `installed`, and what helps. `succeeds_without` says whether the upgrade succeeds when
/// packages of these names stay as they are.
pub fn explain_upgrade(
    universe: &Universe,
    installed: &[Chosen],
    failed: &Failed,
    succeeds_without: impl Fn(&[String]) -> bool,
) -> Vec<Trouble> {
    let words = Words { universe };
    let keep = keep(&words, installed, failed, succeeds_without);
    let trouble = |failure: &Failure| {
        let (text, because) = words.failure(failure, "`yum upgrade`");
        let drop = match failure {
            Failure::Unmet { cause: Unmet::NewerIsThere { newer, .. }, .. } if words.is_own(*newer) => Some(words.drop(&[*newer])),
            Failure::Unmet { cause: Unmet::NewerIsThere { .. }, .. } => keep.clone(),
            _ => None,
        };
        let remedies: Vec<String> = words.sibling(failure).into_iter().chain(drop).collect();
        let last = "set packages.upgrade = false";
        let help = if remedies.is_empty() { last.to_owned() } else { format!("{}, or {last}", remedies.join(", or ")) };
        Trouble { text, because, help }
    };
    failed.failures.iter().map(trouble).collect()
}

/// The packages to name by their version so that `yum upgrade` keeps them, where it takes a newer one that is in no bundle.
fn keep(words: &Words<'_>, installed: &[Chosen], failed: &Failed, succeeds_without: impl Fn(&[String]) -> bool) -> Option<String> {
    let name = |id: PackageId| words.universe.package(id).name;
    let mut kept: Vec<PackageId> = Vec::new();
    for failure in &failed.failures {
        if let Failure::Unmet { cause: Unmet::NewerIsThere { newer, .. }, .. } = failure
            && !words.is_own(*newer)
            && let Some(old) = installed.iter().map(|chosen| chosen.id).find(|id| name(*id) == name(*newer))
            && !kept.contains(&old)
        {
            kept.push(old);
        }
    }
    let names: Vec<String> = kept.iter().map(|id| words.universe.text(name(*id)).to_owned()).collect();
    let helps = !kept.is_empty() && kept.len() <= NAMED && succeeds_without(&names);
    helps.then(|| format!("{}, which keeps {}", words.add(&kept), if kept.len() == 1 { "it" } else { "them" }))
}

/// What makes yum succeed: packages to name by their version, or packages to take away. All are tried, the fewest first.
fn remedy(universe: &Universe, question: &Question, failed: &Failed, solution: &Closure) -> Option<String> {
    let words = Words { universe };
    let named = |id: PackageId| universe.package(id).name;
    let other = |id: PackageId| failed.taken.iter().copied().find(|taken| named(*taken) == named(id) && *taken != id);
    let mut wanted: Vec<PackageId> = solution.packages.iter().map(|chosen| chosen.id).filter(|id| !failed.taken.contains(id)).collect();
    // Other versions of what yum takes come first.
    wanted.sort_by_key(|id| other(*id).is_none());
    let unwanted: Vec<PackageId> = wanted.iter().filter_map(|id| other(*id)).filter(|id| words.is_own(*id)).collect();
    // All tries together may take as long as one replay, so that `check` does not take minutes. With the recipe centos-7.5-docker each
    // takes some ten thousand steps.
    let left = Cell::new(STEPS);
    let succeeds = |question: &Question| {
        let mut steps = left.get();
        if steps == 0 {
            return false;
        }
        let replay = replay_within(universe, question, &mut steps);
        left.set(steps);
        replay.is_ok()
    };
    let pinned = |ids: &[PackageId]| {
        let mut question = question.clone();
        question.asked.extend(ids.iter().map(|id| Asked { what: What::Package(words.pin(*id)), by: "the remedy".to_owned() }));
        succeeds(&question)
    };
    let dropped = |ids: &[PackageId]| {
        let mut question = question.clone();
        question.forbidden.extend(ids.iter().map(|id| words.whole(*id)));
        succeeds(&question)
    };
    let pins = fewest(&wanted, pinned).map(|ids| words.add(&ids));
    let drops = fewest(&unwanted, dropped).map(|ids| words.drop(&ids));
    match (pins, drops) {
        (Some(pins), Some(drops)) => Some(format!("{pins}, or {drops}")),
        (pins, drops) => pins.or(drops),
    }
}

/// A single one of `ids` if that is enough, else as few of them as are enough; `None` if those are too many.
fn fewest(ids: &[PackageId], is_enough: impl Fn(&[PackageId]) -> bool) -> Option<Vec<PackageId>> {
    if let Some(one) = ids.iter().take(TRIES).find(|id| is_enough(&[**id])) {
        return Some(vec![*one]);
    }
    let mut all: Vec<PackageId> = ids.iter().take(TRIES).copied().collect();
    if all.len() < 2 || !is_enough(&all) {
        return None;
    }
    for id in all.clone() {
        let fewer: Vec<PackageId> = all.iter().copied().filter(|other| *other != id).collect();
        if is_enough(&fewer) {
            all = fewer;
        }
    }
    (all.len() <= NAMED).then_some(all)
}

struct Words<'u> {
    universe: &'u Universe,
}

impl Words<'_> {
    /// A package and its repository.
    fn package(&self, id: PackageId) -> String {
        format!("{} ({})", self.universe.label(id), self.repository(id))
    }

    fn repository(&self, id: PackageId) -> &str {
        &self.universe.repositories[usize::from(self.universe.package(id).repository)].id
    }

    fn forms(&self, id: PackageId) -> [String; 7] {
        let package = self.universe.package(id);
        let text = |name| self.universe.text(name);
        forms(text(package.name), Evr::of(text(package.version)), text(package.arch))
    }

    /// `NAME-VERSION-RELEASE`.
    fn pin(&self, id: PackageId) -> String {
        let [_, _, _, _, pin, ..] = self.forms(id);
        pin
    }

    /// `EPOCH:NAME-VERSION-RELEASE.ARCH`.
    fn whole(&self, id: PackageId) -> String {
        let [.., whole, _] = self.forms(id);
        whole
    }

    /// Whether the user can take it out of its repository.
    fn is_own(&self, id: PackageId) -> bool {
        self.universe.repositories[usize::from(self.universe.package(id).repository)].is_own
    }

    fn add(&self, ids: &[PackageId]) -> String {
        let pins: Vec<String> = ids.iter().map(|id| format!("`{}`", self.pin(*id))).collect();
        format!("add {} to packages.install", pins.join(" and "))
    }

    fn drop(&self, ids: &[PackageId]) -> String {
        let whole: Vec<String> = ids.iter().map(|id| format!("{} out of {}", self.universe.label(*id), self.repository(*id))).collect();
        format!("take {}", whole.join(" and "))
    }

    /// The fault, and its reason.
    fn failure(&self, failure: &Failure, who: &str) -> (String, Vec<String>) {
        let universe = self.universe;
        match failure {
            Failure::Missing(asked) => (format!("{} asks for {}, which {who} does not find", asked.by, asked.what.text()), Vec::new()),
            Failure::Unmet { package, need, cause } => {
                let needs = format!("{} needs {}", self.package(*package), universe.relation(need));
                match *cause {
                    Unmet::Nobody => {
                        let need = universe.relation(need);
                        let text = format!("{who} takes {}, which needs {need}", self.package(*package));
                        (text, vec![format!("no package that it sees provides {need}")])
                    }
                    Unmet::NewerIsThere { older, newer } => (
                        format!("{who} takes {}, and {needs}", self.package(newer)),
                        vec![format!("{} provides that, and {who} does not go back to it", self.package(older))],
                    ),
                    Unmet::Obsoleted { package, by } => (
                        format!("{who} takes {} instead of {}, which it obsoletes, and {needs}", self.package(by), self.package(package)),
                        vec![format!("{} does not provide that, as {who} reads it", self.package(by))],
                    ),
                    Unmet::SamePlace { package, there } => (
                        format!("{who} takes {}, and {needs}", self.package(there)),
                        vec![format!("{} provides that, and cannot be beside it", self.package(package))],
                    ),
                }
            }
            Failure::Conflict { package, relation, other } => (
                format!("{who} takes {} and {}", self.package(*package), self.package(*other)),
                vec![format!("{} conflicts with {}", universe.label(*package), universe.relation(relation))],
            ),
            Failure::TwoVersions { one, other } => (
                format!("{who} takes {} and {}, and refuses two versions of one package", self.package(*one), self.package(*other)),
                Vec::new(),
            ),
            Failure::GaveUp => ("goldsmith gave up following yum: there are too many packages and needs".to_owned(), Vec::new()),
            Failure::Endless => (format!("{who} goes round in circles with these packages"), Vec::new()),
        }
    }

    /// The version of the requirer that would go with a newer package: parts of one source package need each other in their own version.
    fn sibling(&self, failure: &Failure) -> Option<String> {
        let Failure::Unmet { package, need, cause: Unmet::NewerIsThere { older, newer } } = failure else { return None };
        let universe = self.universe;
        let version = |id: PackageId| universe.package(id).version;
        if !matches!(need.bound, Some((Op::Eq, _))) || version(*package) != version(*older) {
            return None;
        }
        let (requirer, arch) = (universe.package(*package), universe.text(universe.package(*package).arch));
        Some(format!(
            "bring {}-{}.{arch}, which goes with {}",
            universe.text(requirer.name),
            universe.text(version(*newer)),
            universe.label(*newer)
        ))
    }
}
