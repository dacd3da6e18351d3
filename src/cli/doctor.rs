//! Whether this host can build: each requirement is tried, not guessed, and each one that is not met comes with its remedy.
//!
//! Only the machine module knows the accelerator and the firmware. Its findings are passed in as rows.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::base::event::SCHEMA;
use crate::base::process::{Invocation, ProcessError, Tool};
use crate::base::size::{ByteSize, rounded};
use crate::base::text::printable;

/// A probe that takes longer counts as failed.
const PROBE_TIME: Duration = Duration::from_secs(10);

/// A host requirement and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name of the requirement.
    pub name: &'static str,
    /// Whether it is met.
    pub verdict: Verdict,
    /// The finding.
    pub detail: String,
    /// The command or action that meets it.
    pub mend: Option<String>,
}

/// Whether a requirement is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is met.
    Ok,
    /// Builds work, but slower, or only some of them.
    Degraded,
    /// Builds fail.
    Missing,
}

impl Row {
    /// It is met.
    pub fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), mend: None }
    }

    /// Builds still work.
    pub fn degraded(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Degraded, detail: detail.into(), mend: Some(mend.into()) }
    }

    /// Builds fail.
    pub fn missing(name: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Missing, detail: detail.into(), mend: Some(mend.into()) }
    }
}

/// Where a build would write.
#[derive(Debug, Clone)]
pub struct Places {
    /// The store.
    pub store: PathBuf,
    /// Where artifacts are published.
    pub output: PathBuf,
}

/// A program that must be installed, with its oldest version.
struct Program {
    name: &'static str,
    tool: Tool,
    version_flag: &'static str,
    /// Major and minor version. The comment at each program gives the reason.
    at_least: (u32, u32),
    /// The builds that need it; `None` when every build needs it.
    only_for: Option<&'static str>,
}

const PROGRAMS: &[Program] = &[
    // Screenshots as PNG came with 7.1; 7.2 is the oldest that was tried.
    Program { name: "QEMU", tool: Tool::QemuSystem, version_flag: "--version", at_least: (7, 2), only_for: None },
    // zstd clusters came with 5.1; the two are released together.
    Program { name: "qemu-img", tool: Tool::QemuImg, version_flag: "--version", at_least: (5, 1), only_for: None },
    // `base:allocation` came with 2.12.
    Program {
        name: "qemu-nbd",
        tool: Tool::QemuNbd,
        version_flag: "--version",
        at_least: (2, 12),
        only_for: Some("images in VMDK, VHDX and VHD"),
    },
    // `-o APT::Update::Error-Mode=any` came with 2.1.16.
    Program { name: "apt-get", tool: Tool::AptGet, version_flag: "--version", at_least: (2, 1), only_for: Some("recipes of Debian") },
    // Formats and modes as in Debian 12.
    Program { name: "mmdebstrap", tool: Tool::Mmdebstrap, version_flag: "--version", at_least: (1, 3), only_for: None },
    // `-d`, a tree to fill the file system from, came with 1.43.
    Program { name: "mke2fs", tool: Tool::Mke2fs, version_flag: "-V", at_least: (1, 43), only_for: None },
    // `-z`, which notes what is written, came with 1.43.
    Program { name: "debugfs", tool: Tool::Debugfs, version_flag: "-V", at_least: (1, 43), only_for: Some("clones as files") },
    // `--fd` is older; 7.2 is the oldest that was tried, and a program of its own since 1.0.
    Program {
        name: "virtiofsd",
        tool: Tool::Virtiofsd,
        version_flag: "--version",
        at_least: (1, 0),
        only_for: Some("directories of this host in VMs, `up --volume`"),
    },
    // `--map-auto` came with 2.38.
    Program { name: "unshare", tool: Tool::Unshare, version_flag: "--version", at_least: (2, 38), only_for: None },
    // `--set-timestamp-to-revision` came with 0.9.
    Program {
        name: "createrepo_c",
        tool: Tool::CreaterepoC,
        version_flag: "--version",
        at_least: (0, 9),
        only_for: Some("recipes with an archive of packages that has no repodata"),
    },
    // The oldest that was tried; its status lines are older.
    Program { name: "gpgv", tool: Tool::Gpgv, version_flag: "--version", at_least: (2, 2), only_for: Some("recipes with gpg_keys") },
];

