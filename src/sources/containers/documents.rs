//! Finds the images of an archive by its JSON. Pure.
//!
//! Two forms: that of `docker save` (image specification of Docker, v1.2: `manifest.json`), and the OCI image layout (image-spec v1.1:
//! `index.json`, `blobs/ALGORITHM/DIGEST`). Docker 25 and later write both at once; then `manifest.json` is what `docker load` reads.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::contents::{Contents, DOCUMENT_BYTES};
use super::packed::{PackedImage, PackedLayer, add};
use super::reference::familiar;
use crate::base::digest::Sha256Digest;
use crate::base::size::rounded;
use crate::recipe::DockerImage;

/// The only operating system of images that is accepted: that of the machines.
const OS: &str = "linux";
const ARCHITECTURE: &str = "amd64";
/// Layers that Docker takes, at most (moby 18.09, layer/layer_store.go, `maxLayerDepth`).
const LAYERS: usize = 125;
/// Documents of an OCI layout that are looked at, at most; an index may lead to others.
const DOCUMENTS: usize = 1000;
/// Images of an archive, and names of an image, at most.
const IMAGES: usize = 1000;
/// Bytes of JSON that are read of an archive, each document as often as something leads to it.
const READ_BYTES: usize = 128 << 20;
/// Indexes that lead to one another.
const DEPTH: usize = 4;
/// At most this many faults of one archive are reported.
const TOLD: usize = 20;
/// Where containerd and Docker write the whole name of an image (containerd, images/annotations.go).
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The name of an image in its layout, or its tag alone (image-spec v1.1, annotations.md).
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// BuildKit's mark for documents that describe an image and are none themselves (docs/attestations/attestation-storage.md).
const ATTESTATION: &str = "vnd.docker.reference.type";

/// What an archive must be.
pub(super) const WANTED: &str = "an archive of container images (`docker save`, or an OCI layout as a tar)";
/// How an archive is made again.
pub(super) const SAVE_AGAIN: &str = "get it again, or save it again: docker save -o FILE NAME:TAG";
/// What to do when an image has no name.
const NAME_IT: &str = "save it under a name: docker save -o FILE NAME:TAG, or skopeo copy oci-archive:FILE docker-archive:NEW:NAME:TAG";
/// What to do when an image is for another machine.
const OTHER_PLATFORM: &str = "get the image for linux/amd64 and save that: docker pull --platform linux/amd64 NAME:TAG";

/// Something wrong with an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The sentence.
    pub what: String,
    /// The remedy.
    pub remedy: String,
}

fn fault(what: impl Into<String>, remedy: &str) -> Fault {
    Fault { what: what.into(), remedy: remedy.to_owned() }
}

/// An entry of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// An image's configuration.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Option<Vec<String>>,
}

/// `index.json`, another index, or the manifest of an image.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// A reference to a blob.
#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

impl Platform {
    fn is_ours(&self) -> bool {
        (&*self.os, &*self.architecture) == (OS, ARCHITECTURE)
    }
}

impl Descriptor {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Whether it leads to a document about an image.
    fn is_attestation(&self) -> bool {
        self.annotation(ATTESTATION).is_some() || self.platform.as_ref().is_some_and(|platform| platform.architecture == "unknown")
    }

    /// The image's name, when it has one and not a tag alone.
    fn name(&self) -> Option<&str> {
        self.annotation(CONTAINERD_NAME).or_else(|| self.annotation(REF_NAME).filter(|name| name.contains(['/', ':'])))
    }
}

/// The images of an archive.
///
/// # Errors
/// All that is wrong with it, and at least one.
pub(super) fn images(contents: &Contents) -> Result<Vec<PackedImage>, Vec<Fault>> {
    let mut reading = Reading { contents, images: Vec::new(), faults: Vec::new(), documents: 0, read_bytes: 0 };
    if contents.get("manifest.json").is_some() {
        reading.saved();
    } else if contents.get("index.json").is_some() {
        reading.layout();
    } else {
        let what = if contents.get("repositories").is_some() {
            "it is of a Docker before 1.10: it has no manifest.json".to_owned()
        } else if contents.has_below(&["etc", "usr", "bin"]) {
            "it holds the files of one system, as `docker export` writes them, and no image".to_owned()
        } else {
            format!("it is not {WANTED}: it has neither manifest.json nor index.json")
        };
        return Err(vec![fault(what, "save the image with docker save -o FILE NAME:TAG")]);
    }
    if reading.images.is_empty() && reading.faults.is_empty() {
        reading.fault("it holds no image", SAVE_AGAIN);
    }
    if reading.faults.is_empty() { Ok(reading.images) } else { Err(reading.faults) }
}

struct Reading<'a> {
    contents: &'a Contents,
    images: Vec<PackedImage>,
    faults: Vec<Fault>,
    documents: usize,
    read_bytes: usize,
}

