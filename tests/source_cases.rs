//! What images are made from: media and bundles as other programs write them.

mod medium;

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

/// Put files below `dir`; parents are made.
pub fn put(dir: &Path, files: &[(&str, &[u8])]) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}
