//! The documents whose digests are the stage ids. They hold everything that can change a result, and nothing else.
//!
//! Texts of the recipe (files, scripts) are in them by digest: `goldsmith plan --json` prints the documents, so they may be passed on.

use serde::{Serialize, Serializer};

use super::work::{AnacondaWork, DeployWork, ENGINE, SealWork};
use crate::base::account::Owner;
use crate::base::digest::Sha256Digest;
use crate::base::fingerprint::Fingerprint;
use crate::base::package::PackageName;
use crate::recipe::{
    BuildNetwork, Check, ContainerRun, Disk, DockerImage, Equipment, FileEntry, GpgKey, Output, ProvisionStep, Recipe, Supply,
};
use crate::sources::Pins;

/// A stage's key document, in JSON. Its text is what is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    pub(super) fn of(document: &impl Serialize) -> Self {
        // OK to unwrap: the keys are structs with string keys only, which JSON always takes.
        Self(serde_json::to_string(document).expect("a stage key is plain data"))
    }

    /// The stage's id.
    pub fn id(&self) -> Sha256Digest {
        Sha256Digest::of(self.0.as_bytes())
    }

    /// The document's text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The document itself, not a text that holds it.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<serde_json::Value>(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// A file of the recipe: its text by digest.
#[derive(Serialize)]
struct FileKey<'a> {
    path: &'a str,
    mode: u32,
    owner: &'a Owner,
    sha256: Sha256Digest,
}

impl<'a> FileKey<'a> {
    fn of(file: &'a FileEntry) -> Self {
        Self { path: &file.path, mode: file.mode, owner: &file.owner, sha256: Sha256Digest::of(file.content.bytes()) }
    }
}

#[derive(Serialize)]
struct DeployKey<'a> {
    engine: u32,
    stage: &'static str,
    pins: &'a Pins,
    suite: &'a str,
    assembly: Sha256Digest,
    packages: &'a [String],
    files: Vec<FileKey<'a>>,
    script: Sha256Digest,
    boot_loader: Sha256Digest,
    disk: &'a Disk,
}

#[derive(Serialize)]
struct AnacondaKey<'a> {
    engine: u32,
    stage: &'static str,
    installer: &'static str,
    pins: &'a Pins,
    /// By digest: a kickstart of the user's own may hold password hashes.
    kickstart: Sha256Digest,
    arguments: &'a str,
    disk: &'a Disk,
}

#[derive(Serialize)]
struct ProvisionKey<'a> {
    engine: u32,
    stage: &'static str,
    base: Sha256Digest,
    name: &'a str,
    files: Vec<FileKey<'a>>,
    packages: &'a [PackageName],
    script: Option<Sha256Digest>,
    network: BuildNetwork,
}

#[derive(Serialize)]
struct LoadKey<'a> {
    engine: u32,
    stage: &'static str,
    base: Sha256Digest,
    script: Sha256Digest,
    images: &'a [DockerImage],
}

#[derive(Serialize)]
struct SealKey<'a> {
    engine: u32,
    stage: &'static str,
    base: Sha256Digest,
    script: Sha256Digest,
    names: Option<&'a str>,
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interfaces: Option<&'a str>,
    resolv_conf: Option<&'a str>,
    /// By digest. The hashes have salts of one store, so this id and later ones are different in each store.
    passwords: Option<Sha256Digest>,
}

#[derive(Serialize)]
struct ContentKey<'a> {
    engine: u32,
    last_stage: Sha256Digest,
    name: &'a str,
    checks: &'a [Check],
    output: &'a Output,
    summary: &'a str,
    /// The container that is run from each archive of images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    container_runs: Vec<Option<&'a ContainerRun>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    clones: bool,
    /// The manifest says it, and machines are made as that says.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a Equipment>,
    /// The keys are part of the artifact's id because the manifest tells who signed the packages: an artifact from before the recipe named
    /// keys has another manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signed_with: Vec<SignedWith<'a>>,
}

/// The keys that the packages of a repository must be signed with.
#[derive(Serialize)]
struct SignedWith<'a> {
    repository: &'a str,
    upstream: Option<&'a str>,
    /// Each is known by its file's digest, its fingerprint, or both. Where it is fetched from does not matter.
    keys: Vec<(Option<&'a Sha256Digest>, Option<&'a Fingerprint>)>,
}

