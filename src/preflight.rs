//! Checks a build before its first boot: inputs, kickstart, contradictions, and the host.

mod accounts;
mod audited;
mod authorities;
mod bundles;
mod containers;
mod host;
mod hostname;
mod identities;
mod impossible;
mod kickstart;
mod medium;
mod packages;
mod planned;
mod report;
mod services;
mod shells;
mod signatures;
mod steps;
mod standing;

use std::path::Path;

use jiff::Timestamp;

use crate::artifact::{self, ArtifactError, Found, Overwrite};
use crate::base::digest::Sha256Digest;
use crate::base::event::{Events, Task};
use crate::base::failure::AnyFailure;
use crate::base::text::counted;
use crate::cache::Store;
use crate::closure::{Choosing, Forecast, brought, choose, forecast};
use crate::installer::Answers;
use crate::packages::Brought;
use crate::recipe::{Recipe, Repository, Supply, doubts};
use crate::sources::{self, Awaited, Choice, Chosen, Fetch, Host, Resolved, Web, all_images, image_bytes};

pub use host::{Ahead, SMALLER, require};
pub use kickstart::tell_kickstart;
pub use planned::{plan_of, resolve_and_plan};
pub use report::{Area, Preflight, PreflightFailed, Row, Verdict};
pub use signatures::{unverified, weak};
pub use standing::{Finished, Standing, first_to_run, standing, start, tell_unusable};

/// Check everything that a build of `recipe` for the place `target` needs, without running a machine and without writing there. A problem
/// is a row, not an error, so all of them are reported at once.
///
/// # Errors
/// The store cannot be used.
pub async fn check(
    recipe: &Recipe,
    store: &Store,
    web: &Web,
    (target, overwrite): (&Path, Overwrite),
    events: &Events,
) -> Result<Preflight, AnyFailure> {
    let scratch = store.scratch()?;
    let host = Host::this(store, scratch.path(), web, Fetch::Look);
    let task = events.task("resolve");
    let (resolved, unresolved) = match sources::resolve(recipe, host, &task).await {
        Ok(resolved) => (Some(resolved), None),
        Err(unresolved) => (None, Some(unresolved)),
    };
    let answers = Answers::of(recipe);
    let (found, chosen, unchosen) = match (resolved, &answers) {
        (None, _) => (None, None, Vec::new()),
        // What the installer asks for is not known.
        (found, Err(_)) => (found, None, Vec::new()),
        (Some(found), Ok(answers)) => match choose(answers, &found, host, &task).await {
            Ok(Choosing::Done(choice)) => (None, Some(Chosen::new(found, choice)), Vec::new()),
            Ok(Choosing::Refused(refused)) => (Some(found), None, packages::refused(refused)),
            Ok(Choosing::Unknown(why)) => (Some(found), None, vec![packages::unknown(why)]),
            Err(failure) => (Some(found), None, vec![Row::failed(Area::Packages, &failure)]),
        },
    };
    let resolved = chosen.as_ref().map(Chosen::found).or(found.as_ref());
    let mut preflight = foresee(recipe, answers.as_ref().ok(), (resolved, chosen.as_ref().map(Chosen::choice)), host, &task).await?;
    if let (Some(unresolved), Ok(answers)) = (&unresolved, &answers) {
        preflight.rows.extend(to_hold(recipe, answers, &unresolved.found, host, &task).await);
    }
    preflight.rows.extend(unchosen);
    task.done();
    if let Some(unresolved) = unresolved {
        preflight.rows.extend(pins(&unresolved.found, None));
        preflight.rows.extend(signatures::rows(&unresolved.found));
        preflight.rows.extend(unresolved.errors.into_iter().map(|error| Row::failed(Area::Sources, &error.into())));
    }
    // Packages that are not chosen are not pinned, and stages would have other ids.
    let plan = match (&chosen, &answers) {
        (Some(chosen), Ok(answers)) => Some(plan_of(recipe, answers, chosen, store)?),
        _ => None,
    };
    preflight.rows.extend(answers.err().into_iter().flat_map(kickstart::refused));
    // Without a plan it is not known which layers are finished, so all tools of an installation are needed.
    let ahead = plan.as_ref().map_or(Ahead::ALL, |plan| Ahead::of(plan, first_to_run(&standing(store, plan))));
    let mut lacks = host::lacks(recipe, resolved, store, target, ahead);
    lacks.extend(unpublishable(target, plan.map(|plan| plan.content_id), overwrite).map(Into::into));
    preflight.rows.extend(match lacks.is_empty() {
        true => vec![Row::ok(Area::Host, "tools, memory and space are there")],
        false => lacks.iter().map(|failure| Row::failed(Area::Host, failure)).collect(),
    });
    preflight.rows.sort_by_key(|row| row.area);
    Ok(preflight)
}

