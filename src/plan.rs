//! Decides the stages of a build and their content ids: each is a [`Job`], a value that can be printed and compared. Pure.
//!
//! A stage's id is the digest of everything that can change its result, its base's id included:
//!
//! | stage | what enters its id |
//! |---|---|
//! | install (deploy) | pins, packages, files, scripts as rendered, disk layout |
//! | install (Anaconda) | pins, the kickstart as rendered, the installer's kernel arguments, disk layout |
//! | provision | the base's id, the step as resolved, the build machine's network |
//! | load images | the base's id, the text of the loading script, the ids and tags of the images |
//! | seal | the base's id, the text of the sealing script, host name, address, name servers, the passwords' hashes |
//! | content (the artifact's id) | the last stage's id, name, checks and output as resolved, the keys that packages must be signed with |
//!
//! The ids do not depend on: the places of inputs on the host, processors, memory and deadlines of the build machine, comments, the clock.
//! The recipe's name is only part of the last id. The host name, the address, the passwords, and the store's secret with which they are
//! salted, are only part of the id of sealing. So two stores, two machines of one kind, or two recipes that differ in later steps have the
//! same installation.

mod key;
mod work;

use serde::Serialize;

use crate::base::digest::Sha256Digest;
use crate::installer::accounts::Accounts;
use crate::installer::address;
use crate::installer::anaconda;
use crate::installer::deploy::{self, FilesystemIds};
use crate::installer::{Answers, hostname, interfaces};
use crate::recipe::{DockerImage, FileEntry, ProvisionStep, Recipe};
use crate::sources::Pins;

pub use key::Key;
pub use work::{AnacondaWork, DeployWork, ENGINE, Install, SealWork, StepWork};

/// Version of what a [`Job`] is in JSON.
pub const SCHEMA: u32 = 1;

/// The stages, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The installation.
    pub install: Planned<Install>,
    /// The provision steps, and the loading of container images behind them.
    pub steps: Vec<Planned<StepWork>>,
    /// Sealing.
    pub seal: Planned<SealWork>,
    /// The artifact's id.
    pub content_id: Sha256Digest,
}

impl Plan {
    /// The jobs of all stages, in order.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        std::iter::once(&self.install.job).chain(self.steps.iter().map(|step| &step.job)).chain([&self.seal.job])
    }
}

/// A stage: the job, and the data for its execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned<W> {
    /// The job, which identifies the result.
    pub job: Job,
    /// The work to do.
    pub work: W,
}

/// One stage of a build as a value: what is made, and from what. Two hosts whose jobs are equal make the same layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Job {
    /// [`SCHEMA`].
    pub schema: u32,
    /// For people: `install`, `provision NAME`, `load images`, `seal`.
    pub stage: String,
    /// The layer's id: the digest of `key`.
    pub id: Sha256Digest,
    /// The layer it is made on; none for an installation.
    pub base: Option<Sha256Digest>,
    /// What is read, by digest.
    pub inputs: Vec<JobInput>,
    /// Everything that can change the result.
    pub key: Key,
}

/// Something that a job reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobInput {
    /// What it is to the job: the name of a pin, `file /etc/motd`, `script`.
    pub name: String,
    /// Its digest.
    pub sha256: Sha256Digest,
}

impl Job {
    fn new(stage: String, base: Option<Sha256Digest>, inputs: Vec<JobInput>, key: Key) -> Self {
        Self { schema: SCHEMA, stage, id: key.id(), base, inputs, key }
    }
}

/// Texts of the stages that are part of their ids.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    /// The script that assembles a tree.
    pub tree: &'a str,
    /// The script that seals.
    pub sealing: &'a str,
    /// The script that loads container images.
    pub loading: &'a str,
}

/// The plan of a recipe with these answers to its installer, whose inputs are pinned, and whose archives of container images have these
/// `images`.
pub fn plan(recipe: &Recipe, answers: &Answers<'_>, pins: &Pins, images: Vec<DockerImage>, accounts: &Accounts, texts: Texts<'_>) -> Plan {
    let mut inputs: Vec<JobInput> = pins.0.iter().map(|pin| JobInput { name: pin.name.clone(), sha256: pin.sha256 }).collect();
    let (key, work) = match answers {
        Answers::Deploy { suite, .. } => {
            // The filesystems' ids are derived from the installation's id, so the key is made with placeholders for them.
            let nameless = FilesystemIds::derive(Sha256Digest::of(b""));
            let key = key::of_deploy(pins, &deploy_work(recipe, suite, nameless), texts.tree);
            let work = deploy_work(recipe, suite, FilesystemIds::derive(key.id()));
            inputs.extend(recipe.files.iter().map(file));
            (key, Install::Deploy(Box::new(work)))
        }
        Answers::Anaconda(answers) => {
            let work = anaconda_work(recipe, answers);
            inputs.push(JobInput { name: "kickstart".to_owned(), sha256: Sha256Digest::of(&work.kickstart) });
            (key::of_anaconda(pins, &work), Install::Anaconda(Box::new(work)))
        }
    };
    let install = Planned { job: Job::new("install".to_owned(), None, inputs, key), work };
    let mut base = install.job.id;
    let mut steps = Vec::new();
    for step in &recipe.provision {
        let key = key::of_step(base, step, recipe.build.network);
        let job = Job::new(format!("provision {}", step.name), Some(base), step_inputs(step), key);
        base = job.id;
        steps.push(Planned { job, work: StepWork::Provision(step.clone()) });
    }
    if !images.is_empty() {
        let inputs = images.iter().map(|image| JobInput { name: format!("image {}", image.name()), sha256: image.id }).collect();
        let job = Job::new("load images".to_owned(), Some(base), inputs, key::of_load(base, &images, texts.loading));
        base = job.id;
        steps.push(Planned { job, work: StepWork::Load(images) });
    }
    let work = SealWork {
        names: hostname::names(recipe),
        address: address::lines(recipe),
        interfaces: interfaces::script(recipe),
        resolv_conf: address::resolv_conf(recipe),
        passwords: accounts.lines(),
    };
    let key = key::of_seal(base, &work, texts.sealing);
    let seal = Planned { job: Job::new("seal".to_owned(), Some(base), Vec::new(), key), work };
    let content_id = key::of_content(seal.job.id, recipe).id();
    Plan { install, steps, seal, content_id }
}

fn step_inputs(step: &ProvisionStep) -> Vec<JobInput> {
    let script = step.script.iter().map(|script| JobInput { name: "script".to_owned(), sha256: Sha256Digest::of(script.bytes()) });
    step.files.iter().map(file).chain(script).collect()
}

fn file(file: &FileEntry) -> JobInput {
    JobInput { name: format!("file {}", file.path), sha256: Sha256Digest::of(file.content.bytes()) }
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

fn anaconda_work(recipe: &Recipe, answers: &anaconda::Answers<'_>) -> AnacondaWork {
    AnacondaWork {
        kickstart: answers.unsealed.clone(),
        script_logs: answers.script_logs(),
        arguments: anaconda::KERNEL_ARGUMENTS,
        repositories: recipe.repositories.iter().map(|repository| repository.id.clone()).collect(),
        disk: recipe.disk.clone(),
        own_kickstart: recipe.own_kickstart().is_some(),
    }
}
