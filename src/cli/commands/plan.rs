//! `goldsmith plan RECIPE`.

use serde_json::json;

use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::cli::args::Plan;
use crate::cli::{Context, host, printer};
use crate::installer::Answers;
use crate::plan::Job;
use crate::preflight::{self, Standing};
use crate::sources::{Fetch, Host};

/// Print the stages that a build would run, the layers that exist, and the inputs that pin them.
///
/// # Errors
/// The recipe is wrong or an input is missing.
pub async fn run(args: &Plan, context: &Context) -> Result<(), AnyFailure> {
    let recipe = host::recipe(&args.recipe)?;
    let answers = Answers::of(&recipe)?;
    let store = host::store(args.store.store.as_deref(), context)?;
    let scratch = store.scratch()?;
    let web = host::web(context);
    let (chosen, plan) =
        preflight::resolve_and_plan(&recipe, &answers, Host::this(&store, scratch.path(), &web, Fetch::Look), &Events::none()).await?;
    let standing = preflight::standing(&store, &plan);
    let first_to_run = preflight::first_to_run(&standing);
    if context.json {
        let stage = |(index, (job, standing)): (usize, (&Job, &Standing))| {
            let (layer, unusable) = match standing {
                Standing::Usable(_) => (true, None),
                Standing::Unusable(why) => (false, Some(why)),
                Standing::Missing => (false, None),
            };
            json!({"name": job.stage, "id": job.id, "run": index >= first_to_run, "layer": layer, "unusable": unusable, "job": job})
        };
        let stages: Vec<_> = plan.jobs().zip(&standing).enumerate().map(stage).collect();
        let inherited: serde_json::Map<_, _> = recipe.inherited.iter().map(|from| (from.list.clone(), json!(from.items))).collect();
        let document = json!({"schema": 1, "content_id": plan.content_id, "inherited": inherited, "inputs": chosen.found().inputs(), "stages": stages});
        return Ok(printer::out(&format!("{document}\n"))?);
    }
    let mut text = String::new();
    for inherited in &recipe.inherited {
        text.push_str(&format!("{:<8} {:<32} {}\n", "inherit", inherited.list, inherited.items.join(", ")));
    }
    for pin in &chosen.found().inputs() {
        text.push_str(&format!("{:<8} {:<32} sha256 {}\n", "input", pin.name, pin.sha256.short()));
    }
    for (job, standing) in plan.jobs().zip(&standing) {
        // When a layer can be used, all layers below it exist too.
        let (what, why) = match standing {
            Standing::Usable(_) => ("reuse", "the store has its layer".to_owned()),
            Standing::Unusable(why) => ("run", format!("the layer in the store cannot be used: {why}")),
            Standing::Missing => ("run", "the store has no layer of this id".to_owned()),
        };
        text.push_str(&format!("{what:<8} {:<32} id     {}  {why}\n", job.stage, job.id.short()));
    }
    text.push_str(&format!("{:<8} {:<32} id     {}\n", "publish", recipe.name, plan.content_id.short()));
    Ok(printer::out(&text)?)
}
