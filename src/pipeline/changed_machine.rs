//! Publishes a machine that was changed by hand as a new artifact, with the artifact it was made from as its parent.
//!
//! ```text
//! machine at rest ─its artifact, checked→ parent ─copy of the disk→ layer ─take out what `up` gave, seal→ sealed layer
//!        ─flatten→ image ─verify the parent's promises→ report ─tell what changed, write other formats and the report, publish→ artifact
//! ```
//!
//! The machine is only read, and held at rest until its disk is copied: it may be started while the copy is sealed and proved.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::changed;
use super::failure::{self, EVIDENCE, Unproved};
use super::flatten::flatten;
use super::handed_over;
use super::manifest::{self, Files, Origin};
use super::proof::{bench, report, subnet, tell, whole};
use super::published::HostPaths;
use super::request::Built;
use super::run::Run;
use super::warmed;
use crate::artifact::{self, Artifact, ArtifactError, Draft, Found, Overwrite, StageRecord};
use crate::base::aside::aside;
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::host::TooLittleMemory;
use crate::base::size::rounded;
use crate::cache::Store;
use crate::image::{BootFiles, Format, ImageError, require_space};
use crate::machine::runner::{Bench, RunnerTask};
use crate::machine::spec::Equipment;
use crate::plan::SealWork;
use crate::preflight;
use crate::recipe::{Build, Compression, Network, OutputFormat};
use crate::run::{self, AtRest, Name, Place};
use crate::stages::{self, Layer, SEALING};
use crate::verify::Report;

/// Version of what a content id is made of.
const SCHEMA: u32 = 1;

/// A request to publish a machine.
#[derive(Debug)]
pub struct MachineRequest<'a> {
    /// The machine.
    pub machine: &'a Place,
    /// The name of the new artifact.
    pub name: &'a Name,
    /// Where scratch files are, and files that may lie under the machine's image.
    pub store: &'a Store,
    /// The directory of the artifact.
    pub target: &'a Path,
    /// The permission to replace another artifact there.
    pub overwrite: Overwrite,
    /// Directories of this host that are not named in what is published.
    pub host_paths: &'a HostPaths,
}

impl MachineRequest<'_> {
    /// The directories of this host that warnings and progress may name.
    fn private_paths(&self) -> HostPaths {
        let made_from = self.machine.record().ok().map(|record| record.source);
        let known = self.host_paths.with(self.machine.dir(), "MACHINE");
        made_from.iter().fold(known, |known, path| known.with(path, "PARENT")).of_run(self.store.root(), self.target)
    }
}

/// Seal, prove and publish a machine that is off.
///
/// # Errors
/// It runs, was not made from an artifact, or that is another one now; its disk cannot be sealed, or breaks a promise of the parent. The
/// failure has the directory that keeps its evidence. Nothing is then left under the target's name, and the machine is as it was.
pub async fn publish(request: &MachineRequest<'_>, events: &Events) -> Result<Built, AnyFailure> {
    let run = Run::begin(request.store, request.private_paths(), events)?;
    let published = publish_in(request, &run).await;
    published.map_err(|failed| run.failed(failed, request.target, request.name.as_str()).into())
}

async fn publish_in(request: &MachineRequest<'_>, run: &Run) -> Result<Built, AnyFailure> {
    let Copied { parent, said, content_id, layer, impersonal } = match take(request, run).await? {
        Taken::UpToDate(artifact) => return Ok(Built::UpToDate(*artifact)),
        Taken::Copied(copied) => *copied,
    };
    let (name, events) = (request.name.as_str(), &run.events);
    let evidence = run.scratch.path().join(EVIDENCE);
    fs::create_dir_all(&evidence).map_err(failure::unwritable(&evidence))?;
    let bench = bench(&said.build, None, &run.scratch, &evidence, events).await?;
    let (sealed, stage) = seal(&layer, &parent, impersonal, content_id, &bench, events).await?;

    let draft = Draft::begin(request.target)?;
    let image = draft.path().join(format!("{name}.qcow2"));
    let task = events.task("flatten");
    let record = flatten(&sealed, &image, said.output.compress, &task).await?;
    // The parent's image lay under the copy until now. If it was replaced meanwhile, what was read of it is of two images.
    parent.check_image(&task).await?;
    task.done();

    let promises = parent.manifest.promises.clone();
    let network = promises.settings.as_ref().and_then(|settings| settings.network.clone()).unwrap_or(Network::Dhcp);
    let bench = Bench { subnet: subnet(&network), ..bench };
    let mut report = prove(&image, &parent, request, &bench, events).await?;
    let changes = changed::since(&parent, "the parent", &image, events).await;
    let exports = handed_over::write(&image, name, promises.firmware, &said.output.formats, events).await?;
    let given = said.output.warm.then_some(&said.run);
    let warm = warmed::write((&image, name), given, &mut report, (request.store, run.scratch.path()), events).await?;

    let task = events.task("publish");
    let origin = Origin::of_machine(name, content_id, &parent.manifest);
    let manifest = manifest::describe(origin, vec![stage], promises, report, Files { image: record, exports, warm }).await;
    let artifact = run.publish(draft, manifest, changes, request.overwrite, &task).await?;
    task.done();
    Ok(Built::New(artifact))
}