/// With less space than the first value a build fails, and with less than the second it may fail. A Docker image of Debian 12 takes about 2
/// GiB of the store.
const STORE_SPACE: (ByteSize, ByteSize) = (ByteSize::gib(3), ByteSize::gib(8));
/// The same for the published image.
const OUTPUT_SPACE: (ByteSize, ByteSize) = (ByteSize::gib(1), ByteSize::gib(3));
/// With less memory than the first value no machine starts, and with less than the second the host swaps.
const MEMORY: (ByteSize, ByteSize) = (ByteSize::gib(1), ByteSize::mib(2560));

/// Debian's archive keys, as `debian-archive-keyring` installs them; mmdebstrap trusts nothing else.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Try every requirement. `machine` are the rows for accelerator and firmware.
pub async fn examine(places: &Places, machine: Vec<Row>) -> Vec<Row> {
    let mut rows = Vec::new();
    for program in PROGRAMS {
        rows.push(examine_program(program).await);
    }
    rows.extend(machine);
    rows.push(examine_namespaces().await);
    rows.push(match fs::metadata(KEYRING) {
        Ok(_) => Row::ok("Debian keyring", KEYRING),
        Err(error) => Row::missing("Debian keyring", format!("{KEYRING}: {error}"), install("debian-archive-keyring")),
    });
    rows.push(examine_space("store", &places.store, STORE_SPACE, "--store DIR"));
    rows.push(examine_space("output", &places.output, OUTPUT_SPACE, "-o DIR"));
    rows.push(examine_memory());
    rows
}

/// The rows for people, a line each and one more for the remedy.
pub fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Ok => "ok",
            Verdict::Degraded => "degraded",
            Verdict::Missing => "missing",
        };
        text.push_str(&format!("{verdict:<8}  {:<width$}  {}\n", row.name, printable(&row.detail)));
        if let Some(mend) = &row.mend {
            text.push_str(&format!("          mend: {}\n", printable(mend)));
        }
    }
    text
}

/// The rows for machines: one document.
pub fn json(rows: &[Row]) -> String {
    serde_json::json!({ "schema": SCHEMA, "requirements": rows }).to_string() + "\n"
}

fn install(package: &str) -> String {
    format!("apt-get install {package}")
}

async fn examine_program(program: &Program) -> Row {
    let Program { name, tool, version_flag, at_least, only_for } = program;
    let row = match said(Invocation::new(*tool).arg(version_flag)).await {
        Ok(text) => judge_version(name, &text, *at_least, tool.package()),
        Err(why) => Row::missing(name, why, install(tool.package())),
    };
    match only_for {
        Some(what) if row.verdict == Verdict::Missing => {
            Row { verdict: Verdict::Degraded, detail: format!("{}; only {what} need it", row.detail), ..row }
        }
        _ => row,
    }
}

/// The first line that a program prints, or the reason why there is none.
async fn said(invocation: Invocation) -> Result<String, String> {
    let command_line = invocation.command_line();
    let mut first = String::new();
    let run = invocation.run_with(|line| {
        if first.is_empty() {
            line.clone_into(&mut first);
        }
    });
    match tokio::time::timeout(PROBE_TIME, run).await {
        Ok(Ok(())) => Ok(first),
        Ok(Err(ProcessError::Missing { .. })) => Err("not installed".into()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("`{command_line}` did not end within {} s", PROBE_TIME.as_secs())),
    }
}

fn judge_version(name: &'static str, said: &str, at_least: (u32, u32), package: &str) -> Row {
    let wanted = format!("{}.{}", at_least.0, at_least.1);
    match version(said) {
        Some((text, version)) if version >= at_least => Row::ok(name, text),
        Some((text, _)) => Row::missing(name, format!("{text} is too old, {wanted} is needed"), install(package)),
        None => Row::degraded(name, format!("its version is not known (`{said}`), {wanted} is needed"), install(package)),
    }
}

/// The first word of `said` that is a version, whole and as major and minor.
fn version(said: &str) -> Option<(&str, (u32, u32))> {
    said.split_whitespace().find_map(|word| {
        let mut numbers = word.split(|c: char| !c.is_ascii_digit());
        let (major, minor) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        Some((word, (major, minor)))
    })
}

