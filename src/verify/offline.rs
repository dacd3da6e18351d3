//! Promises that the disk itself can answer, read without booting or mounting it.

use std::collections::BTreeMap;
use std::path::Path;

use super::{CheckResult, Promises, authorities, settings, units};
use crate::audit::{self, Finding, Severity};
use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::size::rounded;
use crate::image::{Disk, Fallback, FreeSpace, ImageError, Owners, Root};
use crate::recipe::{CheckKind, Firmware, Selinux};

/// Larger configuration files do not occur; a larger file under such a name is not read.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// Files of the recipe's own checks.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Directories of configuration fragments, strongest first (sysctl.d(5), modules-load.d(5)).
const FRAGMENTS: [&str; 4] = ["/etc", "/usr/local/lib", "/usr/lib", "/lib"];

/// Judge the promises that can be checked on `disk` without booting it.
///
/// # Errors
/// The disk, its partition table or its root filesystem cannot be read: then there is no verdict.
pub fn offline(disk: &Disk, promises: &Promises) -> Result<Vec<CheckResult>, ImageError> {
    let root = Root::open(disk)?;
    let mut checks = vec![clean_journal(&root)];
    if root.is_clean() {
        let name = "no deleted data in the free space";
        checks.push(no_leftovers(disk, name).unwrap_or_else(|error| CheckResult::could_not_run(name, error.to_string())));
    }
    checks.extend(identity(&root, promises)?);
    if let Some(wanted) = &promises.settings {
        checks.extend(settings::judge(&root, wanted));
    }
    if promises.firmware == Firmware::Uefi {
        checks.push(fallback(&root));
    }
    checks.extend(kernel(&root, promises)?);
    checks.extend(promises.enabled.iter().map(|unit| units::enabled(&root, unit)));
    checks.extend(authorities::judge(&root, &promises.authorities));
    checks.extend(sealed(&root, &promises.resolv_conf)?);
    checks.extend(audited(&root, promises)?);
    for check in &promises.checks {
        if let CheckKind::File { path, exists, contains, sha256, mode, owner } = &check.kind {
            let (contains, owner) = (contains.as_deref(), owner.as_ref());
            let wanted = Wanted { exists: *exists, contains, sha256: *sha256, mode: *mode, owner };
            let judged = file(&root, &check.name, path, &wanted);
            checks.push(judged.unwrap_or_else(|error| CheckResult::could_not_run(&check.name, error.to_string())));
        }
    }
    Ok(checks)
}

fn clean_journal(root: &Root) -> CheckResult {
    let name = "the filesystem was unmounted cleanly";
    let unclean = root.unclean();
    if unclean.is_empty() {
        CheckResult::passed(name, "no journal has to be replayed")
    } else {
        CheckResult::failed(name, format!("not {}: a journal has to be replayed, or an error is on record", unclean.join(", ")))
    }
}

/// The firmware of a new machine remembers no boot entry. A later boot proves the fallback too, but it takes minutes and cannot tell the
/// reason.
fn fallback(root: &Root) -> CheckResult {
    let name = "boots on a machine that remembers no boot entry";
    match Fallback::of(root) {
        Ok(Fallback::Leads(way)) => CheckResult::passed(name, way.join(", then ")),
        Ok(Fallback::Ends(why)) => CheckResult::failed(name, why),
        Err(error) => CheckResult::could_not_run(name, error.to_string()),
    }
}

/// The data of a deleted file stays on the disk until it is overwritten, and would be published with the image.
fn no_leftovers(disk: &Disk, name: &str) -> Result<CheckResult, ImageError> {
    let free = FreeSpace::of(disk)?;
    if let Some(run) = free.first_leftover(disk)? {
        return Ok(CheckResult::failed(name, format!("bytes {} to {} of the disk are free and hold data", run.start, run.end)));
    }
    let cleared = format!("{} of free space hold zeros", rounded(free.bytes()));
    Ok(match &free.unread[..] {
        [] => CheckResult::passed(name, cleared),
        unread => CheckResult::skipped(name, format!("{cleared}; that of {} cannot be read", unread.join(", "))),
    })
}

