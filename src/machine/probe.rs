//! Which accelerator really works here, and which QEMU this is.
//!
//! `/dev/kvm` being there proves nothing: on some hosts QEMU dies at once under KVM, on others it runs far slower than emulation,
//! and a paused machine starts on both. So a real guest is run: a boot sector whose only act is to end QEMU.

use std::fmt;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::base::process::{Invocation, Lines, ProcessError, Tool};

use super::args::accelerator_arguments;
use super::error::MachineError;
use super::spec::Accelerator;

/// KVM that works is out in 0.1 to 0.2 s, TCG in 0.2 s; KVM on a host that only pretends took 4.7 s.
const KVM_LIMIT: Duration = Duration::from_secs(1);
/// How many times as long as emulation KVM may take when it is tried a second time. On an idle host both take the same; KVM that only
/// pretends took 23 times as long.
const KVM_FACTOR: u32 = 4;
/// Emulation always works; this is for a host that is short of everything.
const TCG_LIMIT: Duration = Duration::from_secs(20);
/// The oldest QEMU that works: Debian 12's.
const OLDEST: QemuVersion = QemuVersion { major: 7, minor: 2, micro: 0 };

/// Ends QEMU through the `isa-debug-exit` device at port 0xf4: exit status `(0x10 << 1) | 1`.
///
/// The BIOS loads a boot sector to 0x7c00 and jumps there in 16-bit real mode if its last two bytes are 55 aa.
const LEAVE: [u8; 7] = [
    0xb0, 0x10, // mov al, 0x10
    0xe6, 0xf4, // out 0xf4, al
    0xf4, //       hlt            (not reached)
    0xeb, 0xfd, // jmp to the hlt
];
/// The exit status [`LEAVE`] makes.
const LEFT: i32 = (0x10 << 1) | 1;

/// The accelerator to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The accelerator that works.
    pub accelerator: Accelerator,
    /// Why it is not KVM, as a sentence for the user; nothing when it is.
    pub reason: Option<String>,
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            None => f.write_str("KVM works"),
            Some(reason) => write!(f, "{reason}; emulating, several times slower"),
        }
    }
}

/// Find the accelerator: KVM if a guest really runs on it, else TCG. Takes about 1.5 s at worst on an idle host.
///
/// # Errors
/// Emulation does not run either: QEMU is missing or broken.
pub async fn probe() -> Result<Probe, MachineError> {
    let (reason, slow) = match kvm_device() {
        Err(reason) => (reason, false),
        Ok(()) => match leave(Accelerator::Kvm, KVM_LIMIT).await? {
            Outcome::Left => return Ok(Probe { accelerator: Accelerator::Kvm, reason: None }),
            Outcome::Ended { words, .. } => (format!("/dev/kvm exists but QEMU cannot use it ({words})"), false),
            Outcome::TooSlow => (format!("KVM does not work: a guest of 7 bytes was not done after {} s", KVM_LIMIT.as_secs()), true),
        },
    };
    let begun = Instant::now();
    let broken = |reason: String, stderr| MachineError::CannotStart {
        machine: "probe".into(),
        reason,
        command_line: invocation(Accelerator::Tcg, "SECTOR").command_line(),
        stderr,
    };
    match leave(Accelerator::Tcg, TCG_LIMIT).await? {
        Outcome::Left => {
            let limit = begun.elapsed() * KVM_FACTOR;
            // On a busy host working KVM can miss its limit. Emulation, measured in the same moment, then misses its own.
            if slow && limit > KVM_LIMIT && matches!(leave(Accelerator::Kvm, limit).await?, Outcome::Left) {
                return Ok(Probe { accelerator: Accelerator::Kvm, reason: None });
            }
            Ok(Probe { accelerator: Accelerator::Tcg, reason: Some(reason) })
        }
        Outcome::Ended { words, stderr } => Err(broken(words, stderr)),
        Outcome::TooSlow => {
            Err(broken(format!("a guest of 7 bytes was not done after {} s of emulation", TCG_LIMIT.as_secs()), Vec::new()))
        }
    }
}

/// Whether there is a `/dev/kvm` that can be opened. It may not work all the same.
pub fn kvm_opens() -> bool {
    kvm_device().is_ok()
}

fn kvm_device() -> Result<(), String> {
    match std::fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("this host has no /dev/kvm".into()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err("/dev/kvm may not be opened; to change that: sudo usermod -aG kvm $USER, then log in again".into())
        }
        Err(error) => Err(format!("/dev/kvm cannot be opened ({error})")),
    }
}

