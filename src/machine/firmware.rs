//! UEFI firmware, found through the descriptors that QEMU's packagers ship (QEMU's `docs/interop/firmware.json`).
//!
//! Traps the descriptors spare us: some distributions ship flash files as qcow2 and some as raw, under like names; the variables' template must
//! be copied whole, in its own format, before a machine may write to it; builds that require SMM or carry enrolled keys do not start
//! unsigned loaders; and a program without its variables forgets its boot entries. BIOS needs nothing: QEMU brings SeaBIOS along.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::base::failure::{Class, Failure};

use super::spec::{FirmwareFiles, FlashFile, Format};

/// Where descriptors are; a file shadows those of the same name in directories before it.
pub const DIRECTORIES: [&str; 2] = ["/usr/share/qemu/firmware", "/etc/qemu/firmware"];

/// A UEFI firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uefi {
    /// The program; only read.
    pub code: FlashFile,
    /// The variables' template; copy it, keep its format.
    pub vars_template: FlashFile,
    /// The descriptor's words.
    pub description: String,
}

impl Uefi {
    /// The firmware for one machine, whose variables are a copy of the template at `vars`: it remembers no boot entry.
    ///
    /// # Errors
    /// The template cannot be copied.
    pub fn forgetful(self, vars: PathBuf) -> io::Result<FirmwareFiles> {
        // Not fs::copy: it hands on the mode, and the template may be read only.
        io::copy(&mut File::open(&self.vars_template.path)?, &mut File::create(&vars)?)?;
        Ok(FirmwareFiles::Uefi { code: self.code, vars: FlashFile { path: vars, format: self.vars_template.format } })
    }
}

/// Why there is no firmware.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no usable UEFI firmware for x86_64 is installed")]
pub struct FirmwareError {
    /// Each descriptor that was looked at, and why it does not serve.
    pub skipped: Vec<String>,
}

impl Failure for FirmwareError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("install it: apt-get install ovmf".into())
    }

    fn evidence(&self) -> Vec<String> {
        self.skipped.clone()
    }
}

/// The first UEFI firmware that serves, in the order of the descriptors' file names.
///
/// # Errors
/// None can be used; the error gives the reason for each.
pub fn find_uefi() -> Result<Uefi, FirmwareError> {
    find_in(&DIRECTORIES.map(Path::new))
}

fn find_in(directories: &[&Path]) -> Result<Uefi, FirmwareError> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
        files.extend(names.filter(|(name, _)| name.ends_with(".json")));
    }
    let mut skipped = Vec::new();
    for path in files.values() {
        match read(path) {
            Ok(uefi) => return Ok(uefi),
            Err(reason) => skipped.push(format!("{}: {reason}", path.display())),
        }
    }
    if files.is_empty() {
        skipped
            .push(format!("no descriptor in {}", directories.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")));
    }
    Err(FirmwareError { skipped })
}

/// What is read of a descriptor.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Descriptor {
    #[serde(default)]
    description: String,
    interface_types: Vec<String>,
    mapping: Mapping,
    targets: Vec<Target>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mapping {
    device: String,
    /// `split` (the default), `combined`, `stateless`.
    mode: Option<String>,
    executable: Option<Flash>,
    nvram_template: Option<Flash>,
}

#[derive(Debug, Deserialize)]
struct Flash {
    filename: PathBuf,
    format: String,
}

#[derive(Debug, Deserialize)]
struct Target {
    architecture: String,
    machines: Vec<String>,
}

/// The firmware of one descriptor, or why it does not serve.
fn read(path: &Path) -> Result<Uefi, String> {
    // An empty file is how an administrator masks a descriptor.
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Err("masked".into());
    }
    let descriptor: Descriptor = serde_json::from_str(&text).map_err(|error| format!("not understood: {error}"))?;
    if !descriptor.interface_types.iter().any(|kind| kind == "uefi") {
        return Err("it is not UEFI".into());
    }
    let fits = |target: &Target| target.architecture == "x86_64" && target.machines.iter().any(|machine| machine.starts_with("pc-q35-"));
    if !descriptor.targets.iter().any(fits) {
        return Err("it is not for x86_64 q35 machines".into());
    }
    if let Some(feature) =
        descriptor.features.iter().find(|feature| ["requires-smm", "enrolled-keys", "secure-boot"].contains(&feature.as_str()))
    {
        return Err(format!("it has the feature {feature}"));
    }
    let mapping = descriptor.mapping;
    if mapping.device != "flash" || mapping.mode.is_some_and(|mode| mode != "split") {
        return Err("it is not a program with separate variables in flash".into());
    }
    let code = flash(mapping.executable.ok_or("it names no program")?)?;
    let vars_template = flash(mapping.nvram_template.ok_or("it names no template of its variables")?)?;
    Ok(Uefi { code, vars_template, description: descriptor.description })
}

