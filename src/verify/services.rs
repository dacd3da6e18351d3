//! Whether a unit is enabled and active in the booted system: the question, and the judgement of systemctl's output.

use super::CheckResult;
use crate::base::text::shell_line;

/// The wanted state of a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) enabled: Option<bool>,
    pub(super) active: Option<bool>,
    /// It ends until something sets it up, and systemd must start it again each time.
    pub(super) restarting: bool,
}

/// Exit statuses that are systemd's own: it could not run the program at all (systemd.exec(5), "Process Exit Codes").
const NOT_RUN: std::ops::RangeInclusive<i32> = 200..=243;

/// A script that prints the outputs of `systemctl` about a unit, each under its own mark. For a unit with an init script `is-enabled`
/// writes to standard error which program it asks, and that program may write to standard output before the answer (systemd 219,
/// src/systemctl/systemctl.c, `enable_sysv_units`).
pub(super) fn question(unit: &str, wanted: Wanted) -> String {
    let unit = shell_line([unit]);
    // A unit may still be starting when the boot's target is reached.
    let arrived = format!("for try in $(seq 120); do [ \"$(systemctl is-active {unit})\" = activating ] || break; sleep 1; done");
    // Between two starts a unit is `activating`, which leads nowhere; while it is `deactivating`, the answer would not hold.
    let started = format!("for try in $(seq 10); do [ \"$(systemctl is-active {unit})\" = deactivating ] || break; sleep 1; done");
    let state = format!("systemctl show -p ActiveState -p SubState -p Restart -p ExecMainStatus {unit} 2> err | sed 's/^/show /'");
    let asked = format!(
        "echo \"enabled $(systemctl is-enabled {unit} 2> err | tail -n 1)\"\n\
         echo \"active $(systemctl is-active {unit} 2>> err | tail -n 1)\"\n\
         sed 's/^/e:/' err"
    );
    if wanted.restarting { format!("{started}\n{state}\n{asked}") } else { format!("{arrived}\n{asked}") }
}

/// Judge the output of the script that [`question`] makes.
pub(super) fn judge(name: &str, lines: &[String], wanted: Wanted) -> CheckResult {
    let said = |mark: &str| lines.iter().find_map(|line| line.strip_prefix(mark)).unwrap_or_default().trim();
    let (enablement, activity, notice) = (said("enabled "), said("active "), said("e:"));
    if activity.is_empty() {
        return CheckResult::could_not_run(name, if notice.is_empty() { "systemctl did not answer" } else { notice });
    }
    // Static units and generated ones start without being enabled; only these words mean that the unit's own [Install] section is in
    // effect.
    let is_enabled = matches!(enablement, "enabled" | "enabled-runtime" | "alias");
    let is_active = activity == "active";
    // systemd 219 has no word for a unit that is not there; it says so on standard error.
    let found = match enablement {
        "" => format!("unknown to systemctl, {activity}: {notice}"),
        word => format!("{word}, {activity}"),
    };
    if wanted.enabled.is_some_and(|wanted| wanted != is_enabled) || wanted.active.is_some_and(|wanted| wanted != is_active) {
        return CheckResult::failed(name, format!("it is {found}"));
    }
    if wanted.restarting { restarting(name, enablement, said) } else { CheckResult::passed(name, found) }
}

