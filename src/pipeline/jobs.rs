//! Has the stages execute the jobs of a plan, each on the layer before it. Layers that the store has are reused.

use std::fs;
use std::path::{Path, PathBuf};

use super::failure;
use super::request::Request;
use crate::artifact::{EVENTS_FILE, StageRecord};
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::cache::{Lookup, Vacancy};
use crate::machine::runner::Bench;
use crate::plan::{AnacondaWork, DeployWork, Job, Plan, Planned, SealWork, StepWork};
use crate::preflight::Finished;
use crate::sources::{self, ContainerArchive, DebianRepository, Gathered};
use crate::stages::{self, Layer, StageError, Step};

/// Where a build begins.
pub(super) enum Start<'a> {
    /// With the installation.
    Install(Installation<'a>),
    /// Above the last layer that is finished.
    Above(Finished),
}

/// An installation, and its inputs.
pub(super) enum Installation<'a> {
    /// By the deploy installer, from these packages.
    Deploy(&'a DeployWork, DebianRepository),
    /// By Anaconda, from the medium and these bundles.
    Anaconda(&'a AnacondaWork, Gathered<'a>),
}

/// Run the remaining jobs of `plan`. Returns the sealed layer, and each stage's record for the manifest.
///
/// # Errors
/// A stage failed.
pub(super) async fn run(
    plan: &Plan,
    start: Start<'_>,
    containers: &[ContainerArchive],
    request: &Request<'_>,
    bench: &Bench<'_>,
    events: &Events,
) -> Result<(Layer, Vec<StageRecord>), AnyFailure> {
    let run = Run { containers, request, bench, events };
    let mut records = Vec::new();
    let (mut done, mut top) = match start {
        // Layers below the last finished one do not matter: the installation is not run if there is a sealed layer.
        Start::Above(Finished { jobs, layer }) => {
            records.extend(plan.jobs().take(jobs).map(|job| record(job, events.task(&*job.stage).reused(), true)));
            (jobs, layer)
        }
        Start::Install(installation) => {
            let (layer, record) = run.install(&plan.install.job, &installation).await?;
            records.push(record);
            (1, layer)
        }
    };
    // Steps that follow each other share a boot, so several layers come at a time.
    while let Some(steps @ [_, ..]) = plan.steps.get(done - 1..) {
        let (layer, made) = run.provision(steps, top).await?;
        done += made.len();
        top = layer;
        records.extend(made);
    }
    if done < plan.jobs().count() {
        let (layer, record) = run.seal(&plan.seal, &top).await?;
        top = layer;
        records.push(record);
    }
    Ok((top, records))
}

fn record(job: &Job, seconds: f64, reused: bool) -> StageRecord {
    StageRecord { name: job.stage.clone(), id: job.id, reused, seconds }
}

/// The data that all jobs of a build share.
struct Run<'a> {
    containers: &'a [ContainerArchive],
    request: &'a Request<'a>,
    bench: &'a Bench<'a>,
    events: &'a Events,
}

