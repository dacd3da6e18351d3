//! Checks, verifies and fetches the inputs of a plan's installation.

use super::jobs::Installation;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::installer::Answers;
use crate::plan::Install;
use crate::preflight::{self, Verdict};
use crate::recipe::Recipe;
use crate::sources::{self, Chosen, Host, Proved};

/// Refuse a build that cannot succeed before an installation begins, and warn of what may fail.
pub(super) async fn foresee(
    recipe: &Recipe,
    answers: &Answers<'_>,
    chosen: &Chosen,
    host: Host<'_>,
    events: &Events,
) -> Result<(), AnyFailure> {
    let task = events.task("check");
    let found = preflight::foresee(recipe, Some(answers), (Some(chosen.found()), Some(chosen.choice())), host, &task).await?;
    for row in found.rows.iter().filter(|row| row.verdict == Verdict::Warning) {
        events.warn(format!("{}: {}", row.area.name(), row.what));
    }
    found.refuse()?;
    task.done();
    Ok(())
}

/// Verify the signatures of the packages that were chosen from the online repositories.
pub(super) async fn prove_packages(chosen: Chosen, host: Host<'_>, events: &Events) -> Result<Proved, AnyFailure> {
    let has_keys = chosen.found().upstreams.iter().any(|upstream| !upstream.keys().is_empty());
    let task = task_if(has_keys, "verify the packages", events);
    let proved = sources::prove(chosen, host, &task).await?;
    let online = proved.proofs.iter().filter(|proof| proof.upstream.is_some());
    online.filter_map(preflight::weak).for_each(|weak| events.warn(weak));
    task.done();
    Ok(proved)
}

/// A task that is shown only when there is something to do in it.
fn task_if(is_work: bool, name: &str, events: &Events) -> Task {
    if is_work { events.task(name) } else { Events::none().task(name) }
}

/// Fetch the packages that were chosen from the online repositories. It has been checked before that they can be installed together.
/// Returns what `install` reads.
pub(super) async fn gather<'a>(
    install: &'a Install,
    proved: &'a Proved,
    host: Host<'_>,
    events: &Events,
) -> Result<Installation<'a>, AnyFailure> {
    match install {
        Install::Deploy(work) => {
            let task = events.task("fetch");
            let packages = sources::gather_debian(&proved.chosen, &work.suite, host, &task).await?;
            task.done();
            Ok(Installation::Deploy(work, packages))
        }
        Install::Anaconda(work) => {
            let task = task_if(!proved.chosen.choice().online.is_empty(), "fetch", events);
            let gathered = sources::gather(proved, &work.repositories, host, &task).await?;
            task.done();
            Ok(Installation::Anaconda(work, gathered))
        }
    }
}
