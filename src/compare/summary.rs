//! A comparison in a few lines.

use super::difference::{Change, Comparison, Fate};
use crate::base::size::rounded;
use crate::base::text::counted;

/// Names that one line has, at most.
const NAMES: usize = 4;

impl Comparison {
    /// What changed, in five lines at most: packages, settings, users, files, sizes. Names are the images' own: show them through
    /// [`crate::base::text::printable`].
    pub fn summary(&self) -> Vec<String> {
        let settings: Vec<Change> =
            [&self.system, &self.kernel_arguments, &self.sysctls, &self.units].into_iter().flatten().cloned().collect();
        let mut lines = Vec::new();
        for (title, changes) in [("packages", &self.packages), ("settings", &settings), ("users", &self.users)] {
            if !changes.is_empty() {
                lines.push(format!("{title}: {}", listed(changes)));
            }
        }
        lines.extend(self.files_line());
        let (old, new) = (self.sizes.file, self.sizes.used);
        lines.push(format!(
            "size: image {}, was {}; files {}, was {}",
            rounded(old.after),
            rounded(old.before),
            rounded(new.after),
            rounded(new.before)
        ));
        lines
    }

    /// Files by what happened to them, those of packages and settings apart.
    fn files_line(&self) -> Option<String> {
        if self.files.is_empty() {
            return None;
        }
        let count = |fate: Fate| self.own_files().filter(|file| file.fate == fate).count();
        let explained = self.files.len() - self.own_files().count();
        let counts = [(count(Fate::Added), "added"), (count(Fate::Removed), "removed"), (count(Fate::Changed), "changed")];
        let mut parts: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if explained > 0 {
            parts.push(format!("{} by the above", counted(explained, "change")));
        }
        Some(format!("files: {}", parts.join(", ")))
    }
}

/// The first few changes, and how many more there are.
fn listed(changes: &[Change]) -> String {
    let mut text = changes.iter().take(NAMES).map(shown).collect::<Vec<_>>().join("; ");
    if changes.len() > NAMES {
        text.push_str(&format!("; and {} more", changes.len() - NAMES));
    }
    text
}

/// `docker-ce 18.09.7, was 18.09.6`; `vim added (9.0)`; `nano removed (7.2)`.
pub(super) fn shown(change: &Change) -> String {
    let value = |value: &str| if value.is_empty() || value == "enabled" { String::new() } else { format!(" ({value})") };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{} {after}, was {before}", change.name),
        (None, Some(after)) => format!("{} added{}", change.name, value(after)),
        (Some(before), None) => format!("{} removed{}", change.name, value(before)),
        (None, None) => change.name.clone(),
    }
}
