//! Unified kernel images: kernel, initramfs and arguments as sections of one PE file (Unified Kernel Image, UAPI.5; entries of type 2 of the
//! Boot Loader Specification).

use super::entry::{BootEntry, BootFile, Mechanism, Part};
use super::pe::{self, Section};
use crate::image::error::ImageError;
use crate::image::root::Root;

/// Most bytes of a section of text. A kernel takes 2 KiB of arguments (Linux, arch/x86, `COMMAND_LINE_SIZE`).
const MAX_TEXT_BYTES: u64 = 64 << 10;
/// The sections that are read.
const READ: [&str; 5] = [".linux", ".ucode", ".initrd", ".cmdline", ".osrel"];

/// A unified kernel image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unified {
    pub(super) entry: BootEntry,
    /// What it is sorted by (systemd 252, src/fundamental/bootspec-fundamental.c, `bootspec_pick_name_version_sort_key`).
    pub(super) sort_key: String,
    pub(super) version: String,
}

/// What kind of program a PE file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Unified,
    SystemdBoot,
    Other,
}

/// What kind of program the file `path` of an ESP is. systemd-boot says so in a section (systemd 252, src/boot/efi/boot.c, `magic`), which
/// the stub of unified kernel images has too.
///
/// # Errors
/// It cannot be read. A file that is no PE file counts as some other program.
pub(super) fn program(root: &Root, path: &str) -> Result<Program, ImageError> {
    let size = root.metadata(path)?.size;
    let sections = pe::sections(&root.read_start(path, pe::HEAD_BYTES)?, size).unwrap_or_default();
    let has = |name: &str| sections.iter().any(|section| section.name == name);
    Ok(if has(".linux") {
        Program::Unified
    } else if has(".sdmagic") {
        Program::SystemdBoot
    } else {
        Program::Other
    })
}

/// Read the unified kernel image `path`.
///
/// # Errors
/// It cannot be read, or is not a unified kernel image.
pub(super) fn read(root: &Root, path: &str) -> Result<Unified, ImageError> {
    let wrong = |what: String| ImageError::incompatible(root.disk(), None, format!("{path}: {what}"));
    let size = root.metadata(path)?.size;
    let sections = pe::sections(&root.read_start(path, pe::HEAD_BYTES)?, size).map_err(wrong)?;
    let chosen: Vec<&Section> = READ.iter().filter_map(|name| of_default_profile(&sections, name)).collect();
    if let Some((a, b)) = pe::overlap(&chosen) {
        return Err(wrong(format!("its sections {a} and {b} lie over each other")));
    }
    let part = |name: &str| {
        let section = chosen.iter().find(|section| section.name == name)?;
        let (offset, size) = (section.bytes.start, section.bytes.end - section.bytes.start);
        Some(BootFile { path: path.to_owned(), part: Some(Part { section: section.name.clone(), offset, size }) })
    };
    let text = |name: &str| -> Result<String, ImageError> {
        let bytes = part(name).map(|file| file.read(root, MAX_TEXT_BYTES)).transpose()?;
        Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    let kernel = part(".linux").ok_or_else(|| wrong("it has no section .linux, so it is no unified kernel image".to_owned()))?;
    let initrds: Vec<_> = [".ucode", ".initrd"].into_iter().filter_map(part).collect();
    let release = text(".osrel")?;
    let value = |keys: &[&str]| keys.iter().map(|key| os_release(&release, key)).find(|value| !value.is_empty()).unwrap_or_default();
    let entry = BootEntry {
        mechanism: Mechanism::UnifiedKernelImage,
        configuration: path.to_owned(),
        title: value(&["PRETTY_NAME", "IMAGE_ID", "NAME", "ID"]),
        kernel,
        initrds,
        arguments: arguments(&text(".cmdline")?),
    };
    let version = value(&["IMAGE_VERSION", "VERSION", "VERSION_ID", "BUILD_ID"]);
    Ok(Unified { entry, sort_key: value(&["IMAGE_ID", "ID"]), version })
}

/// The section that counts when no profile is chosen: the one of profile 0, which follows the first `.profile`, or else the one before all
/// profiles (UAPI.5, "Multi-Profile UKIs").
fn of_default_profile<'a>(sections: &'a [Section], name: &str) -> Option<&'a Section> {
    let mut parts = sections.split(|section| section.name == ".profile");
    let find = |part: &'a [Section]| part.iter().find(|section| section.name == name);
    let base = parts.next().and_then(find);
    parts.next().and_then(find).or(base)
}

/// Arguments as the stub passes them on: control characters are spaces, and none stand around them (systemd 257, src/boot/util.c,
/// `mangle_stub_cmdline`).
fn arguments(text: &str) -> String {
    let text: String = text.trim_end_matches('\0').chars().map(|c| if c <= ' ' { ' ' } else { c }).collect();
    text.trim().to_owned()
}

/// The last value of `key`, without quotes (os-release(5)).
fn os_release(text: &str, key: &str) -> String {
    let mut values = text.lines().rev().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
    values.next().map(|value| value.trim_matches(['"', '\''])).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_profiles_the_first_counts() {
        let named = |names: &str| -> Vec<Section> {
            names.split(' ').enumerate().map(|(at, name)| Section { name: name.to_owned(), bytes: at as u64..at as u64 + 1 }).collect()
        };
        for (sections, name, expected) in [
            (".linux .cmdline", ".cmdline", Some(1)),
            (".linux .cmdline .cmdline", ".cmdline", Some(1)),
            (".linux .cmdline .profile .cmdline .profile .cmdline", ".cmdline", Some(3)),
            (".linux .cmdline .profile .x .profile .cmdline", ".cmdline", Some(1)),
            (".linux .profile .x .profile .cmdline", ".cmdline", None),
        ] {
            let found = named(sections);
            assert_eq!(of_default_profile(&found, name).map(|section| section.bytes.start), expected, "{sections}");
        }
    }

    #[test]
    fn arguments_are_one_line() {
        for (text, expected) in [("root=UUID=1 ro\n\0\0", "root=UUID=1 ro"), ("\ta\nb", "a b"), ("", ""), ("\0", "")] {
            assert_eq!(arguments(text), expected);
        }
    }
}
