//! The packages of a bill.

use jiff::Timestamp;

use super::license::License;
use super::purl::purl;
use super::subject::System;
use crate::packages::installed::{Installation, Installed, State};

/// A package of a bill.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// The package.
    pub(super) package: &'a Installed,
    /// Its package URL.
    pub(super) purl: String,
    /// Its licence.
    pub(super) license: Option<License>,
}

impl Entry<'_> {
    /// How far the package is installed, when it is not wholly.
    pub(super) fn half_way(&self) -> Option<&'static str> {
        (self.package.state != State::Installed).then(|| self.package.state.name())
    }
}

/// The packages that have files in the system, also those that dpkg has not wholly installed. Keys that rpm keeps like packages are left
/// out.
pub(super) fn entries<'a>(system: &System, installation: &'a Installation) -> Vec<Entry<'a>> {
    let has_files = |package: &&Installed| !package.is_key && !matches!(package.state, State::NotInstalled | State::ConfigFiles);
    let packages = installation.packages.iter().chain(&installation.others).filter(has_files);
    let entry = |package: &'a Installed| Entry {
        package,
        purl: purl(system, installation.format.scheme(), package),
        license: package.license.as_deref().and_then(License::of),
    };
    packages.map(entry).collect()
}

/// Why a bill lacks packages; None when it lacks none.
pub(super) fn lacks(installation: &Installation) -> Option<String> {
    let damaged = installation.damaged.len();
    (damaged > 0).then(|| format!("Incomplete: {damaged} damaged entries of the package database could not be read."))
}

/// When the newest package was installed. dpkg does not record this.
pub fn last_installed(installation: &Installation) -> Option<Timestamp> {
    let times = installation.packages.iter().filter_map(|package| package.installed_at);
    times.filter_map(|seconds| Timestamp::from_second(seconds.try_into().ok()?).ok()).max()
}
