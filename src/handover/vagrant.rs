//! Files for Vagrant and its provider vagrant-libvirt: a box, a catalogue of boxes, and machines with existing disks.
//!
//! Sources: Vagrant 2.3.4's documentation, "Box file format" and "Box versioning"; vagrant-libvirt 0.11's, "Create box" and "Libvirt
//! configuration".

mod machines;
mod provider;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use super::machine::{GIB, units};
use crate::base::digest::Sha256Digest;
use crate::hardware::Firmware;
pub use machines::{Machines, Member, machines};
use provider::{Variables, hardware};

/// `metadata.json` of a box whose disk has `virtual_size` bytes. vagrant-libvirt counts it in GiB, rounded up, and breaks without it
/// (vagrant-libvirt#1794).
pub fn metadata(virtual_size: u64) -> String {
    json!({ "provider": "libvirt", "format": "qcow2", "virtual_size": units(virtual_size, GIB).max(1) }).to_string() + "\n"
}

/// `Vagrantfile` of a box: defaults that the user's own file may change. It is read without the name of a machine, and so it can name no file
/// that is one machine's.
pub fn vagrantfile(firmware: Firmware) -> String {
    format!(
        "# Defaults of this box; your own Vagrantfile is read after it. `vagrant ssh` logs in as the user vagrant with vagrant's well-known\n\
         # key, and replaces the key then.\n\
         Vagrant.configure(\"2\") do |config|\n\
         \x20 # Needs NFS or rsync in the guest.\n\
         \x20 config.vm.synced_folder \".\", \"/vagrant\", disabled: true\n\
         \x20 config.vm.provider :libvirt do |libvirt|\n\
         \x20   libvirt.driver = \"kvm\"\n\
         {}\x20 end\n\
         end\n",
        hardware(firmware, Variables::Nothing)
    )
}

/// Why a catalogue cannot take a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// It is something else.
    #[error("it is no catalogue of Vagrant: {0}")]
    Other(String),
    /// It is of another box.
    #[error("it is the catalogue of the box `{0}`")]
    Box(String),
    /// The version is in it.
    #[error("it has the version {0} already")]
    Version(String),
}

/// A catalogue, to which a version can be added. Other content stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue(Value);

impl Catalogue {
    /// A catalogue of the box `name`, without versions.
    pub fn new(name: &str) -> Self {
        Self(json!({ "name": name, "versions": [] }))
    }

    /// Read the catalogue `text` of the box `name`, which must not have `version` yet.
    ///
    /// # Errors
    /// It is no catalogue, is of another box, or has the version.
    pub fn parse(text: &[u8], name: &str, version: &str) -> Result<Self, CatalogueError> {
        let other = |what: &str| CatalogueError::Other(what.to_owned());
        let value: Value = serde_json::from_slice(text).map_err(|error| CatalogueError::Other(error.to_string()))?;
        match value.get("name").and_then(Value::as_str) {
            Some(found) if found == name => (),
            Some(found) => return Err(CatalogueError::Box(found.to_owned())),
            None => return Err(other("it has no name")),
        }
        let versions = value.get("versions").and_then(Value::as_array).ok_or_else(|| other("it has no list of versions"))?;
        for entry in versions {
            let found = entry.get("version").and_then(Value::as_str).ok_or_else(|| other("an entry has no version"))?;
            if same_version(found, version) {
                return Err(CatalogueError::Version(found.to_owned()));
            }
        }
        Ok(Self(value))
    }

    /// The text of the catalogue with `version`, whose box has the digest `sha256` and is at `url`.
    pub fn with(mut self, version: &str, url: &str, sha256: &Sha256Digest) -> String {
        let entry = json!({
            "version": version,
            "providers": [{ "name": "libvirt", "url": url, "checksum_type": "sha256", "checksum": sha256.to_string() }],
        });
        if let Some(versions) = self.0.get_mut("versions").and_then(Value::as_array_mut) {
            versions.push(entry);
        }
        format!("{:#}\n", self.0)
    }
}

