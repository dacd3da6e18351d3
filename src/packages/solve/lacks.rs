//! All that is needed and no repository has, told at once: who makes a bundle wants the whole list, not the first of it.

use std::collections::{HashSet, VecDeque};

use super::super::model::{Need, PackageId};
use super::asked::{Asked, Choice};
use super::explain::Explainer;
use super::order;
use super::words::{Reason, Words};

/// Lines of a list; who lacks more brings another repository.
const LINES: usize = 40;

/// The `reasons` of a refusal, with one list in place of all those that say no more than that something is nowhere. `nowhere` are those of
/// what is asked for that is nowhere. A list of one would say less than its reason, which tells who wants it from the top down.
pub(super) fn gathered(
    words: &Words<'_, '_>,
    nowhere: &[&Asked],
    (choices, settled): (&[Choice], &[bool]),
    explainer: &Explainer<'_, '_>,
    reasons: Vec<Reason>,
) -> Vec<Reason> {
    let asked = nowhere.iter().filter_map(|asked| words.lacks_asked(asked));
    let mut lines: Vec<String> = asked.chain(needed(words, choices, settled, &explainer.impossible())).collect();
    let mut known = HashSet::new();
    lines.retain(|line| known.insert(line.clone()));
    if lines.len() < 2 {
        return reasons;
    }
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    let list = Reason::with(words.none_has_any(), lines.into_iter().map(Reason::nowhere).collect());
    std::iter::once(list).chain(reasons.into_iter().filter(|reason| !reason.is_lack())).collect()
}

/// What the packages that cannot be had lack, directly or not: of several that would do for one need, the one that would be taken.
fn needed(words: &Words<'_, '_>, choices: &[Choice], settled: &[bool], impossible: &[bool]) -> Vec<String> {
    let index = words.index;
    let in_vain = |ids: &[PackageId]| ids.iter().all(|id| impossible[id.index()]);
    let dead = choices.iter().filter(|choice| in_vain(&choice.candidates));
    let mut queue: VecDeque<PackageId> = dead.filter_map(|choice| choice.candidates.first().copied()).collect();
    let (mut seen, mut told) = (vec![false; impossible.len()], HashSet::<&Need>::new());
    let mut lines = Vec::new();
    while let Some(id) = queue.pop_front() {
        if std::mem::replace(&mut seen[id.index()], true) {
            continue;
        }
        for need in index.needs(id) {
            let candidates = order::candidates(index, Some(id), settled, need);
            match candidates.first() {
                Some(first) if in_vain(&candidates) => queue.push_back(*first),
                Some(_) => {}
                None if need.alternatives().iter().all(|wanted| words.is_nowhere(wanted)) => {
                    lines.extend(told.insert(need).then(|| words.lacks_needed(id, need)));
                }
                None => {}
            }
        }
    }
    lines
}
