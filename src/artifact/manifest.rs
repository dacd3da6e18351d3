//! `manifest.json`: what an image was made from, by what, and how it was proved.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::digest::Sha256Digest;
use crate::base::fingerprint::Fingerprint;
use crate::base::size::ByteSize;
use crate::verify::{CheckResult, Promises};

/// Version of the manifest's form. It grows when a reader of the older form would be misled; a new optional field is no reason.
pub const SCHEMA: u32 = 1;

/// The manifest, complete. Field order is file order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The recipe's name, and the image's file name stem.
    pub name: String,
    /// Names the content: recipe, inputs and stages, but neither time nor place nor tool versions.
    pub content_id: Sha256Digest,
    /// When it was published (RFC 3339, UTC, whole seconds). No part of the content id.
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
    /// The version of goldsmith that made it.
    pub goldsmith: String,
    /// The artifact that it was published from, after changes in a machine; a build has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Whether every check passed, and if not, why it was still published.
    pub verification: Verification,
    /// The image file.
    pub image: ImageRecord,
    /// Files that hold the same disk in other formats. They were written from the image after it was proved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ImageRecord>,
    /// The saved state of the booted image, if it was published with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm: Option<StateRecord>,
    /// The checks, in the order they were run.
    pub checks: Vec<CheckResult>,
    /// What was promised: enough to verify the image again without its recipe.
    pub promises: Promises,
    /// `docker info --format '{{json .}}'` as the booted image said it.
    pub docker_info: Option<Value>,
    /// The resolved recipe; passwords are not in it. With a parent it is the parent's, and the image is not what it makes.
    pub recipe: Value,
    /// Everything that was read from outside, pinned. With a parent that is the parent's image; what was changed since is not known.
    pub inputs: Vec<InputRecord>,
    /// Who signed the packages, of repositories whose recipe names keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<SignatureRecord>,
    /// The stages, in running order.
    pub stages: Vec<StageRecord>,
    /// External programs and the versions they gave.
    pub tools: BTreeMap<String, String>,
}

/// The artifact that a machine was made from whose disk became this image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// Its content id.
    pub content_id: Sha256Digest,
    /// Digest of its image file.
    pub image: Sha256Digest,
    /// Digest of its resolved recipe ([`Manifest::recipe_digest`]).
    pub recipe: Sha256Digest,
    /// How the image came to differ from the parent's.
    pub changed: Changed,
}

/// How an image came to differ from its parent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Changed {
    /// In a machine, by its users and programs. Nothing has recorded it, so no build makes this image again.
    ByHand,
}

/// Whether the image was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Every check passed on exactly these bytes.
    pub verified: bool,
    /// Why not, when not.
    pub reason: Option<String>,
}

/// A file that holds the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// File name beside the manifest.
    pub file: String,
    /// Digest of the file.
    pub sha256: Sha256Digest,
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Size of the disk a guest sees, in bytes.
    pub virtual_bytes: u64,
    /// `qcow2`; of an export, what the recipe calls it.
    pub format: String,
}

/// A file of the artifact, beside the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its name.
    pub file: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Its length, in bytes.
    pub bytes: u64,
}

/// The file with the state of a machine that had booted the image as far as its services. Machines of this kind can go on from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// The file.
    #[serde(flatten)]
    pub file: FileRecord,
    /// The version of QEMU.
    pub qemu: String,
    /// The versioned type of the machine: `pc-i440fx-7.2`.
    pub machine: String,
    /// The processor that it ran on; absent when QEMU emulated one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory.
    pub memory: ByteSize,
}

/// One pinned input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputRecord {
    /// What it is: `iso`, `archive kubernetes`, a package's name and version.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Sha256Digest,
    /// Where it can be had. Never a path of the build host.
    pub urls: Vec<String>,
}

/// The verified signatures of one repository's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureRecord {
    /// The recipe's repository.
    pub repository: String,
    /// The online repository that the packages come from; absent for those of an archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// How many packages were verified: all of them.
    pub packages: usize,
    /// Fingerprints of primary keys, and how many packages each, or a key below it, has signed.
    pub keys: BTreeMap<Fingerprint, usize>,
}

/// One stage of the build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name in the plan.
    pub name: String,
    /// Its content id.
    pub id: Sha256Digest,
    /// Whether the result of an earlier build was used.
    pub reused: bool,
    /// How long it took in this build, in seconds.
    pub seconds: f64,
}

