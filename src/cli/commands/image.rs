//! `goldsmith image …`: read an image without booting it.

mod audit;
mod cat;
mod catalogue;
mod cp;
mod describe;
mod diff;
mod export;
mod find;
mod inspect;
mod listing;
mod ls;
mod mount;
mod opened;
mod packages;
mod sbom;

use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::cli::args::Image;

/// Run a command on an image.
///
/// # Errors
/// The image cannot be read, or it does not have the named files or data.
pub async fn run(command: &Image, context: &Context) -> Result<(), AnyFailure> {
    match command {
        Image::Inspect { image } => inspect::run(image, context),
        Image::Ls(args) => ls::run(args, context),
        Image::Cat { image, paths } => cat::run(image, paths, context).await,
        Image::Mount { image, dir } => mount::run(image, dir, context).await,
        Image::Cp { image, paths } => cp::run(image, paths, context).await,
        Image::Find(args) => find::run(args, context).await,
        Image::Packages { image } => packages::run(image, context),
        Image::Sbom { image, format } => sbom::run(image, *format, context).await,
        Image::Audit { image, .. } => audit::run(image.as_deref(), context),
        Image::Diff(args) => diff::run(args, context).await,
        Image::Export(args) => export::run(args, context).await,
        Image::Describe(args) => describe::run(args, context).await,
    }
}
