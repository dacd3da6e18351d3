//! The sources of images: media and bundles as other programs write them.

mod bundle;
mod hostile_bundle;
mod medium;
mod metadata;

pub use medium::centos;

use std::fs;
use std::path::Path;
use std::process::Command;

/// Run a program that makes a fixture.
#[track_caller]
pub fn make<'a>(program: &str, dir: &Path, args: impl IntoIterator<Item = &'a str>) {
    let output = Command::new(program).current_dir(dir).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Put files below `dir`, and make their parent directories.
pub fn put(dir: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// An RPM package in `dir`, without files, under the name yum expects: NAME-VERSION-RELEASE.ARCH.rpm.
pub struct Rpm<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub release: &'a str,
    pub arch: &'a str,
    /// rpm's `_binary_payload`: `w9.gzdio`.
    pub payload: &'a str,
    pub is_source: bool,
}

impl<'a> Rpm<'a> {
    pub fn new(name: &'a str, version: &'a str, release: &'a str) -> Self {
        Self { name, version, release, arch: "x86_64", payload: "w9.gzdio", is_source: false }
    }

    pub fn build(&self, dir: &Path) {
        let work = tempfile::tempdir().unwrap();
        let Self { name, version, release, arch, payload, is_source } = self;
        let spec = format!("Name: {name}\nVersion: {version}\nRelease: {release}\nSummary: s\nLicense: x\n%description\nx\n%files\n");
        put(work.path(), &[("package.spec", spec.as_bytes())]);
        let place = format!("_rpmdir {}", dir.display());
        let place_of_source = format!("_srcrpmdir {}", dir.display());
        let payload = format!("_binary_payload {payload}");
        let defined = ["_topdir top", &place, &place_of_source, "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", &payload];
        let defines = defined.iter().flat_map(|define| ["--define", define]);
        let mode = if *is_source { "-bs" } else { "-bb" };
        make("rpmbuild", work.path(), ["--quiet", mode, "--target", arch].into_iter().chain(defines).chain(["package.spec"]));
    }
}
