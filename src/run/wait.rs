//! Waits for a machine that other processes start and end.

use std::time::{Duration, Instant};

use super::client::{self, LOOK};
use super::control::State;
use super::error::RunError;
use super::record::Place;
use super::until::Until;

/// Wait until the machine is up with its services, or off. For no longer than `within`.
///
/// # Errors
/// It is off and was to be up, its supervisor does not answer, or the time is over.
pub async fn wait(place: &Place, until: Until, within: Duration) -> Result<(), RunError> {
    let begun = Instant::now();
    loop {
        let state = match client::status(place).await? {
            None if until == Until::Off => return Ok(()),
            None => return Err(client::off(place)),
            Some(status) if until == Until::Up && status.state == State::Up && !status.services_start => return Ok(()),
            Some(status) => status.state,
        };
        if begun.elapsed() >= within {
            return Err(RunError::Late { name: place.name().clone(), until, state, seconds: within.as_secs() });
        }
        tokio::time::sleep(LOOK).await;
    }
}
