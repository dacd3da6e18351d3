//! What about an answer a user would want to know.

use std::fmt;

use super::super::model::PackageId;
use super::super::version::Scheme;
use super::asked::{Choice, What};
use super::index::Index;
use super::words::Words;
use super::{Chosen, Question, Why};

/// Something about an answer that a user would want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something that is asked for is nowhere, and the question says to leave it out then.
    Missing(String),
    /// Something that was taken out is needed after all.
    ComesBack(String),
    /// yum takes the newest package that meets a need and does not go back when that one cannot be installed (yum 3.4.3,
    /// yum/depsolve.py, `_requiringFromInstalled` and `_checkInstall`): it will not find this answer.
    NotForYum(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(text) | Self::ComesBack(text) | Self::NotForYum(text)) = self;
        f.write_str(text)
    }
}

pub(super) fn of(index: &Index<'_>, words: &Words<'_, '_>, question: &Question, choices: &[Choice], packages: &[Chosen]) -> Vec<Notice> {
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
    if index.universe.scheme == Scheme::Rpm {
        notices.extend(not_for_yum(index, words, choices, packages));
    }
    notices
}

/// Packages of which every requirer would take a newer one as well, and yum would have.
fn not_for_yum(index: &Index<'_>, words: &Words<'_, '_>, choices: &[Choice], packages: &[Chosen]) -> Vec<Notice> {
    let universe = index.universe;
    let version = |id: PackageId| universe.text(universe.package(id).version);
    let asked = |id: PackageId| choices.iter().any(|choice| choice.candidates.contains(&id));
    let mut notices = Vec::new();
    for chosen in packages.iter().filter(|chosen| !asked(chosen.id)) {
        let newer = index
            .in_slot(index.slot(chosen.id))
            .filter(|other| index.is_allowed(*other) && universe.scheme.compare(version(*other), version(chosen.id)).is_gt());
        let takes = |id: PackageId, other: PackageId| {
            let mut needs = index.needs(id).filter(|need| need.alternatives().iter().any(|wanted| index.meets(chosen.id, wanted)));
            needs.all(|need| need.alternatives().iter().any(|wanted| index.meets(other, wanted)))
        };
        let fits_all = |other: &PackageId| packages.iter().all(|requirer| takes(requirer.id, *other));
        let newest = newer.filter(fits_all).max_by(|a, b| universe.scheme.compare(version(*a), version(*b)));
        if let Some(newest) = newest {
            notices.push(Notice::NotForYum(words.not_for_yum(chosen.id, newest)));
        }
    }
    notices
}
