//! From a recipe to its plan.

use super::packages;
use super::report::PreflightFailed;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::cache::Store;
use crate::closure::{Choosing, choose};
use crate::installer::Answers;
use crate::installer::accounts::Accounts;
use crate::plan::{Plan, Texts, plan};
use crate::recipe::Recipe;
use crate::sources::{self, Choice, Chosen, Host, Resolved, all_images};
use crate::stages;

/// The inputs and the plan of a recipe with these answers to its installer.
///
/// # Errors
/// An input is missing or wrong, or the wanted packages cannot be had together.
pub async fn resolve_and_plan(
    recipe: &Recipe,
    answers: &Answers<'_>,
    host: Host<'_>,
    events: &Events,
) -> Result<(Chosen, Plan), AnyFailure> {
    let task = events.task("resolve");
    let resolved = sources::resolve(recipe, host, &task).await?;
    let choice = required_choice(recipe, answers, &resolved, host, &task).await?;
    let chosen = Chosen::new(resolved, choice);
    let plan = plan_of(recipe, answers, &chosen, host.store)?;
    task.done();
    Ok((chosen, plan))
}

/// Choose the packages that an installation takes from the online repositories.
///
/// # Errors
/// The choice cannot be made, or the wanted packages cannot be installed together.
async fn required_choice(
    recipe: &Recipe,
    answers: &Answers<'_>,
    resolved: &Resolved,
    host: Host<'_>,
    task: &Task,
) -> Result<Choice, AnyFailure> {
    match choose(answers, resolved, host, task).await? {
        Choosing::Done(choice) => Ok(choice),
        Choosing::Refused(refused) => Err(PreflightFailed::new(&recipe.name, packages::refused(refused)).into()),
        Choosing::Unknown(why) => Err(why.into()),
    }
}

/// The plan of a recipe with these answers to its installer, whose inputs are pinned.
///
/// # Errors
/// The store cannot be used.
pub fn plan_of(recipe: &Recipe, answers: &Answers<'_>, chosen: &Chosen, store: &Store) -> Result<Plan, AnyFailure> {
    let accounts = Accounts::derive(recipe, &store.secret()?);
    let images = all_images(&chosen.found().containers);
    let texts = Texts { tree: stages::TREE, sealing: stages::SEALING, loading: stages::LOADING };
    Ok(plan(recipe, answers, &chosen.found().pins, images, &accounts, texts))
}
