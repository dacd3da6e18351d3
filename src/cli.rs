//! The command line: it reads the arguments, prints texts and returns exit codes.
//!
//! Only this module prints, reads the environment and uses exit codes. A command is one variant of [`args::Command`], one file below
//! `commands/` and one arm of `dispatch`.
//!
//! Standard output has the result of a command (a text, or JSON records with `--json`); standard error is for people: progress, notes,
//! failures.

pub mod args;
pub mod commands;
mod context;
pub mod doctor;
pub mod environment;
pub mod examples;
pub mod exit;
mod file_error;
pub mod host;
pub mod printer;
pub mod progress;
pub mod report;
pub mod signals;
pub mod subject;
pub mod terminal;
pub mod topics;
mod visitor;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::journal;

use crate::recipe;

use args::{Args, Command};
use environment::Environment;

pub use context::Context;

/// Run goldsmith with the words of its command line, the program's name first.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    panic::set_hook(Box::new(|info| printer::err(&report::bug(&info.to_string()))));
    let words: Vec<_> = words.into_iter().collect();
    // Unwinding kills children and removes unfinished directories on its way here.
    ExitCode::from(panic::catch_unwind(|| enter(words)).unwrap_or(exit::BUG))
}

fn enter(words: Vec<OsString>) -> u8 {
    let begun = Instant::now();
    // Even when the words cannot be parsed, this shows whether JSON is wanted.
    let wants_json = words.iter().any(|word| word == "--json");
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(error) => {
            if wants_json && error.use_stderr() {
                let record = report::record(&WrongWords(error.to_string()));
                // What follows goes to standard error, for people.
                let _ = printer::out(&journal::line(&record, begun.elapsed()));
            }
            return printer::usage(&error);
        }
    };
    let context = Context { environment: Environment::read(), json: args.json, verbose: args.verbose, begun };
    match run(args.command, &context) {
        Ok(status) => status,
        Err(failure) => {
            context.report(failure.get());
            exit::code(failure.get().class())
        }
    }
}

fn run(command: Command, context: &Context) -> Result<u8, AnyFailure> {
    // The runtime has only the first thread, because children die with the thread that spawned them (see `base::process`).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NoRuntime)?;
    let resumes = matches!(command, Command::Build(_));
    let result = runtime.block_on(signals::or_ended(dispatch(command, context), resumes));
    // A blocking read must not delay the end.
    runtime.shutdown_background();
    result?
}

/// Run the command. Returns the exit code. Commands that run one in a guest return its exit code.
async fn dispatch(command: Command, context: &Context) -> Result<u8, AnyFailure> {
    let done = match command {
        Command::Exec(args) => return commands::machines::exec(&args, context).await,
        Command::Shell(args) => return commands::machines::shell(&args, context).await,
        Command::Console(args) => return commands::machines::console(&args, context).await,
        Command::Doctor(args) => commands::doctor::run(&args, context).await,
        Command::Init(args) => commands::init::run(&args, recipe::starter()),
        Command::Build(args) => commands::build::run(&args, context).await,
        Command::Check(args) => commands::check::run(&args, context).await,
        Command::Plan(args) => commands::plan::run(&args, context).await,
        Command::Run(args) => commands::run::run(&args, context).await,
        Command::Up(args) => commands::machines::up(&args, context).await,
        Command::Clone(args) => commands::machines::clone(&args, context).await,
        Command::Ps => commands::machines::ps(context).await,
        Command::Cp(args) => commands::machines::cp(&args, context).await,
        Command::Ssh(args) => commands::machines::ssh(&args, context).await,
        Command::SshConfig(args) => commands::machines::ssh_config(&args, context).await,
        Command::Inspect(args) => commands::machines::inspect(&args, context).await,
        Command::Port(args) => commands::machines::port(&args, context),
        Command::Screenshot(args) => commands::machines::screenshot(&args, context).await,
        Command::Snapshot(command) => commands::machines::snapshot(&command, context).await,
        Command::Publish(args) => commands::machines::publish(&args, context).await,
        Command::Wait(args) => commands::machines::wait(&args, context).await,
        Command::Logs(args) => commands::machines::logs(&args, context).await,
        Command::Stop(args) => commands::machines::stop(&args, context).await,
        Command::Start(args) => commands::machines::start(&args, context).await,
        Command::Restart(args) => commands::machines::restart(&args, context).await,
        Command::Rm(args) => commands::machines::rm(&args, context).await,
        Command::Supervise(args) => commands::machines::supervise(&args).await,
        Command::Kickstart(command) => commands::kickstart::run(&command, context),
        Command::Verify(args) => commands::verify::run(&args, context).await,
        Command::Image(command) => commands::image::run(&command, context).await,
        Command::Cache(command) => commands::cache::run(&command, context),
        Command::Schema => Ok(printer::out(&format!("{:#}\n", recipe::schema()))?),
        Command::Completions(args) => commands::completions::run(&args),
        Command::Man(args) => commands::man::run(&args),
        Command::Help(args) => commands::help::run(&args),
    };
    done.map(|()| exit::DONE)
}

/// A command line that clap refused, for a record.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.what())]
struct WrongWords(String);

impl WrongWords {
    /// The first paragraph: clap puts usage and hints behind an empty line.
    fn what(&self) -> String {
        let paragraph: Vec<&str> = self.0.split("\n\n").next().unwrap_or_default().lines().map(str::trim).collect();
        let text = paragraph.join(" ");
        text.strip_prefix("error: ").unwrap_or(&text).to_owned()
    }
}

impl Failure for WrongWords {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        let tip = self.0.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        Some(tip.unwrap_or("see `goldsmith --help`").to_owned())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the runtime could not be started: {0}")]
struct NoRuntime(std::io::Error);

impl Failure for NoRuntime {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("see whether the limits on open files and processes (`ulimit -a`) are too low".into())
    }
}