fn identity(root: &Root, promises: &Promises) -> Result<Vec<CheckResult>, ImageError> {
    let mut checks = Vec::new();
    if let Some(release) = &promises.release {
        let text = text(root, "/etc/os-release")?;
        let found = text.lines().any(|line| line == release);
        checks.push(verdict("release", found, release, &format!("/etc/os-release does not say {release}")));
    }
    if let Some(hostname) = &promises.hostname {
        checks.push(CheckResult::equal("host name", text(root, "/etc/hostname")?.trim(), hostname));
    }
    if let Some(timezone) = &promises.timezone {
        let zone = root.read_link("/etc/localtime").map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let found = zone.split("zoneinfo/").nth(1).unwrap_or(&zone);
        checks.push(match root.exists("/etc/localtime") {
            Ok(false) if *timezone == found => {
                CheckResult::failed("time zone", format!("/etc/localtime leads to {zone}, which is not there"))
            }
            _ => CheckResult::equal("time zone", found, timezone),
        });
    }
    if let Some(wanted) = promises.selinux {
        checks.push(selinux(root, wanted)?);
    }
    for (path, id) in &promises.repositories {
        let text = text(root, path)?;
        let there = text.lines().any(|line| line.trim() == format!("[{id}]"));
        checks.push(verdict(&format!("repository {id}"), there, path, &format!("{path} does not define [{id}]")));
    }
    Ok(checks)
}

fn selinux(root: &Root, wanted: Selinux) -> Result<CheckResult, ImageError> {
    let wanted = match wanted {
        Selinux::Enforcing => "enforcing",
        Selinux::Permissive => "permissive",
        Selinux::Disabled => "disabled",
    };
    let config = text(root, "/etc/selinux/config")?;
    let found = config.lines().find_map(|line| line.trim().strip_prefix("SELINUX=")).map(str::trim);
    Ok(match found {
        None if wanted == "disabled" => CheckResult::passed("SELinux", "disabled: the system has none"),
        found => CheckResult::equal("SELinux", found.unwrap_or("absent"), wanted),
    })
}

fn kernel(root: &Root, promises: &Promises) -> Result<Vec<CheckResult>, ImageError> {
    let mut checks = Vec::new();
    if !promises.sysctl.is_empty() {
        let persisted = sysctl(&fragments(root, "sysctl.d", ".conf")?);
        for (key, wanted) in &promises.sysctl {
            let found = persisted.get(&dotted(key)).map_or("not set", String::as_str);
            checks.push(CheckResult::equal(format!("persisted {key}"), found, wanted));
        }
    }
    if !promises.modules.is_empty() {
        let files = fragments(root, "modules-load.d", ".conf")?;
        for module in &promises.modules {
            let there = files.iter().any(|text| text.lines().any(|line| line.trim() == module.as_str()));
            checks.push(verdict(
                &format!("module {module} is loaded at boot"),
                there,
                "modules-load.d",
                "no file of modules-load.d names it",
            ));
        }
    }
    Ok(checks)
}

/// The texts of all fragments in the order they are applied: by file name, where a file of a stronger directory hides files of the same
/// name.
fn fragments(root: &Root, directory: &str, suffix: &str) -> Result<Vec<String>, ImageError> {
    let mut files = BTreeMap::new();
    for base in FRAGMENTS {
        let dir = format!("{base}/{directory}");
        if !root.exists(&dir)? {
            continue;
        }
        for name in root.read_dir(&dir)? {
            let name = name.to_string_lossy().into_owned();
            if name.ends_with(suffix) {
                files.entry(name.clone()).or_insert(format!("{dir}/{name}"));
            }
        }
    }
    files.values().map(|path| text(root, path)).collect()
}

