//! `goldsmith wait NAME…`.

use std::time::{Duration, Instant};

use crate::base::failure::AnyFailure;
use crate::cli::Context;
use crate::cli::args::Wait;
use crate::run::{self, Until};

/// Wait until machines are up, or off. One deadline applies to all of them.
///
/// # Errors
/// There is no such machine, the deadline has passed, or one is off that should come up.
pub async fn wait(args: &Wait, context: &Context) -> Result<(), AnyFailure> {
    let places = super::places(&args.names, context)?;
    let (until, what) = if args.off { (Until::Off, "off") } else { (Until::Up, "up") };
    let (begun, within) = (Instant::now(), Duration::from_secs(args.within));
    for place in &places {
        run::wait(place, until, within.saturating_sub(begun.elapsed())).await?;
        super::say(place, &format!("is {what}"), context)?;
    }
    Ok(())
}
