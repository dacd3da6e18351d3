//! `goldsmith completions SHELL`.
//!
//! clap_complete 4 writes the scripts; it cannot say that an argument is a file or one of some names. The names of the built-in recipes and the
//! keys of `--set` are put into its scripts for bash, zsh and fish.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::base::failure::AnyFailure;
use crate::cli::args::{Args, Completions};
use crate::cli::{printer, topics};
use crate::recipe;

/// Commands whose first argument is a recipe, as fish names them.
const WITH_RECIPE: [&str; 4] = ["build", "check", "plan", "render"];

/// Print the completion script.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Completions) -> Result<(), AnyFailure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "goldsmith", &mut script);
    let script = String::from_utf8_lossy(&script);
    let recipes: Vec<&str> = recipe::builtin_names().collect();
    let keys: Vec<String> = topics::settable_keys().into_iter().map(|key| format!("{key}=")).collect();
    let script = match args.shell {
        Shell::Bash => for_bash(&script, &recipes.join(" "), &keys.join(" ")),
        Shell::Zsh => for_zsh(&script, &recipes.join(" "), &keys.join(" ")),
        Shell::Fish => for_fish(&script, &recipes.join(" "), &keys.join(" ")),
        _ => script.into_owned(),
    };
    Ok(printer::out(&script)?)
}

/// In bash, the words of a command stand in `opts`; what matches none of them is a file.
fn for_bash(script: &str, recipes: &str, keys: &str) -> String {
    let files = "--set)\n                    COMPREPLY=($(compgen -f \"${cur}\"))\n";
    // Behind `=` comes the value: no space.
    let names = format!(
        "--set)\n                    compopt -o nospace\n                    COMPREPLY=($(compgen -W \"{keys}\" -- \"${{cur}}\"))\n"
    );
    let line = |line: &str| match line.split_once("opts=\"") {
        Some((before, words)) if words.contains(" --set ") && !words.contains(" --recipe ") => {
            format!("{before}opts=\"{recipes} {words}\n")
        }
        _ => format!("{line}\n"),
    };
    script.lines().map(line).collect::<String>().replace(files, &names)
}

/// In zsh, the last part of an argument's description is what completes it (zshcompsys(1), `_arguments`).
fn for_zsh(script: &str, recipes: &str, keys: &str) -> String {
    let recipe = "a built-in recipe:_files'";
    script
        .replace(recipe, &format!("a built-in recipe:{{_files; compadd -- {recipes}}}'"))
        .replace(":KEY=VALUE:_default'", &format!(":KEY=VALUE:{{compadd -S \"\" -- {keys}}}'"))
}

/// In fish, each line adds candidates; files are offered beside them.
fn for_fish(script: &str, recipes: &str, keys: &str) -> String {
    let mut script = script.to_owned();
    for command in WITH_RECIPE {
        script.push_str(&format!("complete -c goldsmith -n \"__fish_seen_subcommand_from {command}\" -a \"{recipes}\"\n"));
        script.push_str(&format!("complete -c goldsmith -n \"__fish_seen_subcommand_from {command}\" -l set -r -a \"{keys}\"\n"));
    }
    script
}
