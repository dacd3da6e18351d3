//! `goldsmith build RECIPE`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::artifact::{Artifact, Overwrite};
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::{counted, shell_line};
use crate::cli::args::{Build, RecipeArgs, StoreArgs};
use crate::cli::subject::{self, NotAnImage};
use crate::cli::{Context, host, printer, visitor};
use crate::machine::visit::Visitor;
use crate::pipeline::{self, Built, Request};

/// Build, prove and publish; end with the path of the image.
///
/// # Errors
/// Any failure of the build.
pub async fn run(args: &Build, context: &Context) -> Result<(), AnyFailure> {
    let recipe = host::recipe(&args.recipe)?;
    let store = host::store(args.store.store.as_deref(), context)?;
    let target = host::target(args.output.as_deref(), &recipe);
    let web = host::web(context);
    let host_paths = host::paths(&args.recipe.recipe, context);
    let request = Request {
        recipe: &recipe,
        store: &store,
        web: &web,
        target: &target,
        overwrite: if args.force { Overwrite::Force } else { Overwrite::Refuse },
        host_paths: &host_paths,
        visitor: visitor(args, context),
    };
    let events = Events::new(context.listeners());
    if args.keep_on_failure && request.visitor.is_none() {
        events.warn("--keep-on-failure needs a terminal and no --json: a machine that fails ends as without it");
    }
    tell(pipeline::build(&request, &events).await?, context)
}

/// Tell which artifact was made or is up to date, and what to do with it.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn tell(built: Built, context: &Context) -> Result<(), AnyFailure> {
    let (Built::UpToDate(artifact) | Built::New(artifact)) = &built;
    printer::err(&next(artifact));
    if context.json {
        let (artifact, made) = match &built {
            Built::UpToDate(artifact) => (artifact, false),
            Built::New(artifact) => (artifact, true),
        };
        let manifest = &artifact.manifest;
        let exports: Vec<_> = manifest.exports.iter().map(|export| artifact.dir.join(&export.file)).collect();
        let mut record = json!({
            "event": "artifact",
            "image": artifact.image_path(),
            "exports": exports,
            "warm": manifest.warm.as_ref().map(|state| artifact.dir.join(&state.file.file)),
            "content_id": manifest.content_id,
            "made": made,
        });
        if let Some(parent) = &manifest.parent {
            record["parent"] = json!(parent);
        }
        return Ok(printer::out(&context.record(&record))?);
    }
    let text = match built {
        Built::UpToDate(artifact) => format!("{}: up to date\n", artifact.image_path().display()),
        Built::New(artifact) => summary(&artifact),
    };
    Ok(printer::out(&text)?)
}

/// The image at `path` for a command that starts it. `path` may also be a recipe file, or the name that a recipe's image would have here.
/// Then the recipe is built first, unless its image is up to date.
///
/// # Errors
/// The image of another directory is not built, or the build failed.
pub async fn image_of(path: &Path, context: &Context) -> Result<PathBuf, AnyFailure> {
    let recipe = match subject::require_image(path) {
        Ok(()) => return Ok(path.to_owned()),
        Err(NotAnImage::Recipe { path }) => path.to_string_lossy().into_owned(),
        Err(NotAnImage::NotBuilt { recipe, .. }) if path.as_os_str() == recipe.as_str() => recipe,
        Err(error) => return Err(error.into()),
    };
    let target = host::target(None, &host::load(&recipe, &[])?);
    let recipe = RecipeArgs { recipe, set: Vec::new() };
    let args = Build { recipe, output: None, force: false, keep_on_failure: false, store: StoreArgs { store: None } };
    run(&args, context).await?;
    Ok(target)
}

/// The user of the terminal, who is offered a shell in a machine that failed.
fn visitor(args: &Build, context: &Context) -> Option<&'static dyn Visitor> {
    let colour = printer::stderr_has_colour(&context.environment);
    (args.keep_on_failure && !context.json).then(|| visitor::at_terminal(colour)).flatten()
}

/// The command to suggest next: `run` with the artifact's directory.
fn next(artifact: &Artifact) -> String {
    let image = artifact.image_path();
    let dir = image.parent().unwrap_or(&image).to_string_lossy();
    format!("next: {}\n", shell_line(["goldsmith", "run", &dir]))
}

fn summary(artifact: &Artifact) -> String {
    let manifest = &artifact.manifest;
    let mut text = String::new();
    for stage in &manifest.stages {
        let how = if stage.reused { "from the store".to_owned() } else { format!("{:.1} s", stage.seconds) };
        text.push_str(&format!("{:<24} {how}\n", stage.name));
    }
    let size = rounded(manifest.image.bytes);
    let checks = counted(manifest.checks.len(), "check");
    text.push_str(&format!("{}: {size}, {checks} passed\n", artifact.image_path().display()));
    for export in &manifest.exports {
        text.push_str(&format!("{}: {}, the same disk\n", artifact.dir.join(&export.file).display(), rounded(export.bytes)));
    }
    if let Some(state) = &manifest.warm {
        let (path, size) = (artifact.dir.join(&state.file.file), rounded(state.file.bytes));
        text.push_str(&format!("{}: {size}, the memory of the booted system\n", path.display()));
    }
    text
}
