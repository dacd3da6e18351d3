//! Execute planned stages, from a base layer to a new one: install, provision, seal.
//!
//! A layer is a directory with one disk file. An installation's is raw; every other is a qcow2 overlay on its base, which it names by
//! a path relative to itself, so that a store can be moved. Stages know nothing of reuse: they are told where to work.

mod anaconda;
mod deploy;
mod error;
mod provision;
mod seal;

use std::path::PathBuf;

pub use anaconda::{anaconda, anaconda_bytes};
pub use deploy::{INSTALL_BYTES, INSTALL_TOOLS, TREE, deploy};
pub use error::StageError;
pub use provision::{Step, provision};
pub use seal::{SEALING, seal};

use crate::image::Format;
use crate::machine::spec::{self, Drive};

/// The disk of an installation layer.
const RAW: &str = "disk.raw";
/// The disk of every other layer.
const OVERLAY: &str = "disk.qcow2";

/// A finished layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    dir: PathBuf,
}

impl Layer {
    /// The layer in `dir`.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Its disk file.
    pub fn disk(&self) -> PathBuf {
        [RAW, OVERLAY].map(|name| self.dir.join(name)).into_iter().find(|path| path.exists()).unwrap_or_else(|| self.dir.join(OVERLAY))
    }

    fn format(&self) -> Format {
        if self.dir.join(RAW).exists() { Format::Raw } else { Format::Qcow2 }
    }

    /// What an overlay in a directory beside this one calls its backing file.
    fn backing(&self) -> PathBuf {
        let disk = self.disk();
        let parts: Vec<_> = disk.components().rev().take(2).collect();
        parts.into_iter().rev().fold(PathBuf::from(".."), |path, part| path.join(part))
    }
}

fn drive(path: PathBuf, format: Format) -> Drive {
    let format = match format {
        Format::Raw => spec::Format::Raw,
        Format::Qcow2 => spec::Format::Qcow2,
    };
    Drive::scratch(path, format, "disk")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_overlay_finds_its_base_wherever_the_store_is() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("abc");
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join(RAW), "").unwrap();
        assert_eq!(Layer::at(base).backing(), Path::new("../abc/disk.raw"));
    }
}
