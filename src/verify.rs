//! Tells whether a sealed image keeps its promises: offline, by reading the disk, and booted, on throw-away overlays of it.
//!
//! This module does not depend on how the image was built: [`Promises`] come from a recipe or from a manifest. A check that could not be
//! run is not a failed check: see [`Outcome`].

mod authorities;
mod booted;
mod containers;
mod docker;
mod error;
mod firewall;
mod http;
mod interfaces;
mod offline;
mod ports;
mod promises;
mod report;
mod services;
mod settings;
#[cfg(test)]
mod tests;
mod units;

use std::path::Path;

pub use docker::is_version as is_docker_version;
pub use error::VerifyError;
pub use promises::Promises;
pub use report::{CheckResult, Outcome, Report};
pub use settings::{Account, Settings};

use crate::base::event::Task;
use crate::base::host::TooLittleMemory;
use crate::base::size::ByteSize;
use crate::image::{Disk, ImageError};
use crate::machine::runner::Bench;

/// Verify `image`, which is only read. Files under it may lie beside it, or in `store`.
///
/// The disk is read first, in milliseconds. Then one machine answers the questions for a booted system while a second machine goes through
/// firmware and boot loader.
///
/// # Errors
/// There is no verdict: the image cannot be read, or a machine could not be started.
pub async fn verify(
    image: &Path,
    store: Option<&Path>,
    promises: &Promises,
    bench: &Bench<'_>,
    task: &Task,
) -> Result<Report, VerifyError> {
    task.step("read the disk");
    // The path must be absolute, because overlays in other directories name it as their backing file.
    let image = &std::fs::canonicalize(image).map_err(|source| ImageError::read(image, source))?;
    // The image is opened before any machine runs, because QEMU would open any file that it names.
    let disk = Disk::open_as(image, Disk::drive_format(image)?, store)?;
    let wanted = promises.clone();
    let offline = tokio::task::spawn_blocking(move || offline::offline(&disk, &wanted)).await;
    let mut checks = match offline {
        Ok(checks) => checks?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    // The interfaces of the recipe need their cards. The way through the boot loader needs none.
    let bench = &Bench { cards: promises.further_cards(), ..*bench };
    let system = booted::system(image, promises, bench, task);
    let boot_path = booted::boot_path(image, promises, bench, task);
    // Two machines at once, where the host has the memory for two.
    let (system, boot_path) = match TooLittleMemory::refuse(ByteSize(2 * bench.memory.bytes()), "") {
        Ok(()) => tokio::join!(system, boot_path),
        Err(_) => (system.await, boot_path.await),
    };
    let system = system?;
    checks.extend(system.checks);
    checks.push(boot_path?);
    Ok(Report { checks, docker_info: system.docker_info })
}
