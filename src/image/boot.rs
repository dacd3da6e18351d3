//! The default boot entry of a system: kernel, initramfs and kernel arguments, from the configuration of its boot loader.
//!
//! Firmware is asked first: what the ESP has as `EFI/BOOT/BOOTX64.EFI` is started on a machine that remembers nothing. When that is
//! systemd-boot or a unified kernel image, it decides. Everything else, and BIOS, leads to GRUB; and where there is no GRUB
//! configuration, entries for systemd-boot count though nothing starts it by default.

mod entries;
mod entry;
mod fallback;
mod glob;
mod grub;
mod pe;
mod systemd;
mod unified;
mod versions;

use std::path::{Path, PathBuf};

use self::entry::{DEFAULT_LOADER, ESP_PLACES, is_file};
use self::unified::Program;
use super::error::ImageError;
use super::filesystem::FileKind;
use super::root::Root;

pub use entry::{BootEntry, BootFile, Mechanism, Part};
pub use fallback::Fallback;

impl BootEntry {
    /// The default entry of the system in `root`.
    ///
    /// # Errors
    /// There is no boot configuration, it is not understood, or it names files that do not exist.
    pub fn read(root: &Root) -> Result<Self, ImageError> {
        let entry = match started_by_firmware(root)? {
            Some((path, Program::Unified)) => Some(unified::read(root, &path)?.entry),
            Some((_, Program::SystemdBoot)) => systemd::default_entry(root)?,
            _ => match grub::default_entry_of(root)? {
                Some(entry) => Some(entry),
                None => systemd::default_entry(root)?,
            },
        };
        let what = "boot configuration: no grub.cfg in /boot, and no entry of systemd-boot or unified kernel image on an ESP";
        let entry = entry.ok_or_else(|| ImageError::absent(root.disk(), what))?;
        if entry.initrds.is_empty() {
            let what = format!("{}: its default `{}` has no initrd", entry.configuration, entry.title);
            return Err(ImageError::incompatible(root.disk(), None, what));
        }
        for file in std::iter::once(&entry.kernel).chain(&entry.initrds) {
            let found = root.metadata(&file.path).map_err(|error| match error {
                ImageError::Absent { .. } => ImageError::absent(root.disk(), format!("{}, which {} boots", file.path, entry.configuration)),
                error => error,
            })?;
            if found.kind != FileKind::File {
                let (path, file) = (root.disk().to_owned(), PathBuf::from(&file.path));
                return Err(ImageError::OtherKind { path, file, found: found.kind, wanted: FileKind::File });
            }
        }
        Ok(entry)
    }
}

/// What the firmware starts by default, when there is an ESP that has it.
fn started_by_firmware(root: &Root) -> Result<Option<(String, Program)>, ImageError> {
    for place in ESP_PLACES.into_iter().filter(|place| root.is_mount_point(Path::new(place))) {
        let path = format!("{place}/{DEFAULT_LOADER}");
        if is_file(root, &path)? {
            let program = unified::program(root, &path)?;
            return Ok(Some((path, program)));
        }
    }
    Ok(None)
}
