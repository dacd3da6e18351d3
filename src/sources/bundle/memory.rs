//! The result of inspecting a bundle, as bytes: a tar archive of a summary and the repository's metadata.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::inspection::{Inspection, Summary};
use crate::base::digest::Sha256Digest;
use crate::cache::Store;

/// The kind of memory; the number is the version of [`Summary`] and of the rules by which a bundle is judged.
const KIND: &str = "bundle-4";
/// The name of the summary among the files.
const SUMMARY: &str = "summary.json";

pub(super) fn remember(store: &Store, sha256: &Sha256Digest, inspection: &Inspection) {
    // If this fails, the next run inspects the bundle again.
    if let Ok(bytes) = write(inspection) {
        store.remember(KIND, sha256, &bytes);
    }
}

pub(super) fn recall(store: &Store, sha256: &Sha256Digest) -> Option<Inspection> {
    read(&store.recall(KIND, sha256)?).ok()
}

fn write(inspection: &Inspection) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes)
    };
    add(SUMMARY, &serde_json::to_vec(&inspection.summary)?)?;
    for (name, bytes) in &inspection.repodata {
        add(name, bytes)?;
    }
    builder.into_inner()
}

fn read(bytes: &[u8]) -> io::Result<Inspection> {
    let mut files = BTreeMap::new();
    // The store guarantees that these are the bytes we wrote.
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(name, content);
    }
    let summary: Summary = serde_json::from_slice(&files.remove(SUMMARY).ok_or(io::ErrorKind::NotFound)?)?;
    Ok(Inspection { summary, repodata: files })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::bundle::{FileRecord, Maker, PackageHeader};

    #[test]
    fn an_inspection_is_recalled_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let sha256 = Sha256Digest::of(b"archive");
        let long = format!("repodata/{}-filelists.xml.gz", "0".repeat(128));
        let package = PackageHeader {
            name: "a".into(),
            epoch: Some(3),
            version: "1".into(),
            release: "2.el7".into(),
            arch: "noarch".into(),
            is_source: false,
            compressor: "xz".into(),
        };
        let (package, link_to) = (Some(package), Some("b.rpm".into()));
        let files = vec![FileRecord { path: "a.rpm".into(), bytes: 3, sha256: Sha256Digest::of(b"abc"), package, link_to }];
        let inspection = Inspection {
            summary: Summary { maker: Maker::Carried, top: "Docker".into(), files, said: vec!["x".into()] },
            repodata: [("repodata/repomd.xml".to_owned(), b"<repomd/>".to_vec()), (long, vec![0; 100_000])].into(),
        };
        assert_eq!(recall(&store, &sha256), None);
        remember(&store, &sha256, &inspection);
        assert_eq!(recall(&store, &sha256), Some(inspection));
        store.remember(KIND, &sha256, b"of another version");
        assert_eq!(recall(&store, &sha256), None);
    }
}
