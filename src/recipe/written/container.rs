//! Images of containers, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An archive of images for containers. Docker has them when the image is used, and that is checked: each tag leads to its image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::recipe) struct ContainerImage {
    /// What `docker save` writes, or an OCI image layout as a tar archive; plain, or packed with gzip, xz, zstd or bzip2: relative to the
    /// recipe, or absolute. Each of its images has a tag and is for linux/amd64.
    pub archive: String,
    /// What the archive must hash to: 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// A command for `docker run --rm --network none IMAGE`, run when the image is verified: a program and its arguments; `[]` for the
    /// image's own. The archive then has one image.
    pub run: Option<Vec<String>>,
    /// What that command must write to standard output, apart from white space at both ends.
    pub stdout: Option<String>,
}
