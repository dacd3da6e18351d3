//! Finds the packages that a system gets for a question, or why it cannot have them.
//!
//! ```text
//! Question ─asked→ Choices ─greedy: as apt─────────────→ packages ─notices→ Closure
//!                         └ else ─provider, order→ resolvo ┘
//!                                              └ no way ─explain, words→ Refused
//! ```

mod asked;
mod chosen;
mod explain;
mod greedy;
mod index;
mod lacks;
mod notices;
mod order;
mod provider;
mod reasons;
mod words;

use std::collections::HashSet;
use std::fmt;

use resolvo::{Problem, Solver, UnsolvableOrCancelled};

use super::model::{PackageId, Relation, Universe};
pub use asked::{Asked, Question, What};
pub use chosen::{Chosen, Closure, Notice, Why};
pub use words::Reason;

use asked::{Choice, Meaning};
use explain::Explainer;
use index::Index;
use provider::Provider;
use reasons::with_reasons;
use words::Words;

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Each independent reason.
    pub reasons: Vec<Reason>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.reasons.iter().map(Reason::to_string).collect();
        f.write_str(&reasons.join("\n"))
    }
}

impl std::error::Error for Refused {}

/// The packages that answer `question`.
///
/// # Errors
/// A package that is asked for is in no repository, or cannot be installed with the rest.
pub fn resolve(universe: &Universe, question: &Question) -> Result<Closure, Refused> {
    let mut index = Index::of(universe);
    for (pattern, number) in question.forbidden.iter().zip(0..) {
        index.all_matching(pattern).into_iter().for_each(|id| index.forbid(id, number));
    }
    let words = Words { index: &index, patterns: &question.forbidden };
    let (mut meaning, nowhere) = meaning(&index, question);
    let missing: Vec<Reason> = nowhere.iter().map(|asked| words.missing(asked)).collect();
    let mut reasons = Vec::new();
    if !question.ignore_missing {
        reasons.extend(missing.iter().cloned());
    }
    let refused = |choices: &[Choice], reasons: Vec<Reason>| {
        let settled = settled(&index, choices);
        let explainer = Explainer::new(&index, &question.forbidden, choices, &settled);
        let nowhere = if question.ignore_missing { &[][..] } else { &nowhere[..] };
        Err(Refused { reasons: lacks::gathered(&words, nowhere, (choices, &settled), &explainer, reasons) })
    };
    if reasons.is_empty()
        && let Some(packages) = greedy::as_apt(&index, &meaning.choices)
    {
        let notices = notices::of(&index, question, &packages);
        return Ok(Closure { packages, notices: missing.into_iter().map(|reason| Notice::Missing(reason.text)).chain(notices).collect() });
    }
    let packages = loop {
        match solve(&index, &meaning.choices) {
            Answer::None => {
                reasons.extend(shortest(&index, question, &meaning.choices));
                return refused(&meaning.choices, reasons);
            }
            Answer::TooHard => {
                reasons.push(Reason::of("the repositories are too entangled to find out what goes together".to_owned()));
                return Err(Refused { reasons });
            }
            Answer::These(_) if !reasons.is_empty() => return refused(&meaning.choices, reasons),
            Answer::These(packages) if !add_conditional(&index, &packages, &mut meaning) => break packages,
            Answer::These(_) => {}
        }
    };
    let packages = with_reasons(&index, &meaning.choices, &packages);
    let mut notices: Vec<Notice> = missing.into_iter().map(|reason| Notice::Missing(reason.text)).collect();
    notices.extend(notices::of(&index, question, &packages));
    Ok(Closure { packages, notices })
}

/// Files that are needed for `question`, directly or not, and that nothing of `universe` provides: those are to be looked for in the
/// repositories' lists of all files (`filelists.xml`), which are large.
pub fn missing_files(universe: &Universe, question: &Question) -> Vec<String> {
    let index = Index::of(universe);
    let (meaning, _) = meaning(&index, question);
    let choices = meaning.choices.iter().chain(meaning.conditional.iter().map(|(_, choice)| choice));
    let mut missing: Vec<String> = Vec::new();
    for what in question.asked.iter().map(|asked| &asked.what) {
        if let What::Package(text) = what
            && text.starts_with('/')
        {
            missing.push(text.clone());
        }
    }
    for id in index.reachable(choices.flat_map(|choice| choice.candidates.iter().copied())) {
        for wanted in index.needs(id).flat_map(|need| need.alternatives()) {
            let name = universe.text(wanted.name);
            if name.starts_with('/') && index.meeting(wanted).is_empty() {
                missing.push(name.to_owned());
            }
        }
    }
    missing.retain(|file| universe.names.get(file).is_none_or(|name| index.meeting(&Relation { name, bound: None }).is_empty()));
    missing.sort();
    missing.dedup();
    missing
}

