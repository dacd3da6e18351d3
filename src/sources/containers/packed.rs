//! Facts about an image in an archive.

use serde::{Deserialize, Serialize};

use crate::base::digest::Sha256Digest;
use crate::recipe::DockerImage;

/// An image in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedImage {
    /// The image as Docker will show it.
    pub image: DockerImage,
    /// The file that is its configuration.
    pub(super) config: String,
    /// Bytes of that.
    pub(super) config_bytes: u64,
    /// Its layers, lowest first.
    pub(super) layers: Vec<PackedLayer>,
}

/// A layer in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedLayer {
    /// The file that holds it, packed or not.
    pub(super) file: String,
    /// Its digest when unpacked.
    pub(super) sha256: Sha256Digest,
    /// Bytes of it unpacked.
    pub(super) bytes: u64,
}

impl PackedImage {
    /// Bytes of its layers when they are unpacked.
    pub fn bytes(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.bytes))
    }
}

/// Add an image, or the tags of one that is there.
pub(super) fn add(images: &mut Vec<PackedImage>, packed: PackedImage) {
    match images.iter_mut().find(|known| known.image.id == packed.image.id) {
        Some(PackedImage { image, .. }) => {
            image.tags.extend(packed.image.tags);
            image.tags.sort();
            image.tags.dedup();
        }
        None => images.push(packed),
    }
}