/// Why a build of the content `wanted` would not publish at `target`. If the id is not known, an artifact there may be the same one.
fn unpublishable(target: &Path, wanted: Option<Sha256Digest>, overwrite: Overwrite) -> Option<ArtifactError> {
    let id = wanted.unwrap_or_else(|| Sha256Digest::of(b"unknown"));
    match artifact::existing(target, &id) {
        Found::SameId(_) => None,
        Found::OtherId { .. } if wanted.is_none() && overwrite == Overwrite::Refuse => None,
        _ => artifact::replaces(target, &id, overwrite).err(),
    }
}

/// The inputs that were found, and those that a build will fetch.
fn pins(found: &Resolved, choice: Option<&Choice>) -> impl Iterator<Item = Row> {
    let world = found.upstreams.iter().map(|upstream| {
        // The digest is shown in full, so that it can be pinned.
        Row::ok(Area::Sources, format!("upstream {} of {}, repomd_sha256 {}", upstream.name(), upstream.repository(), upstream.sha256()))
    });
    let pinned = found.inputs().into_iter().map(|pin| {
        let awaited = found.awaited.iter().find(|(name, _)| *name == pin.name).map(|(_, awaited)| format!(", {awaited}"));
        Row::ok(Area::Sources, format!("{}, sha256 {}{}", pin.name, pin.sha256.short(), awaited.unwrap_or_default()))
    });
    let chosen = choice.into_iter().flat_map(|choice| &choice.online).map(|(id, online)| {
        let awaited = still_to_fetch(online.awaited.as_ref());
        Row::ok(Area::Sources, format!("{} for {id}, {awaited}", counted(online.packages.len(), "package")))
    });
    let suites = found.apt.iter().map(|suite| {
        let made = suite.release.date.as_deref().map(|date| format!(" of {date}")).unwrap_or_default();
        Row::ok(Area::Sources, format!("{}, index{made}, sha256 {}", suite.name(), suite.sha256.short()))
    });
    let debian = choice.map(|choice| &choice.debian).filter(|debian| !debian.packages.is_empty()).map(|choice| {
        let awaited = still_to_fetch(choice.awaited.as_ref());
        Row::ok(Area::Sources, format!("{}, {awaited}", counted(choice.packages.len(), "package")))
    });
    suites.chain(pinned).chain(world).chain(chosen).chain(debian)
}

/// The chosen packages that are to be fetched.
fn still_to_fetch(awaited: Option<&Awaited>) -> String {
    awaited.map_or_else(|| "all in the store".to_owned(), ToString::to_string)
}

/// Everything but the host: the kickstart, the inputs that were found, the packages, the disk, and the checks. There are no answers when the
/// installer would refuse them.
///
/// # Errors
/// The store cannot be used.
pub async fn foresee(
    recipe: &Recipe,
    answers: Option<&Answers<'_>>,
    (resolved, choice): (Option<&Resolved>, Option<&Choice>),
    host: Host<'_>,
    task: &Task,
) -> Result<Preflight, AnyFailure> {
    let mut preflight = Preflight::of(&recipe.name);
    let rows = &mut preflight.rows;
    rows.extend(answers.into_iter().flat_map(kickstart::rows));
    rows.extend(unverified(recipe).map(|what| Row::ok(Area::Sources, what)));
    rows.extend(doubts(recipe).into_iter().map(|doubt| Row::warning(Area::Settings, doubt.what, Some(doubt.remedy))));
    let forecast = match resolved {
        Some(resolved) => {
            rows.extend(pins(resolved, choice));
            rows.extend(signatures::rows(resolved));
            rows.extend(medium::row(recipe, resolved));
            for repository in &recipe.repositories {
                rows.extend(resolved.bundles.get(&repository.id).map(|bundle| bundles::rows(&repository.id, bundle)).into_iter().flatten());
            }
            match answers {
                Some(answers) if resolved.awaited.is_empty() => forecast(answers, (resolved, choice), host, task).await,
                // The packages of an archive that is not here yet are not known.
                _ => Ok(None),
            }
        }
        None => Ok(None),
    };
    let forecast: Option<Forecast> = forecast.unwrap_or_else(|failure| {
        rows.push(Row::failed(Area::Packages, &failure));
        None
    });
    let together = forecast.as_ref().filter(|forecast| forecast.refused.is_empty());
    rows.extend(steps::rows(recipe, resolved, host, task).await);
    rows.extend(named(recipe, answers, (resolved, choice, together), host, task).await);
    if let Some(Answers::Anaconda(answers)) = answers
        && !answers.selection.unseen.is_empty()
    {
        let unseen = &answers.selection.unseen;
        let what = format!("the packages are not foretold: they depend on {}", unseen.join(", "));
        rows.push(Row::warning(Area::Packages, what, None));
    }
    if let Some(forecast) = &forecast {
        let medium = resolved.and_then(Resolved::medium).and_then(|medium| medium.kind().edition);
        rows.extend(packages::packages(forecast, medium));
        rows.extend(packages::disk(recipe, forecast));
    }
    rows.extend(accounts::rows(recipe, forecast.as_ref()));
    rows.extend(identities::rows(recipe, forecast.as_ref()));
    rows.extend(authorities::rows(recipe, forecast.as_ref(), now()));
    rows.extend(hostname::rows(recipe));
    rows.extend(audited::rows(recipe));
    let archives = resolved.map_or(&[][..], |resolved| &resolved.containers);
    rows.extend(containers::rows(recipe, &all_images(archives), image_bytes(archives), forecast.as_ref()));
    rows.extend(checks(recipe, forecast.as_ref()));
    preflight.packages = forecast.map(|forecast| forecast.packages).unwrap_or_default();
    Ok(preflight)
}