/// Try to enter the namespaces that native work runs in.
async fn examine_namespaces() -> Row {
    let name = "namespaces";
    match said(Invocation::new(Tool::Shell).args(["-c", "id -u"]).contained()).await {
        Ok(uid) if uid == "0" => Row::ok(name, "a contained root was entered and left"),
        Ok(uid) => Row::missing(name, format!("the contained user is `{uid}`, not root"), "see user_namespaces(7)"),
        Err(why) => {
            let uid = rustix::process::geteuid().as_raw();
            let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
            let (cause, mend) = explain_namespaces(uid, &read("/etc/passwd"), &read("/etc/subuid"), &read("/etc/subgid"), read);
            Row::missing(name, format!("{why}{cause}"), mend)
        }
    }
}

/// The likely cause of a refused namespace, and its remedy. `read` gives the content of a file below `/proc/sys`.
fn explain_namespaces(uid: u32, passwd: &str, subuid: &str, subgid: &str, read: impl Fn(&str) -> String) -> (String, String) {
    if uid == 0 {
        return (String::new(), "run where unshare(2) is permitted: in a container, add the capability SYS_ADMIN".into());
    }
    for (key, bad, good) in [
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ] {
        if read(&format!("/proc/sys/{}", key.replace('.', "/"))).trim() == bad {
            return (format!(" ({key} is {bad})"), format!("sysctl -w {key}={good}"));
        }
    }
    let id = uid.to_string();
    let user = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let user = fields.next()?;
        (fields.nth(1) == Some(&id)).then_some(user)
    });
    let user = user.unwrap_or(&id);
    for (file, content, flag) in [("/etc/subuid", subuid, "--add-subuids"), ("/etc/subgid", subgid, "--add-subgids")] {
        if !has_range(content, user, &id) {
            return (format!(" ({file} gives `{user}` no 65536 ids)"), format!("usermod {flag} 100000-165535 {user}"));
        }
    }
    (String::new(), install("uidmap"))
}

/// A file as subuid(5) describes gives the user 65536 ids or more: `name-or-uid:first:count`.
fn has_range(content: &str, user: &str, id: &str) -> bool {
    content.lines().any(|line| match line.split(':').collect::<Vec<_>>()[..] {
        [owner, _, count] => (owner == user || owner == id) && count.trim().parse().is_ok_and(|count: u64| count >= 65536),
        _ => false,
    })
}

fn examine_space(name: &'static str, dir: &Path, (needed, comfortable): (ByteSize, ByteSize), elsewhere: &str) -> Row {
    let at = dir.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir }).find(|dir| dir.exists());
    let at = at.unwrap_or(Path::new("."));
    let elsewhere = format!("choose another directory with {elsewhere}");
    if let Err(error) = rustix::fs::access(at, rustix::fs::Access::WRITE_OK) {
        return Row::missing(name, format!("{} cannot be written: {error}", at.display()), elsewhere);
    }
    match rustix::fs::statvfs(at) {
        Ok(space) => {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            judge_amount(
                name,
                free,
                &format!("free for {}", dir.display()),
                needed,
                comfortable,
                &format!("free some space, or {elsewhere}"),
            )
        }
        Err(error) => Row::degraded(name, format!("the free space of {} is not known: {error}", at.display()), elsewhere),
    }
}

fn examine_memory() -> Row {
    let name = "memory";
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    match available_memory(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max")) {
        Some(bytes) => judge_amount(name, bytes, "available", MEMORY.0, MEMORY.1, "end other programs, or give this host more memory"),
        None => Row::degraded(name, "it is not known how much is available", "see /proc/meminfo"),
    }
}

/// `MemAvailable` of proc(5), capped by the control group's limit. In bytes.
fn available_memory(meminfo: &str, cgroup_max: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    // `max` where there is no limit.
    Some(cgroup_max.trim().parse().map_or(available, |limit: u64| available.min(limit)))
}

