//! A finished layer: a disk, and all the layers it was made on, as they were then.
//!
//! An overlay holds only what differs from its base. Over another base, even one that was made again by the same recipe, it shows garbage.
//! So each layer has a random mark, and the record beside its disk also names the mark of its base.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{OVERLAY, RAW, StageError};
use crate::base::failure::{Class, Failure};
use crate::image::{Disk, Format};
use crate::machine::runner::nonce;

/// The record's file name.
const RECORD: &str = "layer.json";
/// Version of the record's form.
const SCHEMA: u32 = 1;

/// A finished layer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    dir: PathBuf,
    format: Format,
    /// Layers of goldsmith 0.1.0 from before there were records have none.
    mark: Option<String>,
    /// Directories of the layers below, nearest first.
    below: Vec<PathBuf>,
}

/// The layer cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    why: String,
}

impl Failure for Unusable {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("check the disk of the store; a build makes the layer again".to_owned())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    schema: u32,
    mark: String,
    /// The base's mark.
    base: Option<String>,
}

impl Layer {
    /// The layer in `dir`, when its disk and every disk under it are there and can be read, and each is the one that the next was made on.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(dir: &Path) -> Result<Self, Unusable> {
        let unusable = |why: String| Unusable { why };
        let format = if dir.join(RAW).exists() { Format::Raw } else { Format::Qcow2 };
        let disk = Disk::open_own(&dir.join(file(format)), format).map_err(|error| unusable(error.to_string()))?;
        let below: Vec<PathBuf> = disk.info().backing.iter().filter_map(|path| path.parent()).map(Path::to_owned).collect();
        let mark = require_chain(dir, &below).map_err(unusable)?;
        Ok(Self { dir: dir.to_owned(), format, mark, below })
    }

    /// The overlay of the layer in the making in `dir`, when that is a copy of another disk.
    pub fn place_of_overlay(dir: &Path) -> PathBuf {
        dir.join(OVERLAY)
    }

    /// Complete the layer in the making in `dir`: it was made on `base`.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn complete(dir: &Path, base: Option<&Layer>) -> Result<(), StageError> {
        let record = Record { schema: SCHEMA, mark: nonce(), base: base.and_then(|base| base.mark.clone()) };
        let path = dir.join(RECORD);
        // OK to default: plain data, which JSON always takes.
        fs::write(&path, serde_json::to_vec(&record).unwrap_or_default()).map_err(|source| StageError::Scratch { path, source })
    }

    /// Its disk file.
    pub fn disk(&self) -> PathBuf {
        self.dir.join(file(self.format))
    }

    /// A random name of its bytes: if the layer is made again, it has another one.
    pub fn mark(&self) -> Option<&str> {
        self.mark.as_deref()
    }

    /// The directories of the layers below it, nearest first.
    pub fn below(&self) -> &[PathBuf] {
        &self.below
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The name of this disk as the backing file of an overlay in a directory beside this one.
    pub(super) fn backing(&self) -> PathBuf {
        Path::new("..").join(self.dir.file_name().unwrap_or_default()).join(file(self.format))
    }
}

fn file(format: Format) -> &'static str {
    match format {
        Format::Raw => RAW,
        Format::Qcow2 => OVERLAY,
    }
}

/// The mark of the layer in `top`, when each record of the chain names the mark of the one under it.
fn require_chain(top: &Path, below: &[PathBuf]) -> Result<Option<String>, String> {
    let mut upper = record(top)?;
    let mark = upper.as_ref().map(|record| record.mark.clone());
    for dir in below {
        let lower = record(dir)?;
        let made_on = upper.and_then(|record| record.base);
        if made_on != lower.as_ref().map(|record| record.mark.clone()) {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            return Err(format!("the layer {} under it was made again since", name.get(..12).unwrap_or(&name)));
        }
        upper = lower;
    }
    Ok(mark)
}

