//! Checks, verifies and fetches the inputs of a plan's installation.

use super::jobs::Installation;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::plan::Install;
use crate::preflight::{self, Verdict};
use crate::recipe::Recipe;
use crate::sources::{self, Host, Resolved};

/// Refuse what cannot end well before an installation begins, and tell what may not.
pub(super) async fn foresee(recipe: &Recipe, resolved: &Resolved, host: Host<'_>, events: &Events) -> Result<(), AnyFailure> {
    let task = events.task("check");
    let found = preflight::foresee(recipe, Some(resolved), host, &task).await?;
    for row in found.rows.iter().filter(|row| row.verdict == Verdict::Warning) {
        events.warn(format!("{}: {}", row.area.name(), row.what));
    }
    found.refuse()?;
    task.done();
    Ok(())
}

/// Verify the signatures of what was chosen of the online repositories.
pub(super) async fn prove_packages(resolved: &mut Resolved, host: Host<'_>, events: &Events) -> Result<(), AnyFailure> {
    if resolved.upstreams.iter().any(|upstream| !upstream.keys().is_empty()) {
        let task = events.task("verify the packages");
        sources::prove(resolved, host, &task).await?;
        let proved = resolved.proofs.iter().filter(|proof| proof.upstream.is_some());
        proved.filter_map(preflight::weak).for_each(|weak| events.warn(weak));
        task.done();
    }
    Ok(())
}

/// Fetch the packages that were chosen from the online repositories. It has been checked before that they can be installed together.
/// Returns what `install` reads.
pub(super) async fn gather<'a>(
    install: &'a Install,
    resolved: &mut Resolved,
    host: Host<'_>,
    events: &Events,
) -> Result<Installation<'a>, AnyFailure> {
    match install {
        Install::Deploy(work) => {
            let task = events.task("fetch");
            let packages = sources::gather_debian(resolved, &work.suite, host, &task).await?;
            task.done();
            Ok(Installation::Deploy(work, packages))
        }
        Install::Anaconda(work) => {
            if resolved.chosen.is_some() {
                let task = events.task("fetch");
                sources::gather(resolved, host, &task).await?;
                task.done();
            }
            Ok(Installation::Anaconda(work))
        }
    }
}
