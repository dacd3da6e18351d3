//! Decides the stages and their content ids. Pure.
//!
//! A stage's id is the digest of everything that can change its result, its base's id included:
//!
//! | stage | what enters its id |
//! |---|---|
//! | install (deploy) | pins, packages, files, scripts as rendered, disk layout |
//! | install (Anaconda) | pins, the kickstart as rendered, the installer's kernel arguments, disk layout |
//! | provision | the base's id, the step as resolved, the build machine's network |
//! | seal | the base's id, the text of the sealing script, name servers, the passwords' hashes |
//! | content (the artifact's id) | the last stage's id, name, checks and output as resolved, the keys that packages must be signed with |
//!
//! What does not enter: where inputs lie on the host, processors, memory and deadlines of the build machine, comments, the clock. The
//! recipe's name enters the last id alone, and the store's secret, which salts passwords, only what seals: two stores, or two recipes that
//! differ in later steps, have the same installation.

use serde::Serialize;

use crate::base::digest::Sha256Digest;
use crate::base::fingerprint::Fingerprint;
use crate::base::secret::Secret;
use crate::installer::accounts::Accounts;
use crate::installer::anaconda::{self, AnacondaError};
use crate::installer::deploy::{self, FilesystemIds, Tree};
use crate::recipe::{Disk, FileEntry, FilesystemKind, Firmware, GpgKey, Media, ProvisionStep, Recipe, Supply};
use crate::sources::Pins;

/// Raised when goldsmith's own code (the parameters of mke2fs, the layout of a disk, what the runner brings) makes another result out of the
/// same inputs. A test of the stages holds what they run against `tests/golden/engine.txt`, which names this number.
pub const ENGINE: u32 = 2;

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The stages; the first is an installation, the last seals.
    pub stages: Vec<PlannedStage>,
    /// The artifact's id.
    pub content_id: Sha256Digest,
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// For people: `install`, `provision NAME`, `seal`.
    pub name: String,
    /// Digest of everything that can change its result.
    pub id: Sha256Digest,
    /// What is to be done.
    pub work: Work,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Make a tree, a disk of it, and install the boot loader.
    Deploy(Box<DeployWork>),
    /// Have Anaconda install onto an empty disk.
    Anaconda(Box<AnacondaWork>),
    /// Run a step in the booted system.
    Provision(Box<ProvisionStep>),
    /// Take out what must not be shared, set the passwords and close the disk.
    Seal(SealWork),
}

/// An installation by the deploy installer.
#[derive(Debug, Clone, PartialEq)]
pub struct DeployWork {
    /// The suite.
    pub suite: String,
    /// What makes the tree.
    pub tree: Tree,
    /// Names of its filesystems.
    pub ids: FilesystemIds,
    /// The disk's layout.
    pub disk: Disk,
    /// The script that installs the boot loader.
    pub boot_loader: String,
}

/// An installation by Anaconda.
#[derive(Debug, Clone, PartialEq)]
pub struct AnacondaWork {
    /// The whole kickstart; a secret, since the user's own may hold password hashes.
    pub kickstart: Vec<u8>,
    /// What the installer's kernel is told.
    pub arguments: &'static str,
    /// Ids of the recipe's repositories, in order: the directories of the volume.
    pub repositories: Vec<String>,
    /// The disk's layout.
    pub disk: Disk,
    /// The kickstart is the user's own: it may lay out the disk otherwise.
    pub own_kickstart: bool,
}

/// What sealing puts into the image.
#[derive(Debug, Clone, PartialEq)]
pub struct SealWork {
    /// What `/etc/resolv.conf` is to say; else it is emptied.
    pub resolv_conf: Option<String>,
    /// The passwords, as [`Accounts::lines`] writes them.
    pub passwords: Option<Secret>,
}

/// Texts of the stages that are part of their ids.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    /// The script that assembles a tree.
    pub tree: &'a str,
    /// The script that seals.
    pub sealing: &'a str,
}

/// The plan of a recipe whose inputs are pinned.
///
/// # Errors
/// There is no kickstart for the recipe, or no way to seal what Anaconda would make of it.
pub fn plan(recipe: &Recipe, pins: &Pins, accounts: &Accounts, texts: Texts<'_>) -> Result<Plan, AnacondaError> {
    let (mut id, work) = match &recipe.media {
        Media::Deploy { suite, .. } => {
            // The filesystems' ids are derived from the installation's id, so its key is made with others in their place.
            let nameless = FilesystemIds::derive(Sha256Digest::of(b""));
            let id = deploy_id(recipe, pins, &deploy_work(recipe, suite, nameless), texts.tree);
            (id, Work::Deploy(Box::new(deploy_work(recipe, suite, FilesystemIds::derive(id)))))
        }
        Media::Anaconda { .. } => {
            let work = anaconda_work(recipe)?;
            (anaconda_id(pins, &work), Work::Anaconda(Box::new(work)))
        }
    };
    let mut stages = vec![PlannedStage { name: "install".to_owned(), id, work }];
    for step in &recipe.provision {
        id = digest(&ProvisionKey { engine: ENGINE, stage: "provision", base: id, step, network: recipe.build.network });
        stages.push(PlannedStage { name: format!("provision {}", step.name), id, work: Work::Provision(Box::new(step.clone())) });
    }
    let work = SealWork { resolv_conf: deploy::resolv_conf(recipe), passwords: accounts.lines() };
    id = digest(&SealKey {
        engine: ENGINE,
        stage: "seal",
        base: id,
        script: Sha256Digest::of(texts.sealing.as_bytes()),
        resolv_conf: work.resolv_conf.as_deref(),
        passwords: work.passwords.as_ref().map(|lines| Sha256Digest::of(lines.reveal().as_bytes())),
    });
    stages.push(PlannedStage { name: "seal".to_owned(), id, work: Work::Seal(work) });
    let content_id = digest(&ContentKey {
        engine: ENGINE,
        last_stage: id,
        name: &recipe.name,
        checks: &recipe.checks,
        output: &recipe.output,
        summary: &recipe.summary,
        signed_with: SignedWith::of_recipe(recipe),
    });
    Ok(Plan { stages, content_id })
}

