//! Whether a unit is enabled, read from the disk as `systemctl is-enabled` reads it.

use super::CheckResult;
use crate::image::{FileKind, ImageError, Root};

/// Where an administrator's links are (systemd.unit(5)).
const LINKS: &str = "/etc/systemd/system";
/// Where unit files are (systemd.unit(5), "System Unit Search Path"); EL7 and Debian 12 have no other that outlives a boot.
const UNIT_FILES: [&str; 4] = [LINKS, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Where the links of init scripts are that start a service. `is-enabled` passes such a service on: EL7's systemd 219 to `chkconfig
/// --level=5` (src/systemctl/systemctl.c, `enable_sysv_units`), Debian's to `systemd-sysv-install`, which looks for
/// `/etc/rc[S5].d/S??NAME`.
const RUN_LEVELS: [&str; 2] = ["/etc/rc5.d", "/etc/rcS.d"];
/// Where init scripts are; of EL7 the first is a link to the second.
const INIT_SCRIPTS: [&str; 2] = ["/etc/init.d", "/etc/rc.d/init.d"];

/// Whether the boot starts `unit`, with or without its suffix.
pub(super) fn enabled(root: &Root, unit: &str) -> CheckResult {
    let unit = if unit.contains('.') { unit.to_owned() } else { format!("{unit}.service") };
    let name = format!("{unit} is enabled");
    match links(root, &unit) {
        Ok(Found::Link(path)) => CheckResult::passed(name, path),
        Ok(Found::Nothing(why)) => CheckResult::failed(name, why),
        Err(error) => CheckResult::could_not_run(name, error.to_string()),
    }
}

enum Found {
    /// This path starts the unit.
    Link(String),
    /// Nothing starts it, for this reason.
    Nothing(String),
}

fn links(root: &Root, unit: &str) -> Result<Found, ImageError> {
    let mut dirs = Vec::new();
    let mut alias = None;
    for entry in root.read_dir(LINKS)? {
        let entry = entry.to_string_lossy().into_owned();
        let path = format!("{LINKS}/{entry}");
        if entry.ends_with(".wants") || entry.ends_with(".requires") {
            if root.metadata(&path)?.kind == FileKind::Directory {
                let names = root.read_dir(&path)?;
                let link = names.iter().map(|name| name.to_string_lossy()).find(|name| is_instance(name, unit));
                dirs.push(link.map(|link| format!("{path}/{link}")).ok_or(entry));
            }
        } else if let Ok(target) = root.read_link(&path) {
            if entry == unit && target == std::path::Path::new("/dev/null") {
                return Ok(Found::Nothing(format!("it is masked: {path} is a link to /dev/null")));
            }
            // `Alias=` of [Install]; a link of the same name only says where the unit's file is.
            if entry != unit && target.file_name().is_some_and(|name| name == unit) {
                alias = Some(path);
            }
        }
    }
    if let Some(link) = dirs.iter().find_map(|dir| dir.as_ref().ok().cloned()).or(alias) {
        return Ok(Found::Link(link));
    }
    if let Some(found) = init_script(root, unit)? {
        return Ok(found);
    }
    let dirs: Vec<String> = dirs.into_iter().filter_map(Result::err).collect();
    Ok(Found::Nothing(format!("it is in none of {}", dirs.join(", "))))
}

/// Whether the link `name` starts `unit`. A template is enabled as one of its instances (`DefaultInstance=`).
fn is_instance(name: &str, unit: &str) -> bool {
    match unit.split_once("@.") {
        Some((stem, suffix)) => {
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('@'));
            rest.and_then(|rest| rest.strip_suffix(suffix)).is_some_and(|rest| rest.ends_with('.'))
        }
        None => name == unit,
    }
}

