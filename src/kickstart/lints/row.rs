//! A row of a table of lints, and the result of its check.

use super::super::parser::Span;
use super::sheet::Sheet;

/// One rule that files are checked by.
#[derive(Debug)]
pub struct Lint {
    /// Its name: words with hyphens, the same for ever.
    pub id: &'static str,
    /// What it looks for, in a few words.
    pub what: &'static str,
    /// The consequence.
    pub why: &'static str,
    /// The remedy.
    pub remedy: &'static str,
    /// The file or document that says so.
    pub source: &'static str,
    pub(super) check: fn(&Sheet<'_>) -> Vec<Hit>,
}

/// The result of a check: the place, and what was found there.
pub(super) struct Hit {
    pub span: Option<Span>,
    pub message: String,
}

impl Hit {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Hit {
        Hit { span: Some(span), message: message.into() }
    }

    pub(super) fn of_file(message: impl Into<String>) -> Hit {
        Hit { span: None, message: message.into() }
    }
}
