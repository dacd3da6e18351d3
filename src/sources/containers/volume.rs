//! The archive that a machine loads images from: in the form of `docker save` (image specification of Docker, v1.2), its layers plain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::packed::PackedImage;
use crate::base::aside::Meter;
use crate::base::digest::{HashingWriter, Sha256Digest};
use crate::sources::bundle::{Found, Holds, Problem, Stop, cut_off, each_file};
use crate::sources::packing::unpacked;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// An archive in the making.
pub(super) struct Volume {
    path: PathBuf,
    builder: tar::Builder<BufWriter<File>>,
    /// Names of the files that it has.
    written: BTreeSet<String>,
}

/// An entry of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Saved<'a> {
    config: String,
    repo_tags: &'a [String],
    layers: Vec<String>,
}

/// A file that is to be written.
struct Part {
    name: String,
    sha256: Sha256Digest,
    bytes: u64,
}

fn config(packed: &PackedImage) -> String {
    format!("{}.json", packed.image.id)
}

fn layer(sha256: &Sha256Digest) -> String {
    format!("{sha256}.tar")
}

impl Volume {
    /// An empty archive at `path`.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(PIECE, File::create_new(path)?);
        Ok(Self { path: path.to_owned(), builder: tar::Builder::new(file), written: BTreeSet::new() })
    }

    /// Add the configurations and layers of `images`, which were found in the archive at `source`.
    pub(super) fn add(mut self, source: &Path, images: &[PackedImage], meter: &Arc<Meter>) -> Result<Self, Stop> {
        let mut parts: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
        for packed in images {
            let config = (packed.config.as_str(), Part { name: config(packed), sha256: packed.image.id, bytes: packed.config_bytes });
            let layers = packed
                .layers
                .iter()
                .map(|found| (found.file.as_str(), Part { name: layer(&found.sha256), sha256: found.sha256, bytes: found.bytes }));
            for (file, part) in [config].into_iter().chain(layers) {
                if self.written.insert(part.name.clone()) {
                    parts.entry(file).or_default().push(part);
                }
            }
        }
        each_file(source, Holds::Images, meter, |found| {
            let Found::File { path, content, .. } = found else { return Ok(()) };
            // A file that is both a configuration and a layer was refused: JSON is no tar archive.
            match parts.remove(path).and_then(|mut parts| parts.pop()) {
                Some(part) => self.put(path, &part, content),
                None => Ok(()),
            }
        })?;
        match parts.keys().next() {
            Some(gone) => Err(Problem::with(*gone, "is gone since the archive was read").into()),
            None => Ok(self),
        }
    }

    fn put(&mut self, path: &str, part: &Part, content: &mut dyn Read) -> Result<(), Stop> {
        let mut header = tar::Header::new_gnu();
        header.set_size(part.bytes);
        header.set_mode(0o644);
        let written = (|| {
            let reader = unpacked(BufReader::with_capacity(PIECE, content))?;
            let mut reader = Hashing { reader: reader.take(part.bytes), hasher: HashingWriter::new(io::sink()), failed: false };
            let appended = self.builder.append_data(&mut header, &part.name, &mut reader);
            Ok((appended, reader.failed, reader.hasher.finish().1))
        })();
        match written.map_err(|error| cut_off(error, path))? {
            (Err(error), true, _) => Err(cut_off(error, path)),
            (Err(source), false, _) => Err(Stop::Unwritable { path: self.path.clone(), source }),
            (Ok(()), _, sha256) if sha256 == part.sha256 => Ok(()),
            (Ok(()), ..) => Err(Problem::with(path, "is another file than when the archive was read").into()),
        }
    }

    /// Write the list of `images`, all of whose parts were added.
    pub(super) fn finish(mut self, images: &[PackedImage]) -> io::Result<()> {
        let saved: Vec<Saved<'_>> = images
            .iter()
            .map(|packed| Saved {
                config: config(packed),
                repo_tags: &packed.image.tags,
                layers: packed.layers.iter().map(|found| layer(&found.sha256)).collect(),
            })
            .collect();
        let text = serde_json::to_vec(&saved)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        self.builder.append_data(&mut header, "manifest.json", &text[..])?;
        self.builder.into_inner()?.flush()
    }
}

/// A reader that hashes, and remembers whether it was the one that failed.
struct Hashing<R> {
    reader: R,
    hasher: HashingWriter<io::Sink>,
    failed: bool,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buf).inspect_err(|_| self.failed = true)?;
        self.hasher.write_all(&buf[..read])?;
        Ok(read)
    }
}
