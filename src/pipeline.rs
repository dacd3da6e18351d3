//! The flow: reuse cached stages, run the rest, verify, publish.
//!
//! ```text
//! recipe ─resolve, choose→ pins ─plan→ stages ─foresee, gather; each: layer from the store, or run→ sealed layer
//!        ─flatten→ image ─verify→ report ─publish→ artifact
//! ```

mod check;
mod closure;
mod failure;
mod flatten;
mod manifest;
mod preflight;
mod published;
mod standing;

use std::fs::{self, File};
use std::path::Path;

use crate::artifact::{self, Artifact, Draft, EVENTS_FILE, Found, Overwrite, StageRecord};
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::base::host::TooLittleMemory;
use crate::base::journal::JsonLog;
use crate::cache::{Lookup, Scratch, Store, Vacancy};
use crate::image::{Disk, ImageError};
use crate::installer::accounts::Accounts;
use crate::machine::probe::probe;
use crate::machine::runner::Bench;
use crate::machine::spec::Subnet;
use crate::plan::{Plan, PlannedStage, Texts, Work, plan};
use crate::recipe::{Build, BuildNetwork, Media, Network, Recipe, Supply};
use crate::sources::{self, DebianRepository, Fetch, Host, Resolved, Web};
use crate::stages::{self, Layer, Step};
use crate::verify::{self, Promises, Report};

use published::PublicLog;

pub use check::{Area, Preflight, PreflightFailed, Row, Verdict, check};
pub use closure::ForecastPackage;
pub use failure::{BuildFailed, Unproved};
pub use published::HostPaths;
pub use standing::{Standing, first_to_run, standing};

/// The published part of a run's journal, in its scratch directory.
const PUBLIC_EVENTS: &str = "published.ndjson";

/// A build that is wanted.
#[derive(Debug)]
pub struct Request<'a> {
    /// What is to be built.
    pub recipe: &'a Recipe,
    /// Where layers are kept.
    pub store: &'a Store,
    /// How the network is reached.
    pub web: &'a Web,
    /// The directory the artifact is to be.
    pub target: &'a Path,
    /// What may happen to another artifact there.
    pub overwrite: Overwrite,
    /// Directories of this host that are not named in what is published.
    pub host_paths: &'a HostPaths,
    /// Leave a failed machine running until the run is interrupted.
    pub keep_on_failure: bool,
}

/// How a build ended well.
#[derive(Debug)]
pub enum Built {
    /// It was there already.
    UpToDate(Artifact),
    /// It was made and proved.
    New(Artifact),
}

/// Build, prove and publish.
///
/// # Errors
/// Whatever failed, with the directory that keeps its evidence; nothing is left under the target's name then.
pub async fn build(request: &Request<'_>, events: &Events) -> Result<Built, AnyFailure> {
    let scratch = request.store.scratch()?;
    let create = |name| File::create(scratch.path().join(name)).map_err(failure::unwritable(scratch.path()));
    // All of it, for the layers in the store and for the evidence of a failure; and what may be published.
    let events = events.with(Box::new(JsonLog::new(create(EVENTS_FILE)?)));
    let events = events.with(Box::new(PublicLog::new(create(PUBLIC_EVENTS)?, private_paths(request))));
    let built = build_in(request, &scratch, &events).await;
    built.map_err(|failed| BuildFailed::keep(failed, scratch.path(), request.target).into())
}

/// The directories of this host that a build's warnings and progress may name.
fn private_paths(request: &Request<'_>) -> HostPaths {
    let recipe = request.recipe;
    let iso = match &recipe.media {
        Media::Anaconda { iso, .. } => iso.path.as_deref(),
        Media::Deploy { .. } => None,
    };
    let archives = recipe.repositories.iter().filter_map(|repository| match &repository.supply {
        Supply::Archive(archive) => archive.path.as_deref(),
        Supply::Upstream(_) => None,
    });
    let inputs = iso.into_iter().chain(archives).filter_map(Path::parent);
    let known = request.host_paths.with(request.store.root(), "STORE");
    let known = request.target.parent().into_iter().fold(known, |known, parent| known.with(parent, "OUTPUT"));
    inputs.fold(known, |known, dir| known.with(dir, "INPUT"))
}

