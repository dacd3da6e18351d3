//! The default boot entry, which a boot loader of any kind chooses from its menu.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::image::error::ImageError;
use crate::image::filesystem::FileKind;
use crate::image::root::Root;

/// Largest configuration that is read; a real one has some 10 KiB.
pub(super) const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The program that the firmware starts from an ESP when it has no stored entries (UEFI specification 2.10, section 3.5.1.1).
pub(super) const DEFAULT_LOADER: &str = "EFI/BOOT/BOOTX64.EFI";
/// Where systems mount their ESP.
pub(super) const ESP_PLACES: [&str; 3] = ["/efi", "/boot/efi", "/boot"];

/// How a system's default is chosen and loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// A menu entry in GRUB's configuration.
    Grub,
    /// A file of the Boot Loader Specification, which GRUB's `blscfg` reads.
    GrubBootLoaderEntries,
    /// A file of the Boot Loader Specification, which systemd-boot reads.
    SystemdBoot,
    /// One PE file with kernel, initramfs and arguments in it, started by systemd-boot or by the firmware itself.
    UnifiedKernelImage,
}

impl Mechanism {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grub => "grub",
            Self::GrubBootLoaderEntries => "grub + boot loader entries",
            Self::SystemdBoot => "systemd-boot",
            Self::UnifiedKernelImage => "unified kernel image",
        }
    }
}

/// The default boot entry. Paths are absolute in the root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// How it is chosen and loaded.
    pub mechanism: Mechanism,
    /// The file with the other settings: `grub.cfg`, that of the entry, or the unified kernel image.
    pub configuration: String,
    /// The menu entry's title.
    pub title: String,
    /// The kernel.
    pub kernel: BootFile,
    /// What the kernel unpacks as its initramfs, one after the other; CPU microcode, when it has its own file, comes first.
    pub initrds: Vec<BootFile>,
    /// Kernel arguments, without the kernel's name.
    pub arguments: String,
}

/// A file that a boot loader hands over, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BootFile {
    /// The file.
    pub path: String,
    /// The part; `None` is all of it.
    pub part: Option<Part>,
}

/// A section of a PE file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Part {
    /// Its name: `.linux`.
    pub section: String,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
}

impl BootFile {
    /// All of the file `path`.
    pub fn whole(path: impl Into<String>) -> Self {
        Self { path: path.into(), part: None }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// It is not there, larger than `max_bytes`, or damaged.
    pub fn read(&self, root: &Root, max_bytes: u64) -> Result<Vec<u8>, ImageError> {
        match &self.part {
            None => root.read(&self.path, max_bytes),
            Some(Part { offset, size, .. }) if *size <= max_bytes => root.read_range(&self.path, *offset, *size),
            Some(Part { size, .. }) => {
                let what = format!("{self} has {size} bytes, {max_bytes} at most are read");
                Err(ImageError::incompatible(root.disk(), None, what))
            }
        }
    }
}

impl fmt::Display for BootFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            None => f.write_str(&self.path),
            Some(part) => write!(f, "{} ({})", self.path, part.section),
        }
    }
}

/// `kernel` and `initrd` (the last one) are written as paths, as before parts of files were introduced, so that older readers still find
/// them.
impl Serialize for BootEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("BootEntry", 8)?;
        fields.serialize_field("mechanism", &self.mechanism)?;
        fields.serialize_field("configuration", &self.configuration)?;
        fields.serialize_field("title", &self.title)?;
        fields.serialize_field("kernel", &self.kernel.path)?;
        fields.serialize_field("kernel_part", &self.kernel.part)?;
        fields.serialize_field("initrd", &self.initrds.last().map(|file| &file.path))?;
        fields.serialize_field("initrds", &self.initrds)?;
        fields.serialize_field("arguments", &self.arguments)?;
        fields.end()
    }
}

/// Whether `path` leads to a regular file.
pub(super) fn is_file(root: &Root, path: &str) -> Result<bool, ImageError> {
    match root.metadata(path) {
        Err(ImageError::Absent { .. }) => Ok(false),
        found => Ok(found?.kind == FileKind::File),
    }
}
