//! `goldsmith stop`, `restart` and `rm`.

use super::{places, say};
use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::cli::args::{Rm, Stop};
use crate::run::{self, Place};

/// Shut machines down, or cut their power when that takes too long.
///
/// # Errors
/// There is no such machine, or one does not end. The others are still ended.
pub async fn stop(args: &Stop, context: &Context) -> Result<(), AnyFailure> {
    let mut failed = None;
    for place in places(&args.names, context)? {
        match run::stop(&place, args.within).await {
            Ok(ran) => tell(&place, ran, context)?,
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Shut machines down, and start them again.
///
/// # Errors
/// As [`stop`], or one does not come up.
pub async fn restart(args: &Stop, context: &Context) -> Result<(), AnyFailure> {
    for place in places(&args.names, context)? {
        run::stop(&place, args.within).await?;
        super::up::begin(&[place], context).await?;
    }
    Ok(())
}

/// Remove machines, with all their changes.
///
/// # Errors
/// There is no such machine, or one runs and `--force` was not given.
pub async fn rm(args: &Rm, context: &Context) -> Result<(), AnyFailure> {
    for place in places(&args.names, context)? {
        if args.force {
            run::stop(&place, 0).await?;
        }
        place.remove()?;
        say(&place, "removed", context)?;
    }
    Ok(())
}

fn tell(place: &Place, ran: bool, context: &Context) -> Result<(), AnyFailure> {
    let how = place.ended().map(|ended| ended.how);
    match (ran, how) {
        (false, _) => say(place, "was off", context),
        (true, Some(how)) => say(place, &format!("has ended: {how}"), context),
        (true, None) => say(place, "has ended", context),
    }
}
