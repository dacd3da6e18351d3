//! Makes one flat file of all layers: what is verified, and what is published.

use std::path::Path;

use super::failure;
use crate::base::event::{Events, Unit};
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::image::{self, Compress, Disk, Format, FreeSpace, ImageError};
use crate::stages::Layer;

/// Write the disk of `sealed` to the new qcow2 `image`, without the data of deleted files. `scratch` keeps an overlay meanwhile.
///
/// # Errors
/// The disk cannot be read, a filesystem on it is damaged, or the host lacks space or a tool.
pub(super) async fn flatten(sealed: &Layer, image: &Path, compress: bool, scratch: &Path, events: &Events) -> Result<(), AnyFailure> {
    let task = events.task("flatten");
    // An overlay elsewhere names it as its backing file.
    let disk = std::path::absolute(sealed.disk()).map_err(failure::unwritable(scratch))?;
    task.step("find the free space");
    let path = disk.clone();
    let free = tokio::task::spawn_blocking(move || FreeSpace::of(&Disk::open_own(&path, Format::Qcow2)?)).await;
    let free: Result<FreeSpace, ImageError> = free.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let free = free?;
    for partition in &free.unread {
        events.warn(format!("the free space of {partition} cannot be read, so data of deleted files may be left in the image there"));
    }
    task.step(&format!("clear {} of free space", rounded(free.bytes())));
    let cleared = scratch.join("cleared.qcow2");
    image::clear(&disk, Format::Qcow2, &free, &cleared).await?;
    let compress = if compress { Compress::Zstd } else { Compress::Never };
    let meter = |percent| task.progress("write qcow2", percent, Some(100), Unit::Percent);
    image::flatten_to_qcow2(&cleared, Format::Qcow2, image, compress, meter).await?;
    std::fs::remove_file(&cleared).map_err(failure::unwritable(scratch))?;
    image::check(image).await?;
    task.done();
    Ok(())
}
