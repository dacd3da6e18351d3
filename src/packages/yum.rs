//! Replays what yum 3.4.3 does with a question, right or wrong. yum is the program that installs CentOS 7.
//!
//! The solver ([`super::solve`]) finds whether there is an answer. yum does not search: it takes the newest package of what is asked for,
//! and for each need the provider that it prefers, and never goes back. So it fails where there is an answer, and takes other packages than
//! the solver would. This module makes the same choices in the same order:
//!
//! ```text
//! Question ─select→ Transaction ─depsolve (providers, obsoletes)→ packages
//!             sack: what yum sees                       └ failures: what yum would print
//! ```
//!
//! Read in yum of March 2018 (git 1bc3d512) with CentOS's changes (`multilib_policy=best`), on an empty disk and with `x86_64` as the best
//! architecture, in the order in which Anaconda 21.48.22.134 asks (pyanaconda/packaging/yumpayload.py, `_applyYumSelections`).

mod advice;
mod arch;
mod depsolve;
mod evr;
mod failure;
mod names;
mod obsoletes;
mod providers;
mod sack;
mod select;
mod transaction;
mod upgrade;
mod work;

use super::model::Universe;
use super::solve::{Asked, Chosen, Notice, Question, What, Why};
use sack::Sack;
use work::Yum;

pub use advice::{Trouble, explain, explain_upgrade};
pub use failure::{Failed, Failure, Unmet};
pub use upgrade::upgrade;

/// The packages that yum installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The packages, by their place in the universe.
    pub packages: Vec<Chosen>,
    /// Packages that were taken out and come back.
    pub notices: Vec<Notice>,
}

/// Steps that a replay may take: packages that are read, needs that are looked at, and packages that are compared for a need. The recipe
/// centos-7.5-docker with a DVD takes some ten thousand.
const STEPS: u64 = 5_000_000;

/// The packages that yum takes for `question`, as Anaconda asks it.
///
/// # Errors
/// All that yum would complain of, or that the question is too large to follow yum ([`Failed::is_unknown`]).
pub fn replay(universe: &Universe, question: &Question) -> Result<Replay, Failed> {
    replay_within(universe, question, &mut { STEPS })
}

/// As [`replay`], in at most so many `steps`. The steps that it takes are subtracted.
fn replay_within(universe: &Universe, question: &Question, steps: &mut u64) -> Result<Replay, Failed> {
    let mut yum = Yum::new(Sack::new(universe, &question.forbidden), *steps);
    yum.select(question);
    yum.transaction.unresolved = yum.transaction.places().into_iter().collect();
    yum.resolve();
    *steps = yum.steps;
    let notices = yum.comes_back(question);
    yum.end().map(|packages| Replay { packages, notices })
}

impl Yum<'_> {
    /// The packages in the end, or the failures.
    fn end(mut self) -> Result<Vec<Chosen>, Failed> {
        if self.failures.is_empty() {
            self.two_versions();
        }
        let Self { transaction, mut failures, .. } = self;
        if failures.is_empty() {
            let members = transaction.places().into_iter().map(|place| transaction.member(place));
            let mut chosen: Vec<Chosen> = members.map(|member| Chosen { id: member.id, why: member.why.clone() }).collect();
            chosen.sort_by_key(|chosen| chosen.id);
            return Ok(chosen);
        }
        // The other failures are certain: yum never takes a failure back.
        if failures.iter().any(|failure| *failure != Failure::GaveUp) {
            failures.retain(|failure| *failure != Failure::GaveUp);
        }
        // yum looks at the same need again and again.
        let mut told: Vec<Failure> = Vec::new();
        failures.retain(|failure| {
            let new = !told.contains(failure);
            told.extend(new.then(|| failure.clone()));
            new
        });
        Err(Failed { failures, taken: transaction.packages() })
    }

    /// Packages that `question` takes out, and that another package needs.
    fn comes_back(&self, question: &Question) -> Vec<Notice> {
        let there = self.transaction.packages();
        let mut notices = Vec::new();
        for what in &question.deselected {
            let What::Package(text) = what else { continue };
            for id in self.sack.matching_among(&there, text) {
                let place = self.transaction.find(&self.sack, id);
                if let Some(Why::Needed(by)) = place.map(|place| &self.transaction.member(place).why) {
                    let by = self.sack.universe.label(*by);
                    notices.push(Notice::ComesBack(format!("-{text} has no effect: {by} needs it")));
                }
            }
        }
        notices
    }
}

impl Yum<'_> {
    /// Anaconda asks for core first, then for the environment, groups and packages; it takes out packages before groups, and asks for what it
    /// requires itself last: the kernel, with its headers when there is a compiler (`_select_kernel_package`), and the rest.
    fn select(&mut self, question: &Question) {
        let (packages, others): (Vec<&Asked>, Vec<&Asked>) =
            question.asked.iter().partition(|asked| matches!(asked.what, What::Package(_)));
        let (environments, groups): (Vec<&Asked>, Vec<&Asked>) =
            others.into_iter().partition(|asked| matches!(asked.what, What::Environment(_)));
        let is_core = |asked: &&Asked| matches!(&asked.what, What::Group { id, plain: false, all: false } if id == "core");
        let core = groups.first().copied().filter(is_core);
        for asked in core.into_iter().chain(environments).chain(groups).chain(packages) {
            self.ask_for(asked, question.ignore_missing);
        }
        for what in &question.deselected {
            if let What::Package(text) = what {
                self.drop_package(text);
            }
        }
        for what in &question.deselected {
            if let What::Group { id, .. } = what
                && !self.drop_group(id)
                && !question.ignore_missing
            {
                self.failures.push(Failure::Missing(Asked { what: what.clone(), by: "the kickstart".to_owned() }));
            }
        }
        for asked in &question.required {
            self.ask_for(asked, question.ignore_missing);
            let gcc = self.sack.universe.names.get("gcc");
            if asked.what == What::Package("kernel".to_owned()) && gcc.is_some_and(|gcc| self.transaction.has_name(gcc)) {
                let what = What::Package("kernel-devel".to_owned());
                self.ask_for(&Asked { what, by: "Anaconda, for the compiler,".to_owned() }, question.ignore_missing);
            }
        }
    }

    fn ask_for(&mut self, asked: &Asked, ignore_missing: bool) {
        if !self.ask(&asked.what, &Why::Asked(asked.what.text())) && !ignore_missing {
            self.failures.push(Failure::Missing(asked.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