fn record(dir: &Path) -> Result<Option<Record>, String> {
    let path = dir.join(RECORD);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
    };
    let record: Record = serde_json::from_slice(&bytes).map_err(|error| format!("{} is damaged: {error}", path.display()))?;
    if record.schema == SCHEMA { Ok(Some(record)) } else { Err(format!("{} has the schema {}", path.display(), record.schema)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{create_overlay, create_raw};

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// A chain of three layers in `dir`: `a`, `b` on it, `c` on that.
    fn chain(dir: &Path) {
        let mut base: Option<Layer> = None;
        for name in ["a", "b", "c"] {
            let made = dir.join(name);
            fs::create_dir(&made).unwrap();
            match &base {
                None => drop(create_raw(&made.join(RAW), 1 << 20, 0).unwrap()),
                Some(base) => on_runtime(create_overlay(&base.backing(), base.format(), &made.join(OVERLAY))).unwrap(),
            }
            Layer::complete(&made, base.as_ref()).unwrap();
            base = Some(Layer::open(&made).unwrap());
        }
    }

    #[test]
    fn a_layer_is_usable_with_every_layer_it_was_made_on() {
        let temp = tempfile::tempdir().unwrap();
        type Spoil = fn(&Path);
        let remake: Spoil = |dir| Layer::complete(&dir.join("b"), Some(&Layer::open(&dir.join("a")).unwrap())).unwrap();
        let spoils: [(Spoil, [&str; 3]); 9] = [
            (|_| {}, ["", "", ""]),
            (|dir| fs::remove_dir_all(dir.join("a")).unwrap(), ["No such file", "No such file", "No such file"]),
            (|dir| fs::remove_dir_all(dir.join("b")).unwrap(), ["", "No such file", "No such file"]),
            (|dir| fs::remove_file(dir.join("b").join(OVERLAY)).unwrap(), ["", "No such file", "No such file"]),
            (|dir| fs::write(dir.join("b").join(OVERLAY), "x").unwrap(), ["", "does not begin as a qcow2", "does not begin as a qcow2"]),
            (|dir| fs::write(dir.join("b").join(RECORD), "{").unwrap(), ["", "is damaged", "is damaged"]),
            (|dir| fs::write(dir.join("c").join(RECORD), r#"{"schema":2,"mark":"m","base":null}"#).unwrap(), ["", "", "has the schema 2"]),
            // A step gives different bytes each time: a layer that was made on the first result does not fit the second.
            (remake, ["", "", "the layer b under it was made again since"]),
            // Layers of an earlier goldsmith have no records; a layer that is made again has one.
            (|dir| ["a", "b", "c"].iter().for_each(|name| fs::remove_file(dir.join(name).join(RECORD)).unwrap()), ["", "", ""]),
        ];
        for (index, (spoil, expected)) in spoils.into_iter().enumerate() {
            let dir = temp.path().join(index.to_string());
            fs::create_dir(&dir).unwrap();
            chain(&dir);
            spoil(&dir);
            for (name, why) in ["a", "b", "c"].into_iter().zip(expected) {
                match Layer::open(&dir.join(name)) {
                    Ok(_) => assert_eq!(why, "", "{index} {name}"),
                    Err(error) => assert!(!why.is_empty() && error.to_string().contains(why), "{index} {name}: {error}"),
                }
            }
        }
        let old = temp.path().join("8");
        remake(&old);
        let error = Layer::open(&old.join("c")).unwrap_err().to_string();
        assert!(error.contains("made again"), "{error}");
        // A store can be moved, and each part of it may be reached through a link.
        let moved = temp.path().join("moved");
        fs::rename(temp.path().join("0"), &moved).unwrap();
        std::os::unix::fs::symlink(moved.join("c"), temp.path().join("link")).unwrap();
        let found = Layer::open(&temp.path().join("link")).unwrap();
        assert_eq!(found.below().len(), 2);
        assert_eq!(Layer::open(&moved.join("a")).unwrap().backing(), Path::new("../a/disk.raw"));
    }
}
