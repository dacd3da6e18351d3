//! The machine that a document is about.

use super::guest::Guest;
use crate::hardware::{Firmware, Format};

/// A machine that is to run an image.
#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    /// Its name there.
    pub name: &'a str,
    /// The image file, absolute.
    pub image: &'a str,
    /// How the file keeps the disk.
    pub format: Format,
    /// The firmware that boots it.
    pub firmware: Firmware,
    /// Bytes of the disk.
    pub virtual_size: u64,
    /// Bytes of its memory.
    pub memory: u64,
    /// Its processors.
    pub cpus: u32,
    /// Its network cards beside the first one.
    pub cards: usize,
    /// The facts from the image's files.
    pub guest: &'a Guest,
}

/// Whole units of `unit` bytes that `bytes` need.
pub(super) fn units(bytes: u64, unit: u64) -> u64 {
    bytes.div_ceil(unit)
}

/// Bytes of a gibibyte.
pub(super) const GIB: u64 = 1 << 30;
/// Bytes of a mebibyte.
pub(super) const MIB: u64 = 1 << 20;

#[cfg(test)]
pub(super) mod examples {
    use super::*;
    use crate::handover::guest::Architecture;

    pub(in super::super) fn guest() -> Guest {
        Guest {
            os_id: "debian".into(),
            os_version: "12".into(),
            architecture: Architecture::X86_64,
            cloud_init: false,
            guest_agent: false,
            vagrant: false,
        }
    }

    pub(in super::super) fn machine(guest: &Guest) -> Machine<'_> {
        Machine {
            name: "debian-12",
            image: "/images/debian-12.qcow2",
            format: Format::Qcow2,
            firmware: Firmware::Bios,
            virtual_size: 8 * GIB,
            memory: 2 * GIB,
            cpus: 2,
            cards: 0,
            guest,
        }
    }
}
