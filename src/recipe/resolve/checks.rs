//! The promises that are verified on the finished image.

use super::super::tree::KeyPath;
use super::super::written;
use super::super::{Check, CheckKind, Content, DockerSettings, Protocol, syntax};
use super::content::unix_lines;
use super::fields::{sha256, sysctl_value};
use super::judge::Judge;
use crate::base::text::shell_line;
use crate::base::word::one_line;

/// The `[[check]]` tables.
pub(super) fn checks(judge: &mut Judge<'_>, written: &[written::Check]) -> Vec<Check> {
    let path = KeyPath::from("check");
    written.iter().enumerate().filter_map(|(index, check)| one_check(judge, &path.at(index), check)).collect()
}

/// The check that `command` prints exactly `wanted`; the error begins with `subject`. `stdout` of a check is also found in a longer output.
pub(super) fn prints(command: &str, wanted: &str, subject: &str) -> CheckKind {
    let wanted = shell_line([wanted]);
    let run = format!("found=$({command}) || exit\n[ \"$found\" = {wanted} ] || {{ echo \"{subject}: $found\" >&2; exit 1; }}");
    CheckKind::Command { run, status: 0, stdout: None }
}

fn one_check(judge: &mut Judge<'_>, path: &KeyPath, written: &written::Check) -> Option<Check> {
    // The kinds that the check has, in the order of CHECK_KINDS; `None` is one that cannot be used, which is reported already.
    let mut kinds: Vec<Option<CheckKind>> = Vec::new();
    kinds.extend(written.docker.as_ref().map(|check| Some(docker(judge, &path.at("docker"), check))));
    kinds.extend(written.command.as_ref().map(|check| Some(command(judge, &path.at("command"), check))));
    kinds.extend(written.service.as_ref().map(|check| service(judge, &path.at("service"), check)));
    kinds.extend(written.package.as_ref().map(|check| package(judge, &path.at("package"), check)));
    kinds.extend(written.file.as_ref().map(|check| file(judge, &path.at("file"), check)));
    kinds.extend(written.sysctl.as_ref().map(|check| sysctl(judge, &path.at("sysctl"), check)));
    kinds.extend(written.port.as_ref().map(|check| Some(port(check))));
    kinds.extend(written.http.as_ref().map(|check| http(judge, &path.at("http"), check)));
    kinds.extend(written.swap.as_ref().map(|check| Some(CheckKind::Swap { active: check.active })));
    if kinds.len() > 1 {
        judge.wrong(path, "a check checks one thing", "begin another `[[check]]` for each");
    } else if kinds.is_empty() {
        judge.none_of(path, &written::CHECK_KINDS, "this check checks nothing");
    }
    let kind = kinds.pop()??;
    let name = written.name.as_ref().map(|name| judge.spelled(&path.at("name"), name, one_line));
    Some(Check { name: name.unwrap_or_else(|| title(&kind)), kind })
}

/// A check's name, made from what it checks.
fn title(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Docker { version: Some(version), .. } => format!("docker {version}"),
        CheckKind::Docker { .. } => "docker".to_owned(),
        CheckKind::Command { run, .. } => format!("command {}", run.lines().next().unwrap_or_default()),
        CheckKind::Service { unit, .. } => format!("service {unit}"),
        CheckKind::Package { package, .. } => format!("package {package}"),
        CheckKind::File { path, .. } => format!("file {path}"),
        CheckKind::Sysctl { key, .. } => format!("sysctl {key}"),
        CheckKind::Port { port, protocol: Protocol::Tcp, .. } => format!("port {port}"),
        CheckKind::Port { port, protocol: Protocol::Udp, .. } => format!("UDP port {port}"),
        CheckKind::Http { url, .. } => url.to_string(),
        CheckKind::Swap { active: true } => "swap".to_owned(),
        CheckKind::Swap { active: false } => "no swap".to_owned(),
    }
}

/// A line of text, if it is given.
fn said(judge: &mut Judge<'_>, path: &KeyPath, text: Option<&String>) -> Option<String> {
    text.map(|text| judge.spelled(path, text, one_line))
}

fn docker(judge: &mut Judge<'_>, path: &KeyPath, written: &written::DockerCheck) -> CheckKind {
    if written.version.is_none() && written.storage_driver.is_none() && written.cgroup_driver.is_none() {
        judge.none_of(path, &["version", "storage_driver", "cgroup_driver"], "this check expects nothing of Docker");
    }
    CheckKind::Docker {
        version: said(judge, &path.at("version"), written.version.as_ref()),
        storage_driver: said(judge, &path.at("storage_driver"), written.storage_driver.as_ref()),
        cgroup_driver: said(judge, &path.at("cgroup_driver"), written.cgroup_driver.as_ref()),
        allow_warnings: judge.all_spelled(&path.at("allow_warnings"), &written.allow_warnings, one_line),
        settings: DockerSettings::default(),
    }
}

