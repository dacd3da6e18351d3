//! What every command may ask of its surroundings.

use std::sync::Arc;

use super::environment::Environment;
use super::{printer, progress, report};
use crate::base::event::{Event, Listener};
use crate::base::failure::Failure;
use crate::base::journal::{self, JsonLog};

/// What every command may ask of its surroundings.
#[derive(Debug)]
pub struct Context {
    /// The environment, read once.
    pub environment: Environment,
    /// `--json`: standard output is for machines.
    pub json: bool,
    /// `-v`.
    pub verbose: bool,
}

impl Context {
    /// The listeners that show a run to the caller: records on standard output with `--json`, else bars or lines on standard error.
    pub fn listeners(&self) -> Vec<Box<dyn Listener>> {
        if self.json {
            let log = Arc::new(JsonLog::new(std::io::LineWriter::new(printer::Stdout)));
            vec![Box::new(move |event: &Event| log.hear(event))]
        } else {
            vec![progress::listener(printer::stderr_shows_bars(&self.environment), self.verbose)]
        }
    }

    /// Tell of a failure: a record with `--json`, words in any case.
    pub(super) fn report(&self, failure: &dyn Failure) {
        if self.json {
            // Nobody is left to be told when standard output is gone too.
            let _ = printer::out(&journal::line(&report::record(failure)));
        }
        printer::err(&report::text(failure, printer::stderr_has_colour(&self.environment)));
    }
}
