//! Writes an overlay: a qcow2 that has some clusters of a disk. The other clusters come from the file under it.

use std::fs::File;
use std::io;

use super::backing::Backing;
use super::pack::{CLUSTER_BYTES, Packer};
use super::qcow2::Qcow2Writer;
use crate::image::create::Compress;

/// Write to `file`, which is empty, an overlay over a disk of `size` bytes with these clusters, by rising number, each of
/// [`CLUSTER_BYTES`].
///
/// # Errors
/// The file cannot be written.
pub(in crate::image) fn write(
    file: &File,
    size: u64,
    backing: Backing<'_>,
    clusters: impl IntoIterator<Item = (u64, Vec<u8>)>,
) -> io::Result<()> {
    let mut writer = Qcow2Writer::new(file, 0, size, Compress::Zlib)?.over(backing);
    let mut packer = Packer::new(Compress::Zlib)?;
    for (index, cluster) in clusters {
        match packer.pack(&cluster)? {
            Some(packed) => writer.add_compressed(index, packed)?,
            None => writer.add_plain(index, &cluster)?,
        }
    }
    writer.finish()
}

/// Bytes of a cluster of such an overlay.
pub(in crate::image) const OVERLAY_CLUSTER: usize = CLUSTER_BYTES;
