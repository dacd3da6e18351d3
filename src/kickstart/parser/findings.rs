//! The parser collects its findings here.

use super::diagnostic::{Diagnostic, Severity};
use super::span::{SourceFile, Span};

/// At most this many findings of one parse are kept. More of them do not help the reader.
const KEPT: usize = 1_000;

/// The files read so far and the findings in them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub files: Vec<SourceFile>,
    pub diagnostics: Vec<Diagnostic>,
    /// The line or name that is being read. It is the place of a finding that has no better one.
    pub here: Span,
    refused: bool,
    left_out: usize,
}

impl Default for Span {
    fn default() -> Span {
        Span { file: 0, line: 1, start: 0, end: 0 }
    }
}

impl Findings {
    pub fn error(&mut self, span: Span, message: String, help: Option<String>) {
        self.say(Severity::Error, span, message, help);
    }

    pub fn warning(&mut self, span: Span, message: String, help: Option<String>) {
        self.say(Severity::Warning, span, message, help);
    }

    /// Whether findings are still kept, so that looking for advice is useful.
    pub fn has_room(&self) -> bool {
        self.diagnostics.len() < KEPT
    }

    fn say(&mut self, severity: Severity, span: Span, message: String, help: Option<String>) {
        // The first error is kept however many warnings came before it, because it decides whether the file is accepted.
        let decides = severity == Severity::Error && !self.refused;
        self.refused |= severity == Severity::Error;
        if !self.has_room() && !decides {
            self.left_out += 1;
        } else if let Some(file) = self.files.get(span.file) {
            self.diagnostics.push(Diagnostic::new(severity, file, span, message, help));
        }
    }

    /// All findings by place.
    pub fn finish(mut self) -> (Vec<SourceFile>, Vec<Diagnostic>) {
        self.diagnostics.sort_by_key(|found| found.span);
        if self.left_out > 0 {
            let message = format!("{} more findings are not shown", self.left_out);
            if let Some(file) = self.files.get(self.here.file) {
                self.diagnostics.push(Diagnostic::new(Severity::Warning, file, self.here, message, None));
            }
        }
        (self.files, self.diagnostics)
    }
}
