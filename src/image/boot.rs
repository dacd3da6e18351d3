//! What a system boots by default: kernel, initramfs and kernel arguments out of its GRUB configuration.
//!
//! The configuration is evaluated as GRUB would on a plain boot: `grubenv` is loaded, `if` is decided, the default is looked up by number,
//! title or id. Boot Loader Specification entries (EL8 and later, Fedora) are not read.

mod grub;

use std::path::Path;

use serde::Serialize;

use super::error::ImageError;
use super::root::Root;

/// Largest configuration that is read; a real one has some 10 KiB.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// A GRUB environment block has 1024 bytes (GRUB manual 2.06, section 15.2).
const MAX_ENVIRONMENT_BYTES: u64 = 64 << 10;
/// Where distributions keep the configuration: Debian, EL7 on BIOS. On UEFI, EL7's is found below [`EFI_DIR`].
const CONFIGS: [&str; 2] = ["/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"];
const EFI_DIR: &str = "/boot/efi/EFI";

/// What is booted by default. Paths are absolute in the root filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootEntry {
    /// The menu entry's title.
    pub title: String,
    /// The kernel.
    pub kernel: String,
    /// The initramfs; the last one, when there are several (those before are CPU microcode).
    pub initrd: String,
    /// Kernel arguments, without the kernel's name.
    pub arguments: String,
}

impl BootEntry {
    /// The default entry of the system in `root`.
    ///
    /// # Errors
    /// There is no GRUB configuration, it is not understood, or it names files that are not there.
    pub fn read(root: &Root) -> Result<Self, ImageError> {
        let (path, config) = find_config(root)?;
        let environment = format!("{}/grubenv", path.rsplit_once('/').map_or("", |(dir, _)| dir));
        let environment = match root.read_if_there(environment, MAX_ENVIRONMENT_BYTES)? {
            Some(bytes) => bytes,
            // EL7 on UEFI keeps it here too, behind a link.
            None => root.read_if_there("/boot/grub2/grubenv", MAX_ENVIRONMENT_BYTES)?.unwrap_or_default(),
        };
        let wrong = |what: String| ImageError::incompatible(root.disk(), None, format!("{path}: {what}"));
        let entry = grub::default_entry(&config, &String::from_utf8_lossy(&environment)).map_err(wrong)?;
        let located =
            |name: &str| locate(root, name)?.ok_or_else(|| ImageError::absent(root.disk(), format!("{name}, which {path} boots")));
        Ok(Self { kernel: located(&entry.kernel)?, initrd: located(&entry.initrd)?, ..entry })
    }
}

fn find_config(root: &Root) -> Result<(String, String), ImageError> {
    let mut candidates = CONFIGS.map(str::to_owned).to_vec();
    if root.exists(EFI_DIR)? {
        let vendors = root.read_dir(EFI_DIR)?;
        candidates.extend(vendors.iter().map(|vendor| format!("{EFI_DIR}/{}/grub.cfg", vendor.to_string_lossy())));
    }
    for path in candidates {
        if let Some(config) = root.read_if_there(&path, MAX_CONFIG_BYTES)? {
            return Ok((path, String::from_utf8_lossy(&config).into_owned()));
        }
    }
    Err(ImageError::absent(root.disk(), "GRUB configuration (grub.cfg) in /boot"))
}

/// GRUB names files from the root of the filesystem that holds them: with `/boot` on its own partition the `/boot` is missing.
fn locate(root: &Root, name: &str) -> Result<Option<String>, ImageError> {
    let name = match name.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or(name, |(_, path)| path),
        None => name,
    };
    for candidate in [format!("/boot{name}"), name.to_owned()] {
        if Path::new(&candidate).is_absolute() && root.exists(&candidate)? {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}