fn deploy_work(recipe: &Recipe, suite: &str, ids: FilesystemIds) -> DeployWork {
    DeployWork {
        suite: suite.to_owned(),
        tree: deploy::tree(recipe, &ids),
        ids,
        disk: recipe.disk.clone(),
        boot_loader: deploy::boot_loader(recipe, &ids),
    }
}

fn anaconda_work(recipe: &Recipe) -> Result<AnacondaWork, AnacondaError> {
    refuse_unreachable(&recipe.disk)?;
    Ok(AnacondaWork {
        kickstart: anaconda::kickstart(recipe)?,
        arguments: anaconda::KERNEL_ARGUMENTS,
        repositories: recipe.repositories.iter().map(|repository| repository.id.clone()).collect(),
        disk: recipe.disk.clone(),
        own_kickstart: recipe.own_kickstart().is_some(),
    })
}

/// Disks that Anaconda can make and goldsmith could not go on with.
fn refuse_unreachable(disk: &Disk) -> Result<(), AnacondaError> {
    let refused = |field: &str, why: &str, remedy: &str| {
        Err(AnacondaError::Refused { field: field.to_owned(), why: why.to_owned(), remedy: remedy.to_owned() })
    };
    // Kernel and initramfs are read out of the disk to seal and to verify it, by our own reader.
    if disk.lvm {
        return refused("disk.lvm", "the image is sealed and verified from outside, where LVM is not read", "set lvm = false");
    }
    if disk.filesystem != FilesystemKind::Ext4 {
        return refused(
            "disk.filesystem",
            "the image is sealed and verified from outside, where only ext4 is read",
            "set filesystem = \"ext4\"",
        );
    }
    // The installer's kernel is booted directly, and that is a BIOS machine: Anaconda would install for BIOS.
    if disk.firmware != Firmware::Bios {
        return refused(
            "disk.firmware",
            "the installer is booted on a BIOS machine and installs for what it is booted on",
            "set firmware = \"bios\"",
        );
    }
    Ok(())
}

#[derive(Serialize)]
struct DeployKey<'a> {
    engine: u32,
    stage: &'static str,
    pins: &'a Pins,
    suite: &'a str,
    assembly: Sha256Digest,
    packages: &'a [String],
    files: &'a [FileEntry],
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
    step: &'a ProvisionStep,
    network: crate::recipe::BuildNetwork,
}

#[derive(Serialize)]
struct SealKey<'a> {
    engine: u32,
    stage: &'static str,
    base: Sha256Digest,
    script: Sha256Digest,
    resolv_conf: Option<&'a str>,
    /// By digest: they are hashes whose salt is one store's, so that this id and those after it are, too.
    passwords: Option<Sha256Digest>,
}

#[derive(Serialize)]
struct ContentKey<'a> {
    engine: u32,
    last_stage: Sha256Digest,
    name: &'a str,
    checks: &'a [crate::recipe::Check],
    output: &'a crate::recipe::Output,
    summary: &'a str,
    /// The manifest says who signed the packages: an artifact of before the recipe named keys has another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signed_with: Vec<SignedWith<'a>>,
}

/// What the packages of a repository must be signed with.
#[derive(Serialize)]
struct SignedWith<'a> {
    repository: &'a str,
    upstream: Option<&'a str>,
    /// Each is known by its file's digest, its fingerprint, or both. Where it is fetched from does not matter.
    keys: Vec<(Option<&'a Sha256Digest>, Option<&'a Fingerprint>)>,
}

impl<'a> SignedWith<'a> {
    /// Of all repositories of a recipe that name keys.
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

fn deploy_id(recipe: &Recipe, pins: &Pins, work: &DeployWork, tree: &str) -> Sha256Digest {
    digest(&DeployKey {
        engine: ENGINE,
        stage: "install",
        pins,
        suite: &work.suite,
        assembly: Sha256Digest::of(tree.as_bytes()),
        packages: &work.tree.packages,
        files: &work.tree.files,
        script: Sha256Digest::of(work.tree.script.as_bytes()),
        boot_loader: Sha256Digest::of(work.boot_loader.as_bytes()),
        disk: &recipe.disk,
    })
}

fn anaconda_id(pins: &Pins, work: &AnacondaWork) -> Sha256Digest {
    digest(&AnacondaKey {
        engine: ENGINE,
        stage: "install",
        installer: "anaconda",
        pins,
        kickstart: Sha256Digest::of(&work.kickstart),
        arguments: work.arguments,
        disk: &work.disk,
    })
}

fn digest(key: &impl Serialize) -> Sha256Digest {
    // OK to unwrap: the keys are structs with string keys only, which JSON always takes.
    Sha256Digest::of(&serde_json::to_vec(key).expect("a stage key is plain data"))
}
