//! `goldsmith kickstart lints`.

use serde_json::{Value, json};

use crate::base::failure::AnyFailure;
use crate::cli::args::KickstartLints;
use crate::cli::{Context, printer};
use crate::kickstart::Lint;

/// List all lints, or the named ones.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &KickstartLints, context: &Context) -> Result<(), AnyFailure> {
    let wanted = |lint: &&Lint| args.lints.is_empty() || args.lints.iter().any(|id| id == lint.id);
    let lints = || Lint::all().filter(wanted);
    Ok(printer::out(&match context.json {
        true => format!("{}\n", json!({"schema": 1, "lints": lints().map(record).collect::<Vec<_>>()})),
        false => lints().map(shown).collect::<Vec<_>>().join("\n"),
    })?)
}

fn shown(lint: &Lint) -> String {
    format!("{}: {}\n  why: {}\n  help: {}\n  source: {}\n", lint.id, lint.what, lint.why, lint.remedy, lint.source)
}

fn record(lint: &Lint) -> Value {
    json!({"lint": lint.id, "what": lint.what, "why": lint.why, "help": lint.remedy, "source": lint.source})
}
