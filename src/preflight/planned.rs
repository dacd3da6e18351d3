//! From a recipe to its plan.

use super::packages;
use super::report::Preflight;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::closure::{Choosing, choose};
use crate::installer::accounts::Accounts;
use crate::plan::{Plan, Texts, plan};
use crate::recipe::Recipe;
use crate::sources::{self, Host, Resolved, all_images};
use crate::stages;

/// A recipe's inputs and its plan.
///
/// # Errors
/// An input is missing or wrong, or this version has no plan for the recipe.
pub async fn resolve_and_plan(recipe: &Recipe, host: Host<'_>, events: &Events) -> Result<(Resolved, Plan), AnyFailure> {
    let task = events.task("resolve");
    let mut resolved = sources::resolve(recipe, host, &task).await?;
    require_choice(recipe, &mut resolved, host, &task).await?;
    let plan = plan_of(recipe, &resolved, host.store)?;
    task.done();
    Ok((resolved, plan))
}

/// Choose what an installation takes of the online repositories.
///
/// # Errors
/// It cannot be chosen, or what is asked for does not go together.
async fn require_choice(recipe: &Recipe, resolved: &mut Resolved, host: Host<'_>, task: &Task) -> Result<(), AnyFailure> {
    match choose(recipe, resolved, host, task).await? {
        Choosing::Unknown(why) => Err(why.into()),
        choosing => {
            let rows = packages::chosen(choosing);
            Ok(Preflight { rows, ..Preflight::of(&recipe.name) }.refuse()?)
        }
    }
}

/// The plan of a recipe whose inputs are pinned.
///
/// # Errors
/// The store cannot be used, or this version has no plan for the recipe.
pub fn plan_of(recipe: &Recipe, resolved: &Resolved, store: &Store) -> Result<Plan, AnyFailure> {
    let accounts = Accounts::derive(recipe, &store.secret()?);
    let images = all_images(&resolved.containers);
    let texts = Texts { tree: stages::TREE, sealing: stages::SEALING, loading: stages::LOADING };
    Ok(plan(recipe, &resolved.pins, images, &accounts, texts)?)
}
