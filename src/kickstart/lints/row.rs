//! A row of a table of lints, and what its check gives back.

use super::super::parser::Span;
use super::sheet::Sheet;

/// One thing that is looked for.
#[derive(Debug)]
pub struct Lint {
    /// Its name: words with hyphens, the same for ever.
    pub id: &'static str,
    /// What it looks for, in a few words.
    pub what: &'static str,
    /// What happens then.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The file or document that says so.
    pub source: &'static str,
    pub(super) check: fn(&Sheet<'_>) -> Vec<Hit>,
}

/// What a check gives back: where, and what is there.
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
