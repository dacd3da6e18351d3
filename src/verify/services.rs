//! Whether a unit is enabled and active in the booted system: the question, and the judgement of what systemctl says.

use super::CheckResult;
use crate::base::text::shell_line;

/// What `systemctl` says of a unit, each output under a mark of its own: of a unit with an init script `is-enabled` writes on standard error
/// whom it asks, and may let him write on standard output, before the answer (systemd 219, src/systemctl/systemctl.c, `enable_sysv_units`).
pub(super) fn question(unit: &str) -> String {
    let unit = shell_line([unit]);
    // A unit may still be on its way when the boot's target is reached.
    format!(
        "for try in $(seq 120); do [ \"$(systemctl is-active {unit})\" = activating ] || break; sleep 1; done\n\
         echo \"enabled $(systemctl is-enabled {unit} 2> err | tail -n 1)\"\n\
         echo \"active $(systemctl is-active {unit} 2>> err | tail -n 1)\"\n\
         sed 's/^/e:/' err"
    )
}

/// Judge the lines that [`question`] leads to.
pub(super) fn judge(name: &str, lines: &[String], enabled: Option<bool>, active: Option<bool>) -> CheckResult {
    let said = |mark: &str| lines.iter().find_map(|line| line.strip_prefix(mark)).unwrap_or_default().trim();
    let (enablement, activity, notice) = (said("enabled "), said("active "), said("e:"));
    if activity.is_empty() {
        return CheckResult::could_not_run(name, if notice.is_empty() { "systemctl did not answer" } else { notice });
    }
    // Static units and generated ones start without being enabled; only these words mean that the unit's own [Install] is in force.
    let is_enabled = matches!(enablement, "enabled" | "enabled-runtime" | "alias");
    let is_active = activity == "active";
    // systemd 219 has no word for a unit that is not there; it says so on standard error.
    let found = match enablement {
        "" => format!("unknown to systemctl, {activity}: {notice}"),
        word => format!("{word}, {activity}"),
    };
    if enabled.is_some_and(|wanted| wanted != is_enabled) || active.is_some_and(|wanted| wanted != is_active) {
        CheckResult::failed(name, format!("it is {found}"))
    } else {
        CheckResult::passed(name, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Outcome;

    fn judged(lines: &[&str], enabled: Option<bool>, active: Option<bool>) -> CheckResult {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        judge("s", &lines, enabled, active)
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

    /// The script, run with a `systemctl` that says what that of EL7 says of `network`.
    #[test]
    fn notices_are_no_answers() {
        let dir = tempfile::tempdir().unwrap();
        let systemctl = "#!/bin/sh\ncase $1 in\n\
            is-enabled) echo 'network.service is not a native service, redirecting to /sbin/chkconfig.' >&2\n\
            echo 'Executing /sbin/chkconfig network --level=5' >&2; echo 'a word of chkconfig'; echo enabled ;;\n\
            is-active) echo 'Warning: network.service changed on disk.' >&2; echo active ;;\nesac\n";
        std::fs::write(dir.path().join("systemctl"), systemctl).unwrap();
        let text = question("network").replace("systemctl ", "sh ./systemctl ");
        // As in the guest, where both outputs come over one port.
        let ran = std::process::Command::new("/bin/sh").args(["-c", &format!("exec 2>&1\n{text}")]).current_dir(&dir).output().unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&ran.stdout).unwrap().lines().collect();
        let found = judged(&lines, Some(true), Some(true));
        assert_eq!((found.outcome, &*found.detail), (Outcome::Passed, "enabled, active"), "{lines:?}");
    }
}
