//! Tells whether a sealed image keeps its promises: offline, by reading the disk, and booted, on throw-away overlays of it.
//!
//! Knows nothing of how the image was built: [`Promises`] come from a recipe or from a manifest. "Could not run the check" is never "the
//! check failed": see [`Outcome`].

mod booted;
mod containers;
mod docker;
mod error;
mod firewall;
mod offline;
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
/// The disk is read first, in milliseconds. The booted system answers while a second machine goes through firmware and boot loader.
///
/// # Errors
/// The image cannot be read, or a machine could not be started: then there is no verdict.
pub async fn verify(
    image: &Path,
    store: Option<&Path>,
    promises: &Promises,
    bench: &Bench<'_>,
    task: &Task,
) -> Result<Report, VerifyError> {
    task.step("read the disk");
    // Overlays elsewhere name it as their backing file.
    let image = &std::fs::canonicalize(image).map_err(|source| ImageError::read(image, source))?;
    // Before any machine: QEMU would follow whatever the image names.
    let disk = Disk::open_as(image, Disk::drive_format(image)?, store)?;
    let wanted = promises.clone();
    let offline = tokio::task::spawn_blocking(move || offline::offline(&disk, &wanted)).await;
    let mut checks = match offline {
        Ok(checks) => checks?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
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