/// Seconds since 1970. A clock that stands before that tells nothing.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

/// The packages that a missing archive must hold, as far as they follow from the medium. The maker of the archive has no other list.
async fn to_hold(recipe: &Recipe, answers: &Answers<'_>, found: &Resolved, host: Host<'_>, task: &Task) -> Option<Row> {
    let is_missing =
        |repository: &&Repository| matches!(repository.supply, Supply::Archive(_)) && !found.bundles.contains_key(&repository.id);
    let archives: Vec<&str> = recipe.repositories.iter().filter(is_missing).map(|repository| repository.id.as_str()).collect();
    if archives.is_empty() || !found.awaited.is_empty() || !found.upstreams.is_empty() {
        return None;
    }
    // A medium that cannot be read has rows of its own.
    let forecast = forecast(answers, (found, None), host, task).await.ok()??;
    packages::to_hold(&archives, &forecast)
}

/// Names in the recipe that no package brings. If a list of files cannot be fetched, that is no problem for a build.
async fn named(
    recipe: &Recipe,
    answers: Option<&Answers<'_>>,
    (resolved, choice, forecast): (Option<&Resolved>, Option<&Choice>, Option<&Forecast>),
    host: Host<'_>,
    task: &Task,
) -> Vec<Row> {
    let is_asked = services::names_any(recipe) || shells::names_any(recipe);
    let (Some(answers), Some(resolved), Some(forecast), true) = (answers, resolved, forecast, is_asked) else {
        return shells::rows(recipe, None);
    };
    let has_all = |brought: &Brought| services::has_all(recipe, brought) && shells::has_all(recipe, brought);
    match brought(answers, (resolved, choice, forecast), &has_all, host, task).await {
        Ok(Some(brought)) => services::rows(recipe, &brought).into_iter().chain(shells::rows(recipe, Some(&brought))).collect(),
        Ok(None) => shells::rows(recipe, None),
        Err(failure) => {
            let what = format!("whether the packages bring the recipe's units, modules and shells is not known: {failure}");
            vec![Row::warning(Area::Settings, what, failure.get().remedy())]
        }
    }
}

fn checks(recipe: &Recipe, forecast: Option<&Forecast>) -> Vec<Row> {
    // A kickstart of the user's own makes the settings, so the recipe has none that a check could contradict.
    let found = if recipe.own_kickstart().is_some() { Vec::new() } else { impossible::impossible(recipe, forecast) };
    if found.is_empty() {
        return vec![Row::ok(Area::Checks, format!("{}, none against the recipe", counted(recipe.checks.len(), "check")))];
    }
    let row = |found: impossible::Impossible| {
        let what = format!("the check `{}` cannot be passed: {}", found.check, found.why);
        if found.perhaps {
            return Row::warning(Area::Checks, what, Some("make sure that a provision step changes that".to_owned()));
        }
        let remedy = Some("change the check or the setting".to_owned());
        match found.by_packages {
            true => Row::broken_promise(Area::Checks, what, remedy),
            false => Row::wrong(Area::Checks, what, remedy),
        }
    };
    found.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::recipe::{RecipeHost, load};

    /// The recipe of this text, for the tests of all areas.
    pub(super) fn recipe(text: String) -> Recipe {
        load("x.toml", &[], &Text(text)).unwrap_or_else(|error| panic!("{}", error.render(false)))
    }

    /// A host with one file, whose name does not matter.
    struct Text(String);

    impl RecipeHost for Text {
        fn read(&self, _: &Path, _: u64) -> io::Result<Vec<u8>> {
            Ok(self.0.clone().into_bytes())
        }

        fn env(&self, _: &str) -> Option<String> {
            None
        }
    }
}
