//! Notices about an answer that the user should know.

use super::asked::{Question, What};
use super::chosen::{Chosen, Notice, Why};
use super::index::Index;

pub(super) fn of(index: &Index<'_>, question: &Question, packages: &[Chosen]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for what in &question.deselected {
        let What::Package(text) = what else { continue };
        let gone = index.all_matching(text);
        for chosen in packages.iter().filter(|chosen| gone.contains(&chosen.id)) {
            if let Why::Needed(by) = chosen.why {
                let universe = index.universe;
                notices.push(Notice::ComesBack(format!("-{text} has no effect: {} needs it", universe.label(by))));
            }
        }
    }
    notices
}