impl<'a> SignedWith<'a> {
    /// The keys of all repositories of a recipe that name some.
    fn of_recipe(recipe: &'a Recipe) -> Vec<Self> {
        let mut all = Vec::new();
        for repository in &recipe.repositories {
            match &repository.supply {
                Supply::Archive(_) => all.push(Self::of(&repository.id, None, &repository.gpg_keys)),
                Supply::Upstream(upstreams) => {
                    all.extend(upstreams.iter().map(|upstream| Self::of(&repository.id, Some(&upstream.name), &upstream.gpg_keys)));
                }
            }
        }
        all.extend(recipe.apt_repositories.iter().map(|repository| Self::of(&repository.id, None, &repository.gpg_keys)));
        all.retain(|signed| !signed.keys.is_empty());
        all
    }

    fn of(repository: &'a str, upstream: Option<&'a str>, keys: &'a [GpgKey]) -> Self {
        let known_by = |key: &'a GpgKey| match key {
            GpgKey::File { sha256, fingerprint, .. } => (Some(sha256), fingerprint.as_ref()),
            GpgKey::Url { fingerprint, .. } => (None, Some(fingerprint)),
        };
        Self { repository, upstream, keys: keys.iter().map(known_by).collect() }
    }
}

/// The key of an installation by the deploy installer; `tree` is the script that assembles trees.
pub(super) fn of_deploy(pins: &Pins, work: &DeployWork, tree: &str) -> Key {
    Key::of(&DeployKey {
        engine: ENGINE,
        stage: "install",
        pins,
        suite: &work.suite,
        assembly: Sha256Digest::of(tree.as_bytes()),
        packages: &work.tree.packages,
        files: work.tree.files.iter().map(FileKey::of).collect(),
        script: Sha256Digest::of(work.tree.script.as_bytes()),
        boot_loader: Sha256Digest::of(work.boot_loader.as_bytes()),
        disk: &work.disk,
    })
}

/// The key of an installation by Anaconda.
pub(super) fn of_anaconda(pins: &Pins, work: &AnacondaWork) -> Key {
    Key::of(&AnacondaKey {
        engine: ENGINE,
        stage: "install",
        installer: "anaconda",
        pins,
        kickstart: Sha256Digest::of(&work.kickstart),
        arguments: work.arguments,
        disk: &work.disk,
    })
}

/// The key of a provision step on the layer `base`.
pub(super) fn of_step(base: Sha256Digest, step: &ProvisionStep, network: BuildNetwork) -> Key {
    Key::of(&ProvisionKey {
        engine: ENGINE,
        stage: "provision",
        base,
        name: &step.name,
        files: step.files.iter().map(FileKey::of).collect(),
        packages: &step.packages,
        script: step.script.as_ref().map(|script| Sha256Digest::of(script.bytes())),
        network,
    })
}

/// The key of loading `images` into Docker on the layer `base` with `script`.
pub(super) fn of_load(base: Sha256Digest, images: &[DockerImage], script: &str) -> Key {
    Key::of(&LoadKey { engine: ENGINE, stage: "load", base, script: Sha256Digest::of(script.as_bytes()), images })
}

/// The key of sealing the layer `base` with `script`.
pub(super) fn of_seal(base: Sha256Digest, work: &SealWork, script: &str) -> Key {
    Key::of(&SealKey {
        engine: ENGINE,
        stage: "seal",
        base,
        script: Sha256Digest::of(script.as_bytes()),
        names: work.names.as_deref(),
        address: work.address.as_deref(),
        interfaces: work.interfaces.as_deref(),
        resolv_conf: work.resolv_conf.as_deref(),
        passwords: work.passwords.as_ref().map(|lines| Sha256Digest::of(lines.reveal().as_bytes())),
    })
}

/// The artifact's key; `last_stage` is the id of the sealed layer.
pub(super) fn of_content(last_stage: Sha256Digest, recipe: &Recipe) -> Key {
    Key::of(&ContentKey {
        engine: ENGINE,
        last_stage,
        name: &recipe.name,
        checks: &recipe.checks,
        output: &recipe.output,
        summary: &recipe.summary,
        container_runs: recipe.container_images.iter().map(|image| image.run.as_ref()).collect(),
        clones: recipe.clones,
        run: Some(&recipe.run).filter(|run| **run != Equipment::default()),
        signed_with: SignedWith::of_recipe(recipe),
    })
}
