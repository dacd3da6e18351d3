//! `goldsmith completions SHELL`.
//!
//! clap_complete 4 writes the scripts. It cannot express that an argument is either a file or one of some names. So this module adds to its
//! scripts for bash, zsh and fish: the names of the built-in recipes, the keys of `--set`, and functions that read the names of the local
//! machines at each use.

use std::any::TypeId;

use clap::{ArgAction, CommandFactory};
use clap_complete::Shell;

use crate::base::failure::AnyFailure;
use crate::cli::args::{Args, Completions, Location};
use crate::cli::{printer, topics};
use crate::recipe;
use crate::run::Name;

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
        Shell::Bash => bash_machines(&for_bash(&script, &recipes.join(" "), &keys.join(" "))),
        Shell::Zsh => zsh_machines(&for_zsh(&script, &recipes.join(" "), &keys.join(" "))),
        Shell::Fish => for_fish(&script, &recipes.join(" "), &keys.join(" ")) + &fish_machines(),
        _ => script.into_owned(),
    };
    Ok(printer::out(&script)?)
}

/// How a command names local machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// Its first argument is one.
    One,
    /// All its arguments are.
    Many,
    /// An argument is a file of this host, or of a machine: `NAME:PATH`.
    Places,
}

/// The commands with names of existing machines, and the way each takes them.
fn naming_machines() -> Vec<(String, Naming)> {
    let command = Args::command();
    let commands = command.get_subcommands().filter(|command| !command.is_hide_set());
    let found = commands.filter_map(|command| {
        let first = command.get_positionals().next()?;
        let (value, takes_many) = (first.get_value_parser().type_id(), matches!(first.get_action(), ArgAction::Append));
        let naming = match takes_many {
            true if value == TypeId::of::<Location>() => Naming::Places,
            true if value == TypeId::of::<Name>() => Naming::Many,
            false if value == TypeId::of::<Name>() => Naming::One,
            _ => return None,
        };
        Some((command.get_name().to_owned(), naming))
    });
    found.collect()
}

/// In bash, the words of a command are in `opts`. Text that matches none of them is completed as a file.
fn for_bash(script: &str, recipes: &str, keys: &str) -> String {
    let files = "--set)\n                    COMPREPLY=($(compgen -f \"${cur}\"))\n";
    // The value follows the `=`, so no space is added.
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

/// In zsh, the last part of an argument's description is its completion (zshcompsys(1), `_arguments`).
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

/// The names of machines are those of the directories in which `run/record.rs` keeps them; a draft's begins with a dot. As in
/// `cli/environment.rs`, a state directory that is not absolute does not count.
const BASH_MACHINES: &str = r#"_goldsmith_machines() {
    local state="${XDG_STATE_HOME}" place word words=0
    [[ ${state} == /* ]] || state="${HOME}/.local/state"
    # With `one`, only the command's first argument is a machine.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ ${word} == -* ]] || (( words += 1 ))
    done
    [[ $1 == one && ${words} -gt 1 ]] && return
    for place in "${state}"/goldsmith/machines/[[:alnum:]]*/; do
        place="${place%/}"
        [[ -d ${place} ]] && printf '%s\n' "${place##*/}$2"
    done
}
"#;

/// In bash, the options and words of a command are in `opts`, within the case for that command.
fn bash_machines(script: &str) -> String {
    let naming = naming_machines();
    let mut told = BASH_MACHINES.to_owned();
    let mut current = None;
    for line in script.lines() {
        if let Some(case) = line.trim().strip_prefix("goldsmith__subcmd__").and_then(|rest| rest.strip_suffix(')')) {
            // clap_complete writes the `-` of a name like the separator between a command and its subcommand.
            current = naming.iter().find(|(name, _)| name.replace('-', "__subcmd__") == case).map(|(_, naming)| *naming);
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let addition = match (line.trim().strip_prefix("opts=\"").and_then(|rest| rest.strip_suffix('"')), current) {
            (Some(words), Some(Naming::One)) => format!("{indent}opts=\"{words} $(_goldsmith_machines one)\"\n"),
            (Some(words), Some(Naming::Many)) => format!("{indent}opts=\"{words} $(_goldsmith_machines many)\"\n"),
            // The path follows `NAME:`, and files may have similar names, so no space is added.
            (Some(_), Some(Naming::Places)) => format!(
                "{line}\n{indent}if [[ ${{cur}} != -* ]] ; then\n\
                 {indent}    compopt -o nospace -o filenames\n\
                 {indent}    mapfile -t COMPREPLY < <(compgen -W \"$(_goldsmith_machines many :)\" -- \"${{cur}}\"; compgen -f -- \"${{cur}}\")\n\
                 {indent}    return 0\n\
                 {indent}fi\n"
            ),
            _ => format!("{line}\n"),
        };
        told.push_str(&addition);
    }
    told
}

/// As [`BASH_MACHINES`]. The arguments go to compadd.
const ZSH_MACHINES: &str = r#"_goldsmith_machines() {
    local state=$XDG_STATE_HOME
    [[ $state == /* ]] || state=$HOME/.local/state
    local -a machines
    machines=($state/goldsmith/machines/[[:alnum:]]*(N/:t))
    compadd "$@" -a machines
}

"#;

/// In zsh, the completion of an argument is behind its description. The helper comes before clap_complete's first function.
fn zsh_machines(script: &str) -> String {
    let text = script
        .replace("-- The machine:_default'", "-- The machine:_goldsmith_machines'")
        .replace("-- The machines:_default'", "-- The machines:_goldsmith_machines'")
        .replace("for those of a VM:_files'", "for those of a VM:{_files; _goldsmith_machines -S \\:}'");
    text.replacen("_goldsmith() {\n", &format!("{ZSH_MACHINES}_goldsmith() {{\n"), 1)
}

/// As [`BASH_MACHINES`]. A wildcard that matches nothing is an error in fish, but not in `for`.
const FISH_MACHINES: &str = r#"function __goldsmith_machines
    set -l state "$XDG_STATE_HOME"
    string match -q '/*' -- $state; or set state "$HOME/.local/state"
    for place in $state/goldsmith/machines/*/
        string replace -r '^.*/([^/]+)/$' '$1' -- $place
    end
end

function __goldsmith_first_argument
    test (count (commandline -opc | string match -v -- '-*')) -eq 2
end

"#;

/// In fish, each line adds candidates.
fn fish_machines() -> String {
    let line = |(command, naming): (String, Naming)| {
        let after = format!("complete -c goldsmith -n \"__fish_goldsmith_using_subcommand {command}");
        match naming {
            Naming::One => format!("{after}; and __goldsmith_first_argument\" -f -a \"(__goldsmith_machines)\"\n"),
            Naming::Many => format!("{after}\" -f -a \"(__goldsmith_machines)\"\n"),
            Naming::Places => format!("{after}\" -a \"(__goldsmith_machines):\"\n"),
        }
    };
    FISH_MACHINES.to_owned() + &naming_machines().into_iter().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_machines_are_known() {
        let mut found = naming_machines();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let found: Vec<(&str, Naming)> = found.iter().map(|(name, naming)| (name.as_str(), *naming)).collect();
        let one = |name| (name, Naming::One);
        let many = |name| (name, Naming::Many);
        let expected = [
            one("console"),
            ("cp", Naming::Places),
            one("exec"),
            one("inspect"),
            one("logs"),
            one("port"),
            one("publish"),
            many("restart"),
            many("rm"),
            one("screenshot"),
            one("shell"),
            one("ssh"),
            one("ssh-config"),
            one("start"),
            many("stop"),
            many("wait"),
        ];
        assert_eq!(found, expected);
    }
}
