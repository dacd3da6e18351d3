//! Execute planned stages, from a base layer to a new one: install, provision, seal.
//!
//! A layer is a directory with one disk file, a record ([`Layer`]) and the journal of its making. An installation's is raw; every other is a qcow2 overlay on its base, which it names by
//! a path relative to itself, so that a store can be moved. Stages do not decide on reuse: the caller tells them where to work.

mod anaconda;
mod deploy;
mod error;
mod layer;
mod provision;
mod seal;

use std::path::PathBuf;

pub use anaconda::{anaconda, anaconda_bytes};
pub use deploy::{INSTALL_BYTES, INSTALL_TOOLS, TREE, deploy};
pub use error::StageError;
pub use layer::{Layer, Unusable};
pub use provision::{LOADING, Step, provision};
pub use seal::{SEALING, seal};

use crate::image::Format;
use crate::machine::spec::Drive;

/// The disk of an installation layer.
const RAW: &str = "disk.raw";
/// The disk of every other layer.
const OVERLAY: &str = "disk.qcow2";

fn drive(path: PathBuf, format: Format) -> Drive {
    Drive::scratch(path, format, "disk")
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::base::digest::Sha256Digest;
    use crate::base::image_path::ImagePath;
    use crate::base::package::PackageName;
    use crate::base::uuid::Uuid;
    use crate::image::ext4::Mke2fs;
    use crate::image::{Firmware, Layout, TableKind};
    use crate::plan::ENGINE;
    use crate::recipe::{Content, FileEntry, ProvisionStep};

    /// The parts of the stages that no other key includes. If they changed without a change of keys, an old layer would be used as a new
    /// one.
    fn engine() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut said = String::new();
        let mut part = |name: &str, bytes: &[u8]| writeln!(said, "{name} {}", Sha256Digest::of(bytes)).unwrap();
        let guest = root.join("src/machine/runner/guest");
        let mut scripts: Vec<PathBuf> = Vec::new();
        for directory in [guest.clone(), guest.join("units")] {
            scripts.extend(fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
        }
        scripts.sort();
        for path in &scripts {
            part(&path.strip_prefix(&guest).unwrap().display().to_string(), &fs::read(path).unwrap());
        }
        let mke2fs =
            Mke2fs { offset: 1 << 20, size: 1 << 30, label: "root".to_owned(), uuid: Uuid([1; 16]), hash_seed: Uuid([2; 16]), epoch: 3 };
        part("mke2fs", format!("{:?} {:?}", mke2fs.args(Path::new("tree"), Path::new("disk")), mke2fs.env()).as_bytes());
        for (name, firmware, table) in [
            ("bios-gpt", Firmware::Bios, TableKind::Gpt),
            ("bios-mbr", Firmware::Bios, TableKind::Mbr),
            ("uefi-gpt", Firmware::Uefi, TableKind::Gpt),
        ] {
            let layout = Layout::plan(8 << 30, firmware, table, 1 << 28).unwrap();
            part(name, format!("{layout:?}").as_bytes());
        }
        let content = || Content::Inline { text: "text\n".to_owned() };
        let file =
            |mode, owner: &str| FileEntry { path: ImagePath::made("/etc/file"), mode, owner: owner.parse().unwrap(), content: content() };
        let step = ProvisionStep {
            name: "step".to_owned(),
            files: vec![file(0o640, "root:adm"), file(0o4755, "daemon:daemon")],
            packages: ["tree", "less"].map(PackageName::made).into(),
            script: Some(content()),
        };
        part("provision", format!("{:?}", provision::payload(0, &step)).as_bytes());
        said
    }

    #[test]
    fn what_the_stages_run_changes_with_the_engines_number_alone() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/engine.txt");
        let golden = fs::read_to_string(&path).unwrap_or_default();
        let head = format!("engine {ENGINE}\n");
        if std::env::var_os("REGENERATE").is_some() && !golden.starts_with(&head) {
            return fs::write(&path, head + &engine()).unwrap();
        }
        let differ =
            "goldsmith makes another result out of the same inputs. Raise ENGINE in src/plan.rs, then run this test with REGENERATE=1";
        assert!(golden == head + &engine(), "{differ}\n--- found\n{}--- expected\n{golden}", engine());
    }
}
