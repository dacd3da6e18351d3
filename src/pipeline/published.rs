//! The part of a run's events that is published: progress and warnings, without data of the builder.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::event::{Event, Listener};
use crate::base::journal::JsonLog;

/// Directories of the build host, and what stands for each in a text that is published. The longest comes first.
#[derive(Debug, Clone, Default)]
pub struct HostPaths(Vec<(String, &'static str)>);

impl HostPaths {
    /// Hide `paths`, each behind a word: `(/home/me, "~")`. Relative paths and / are not hidden, because they tell nothing about the host.
    pub fn new(paths: impl IntoIterator<Item = (PathBuf, &'static str)>) -> Self {
        let mut known = Self::default();
        paths.into_iter().for_each(|(path, word)| known.add(&path, word));
        known
    }

    /// Hide `path` too, as it is written and with its links resolved.
    fn add(&mut self, path: &Path, word: &'static str) {
        for path in [Some(path.to_owned()), fs::canonicalize(path).ok()].into_iter().flatten() {
            let text = path.to_string_lossy().trim_end_matches('/').to_owned();
            if path.is_absolute() && !text.is_empty() && !self.0.iter().any(|(known, _)| *known == text) {
                self.0.push((text, word));
            }
        }
        self.0.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    }

    /// These, and `path`.
    #[must_use]
    pub(super) fn with(&self, path: &Path, word: &'static str) -> Self {
        let mut more = self.clone();
        more.add(path, word);
        more
    }

    /// These, the directory of the store, and that above `target`.
    #[must_use]
    pub(super) fn of_run(&self, store: &Path, target: &Path) -> Self {
        let known = self.with(store, "STORE");
        target.parent().into_iter().fold(known, |known, parent| known.with(parent, "OUTPUT"))
    }

    /// `text` with all of them hidden.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (path, word)| text.replace(path, word))
    }
}

/// The journal that is published as `build.ndjson`: begins, ends, progress and warnings, without paths of the host. Notes and lines of output
/// are left out: a guest may print anything, even tokens.
#[derive(Debug)]
pub(super) struct PublicLog<W> {
    log: JsonLog<W>,
    paths: HostPaths,
}

impl<W: Write> PublicLog<W> {
    pub(super) fn new(writer: W, paths: HostPaths) -> Self {
        Self { log: JsonLog::new(writer), paths }
    }

    /// The published form of `event`.
    fn published(&self, event: &Event) -> Option<Event> {
        let hide = |text: &str| self.paths.hide(text);
        Some(match event {
            Event::Begin { task, title } => Event::Begin { task: *task, title: hide(title) },
            Event::End { task, title, outcome, seconds } => {
                Event::End { task: *task, title: hide(title), outcome: *outcome, seconds: *seconds }
            }
            Event::Progress { task, step, done, total, unit } => {
                Event::Progress { task: *task, step: hide(step), done: *done, total: *total, unit: *unit }
            }
            Event::Warning { text } => Event::Warning { text: hide(text) },
            // The manifest has the checks.
            Event::Note { .. } | Event::Line { .. } | Event::Check { .. } | Event::Console { .. } => return None,
        })
    }
}

impl<W: Write + Send> Listener for PublicLog<W> {
    fn hear(&self, event: &Event) {
        if let Some(event) = self.published(event) {
            self.log.record(&event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Events, Unit};

    #[test]
    fn what_the_guest_says_and_where_the_builder_lives_stay_with_the_builder() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("build.ndjson");
        let home = temp.path().join("home/me");
        fs::create_dir_all(&home).unwrap();
        std::os::unix::fs::symlink(&home, temp.path().join("link")).unwrap();
        let paths =
            HostPaths::new([(temp.path().join("link"), "~"), (home.join("store/"), "STORE"), ("/".into(), "ROOT"), ("a".into(), "A")]);
        let events = Events::new(vec![Box::new(PublicLog::new(fs::File::create(&file).unwrap(), paths))]);
        let at = |name: &str| home.join(name).display().to_string();
        let task = events.task(format!("provision {}", at("x")));
        task.line("guest", "token: s3cret");
        task.step(&format!("hash {}", at("store/v1/f")));
        task.progress("write a", 1, Some(2), Unit::Bytes);
        events.note(format!("the key is s3cret in {}", at("x")));
        events.warn(format!("{} and {}/y are gone", at("store"), temp.path().join("link").display()));
        task.done();
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("s3cret") && !text.contains(temp.path().to_str().unwrap()), "{text}");
        let kinds: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds, ["begin", "progress", "progress", "warning", "end"]);
        for part in ["provision ~/x", "hash STORE/v1/f", "STORE and ~/y are gone", "write a"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
