//! `goldsmith help [TOPIC|COMMAND]`.

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::suggestion;
use crate::cli::args::{Args, Help};
use crate::cli::printer;
use crate::cli::topics::{TOPICS, Topic};

/// Print the help of a command, or the text of a topic.
///
/// # Errors
/// There is no such command or topic.
pub fn run(args: &Help) -> Result<(), AnyFailure> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let topic = |name: &str| Topic::named(name).map(Topic::text);
    let text = match words[..] {
        // A topic has a longer text than the command with the same name.
        [name] => topic(name).map(|text| text + &see_also(name)).or_else(|| command_help(&words)),
        _ => command_help(&words),
    };
    Ok(printer::out(&text.ok_or_else(|| NoHelp(words.join(" ")))?)?)
}

/// A hint for a topic that has the same name as a command.
fn see_also(name: &str) -> String {
    match command_help(&[name]) {
        Some(_) => format!("\nSee also: goldsmith {name} --help\n"),
        None => String::new(),
    }
}

/// The `--help` of the command that `words` name; without words, that of goldsmith.
fn command_help(words: &[&str]) -> Option<String> {
    let line = ["goldsmith"].into_iter().chain(words.iter().copied()).chain(["--help"]);
    match Args::try_parse_from(line) {
        Err(said) if said.kind() == ErrorKind::DisplayHelp => Some(said.to_string()),
        _ => None,
    }
}

/// There is no help of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no command and no topic `{0}`")]
struct NoHelp(String);

impl Failure for NoHelp {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        let command = Args::command();
        let names = command.get_subcommands().map(clap::Command::get_name).chain(TOPICS.iter().map(|topic| topic.name));
        let names: Vec<&str> = names.collect();
        Some(match suggestion(&self.0, names.iter().copied()) {
            Some(meant) => format!("did you mean `goldsmith help {meant}`?"),
            None => "`goldsmith help` lists commands and topics".to_owned(),
        })
    }
}
