//! Units, programs and modules of the packages of a forecast, from the repositories' lists of files alone.

use std::collections::HashSet;

use super::forecast::Forecast;
use super::rpm;
use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::installer::Answers;
use crate::packages::Brought;
use crate::sources::{Choice, Host, Resolved, Suite, contents, has_contents};

/// The lists of files of Debian, the smaller one first; the second is only read when the first does not have all.
const CONTENTS: [&str; 2] = ["amd64", "all"];

/// The names that the packages of `forecast` bring; `has_all` tells when enough has been read. `None` when it is not known.
///
/// # Errors
/// A list of files cannot be fetched, or is not the listed one.
pub async fn brought(
    answers: &Answers<'_>,
    (resolved, choice, forecast): (&Resolved, Option<&Choice>, &Forecast),
    has_all: &dyn Fn(&Brought) -> bool,
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Brought>, AnyFailure> {
    match answers {
        Answers::Deploy { .. } => of_suites(resolved, forecast, has_all, host, task).await.map(Some),
        Answers::Anaconda(answers) => rpm::brought(&answers.selection, (resolved, choice), forecast, host, task).await,
    }
}

/// Only names are compared: the lists have no versions, and a package of a suite's updates has the files of the version before.
async fn of_suites(
    resolved: &Resolved,
    forecast: &Forecast,
    has_all: &dyn Fn(&Brought) -> bool,
    host: Host<'_>,
    task: &Task,
) -> Result<Brought, AnyFailure> {
    let names: HashSet<&str> = forecast.packages.iter().map(|package| package.name.as_str()).collect();
    // The first of Debian's own suites has every name; its updates add none.
    let is_unlisted = |suite: &&Suite| suite.repository.is_some() && !has_contents(suite, &CONTENTS);
    let unlisted = resolved.apt.iter().filter(is_unlisted).map(|suite| suite.name());
    let mut brought = Brought { unlisted: unlisted.collect(), ..Brought::default() };
    for arch in CONTENTS {
        for suite in &resolved.apt {
            let lines = contents(suite, arch, host, task).await?;
            for line in lines.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok()) {
                let Some((path, packages)) = line.rsplit_once(' ') else { continue };
                if packages.split(',').any(|package| names.contains(package)) {
                    brought.add(path);
                } else if let Some(package) = packages.split(',').next() {
                    brought.add_elsewhere(path, package);
                }
            }
        }
        if has_all(&brought) {
            break;
        }
    }
    Ok(brought)
}
