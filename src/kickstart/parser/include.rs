//! `%include` and `%ksappend` lines (pykickstart/parser.py: `_handleInclude`, `readKickstart`).

use super::span::is_space;

/// Included files may include others to this depth.
pub(super) const DEEPEST: usize = 32;
/// Files read in one parse.
pub(super) const MOST_FILES: usize = 256;
/// Bytes of included files read in one parse.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// A file that an `%include` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What messages call the file: the path at which it was found.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Where included files come from. Implemented by closures too, which only give the text: the file is then called as the `%include` calls it.
pub trait Includes {
    /// The file that `%include` names as `path` in the file named `from`, or nothing when there is none.
    ///
    /// pykickstart looks for a relative path in the working directory first, then in the directory in which it found `from` (1.99.66.18,
    /// parser.py:749-756).
    fn read(&self, path: &str, from: &str) -> Option<Found>;
}

impl<F: Fn(&str, &str) -> Option<String>> Includes for F {
    fn read(&self, path: &str, from: &str) -> Option<Found> {
        self(path, from).map(|text| Found { name: path.to_owned(), text })
    }
}

/// Files that only the installation knows: fetched, or below the installer's own memory file systems. `/mnt/install` is a link to
/// `/run/install` (pyanaconda/ui/gui/spokes/source.py:327 of 21.48.22.134).
pub(super) fn is_made_later(path: &str) -> bool {
    path.contains("://") || ["/tmp/", "/run/", "/mnt/install/"].iter().any(|directory| path.starts_with(directory))
}

/// The text of all `%pre` sections.
pub(super) fn pre_scripts(text: &str) -> String {
    let mut inside = false;
    let mut found = String::new();
    for line in text.split_inclusive(['\n', '\r']) {
        match line.split(is_space).find(|word| !word.is_empty()) {
            Some("%pre") => inside = true,
            Some("%end") => inside = false,
            _ if inside => found.push_str(line),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_installers_own_directories_are_filled_later() {
        for (path, later) in [
            ("http://192.0.2.1/x", true),
            ("/tmp/x", true),
            ("/run/install/repo/x", true),
            ("/mnt/install/repo/ks/x", true),
            ("/mnt/installer/x", false),
            ("/mnt/x", false),
            ("x", false),
        ] {
            assert_eq!(is_made_later(path), later, "{path}");
        }
    }
}