impl Run<'_> {
    async fn install(&self, job: &Job, installation: &Installation<'_>) -> Result<(Layer, StageRecord), AnyFailure> {
        let make = async |dir: &Path, task: &Task| match installation {
            Installation::Deploy(work, packages) => stages::deploy(work, packages, dir, self.bench, task).await,
            Installation::Anaconda(work, gathered) => stages::anaconda(work, gathered, dir, self.bench, task).await,
        };
        self.one(job, None, make).await
    }

    async fn seal(&self, Planned { job, work }: &Planned<SealWork>, base: &Layer) -> Result<(Layer, StageRecord), AnyFailure> {
        self.one(job, Some(base), async |dir: &Path, task: &Task| stages::seal(work, &[], base, dir, self.bench, task).await).await
    }

    /// The layer of a job with its own machine: made on `base`, or found if another process has made it.
    async fn one(
        &self,
        job: &Job,
        base: Option<&Layer>,
        make: impl AsyncFnOnce(&Path, &Task) -> Result<(), StageError>,
    ) -> Result<(Layer, StageRecord), AnyFailure> {
        let task = self.events.task(&*job.stage);
        match self.lookup(job, Some(&task)).await? {
            Lookup::Hit(layer) => Ok((layer, record(job, task.reused(), true))),
            Lookup::Miss(vacancy) => {
                make(vacancy.path(), &task).await?;
                let layer = self.finish(job, vacancy, base)?;
                Ok((layer, record(job, task.done(), false)))
            }
        }
    }

    /// Run the first of `steps` and those after it that have no layer either; or find that another process has made the first. Returns the
    /// last layer, and a record for each.
    async fn provision(&self, steps: &[Planned<StepWork>], base: Layer) -> Result<(Layer, Vec<StageRecord>), AnyFailure> {
        let task = self.events.task(&*steps[0].job.stage);
        let mut vacancies = Vec::new();
        for step in steps {
            let first = vacancies.is_empty().then_some(&task);
            match self.lookup(&step.job, first).await? {
                Lookup::Miss(vacancy) => vacancies.push(vacancy),
                Lookup::Hit(layer) if vacancies.is_empty() => return Ok((layer, vec![record(&step.job, task.reused(), true)])),
                Lookup::Hit(_) => break,
            }
        }
        let pending = steps.iter().zip(&vacancies);
        let pending = pending.map(|(step, vacancy)| Step { work: &step.work, dir: vacancy.path().to_owned(), id: step.job.id.to_string() });
        let pending: Vec<Step> = pending.collect();
        let images = self.images(&pending, &task).await?;
        let (mut first, mut vacancies) = (Some(task), vacancies.into_iter());
        let (mut top, mut records) = (base.clone(), Vec::new());
        let begin = |index: usize| first.take().unwrap_or_else(|| self.events.task(&*steps[index].job.stage));
        let keep = |index: usize, task: Task| -> Result<(), AnyFailure> {
            let job = &steps[index].job;
            if let Some(vacancy) = vacancies.next() {
                top = self.finish(job, vacancy, Some(&top))?;
                records.push(record(job, task.done(), false));
            }
            Ok(())
        };
        stages::provision(&base, &pending, images.as_deref(), begin, keep, self.bench).await?;
        if let Some(images) = images {
            // The scratch directory goes away with the run, but gigabytes should not stay that long.
            let _ = fs::remove_file(images);
        }
        Ok((top, records))
    }

    /// The archive that `steps` load container images from, when one of them does.
    async fn images(&self, steps: &[Step<'_>], task: &Task) -> Result<Option<PathBuf>, AnyFailure> {
        if !steps.iter().any(|step| matches!(step.work, StepWork::Load(_))) {
            return Ok(None);
        }
        let path = self.bench.scratch.join("container-images.tar");
        sources::write_images(self.containers, &path, task).await?;
        Ok(Some(path))
    }

    /// The job's layer, or the permission to make it. `task` reports when another process makes it.
    async fn lookup(&self, job: &Job, task: Option<&Task>) -> Result<Lookup<Layer>, AnyFailure> {
        let waiting = || {
            if let Some(task) = task {
                task.step("another goldsmith is making this layer; waiting for it");
            }
        };
        let found = self.request.store.lookup(&job.id, |dir: &Path| Layer::open(dir).ok(), waiting).await?;
        if matches!(found, Lookup::Miss(_)) {
            // From here on a failure leaves evidence, at least the run's journal.
            fs::create_dir_all(self.bench.evidence).map_err(failure::unwritable(self.bench.evidence))?;
        }
        Ok(found)
    }

    /// Complete the layer in the making, which was made on `base`, and give it its name. It keeps the journal of the build, which is not
    /// published.
    fn finish(&self, job: &Job, vacancy: Vacancy, base: Option<&Layer>) -> Result<Layer, AnyFailure> {
        let journal = self.bench.scratch.join(EVENTS_FILE);
        fs::copy(journal, vacancy.path().join(EVENTS_FILE)).map_err(failure::unwritable(vacancy.path()))?;
        Layer::complete(vacancy.path(), base)?;
        let layer = Layer::open(&vacancy.keep()?)?;
        self.request.store.describe(&job.id, &format!("{} of {}", job.stage, self.request.recipe.name));
        Ok(layer)
    }
}
