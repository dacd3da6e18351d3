//! The flow: reuse cached stages, run the rest, verify, publish.
//!
//! ```text
//! recipe ─resolve→ Resolved ─choose→ Chosen ─plan→ stages ─foresee; prove→ Proved ─gather; each: layer from the store, or run→ sealed layer
//!        ─flatten→ image ─verify, or recall the proof of the same bytes→ report ─tell what changed, write other formats and the report, publish→ artifact
//! ```

mod changed;
mod failure;
mod flatten;
mod handed_over;
mod inputs;
mod jobs;
mod manifest;
mod page;
mod proof;
mod published;
mod request;

use std::fs::{self, File};
use std::path::Path;

use crate::artifact::{self, Artifact, Draft, EVENTS_FILE, Found};
use crate::base::aside::aside;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::host::TooLittleMemory;
use crate::base::journal::JsonLog;
use crate::cache::{Scratch, Store};
use crate::image::{Disk, ImageError};
use crate::installer::address;
use crate::machine::runner::Bench;
use crate::preflight::{self, Ahead, first_to_run, resolve_and_plan, standing};
use crate::recipe::{Build, Recipe};
use crate::report::Recorder;
use crate::sources::{ContainerArchive, Fetch, Host, Web, all_images, container_runs, resolve_containers};
use crate::verify::{Promises, Report};

use inputs::{foresee, gather, prove_packages};
use jobs::Start;
use proof::{bench, prove, prove_once, subnet};
use published::PublicLog;

pub use failure::{BuildFailed, Unproved};
pub use published::HostPaths;
pub use request::{Built, Request};

/// The published part of a run's journal, in its scratch directory.
const PUBLIC_EVENTS: &str = "published.ndjson";

/// Build, prove and publish.
///
/// # Errors
/// The failure, with the directory that keeps its evidence. Nothing is then left under the target's name.
pub async fn build(request: &Request<'_>, events: &Events) -> Result<Built, AnyFailure> {
    let scratch = request.store.scratch()?;
    let create = |name| File::create(scratch.path().join(name)).map_err(failure::unwritable(scratch.path()));
    // All of it, for the layers in the store and for the evidence of a failure; and what may be published.
    let events = events.with(Box::new(JsonLog::new(create(EVENTS_FILE)?)));
    let events = events.with(Box::new(PublicLog::new(create(PUBLIC_EVENTS)?, request.private_paths())));
    let recorder = Recorder::new();
    let events = events.with(Box::new(recorder.clone()));
    let built = build_in(request, &scratch, &recorder, &events).await;
    built.map_err(|failed| BuildFailed::keep(failed, scratch.path(), request.target, &request.recipe.name, &recorder).into())
}

