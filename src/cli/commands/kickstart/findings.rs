//! The findings of the parser and of the lints in a kickstart.

use std::path::{Path, PathBuf};

use crate::kickstart::{Diagnostic, Document, Lint, LintFinding, Severity};

/// A file and all its findings.
pub(super) struct Checked {
    pub path: PathBuf,
    pub document: Document,
    pub lints: Vec<LintFinding>,
}

/// A finding in a file: of the parser, or of a lint.
pub(super) struct Finding<'a> {
    pub file: &'a str,
    pub severity: Severity,
    pub message: &'a str,
    pub help: Option<&'a str>,
    pub lint: Option<&'static Lint>,
    /// `None` when the finding is about something that is missing.
    pub place: Option<&'a Diagnostic>,
}

impl Checked {
    /// All findings in the file: first those about missing things, then the others by place.
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

    /// The path of the file with the name `name` in findings: this one, or one of its includes, whose names are their paths.
    pub fn path_of<'a>(&'a self, name: &'a str) -> &'a Path {
        if name == self.document.name() { &self.path } else { Path::new(name) }
    }
}