async fn build_in(request: &Request<'_>, scratch: &Scratch, events: &Events) -> Result<Built, AnyFailure> {
    let recipe = request.recipe;
    preflight::require_kickstart(recipe)?;
    preflight::tell_kickstart(recipe, events);
    let host = host(request.store, scratch, request.web, Fetch::Now);
    if let Some(unverified) = check::unverified(recipe) {
        events.note(unverified);
    }
    let (mut resolved, plan) = resolve_and_plan(recipe, host, events).await?;
    if let Found::SameId(manifest) = artifact::existing(request.target, &plan.content_id) {
        let artifact = Artifact { dir: request.target.to_owned(), manifest: *manifest };
        match artifact.check_image() {
            Ok(()) => return Ok(Built::UpToDate(artifact)),
            Err(damage) => events.warn(format!("it is built again: {damage}")),
        }
    }
    // What publishing would refuse after the work is refused before it.
    artifact::replaces(request.target, &plan.content_id, request.overwrite)?;
    preflight::require(request, &resolved, &plan)?;
    standing::tell_unusable(request.store, &plan, events);
    let next = first_to_run(request.store, &plan);
    let installs = next == 0;
    if installs {
        foresee(recipe, &resolved, host, events).await?;
    }
    // A finished layer may have been made before the recipe named keys.
    prove_packages(&mut resolved, host, events).await?;
    let debian = if installs { gather(recipe, &mut resolved, host, events).await? } else { None };

    let evidence = scratch.path().join(failure::EVIDENCE);
    let bench = Bench { subnet: subnet(recipe), ..bench(&recipe.build, request.keep_on_failure, scratch, &evidence, events).await? };
    let inputs = Inputs { resolved: &resolved, debian: debian.as_ref() };
    let (sealed, stages) = run_stages((&plan, next), inputs, request, &bench, events).await?;

    let draft = Draft::begin(request.target)?;
    let image = draft.path().join(format!("{}.qcow2", recipe.name));
    flatten::flatten(&sealed, &image, recipe.output.compress, scratch.path(), events).await?;

    let promises = Promises::of(recipe);
    let report = prove(&image, request.store, &promises, &bench, events).await?;

    let task = events.task("publish");
    let manifest = manifest::describe(recipe, &plan, resolved, stages, promises, report, &image).await?;
    fs::copy(scratch.path().join(PUBLIC_EVENTS), draft.path().join(EVENTS_FILE)).map_err(failure::unwritable(draft.path()))?;
    let artifact = draft.publish(&manifest, request.overwrite)?;
    task.done();
    Ok(Built::New(artifact))
}

/// Refuse what cannot end well before an installation begins, and tell what may not.
async fn foresee(recipe: &Recipe, resolved: &Resolved, host: Host<'_>, events: &Events) -> Result<(), AnyFailure> {
    let task = events.task("check");
    let found = check::foresee(recipe, Some(resolved), host, &task).await?;
    for row in found.rows.iter().filter(|row| row.verdict == Verdict::Warning) {
        events.warn(format!("{}: {}", row.area.name(), row.what));
    }
    found.refuse()?;
    task.done();
    Ok(())
}

/// Verify the signatures of what was chosen of the online repositories.
async fn prove_packages(resolved: &mut Resolved, host: Host<'_>, events: &Events) -> Result<(), AnyFailure> {
    if resolved.upstreams.iter().any(|upstream| !upstream.keys().is_empty()) {
        let task = events.task("verify the packages");
        sources::prove(resolved, host, &task).await?;
        let proved = resolved.proofs.iter().filter(|proof| proof.upstream.is_some());
        proved.filter_map(check::weak).for_each(|weak| events.warn(weak));
        task.done();
    }
    Ok(())
}

/// What an installation reads.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    resolved: &'a Resolved,
    /// Debian's packages, for the deploy installer.
    debian: Option<&'a DebianRepository>,
}

/// Fetch what was chosen of the online repositories: what foresees is done, the packages go together. Debian's become a repository.
async fn gather(recipe: &Recipe, resolved: &mut Resolved, host: Host<'_>, events: &Events) -> Result<Option<DebianRepository>, AnyFailure> {
    let task = || events.task("fetch");
    match &recipe.media {
        Media::Deploy { suite, .. } => {
            let task = task();
            let repository = sources::gather_debian(resolved, suite, host, &task).await?;
            task.done();
            Ok(Some(repository))
        }
        Media::Anaconda { .. } if resolved.chosen.is_some() => {
            let task = task();
            sources::gather(resolved, host, &task).await?;
            task.done();
            Ok(None)
        }
        Media::Anaconda { .. } => Ok(None),
    }
}

