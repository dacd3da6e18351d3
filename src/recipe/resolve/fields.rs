//! Fields that several parts of a recipe have.

use std::str::FromStr;

use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{FileSource, syntax};
use super::judge::Judge;
use crate::base::digest::Sha256Digest;
use crate::base::image_path::ImagePath;
use crate::base::package::PackageName;
use crate::base::word::Line;

/// A file on this machine or on the network.
pub(super) fn file_source(judge: &mut Judge<'_>, path: &KeyPath, written: &written::FileSource) -> FileSource {
    if written.path.is_none() && written.urls.is_empty() {
        judge.none_of(path, &["path", "urls"], format!("`{path}` does not say where the file is"));
    }
    let urls = judge.all_spelled(&path.at("urls"), &written.urls, syntax::url);
    FileSource {
        path: written.path.as_ref().map(|text| judge.host_path(&path.at("path"), text)),
        urls,
        sha256: sha256(judge, &path.at("sha256"), written.sha256.as_deref()),
    }
}

/// A digest, when one is given.
pub(super) fn sha256(judge: &mut Judge<'_>, path: &KeyPath, text: Option<&str>) -> Option<Sha256Digest> {
    let parsed = text?.parse();
    if parsed.is_err() {
        judge.wrong(path, "this is not a sha256 digest", "write the 64 hexadecimal digits that `sha256sum` prints");
    }
    parsed.ok()
}

/// A kernel parameter's value as `sysctl -w` takes it.
pub(super) fn sysctl_value(judge: &mut Judge<'_>, path: &KeyPath, value: &written::SysctlValue) -> Option<Line> {
    match value {
        written::SysctlValue::Boolean(value) => Some(Line::made(u8::from(*value).to_string())),
        written::SysctlValue::Integer(value) => Some(Line::made(value.to_string())),
        written::SysctlValue::Text(text) => judge.verdict(path, syntax::sysctl_text(text)),
    }
}

/// Packages, spelled as the wanted system's tool takes them.
pub(super) fn package_names(judge: &mut Judge<'_>, path: &KeyPath, names: &[String]) -> Vec<PackageName> {
    let read = match judge.installer {
        Some(Installer::Anaconda) => PackageName::of_rpm,
        Some(Installer::Deploy) => PackageName::of_debian,
        None => PackageName::from_str,
    };
    judge.all_read(path, names, read)
}

/// A path in the image that the installer creates.
pub(super) fn image_path(judge: &mut Judge<'_>, path: &KeyPath, text: &str) -> Option<ImagePath> {
    let wanted: Option<ImagePath> = judge.parsed(path, text);
    if !text.is_ascii() && judge.installer == Some(Installer::Anaconda) {
        // pykickstart of EL7 is Python 2, and reads a script as bytes of no certain encoding.
        judge.wrong(
            path,
            format!("`{text}` is not in ASCII, which a kickstart needs"),
            "write the path in ASCII, or make the file in a provision step",
        );
    }
    wanted
}
