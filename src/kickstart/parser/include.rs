//! `%include` and `%ksappend` lines (pykickstart/parser.py: `_handleInclude`, `readKickstart`).

use super::span::is_space;

/// Included files may include other files to this depth.
pub(super) const DEEPEST: usize = 32;
/// Files read in one parse.
pub(super) const MOST_FILES: usize = 256;
/// Bytes of included files read in one parse.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// A file that an `%include` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in messages: the path at which it was found.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The source of included files. Closures implement it too. They only give the text, and the file's name is then the path in the
/// `%include`.
pub trait Includes {
    /// The file that `%include` names as `path` in the file named `from`, or `None` when it does not exist.
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

/// Whether the file only exists during the installation: it is fetched, or below the installer's memory file systems. `/mnt/install` is a
/// link to `/run/install` (pyanaconda/ui/gui/spokes/source.py:327 of 21.48.22.134).
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
