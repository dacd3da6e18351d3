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
use crate::sources::{Host, Resolved};

pub use choice::{Choosing, choose};
pub use files::brought;
pub use forecast::{Forecast, ForecastPackage, ForecastRefusal};

/// The packages that `recipe` leads to with the inputs that were found; `selection` is what Anaconda is asked for. Nothing when they
/// depend on what cannot be seen.
///
/// # Errors
/// An index cannot be had, or is not what it must be.
pub async fn forecast(
    recipe: &Recipe,
    selection: Option<&Selection>,
    resolved: &Resolved,
    host: Host<'_>,
    task: &Task,
) -> Result<Option<Forecast>, AnyFailure> {
    match (&recipe.media, selection) {
        // The choice itself has said why there is none.
        (Media::Deploy { .. }, _) if resolved.debian.is_none() => Ok(None),
        (Media::Deploy { .. }, _) => Ok(Some(debian::find(&deploy::packages(recipe), resolved, host, task).await?.forecast)),
        (Media::Anaconda { .. }, Some(selection)) => rpm::forecast(selection, anaconda::upgrade(recipe), resolved, host, task).await,
        (Media::Anaconda { .. }, None) => Ok(None),
    }
}