/// The values that sysctl.d(5) files leave, the last of a key winning.
fn sysctl(files: &[String]) -> BTreeMap<String, String> {
    let lines = files.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (dotted(key.trim().trim_start_matches('-')), value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

/// A key may be written with slashes as separators; the first separator tells which form it is.
fn dotted(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'/' => key
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => key.to_owned(),
    }
}

fn sealed(root: &Root, resolv_conf: &str) -> Result<Vec<CheckResult>, ImageError> {
    let mut checks = vec![match root.metadata("/etc/machine-id") {
        Ok(metadata) if metadata.size == 0 => CheckResult::passed("machine-id is empty", "0 bytes"),
        Ok(metadata) => CheckResult::failed("machine-id is empty", format!("{} bytes", metadata.size)),
        Err(_) => CheckResult::failed("machine-id is empty", "the file is missing, so systemd would apply its presets"),
    }];
    // mmdebstrap copies the host's file into the tree, and a DHCP client of a build step writes its own.
    checks.push(match text(root, "/etc/resolv.conf") {
        // A link leads to a file that a service writes at boot.
        _ if root.read_link("/etc/resolv.conf").is_ok() => CheckResult::passed("no name servers of the build", "written at boot"),
        Ok(found) => CheckResult::equal("no name servers of the build", found.trim(), resolv_conf.trim()),
        Err(error) => CheckResult::could_not_run("no name servers of the build", error.to_string()),
    });
    Ok(checks)
}

/// The audit's verdict, a check for each rule that guards publishing. The check tells what the recipe waives.
fn audited(root: &Root, promises: &Promises) -> Result<Vec<CheckResult>, ImageError> {
    let findings = audit::files(root, &promises.allowed)?;
    // Machine-id and free space are already judged above, in more detail.
    let judged =
        audit::rules().iter().filter(|rule| rule.severity == Severity::Fault && !["machine-id", "deleted-data"].contains(&rule.id));
    let check = |rule: &audit::Rule| {
        let found = findings.iter().filter(|finding| finding.rule.id == rule.id);
        let (waived, faults): (Vec<_>, Vec<_>) = found.partition(|finding| promises.waivers.iter().any(|waiver| waiver.covers(finding)));
        let told = |findings: &[&Finding]| findings.iter().map(|finding| finding.to_string()).collect::<Vec<_>>().join(", ");
        match (faults.is_empty(), waived.is_empty()) {
            (false, _) => CheckResult::failed(rule.promise, format!("found {}: {}", told(&faults), rule.remedy)),
            (true, false) => CheckResult::passed(rule.promise, format!("the recipe waives {}", told(&waived))),
            (true, true) => CheckResult::passed(rule.promise, "found none"),
        }
    };
    Ok(judged.map(check).collect())
}

struct Wanted<'a> {
    exists: bool,
    contains: Option<&'a str>,
    sha256: Option<Sha256Digest>,
    mode: Option<u32>,
    owner: Option<&'a Owner>,
}

fn file(root: &Root, name: &str, path: &str, wanted: &Wanted<'_>) -> Result<CheckResult, ImageError> {
    let there = root.exists(path)?;
    if there != wanted.exists {
        return Ok(CheckResult::failed(name, format!("{path} is {}", if there { "there" } else { "missing" })));
    }
    if !there {
        return Ok(CheckResult::passed(name, format!("{path} is absent")));
    }
    let metadata = root.metadata(path)?;
    if let Some(mode) = wanted.mode
        && metadata.mode & 0o7777 != mode
    {
        return Ok(CheckResult::failed(name, format!("{path} has mode {:04o}, wanted {mode:04o}", metadata.mode & 0o7777)));
    }
    if let Some(wanted) = wanted.owner {
        let owners = Owners::of(root)?;
        let found = format!("{}:{}", owners.user(metadata.uid), owners.group(metadata.gid));
        if found != wanted.to_string() {
            return Ok(CheckResult::failed(name, format!("{path} belongs to {found}, wanted {wanted}")));
        }
    }
    if wanted.contains.is_some() || wanted.sha256.is_some() {
        let bytes = root.read(path, FILE_BYTES_MAX)?;
        if let Some(text) = wanted.contains
            && !String::from_utf8_lossy(&bytes).contains(text)
        {
            return Ok(CheckResult::failed(name, format!("{path} does not contain `{text}`")));
        }
        let digest = Sha256Digest::of(&bytes);
        if let Some(sha256) = wanted.sha256
            && sha256 != digest
        {
            return Ok(CheckResult::failed(name, format!("{path} has sha256 {digest}, wanted {sha256}")));
        }
    }
    Ok(CheckResult::passed(name, path))
}