impl Reading<'_> {
    fn fault(&mut self, what: impl Into<String>, remedy: &str) {
        if self.faults.len() < TOLD {
            self.faults.push(fault(what, remedy));
        }
    }

    /// The JSON in the file at `path`, which is `what`.
    fn json<T: DeserializeOwned>(&mut self, path: &str, what: &str) -> Option<T> {
        let Some((_, member)) = self.contents.get(path) else {
            self.fault(format!("it lacks `{path}`, {what}: it is cut short, or was not saved whole"), SAVE_AGAIN);
            return None;
        };
        let Some(text) = &member.text else {
            let most = rounded(DOCUMENT_BYTES as u64);
            self.fault(format!("`{path}` is no JSON document of {most} at most, and should be {what}"), SAVE_AGAIN);
            return None;
        };
        let before = self.read_bytes;
        self.read_bytes = before.saturating_add(text.len());
        if self.read_bytes > READ_BYTES {
            if before <= READ_BYTES {
                self.fault(format!("its documents lead to more than {} of JSON", rounded(READ_BYTES as u64)), SAVE_AGAIN);
            }
            return None;
        }
        match serde_json::from_slice(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(format!("`{path}` is not {what} as it must be: {error}"), SAVE_AGAIN);
                None
            }
        }
    }

    /// The form of `docker save`.
    fn saved(&mut self) {
        let Some(all) = self.json::<Vec<Saved>>("manifest.json", "the list of images") else { return };
        if all.len() > IMAGES {
            return self.fault(format!("it has {} images, and {IMAGES} at most are read", all.len()), "save them in several archives");
        }
        for saved in all {
            // The name is the digest, as `HEX.json`, `sha256:HEX` or `blobs/sha256/HEX`.
            let last = saved.config.rsplit('/').next().unwrap_or_default();
            let promised = last.strip_suffix(".json").unwrap_or(last);
            let promised = promised.strip_prefix("sha256:").unwrap_or(promised).parse().ok();
            let (names, layers) = (saved.repo_tags.unwrap_or_default(), saved.layers.unwrap_or_default());
            self.image((&saved.config, promised), &layers, &names);
        }
    }

    /// An OCI image layout.
    fn layout(&mut self) {
        let Some(index) = self.json::<Document>("index.json", "the index of the layout") else { return };
        for descriptor in index.manifests.iter().flatten().filter(|descriptor| !descriptor.is_attestation()) {
            let names: Vec<String> = descriptor.name().map(str::to_owned).into_iter().collect();
            self.descriptor(descriptor, &names, 0);
        }
    }

    /// The image that a descriptor leads to, through indexes that may be between.
    fn descriptor(&mut self, descriptor: &Descriptor, names: &[String], depth: usize) {
        self.documents += 1;
        if depth == DEPTH || self.documents > DOCUMENTS {
            if self.documents <= DOCUMENTS + 1 {
                self.fault(format!("its indexes lead to one another {DEPTH} deep, or to more than {DOCUMENTS} documents"), SAVE_AGAIN);
            }
            return;
        }
        let Some((path, _)) = self.blob(descriptor, "a manifest") else { return };
        let Some(document) = self.json::<Document>(&path, "a manifest") else { return };
        if let Some(manifests) = document.manifests {
            let images: Vec<&Descriptor> = manifests.iter().filter(|descriptor| !descriptor.is_attestation()).collect();
            let ours = images.iter().find(|descriptor| descriptor.platform.as_ref().is_none_or(Platform::is_ours));
            let Some(ours) = ours else {
                let platform = |descriptor: &&Descriptor| {
                    descriptor.platform.as_ref().map(|platform| format!("{}/{}", platform.os, platform.architecture)).unwrap_or_default()
                };
                let others: Vec<String> = images.iter().take(TOLD).map(platform).collect();
                let what = format!("its image {} is for {}, and not for {OS}/{ARCHITECTURE}", shown(names, &path), others.join(", "));
                return self.fault(what, OTHER_PLATFORM);
            };
            return self.descriptor(ours, names, depth + 1);
        }
        let Some(config) = document.config else {
            return self.fault(format!("`{path}` is no manifest of an image"), SAVE_AGAIN);
        };
        let Some((config, promised)) = self.blob(&config, "the configuration of an image") else { return };
        let blobs: Vec<Option<(String, Sha256Digest)>> =
            document.layers.iter().flatten().map(|layer| self.blob(layer, "a layer")).collect();
        if let Some(layers) = blobs.into_iter().map(|blob| Some(blob?.0)).collect::<Option<Vec<String>>>() {
            self.image((&config, Some(promised)), &layers, names);
        }
    }

    /// The path of a blob and its digest, when the archive has it and it is whole.
    fn blob(&mut self, descriptor: &Descriptor, what: &str) -> Option<(String, Sha256Digest)> {
        let Some(sha256) = digest(&descriptor.digest) else {
            self.fault(format!("`{}` is not the sha256 digest of {what}", descriptor.digest), SAVE_AGAIN);
            return None;
        };
        let path = format!("blobs/sha256/{sha256}");
        match self.contents.get(&path) {
            None => self.fault(format!("it lacks `{path}`, {what}: it is cut short, or was not saved whole"), SAVE_AGAIN),
            Some((_, member)) if member.sha256 != sha256 => {
                self.fault(format!("`{path}`, {what}, is damaged: it hashes to {}", member.sha256), SAVE_AGAIN);
            }
            Some(_) => return Some((path, sha256)),
        }
        None
    }

    /// Add the image with this configuration, which must have the promised digest, and with these files as its layers.
    fn image(&mut self, (config_path, promised): (&str, Option<Sha256Digest>), layers: &[String], names: &[String]) {
        let Some(config) = self.json::<Config>(config_path, "the configuration of an image") else { return };
        let Some((path, member)) = self.contents.get(config_path) else { return };
        let (path, id, config_bytes) = (path.to_owned(), member.sha256, member.text.as_ref().map_or(0, |text| text.len() as u64));
        let name = shown(names, config_path);
        let before = self.faults.len();
        if promised.is_some_and(|promised| promised != id) {
            self.fault(format!("`{config_path}`, the configuration of {name}, is damaged: it hashes to {id}"), SAVE_AGAIN);
        }
        if (&*config.os, &*config.architecture) != (OS, ARCHITECTURE) {
            let what = format!("its image {name} is for {}/{}, and not for {OS}/{ARCHITECTURE}", config.os, config.architecture);
            self.fault(what, OTHER_PLATFORM);
        }
        let tags = self.tags(names, config_path);
        let layers = self.layers(&name, &config.rootfs.diff_ids.unwrap_or_default(), layers);
        if self.faults.len() > before {
            return;
        }
        let image = DockerImage { id, tags, os: config.os, architecture: config.architecture };
        add(&mut self.images, PackedImage { image, config: path, config_bytes, layers });
    }

    /// The tags of an image, in order.
    fn tags(&mut self, names: &[String], config: &str) -> Vec<String> {
        if names.is_empty() {
            self.fault(format!("its image {} has no tag and no name", shown(names, config)), NAME_IT);
        }
        if names.len() > IMAGES {
            self.fault(format!("its image {} has {} names, and {IMAGES} at most are read", shown(names, config), names.len()), NAME_IT);
            return Vec::new();
        }
        let mut tags = Vec::new();
        for name in names {
            match familiar(name) {
                Ok(tag) => tags.push(tag),
                Err(why) => self.fault(format!("its image is called `{name}`, and {why}"), NAME_IT),
            }
        }
        for tag in &tags {
            // Within an archive the last one would replace the others without a message.
            if self.images.iter().any(|packed| packed.image.tags.contains(tag)) && !self.is_known(tag, config) {
                self.fault(format!("it has two images {tag}"), "give one of them another tag, and save both again");
            }
        }
        tags.sort();
        tags.dedup();
        tags
    }

    /// Whether the image with this configuration has the tag already.
    fn is_known(&self, tag: &String, config: &str) -> bool {
        let id = self.contents.get(config).map(|(_, member)| member.sha256);
        self.images.iter().any(|packed| Some(packed.image.id) == id && packed.image.tags.contains(tag))
    }

    /// The layers in `files`, each compared with its data in the configuration.
    fn layers(&mut self, name: &str, wanted: &[String], files: &[String]) -> Vec<PackedLayer> {
        if wanted.len() != files.len() {
            self.fault(format!("its image {name} has {} layers, and its configuration {}", files.len(), wanted.len()), SAVE_AGAIN);
            return Vec::new();
        }
        if files.len() > LAYERS {
            let what = format!("its image {name} has {} layers, and Docker takes {LAYERS}", files.len());
            self.fault(what, "flatten the image: docker build --squash, or docker export and docker import");
            return Vec::new();
        }
        let mut layers = Vec::new();
        for (file, wanted) in files.iter().zip(wanted) {
            let Some(sha256) = digest(wanted) else {
                self.fault(format!("the configuration of {name} has `{wanted}` in the place of a layer's sha256 digest"), SAVE_AGAIN);
                continue;
            };
            match self.contents.get(file).map(|(path, member)| (path.to_owned(), member.unpacked.clone())) {
                None => {
                    let what = format!("it lacks `{file}`, a layer of {name}: it is cut short, or was not saved whole");
                    self.fault(what, SAVE_AGAIN);
                }
                Some((_, Err(why))) => self.fault(format!("`{file}`, a layer of {name}, cannot be unpacked: {why}"), SAVE_AGAIN),
                Some((_, Ok(whole))) if whole.sha256 != sha256 => {
                    let what =
                        format!("`{file}`, a layer of {name}, is damaged: unpacked it hashes to {}, and not to {sha256}", whole.sha256);
                    self.fault(what, SAVE_AGAIN);
                }
                Some((file, Ok(whole))) => layers.push(PackedLayer { file, sha256, bytes: whole.bytes }),
            }
        }
        layers
    }
}

/// The digest in `sha256:HEX`.
fn digest(text: &str) -> Option<Sha256Digest> {
    text.strip_prefix("sha256:")?.parse().ok()
}

/// The name of an image in errors, before its names are checked.
fn shown(names: &[String], file: &str) -> String {
    names.first().cloned().unwrap_or_else(|| format!("in `{file}`"))
}
