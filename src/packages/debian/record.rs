//! The fields of a package in a `Packages` index that identify it and name its needs.
//!
//! Debian repository format, "Packages" indices; deb-control(5).

use super::stanza::fields;
use crate::packages::error::{Problem, malformed};

/// A package of a `Packages` index, as written; a missing field is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) package: &'a str,
    pub(super) version: &'a str,
    pub(super) architecture: &'a str,
    /// Name of the source package, with its version when that is another.
    pub(super) source: &'a str,
    /// `required`, `important`, `standard`, `optional`, `extra`.
    pub(super) priority: &'a str,
    /// `Essential: yes`.
    pub(super) essential: bool,
    pub(super) filename: &'a str,
    pub(super) sha256: &'a str,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes it takes when installed; the index has KiB, rounded (deb-substvars(5), Installed-Size).
    pub(super) installed: u64,
    pub(super) depends: &'a str,
    pub(super) pre_depends: &'a str,
    pub(super) conflicts: &'a str,
    pub(super) breaks: &'a str,
    pub(super) provides: &'a str,
}

impl<'a> Record<'a> {
    /// The package a paragraph describes.
    pub(super) fn of(stanza: &'a [u8]) -> Result<Self, Problem> {
        let mut record = Self::default();
        for (name, value) in fields(stanza) {
            let text = match name {
                b"Package" => &mut record.package,
                b"Version" => &mut record.version,
                b"Architecture" => &mut record.architecture,
                b"Source" => &mut record.source,
                b"Priority" => &mut record.priority,
                b"Filename" => &mut record.filename,
                b"SHA256" => &mut record.sha256,
                b"Depends" => &mut record.depends,
                b"Pre-Depends" => &mut record.pre_depends,
                b"Conflicts" => &mut record.conflicts,
                b"Breaks" => &mut record.breaks,
                b"Provides" => &mut record.provides,
                b"Essential" => {
                    record.essential = value == b"yes";
                    continue;
                }
                b"Size" => {
                    record.size = number(value)?;
                    continue;
                }
                b"Installed-Size" => {
                    let kib = number(value)?;
                    record.installed = kib.checked_mul(1024).ok_or_else(|| malformed(format_args!("{kib} KiB is no size")))?;
                    continue;
                }
                b"" => return Err(malformed(format_args!("`{}` is no field", shown(value)))),
                _ => continue,
            };
            if !text.is_empty() {
                return Err(malformed(format_args!("the field {} is there twice", shown(name))));
            }
            *text = utf8(value)?;
        }
        for (what, text) in [("Package", record.package), ("Version", record.version), ("Architecture", record.architecture)] {
            if text.is_empty() {
                return Err(malformed(format_args!("the field {what} is missing")));
            }
        }
        Ok(record)
    }
}

fn utf8(value: &[u8]) -> Result<&str, Problem> {
    std::str::from_utf8(value).map_err(|_| malformed(format_args!("`{}` is not UTF-8", shown(value))))
}

fn number(value: &[u8]) -> Result<u64, Problem> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed(format_args!("`{}` is no size", shown(value))))
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned()
}
