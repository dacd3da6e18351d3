//! `goldsmith verify IMAGE`.

use serde_json::json;

use crate::artifact;
use crate::base::event::Events;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::{counted, printable};
use crate::cli::args::Verify;
use crate::cli::{Context, host, printer, subject};
use crate::pipeline;
use crate::verify::{Outcome, Promises, Report};

/// Run all checks on an image: those of its manifest, or of a recipe.
///
/// # Errors
/// A check failed or could not be run, or neither a manifest nor a recipe names checks.
pub async fn run(args: &Verify, context: &Context) -> Result<(), AnyFailure> {
    subject::require_image(&args.image)?;
    let events = Events::new(context.listeners());
    let found = artifact::open(&args.image);
    let (image, promises, build) = match (&args.recipe, found) {
        (Some(reference), found) => {
            let recipe = host::load(reference, &args.set)?;
            let image = found.map_or_else(|_| args.image.clone(), |artifact| artifact.image_path());
            // The store and the network are only needed for the content of the recipe's archives of containers.
            let promises = match recipe.container_images.is_empty() {
                true => Promises::of(&recipe),
                false => pipeline::promised(&recipe, &host::store(None, context)?, &host::web(context), &events).await?,
            };
            (image, promises, recipe.build)
        }
        (None, Ok(artifact)) => {
            let task = events.task("check the image");
            artifact.check_image(&task).await?;
            task.done();
            let build = serde_json::from_value(artifact.manifest.recipe["build"].clone());
            let build = build.map_err(|error| NoPromises(format!("its manifest names no machine ({error})")))?;
            (artifact.image_path(), artifact.manifest.promises, build)
        }
        (None, Err(why)) => return Err(NoPromises(why.to_string()).into()),
    };
    let store = host::store(None, context)?;
    let report = pipeline::verify(&image, &promises, &build, &store, &events).await?;
    let text = if context.json { context.record(&json!({"event": "report", "report": report})) } else { table(&report) };
    Ok(printer::out(&text)?)
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let outcome = match check.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::CouldNotRun => "unknown",
            Outcome::Skipped => "skipped",
        };
        text.push_str(&format!("{outcome:<8}  {}: {}\n", printable(&check.name), printable(&check.detail)));
    }
    text.push_str(&format!("{} passed\n", counted(report.count(Outcome::Passed), "check")));
    text
}

#[derive(Debug, thiserror::Error)]
#[error("no checks to run: {0}")]
struct NoPromises(String);

impl Failure for NoPromises {
    fn class(&self) -> Class {
        Class::Input
    }

    fn remedy(&self) -> Option<String> {
        Some("name an artifact's directory, or the recipe: goldsmith verify IMAGE --recipe RECIPE".to_owned())
    }
}