fn flash(flash: Flash) -> Result<FlashFile, String> {
    let Flash { filename: path, format } = flash;
    let format = match format.as_str() {
        "raw" => Format::Raw,
        "qcow2" => Format::Qcow2,
        other => return Err(format!("{} has the unknown format {other}", path.display())),
    };
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(FlashFile { path, format }),
        Ok(_) => Err(format!("{} is not a file", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The descriptor of Debian 12's ovmf 2022.11, with its parts exchanged.
    fn descriptor(dir: &Path, kind: &str, machine: &str, feature: &str, device: &str, format: &str) -> String {
        let flash = dir.join("flash").display().to_string();
        serde_json::json!({
            "description": "d", "interface-types": [kind],
            "mapping": {"device": device, "executable": {"filename": flash, "format": "raw"}, "nvram-template": {"filename": flash, "format": format}},
            "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", machine]}],
            "features": ["acpi-s3", feature], "tags": []
        })
        .to_string()
    }

    #[test]
    fn the_first_that_serves_is_taken_and_every_other_has_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let (vendor, admin) = (dir.path().join("vendor"), dir.path().join("admin"));
        for dir in [&vendor, &admin] {
            fs::create_dir(dir).unwrap();
        }
        fs::write(dir.path().join("flash"), "x").unwrap();
        let d = |kind, machine, feature, device, format| descriptor(dir.path(), kind, machine, feature, device, format);
        let files = [
            ("10.json", d("bios", "pc-q35-*", "", "flash", "raw"), "not UEFI"),
            ("20.json", d("uefi", "virt-*", "", "flash", "raw"), "not for x86_64 q35"),
            ("30.json", d("uefi", "pc-q35-*", "requires-smm", "flash", "raw"), "feature requires-smm"),
            ("35.json", d("uefi", "pc-q35-*", "enrolled-keys", "flash", "raw"), "feature enrolled-keys"),
            ("40.json", d("uefi", "pc-q35-*", "", "memory", "raw"), "separate variables"),
            ("50.json", d("uefi", "pc-q35-*", "", "flash", "vmdk"), "unknown format vmdk"),
            ("60.json", "{".into(), "not understood"),
            ("65.json", descriptor(Path::new("/nowhere"), "uefi", "pc-q35-*", "", "flash", "raw"), "No such file"),
            ("70.json", d("uefi", "pc-q35-*", "", "flash", "raw"), "masked"),
            ("README", "not a descriptor".into(), ""),
        ];
        for (name, text, _) in &files {
            fs::write(vendor.join(name), text).unwrap();
        }
        fs::write(admin.join("70.json"), "\n").unwrap();
        let error = find_in(&[&vendor, &admin]).unwrap_err();
        assert_eq!(error.skipped.len(), files.len() - 1);
        for (skipped, (name, _, reason)) in error.skipped.iter().zip(&files) {
            assert!(skipped.contains(name) && skipped.contains(reason), "{skipped}");
        }
        fs::write(vendor.join("80.json"), d("uefi", "pc-q35-*", "", "flash", "qcow2")).unwrap();
        let found = find_in(&[&vendor, &admin]).unwrap();
        assert_eq!((found.code.format, found.vars_template.format), (Format::Raw, Format::Qcow2));
        assert!(find_in(&[&dir.path().join("none")]).unwrap_err().skipped[0].starts_with("no descriptor"));
    }
}
