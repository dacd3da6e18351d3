//! Sealing: the last stage. See `seal.sh` for what is taken out and why.

use std::path::Path;

use super::{Layer, OVERLAY, StageError, drive};
use crate::base::event::Task;
use crate::image::{self, BootFiles, Format};
use crate::machine::runner::{Bench, Mode, RunnerTask};

/// The script; part of the stage's id.
pub const SEALING: &str = include_str!("seal.sh");

/// Seal `base` into a new layer in `dir`. `resolv_conf` is what `/etc/resolv.conf` is to say; else it is emptied.
///
/// # Errors
/// The machine failed, the script failed, or the filesystem was not unmounted cleanly.
pub async fn seal(base: &Layer, dir: &Path, resolv_conf: Option<&str>, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    seal_in(base, dir, resolv_conf, bench, task).await.map_err(|error| error.doing("sealing"))
}

async fn seal_in(base: &Layer, dir: &Path, resolv_conf: Option<&str>, bench: &Bench<'_>, task: &Task) -> Result<(), StageError> {
    let overlay = dir.join(OVERLAY);
    image::create_overlay(&base.backing(), base.format(), &overlay).await?;
    let files = BootFiles::extract(&overlay, bench.scratch).await?;
    let payload = RunnerTask {
        name: "seal".to_owned(),
        script: SEALING.as_bytes().to_vec(),
        files: resolv_conf.map(|text| ("resolv.conf".to_owned(), text.as_bytes().to_vec())).into_iter().collect(),
    };
    let mut guest = bench.boot("seal", drive(overlay, Format::Qcow2), files.parts(), Mode::Offline, &[payload], task).await?;
    task.step("seal");
    guest.run_to_success("seal", task).await?;
    guest.end(task).await?;
    Ok(())
}