enum Outcome {
    Left,
    Ended { words: String, stderr: Vec<String> },
    TooSlow,
}

fn invocation(accelerator: Accelerator, sector: &str) -> Invocation {
    Invocation::new(Tool::QemuSystem)
        .args(["-nodefaults", "-no-user-config", "-machine", "pc", "-m", "64M", "-display", "none", "-no-reboot"])
        .args(accelerator_arguments(accelerator))
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x01", "-drive"])
        .arg(format!("if=ide,format=raw,readonly=off,snapshot=off,file={}", sector.replace(',', ",,")))
}

async fn leave(accelerator: Accelerator, limit: Duration) -> Result<Outcome, MachineError> {
    let file = |source| MachineError::File { machine: "probe".into(), what: "a boot sector".into(), source };
    let mut sector = tempfile::NamedTempFile::new().map_err(file)?;
    sector.write_all(&boot_sector(&LEAVE)).map_err(file)?;
    let mut running = invocation(accelerator, &sector.path().to_string_lossy()).spawn()?;
    let mut lines = Lines::new(running.child_mut().stderr.take());
    let mut stderr = Vec::new();
    let end = async {
        while let Some(line) = lines.next().await {
            stderr.push(line);
            stderr.truncate(40);
        }
        running.child_mut().wait().await
    };
    let begun = Instant::now();
    let Ok(status) = timeout(limit, end).await else {
        return Ok(Outcome::TooSlow);
    };
    let status = status.map_err(|source| ProcessError::Start { tool: Tool::QemuSystem, source })?;
    if status.code() == Some(LEFT) && begun.elapsed() <= limit {
        return Ok(Outcome::Left);
    }
    // The first line is the cause; later lines follow from it (usually an assertion).
    let words = stderr.first().map(|line| line.trim_start_matches("qemu-system-x86_64: ").trim_start_matches("error: ").to_owned());
    Ok(Outcome::Ended { words: words.unwrap_or_else(|| ending(status)), stderr })
}

fn ending(status: ExitStatus) -> String {
    status.signal().map_or_else(|| format!("exit status {}", status.code().unwrap_or_default()), |signal| format!("signal {signal}"))
}

/// 512 bytes that a BIOS boots: `code`, zeros, the signature.
fn boot_sector(code: &[u8]) -> [u8; 512] {
    let mut sector = [0; 512];
    sector[..code.len()].copy_from_slice(code);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A version of QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QemuVersion {
    /// 7 of 7.2.22.
    pub major: u32,
    /// 2 of 7.2.22.
    pub minor: u32,
    /// 22 of 7.2.22.
    pub micro: u32,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The installed QEMU's version.
///
/// # Errors
/// QEMU is missing, does not run, or is too old.
pub async fn qemu_version() -> Result<QemuVersion, MachineError> {
    let words = Invocation::new(Tool::QemuSystem).arg("--version").output().await?;
    let words = String::from_utf8_lossy(&words);
    match parse_version(&words) {
        Some(version) if version >= OLDEST => Ok(version),
        found => {
            let found = found.map_or_else(|| format!("`{}`", words.lines().next().unwrap_or_default()), |version| version.to_string());
            Err(MachineError::TooOld { found, oldest: format!("{}.{}", OLDEST.major, OLDEST.minor) })
        }
    }
}

/// `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
fn parse_version(words: &str) -> Option<QemuVersion> {
    let (_, rest) = words.split_once("version ")?;
    let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = number.split('.').map(|part| part.parse().ok());
    Some(QemuVersion { major: parts.next()??, minor: parts.next()??, micro: parts.next().flatten().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (words, version) in [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022", Some("7.2.22")),
            ("QEMU emulator version 10.0.2", Some("10.0.2")),
            ("QEMU emulator version 9.1", Some("9.1.0")),
            ("QEMU emulator version 8.0.50 (v8.0.0-1)", Some("8.0.50")),
            ("QEMU emulator version x", None),
            ("", None),
        ] {
            assert_eq!(parse_version(words).map(|version| version.to_string()).as_deref(), version, "{words}");
        }
        assert!(parse_version("version 10.0.0").unwrap() > OLDEST && parse_version("version 6.9.9").unwrap() < OLDEST);
    }
}
