//! Runs our own commands in a machine to their end.

use super::client::{self, Feed, Heard, Hearing};
use super::error::RunError;
use super::record::Place;

/// Bytes of a command's standard error that are kept.
const WORDS_BYTES: usize = 4096;

/// Begin a command.
///
/// # Errors
/// The machine does not run, or cannot run commands now.
pub(super) async fn begin(place: &Place, words: &[&str]) -> Result<(Feed, Hearing), RunError> {
    let client::Command { feed, hearing } = client::command(place, words.iter().map(|word| (*word).to_owned()).collect(), None).await?;
    Ok((feed, hearing))
}

/// A command that has ended.
pub(super) struct Finished {
    pub(super) status: i32,
    /// What it wrote to its standard error, from the beginning.
    pub(super) words: String,
}

impl Finished {
    /// Its status as a failure of `program`, which says why.
    pub(super) fn failure(self, place: &Place, program: &str) -> RunError {
        let words = self.words.trim();
        let why = if words.is_empty() { format!("{program} ended with status {}", self.status) } else { words.to_owned() };
        RunError::Guest { name: place.name().clone(), why }
    }
}

/// Run a command whose output does not matter.
///
/// # Errors
/// As [`begin`] and [`hear`].
pub(super) async fn run(place: &Place, words: &[&str]) -> Result<Finished, RunError> {
    let (_feed, hearing) = begin(place, words).await?;
    hear(place, hearing, async |_| {}).await
}

/// Follow a command to its end.
///
/// # Errors
/// It was cut off, so that there is no status.
pub(super) async fn hear(place: &Place, mut hearing: Hearing, mut on_output: impl AsyncFnMut(Vec<u8>)) -> Result<Finished, RunError> {
    let mut words = Vec::new();
    loop {
        match hearing.next().await {
            Heard::Output(bytes) => on_output(bytes).await,
            Heard::Errors(bytes) => words.extend(bytes.into_iter().take(WORDS_BYTES - words.len())),
            Heard::Exit(status) => return Ok(Finished { status, words: String::from_utf8_lossy(&words).into_owned() }),
            Heard::Broken(why) => return Err(RunError::Mute { name: place.name().clone(), why }),
        }
    }
}