fn command(judge: &mut Judge<'_>, path: &KeyPath, written: &written::CommandCheck) -> CheckKind {
    if written.run.trim().is_empty() || written.run.contains('\0') {
        judge.wrong(&path.at("run"), "this is not a command", "write a line that /bin/sh can run");
    }
    unix_lines(judge, &path.at("run"), &Content::Inline { text: written.run.clone() });
    if written.stdout.as_deref() == Some("") {
        judge.wrong(&path.at("stdout"), "every output contains the empty text", "write what to look for, or remove `stdout`");
    }
    CheckKind::Command { run: written.run.clone(), status: written.status, stdout: written.stdout.clone() }
}

fn service(judge: &mut Judge<'_>, path: &KeyPath, written: &written::ServiceCheck) -> Option<CheckKind> {
    if written.enabled.is_none() && written.active.is_none() && !written.restarting {
        judge.none_of(path, &["enabled", "active", "restarting"], "this check expects nothing of the service");
    }
    if written.restarting && written.active.is_some() {
        let title = "a unit that is started again and again is active by turns";
        judge.clash(&path.at("active"), &path.at("restarting"), "started again and again", title, "remove `active`");
    }
    if written.restarting && written.unit.contains('.') && !written.unit.ends_with(".service") {
        judge.wrong(&path.at("restarting"), "systemd starts services alone again", "name a service, or remove `restarting`");
    }
    Some(CheckKind::Service {
        unit: judge.parsed(&path.at("unit"), &written.unit)?,
        enabled: written.enabled,
        active: written.active,
        restarting: written.restarting,
    })
}

fn package(judge: &mut Judge<'_>, path: &KeyPath, written: &written::PackageCheck) -> Option<CheckKind> {
    if !written.installed && written.version.is_some() {
        let title = "a package that must not be there has no version";
        judge.clash(&path.at("version"), &path.at("installed"), "must not be there", title, "remove `version`");
    }
    let version = said(judge, &path.at("version"), written.version.as_ref());
    Some(CheckKind::Package { package: judge.parsed(&path.at("name"), &written.name)?, version, installed: written.installed })
}

fn file(judge: &mut Judge<'_>, path: &KeyPath, written: &written::FileCheck) -> Option<CheckKind> {
    for (key, said) in [
        ("contains", written.contains.is_some()),
        ("sha256", written.sha256.is_some()),
        ("mode", written.mode.is_some()),
        ("owner", written.owner.is_some()),
    ] {
        if said && !written.exists {
            let title = format!("a file that must not be there has no `{key}`");
            judge.clash(&path.at(key), &path.at("exists"), "must not be there", title, format!("remove `{key}`"));
        }
    }
    if written.contains.as_deref() == Some("") {
        judge.wrong(&path.at("contains"), "every file contains the empty text", "write what to look for, or remove `contains`");
    }
    let file = judge.parsed(&path.at("path"), &written.path);
    Some(CheckKind::File {
        exists: written.exists,
        contains: written.contains.clone(),
        sha256: sha256(judge, &path.at("sha256"), written.sha256.as_deref()),
        mode: written.mode.as_ref().and_then(|mode| judge.verdict(&path.at("mode"), syntax::mode(mode))),
        owner: written.owner.as_ref().and_then(|owner| judge.parsed(&path.at("owner"), owner)),
        path: file?,
    })
}

fn sysctl(judge: &mut Judge<'_>, path: &KeyPath, written: &written::SysctlCheck) -> Option<CheckKind> {
    let key = judge.parsed(&path.at("key"), &written.key);
    let value = sysctl_value(judge, &path.at("value"), &written.value);
    Some(CheckKind::Sysctl { key: key?, value: value? })
}

fn port(written: &written::PortCheck) -> CheckKind {
    CheckKind::Port { port: written.number, protocol: written.protocol, listening: written.listening }
}

fn http(judge: &mut Judge<'_>, path: &KeyPath, written: &written::HttpCheck) -> Option<CheckKind> {
    if written.contains.as_deref() == Some("") {
        judge.wrong(&path.at("contains"), "every answer contains the empty text", "write what to look for, or remove `contains`");
    }
    // RFC 9110, 15.3.5 and 15.4.5.
    if matches!(written.status, 204 | 304) && written.contains.is_some() {
        let title = format!("an answer with status {} has no content", written.status);
        judge.clash(&path.at("contains"), &path.at("status"), "this status", title, "remove `contains`, or want another status");
    }
    let url = judge.verdict(&path.at("url"), syntax::local_url(&written.url))?;
    Some(CheckKind::Http { url, status: written.status, contains: written.contains.clone() })
}
