//! `[[unit]]`: each becomes a file below /etc/systemd/system, is enabled or not, and must be loaded in the booted system.

use super::super::tree::KeyPath;
use super::super::written::Installer;
use super::super::{Check, CheckKind, Content, Recipe, written};
use super::content::{own_content, refuse_private_key, stand_for};
use super::judge::Judge;
use crate::base::certificate::{self, NotAnAuthority};
use crate::base::fault::Fault;
use crate::base::image_path::ImagePath;
use crate::base::text::shell_line;
use crate::base::unit::{UnitName, full_name};
use crate::base::unit_file::{self, UnitFile};

/// Types of units that stay active because they wait for something.
const WAITING: [&str; 3] = [".timer", ".socket", ".path"];
/// At most this many faults of a text are reported.
const FAULTS_SHOWN: usize = 5;

/// Add the units of the tables to `recipe`.
pub(super) fn add(judge: &mut Judge<'_>, written: &[written::Unit], recipe: &mut Recipe) {
    let path = KeyPath::from("unit");
    judge.unique(written, "unit", |index| path.at(index).at("name"), |unit| Some(unit.name.clone()));
    for (index, unit) in written.iter().enumerate() {
        one(judge, &path.at(index), unit, recipe);
    }
}

fn one(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Unit, recipe: &mut Recipe) {
    let Some(name) = judge.parsed::<UnitName>(&path.at("name"), &written.name) else { return };
    if let Some(fault) = unit_file::wrong_name(&name) {
        judge.wrong(&path.at("name"), fault.what, fault.help);
        return;
    }
    let Some((file, text, text_key)) = read(judge, path, written) else { return };
    let enable = written.enable.unwrap_or(file.installs());
    // Without `enable`, the text decides, so an error points at the whole table.
    let key = if written.enable.is_some() { path.at("enable") } else { path.clone() };
    if enable && !file.can_be_enabled() {
        let help = "add `[Install]` with `WantedBy=multi-user.target` (of a timer `timers.target`), or say `enable = false`";
        judge.wrong(&key, format!("{name} cannot be enabled: its `[Install]` does not say what starts it"), help);
    }
    if enable && name.contains("@.") && file.default_instance().is_none() {
        let help = "add `DefaultInstance=` to its `[Install]`; or say `enable = false`, and name an instance in `services.enable`";
        judge.wrong(&key, format!("{name} is a template: which instance is to be enabled?"), help);
    }
    if judge.installer == Some(Installer::Anaconda) {
        tell(judge, &text_key, "", &file.not_for_219());
    }
    if enable {
        let title = format!("{name} is both enabled and disabled");
        refuse_disabled(judge, recipe, &key, &name, title, "say `enable = false`, or remove it there");
    }
    // Two units have this name; that is reported already.
    if judge.findings.is_spoiled(&path.at("name")) {
        return;
    }
    stand_for(judge, recipe, (path, "this unit"), &ImagePath::made(format!("/etc/systemd/system/{name}")), text);
    if enable {
        enable_once(recipe, &name);
    }
    recipe.checks.extend(checks(&name, enable, &file.parents()));
}

/// Refuse, with this error at `key`, that the recipe disables `unit`.
pub(super) fn refuse_disabled(judge: &mut Judge<'_>, recipe: &Recipe, key: &KeyPath, unit: &UnitName, title: String, help: &str) {
    let is_same = |other: &str| full_name(other) == unit.full();
    if recipe.services.disable.iter().any(|other| is_same(other)) {
        let disabled = KeyPath::from("services.disable");
        let place = judge.place_in(&disabled, is_same).unwrap_or(disabled);
        judge.clash(key, &place, "disabled here", title, help);
    }
}

/// Enable `unit`, unless the recipe does so already.
pub(super) fn enable_once(recipe: &mut Recipe, unit: &UnitName) {
    if recipe.services.enable.iter().all(|other| other.full() != unit.full()) {
        recipe.services.enable.push(unit.clone());
    }
}

/// The unit's file, its text and the key that gives that, if there are no faults.
fn read(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Unit) -> Option<(UnitFile, String, KeyPath)> {
    let (key, content) = own_content(judge, path, (&written.content, &written.source), "this unit has no text")?;
    let text = match String::from_utf8(content.bytes().to_vec()) {
        Ok(text) if !text.contains('\0') => text,
        _ => {
            judge.wrong(&key, "a unit is text", "name a file of UTF-8 text");
            return None;
        }
    };
    if certificate::holds_private_key(text.as_bytes()) {
        let error = NotAnAuthority::PrivateKey;
        refuse_private_key(judge, &key, &content, &error.to_string(), "keep the key where it is used, and give the unit's text");
        return None;
    }
    match UnitFile::read(&written.name, &text) {
        Ok(file) => Some((file, text, key)),
        Err(faults) => {
            let shown = if let Content::File { path, .. } = &content { format!("`{}`, ", path.display()) } else { String::new() };
            tell(judge, &key, &shown, &faults);
            None
        }
    }
}

