//! Why each package of an answer is there; those without a reason are taken out of it.
//!
//! The solver takes a package for a need and does not go back when another package that comes in later meets that need as well.

use std::collections::VecDeque;

use super::super::model::{Need, PackageId};
use super::asked::Choice;
use super::chosen::{Chosen, Why};
use super::index::Index;

/// How often superfluous packages are searched; real answers have none or one.
const ROUNDS: usize = 16;

/// Each package that has a reason to be there, and the reason: the first in the order of asking, then of needing.
pub(super) fn with_reasons(index: &Index<'_>, choices: &[Choice], packages: &[PackageId]) -> Vec<Chosen> {
    let mut there = vec![false; index.universe.packages.len()];
    packages.iter().for_each(|id| there[id.index()] = true);
    let mut tracing = trace(index, choices, &there);
    for _ in 0..ROUNDS {
        let fewer = tracing.doubtful.iter().find_map(|id| {
            let mut without = tracing.there();
            without[id.index()] = false;
            Some(trace(index, choices, &without)).filter(|tracing| tracing.complete)
        });
        match fewer {
            Some(fewer) => tracing = fewer,
            None => break,
        }
    }
    let mut why = tracing.why;
    packages.iter().filter_map(|id| Some(Chosen { id: *id, why: why[id.index()].take()? })).collect()
}

/// The packages that are reached from what is asked for.
struct Tracing {
    why: Vec<Option<Why>>,
    /// All that is asked for and needed is there.
    complete: bool,
    /// Packages that only meet needs which others meet as well.
    doubtful: Vec<PackageId>,
}

impl Tracing {
    fn there(&self) -> Vec<bool> {
        self.why.iter().map(Option::is_some).collect()
    }
}

fn trace(index: &Index<'_>, choices: &[Choice], there: &[bool]) -> Tracing {
    let count = there.len();
    let mut tracing = Tracing { why: vec![None; count], complete: true, doubtful: Vec::new() };
    let (mut queue, mut open) = (VecDeque::new(), Vec::<(PackageId, &Need)>::new());
    let (mut necessary, mut possible) = (vec![false; count], vec![false; count]);
    let reach = |id: PackageId, reason: Why, why: &mut Vec<Option<Why>>, queue: &mut VecDeque<PackageId>| {
        if why[id.index()].is_none() {
            why[id.index()] = Some(reason);
            queue.push_back(id);
        }
    };
    for choice in choices {
        match choice.candidates.iter().find(|id| there[id.index()]) {
            Some(id) => {
                necessary[id.index()] = true;
                reach(*id, Why::Asked(choice.text.clone()), &mut tracing.why, &mut queue);
            }
            None => tracing.complete = false,
        }
    }
    loop {
        while let Some(id) = queue.pop_front() {
            for need in index.needs(id) {
                let meeting: Vec<PackageId> = index.who_may_meet(need).filter(|other| there[other.index()]).collect();
                match meeting[..] {
                    [] => tracing.complete = false,
                    [only] => {
                        necessary[only.index()] = true;
                        reach(only, Why::Needed(id), &mut tracing.why, &mut queue);
                    }
                    _ => {
                        meeting.iter().for_each(|other| possible[other.index()] = true);
                        open.push((id, need));
                    }
                }
            }
        }
        // Needs that several of them meet come last: a package that is there for another reason is enough.
        open.retain(|(_, need)| !index.who_may_meet(need).any(|other| tracing.why[other.index()].is_some()));
        let Some((id, need)) = open.first().copied() else { break };
        if let Some(first) = index.who_may_meet(need).find(|other| there[other.index()]) {
            reach(first, Why::Needed(id), &mut tracing.why, &mut queue);
        }
    }
    let reached = (0..count).filter(|nth| tracing.why[*nth].is_some());
    tracing.doubtful = reached.filter(|nth| possible[*nth] && !necessary[*nth]).map(|nth| PackageId(nth as u32)).collect();
    tracing
}
