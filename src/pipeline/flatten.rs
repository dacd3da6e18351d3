//! Makes one flat file of all layers: what is verified, and what is published.

use std::path::Path;

use super::{failure, manifest};
use crate::artifact::ImageRecord;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::image::export::{ExportFormat, export, unused};
use crate::image::{self, Compress, Disk, Format};
use crate::recipe::Compression;
use crate::stages::Layer;

/// Write the disk of `sealed` to the new qcow2 `image`, without the data of deleted files. Gives what the manifest says of it.
///
/// # Errors
/// The disk cannot be read, a filesystem on it is damaged, or the host lacks space or a tool.
pub(super) async fn flatten(sealed: &Layer, image: &Path, compression: Compression, events: &Events) -> Result<ImageRecord, AnyFailure> {
    let task = events.task("flatten");
    let path = std::path::absolute(sealed.disk()).map_err(failure::unwritable(image))?;
    let disk = Disk::open_own(&path, Format::Qcow2)?;
    let free = unused(&disk, &task).await?;
    let compress = match compression {
        Compression::Zlib => Compress::Zlib,
        Compression::Zstd => Compress::ZstdSmall,
        Compression::None => Compress::Never,
    };
    export(&disk, free, ExportFormat::Qcow2(compress), image, &task).await?;
    image::check(image).await?;
    let record = manifest::image_record(image, &task).await?;
    task.done();
    Ok(record)
}
