//! The surroundings of a command: environment, options and output.

use std::time::Instant;

use serde::Serialize;

use super::environment::Environment;
use super::{printer, progress, report};
use crate::base::event::Listener;
use crate::base::failure::{Class, Failure};
use crate::base::journal::{self, JsonLog};

/// The surroundings of a command: environment, options and output.
#[derive(Debug)]
pub struct Context {
    /// The environment, read once.
    pub environment: Environment,
    /// `--json`: standard output is for machines.
    pub json: bool,
    /// `-v`.
    pub verbose: bool,
    /// When the run began.
    pub begun: Instant,
}

impl Context {
    /// The listeners that show the run to the user: records on standard output with `--json`, else bars or lines on standard error.
    pub fn listeners(&self) -> Vec<Box<dyn Listener>> {
        if self.json {
            let log = JsonLog::since(self.begun, std::io::LineWriter::new(printer::Stdout));
            vec![Box::new(progress::Told(Box::new(progress::Thinned::new(log))))]
        } else {
            vec![Box::new(progress::Told(progress::listener(printer::stderr_shows_bars(&self.environment), self.verbose)))]
        }
    }

    /// Refuse `--json` for `command`, because its standard output has another use: `whose` completes "standard output is …".
    ///
    /// # Errors
    /// `--json` was given.
    pub fn refuse_json(&self, command: &'static str, whose: &'static str) -> Result<(), NoJson> {
        if self.json { Err(NoJson { command, whose }) } else { Ok(()) }
    }

    /// A record of this run, with its line end; `body` must serialise as a map.
    pub fn record(&self, body: &impl Serialize) -> String {
        journal::line(body, self.begun.elapsed())
    }

    /// Report a failure: always as text, and with `--json` also as a record.
    pub(super) fn report(&self, failure: &dyn Failure) {
        if self.json {
            // If standard output is gone too, the error cannot be shown, so it is ignored.
            let _ = printer::out(&self.record(&report::record(failure)));
        }
        printer::err(&report::text(failure, printer::stderr_has_colour(&self.environment)));
    }
}

/// `--json` was given to a command without JSON output.
#[derive(Debug, thiserror::Error)]
#[error("`{command}` has no JSON: standard output is {whose}")]
pub struct NoJson {
    command: &'static str,
    whose: &'static str,
}

impl Failure for NoJson {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("leave out --json".to_owned())
    }
}
