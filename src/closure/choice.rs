//! Chooses the packages that an installation takes from online repositories: Debian's suites, or repositories that a recipe adds to a
//! medium.
//!
//! The solver sees all online packages; the installer then sees only the chosen ones. So a package whose newest version cannot be installed
//! does no harm: yum takes the newest it sees, and that is the one that goes with the others.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::forecast::found_before;
use super::{debian, rpm};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::failure::{AnyFailure, Class, Failure};
use crate::installer::Answers;
use crate::packages::{Package, PackageId, resolve};
use crate::sources::{Choice, Host, RemotePackage, Resolved, SourceError};

/// The kind of memory for choices. The number is the version of [`Answer`] and of the rules that lead to it.
const KIND: &str = "choice-3";

/// The result of choosing.
#[derive(Debug)]
pub enum Choosing {
    /// All is chosen, or there was nothing to choose.
    Done(Choice),
    /// The packages cannot be installed together: each reason, with indented lines of the reasons behind it.
    Refused(Vec<String>),
    /// The packages cannot be chosen yet.
    Unknown(NotChosen),
}

/// Why it is not known which packages are taken from online repositories.
#[derive(Debug, thiserror::Error)]
pub enum NotChosen {
    /// The medium, which has packages too, is not here yet.
    #[error("the packages cannot be chosen before the installation medium and the archives are here, which have others")]
    NoMedium,
    /// The kickstart depends on something that is not known yet.
    #[error("the packages cannot be chosen: they depend on {0}")]
    Unseen(String),
}

impl Failure for NotChosen {
    fn class(&self) -> Class {
        match self {
            Self::NoMedium => Class::Input,
            Self::Unseen(_) => Class::Usage,
        }
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoMedium => {
                "`goldsmith build` fetches what is missing; or say where the medium is: --set media.iso.path='\"FILE\"'".to_owned()
            }
            Self::Unseen(_) => "say all of it in the kickstart, or bring the packages in an archive".to_owned(),
        })
    }
}

/// The remembered form of a choice.
#[derive(Serialize, Deserialize)]
struct Answer {
    packages: Vec<RemotePackage>,
    /// Why there are no packages.
    refused: Vec<String>,
}

/// Choose the packages that an installation with these `answers` takes from the online repositories.
///
/// # Errors
/// An index cannot be had or is not what it must be.
pub async fn choose(answers: &Answers<'_>, resolved: &Resolved, host: Host<'_>, task: &Task) -> Result<Choosing, AnyFailure> {
    let selection = match answers {
        Answers::Deploy { suite, packages } => {
            let debian::Found { forecast, choice } = debian::find(packages, resolved, host, task).await?;
            if !forecast.refused.is_empty() {
                return Ok(Choosing::Refused(forecast.refused.into_iter().map(|refusal| refusal.text).collect()));
            }
            return Ok(Choosing::Done(Choice::debian(suite, choice, host)));
        }
        Answers::Anaconda(answers) => &answers.selection,
    };
    if resolved.upstreams.is_empty() {
        return Ok(Choosing::Done(Choice::default()));
    }
    if !selection.unseen.is_empty() {
        return Ok(Choosing::Unknown(NotChosen::Unseen(selection.unseen.join(", "))));
    }
    let Some(medium) = resolved.medium().filter(|_| resolved.awaited.is_empty()) else {
        return Ok(Choosing::Unknown(NotChosen::NoMedium));
    };
    let repos = rpm::choosable(selection, medium, resolved)?;
    let digests: Vec<Sha256Digest> = repos.iter().flat_map(rpm::Repo::identity).collect();
    let question = rpm::question(selection);
    task.step("choose the packages");
    let answer = found_before(KIND, host.store, &digests, &question, async {
        let rpm::Offers { universe, remote } = rpm::universe(&repos, &question, host, task).await?;
        let closure = match resolve(&universe, &question) {
            Ok(closure) => closure,
            Err(refused) => {
                return Ok(Answer { packages: Vec::new(), refused: refused.reasons.iter().map(ToString::to_string).collect() });
            }
        };
        // Packages that are here already need not be fetched, even if the solver found the same version online first.
        let is = |package: &Package| (package.name, package.version, package.arch);
        let ids = (0..).map(PackageId).zip(&universe.packages);
        let here: HashSet<_> = ids.filter(|(id, _)| !remote.contains_key(id)).map(|(_, package)| is(package)).collect();
        let missing = closure.packages.iter().filter(|chosen| !here.contains(&is(universe.package(chosen.id))));
        let taken = missing.filter_map(|chosen| Some((chosen.id, remote.get(&chosen.id)?)));
        let packages = taken.map(|(id, (upstream, offer))| {
            upstream.package(&offer.href, offer.base.as_deref(), offer.checksum.as_ref(), universe.package(id).download)
        });
        Ok(Answer { packages: packages.collect::<Result<_, SourceError>>()?, refused: Vec::new() })
    })
    .await?;
    if !answer.refused.is_empty() {
        return Ok(Choosing::Refused(answer.refused));
    }
    Ok(Choosing::Done(Choice::online(resolved, &answer.packages, host)?))
}
