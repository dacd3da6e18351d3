//! The packages an image will get, known from the repositories' indexes alone.

mod choice;
mod debian;
mod files;
mod forecast;
mod rpm;

use crate::base::event::Task;
use crate::base::failure::AnyFailure;
use crate::installer::anaconda::{self, selection::Selection};
use crate::installer::deploy;
use crate::recipe::{Media, Recipe};
use crate::sources::{Choice, Host, Resolved};

pub use choice::{Choosing, NotChosen, choose};
pub use files::brought;
pub use forecast::{Forecast, ForecastPackage, ForecastRefusal};

/// The packages of `recipe` with the inputs that were found, and the choice from online repositories; `selection` is the request to
/// Anaconda. `None` when the packages depend on something that is not known yet.
///
/// # Errors
/// An index cannot be read or fetched, or is not the listed one.
pub async fn forecast(
    recipe: &Recipe,
    selection: Option<&Selection>,
    (resolved, choice): (&Resolved, Option<&Choice>),
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Forecast>, AnyFailure> {
    match (&recipe.media, selection) {
        // The choice itself has already reported the reason.
        (Media::Deploy { .. }, _) if choice.is_none() => Ok(None),
        (Media::Deploy { .. }, _) => Ok(Some(debian::find(&deploy::packages(recipe), resolved, host, task).await?.forecast)),
        (Media::Anaconda { .. }, Some(selection)) => {
            rpm::forecast(selection, anaconda::upgrade(recipe), (resolved, choice), host, task).await
        }
        (Media::Anaconda { .. }, None) => Ok(None),
    }
}
