//! Fields that several parts of a recipe have.

use super::super::tree::KeyPath;
use super::super::written::{self, Installer};
use super::super::{FileSource, syntax};
use super::judge::Judge;
use crate::base::digest::Sha256Digest;

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
pub(super) fn sysctl_value(judge: &mut Judge<'_>, path: &KeyPath, value: &written::SysctlValue) -> String {
    match value {
        written::SysctlValue::Boolean(value) => u8::from(*value).to_string(),
        written::SysctlValue::Integer(value) => value.to_string(),
        written::SysctlValue::Text(text) => judge.spelled(path, text, syntax::sysctl_text).split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Packages, spelled as the wanted system's tool takes them.
pub(super) fn package_names(judge: &mut Judge<'_>, path: &KeyPath, names: &[String]) -> Vec<String> {
    let speller = match judge.installer {
        Some(Installer::Anaconda) => syntax::rpm_package,
        Some(Installer::Deploy) => syntax::debian_package,
        None => syntax::package,
    };
    judge.all_spelled(path, names, speller)
}
