//! Facts about Docker on the disk: the engine's settings, and its images.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::image::{ImageError, Root};

/// The engine of Docker CE, and of Debian's docker.io.
const ENGINES: [&str; 2] = ["/usr/bin/dockerd", "/usr/sbin/dockerd"];
/// Its settings (dockerd(8), `--config-file`).
const SETTINGS: &str = "/etc/docker/daemon.json";
/// The images of a storage driver: moby 18.09, image/store and reference/store.go.
const STORES: &str = "/var/lib/docker/image";
/// Bytes of such a file that are read.
const MAX_BYTES: u64 = 4 << 20;

/// Docker on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Docker {
    /// Whether the engine is installed.
    pub engine: bool,
    /// `/etc/docker/daemon.json`.
    pub settings: Option<Value>,
    /// The storage drivers that keep images.
    pub drivers: Vec<String>,
    /// Names of the images, with their tags.
    pub images: Vec<String>,
}

/// `repositories.json`: each name, with its tags and digests.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Repositories {
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

impl Docker {
    /// What `root` has of Docker; `None` when it has nothing. What cannot be understood is added to `problems`.
    pub(super) fn of(root: &Root, problems: &mut Vec<String>) -> Result<Option<Self>, ImageError> {
        let settings = json(root, SETTINGS, problems)?;
        let engine = root.exists(ENGINES[0])? || root.exists(ENGINES[1])?;
        let mut found = Self { engine, settings, drivers: Vec::new(), images: Vec::new() };
        let drivers = if root.exists(STORES)? { root.read_dir(STORES)? } else { Vec::new() };
        for driver in drivers.iter().map(|name| name.to_string_lossy().into_owned()) {
            let path = format!("{STORES}/{driver}/repositories.json");
            if let Some(Repositories { repositories }) = json(root, &path, problems)? {
                // A digest has a name of its own beside the tag's.
                let tags = repositories.into_values().flat_map(BTreeMap::into_keys).filter(|name| !name.contains('@'));
                found.images.extend(tags);
            }
            found.drivers.push(driver);
        }
        let is_nothing = !found.engine && found.settings.is_none() && found.drivers.is_empty();
        Ok((!is_nothing).then_some(found))
    }
}

fn json<T: for<'de> Deserialize<'de>>(root: &Root, path: &str, problems: &mut Vec<String>) -> Result<Option<T>, ImageError> {
    let Some(bytes) = root.read_if_there(path, MAX_BYTES)? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            problems.push(format!("{path} is not understood: {error}"));
            Ok(None)
        }
    }
}
