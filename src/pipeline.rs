//! The flow: reuse cached stages, run the rest, verify, publish. A machine that was changed by hand takes its end (`pipeline/changed_machine.rs`).
//!
//! ```text
//! recipe ─answers; resolve→ Resolved ─choose→ Chosen ─plan→ stages ─foresee; prove→ Proved ─gather; each: layer from the store, or run→ sealed layer
//!        ─flatten→ image ─verify, or recall the proof of the same bytes→ report ─tell what changed, write other formats and the report, publish→ artifact
//! ```

mod changed;
mod changed_machine;
mod failure;
mod flatten;
mod handed_over;
mod inputs;
mod jobs;
mod manifest;
mod page;
mod program;
mod proof;
mod published;
mod request;
mod run;
mod warmed;

use std::fs;
use std::path::Path;

use crate::artifact::{self, Draft, Found};
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::host::TooLittleMemory;
use crate::cache::Store;
use crate::image::{Disk, ImageError};
use crate::installer::{Answers, address};
use crate::machine::runner::Bench;
use crate::preflight::{self, Ahead, first_to_run, resolve_and_plan, standing};
use crate::recipe::{Build, Recipe};
use crate::report::Recorder;
use crate::sources::{ContainerArchive, Fetch, Host, Web, all_images, container_runs, resolve_containers};
use crate::verify::{Promises, Report};

use flatten::{Flattened, flatten_once};
use inputs::{foresee, gather, prove_packages};
use jobs::Start;
use manifest::{Files, Origin};
use proof::{bench, prove, prove_once, subnet};
use run::Run;

pub use changed_machine::{MachineRequest, publish};
pub use failure::{BuildFailed, Unproved};
pub use published::HostPaths;
pub use request::{Built, Request};

/// Build, prove and publish.
///
/// # Errors
/// The failure, with the directory that keeps its evidence. Nothing is then left under the target's name.
pub async fn build(request: &Request<'_>, events: &Events) -> Result<Built, AnyFailure> {
    let run = Run::begin(request.store, request.private_paths(), events)?;
    let built = build_in(request, &run).await;
    built.map_err(|failed| run.failed(failed, request.target, &request.recipe.name).into())
}

async fn build_in(request: &Request<'_>, run: &Run) -> Result<Built, AnyFailure> {
    let (recipe, scratch, events) = (request.recipe, &run.scratch, &run.events);
    let answers = Answers::of(recipe)?;
    preflight::tell_kickstart(&answers, events);
    let host = Host::this(request.store, scratch.path(), request.web, Fetch::Now);
    if let Some(unverified) = preflight::unverified(recipe) {
        events.note(unverified);
    }
    let (chosen, plan) = resolve_and_plan(recipe, &answers, host, events).await?;
    if let Found::SameId(manifest) = artifact::existing(request.target, &plan.content_id) {
        let task = events.task("check the image that is there");
        if let Some(artifact) = proof::whole(request.target, *manifest, "built", &task, events).await {
            task.done();
            proof::tell(&artifact.manifest.checks, events);
            return Ok(Built::UpToDate(artifact));
        }
    }
    // Refuse before the work what publishing would refuse after it.
    artifact::replaces(request.target, &plan.content_id, request.overwrite)?;
    let standings = standing(request.store, &plan);
    preflight::require(recipe, chosen.found(), request.store, request.target, Ahead::of(&plan, first_to_run(&standings)))?;
    if recipe.output.warm {
        warmed::require(&recipe.run, request.store)?;
    }
    preflight::tell_unusable(&plan, &standings, events);
    let start = preflight::start(standings);
    if start.is_none() {
        foresee(recipe, &answers, &chosen, host, events).await?;
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
    let Flattened { record, unkept } = flatten_once(&sealed, &image, recipe.output.compress, request.store, events).await?;

    let promises = promises(recipe, containers);
    let bench = Bench { subnet: subnet(&recipe.system.network), ..bench };
    let mut report = prove_once(&image, record.sha256, request.store, &promises, &bench, events).await?;
    let changes = changed::tell(request.target, &plan.content_id, &image, events).await;

    let exports = handed_over::write(&image, &recipe.name, recipe.disk.firmware, &recipe.output.formats, events).await?;
    let given = recipe.output.warm.then_some(&recipe.run);
    let warm = warmed::write((&image, &recipe.name), given, &mut report, (request.store, scratch.path()), events).await?;

    let task = events.task("publish");
    let origin = Origin::of_build(recipe, &plan, proved);
    let manifest = manifest::describe(origin, stages, promises, report, Files { image: record, exports, warm }).await;
    let artifact = run.publish(draft, manifest, changes, request.overwrite, &task).await?;
    if let Some(unkept) = unkept {
        unkept.keep(&artifact.image_path(), request.store, &recipe.name, &task).await;
    }
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
