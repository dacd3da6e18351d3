//! What the host has.

use std::fs;

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
