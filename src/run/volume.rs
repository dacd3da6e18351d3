//! Directories of the host in a local machine.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::source::Source;
use crate::base::image_path::ImagePath;
use crate::image::{Disk, Root, kernels};
use crate::machine::spec;

/// The module of the kernel that mounts them.
const MODULE: &str = "virtiofs";

/// A directory of the host in a machine. As text, `DIR:PATH`, or `DIR:PATH:ro` for one that the machine cannot change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The directory of the host; absolute, once it was found.
    pub dir: PathBuf,
    /// Where the machine has it.
    pub path: ImagePath,
    /// Whether the machine cannot change it.
    pub read_only: bool,
}

impl FromStr for Volume {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, read_only) = match text.strip_suffix(":ro") {
            Some(rest) => (rest, true),
            None => (text.strip_suffix(":rw").unwrap_or(text), false),
        };
        let parts = rest.rsplit_once(':').filter(|(dir, path)| !dir.is_empty() && path.starts_with('/'));
        let (dir, path) = parts.ok_or("write DIR:PATH, or DIR:PATH:ro: a directory of this host, and an absolute path in the VM")?;
        let path = path.parse().map_err(|fault: crate::base::fault::Fault| format!("{}; {}", fault.what, fault.help))?;
        Ok(Self { dir: dir.into(), path, read_only })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.dir.display(), self.path, if self.read_only { ":ro" } else { "" })
    }
}

/// The volumes with absolute directories.
///
/// # Errors
/// One is no directory, or two are at one place of the machine.
pub(super) fn found(volumes: &[Volume]) -> Result<Vec<Volume>, RunError> {
    let found = |(index, volume): (usize, &Volume)| {
        let bad = |why: String| RunError::BadVolume { volume: volume.to_string(), why };
        let dir = volume.dir.canonicalize().map_err(|error| bad(format!("the directory cannot be read: {error}")))?;
        if !dir.is_dir() {
            return Err(bad("it is no directory".to_owned()));
        }
        if volumes[..index].iter().any(|other| other.path == volume.path) {
            return Err(bad(format!("another volume is at {}", volume.path)));
        }
        if volumes.len() > spec::MAX_VOLUMES {
            return Err(bad(format!("{} volumes are more than a machine can have, {}", volumes.len(), spec::MAX_VOLUMES)));
        }
        Ok(Volume { dir, ..volume.clone() })
    };
    volumes.iter().enumerate().map(found).collect()
}

/// Make sure that the system of `source` can mount volumes, as far as its disk tells.
///
/// # Errors
/// None of its kernels has virtiofs.
pub(super) fn refuse_unfit(source: &Source) -> Result<(), RunError> {
    let disk = Disk::open_as(&source.image, source.format, source.store.as_deref())?;
    // Of a system that cannot be read, the boot tells.
    let Ok(root) = Root::open(&disk) else { return Ok(()) };
    let Ok(kernels) = kernels(&root) else { return Ok(()) };
    if kernels.is_empty() || kernels.iter().any(|kernel| kernel.has(MODULE)) {
        return Ok(());
    }
    let names = kernels.into_iter().map(|kernel| kernel.release).collect();
    Err(RunError::NoVirtiofs { image: source.image.clone(), kernels: names })
}

/// The volumes as the machine's hardware.
pub(super) fn devices(volumes: &[Volume]) -> Vec<spec::Volume> {
    let device = |(index, volume): (usize, &Volume)| spec::Volume { dir: volume.dir.clone(), tag: tag(index), read_only: volume.read_only };
    volumes.iter().enumerate().map(device).collect()
}

/// What the guest mounts: a line `TAG OPTIONS PATH` for each.
pub(super) fn lines(volumes: &[Volume]) -> String {
    let line = |(index, volume): (usize, &Volume)| format!("{} {} {}", tag(index), if volume.read_only { "ro" } else { "rw" }, volume.path);
    volumes.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

fn tag(index: usize) -> String {
    format!("goldsmith-{index}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(dir: &str, path: &str, read_only: bool) -> Volume {
        Volume { dir: dir.into(), path: ImagePath::made(path), read_only }
    }

    #[test]
    fn a_volume_is_read_as_docker_and_others_write_it() {
        for (text, expected) in [
            (".:/srv", Some(volume(".", "/srv", false))),
            ("/a:/b:ro", Some(volume("/a", "/b", true))),
            ("/a:/b:rw", Some(volume("/a", "/b", false))),
            ("/with:colon:/b c", Some(volume("/with:colon", "/b c", false))),
            ("/a", None),
            ("/a:b", None),
            (":/b", None),
            ("/a:/b:rx", None),
            ("/a:/", None),
            ("/a:/b/../c", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Volume>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn directories_become_absolute_and_each_place_has_one() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("dir")).unwrap();
        std::fs::write(temp.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("dir", temp.path().join("link")).unwrap();
        let at = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
        let real = temp.path().canonicalize().unwrap().join("dir");
        assert_eq!(found(&[volume(&at("link"), "/a", true)]).unwrap()[0].dir, real);
        let nine: Vec<Volume> = (0..9).map(|n| volume(&at("dir"), &format!("/{n}"), false)).collect();
        for (volumes, why) in [
            (vec![volume(&at("none"), "/a", false)], "the directory cannot be read: No such file"),
            (vec![volume(&at("file"), "/a", false)], "it is no directory"),
            (vec![volume(&at("dir"), "/a", false), volume(&at("link"), "/a", true)], "another volume is at /a"),
            (nine, "9 volumes are more than a machine can have, 8"),
        ] {
            let error = found(&volumes).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_guest_mounts_what_the_machine_has() {
        let volumes = [volume("/a", "/srv/a b", false), volume("/b", "/mnt", true)];
        assert_eq!(lines(&volumes), "goldsmith-0 rw /srv/a b\ngoldsmith-1 ro /mnt");
        let devices = devices(&volumes);
        assert_eq!(
            (devices[1].tag.as_str(), devices[1].read_only, devices[1].dir.as_path()),
            ("goldsmith-1", true, std::path::Path::new("/b"))
        );
    }
}
