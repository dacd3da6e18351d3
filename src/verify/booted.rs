//! Promises that only a booted system can answer. The machines write to throw-away overlays.

use std::path::Path;

use serde_json::Value;

use super::services::Wanted;
use super::{CheckResult, Outcome, Promises, VerifyError, containers, docker, firewall, http, interfaces, ports, services};
use crate::base::event::Task;
use crate::base::failure::{Class, Failure};
use crate::base::text::shell_line;
use crate::image::{self, BootFiles, Format};
use crate::machine::booting::Booting;
use crate::machine::firmware::find_uefi;
use crate::machine::runner::{Bench, Guest, Mode, RunnerTask};
use crate::machine::spec::{Boot, Drive, FirmwareFiles};
use crate::machine::watch::Watch;
use crate::machine::{Machine, MachineEvent};
use crate::recipe::{CheckKind, Firmware};

/// The command for the full output of `docker info`, which the recipe's Docker check reads.
const DOCKER_INFO: &str = "docker info --format '{{json .}}' 2>/dev/null";
/// A unit may still be starting when Docker is up; systemd 219 of EL 7 does not have `--wait`.
const BOOTED: &str = "\
for try in $(seq 300); do
    case $(systemctl is-system-running) in
    running | degraded | maintenance) exit 0 ;;
    esac
    sleep 1
done
exit 1";
/// Every packet filter there may be: both back ends of iptables, for both protocols, and tables made by nft itself.
/// A line `tables` says how many could be read.
const FIREWALL: &str = "\
asked=0
for save in iptables-save ip6tables-save iptables-legacy-save ip6tables-legacy-save; do
    if command -v $save > /dev/null; then $save && asked=$((asked + 1)); fi