fn judge_amount(name: &'static str, bytes: u64, what: &str, needed: ByteSize, comfortable: ByteSize, mend: &str) -> Row {
    let found = format!("{} {what}", rounded(bytes));
    if bytes < needed.bytes() {
        Row::missing(name, format!("{found}, {} is needed", rounded(needed.bytes())), mend)
    } else if bytes < comfortable.bytes() {
        Row::degraded(name, format!("{found}, {} is advised", rounded(comfortable.bytes())), mend)
    } else {
        Row::ok(name, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_tools_say() {
        for (said, expected) in [
            ("QEMU emulator version 7.2.18 (Debian 1:7.2+dfsg-7+deb12u18+b3)", Some(("7.2.18", (7, 2)))),
            ("qemu-img version 10.0.2", Some(("10.0.2", (10, 0)))),
            ("mmdebstrap 1.3.5", Some(("1.3.5", (1, 3)))),
            ("mke2fs 1.47.0 (5-Feb-2023)", Some(("1.47.0", (1, 47)))),
            ("unshare from util-linux 2.38.1", Some(("2.38.1", (2, 38)))),
            ("2.39-rc1", Some(("2.39-rc1", (2, 39)))),
            ("no version 7 here", None),
            ("99999999999.1", None),
            ("", None),
        ] {
            assert_eq!(version(said), expected, "{said}");
        }
        for (said, verdict) in [("x 7.1.9", Verdict::Missing), ("x 7.2", Verdict::Ok), ("x 10.0", Verdict::Ok), ("x", Verdict::Degraded)] {
            assert_eq!(judge_version("QEMU", said, (7, 2), "qemu").verdict, verdict, "{said}");
        }
    }

    #[test]
    fn refused_namespaces_are_explained() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        let good = "bob:1:65536\nann:100000:65536\n";
        for (uid, subuid, subgid, sysctl, mend) in [
            (0, "", "", "", "SYS_ADMIN"),
            (1000, good, good, "kernel/unprivileged_userns_clone=0", "sysctl -w kernel.unprivileged_userns_clone=1"),
            (1000, good, good, "user/max_user_namespaces=0", "sysctl -w user.max_user_namespaces=15000"),
            (1000, "", good, "", "usermod --add-subuids 100000-165535 ann"),
            (1000, good, "ann:100000:1000", "", "usermod --add-subgids 100000-165535 ann"),
            (1000, "1000:100000:65536", good, "", "apt-get install uidmap"),
            (7, good, good, "", "usermod --add-subuids 100000-165535 7"),
        ] {
            let read = |path: &str| match sysctl.split_once('=') {
                Some((key, value)) if path.ends_with(key) => format!("{value}\n"),
                _ => String::new(),
            };
            let (_, said) = explain_namespaces(uid, passwd, subuid, subgid, read);
            assert!(said.contains(mend), "{uid} {subuid} {subgid} {sysctl}: {said}");
        }
    }

    #[test]
    fn memory_is_what_is_available_under_the_limit() {
        let meminfo = "MemTotal:        8000000 kB\nMemAvailable:    4194304 kB\n";
        for (meminfo, limit, expected) in [
            (meminfo, "", Some(4 << 30)),
            (meminfo, "max\n", Some(4 << 30)),
            (meminfo, "1073741824\n", Some(1 << 30)),
            ("MemAvailable: lots", "", None),
            ("MemAvailable: 18446744073709551615 kB", "", Some(u64::MAX)),
            ("", "1", None),
        ] {
            assert_eq!(available_memory(meminfo, limit), expected);
        }
    }

    #[test]
    fn amounts_are_judged_at_their_limits() {
        let judge = |bytes| judge_amount("memory", bytes, "available", ByteSize::gib(1), ByteSize::gib(2), "mend");
        for (bytes, verdict) in
            [(0, Verdict::Missing), ((1 << 30) - 1, Verdict::Missing), (1 << 30, Verdict::Degraded), (2 << 30, Verdict::Ok)]
        {
            assert_eq!(judge(bytes).verdict, verdict, "{bytes}");
        }
        assert_eq!(judge(512 << 20).detail, "512 MiB available, 1.00 GiB is needed");
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let row = examine_space("output", Path::new("/proc/1/nowhere/out"), OUTPUT_SPACE, "-o DIR");
        assert_ne!(row.verdict, Verdict::Ok, "{row:?}");
        let row = examine_space("output", Path::new("not/there/yet"), (ByteSize(0), ByteSize(0)), "-o DIR");
        assert_eq!(row.verdict, Verdict::Ok, "{row:?}");
    }

    #[test]
    fn the_table_lines_up_and_names_what_mends() {
        let rows =
            [Row::ok("QEMU", "7.2.18"), Row::degraded("accelerator", "tcg", "use a host with KVM"), Row::missing("qemu-img", "gone", "x")];
        let expected = "\
ok        QEMU         7.2.18
degraded  accelerator  tcg
          mend: use a host with KVM
missing   qemu-img     gone
          mend: x
";
        assert_eq!(table(&rows), expected);
        assert_eq!(
            json(&rows[..1]),
            "{\"requirements\":[{\"detail\":\"7.2.18\",\"mend\":null,\"name\":\"QEMU\",\"verdict\":\"ok\"}],\"schema\":1}\n"
        );
    }
}