/// The result for a service that has an init script and no unit file.
fn init_script(root: &Root, unit: &str) -> Result<Option<Found>, ImageError> {
    let Some(service) = unit.strip_suffix(".service") else { return Ok(None) };
    for dir in UNIT_FILES {
        if root.exists(format!("{dir}/{unit}"))? {
            return Ok(None);
        }
    }
    let mut script = None;
    for dir in INIT_SCRIPTS {
        let path = format!("{dir}/{service}");
        if script.is_none() && root.exists(&path)? {
            script = Some(path);
        }
    }
    let Some(script) = script else { return Ok(None) };
    for dir in RUN_LEVELS {
        if !root.exists(dir)? {
            continue;
        }
        for link in root.read_dir(dir)? {
            let link = link.to_string_lossy();
            let rest = link.strip_prefix('S').and_then(|rest| rest.strip_suffix(service));
            if rest.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())) {
                return Ok(Some(Found::Link(format!("{dir}/{link}"))));
            }
        }
    }
    Ok(Some(Found::Nothing(format!("its script {script} is in none of {}", RUN_LEVELS.join(", ")))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Outcome;
    use crate::verify::tests::disk;

    /// The layout of EL7: `/etc/init.d` and `/etc/rc5.d` are links into `/etc/rc.d`.
    #[test]
    fn what_is_enabled_on_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let image = disk(
            dir.path(),
            &[
                ("etc/fstab", ""),
                ("etc/init.d", "-> rc.d/init.d"),
                ("etc/rc5.d", "-> rc.d/rc5.d"),
                ("etc/rc.d/init.d/network", "#!/bin/bash\n"),
                ("etc/rc.d/init.d/netconsole", "#!/bin/bash\n"),
                ("etc/rc.d/init.d/docker", "#!/bin/bash\n"),
                ("etc/rc.d/rc5.d/S10network", "-> ../init.d/network"),
                ("etc/rc.d/rc5.d/S10docker", "-> ../init.d/docker"),
                ("etc/rc.d/rc5.d/K50netconsole", "-> ../init.d/netconsole"),
                ("etc/rc.d/rc5.d/S10other-netconsole", "-> ../init.d/netconsole"),
                ("usr/lib/systemd/system/docker.service", ""),
                ("usr/lib/systemd/system/gdm.service", ""),
                ("etc/systemd/system/display-manager.service", "-> /usr/lib/systemd/system/gdm.service"),
                ("etc/systemd/system/linked.service", "-> /opt/linked.service"),
                ("etc/systemd/system/hidden.service", "-> /dev/null"),
                ("etc/systemd/system/multi-user.target.wants/hidden.service", "-> /usr/lib/systemd/system/hidden.service"),
                ("etc/systemd/system/multi-user.target.wants/sshd.service", "-> /usr/lib/systemd/system/sshd.service"),
                ("etc/systemd/system/getty.target.wants/getty@tty1.service", "-> /usr/lib/systemd/system/getty@.service"),
            ],
        );
        let root = Root::open(&image).unwrap();
        for (unit, outcome, detail) in [
            ("network", Outcome::Passed, "/etc/rc5.d/S10network"),
            ("network.service", Outcome::Passed, "/etc/rc5.d/S10network"),
            ("netconsole", Outcome::Failed, "its script /etc/init.d/netconsole is in none of /etc/rc5.d, /etc/rcS.d"),
            // systemd starts the unit file, whatever the run levels say.
            ("docker", Outcome::Failed, "it is in none of getty.target.wants, multi-user.target.wants"),
            ("sshd", Outcome::Passed, "/etc/systemd/system/multi-user.target.wants/sshd.service"),
            ("gdm", Outcome::Passed, "/etc/systemd/system/display-manager.service"),
            ("linked", Outcome::Failed, "it is in none of getty.target.wants, multi-user.target.wants"),
            ("hidden", Outcome::Failed, "it is masked: /etc/systemd/system/hidden.service is a link to /dev/null"),
            ("getty@.service", Outcome::Passed, "/etc/systemd/system/getty.target.wants/getty@tty1.service"),
            ("getty@tty2.service", Outcome::Failed, "it is in none of getty.target.wants, multi-user.target.wants"),
        ] {
            let judged = enabled(&root, unit);
            assert_eq!((judged.outcome, &*judged.detail), (outcome, detail), "{unit}");
        }
    }
}
