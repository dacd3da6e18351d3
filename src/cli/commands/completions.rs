//! `goldsmith completions SHELL`.

use clap::CommandFactory;

use crate::base::failure::AnyFailure;
use crate::cli::args::{Args, Completions};
use crate::cli::printer;

/// Print the completion script.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Completions) -> Result<(), AnyFailure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "goldsmith", &mut script);
    Ok(printer::out(&String::from_utf8_lossy(&script))?)
}
