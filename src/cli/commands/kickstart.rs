//! `goldsmith kickstart …`.

mod check;
mod findings;
mod lints;
mod sarif;

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::cli::args::{Kickstart, RecipeArgs};
use crate::cli::{Context, host, printer};
use crate::installer::anaconda;
use crate::recipe::Media;

/// Run a command on kickstarts.
///
/// # Errors
/// The recipe is wrong, or its installer reads no kickstart; a file cannot be read, would be refused, or has findings of lints that the
/// user denies.
pub fn run(command: &Kickstart, context: &Context) -> Result<(), AnyFailure> {
    match command {
        Kickstart::Render(args) => render(args),
        Kickstart::Check(args) => check::run(args, context),
        Kickstart::Lints(args) => lints::run(args, context),
    }
}

/// Print the kickstart that Anaconda will read. The media are not read.
fn render(args: &RecipeArgs) -> Result<(), AnyFailure> {
    let recipe = host::recipe(args)?;
    if !matches!(recipe.media, Media::Anaconda { .. }) {
        return Err(NoKickstart(recipe.name).into());
    }
    Ok(printer::pass(&anaconda::kickstart(&recipe)?).map(drop)?)
}

#[derive(Debug, thiserror::Error)]
#[error("recipe {0} is not installed by Anaconda, so it has no kickstart")]
struct NoKickstart(String);

impl Failure for NoKickstart {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some("name a recipe with `installer = \"anaconda\"`, such as centos-7.5-docker".to_owned())
    }
}
