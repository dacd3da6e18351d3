//! A recipe as a manifest shows it.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Content, Equipment, FileEntry, FileSource, Firmware, Media, Network, ProvisionStep, Recipe};
use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::package::PackageName;
use crate::base::size::ByteSize;

/// A digest in place of the user's own bytes, which may be tokens and keys.
#[derive(Serialize)]
struct Digest {
    from: &'static str,
    sha256: Sha256Digest,
}

impl From<&Content> for Digest {
    fn from(content: &Content) -> Self {
        match content {
            Content::Inline { text } => Self { from: "inline", sha256: Sha256Digest::of(text.as_bytes()) },
            Content::File { sha256, .. } => Self { from: "file", sha256: *sha256 },
        }
    }
}

/// [`Media`], its kickstart by digest.
#[derive(Serialize)]
#[serde(untagged)]
enum ToldMedia<'a> {
    Anaconda {
        installer: &'static str,
        iso: &'a FileSource,
        #[serde(skip_serializing_if = "Option::is_none")]
        kickstart: Option<Digest>,
    },
    Deploy(&'a Media),
}

impl<'a> From<&'a Media> for ToldMedia<'a> {
    fn from(media: &'a Media) -> Self {
        match media {
            Media::Anaconda { iso, kickstart } => {
                Self::Anaconda { installer: "anaconda", iso, kickstart: kickstart.as_ref().map(Digest::from) }
            }
            Media::Deploy { .. } => Self::Deploy(media),
        }
    }
}

/// [`FileEntry`], its content by digest.
#[derive(Serialize)]
struct ToldFile<'a> {
    path: &'a str,
    mode: u32,
    owner: &'a Owner,
    content: Digest,
}

impl<'a> From<&'a FileEntry> for ToldFile<'a> {
    fn from(file: &'a FileEntry) -> Self {
        Self { path: &file.path, mode: file.mode, owner: &file.owner, content: (&file.content).into() }
    }
}

/// [`ProvisionStep`], its files and script by digest.
#[derive(Serialize)]
struct ToldStep<'a> {
    name: &'a str,
    files: Vec<ToldFile<'a>>,
    packages: &'a [PackageName],
    script: Option<Digest>,
}

impl<'a> From<&'a ProvisionStep> for ToldStep<'a> {
    fn from(step: &'a ProvisionStep) -> Self {
        Self {
            name: &step.name,
            files: step.files.iter().map(ToldFile::from).collect(),
            packages: &step.packages,
            script: step.script.as_ref().map(Digest::from),
        }
    }
}

/// The rest of `system` beside a kickstart of the user's own.
#[derive(Serialize)]
struct ToldSystem<'a> {
    network: &'a Network,
}

/// The rest of `disk`.
#[derive(Serialize)]
struct Machine {
    size: ByteSize,
    firmware: Firmware,
}

impl Serialize for Recipe {
    /// Every field under its name, but those that a kickstart of the user's own decides: a default there would be a false statement.
    /// Contents of files and scripts are replaced by their digests. The checks are complete, like the manifest's promises.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("summary", &self.summary)?;
        map.serialize_entry("media", &ToldMedia::from(&self.media))?;
        map.serialize_entry("repositories", &self.repositories)?;
        if !self.apt_repositories.is_empty() {
            map.serialize_entry("apt_repositories", &self.apt_repositories)?;
        }
        if self.own_kickstart().is_some() {
            map.serialize_entry("system", &ToldSystem { network: &self.system.network })?;
            map.serialize_entry("disk", &Machine { size: self.disk.size, firmware: self.disk.firmware })?;
        } else {
            map.serialize_entry("system", &self.system)?;
            if !self.interfaces.is_empty() {
                map.serialize_entry("interfaces", &self.interfaces)?;
            }
            map.serialize_entry("kernel", &self.kernel)?;
            map.serialize_entry("packages", &self.packages)?;
            map.serialize_entry("services", &self.services)?;
            if !self.groups.is_empty() {
                map.serialize_entry("groups", &self.groups)?;
            }
            map.serialize_entry("users", &self.users)?;
            map.serialize_entry("files", &self.files.iter().map(ToldFile::from).collect::<Vec<_>>())?;
            if !self.authorities.is_empty() {
                map.serialize_entry("authorities", &self.authorities)?;
            }
            map.serialize_entry("disk", &self.disk)?;
        }
        map.serialize_entry("build", &self.build)?;
        map.serialize_entry("provision", &self.provision.iter().map(ToldStep::from).collect::<Vec<_>>())?;
        if !self.container_images.is_empty() {
            map.serialize_entry("container_images", &self.container_images)?;
        }
        map.serialize_entry("checks", &self.checks)?;
        map.serialize_entry("waivers", &self.waivers)?;
        if self.clones {
            map.serialize_entry("clones", &self.clones)?;
        }
        map.serialize_entry("output", &self.output)?;
        if self.run != Equipment::default() {
            map.serialize_entry("run", &self.run)?;
        }
        map.end()
    }
}
