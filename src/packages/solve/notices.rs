//! What about an answer a user would want to know.

use std::fmt;

use super::asked::What;
use super::index::Index;
use super::{Chosen, Question, Why};

/// Something about an answer that a user would want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something that is asked for is nowhere, and the question says to leave it out then.
    Missing(String),
    /// Something that was taken out is needed after all.
    ComesBack(String),
    /// What the package manager takes is not known.
    NotFollowed(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(text) | Self::ComesBack(text) | Self::NotFollowed(text)) = self;
        f.write_str(text)
    }
}

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