/// What is known of a machine that was at rest.
enum Taken {
    /// It is published already, at the target.
    UpToDate(Box<Artifact>),
    /// It is not, and its disk is copied.
    Copied(Box<Copied>),
}

/// The copy of a machine's disk, and what is to be made of it.
struct Copied {
    parent: Artifact,
    said: Said,
    content_id: Sha256Digest,
    layer: Layer,
    /// Takes out of the copy what `up` gave the machine.
    impersonal: Option<RunnerTask>,
}

/// Copy the disk of the machine, once nothing is known to be in the way of its publishing. The machine may be started again after that.
async fn take(request: &MachineRequest<'_>, run: &Run) -> Result<Taken, AnyFailure> {
    let (events, scratch) = (&run.events, run.scratch.path());
    let machine = run::at_rest(request.machine, Some(request.store.root())).await?;
    let parent = parent(request.machine.name(), &machine, events).await?;
    let said = Said::of(&parent).map_err(|why| no_parent(request.machine.name(), machine.made_from(), why))?;
    let impersonal = machine.impersonal().await?;
    artifact::Place::require_writable(request.target)?;
    TooLittleMemory::refuse(said.build.memory, preflight::SMALLER)?;
    if said.output.warm {
        warmed::require(&said.run, request.store)?;
    }

    let task = events.task("copy the disk");
    let content_id = content_id(request.name, &parent, &said, &machine, &task).await?;
    if let Found::SameId(manifest) = artifact::existing(request.target, &content_id)
        && let Some(artifact) = whole(request.target, *manifest, "published", &task, events).await
    {
        task.done();
        tell(&artifact.manifest.checks, events);
        return Ok(Taken::UpToDate(Box::new(artifact)));
    }
    artifact::replaces(request.target, &content_id, request.overwrite)?;
    // The sealing boots it by its own kernel. A disk without one is refused while it still has its own name.
    let boot = fresh(scratch, "boot")?;
    BootFiles::extract(&machine.disk(), Format::Qcow2, &boot).await?;
    let layer = copied(&machine, scratch, &task).await?;
    task.done();
    if let Some(size) = machine.grown()? {
        let (size, was) = (rounded(size), rounded(parent.manifest.image.virtual_bytes));
        events.note(format!("the disk stays as large as the machine's: {size}; that of {} has {was}", parent.manifest.name));
    }
    Ok(Taken::Copied(Box::new(Copied { parent, said, content_id, layer, impersonal })))
}

/// The artifact that the machine was made from, whose image is what its manifest says.
async fn parent(name: &Name, machine: &AtRest, events: &Events) -> Result<Artifact, AnyFailure> {
    let parent = match artifact::open(machine.made_from()) {
        Ok(parent) => parent,
        Err(ArtifactError::NotAnArtifact { why, .. }) => return Err(no_parent(name, machine.made_from(), why).into()),
        Err(error) => return Err(error.into()),
    };
    let task = events.task("check the parent");
    parent.check_image(&task).await?;
    task.done();
    Ok(parent)
}

/// What the parent's recipe says of the machines that prove an image, and of what is published.
#[derive(Debug, Deserialize)]
struct Said {
    build: Build,
    output: Output,
    #[serde(default)]
    run: Equipment,
}

#[derive(Debug, Deserialize)]
struct Output {
    compress: Compression,
    #[serde(default)]
    formats: Vec<OutputFormat>,
    #[serde(default)]
    warm: bool,
}

impl Said {
    fn of(parent: &Artifact) -> Result<Self, String> {
        let recipe: &Value = &parent.manifest.recipe;
        Self::deserialize(recipe).map_err(|error| format!("its manifest does not say how its image was made ({error})"))
    }
}

