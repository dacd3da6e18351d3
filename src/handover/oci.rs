//! A containerDisk in an OCI image layout: KubeVirt's machines take their disk out of a container image.
//!
//! Sources: OCI image-spec 1.1 (image-layout.md, manifest.md, config.md, annotations.md); KubeVirt's user guide, "Disks and Volumes",
//! `containerDisk`: the disk is the one file of `/disk`, and it belongs to the user that QEMU runs as, 107:107.

use serde_json::{Value, json};

use super::Architecture;
use crate::base::digest::Sha256Digest;

/// User and group of QEMU in KubeVirt's containers (`ADD --chown=107:107` in its user guide).
pub const OWNER: u64 = 107;
/// The directory that holds the disk.
pub const DIRECTORY: &str = "disk/";
/// `oci-layout`.
pub const LAYOUT: &str = "{\"imageLayoutVersion\":\"1.0.0\"}";
/// The time in the documents, so that the same disk gives the same digest.
const CREATED: &str = "1970-01-01T00:00:00Z";
const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// The layer is not compressed: the clusters of the disk in it are compressed already. So digest and `diff_id` of the layer are the same.
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// A blob: its digest and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blob {
    /// The digest, which is its name.
    pub sha256: Sha256Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Blob {
    /// The blob that holds `text`.
    pub fn of(text: &str) -> Self {
        Self { sha256: Sha256Digest::of(text.as_bytes()), size: text.len() as u64 }
    }

    /// Its place in the layout.
    pub fn path(&self) -> String {
        format!("blobs/sha256/{}", self.sha256)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({ "mediaType": media_type, "digest": format!("sha256:{}", self.sha256), "size": self.size })
    }
}

/// The configuration of the image whose one layer is `layer`. CDI refuses an empty one.
pub fn config(layer: &Blob, architecture: Architecture) -> String {
    json!({
        "architecture": architecture.go_name(),
        "os": "linux",
        "created": CREATED,
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", layer.sha256)] },
        "history": [{ "created": CREATED, "created_by": "goldsmith image export" }],
    })
    .to_string()
}

/// The manifest that names both.
pub fn manifest(config: &Blob, layer: &Blob) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.descriptor(CONFIG_TYPE),
        "layers": [layer.descriptor(LAYER_TYPE)],
    })
    .to_string()
}

/// `index.json`, which names the manifest. `name` is the image's name in tools that load the layout.
pub fn index(manifest: &Blob, name: &str, architecture: Architecture) -> String {
    let mut entry = manifest.descriptor(MANIFEST_TYPE);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": reference(name) });
    entry["platform"] = json!({ "architecture": architecture.go_name(), "os": "linux" });
    json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry] }).to_string()
}

/// `name` as a reference: letters and digits, and one separator between them (annotations.md, `org.opencontainers.image.ref.name`); lower case,
/// because registries accept nothing else.
fn reference(name: &str) -> String {
    let words: Vec<String> =
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
    if words.is_empty() { "disk".to_owned() } else { words.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_name_each_other() {
        let layer = Blob::of("layer");
        let config_text = config(&layer, Architecture::X86_64);
        let value: Value = serde_json::from_str(&config_text).unwrap();
        assert_eq!(value["rootfs"]["diff_ids"], json!([format!("sha256:{}", Sha256Digest::of(b"layer"))]));
        assert_eq!((&value["architecture"], &value["os"]), (&json!("amd64"), &json!("linux")));
        let manifest_text = manifest(&Blob::of(&config_text), &layer);
        let value: Value = serde_json::from_str(&manifest_text).unwrap();
        assert_eq!(value["config"]["digest"], format!("sha256:{}", Sha256Digest::of(config_text.as_bytes())));
        assert_eq!((&value["layers"][0]["size"], value["layers"].as_array().map(Vec::len)), (&json!(5), Some(1)));
        let index: Value = serde_json::from_str(&index(&Blob::of(&manifest_text), "Debian 12", Architecture::Aarch64)).unwrap();
        assert_eq!(index["manifests"][0]["digest"], format!("sha256:{}", Sha256Digest::of(manifest_text.as_bytes())));
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "debian-12");
        assert_eq!(index["manifests"][0]["platform"]["architecture"], "arm64");
    }

    #[test]
    fn references_follow_the_grammar() {
        for (name, expected) in [("debian-12", "debian-12"), ("A__b..c", "a-b-c"), ("--", "disk"), ("é", "disk")] {
            assert_eq!(reference(name), expected);
        }
    }
}
