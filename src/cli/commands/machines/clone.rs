//! `goldsmith clone`: copies of an image with different identities, as files or as a proof.

mod files;
mod prove;

use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::cli::args::Clones;

/// Make copies of an image as files, or prove that two copies have different identities.
///
/// # Errors
/// They cannot be made, or they have an identity in common.
pub async fn clone(args: &Clones, context: &Context) -> Result<(), AnyFailure> {
    match &args.output {
        Some(dir) => files::make(args, dir, context).await,
        None => prove::prove(args, context).await,
    }
}