/// Verify an image that is there already, on a machine as `build` says, and leave evidence beside it when that fails.
///
/// # Errors
/// A check failed or could not be run, or there is no verdict; the report of the checks is in the error then.
pub async fn verify(image: &Path, promises: &Promises, build: &Build, store: &Store, events: &Events) -> Result<Report, AnyFailure> {
    let scratch = store.scratch()?;
    let verified = async {
        // An image that names files it may not is refused before any machine is started.
        let real = fs::canonicalize(image).map_err(|source| ImageError::read(image, source))?;
        Disk::open_with(&real, Some(store.root()))?;
        TooLittleMemory::refuse(build.memory, preflight::SMALLER)?;
        let evidence = scratch.path().join(failure::EVIDENCE);
        let bench = bench(build, false, &scratch, &evidence, events).await?;
        prove(image, store, promises, &bench, events).await
    };
    // Evidence inside an artifact's directory would make it a foreign one.
    let place = artifact::open(image).map_or_else(|_| image.to_owned(), |artifact| artifact.dir);
    verified.await.map_err(|failed| BuildFailed::keep(failed, scratch.path(), &place).into())
}

/// The report of an image that keeps every promise.
async fn prove(image: &Path, store: &Store, promises: &Promises, bench: &Bench<'_>, events: &Events) -> Result<Report, AnyFailure> {
    let task = events.task("verify");
    let report = verify::verify(image, Some(store.root()), promises, bench, &task).await?;
    Unproved::refuse(&report, bench.scratch)?;
    task.done();
    Ok(report)
}

/// A recipe's inputs and its plan.
///
/// # Errors
/// An input is missing or wrong, or this version has no plan for the recipe.
pub async fn resolve_and_plan(recipe: &Recipe, host: Host<'_>, events: &Events) -> Result<(Resolved, Plan), AnyFailure> {
    let task = events.task("resolve");
    let mut resolved = sources::resolve(recipe, host, &task).await?;
    check::require_choice(recipe, &mut resolved, host, &task).await?;
    let plan = plan_of(recipe, &resolved, host.store)?;
    task.done();
    Ok((resolved, plan))
}

fn plan_of(recipe: &Recipe, resolved: &Resolved, store: &Store) -> Result<Plan, AnyFailure> {
    let accounts = Accounts::derive(recipe, &store.secret()?);
    Ok(plan(recipe, &resolved.pins, &accounts, Texts { tree: stages::TREE, sealing: stages::SEALING })?)
}

/// What this host brings to the resolution of a recipe's inputs.
pub fn host<'a>(store: &'a Store, scratch: &'a Scratch, web: &'a Web, fetch: Fetch) -> Host<'a> {
    Host { apt: Path::new("/etc/apt"), scratch: scratch.path(), store, web, fetch }
}

/// The host's accelerator and the recipe's machine.
async fn bench<'a>(build: &Build, hold: bool, scratch: &'a Scratch, evidence: &'a Path, events: &Events) -> Result<Bench<'a>, AnyFailure> {
    let task = events.task("probe the accelerator");
    let found = probe().await?;
    if found.reason.is_some() {
        events.note(found.to_string());
    }
    task.done();
    Ok(Bench {
        accelerator: found.accelerator,
        cpus: build.cpus,
        memory: build.memory,
        deadline: build.deadline,
        outside: build.network == BuildNetwork::Open,
        subnet: None,
        hold,
        scratch: scratch.path(),
        evidence,
    })
}

/// The address the image gives itself: provision steps reach the network from there.
fn subnet(recipe: &Recipe) -> Option<Subnet> {
    match recipe.system.network {
        Network::Static { address, prefix, gateway, .. } => Some(Subnet { guest: address, prefix, gateway }),
        Network::Dhcp => None,
    }
}

