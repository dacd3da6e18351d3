//! Facts about the host.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::failure::{Class, Failure};
use super::size::{ByteSize, rounded};

/// What QEMU, qemu-img and goldsmith need beside the guest's memory.
const HEADROOM: u64 = 256 << 20;

/// Bytes an ordinary user can still write to the filesystem of `dir`.
///
/// # Errors
/// `dir` is not there.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Bytes that a file occupies: `st_blocks` counts 512 bytes whatever the filesystem's block size (stat(2)).
pub fn allocated_bytes(metadata: &fs::Metadata) -> u64 {
    metadata.blocks().saturating_mul(512)
}

/// Bytes of memory that can be had without swapping, as far as the host tells.
pub fn available_memory() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    available(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max"))
}

/// `MemAvailable` of proc_meminfo(5), capped by the control group's limit.
fn available(meminfo: &str, cgroup_max: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.saturating_mul(1024);
    // `max` where there is no limit.
    Some(cgroup_max.trim().parse().map_or(available, |limit: u64| available.min(limit)))
}

/// The host has less memory than a machine needs.
#[derive(Debug, thiserror::Error)]
#[error("the machine needs {} of memory, and the host has {} free", rounded(*needed), rounded(*available))]
pub struct TooLittleMemory {
    needed: u64,
    available: u64,
    smaller: &'static str,
}

impl TooLittleMemory {
    /// Refuse a guest of `memory` that does not fit. `smaller` is the option with which the user asks for a smaller one.
    ///
    /// # Errors
    /// It does not fit.
    pub fn refuse(memory: ByteSize, smaller: &'static str) -> Result<(), Self> {
        let needed = memory.bytes().saturating_add(HEADROOM);
        // When the host does not tell, assume that it has enough.
        match available_memory() {
            Some(available) if available < needed => Err(Self { needed, available, smaller }),
            _ => Ok(()),
        }
    }
}

impl Failure for TooLittleMemory {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some(format!("end other programs, or give the machine less: {}", self.smaller))
    }
}