impl ImageRecord {
    /// The file without what it holds.
    pub fn as_file(&self) -> FileRecord {
        FileRecord { file: self.file.clone(), sha256: self.sha256, bytes: self.bytes }
    }
}

impl Manifest {
    /// Every file that holds the disk, the image first.
    pub fn images(&self) -> impl Iterator<Item = &ImageRecord> {
        std::iter::once(&self.image).chain(&self.exports)
    }

    /// Every file that is not made of the manifest or of the events: those that hold the disk, and a saved state.
    pub fn files(&self) -> impl Iterator<Item = FileRecord> {
        self.images().map(ImageRecord::as_file).chain(self.warm.iter().map(|state| state.file.clone()))
    }

    /// Bytes of those files.
    pub fn bytes(&self) -> u64 {
        self.files().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// The file's text: pretty JSON with a line end.
    ///
    /// # Errors
    /// A number in [`Manifest::recipe`] or [`Manifest::docker_info`] that JSON cannot hold.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Read a manifest's text, which may come from anywhere.
    ///
    /// # Errors
    /// Why it is not a manifest we understand, as a fragment: `it has schema 7, …`.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            schema: u32,
        }
        let wrong = |error: serde_json::Error| format!("its manifest.json does not parse: {error}");
        let Versioned { schema } = serde_json::from_slice(json).map_err(wrong)?;
        if schema != SCHEMA {
            return Err(format!("its manifest.json has schema {schema}, and this goldsmith knows schema {SCHEMA}"));
        }
        let manifest: Self = serde_json::from_slice(json).map_err(wrong)?;
        if !manifest.files().all(|file| is_file_name(&file.file)) {
            return Err("its manifest.json names a file outside the directory".into());
        }
        Ok(manifest)
    }

    /// Digest of the resolved recipe: of [`Manifest::recipe`] as JSON without spaces, its keys sorted.
    pub fn recipe_digest(&self) -> Sha256Digest {
        // serde_json sorts the keys of a value (its feature `preserve_order` is off).
        Sha256Digest::of(self.recipe.to_string().as_bytes())
    }

    /// This artifact as the parent of one that was changed by hand.
    pub fn as_parent(&self) -> Parent {
        Parent {
            name: self.name.clone(),
            content_id: self.content_id,
            image: self.image.sha256,
            recipe: self.recipe_digest(),
            changed: Changed::ByHand,
        }
    }

    /// When something published now was created: whole seconds.
    pub fn now() -> Timestamp {
        let now = Timestamp::now();
        // Dropping the fraction of a second fails only at the end of the range of timestamps.
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }
}

/// A plain file name in the portable set (letters, digits, `.`, `-`, `_`, `+`), not hidden: what `sha256sum` never escapes.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+".contains(&byte))
}

mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn example() -> Manifest {
        let digest = |text: &str| Sha256Digest::of(text.as_bytes());
        Manifest {
            schema: SCHEMA,
            name: "debian-12-docker".into(),
            content_id: digest("content"),
            created: Timestamp::from_second(1_774_353_600).unwrap(),
            goldsmith: "0.1.0".into(),
            parent: None,
            verification: Verification { verified: true, reason: None },
            image: ImageRecord {
                file: "debian-12-docker.qcow2".into(),
                sha256: digest("image"),
                bytes: 5,
                virtual_bytes: 8 << 30,
                format: "qcow2".into(),
            },
            exports: Vec::new(),
            warm: None,
            checks: vec![CheckResult::passed("docker", "20.10.24, overlay2"), CheckResult::skipped("port 22", "nothing was asked of it")],
            promises: serde_json::from_value(serde_json::json!({
                "hostname": "master", "timezone": "Etc/UTC", "selinux": "disabled", "no_firewall": true, "sysctl": {}, "modules": [],
                "enabled": ["docker"], "repositories": {}, "firmware": "bios", "resolv_conf": "", "release": null, "checks": [],
            }))
            .unwrap(),
            docker_info: Some(serde_json::json!({ "Driver": "overlay2", "Warnings": null })),
            recipe: serde_json::json!({ "name": "debian-12-docker" }),
            inputs: vec![InputRecord {
                name: "docker.io 20.10.24".into(),
                sha256: digest("input"),
                urls: vec!["https://example.org/docker.io.deb".into()],
            }],
            signatures: vec![SignatureRecord {
                repository: "kubernetes".into(),
                upstream: Some("docker-ce-stable".into()),
                packages: 3,
                keys: [("060A61C51B558A7F742B77AAC52FEB6B621E9F35".parse().unwrap(), 3)].into(),
            }],
            stages: vec![StageRecord { name: "install".into(), id: digest("stage"), reused: false, seconds: 68.25 }],
            tools: BTreeMap::from([("qemu-system-x86_64".into(), "7.2.18".into())]),
        }
    }

    #[test]
    fn the_form_is_the_golden_one_and_reads_back() {
        let text = example().to_json().unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/manifest.json");
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap());
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), example());
    }

    /// A manifest without a parent reads as before, and one with a parent is told apart by that field alone.
    #[test]
    fn a_parent_is_named_by_its_digests_and_said_to_be_changed_by_hand() {
        let parent = example();
        let child = Manifest { name: "dev".into(), parent: Some(parent.as_parent()), ..example() };
        let text = child.to_json().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value["parent"],
            serde_json::json!({
                "name": "debian-12-docker",
                "content_id": Sha256Digest::of(b"content"),
                "image": Sha256Digest::of(b"image"),
                "recipe": Sha256Digest::of(br#"{"name":"debian-12-docker"}"#),
                "changed": "by-hand",
            })
        );
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), child);
        assert_eq!(Manifest::parse(parent.to_json().unwrap().as_bytes()).unwrap().parent, None);
        // Its own child names it, not its parent.
        assert_eq!(child.as_parent().name, "dev");
        let error = Manifest::parse(text.replace("by-hand", "by-magic").as_bytes()).unwrap_err();
        assert!(error.contains("unknown variant `by-magic`"), "{error}");
        // The order of keys does not matter.
        let recipe = |text: &str| Manifest { recipe: serde_json::from_str(text).unwrap(), ..example() }.recipe_digest();
        assert_eq!(recipe(r#"{"b": 1, "a": [2]}"#), recipe(r#"{ "a": [2], "b": 1 }"#));
        assert_ne!(recipe(r#"{"b": 1, "a": [2]}"#), recipe(r#"{"b": 1, "a": [3]}"#));
    }

    #[test]
    fn a_saved_state_is_one_of_the_files() {
        let file = FileRecord { file: "lab.warm.tar.zst".into(), sha256: Sha256Digest::of(b"state"), bytes: 7 };
        let state = StateRecord {
            file: file.clone(),
            qemu: "7.2.19".into(),
            machine: "pc-i440fx-7.2".into(),
            processor: None,
            cpus: 2,
            memory: ByteSize::gib(1),
        };
        let manifest = Manifest { warm: Some(state), ..example() };
        let text = manifest.to_json().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap()["warm"],
            serde_json::json!({
                "file": "lab.warm.tar.zst", "sha256": Sha256Digest::of(b"state"), "bytes": 7,
                "qemu": "7.2.19", "machine": "pc-i440fx-7.2", "cpus": 2, "memory": "1G",
            })
        );
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest);
        assert_eq!((manifest.files().collect::<Vec<_>>(), manifest.bytes()), (vec![manifest.image.as_file(), file], 12));
        let error = Manifest::parse(text.replace("lab.warm", "../lab.warm").as_bytes()).unwrap_err();
        assert!(error.contains("outside the directory"), "{error}");
    }

    #[test]
    fn what_is_not_our_manifest_is_refused() {
        let good = example().to_json().unwrap();
        let deep = "[".repeat(100_000);
        for (text, why) in [
            ("", "does not parse"),
            ("[]", "does not parse"),
            ("{\"name\": \"x\"}", "missing field `schema`"),
            ("{\"schema\": 7}", "schema 7, and this goldsmith knows schema 1"),
            ("{\"schema\": 1}", "missing field `name`"),
            (&deep, "does not parse"),
            (&good.replace("debian-12-docker.qcow2", "../../etc/passwd"), "outside the directory"),
            (&good.replace("debian-12-docker.qcow2", ".."), "outside the directory"),
            (&good.replace("2026-03-24T", "2026-13-24T"), "does not parse"),
            (&good.replace("\"passed\"", "\"fine\""), "unknown variant `fine`"),
        ] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
