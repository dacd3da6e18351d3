//! A comparison in a few lines.

use super::difference::{Change, Comparison, Fate, Sizes};
use super::ids;
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
        let Sizes { file, used, .. } = self.sizes;
        let [was, file, files_were, files] = [file.before, file.after, used.before, used.after].map(rounded);
        lines.push(format!("size: image {file}, was {was}; files {files}, were {files_were}"));
        lines
    }

    /// Files by what happened to them, those of packages and settings apart.
    fn files_line(&self) -> Option<String> {
        let count = |fate: Fate| self.own_files().filter(|file| file.fate == fate).count();
        // Ids of filesystems differ between any two images, so they are not reported.
        let is_told = |because: &str| because != ids::REASON;
        let explained = self.files.iter().filter(|file| file.because.as_deref().is_some_and(is_told)).count();
        let counts = [(count(Fate::Added), "added"), (count(Fate::Removed), "removed"), (count(Fate::Changed), "changed")];
        let mut parts: Vec<String> = counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if explained > 0 {
            parts.push(format!("{} by the above", counted(explained, "change")));
        }
        (!parts.is_empty()).then(|| format!("files: {}", parts.join(", ")))
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
fn shown(change: &Change) -> String {
    let value = |value: &str| if value.is_empty() || value == "enabled" { String::new() } else { format!(" ({value})") };
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{} {after}, was {before}", change.name),
        (None, Some(after)) => format!("{} added{}", change.name, value(after)),
        (Some(before), None) => format!("{} removed{}", change.name, value(before)),
        (None, None) => change.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::difference::{Bytes, FileChange};
    use super::*;

    fn change(name: &str, before: Option<&str>, after: Option<&str>) -> Change {
        Change { name: name.to_owned(), before: before.map(str::to_owned), after: after.map(str::to_owned) }
    }

    #[test]
    fn a_comparison_has_five_lines_at_most() {
        let size = Bytes { before: 1 << 30, after: 3 << 29 };
        let file = |path: &str, fate, because: Option<&str>| FileChange {
            path: path.into(),
            fate,
            what: Vec::new(),
            size,
            because: because.map(str::to_owned),
            text: None,
        };
        let found = Comparison {
            system: vec![change("host name", Some("a"), Some("b"))],
            packages: vec![
                change("docker-ce", Some("18.09.6"), Some("18.09.7")),
                change("nano", Some("7.2"), None),
                change("vim", None, Some("9.0")),
                change("x", None, Some("1")),
                change("y", None, Some("1")),
            ],
            units: vec![change("a.service", None, Some("enabled"))],
            users: vec![change("me", None, Some("uid 1"))],
            sysctls: vec![change("vm.swappiness", Some("60"), Some("10"))],
            kernel_arguments: vec![change("quiet", Some(""), None)],
            files: vec![
                file("/a", Fate::Added, None),
                file("/b", Fate::Changed, None),
                file("/c", Fate::Changed, Some("package x")),
                file("/etc/fstab", Fate::Changed, Some(ids::REASON)),
            ],
            sizes: Sizes { disk: size, file: size, used: size },
        };
        let expected = [
            "packages: docker-ce 18.09.7, was 18.09.6; nano removed (7.2); vim added (9.0); x added (1); and 1 more",
            "settings: host name b, was a; quiet removed; vm.swappiness 10, was 60; a.service added",
            "users: me added (uid 1)",
            "files: 1 added, 1 changed, 1 change by the above",
            "size: image 1.50 GiB, was 1.00 GiB; files 1.50 GiB, were 1.00 GiB",
        ];
        assert_eq!(found.summary(), expected);
    }
}
