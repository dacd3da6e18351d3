//! The packages that mmdebstrap will install: the essential ones, apt, and those that are asked for, without recommended ones.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::forecast::{Forecast, found_before, refusals};
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::installer::deploy;
use crate::packages::debian::{add_packages, pick};
use crate::packages::solve::Closure;
use crate::packages::{Asked, Question, Scheme, Universe, What, resolve};
use crate::sources::{DebianChoice, Host, PackageIndex, Resolved, SourceError, index_digests, indexes};

/// The architecture of goldsmith's machines.
const ARCH: &str = "amd64";
/// The kind of memory for the result. The number is the version of [`Found`] and of the rules that lead to it.
const KIND: &str = "debian-2";

/// The packages of an installation, for people and for the fetch.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) forecast: Forecast,
    /// Empty when the forecast is refused.
    pub(super) choice: DebianChoice,
}

/// A package index, and the index of its suite in [`Resolved::apt`].
type SuiteIndex = (usize, PackageIndex);

pub(super) async fn find(packages: &[String], resolved: &Resolved, host: Host<'_>, task: &Task) -> Result<Found, AnyFailure> {
    let mut digests = Vec::new();
    for suite in &resolved.apt {
        digests.extend(index_digests(suite, ARCH)?);
    }
    let question = question(packages);
    let find = async {
        let mut found: Vec<SuiteIndex> = Vec::new();
        for (number, suite) in resolved.apt.iter().enumerate() {
            found.extend(indexes(suite, ARCH, host, task).await?.into_iter().map(|index| (number, index)));
        }
        task.step("work out the packages");
        answer(&found, &question)
    };
    found_before(KIND, host.store, &digests, &question, find).await
}

/// Those of `names` that no suite has a package of.
pub(super) async fn unlisted<'a>(names: &[&'a str], resolved: &Resolved, host: Host<'_>, task: &Task) -> Result<Vec<&'a str>, AnyFailure> {
    let mut listed = HashSet::new();
    for suite in &resolved.apt {
        for index in indexes(suite, ARCH, host, task).await? {
            let input = index.input().map_err(SourceError::from)?;
            let found = pick(input, &|name, _, _| names.contains(&name)).map_err(SourceError::from)?;
            listed.extend(found.into_iter().map(|package| package.name));
        }
    }
    Ok(names.iter().copied().filter(|name| !listed.contains(*name)).collect())
}

/// The question of an installation of `packages`.
fn question(packages: &[String]) -> Question {
    let asked = |what| Asked { what, by: "the recipe".to_owned() };
    let package = |name: &str| asked(What::Package(name.to_owned()));
    let base = [Asked { what: What::Essential, by: "Debian".to_owned() }, Asked { by: "mmdebstrap".to_owned(), ..package("apt") }];
    let asked = base.into_iter().chain(packages.iter().map(|name| package(name))).collect();
    // The tree has the links before an essential package could ask for the other one (tree.sh).
    let merged = packages.iter().any(|name| name == deploy::IS_MERGED);
    Question { asked, forbidden: merged.then(|| deploy::MERGES.to_owned()).into_iter().collect(), ..Question::default() }
}

fn answer(found: &[SuiteIndex], question: &Question) -> Result<Found, AnyFailure> {
    let universe = universe(found)?;
    let Closure { packages, notices } = match resolve(&universe, question) {
        Ok(closure) => closure,
        Err(refused) => {
            return Ok(Found { forecast: Forecast { refused: refusals(&refused), ..Forecast::default() }, ..Found::default() });
        }
    };
    let mut picked = Vec::new();
    for ((suite, index), repository) in found.iter().zip(0..) {
        let of_this = packages.iter().map(|chosen| universe.package(chosen.id)).filter(|package| package.repository == repository);
        let wanted: HashSet<_> =
            of_this.map(|package| [package.name, package.version, package.arch].map(|name| universe.text(name))).collect();
        let input = index.input().map_err(SourceError::from)?;
        let some = pick(input, &|name, version, arch| wanted.contains(&[name, version, arch])).map_err(SourceError::from)?;
        picked.extend(some.into_iter().map(|package| (*suite, package)));
    }
    Ok(Found { forecast: Forecast::with(&universe, &packages, &notices), choice: DebianChoice::of(picked) })
}

fn universe(found: &[SuiteIndex]) -> Result<Universe, AnyFailure> {
    let mut universe = Universe::new(Scheme::Debian);
    for (_, index) in found {
        let repository = universe.repository(&index.name, 1000);
        let input = index.input().map_err(SourceError::from)?;
        add_packages(&mut universe, repository, ARCH, input, &mut |_, _| ()).map_err(SourceError::from)?;
    }
    Ok(universe)
}