/// Whether Vagrant accepts `text` as a version: numbers, then words, with dots between (`Gem::Version::VERSION_PATTERN` of RubyGems 3.3).
pub fn is_version(text: &str) -> bool {
    let mut parts = text.split('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    parts.next().is_some_and(is_number) && parts.all(is_word)
}

/// RubyGems treats 1, 1.0 and 1.0.0 as the same version (`Gem::Version#canonical_segments`).
fn same_version(one: &str, other: &str) -> bool {
    let significant = |text: &str| {
        let mut parts: Vec<String> =
            text.split('.').map(|part| part.parse::<u64>().map_or_else(|_| part.to_owned(), |number| number.to_string())).collect();
        while parts.len() > 1 && parts.last().is_some_and(|part| part == "0") {
            parts.pop();
        }
        parts
    };
    significant(one) == significant(other)
}

/// The URL of the file `path`, which is absolute (RFC 8089).
pub fn file_url(path: &[u8]) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("file://{}", percent_encode(path, KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_in_whole_gib() {
        for (bytes, gib) in [(0, 1), (1, 1), (GIB, 1), (GIB + 1, 2), (20 * GIB, 20)] {
            let value: Value = serde_json::from_str(&metadata(bytes)).unwrap();
            assert_eq!(value, json!({"provider": "libvirt", "format": "qcow2", "virtual_size": gib}));
        }
    }

    #[test]
    fn only_a_disk_that_needs_it_asks_for_uefi() {
        assert!(!vagrantfile(Firmware::Bios).contains("loader") && vagrantfile(Firmware::Uefi).contains("libvirt.loader = %w["));
    }

    #[test]
    fn a_version_is_added_and_the_others_stay() {
        let digest = Sha256Digest::of(b"box");
        let first = Catalogue::new("a/b").with("1.0", "file:///x", &digest);
        let text = first.replacen("\"name\"", "\"description\": \"mine\",\n  \"name\"", 1);
        let second = Catalogue::parse(text.as_bytes(), "a/b", "1.1").unwrap().with("1.1", "https://example.org/y", &digest);
        let value: Value = serde_json::from_str(&second).unwrap();
        assert_eq!((&value["description"], &value["versions"][0]["version"]), (&json!("mine"), &json!("1.0")));
        let provider =
            json!({"name": "libvirt", "url": "https://example.org/y", "checksum_type": "sha256", "checksum": digest.to_string()});
        assert_eq!(value["versions"][1], json!({"version": "1.1", "providers": [provider]}));
        for version in ["1.0", "1", "1.0.0", "01.0"] {
            assert_eq!(Catalogue::parse(text.as_bytes(), "a/b", version), Err(CatalogueError::Version("1.0".into())), "{version}");
        }
        assert_eq!(Catalogue::parse(text.as_bytes(), "c", "2"), Err(CatalogueError::Box("a/b".into())));
    }

    #[test]
    fn what_is_no_catalogue_is_refused() {
        for text in ["", "x", "[]", "7", "{}", "{\"name\": 7}", "{\"name\": \"a\"}", "{\"name\": \"a\", \"versions\": [7]}"] {
            assert!(matches!(Catalogue::parse(text.as_bytes(), "a", "1"), Err(CatalogueError::Other(_))), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(Catalogue::parse(deep.as_bytes(), "a", "1").is_err());
    }

    #[test]
    fn versions_are_those_of_rubygems() {
        for (text, expected) in [
            ("1", true),
            ("1.0.2", true),
            ("20240101.0.rc1", true),
            ("", false),
            ("v1", false),
            ("1..2", false),
            ("1.", false),
            ("1-2", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }

    #[test]
    fn a_path_becomes_a_url() {
        assert_eq!(file_url(b"/a b/c'd\"#?.box"), "file:///a%20b/c%27d%22%23%3F.box");
    }
}
