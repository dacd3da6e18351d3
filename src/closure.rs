//! The packages an image will get, known from the repositories' indexes alone.

mod choice;
mod debian;
mod files;
mod forecast;
mod rpm;

use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::installer::Answers;
use crate::sources::{Choice, Host, Resolved};

pub use choice::{Choosing, NotChosen, choose};
pub use files::brought;
pub use forecast::{Forecast, ForecastPackage, ForecastRefusal};

/// The packages of an installation with these `answers`, with the inputs that were found, and the choice from online repositories. `None`
/// when the packages depend on something that is not known yet.
///
/// # Errors
/// An index cannot be read or fetched, or is not the listed one.
pub async fn forecast(
    answers: &Answers<'_>,
    (resolved, choice): (&Resolved, Option<&Choice>),
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Forecast>, AnyFailure> {
    match answers {
        // The choice itself has already reported the reason.
        Answers::Deploy { .. } if choice.is_none() => Ok(None),
        Answers::Deploy { packages, .. } => Ok(Some(debian::find(packages, resolved, host, task).await?.forecast)),
        Answers::Anaconda(answers) => rpm::forecast(&answers.selection, answers.upgrade.as_ref(), (resolved, choice), host, task).await,
    }
}

/// Those of `names` that no apt suite of `resolved` has a package of.
///
/// # Errors
/// An index cannot be fetched, or is not the listed one.
pub async fn unlisted<'a>(names: &[&'a str], resolved: &Resolved, host: Host<'_>, task: &Task) -> Result<Vec<&'a str>, AnyFailure> {
    debian::unlisted(names, resolved, host, task).await
}