/// A configuration file's text; empty when it is not there.
fn text(root: &Root, path: impl AsRef<Path>) -> Result<String, ImageError> {
    let bytes = root.read_if_there(path, CONFIG_BYTES_MAX)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
}

fn verdict(name: &str, kept: bool, found: &str, broken: &str) -> CheckResult {
    if kept { CheckResult::passed(name, found) } else { CheckResult::failed(name, broken) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::region::TimeZone;
    use crate::recipe::Check;
    use crate::verify::Outcome;
    use crate::verify::tests::disk;

    /// EL7: what initscripts ships, ours, and an administrator's file behind its link.
    #[test]
    fn what_the_boot_will_set_is_read_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(
            dir.path(),
            &[
                ("etc/fstab", ""),
                ("etc/sysctl.conf", "# empty as it comes\nnet.ipv4.ip_forward = 0\n"),
                ("etc/sysctl.d/99-goldsmith.conf", "net.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n"),
                ("usr/lib/sysctl.d/00-system.conf", "net.bridge.bridge-nf-call-iptables = 0\nnet.ipv6.conf.all.forwarding = 0\n"),
                ("usr/lib/sysctl.d/60-hidden.conf", "net.ipv6.conf.all.forwarding = 1\n"),
                ("etc/sysctl.d/60-hidden.conf", "# nothing\n"),
                ("etc/sysctl.d/99-sysctl.conf", "-> ../sysctl.conf"),
            ],
        );
        let files = fragments(&Root::open(&disk).unwrap(), "sysctl.d", ".conf").unwrap();
        let expected = [
            ("net.bridge.bridge-nf-call-iptables", "1"),
            // The administrator's file comes last, so an image with such a line fails the check of this parameter.
            ("net.ipv4.ip_forward", "0"),
            ("net.ipv6.conf.all.forwarding", "0"),
        ];
        assert_eq!(sysctl(&files), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_zone_must_be_there() {
        let promises = Promises { timezone: Some(TimeZone::made("Asia/Shanghai")), ..Promises::none() };
        for (target, is_there, outcome) in [
            ("/usr/share/zoneinfo/Asia/Shanghai", true, Outcome::Passed),
            ("../usr/share/zoneinfo/Asia/Shanghai", true, Outcome::Passed),
            ("/usr/share/zoneinfo/Asia/Shanghai", false, Outcome::Failed),
            ("/usr/share/zoneinfo/UTC", true, Outcome::Failed),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let link = format!("-> {target}");
            let zone = if is_there { "usr/share/zoneinfo/Asia/Shanghai" } else { "usr/share/zoneinfo/Asia/" };
            let disk = disk(dir.path(), &[("etc/fstab", ""), ("etc/localtime", link.as_str()), (zone, "")]);
            let found = offline(&disk, &promises).unwrap();
            let zone = found.iter().find(|check| check.name == "time zone").unwrap();
            assert_eq!(zone.outcome, outcome, "{target} {is_there}: {}", zone.detail);
        }
    }

    #[test]
    fn the_last_file_wins_and_slashes_are_dots() {
        let files = [
            "# c\nnet.ipv4.ip_forward=0\n; c\n-vm.swappiness = 10\n",
            "net/ipv4/ip_forward = 1\nnet.ipv4.tcp_rmem = 4096  87380\t6291456\n",
        ];
        let values = sysctl(&files.map(str::to_owned));
        let expected = [("net.ipv4.ip_forward", "1"), ("net.ipv4.tcp_rmem", "4096 87380 6291456"), ("vm.swappiness", "10")];
        assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        assert_eq!(dotted("net/ipv4/conf/eth0.100/forwarding"), "net.ipv4.conf.eth0/100.forwarding");
    }

    /// Findings that the recipe waives are reported, but do not count as faults.
    #[test]
    fn the_audit_guards_publishing_unless_the_recipe_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let key = "-----BEGIN PRIVATE KEY-----\n";
        let disk = disk(dir.path(), &[("etc/fstab", ""), ("etc/a.key", key), ("etc/b.key", key)]);
        let waiver = |path: &str| audit::Waiver { rule: "private-keys".into(), path: Some(path.into()), reason: "a test's".into() };
        for (waivers, outcome, told) in [
            (vec![], Outcome::Failed, "found /etc/a.key (BEGIN PRIVATE KEY), /etc/b.key (BEGIN PRIVATE KEY): give the key"),
            (vec![waiver("/etc/b*")], Outcome::Failed, "found /etc/a.key (BEGIN PRIVATE KEY): give the key"),
            (vec![waiver("/etc/*.key")], Outcome::Passed, "the recipe waives /etc/a.key"),
        ] {
            let promises = Promises { waivers, ..Promises::none() };
            let found = offline(&disk, &promises).unwrap();
            let check = found.iter().find(|check| check.name == "no private keys").unwrap();
            assert_eq!((check.outcome, check.detail.starts_with(told)), (outcome, true), "{}", check.detail);
        }
    }

    /// If one question cannot be answered, the others still are.
    #[test]
    fn what_cannot_be_read_fails_no_check_and_stops_none() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path(), &[("etc/fstab", "text\n"), ("etc/directory/", "")]);
        let file = |path: &str, contains: Option<&str>| Check {
            name: path.to_owned(),
            kind: CheckKind::File {
                path: path.parse().unwrap(),
                exists: true,
                contains: contains.map(str::to_owned),
                sha256: None,
                mode: None,
                owner: None,
            },
        };
        let checks = vec![
            file("/etc/directory", Some("text")),
            file("/etc/fstab/below", None),
            file("/etc/directory", None),
            file("/etc/fstab", Some("text")),
        ];
        let promises = Promises { enabled: vec!["docker".parse().unwrap()], checks, ..Promises::none() };
        let found = offline(&disk, &promises).unwrap();
        let outcome = |name: &str| found.iter().filter(|check| check.name == name).map(|check| check.outcome).collect::<Vec<_>>();
        assert_eq!(outcome("docker.service is enabled"), [Outcome::CouldNotRun]);
        assert_eq!(outcome("/etc/directory"), [Outcome::CouldNotRun, Outcome::Passed]);
        assert_eq!((outcome("/etc/fstab/below"), outcome("/etc/fstab")), (vec![Outcome::Failed], vec![Outcome::Passed]));
    }

    #[test]
    fn the_owner_of_a_file_is_told_by_the_names_of_the_image() {
        let dir = tempfile::tempdir().unwrap();
        // mke2fs takes owners from the tree, whose files are those of this process.
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let (passwd, groups) = (format!("maker:x:{user}:{group}::/:/bin/sh\n"), format!("makers:x:{group}:\n"));
        let disk = disk(dir.path(), &[("etc/fstab", ""), ("etc/passwd", &passwd), ("etc/group", &groups)]);
        let check = |owner: &str| Check {
            name: owner.to_owned(),
            kind: CheckKind::File {
                path: "/etc/fstab".parse().unwrap(),
                exists: true,
                contains: None,
                sha256: None,
                mode: None,
                owner: Some(owner.parse().unwrap()),
            },
        };
        let promises = Promises { checks: vec![check("maker:makers"), check("maker:maker"), check("x:makers")], ..Promises::none() };
        let found = offline(&disk, &promises).unwrap();
        let told = |name: &str| found.iter().find(|check| check.name == name).map(|check| check.detail.clone()).unwrap();
        assert_eq!(told("maker:makers"), "/etc/fstab");
        for other in ["maker:maker", "x:makers"] {
            assert_eq!(told(other), format!("/etc/fstab belongs to maker:makers, wanted {other}"));
        }
    }
}