async fn build_in(request: &Request<'_>, scratch: &Scratch, recorder: &Recorder, events: &Events) -> Result<Built, AnyFailure> {
    let recipe = request.recipe;
    preflight::require_kickstart(recipe)?;
    preflight::tell_kickstart(recipe, events);
    let host = Host::this(request.store, scratch.path(), request.web, Fetch::Now);
    if let Some(unverified) = preflight::unverified(recipe) {
        events.note(unverified);
    }
    let (chosen, plan) = resolve_and_plan(recipe, host, events).await?;
    if let Found::SameId(manifest) = artifact::existing(request.target, &plan.content_id) {
        let artifact = Artifact { dir: request.target.to_owned(), manifest: *manifest };
        let task = events.task("check the image that is there");
        match artifact.check_images(&task).await {
            Ok(()) => {
                task.done();
                proof::tell(&artifact.manifest.checks, events);
                return Ok(Built::UpToDate(artifact));
            }
            Err(damage) => events.warn(format!("it is built again: {damage}")),
        }
    }
    // Refuse before the work what publishing would refuse after it.
    artifact::replaces(request.target, &plan.content_id, request.overwrite)?;
    let standings = standing(request.store, &plan);
    preflight::require(recipe, chosen.found(), request.store, request.target, Ahead::of(&plan, first_to_run(&standings)))?;
    preflight::tell_unusable(&plan, &standings, events);
    let start = preflight::start(standings);
    if start.is_none() {
        foresee(recipe, &chosen, host, events).await?;
    }
    // This is done even if layers are finished: they may have been made before the recipe named keys.
    let proved = prove_packages(chosen, host, events).await?;
    let start = match start {
        Some(finished) => Start::Above(finished),
        None => Start::Install(gather(&plan.install.work, &proved, host, events).await?),
    };

    let evidence = scratch.path().join(failure::EVIDENCE);
    let bench = bench(&recipe.build, request.visitor, scratch, &evidence, events).await?;
    let bench = Bench { subnet: subnet(address::unsealed(recipe)), ..bench };
    let containers = &proved.chosen.found().containers;
    let (sealed, stages) = jobs::run(&plan, start, containers, request, &bench, events).await?;

    let draft = Draft::begin(request.target)?;
    let image = draft.path().join(format!("{}.qcow2", recipe.name));
    let record = flatten::flatten(&sealed, &image, recipe.output.compress, events).await?;

    let promises = promises(recipe, containers);
    let bench = Bench { subnet: subnet(&recipe.system.network), ..bench };
    let report = prove_once(&image, record.sha256, request.store, &promises, &bench, events).await?;
    let changes = changed::tell(request.target, &plan.content_id, &image, events).await;

    let exports = handed_over::write(recipe, &image, events).await?;

    let task = events.task("publish");
    let manifest = manifest::describe(recipe, &plan, proved, stages, promises, report, (record, exports)).await;
    let page = page::write(draft.path(), &manifest, recorder, changes, &request.private_paths(), events);
    page.map_err(failure::unwritable(draft.path()))?;
    fs::copy(scratch.path().join(PUBLIC_EVENTS), draft.path().join(EVENTS_FILE)).map_err(failure::unwritable(draft.path()))?;
    let overwrite = request.overwrite;
    let artifact = aside(&task, "check the image", manifest.image_bytes(), move |meter| draft.publish(&manifest, overwrite, meter)).await?;
    task.done();
    Ok(Built::New(artifact))
}

/// The promises of an image of `recipe`. Of its inputs only the archives of container images are read for that.
///
/// # Errors
/// One of these archives cannot be used.
pub async fn promised(recipe: &Recipe, store: &Store, web: &Web, events: &Events) -> Result<Promises, AnyFailure> {
    let scratch = store.scratch()?;
    let task = events.task("resolve");
    let containers = resolve_containers(recipe, Host::this(store, scratch.path(), web, Fetch::Look), &task).await?;
    task.done();
    Ok(promises(recipe, &containers))
}

/// The promises of the image of `recipe`.
fn promises(recipe: &Recipe, containers: &[ContainerArchive]) -> Promises {
    Promises::of(recipe).with_images(all_images(containers), container_runs(containers))
}

/// Verify an existing image, on a machine as `build` says, and leave evidence beside it when that fails.
///
/// # Errors
/// A check failed or could not be run, or there is no verdict; the report of the checks is in the error then.
pub async fn verify(image: &Path, promises: &Promises, build: &Build, store: &Store, events: &Events) -> Result<Report, AnyFailure> {
    let scratch = store.scratch()?;
    let recorder = Recorder::new();
    let events = &events.with(Box::new(recorder.clone()));
    let verified = async {
        // An image that names forbidden files is refused before any machine is started.
        let real = fs::canonicalize(image).map_err(|source| ImageError::read(image, source))?;
        Disk::open_as(&real, Disk::drive_format(&real)?, Some(store.root()))?;
        TooLittleMemory::refuse(build.memory, preflight::SMALLER)?;
        let evidence = scratch.path().join(failure::EVIDENCE);
        let bench = bench(build, None, &scratch, &evidence, events).await?;
        prove(image, store, promises, &bench, events).await
    };
    // Evidence is put beside an artifact's directory: a file inside it would count as foreign.
    let place = artifact::open(image).map_or_else(|_| image.to_owned(), |artifact| artifact.dir);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    verified.await.map_err(|failed| BuildFailed::keep(failed, scratch.path(), &place, &name, &recorder).into())
}