/// Judge the properties of a unit that systemd must start again whenever it ends: that it is between two starts, or runs.
fn restarting<'a>(name: &str, enablement: &str, said: impl Fn(&str) -> &'a str) -> CheckResult {
    let (state, inner, restart) = (said("show ActiveState="), said("show SubState="), said("show Restart="));
    let status: Option<i32> = said("show ExecMainStatus=").parse().ok();
    let last = status.map(|status| format!(", exit status {status}")).unwrap_or_default();
    match (state, restart) {
        ("", _) => CheckResult::could_not_run(name, "systemctl did not tell its state"),
        (_, "" | "no") => CheckResult::failed(name, format!("it is {state}, and its unit has no Restart=: systemd starts it once")),
        // The last exit status is that of the previous run; a run that goes on has none yet.
        ("active", _) => CheckResult::passed(name, format!("{enablement}, active ({inner})")),
        ("activating", _) if status.is_some_and(|status| NOT_RUN.contains(&status)) => {
            CheckResult::failed(name, format!("systemd starts it again and again, and cannot run its program{last}"))
        }
        ("activating", _) => CheckResult::passed(name, format!("{enablement}, {state} ({inner}){last}")),
        _ => CheckResult::failed(name, format!("it is {state} ({inner}){last}, and systemd does not start it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Outcome;

    fn judged(lines: &[&str], enabled: Option<bool>, active: Option<bool>) -> CheckResult {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        judge("s", &lines, Wanted { enabled, active, restarting: false })
    }

    /// A `systemctl` with this `case`, asked by the script as in the guest, where both outputs come over one port.
    fn asked(case: &str, unit: &str, wanted: Wanted) -> CheckResult {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("systemctl"), format!("#!/bin/sh\ncase $1 in\n{case}\nesac\n")).unwrap();
        let text = question(unit, wanted).replace("systemctl ", "sh ./systemctl ");
        let ran = std::process::Command::new("/bin/sh").args(["-c", &format!("exec 2>&1\n{text}")]).current_dir(&dir).output().unwrap();
        let lines: Vec<String> = std::str::from_utf8(&ran.stdout).unwrap().lines().map(str::to_owned).collect();
        judge("s", &lines, wanted)
    }

    #[test]
    fn units_are_judged() {
        let active = ["enabled enabled", "active active"];
        let outcome = |lines: &[&str], enabled, active| judged(lines, enabled, active).outcome;
        assert_eq!(outcome(&active, Some(true), Some(true)), Outcome::Passed);
        assert_eq!(outcome(&active, Some(false), None), Outcome::Failed);
        assert_eq!(outcome(&["enabled enabled", "active failed"], None, Some(true)), Outcome::Failed);
        assert_eq!(outcome(&["enabled ", "active "], Some(true), None), Outcome::CouldNotRun);
        let unknown = ["enabled ", "active unknown", "e:Failed to get unit file state for x.service: No such file or directory"];
        assert_eq!(
            judged(&unknown, Some(true), None).detail,
            "it is unknown to systemctl, unknown: Failed to get unit file state for x.service: No such file or directory"
        );
    }

    /// The output of EL7's systemctl about `network`.
    #[test]
    fn notices_are_no_answers() {
        let case = "is-enabled) echo 'network.service is not a native service, redirecting to /sbin/chkconfig.' >&2\n\
            echo 'Executing /sbin/chkconfig network --level=5' >&2; echo 'a word of chkconfig'; echo enabled ;;\n\
            is-active) echo 'Warning: network.service changed on disk.' >&2; echo active ;;";
        let found = asked(case, "network", Wanted { enabled: Some(true), active: Some(true), restarting: false });
        assert_eq!((found.outcome, &*found.detail), (Outcome::Passed, "enabled, active"));
    }

    /// kubelet before its node has joined, as systemd 219 and 252 tell it.
    #[test]
    fn a_unit_that_is_started_again_and_again_is_judged() {
        for (enablement, state, inner, restart, status, outcome, detail) in [
            (
                "enabled",
                "activating",
                "auto-restart",
                "always",
                255,
                Outcome::Passed,
                "enabled, activating (auto-restart), exit status 255",
            ),
            ("enabled", "active", "running", "always", 0, Outcome::Passed, "enabled, active (running)"),
            ("disabled", "activating", "auto-restart", "always", 255, Outcome::Failed, "it is disabled, activating"),
            (
                "enabled",
                "failed",
                "failed",
                "on-failure",
                255,
                Outcome::Failed,
                "it is failed (failed), exit status 255, and systemd does not start it again",
            ),
            (
                "enabled",
                "inactive",
                "dead",
                "always",
                0,
                Outcome::Failed,
                "it is inactive (dead), exit status 0, and systemd does not start it again",
            ),
            (
                "enabled",
                "active",
                "running",
                "no",
                0,
                Outcome::Failed,
                "it is active, and its unit has no Restart=: systemd starts it once",
            ),
            (
                "enabled",
                "activating",
                "auto-restart",
                "always",
                203,
                Outcome::Failed,
                "systemd starts it again and again, and cannot run its program, exit status 203",
            ),
        ] {
            let case = format!(
                "is-enabled) echo {enablement} ;;\nis-active) echo {state} ;;\nshow)\n\
                 printf '%s\\n' Restart={restart} ExecMainStatus={status} ActiveState={state} SubState={inner} ;;"
            );
            let found = asked(&case, "kubelet", Wanted { enabled: Some(true), active: None, restarting: true });
            assert_eq!((found.outcome, &*found.detail), (outcome, detail), "{state} {inner} {restart}");
        }
        let silent = asked("is-active) echo activating ;;", "kubelet", Wanted { enabled: None, active: None, restarting: true });
        assert_eq!(silent.outcome, Outcome::CouldNotRun);
    }
}
