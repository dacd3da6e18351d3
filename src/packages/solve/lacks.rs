//! Reports all needs that no repository meets at once, because the maker of a bundle needs the whole list and not only the first item.

use std::collections::{HashSet, VecDeque};

use super::super::model::{Need, PackageId};
use super::asked::{Asked, Choice};
use super::explain::Explainer;
use super::order;
use super::words::{Reason, Words};

/// Lines of a list. If more is missing, a repository is missing.
const LINES: usize = 40;

/// The `reasons` of a refusal, with one list in place of all those that only say that something is in no repository. `nowhere` is what is
/// asked for and in no repository. A single reason is kept: it says more than a list of one, because it tells from the top down what needs
/// the package.
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

/// What the impossible packages lack, directly or not. Where several packages would meet a need, the one that would be taken is followed.
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