/// Report the faults of a unit's text, with `shown` before them. One place of a recipe shows one problem, so the faults are one error, with the
/// remedy of the first.
fn tell(judge: &mut Judge<'_>, key: &KeyPath, shown: &str, faults: &[Fault]) {
    let Some(first) = faults.first() else { return };
    let mut whats: Vec<String> = faults.iter().take(FAULTS_SHOWN).map(|fault| fault.what.clone()).collect();
    whats.extend(faults.len().checked_sub(FAULTS_SHOWN).filter(|more| *more > 0).map(|more| format!("and {more} more")));
    judge.wrong(key, format!("{shown}{}", whats.join("; ")), first.help.clone());
}

/// The checks of the booted system: the unit is loaded, it is enabled, and it is active if it is of a type that waits. That no unit has failed
/// is checked for every recipe.
fn checks(name: &UnitName, enable: bool, parents: &[&str]) -> Vec<Check> {
    if name.contains("@.") {
        return Vec::new();
    }
    let run = format!(
        "{}; {}",
        shell_line(["systemctl", "show", "-p", "LoadState", name]),
        shell_line(["systemctl", "show", "-p", "LoadError", name])
    );
    let loaded = CheckKind::Command { run, status: 0, stdout: Some("LoadState=loaded".to_owned()) };
    let active = WAITING.iter().any(|suffix| name.ends_with(suffix)).then_some(true);
    let enabled = CheckKind::Service { unit: name.clone(), enabled: Some(true), active, restarting: false };
    let mut checks = vec![Check { name: format!("{name} is loaded"), kind: loaded }];
    checks.extend(enable.then(|| Check { name: format!("{name} is in force"), kind: enabled }));
    // Only systemd can expand specifiers such as `%i`.
    if enable && !parents.is_empty() && !parents.iter().any(|parent| parent.contains('%')) {
        checks.push(Check { name: format!("{name} is started by the boot"), kind: started(name, parents) });
    }
    checks
}

/// The check that one of `parents`, which start the unit, exists, and that each active parent has tried to start it. systemctl accepts a link in
/// the `.wants` of a unit that does not exist, and a service whose `Requires=` does not exist; neither would ever start. systemd checks the
/// conditions of a unit each time it tries to start it, with any result (src/core/unit.c, `unit_start`, in 219, too).
fn started(name: &str, parents: &[&str]) -> CheckKind {
    let tried = if name.ends_with(".service") { ASK_TRIED.replace("NAME", &shell_line([name])) } else { String::new() };
    let run = ASK_STARTED.replace("TRIED", &tried).replace("PARENTS", &shell_line(parents.iter().copied()));
    CheckKind::Command { run, status: 0, stdout: None }
}

const ASK_STARTED: &str = "\
found=
for parent in PARENTS; do
    said=$(systemctl show -p LoadState -p ActiveState -- \"$parent\")
    case $said in *LoadState=not-found*) continue ;; esac
    found=yes
TRIED\
done
[ -n \"$found\" ] || { echo 'there is none of the units that are to start it:' PARENTS >&2; exit 1; }";
const ASK_TRIED: &str = "    \
case $said in *ActiveState=active*) ;; *) continue ;; esac
    case $(systemctl show -p ConditionTimestampMonotonic -- NAME) in
        *=0) echo \"$parent is active, and has not started it\" >&2; exit 1 ;;
    esac
";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The script, with a `systemctl` that knows `a.target`, which is active, and `b.target`, which is not. The unit's conditions were checked
    /// at the time `when`.
    #[test]
    fn a_unit_that_the_boot_does_not_start_is_seen() {
        let none = "there is none of the units that are to start it: multiuser.target\n";
        for (name, parents, when, error) in [
            ("x.service", &["a.target"][..], "7", ""),
            ("x.service", &["multiuser.target"], "0", none),
            ("x.mount", &["multiuser.target"], "0", none),
            ("x.service", &["multiuser.target", "a.target"], "7", ""),
            ("x.service", &["b.target", "a.target"], "0", "a.target is active, and has not started it\n"),
            // This parent was not reached yet, like sleep.target.
            ("x.service", &["b.target"], "0", ""),
            ("x.mount", &["a.target"], "0", ""),
        ] {
            let CheckKind::Command { run, .. } = started(name, parents) else { panic!("it is a command") };
            let systemctl = format!(
                "systemctl() {{ case $* in *Condition*' x.'*) echo ConditionTimestampMonotonic={when} ;;\n\
                 *' a.target') echo LoadState=loaded; echo ActiveState=active ;;\n*' b.target') echo LoadState=loaded; echo ActiveState=inactive ;;\n\
                 *) echo LoadState=not-found; echo ActiveState=inactive ;; esac; }}\n"
            );
            let ran = Command::new("/bin/sh").args(["-c", &(systemctl + &run)]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&ran.stderr), error, "{run}");
            assert_eq!(ran.status.success(), error.is_empty(), "{run}");
        }
    }
}
