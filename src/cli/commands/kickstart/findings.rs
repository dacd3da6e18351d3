//! What is said of a kickstart, by its parser and by the lints.

use std::path::{Path, PathBuf};

use crate::kickstart::{Diagnostic, Document, Lint, LintFinding, Severity};

/// A file and everything that is to be said of it.
pub(super) struct Checked {
    pub path: PathBuf,
    pub document: Document,
    pub lints: Vec<LintFinding>,
}

/// What is said of a file: by its parser, or by a lint.
pub(super) struct Finding<'a> {
    pub file: &'a str,
    pub severity: Severity,
    pub message: &'a str,
    pub help: Option<&'a str>,
    pub lint: Option<&'static Lint>,
    /// Nothing when it is about something that is not there.
    pub place: Option<&'a Diagnostic>,
}

impl Checked {
    /// Everything that is said of the file: first what is missing in it, then by place.
    pub fn findings(&self) -> Vec<Finding<'_>> {
        let parsed = self.document.diagnostics().iter().map(|found| Finding {
            file: &found.file,
            severity: found.severity,
            message: &found.message,
            help: found.help.as_deref(),
            lint: None,
            place: Some(found),
        });
        let linted = self.lints.iter().map(|found| Finding {
            file: &found.file,
            severity: Severity::Warning,
            message: &found.message,
            help: Some(found.lint.remedy),
            lint: Some(found.lint),
            place: found.place.as_ref(),
        });
        let mut findings: Vec<Finding<'_>> = parsed.chain(linted).collect();
        findings.sort_by_key(|found| found.place.map(|place| place.span));
        findings
    }

    /// Where the file is that findings call `name`: this one, or one of its includes, which are called by their paths.
    pub fn path_of<'a>(&'a self, name: &'a str) -> &'a Path {
        if name == self.document.name() { &self.path } else { Path::new(name) }
    }
}