/// The digest of all that decides on the content: the parent's image, the machine's disk over it, and how it is sealed and published. That a
/// snapshot of the disk was made counts as a change, too.
async fn content_id(name: &Name, parent: &Artifact, said: &Said, machine: &AtRest, task: &Task) -> Result<Sha256Digest, AnyFailure> {
    let (disk, _) = manifest::sha256(&machine.disk(), "find the disk's sha256", task).await?;
    let sealing = Sha256Digest::of(SEALING.as_bytes());
    let manifest = &parent.manifest;
    // As before states were published, so that what was published then is up to date still.
    let Output { compress, formats, warm } = &said.output;
    let output = format!("Output {{ compress: {compress:?}, formats: {formats:?} }}{}", if *warm { " warm" } else { "" });
    let all = serde_json::json!([SCHEMA, name, manifest.image.sha256, manifest.content_id, disk, sealing, output, manifest.promises]);
    Ok(Sha256Digest::of(all.to_string().as_bytes()))
}

/// A new directory below `scratch`.
fn fresh(scratch: &Path, name: &str) -> Result<PathBuf, AnyFailure> {
    let dir = scratch.join(name);
    fs::create_dir(&dir).map_err(failure::unwritable(&dir))?;
    Ok(dir)
}

/// A copy of the machine's disk below `scratch`, over the same image, as a layer.
async fn copied(machine: &AtRest, scratch: &Path, task: &Task) -> Result<Layer, AnyFailure> {
    let (from, dir) = (machine.disk(), fresh(scratch, "machine")?);
    let mut source = File::open(&from).map_err(|source| ImageError::read(&from, source))?;
    let bytes = source.metadata().map_err(|source| ImageError::read(&from, source))?.len();
    require_space(&dir, bytes)?;
    let target = Layer::place_of_overlay(&dir);
    let mut file = File::create(&target).map_err(failure::unwritable(&target))?;
    let copied = aside(task, "copy the disk", bytes, move |meter| io::copy(&mut meter.measure(&mut source), &mut file)).await;
    copied.map_err(failure::unwritable(&target))?;
    Ok(Layer::open(&dir)?)
}

/// Take out of `layer`, the copy of a machine's disk, what makes it a machine's own, as the seal of a build does. Accounts, host name and
/// address are the image's or what was changed by hand, and stay.
async fn seal(
    layer: &Layer,
    parent: &Artifact,
    impersonal: Option<RunnerTask>,
    id: Sha256Digest,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<(Layer, StageRecord), AnyFailure> {
    let task = events.task("seal");
    let dir = fresh(bench.scratch, "sealed")?;
    let servers = Some(parent.manifest.promises.resolv_conf.clone()).filter(|servers| !servers.is_empty());
    let work = SealWork { names: None, address: None, interfaces: None, resolv_conf: servers, passwords: None };
    stages::seal(&work, impersonal.as_slice(), layer, &dir, bench, &task).await?;
    Layer::complete(&dir, Some(layer))?;
    let sealed = Layer::open(&dir)?;
    Ok((sealed, StageRecord { name: "seal".to_owned(), id, reused: false, seconds: task.done() }))
}

/// The report of an image that keeps every promise of the parent.
async fn prove(
    image: &Path,
    parent: &Artifact,
    request: &MachineRequest<'_>,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<Report, AnyFailure> {
    let task = events.task("verify");
    let report = report(image, request.store, &parent.manifest.promises, bench, &task).await?;
    tell(&report.checks, events);
    Unproved::refuse(&report, bench.scratch).map_err(|unproved| Broken { unproved, machine: request.machine.name().clone() })?;
    task.done();
    Ok(report)
}

/// A machine that was changed so that it breaks a promise of its parent; or this could not be verified.
#[derive(Debug, thiserror::Error)]
#[error("{unproved}")]
struct Broken {
    unproved: Unproved,
    machine: Name,
}

impl Failure for Broken {
    fn class(&self) -> Class {
        self.unproved.class()
    }

    fn remedy(&self) -> Option<String> {
        match self.class() {
            Class::Image => Some(format!(
                "undo in the machine what breaks them, shut it down, and publish it then: goldsmith start {0} && goldsmith shell {0}",
                self.machine
            )),
            _ => self.unproved.remedy(),
        }
    }

    fn evidence(&self) -> Vec<String> {
        self.unproved.evidence()
    }
}

/// The machine was not made from an artifact, so that nothing says what its image promises.
#[derive(Debug, thiserror::Error)]
#[error("the machine `{machine}` cannot be published: nothing says what its image promises, since {made_from} is not an artifact: {why}")]
struct NoParent {
    machine: Name,
    made_from: String,
    why: String,
}

fn no_parent(machine: &Name, made_from: &Path, why: String) -> NoParent {
    NoParent { machine: machine.clone(), made_from: made_from.display().to_string(), why }
}

impl Failure for NoParent {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        Some("publish a machine that `goldsmith up` made from what `goldsmith build` or `goldsmith publish` left".to_owned())
    }
}
