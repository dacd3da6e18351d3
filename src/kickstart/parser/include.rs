//! `%include` and `%ksappend` lines (pykickstart/parser.py: `_handleInclude`, `readKickstart`).

use super::document::{Include, Included};
use super::machine::Machine;
use super::optparse::clip;
use super::shlex::Argument;
use super::span::{SourceFile, Span, is_space};

/// Included files may include others to this depth.
const DEEPEST: usize = 32;
/// Files read in one parse.
const MOST_FILES: usize = 256;
/// Bytes of included files read in one parse.
const MOST_BYTES: usize = 16 << 20;

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

impl Machine<'_> {
    /// An `%include` line.
    pub(super) fn include(&mut self, first: &Argument, rest: &[Argument], span: Span) -> Include {
        let Some(path) = rest.first().filter(|path| !path.value.is_empty()) else {
            self.findings.error(first.span, "%include needs the path of a file".into(), None);
            return Include { span, path: String::new(), path_span: first.span, content: Included::Missing };
        };
        let content = self.included(&path.value, path.span);
        Include { span, path: path.value.clone(), path_span: path.span, content }
    }

    fn included(&mut self, path: &str, span: Span) -> Included {
        if self.stack.len() > DEEPEST {
            self.findings.error(span, format!("includes are nested more than {DEEPEST} deep"), None);
            return Included::Missing;
        }
        let from = self.stack.last().and_then(|file| self.findings.files.get(*file)).map(|file| file.name.clone()).unwrap_or_default();
        let Some(found) = self.includes.read(path, &from) else {
            if is_made_later(path) || self.pre.contains(path) {
                return Included::Unknown;
            }
            let help = Some("no %pre script names it, so nothing will make it either".into());
            self.findings.error(span, format!("there is no file `{}`", clip(path)), help);
            return Included::Missing;
        };
        if self.stack.iter().filter_map(|file| self.findings.files.get(*file)).any(|file| file.name == found.name) {
            self.findings.error(span, format!("`{}` includes itself", clip(path)), None);
            return Included::Missing;
        }
        self.bytes = self.bytes.saturating_add(found.text.len());
        if self.findings.files.len() >= MOST_FILES || self.bytes > MOST_BYTES {
            self.findings.error(span, format!("more than {MOST_FILES} files or {} MiB are included", MOST_BYTES >> 20), None);
            return Included::Missing;
        }
        let file = self.findings.files.len();
        self.pre.push_str(&pre_scripts(&found.text));
        self.findings.files.push(SourceFile::new(&found.name, &found.text));
        let before = self.state;
        let items = self.file(file);
        if let (None, Some(kind), 1) = (before, self.state, self.stack.len()) {
            let help = Some("the installer skips all lines that follow".into());
            self.findings.warning(span, format!("`{}` leaves a section {} open", clip(path), kind.mark()), help);
        }
        Included::Read { file, items }
    }

    /// A `%ksappend` line: fetched before anything is parsed.
    pub(super) fn append(&mut self, line: &str, first: &Argument, rest: &[Argument], span: Span) -> Include {
        let (path, path_span) = rest.first().map_or((String::new(), first.span), |url| (url.value.clone(), url.span));
        // The URL is what stands behind the first space; a tab is none.
        let content = if line.trim_matches(is_space).contains(' ') {
            Included::Unknown
        } else {
            self.findings.error(first.span, "%ksappend needs a URL".into(), None);
            Included::Missing
        };
        Include { span, path, path_span, content }
    }
}

/// Files that only the installation knows: fetched, or below the installer's own memory file systems. `/mnt/install` is a link to
/// `/run/install` (pyanaconda/ui/gui/spokes/source.py:327 of 21.48.22.134).
fn is_made_later(path: &str) -> bool {
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