done 2>/dev/null
if command -v nft > /dev/null; then nft list tables 2> /dev/null | sed 's/^table /nft &/'; fi
echo asked $asked";
/// Runs the file `text` in `/` and keeps its two outputs apart.
const COMMAND: &str = "\
here=$PWD
(cd / && exec /bin/sh -c \"$(cat \"$here/text\")\") > out 2> err
status=$?
# A last line without its end must not swallow the next.
sed 's/^/o:/' out; echo
sed 's/^/e:/' err; echo
exit $status";

/// The answers of a booted system.
pub struct Booted {
    /// The promises, judged.
    pub checks: Vec<CheckResult>,
    /// `docker info` as JSON, when a check asked for it.
    pub docker_info: Option<Value>,
}

/// Boot a throw-away overlay of `image` directly, with the runner, and put every question to it.
///
/// # Errors
/// The system did not come up, so there is no verdict.
pub async fn system(image: &Path, promises: &Promises, bench: &Bench<'_>, task: &Task) -> Result<Booted, VerifyError> {
    let overlay = bench.scratch.join("verify-system.qcow2");
    image::create_overlay(image, Format::Qcow2, &overlay).await?;
    let files = BootFiles::extract(&overlay, Format::Qcow2, bench.scratch).await?;
    let tasks = questions(promises);
    let disk = Drive::scratch(&overlay, Format::Qcow2, "disk");
    let mut guest = bench.boot("verify-system", vec![disk], files.parts(), Mode::Live, &tasks, task).await?;
    let mut answers = Vec::new();
    for question in &tasks {
        task.step(&question.name);
        answers.push(ask(&mut guest, &question.name, task).await?);
    }
    let booted = judge(promises, &answers);
    if let Some(failed) = booted.checks.iter().find(|check| check.outcome == Outcome::Failed) {
        guest.offer_shell(&Broken { name: failed.name.clone(), detail: failed.detail.clone() }, task).await;
    }
    guest.discard().await;
    Ok(booted)
}

/// A promise that a booted system does not keep, to be looked into before the system ends.
#[derive(Debug, thiserror::Error)]
#[error("the check `{name}` failed: {detail}")]
struct Broken {
    name: String,
    detail: String,
}

impl Failure for Broken {
    fn class(&self) -> Class {
        Class::Image
    }

    fn remedy(&self) -> Option<String> {
        None
    }
}

/// How one boot through the boot loader ended.
enum Reached {
    /// This line of the console is the log-in prompt.
    Prompt(String),
    /// systemd gave up on the serial console, so there will be no prompt on it.
    NoConsole,
    /// The guest did not get there.
    Not(String),
    /// There is no verdict, for this reason.
    Unknown(String),
}

/// The detail for a boot that ends with [`Reached::NoConsole`].
const NO_CONSOLE: &str = "systemd gave up on the serial console before udev announced it (90 s), and started no log-in there";

/// Boot a throw-away overlay of `image` through firmware and boot loader to the log-in prompt. A boot without a serial console is tried a
/// second time: on a busy host udev can take longer than systemd waits for `dev-ttyS0.device`, and the image is not to blame.
///
/// # Errors
/// The machine could not be started.
pub async fn boot_path(image: &Path, promises: &Promises, bench: &Bench<'_>, task: &Task) -> Result<CheckResult, VerifyError> {
    let name = format!(
        "boots through {} to the log-in prompt",
        match promises.firmware {
            Firmware::Bios => "BIOS and boot loader",
            Firmware::Uefi => "UEFI and boot loader",
        }
    );
    let mut reached = boot_once(image, promises, bench, "verify-boot", task).await?;
    if matches!(reached, Reached::NoConsole) {
        task.events().warn(format!("{NO_CONSOLE}: the image is booted once more"));
        reached = boot_once(image, promises, bench, "verify-boot-again", task).await?;
    }
    Ok(match reached {
        Reached::Prompt(line) => CheckResult::passed(name, line),
        Reached::Not(why) => CheckResult::failed(name, why),
        Reached::Unknown(why) => CheckResult::could_not_run(name, why),
        Reached::NoConsole => CheckResult::could_not_run(name, format!("{NO_CONSOLE}, twice: verify the image when the host is less busy")),
    })
}

async fn boot_once(image: &Path, promises: &Promises, bench: &Bench<'_>, machine: &str, task: &Task) -> Result<Reached, VerifyError> {
    let overlay = bench.scratch.join(format!("{machine}.qcow2"));
    image::create_overlay(image, Format::Qcow2, &overlay).await?;
    let disk = Drive::scratch(&overlay, Format::Qcow2, "disk");
    let firmware = match promises.firmware {
        Firmware::Bios => FirmwareFiles::Bios,
        Firmware::Uefi => match uefi(bench.scratch) {
            Ok(files) => files,
            Err(why) => return Ok(Reached::Unknown(why)),
        },
    };
    let mut machine = Machine::launch(&bench.spec(machine, vec![disk], Boot::Disk(firmware)), &bench.evidence.join(machine)).await?;
    let now = std::time::Instant::now();
    let mut watch = Watch::new(bench.boot_limits(), now);
    watch.enter(now, "boot");
    let mut booting = Booting::begin("booting by its boot loader", task);
    let hostname = promises.hostname.as_ref().and_then(|hostname| hostname.split('.').next()).unwrap_or_default();
    let wanted = format!("{hostname} login:");
    loop {
        let said = match machine.watched(&mut watch, task).await {
            Ok(MachineEvent::ConsoleLine(line) | MachineEvent::ConsolePrompt(line)) => line,
            Ok(MachineEvent::Shutdown(reason)) => return Ok(Reached::Not(format!("the guest {reason} before it"))),
            Ok(_) => continue,
            Err(error) if error.is_the_guests() => return Ok(Reached::Not(error.to_string())),
            Err(error) => return Ok(Reached::Unknown(error.to_string())),
        };
        booting.hear(&said, task);
        if said.contains(&wanted) || has_no_console(&said) {
            machine.quit().await;
            return Ok(if said.contains(&wanted) { Reached::Prompt(said.trim().to_owned()) } else { Reached::NoConsole });
        }
    }
}

/// systemd's line of a getty whose device did not come (systemd 219, src/core/job.c, `job_get_status_message_format`). Later ones shorten
/// the unit's name in its middle: "Dependency failed for seri…rvice - Serial Getty on ttyS0."
fn has_no_console(line: &str) -> bool {
    line.split_once("Dependency failed for ").is_some_and(|(_, unit)| unit.contains("Serial Getty on ttyS0"))
}

/// The firmware and a fresh copy of its variables.
fn uefi(scratch: &Path) -> Result<FirmwareFiles, String> {
    let found = find_uefi().map_err(|error| error.to_string())?;
    found.forgetful(scratch.join("verify-vars")).map_err(|error| format!("the firmware's variables cannot be copied: {error}"))
}

fn question(name: impl Into<String>, script: impl AsRef<str>) -> RunnerTask {
    RunnerTask { name: name.into(), script: format!("#!/bin/sh\n{}\n", script.as_ref()).into_bytes(), files: Vec::new() }
}

/// The wanted parameters as `goldsmith-early.service` saw them before Docker started. Only these are asked for, because there are a
/// thousand in all.
fn early_sysctl(promises: &Promises) -> String {
    let asked = promises.checks.iter().filter_map(|check| match &check.kind {
        CheckKind::Sysctl { key, .. } => Some(key),
        _ => None,
    });
    let patterns: String =
        promises.sysctl.keys().chain(asked).map(|key| format!(" -e {}", shell_line([format!("{key} =").as_str()]))).collect();
    format!("grep -F -e 'kernel.ostype ='{patterns} /run/goldsmith/sysctl; true")
}

/// The wanted modules, loaded or built in; `-` and `_` are interchangeable in a module's name.
fn modules(promises: &Promises) -> String {
    if promises.modules.is_empty() {
        return "true".to_owned();
    }
    let names: Vec<String> = promises.modules.iter().map(|name| name.replace(['-', '_'], "[-_]")).collect();
    format!("grep -hoE '(^|/)({})(\\.ko| )' /proc/modules /lib/modules/$(uname -r)/modules.builtin; true", names.join("|"))
}

/// A question to Docker, which not every image starts at boot. The two outputs are kept separate.
fn ask_docker(name: String, command: &str) -> RunnerTask {
    let text = format!("systemctl start docker && {command}");
    RunnerTask { files: vec![("text".to_owned(), text.into_bytes())], ..question(name, COMMAND) }
}

/// The questions about container images: each tag, then the runs.
fn container_questions(promises: &Promises) -> Vec<RunnerTask> {
    let tags = containers::tags(&promises.container_images).enumerate();
    let inspect = tags.map(|(index, (_, tag))| ask_docker(format!("image-{index}"), &containers::inspect(tag)));
    let runs = promises.container_runs.iter().enumerate();
    inspect.chain(runs.map(|(index, (name, run))| ask_docker(format!("container-{index}"), &containers::run(name, run)))).collect()
}

/// One task a question; the order is that of [`judge`].
fn questions(promises: &Promises) -> Vec<RunnerTask> {
    let mut tasks = vec![
        question("booted", BOOTED),
        question("sysctl", early_sysctl(promises)),
        question("modules", modules(promises)),
        question("hostname", "cat /proc/sys/kernel/hostname"),
        question("failed-units", "systemctl --failed --no-legend --plain 2> /dev/null && echo end"),
        question("firewall", FIREWALL),
    ];
    for (index, check) in promises.checks.iter().enumerate() {
        let name = format!("check-{index}");
        tasks.push(match &check.kind {
            CheckKind::Docker { .. } => question(name, DOCKER_INFO),
            CheckKind::Command { run, .. } => {
                RunnerTask { files: vec![("text".to_owned(), run.clone().into_bytes())], ..question(name, COMMAND) }
            }
            CheckKind::Service { unit, enabled, active, restarting } => {
                question(name, services::question(unit, Wanted { enabled: *enabled, active: *active, restarting: *restarting }))
            }
            CheckKind::Package { package, .. } => {
                let package = shell_line([package.as_str()]);
                question(
                    name,
                    format!(
                        "if command -v dpkg-query > /dev/null; then dpkg-query -W -f '${{db:Status-Status}} ${{Version}}\\n' {package}\n\
                     else rpm -q --qf 'installed %{{VERSION}}-%{{RELEASE}}\\n' {package}; fi 2>/dev/null | grep '^installed '; true"
                    ),
                )
            }
            CheckKind::Port { protocol, .. } => question(name, ports::question(*protocol)),
            CheckKind::Http { url, status, contains } => {
                RunnerTask { files: http::files(url), ..question(name, http::question(url, *status, contains.as_deref())) }
            }
            CheckKind::Swap { .. } => question(name, "cat /proc/swaps 2> /dev/null; true"),
            // Answered by the disk, and by the early look at all parameters.
            CheckKind::File { .. } | CheckKind::Sysctl { .. } => question(name, "true"),
        });
    }
    tasks.extend(container_questions(promises));
    let wanted = promises.interfaces.iter().enumerate();
    tasks.extend(wanted.map(|(index, interface)| question(format!("interface-{index}"), interfaces::question(interface))));
    tasks
}

struct Answer {
    status: i32,
    lines: Vec<String>,
}

impl Answer {
    /// Standard output and error of [`COMMAND`].
    fn parts(&self) -> (String, String) {
        let part = |mark: &str| self.lines.iter().filter_map(|line| line.strip_prefix(mark)).collect::<Vec<_>>().join("\n");
        (part("o:"), part("e:"))
    }
}

async fn ask(guest: &mut Guest, name: &str, task: &Task) -> Result<Answer, VerifyError> {
    /// `sysctl -a` has a thousand lines; a command that never ends its output is cut here, not in our memory.
    const LINES_MAX: usize = 20_000;
    let mut lines = Vec::new();
    let status = guest
        .run(name, task, |line| {
            task.line("guest", line);
            if lines.len() < LINES_MAX {
                lines.push(line.to_owned());
            }
        })
        .await?;
    Ok(Answer { status, lines })
}

fn judge(promises: &Promises, answers: &[Answer]) -> Booted {
    let [booted, sysctl, modules, hostname, failed, rules, own @ ..] = answers else {
        return Booted { checks: Vec::new(), docker_info: None };
    };
    let name = "host name of the booted system";
    let said = hostname.lines.first().map_or("", String::as_str);
    let mut checks: Vec<_> = promises.hostname.iter().map(|wanted| CheckResult::equal(name, said, wanted)).collect();
    // The canary distinguishes a missing parameter from a question that failed.
    let seen = sysctl.lines.iter().any(|line| line.starts_with("kernel.ostype"));
    for (key, wanted) in &promises.sysctl {
        let name = format!("{key} before Docker starts");
        checks.push(match seen {
            true => CheckResult::equal(name, &parameter(&sysctl.lines, key), wanted),
            false => CheckResult::could_not_run(name, "sysctl(8) of the image did not answer"),
        });
    }
    for module in &promises.modules {
        checks.push(loaded(&modules.lines, module));
    }
    checks.push(failed_units(promises, booted, failed));
    checks.push(packet_filter(promises, rules));
    let mut docker_info = None;
    let (own, containers) = own.split_at(promises.checks.len().min(own.len()));
    for (check, answer) in promises.checks.iter().zip(own) {
        checks.extend(own_check(&check.name, &check.kind, answer, &sysctl.lines, &mut docker_info));
    }
    let (containers, links) = containers.split_at(containers.len().saturating_sub(promises.interfaces.len()));
    let (images, runs) = containers.split_at(containers::tags(&promises.container_images).count().min(containers.len()));
    let images = containers::tags(&promises.container_images).zip(images);
    checks.extend(images.map(|((image, tag), answer)| containers::judge_image(image, tag, answer.status, &answer.parts())));
    let runs = promises.container_runs.iter().zip(runs);
    checks.extend(runs.map(|((name, run), answer)| containers::judge_run(name, run, answer.status, &answer.parts())));
    let links = promises.interfaces.iter().zip(links);
    checks.extend(links.map(|(interface, answer)| interfaces::judge(interface, &promises.interfaces, &answer.lines)));
    Booted { checks, docker_info }
}

/// A unit that must be started again and again has its own check, so it is left out here.
fn failed_units(promises: &Promises, booted: &Answer, failed: &Answer) -> CheckResult {
    let name = "failed units at boot";
    if booted.status != 0 {
        return CheckResult::failed(name, "the boot was not over after 300 s");
    }
    let Some((_, units)) = failed.lines.split_last().filter(|(end, _)| *end == "end") else {
        return CheckResult::could_not_run(name, "systemctl did not answer");
    };
    let is_told = |name: &&str| {
        promises.checks.iter().any(|check| match &check.kind {
            CheckKind::Service { unit, restarting: true, .. } => unit.full() == *name,
            _ => false,
        })
    };
    let mut names: Vec<&str> = units.iter().filter_map(|line| line.split_ascii_whitespace().find(|word| word.contains('.'))).collect();
    names.retain(|name| !is_told(name));
    if names.is_empty() { CheckResult::passed(name, "none") } else { CheckResult::failed(name, names.join(", ")) }
}

fn packet_filter(promises: &Promises, rules: &Answer) -> CheckResult {
    let name = "the packet filter holds nothing but Docker's rules";
    if !promises.no_firewall {
        return CheckResult::skipped(name, "the recipe keeps the firewall");
    }
    let asked = rules.lines.iter().find_map(|line| line.strip_prefix("asked ")).and_then(|count| count.parse().ok()).unwrap_or(0);
    let foreign = firewall::foreign_rules(&rules.lines.join("\n"));
    match (foreign.is_empty(), asked) {
        (false, _) => CheckResult::failed(name, foreign.join("; ")),
        (true, 0) if promises.checks.iter().any(|check| matches!(check.kind, CheckKind::Docker { .. })) => {
            CheckResult::could_not_run(name, "the image has no iptables-save that works")
        }
        (true, asked) => CheckResult::passed(name, format!("{asked} tables asked")),
    }
}

fn own_check(name: &str, kind: &CheckKind, answer: &Answer, sysctl: &[String], docker_info: &mut Option<Value>) -> Option<CheckResult> {
    Some(match kind {
        CheckKind::Docker { version, storage_driver, cgroup_driver, allow_warnings, settings } => {
            let output = answer.lines.join("\n");
            *docker_info = serde_json::from_str(&output).ok();
            let expected = docker::Expected {
                version: version.as_deref(),
                storage_driver: storage_driver.as_deref(),
                cgroup_driver: cgroup_driver.as_deref(),
                allow_warnings,
                settings,
            };
            docker::judge(name, &output, expected)
        }
        CheckKind::Command { status, stdout, .. } => command(name, answer, *status, stdout.as_deref()),
        CheckKind::Service { enabled, active, restarting, .. } => {
            services::judge(name, &answer.lines, Wanted { enabled: *enabled, active: *active, restarting: *restarting })
        }
        CheckKind::Package { version, installed, .. } => package(name, answer, version.as_deref(), *installed),
        CheckKind::Port { port, protocol, listening } => ports::judge(name, &answer.lines, (*port, *protocol), *listening),
        CheckKind::Http { url, status, contains } => http::judge(name, &answer.lines, url, *status, contains.as_deref()),
        CheckKind::Sysctl { key, value } => CheckResult::equal(name, &parameter(sysctl, key), value),
        CheckKind::Swap { active } => swap(name, &answer.lines, *active),
        CheckKind::File { .. } => return None,
    })
}

fn parameter(lines: &[String], key: &str) -> String {
    let found = lines.iter().find_map(|line| line.split_once('=').filter(|(name, _)| name.trim() == key));
    found.map_or("absent".to_owned(), |(_, value)| value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

/// `/proc/modules` writes underscores whatever the file is called; `modules.builtin` has paths.
fn loaded(lines: &[String], module: &str) -> CheckResult {
    let plain = module.replace('-', "_");
    let is = |line: &String| {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        let stem = word.rsplit('/').next().unwrap_or_default();
        stem.split('.').next().unwrap_or_default().replace('-', "_") == plain
    };
    let name = format!("module {module} is loaded");
    if lines.iter().any(is) { CheckResult::passed(name, "loaded") } else { CheckResult::failed(name, "it is not") }
}

fn command(name: &str, answer: &Answer, status: i32, stdout: Option<&str>) -> CheckResult {
    let (out, err) = answer.parts();
    let excerpt = |text: &str| text.chars().take(300).collect::<String>();
    if answer.status != status {
        return CheckResult::failed(name, format!("exit status {}, wanted {status}: {}", answer.status, excerpt(&err)));
    }
    match stdout {
        Some(wanted) if !out.contains(wanted) => CheckResult::failed(name, format!("`{wanted}` is not in the output: {}", excerpt(&out))),
        _ => CheckResult::passed(name, format!("exit status {status}")),
    }
}

fn package(name: &str, answer: &Answer, version: Option<&str>, installed: bool) -> CheckResult {
    let found = answer.lines.first().and_then(|line| line.strip_prefix("installed "));
    match (found, installed) {
        (None, false) => CheckResult::passed(name, "not installed"),
        (Some(found), false) => CheckResult::failed(name, format!("version {found} is installed")),
        (None, true) => CheckResult::failed(name, "it is not installed"),
        (Some(found), true) => match version {
            Some(wanted) if !found.starts_with(wanted) => CheckResult::failed(name, format!("version {found}, wanted {wanted}")),
            _ => CheckResult::passed(name, found),
        },
    }
}

/// proc_swaps(5): a heading, then a line for each space, which begins with its path. A kernel without swap has no such file.
fn swap(name: &str, lines: &[String], wanted: bool) -> CheckResult {
    let spaces: Vec<&str> =
        lines.iter().filter(|line| line.starts_with('/')).filter_map(|line| line.split_ascii_whitespace().next()).collect();
    let found = if spaces.is_empty() { "none is in use".to_owned() } else { format!("{} is in use", spaces.join(", ")) };
    if spaces.is_empty() == wanted { CheckResult::failed(name, found) } else { CheckResult::passed(name, found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::kernel::SysctlKey;
    use crate::base::unit::UnitName;
    use crate::base::word::Line;
    use crate::recipe::Check;

    fn answer(status: i32, lines: &[&str]) -> Answer {
        Answer { status, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
    }

    #[test]
    fn a_command_is_judged_by_status_and_output() {
        for (lines, status, wanted, stdout, outcome) in [
            (&["o:hello"][..], 0, 0, Some("ell"), Outcome::Passed),
            (&["o:hello"][..], 0, 0, Some("bye"), Outcome::Failed),
            (&["e:hello"][..], 0, 0, Some("hello"), Outcome::Failed),
            (&["e:no"][..], 3, 0, None, Outcome::Failed),
            (&[][..], 3, 3, None, Outcome::Passed),
        ] {
            assert_eq!(command("c", &answer(status, lines), wanted, stdout).outcome, outcome, "{lines:?} {status}");
        }
    }

    #[test]
    fn swap_is_what_the_kernel_uses() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority";
        let one = "/dev/vda2                               partition\t262140\t\t0\t\t-2";
        for (lines, wanted, outcome, detail) in [
            (&[heading][..], false, Outcome::Passed, "none is in use"),
            (&[][..], false, Outcome::Passed, "none is in use"),
            (&[heading][..], true, Outcome::Failed, "none is in use"),
            (&[heading, one][..], true, Outcome::Passed, "/dev/vda2 is in use"),
            (&[heading, one][..], false, Outcome::Failed, "/dev/vda2 is in use"),
        ] {
            let found = swap("s", &answer(0, lines).lines, wanted);
            assert_eq!((found.outcome, &*found.detail), (outcome, detail), "{lines:?} {wanted}");
        }
    }

    /// kubelet fails until its node has joined, and its own check takes that into account.
    #[test]
    fn failed_units_are_told_once() {
        let kubelet = |unit: &str, restarting| Check {
            name: "k".to_owned(),
            kind: CheckKind::Service { unit: UnitName::made(unit), enabled: None, active: None, restarting },
        };
        let failed = answer(0, &["kubelet.service loaded failed failed kubelet", "end"]);
        for (checks, outcome) in [
            (vec![], Outcome::Failed),
            (vec![kubelet("kubelet", false)], Outcome::Failed),
            (vec![kubelet("kubelet", true)], Outcome::Passed),
            (vec![kubelet("kubelet.service", true)], Outcome::Passed),
            (vec![kubelet("kube", true)], Outcome::Failed),
        ] {
            let promises = Promises { checks, ..Promises::none() };
            assert_eq!(failed_units(&promises, &answer(0, &[]), &failed).outcome, outcome, "{:?}", promises.checks);
        }
    }

    #[test]
    fn a_boot_without_a_serial_console_is_told() {
        // Debian 12 on a busy host; systemd 219.
        assert!(has_no_console("[DEPEND] Dependency failed for seri…rvice - Serial Getty on ttyS0."));
        assert!(has_no_console("[DEPEND] Dependency failed for Serial Getty on ttyS0."));
        assert!(!has_no_console("[  OK  ] Started seri…rvice - Serial Getty on ttyS0."));
        assert!(!has_no_console("[DEPEND] Dependency failed for Local File Systems."));
    }

    #[test]
    fn packages_are_judged() {
        let passed = |result: CheckResult| result.outcome == Outcome::Passed;
        let there = answer(0, &["installed 20.10.24+dfsg1-1"]);
        assert!(passed(package("p", &there, Some("20.10.24"), true)) && !passed(package("p", &there, Some("18"), true)));
        assert!(!passed(package("p", &there, None, false)) && passed(package("p", &answer(1, &[]), None, false)));
    }

    /// dockerd sets some of them itself, so their values in the running system do not prove the image's settings.
    #[test]
    fn parameters_are_those_of_before_docker() {
        let unit = include_str!("../machine/runner/guest/units/goldsmith-early.service");
        let words = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().split(' ').collect::<Vec<_>>();
        assert!(words("Before=").contains(&"docker.service") && words("After=").contains(&"systemd-sysctl.service"), "{unit}");
        assert!(unit.contains("sysctl -a > /run/goldsmith/sysctl "), "{unit}");

        let key = "net.ipv4.ip_forward";
        let promises = Promises { sysctl: [(SysctlKey::made(key), Line::made("1"))].into(), ..Promises::none() };
        let question = early_sysctl(&promises);
        assert!(question.contains(&format!("'{key} ='")) && question.contains(" /run/goldsmith/sysctl;"), "{question}");
        for (noted, outcome) in [("1", Outcome::Passed), ("0", Outcome::Failed)] {
            let noted = answer(0, &["kernel.ostype = Linux", &format!("{key} = {noted}")]);
            let all = [answer(0, &[]), noted, answer(0, &[]), answer(0, &[]), answer(0, &["end"]), answer(0, &["asked 0"])];
            let judged = judge(&promises, &all).checks;
            let found = judged.iter().find(|check| check.name.contains(key)).unwrap();
            assert_eq!(found.outcome, outcome, "{found:?}");
        }
    }

    #[test]
    fn parameters_and_modules_are_found() {
        let lines = answer(
            0,
            &["net.ipv4.ip_forward = 1", "net.ipv4.ip_forward_update_priority = 0", "br_netfilter 32768 0", "kernel/fs/ext4/ext4.ko"],
        )
        .lines;
        assert_eq!((parameter(&lines, "net.ipv4.ip_forward"), parameter(&lines, "vm.x")), ("1".to_owned(), "absent".to_owned()));
        for (module, outcome) in
            [("br_netfilter", Outcome::Passed), ("br-netfilter", Outcome::Passed), ("ext4", Outcome::Passed), ("overlay", Outcome::Failed)]
        {
            assert_eq!(loaded(&lines, module).outcome, outcome, "{module}");
        }
    }
}
