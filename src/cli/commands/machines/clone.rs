//! `goldsmith clone`: copies of an image that are each one's own, as files or to prove it.

mod files;
mod prove;

use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::cli::args::Clones;

/// Make copies of an image as files, or prove that two copies are two.
///
/// # Errors
/// They cannot be made; or they have something in common that must be each one's own.
pub async fn clone(args: &Clones, context: &Context) -> Result<(), AnyFailure> {
    match &args.output {
        Some(dir) => files::make(args, dir, context).await,
        None => prove::prove(args, context).await,
    }
}
