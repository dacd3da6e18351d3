//! Follows what firmware without remembered boot entries starts. An image travels without the variables of the machine it was made on, so
//! this is how each of its machines boots for the first time.
//!
//! ```text
//!   EFI/BOOT/BOOTX64.EFI ── a shim? ── no: it is the boot loader itself
//!                              │ yes
//!           fbx64.efi beside it? ── no: it starts grubx64.efi beside it
//!                              │ yes
//!           what EFI/*/BOOTX64.CSV or BOOT.CSV names, for which it makes a boot entry
//! ```
//!
//! Sources: UEFI specification 2.10, section 3.5.1.1; shim 15.8, shim.c (`should_use_fallback`, `init_grub`) and fallback.c (`find_boot_csv`,
//! `populate_stanza`); EL7's 12 and 0.9 do the same.

use std::path::Path;

use super::entry::{DEFAULT_LOADER, ESP_PLACES, is_file};
use super::pe;
use crate::image::error::ImageError;
use crate::image::root::Root;

/// A shim is recognised by this text in UTF-16: the name of the loader that it starts (shim.c, `DEFAULT_LOADER`). The names of its sections
/// do not help: the only special one, `.vendor_cert`, is too long for the table.
const OF_SHIM: &str = "grubx64.efi";
/// Bytes of a loader in which that is looked for. A shim has some 1 MiB.
const MAX_SHIM_BYTES: u64 = 4 << 20;
/// shim's program for firmware that remembers nothing; the second is that of 0.9 (EL 7.3 and before).
const STARTERS: [&str; 2] = ["fbx64.efi", "fallback.efi"];
/// Bytes of a list of boot loaders; a real one has one line.
const MAX_CSV_BYTES: u64 = 64 << 10;
/// Directories below EFI that are looked into, at most, and programs of a list.
const MAX_DIRS: usize = 64;
const MAX_PROGRAMS: usize = 16;

/// Where the boot of a machine without remembered boot entries leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// To a boot loader: the programs on the way, in their order, by their paths in the root filesystem.
    Leads(Vec<String>),
    /// To none, and why: a sentence without a full stop.
    Ends(String),
}

impl Fallback {
    /// Follow the way on the EFI system partition that the system in `root` mounts.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn of(root: &Root) -> Result<Self, ImageError> {
        let places: Vec<&str> = ESP_PLACES.into_iter().filter(|place| root.is_mount_point(Path::new(place))).collect();
        for place in &places {
            if is_file(root, &format!("{place}/{DEFAULT_LOADER}"))? {
                return follow(root, place);
            }
        }
        Ok(Self::Ends(match places[..] {
            [] => "the system mounts no EFI system partition".to_owned(),
            _ => format!("there is no {DEFAULT_LOADER} on the EFI system partition ({})", places.join(", ")),
        }))
    }
}

/// The way from the loader on the ESP at `place`.
fn follow(root: &Root, place: &str) -> Result<Fallback, ImageError> {
    let loader = format!("{place}/{DEFAULT_LOADER}");
    let program = root.read_start(&loader, MAX_SHIM_BYTES)?;
    if let Err(what) = pe::sections(&program, root.metadata(&loader)?.size) {
        return Ok(Fallback::Ends(format!("{loader} is no program: {what}")));
    }
    let name: Vec<u8> = OF_SHIM.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if memchr::memmem::find(&program, &name).is_none() {
        return Ok(Fallback::Leads(vec![loader]));
    }
    let beside = |name: &str| format!("{place}/EFI/BOOT/{name}");
    for starter in STARTERS.map(beside) {
        if is_file(root, &starter)? {
            return Ok(match listed(root, place)? {
                Ok(listed) => Fallback::Leads(vec![loader, starter, listed]),
                Err(why) => Fallback::Ends(format!("{loader} starts {starter}, and {why}")),
            });
        }
    }
    let grub = beside("grubx64.efi");
    Ok(match is_file(root, &grub)? {
        true => Fallback::Leads(vec![loader, grub]),
        false => Fallback::Ends(format!("{loader} starts {grub}, which is not there")),
    })
}

/// The first boot loader that a list of a vendor's directory names and that is there.
fn listed(root: &Root, place: &str) -> Result<Result<String, String>, ImageError> {
    let mut missing = None;
    for vendor in root.read_dir(format!("{place}/EFI"))?.into_iter().filter_map(|name| name.into_string().ok()).take(MAX_DIRS) {
        let dir = format!("{place}/EFI/{vendor}");
        let names = match root.read_dir(&dir) {
            Err(ImageError::OtherKind { .. }) => continue,
            names => names?,
        };
        let names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
        // The list of this architecture counts, where there are both.
        let named = |wanted: &str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted));
        let Some(list) = named("BOOTX64.CSV").or_else(|| named("BOOT.CSV")) else { continue };
        for program in programs(&root.read(format!("{dir}/{list}"), MAX_CSV_BYTES)?) {
            let path = format!("{dir}/{program}");
            if is_file(root, &path)? {
                return Ok(Ok(path));
            }
            missing = missing.or_else(|| Some(format!("{dir}/{list} names {}, which is not there", program.escape_debug())));
        }
    }
    Ok(Err(missing.unwrap_or_else(|| format!("no directory of {place}/EFI has a BOOTX64.CSV or BOOT.CSV that names a boot loader"))))
}

/// The first column of a list: UTF-16, little endian, a comma after the name of the program.
fn programs(csv: &[u8]) -> Vec<String> {
    let units: Vec<u16> = csv.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16_lossy(&units);
    let lines = text.trim_start_matches('\u{feff}').lines();
    let names = lines.filter_map(|line| Some(line.split_once(',')?.0.trim().to_owned())).filter(|name| !name.is_empty());
    names.take(MAX_PROGRAMS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_programs_in_its_first_column() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (text, expected) in [
            ("\u{feff}shimx64.efi,CentOS Linux,,This is the boot entry for CentOS Linux\n", &["shimx64.efi"][..]),
            ("shim.efi,CentOS,,x\r\nshimx64.efi,CentOS,,x", &["shim.efi", "shimx64.efi"]),
            ("shimx64.efi\n,CentOS\n\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(programs(&utf16(text)), expected, "{text}");
        }
        // Half a character at the end, and bytes that are no text.
        assert_eq!(programs(b"a\0,\0x"), ["a"]);
        assert_eq!(programs(&[0xff; 9]), [""; 0]);
    }
}
