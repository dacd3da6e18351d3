//! What mmdebstrap will install: what no Debian system is without, apt, and what is asked for, without what is only recommended.

use super::{Forecast, remembered};
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::packages::debian::add_packages;
use crate::packages::{Asked, Question, Scheme, Universe, What};
use crate::sources::{Host, PackageIndex, Resolved, SourceError, indexes};

/// The architecture of goldsmith's machines.
const ARCH: &str = "amd64";

pub(super) async fn forecast(packages: &[String], resolved: &Resolved, host: Host<'_>, task: &Task) -> Result<Forecast, AnyFailure> {
    let mut found = Vec::new();
    for suite in &resolved.apt {
        found.extend(indexes(suite, ARCH, host, task).await?);
    }
    let digests: Vec<_> = found.iter().map(|index| index.sha256).collect();
    let asked = |what| Asked { what, by: "the recipe".to_owned() };
    let package = |name: &str| asked(What::Package(name.to_owned()));
    let base = [Asked { what: What::Essential, by: "Debian".to_owned() }, Asked { by: "mmdebstrap".to_owned(), ..package("apt") }];
    let question = Question { asked: base.into_iter().chain(packages.iter().map(|name| package(name))).collect(), ..Question::default() };
    task.step("work out the packages");
    remembered(host.store, &digests, &question, None, async { universe(&found) }).await
}

fn universe(found: &[PackageIndex]) -> Result<Universe, AnyFailure> {
    let mut universe = Universe::new(Scheme::Debian);
    for index in found {
        let repository = universe.repository(&index.name, 1000);
        let input = index.input().map_err(SourceError::from)?;
        add_packages(&mut universe, repository, ARCH, input, &mut |_, _| ()).map_err(SourceError::from)?;
    }
    Ok(universe)
}