/// The choices that a question means, and the parts of it that no repository has.
fn meaning<'q>(index: &Index<'_>, question: &'q Question) -> (Meaning, Vec<&'q Asked>) {
    let (mut whole, mut missing) = (Meaning::default(), Vec::new());
    let mut selected = HashSet::new();
    let mut take = |asked: &'q Asked, whole: &mut Meaning| match index.meaning(asked, &mut selected) {
        Some(meaning) => {
            whole.choices.extend(meaning.choices);
            whole.conditional.extend(meaning.conditional);
        }
        None => missing.push(asked),
    };
    question.asked.iter().for_each(|asked| take(asked, &mut whole));
    for what in &question.deselected {
        let gone = match what {
            What::Package(text) => index.all_matching(text),
            What::Group { .. } | What::Environment(_) | What::Essential => {
                let asked = Asked { what: what.clone(), by: String::new() };
                let members = index.meaning(&asked, &mut HashSet::new()).unwrap_or_default().choices;
                members.into_iter().flat_map(|choice| choice.candidates).collect()
            }
        };
        let is_gone = |choice: &Choice| choice.candidates.iter().all(|id| gone.contains(id));
        whole.choices.retain(|choice| !is_gone(choice));
        whole.conditional.retain(|(_, choice)| !is_gone(choice));
    }
    question.required.iter().for_each(|asked| take(asked, &mut whole));
    (whole, missing)
}

/// The packages that will be there in any case, by [`PackageId`].
fn settled(index: &Index<'_>, choices: &[Choice]) -> Vec<bool> {
    let mut settled = vec![false; index.universe.packages.len()];
    for choice in choices {
        if let [only] = choice.candidates[..] {
            settled[only.index()] = true;
        }
    }
    settled
}

/// The answer of the solver.
enum Answer {
    These(Vec<PackageId>),
    None,
    /// It gave up.
    TooHard,
}

fn solve(index: &Index<'_>, choices: &[Choice]) -> Answer {
    let settled = settled(index, choices);
    let provider = Provider::new(index, &settled);
    let requirements = choices.iter().map(|choice| provider.one_of(&choice.candidates).into()).collect();
    match Solver::new(provider).solve(Problem::new().requirements(requirements)) {
        Ok(solvables) => {
            let mut packages: Vec<PackageId> = solvables.into_iter().map(provider::package).collect();
            packages.sort_unstable();
            Answer::These(packages)
        }
        Err(UnsolvableOrCancelled::Unsolvable(_)) => Answer::None,
        Err(UnsolvableOrCancelled::Cancelled(_)) => Answer::TooHard,
    }
}

/// Ask for members of groups whose condition is there. Returns whether there are any.
fn add_conditional(index: &Index<'_>, packages: &[PackageId], meaning: &mut Meaning) -> bool {
    let there = |name| packages.iter().any(|id| index.universe.package(*id).name == name);
    let conditional = std::mem::take(&mut meaning.conditional);
    let (now, later): (Vec<_>, Vec<_>) = conditional.into_iter().partition(|(when, _)| there(*when));
    meaning.conditional = later;
    let any = !now.is_empty();
    meaning.choices.extend(now.into_iter().map(|(_, choice)| choice));
    any
}

/// Why there is no way, from as few of the choices as possible.
fn shortest(index: &Index<'_>, question: &Question, choices: &[Choice]) -> Vec<Reason> {
    let settled = settled(index, choices);
    let alone = Explainer::new(index, &question.forbidden, choices, &settled).each_alone();
    if !alone.is_empty() {
        return alone;
    }
    // Leave out choices that make no difference. Halves come first, because most choices make none.
    let mut core = choices.to_vec();
    let mut step = core.len().div_ceil(2);
    loop {
        let mut at = 0;
        while at < core.len() {
            let mut fewer = core.clone();
            fewer.drain(at..(at + step).min(core.len()));
            if !fewer.is_empty() && matches!(solve(index, &fewer), Answer::None) {
                core = fewer;
            } else {
                at += step;
            }
        }
        if step == 1 {
            return vec![Explainer::new(index, &question.forbidden, &core, &settled).together()];
        }
        step = step.div_ceil(2);
    }
}

#[cfg(test)]
pub(super) mod tests;