/// Every stage's layer, from the store or made now; the last one, and what the manifest says of them.
async fn run_stages(
    (plan, first): (&Plan, usize),
    inputs: Inputs<'_>,
    request: &Request<'_>,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<(Layer, Vec<StageRecord>), AnyFailure> {
    let mut records = Vec::new();
    // Nothing below the last finished layer is looked at: an installation is not run for a sealed layer that is there.
    let mut next = first;
    let mut base = None;
    for stage in &plan.stages[..next] {
        let seconds = events.task(&*stage.name).reused();
        records.push(StageRecord { name: stage.name.clone(), id: stage.id, reused: true, seconds });
        base = request.store.peek(&stage.id).and_then(|dir| Layer::open(&dir).ok());
    }
    while let Some(stage) = plan.stages.get(next) {
        let task = events.task(&*stage.name);
        let (layers, reused) = run_stage(&plan.stages[next..], base.as_ref(), inputs, request, bench, &task).await?;
        let seconds = if reused { task.reused() } else { task.done() };
        for stage in &plan.stages[next..next + layers.len()] {
            request.store.describe(&stage.id, &format!("{} of {}", stage.name, request.recipe.name));
        }
        for (index, stage) in plan.stages[next..next + layers.len()].iter().enumerate() {
            let seconds = if index == 0 { seconds } else { 0.0 };
            records.push(StageRecord { name: stage.name.clone(), id: stage.id, reused, seconds });
        }
        next += layers.len();
        base = layers.into_iter().last().or(base);
        debug_assert!(base.is_some(), "stage {} made no layer", stage.name);
    }
    let sealed = base.ok_or(failure::EmptyPlan)?;
    Ok((sealed, records))
}

/// Make the first of `pending`, or find that another process has made it. Provision steps that follow each other share a boot, so
/// several layers may come of it.
async fn run_stage(
    pending: &[PlannedStage],
    base: Option<&Layer>,
    inputs: Inputs<'_>,
    request: &Request<'_>,
    bench: &Bench<'_>,
    task: &Task,
) -> Result<(Vec<Layer>, bool), AnyFailure> {
    let stage = &pending[0];
    let waiting = || task.step("another goldsmith is making this layer; waiting for it");
    let vacancy = match request.store.lookup(&stage.id, |dir| Layer::open(dir).ok(), waiting).await? {
        Lookup::Hit(layer) => return Ok((vec![layer], true)),
        Lookup::Miss(vacancy) => vacancy,
    };
    // From here on a failure leaves evidence, if only the run's journal.
    fs::create_dir_all(bench.evidence).map_err(failure::unwritable(bench.evidence))?;
    match (&stage.work, base, inputs.debian) {
        (Work::Deploy(work), _, Some(packages)) => stages::deploy(work, packages, vacancy.path(), bench, task).await?,
        (Work::Anaconda(work), ..) => stages::anaconda(work, inputs.resolved, vacancy.path(), bench, task).await?,
        (Work::Provision(_), Some(base), _) => return provision(pending, base, vacancy, request, bench, task).await,
        (Work::Seal(work), Some(base), _) => stages::seal(work, base, vacancy.path(), bench, task).await?,
        (Work::Deploy(_), _, None) | (_, None, _) => return Err(failure::EmptyPlan.into()),
    }
    Ok((vec![finish(vacancy, base, bench)?], false))
}

/// Complete the layer in the making, which was made on `base`, and give it its name. It keeps the journal of its making, which is not published.
fn finish(vacancy: Vacancy, base: Option<&Layer>, bench: &Bench<'_>) -> Result<Layer, AnyFailure> {
    fs::copy(bench.scratch.join(EVENTS_FILE), vacancy.path().join(EVENTS_FILE)).map_err(failure::unwritable(vacancy.path()))?;
    Layer::complete(vacancy.path(), base)?;
    Ok(Layer::open(&vacancy.keep()?)?)
}

async fn provision(
    pending: &[PlannedStage],
    base: &Layer,
    first: Vacancy,
    request: &Request<'_>,
    bench: &Bench<'_>,
    task: &Task,
) -> Result<(Vec<Layer>, bool), AnyFailure> {
    let mut vacancies = vec![Some(first)];
    let mut steps = Vec::new();
    for stage in pending {
        let Work::Provision(step) = &stage.work else { break };
        if steps.len() == vacancies.len() {
            match request.store.lookup(&stage.id, |dir| Layer::open(dir).ok(), || {}).await? {
                Lookup::Miss(vacancy) => vacancies.push(Some(vacancy)),
                Lookup::Hit(_) => break,
            }
        }
        let dir = vacancies[steps.len()].as_ref().map(|vacancy| vacancy.path().to_owned()).unwrap_or_default();
        steps.push(Step { step, dir, id: stage.id.to_string() });
    }
    let mut layers: Vec<Layer> = Vec::new();
    let keep = |index: usize| -> Result<(), AnyFailure> {
        if let Some(vacancy) = vacancies[index].take() {
            let layer = finish(vacancy, layers.last().or(Some(base)), bench)?;
            layers.push(layer);
        }
        Ok(())
    };
    stages::provision(base, &steps, keep, bench, task).await?;
    Ok((layers, false))
}
