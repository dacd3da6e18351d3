//! Archives of container images, as `docker save` and OCI image layouts have them: read on the host before any boot.
//!
//! ```text
//! archive ─Contents::of→ each file's digest, packed and unpacked; its JSON ─images→ PackedImages ─(remembered by digest)
//! PackedImages of all archives ─write→ one plain archive in the form of `docker save`, which every Docker loads
//! ```
//!
//! Archives come from elsewhere. Reading one takes one pass and bounded memory. The images that are loaded later are the ones checked here:
//! an image's id is the digest of its configuration, which has the digests of its unpacked layers. The archive that a machine is given is
//! written anew, with nothing else in it, because `docker load` of 18.09 takes no OCI layout and does not unpack zstd.

mod contents;
mod documents;
mod packed;
mod reference;
mod volume;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::bundle::Stop;
use super::{Host, Pin, SourceError, VerifiedFile, magic};
use crate::base::aside::aside;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::recipe::{ContainerImage, ContainerRun, DockerImage, Passage};

use contents::Contents;
use documents::{Fault, SAVE_AGAIN, WANTED};
use packed::add;

pub use packed::PackedImage;

/// The kind of memory; the number is the version of [`PackedImage`] and of the rules by which an archive is judged.
const KIND: &str = "images-1";
/// An archive of images, read.
#[derive(Debug, Clone)]
pub struct ContainerArchive {
    /// Its role in the recipe.
    what: String,
    file: VerifiedFile,
    at: Option<Passage>,
    /// Its images, in its order; at least one.
    pub images: Vec<PackedImage>,
    /// The container that the proof runs from it.
    pub run: Option<ContainerRun>,
}

impl ContainerArchive {
    /// Read the archive at `path`, or recall the result of an earlier reading. `image` is its entry in the recipe.
    ///
    /// # Errors
    /// It is not the pinned one, holds no images, is damaged or hostile; or an image of it cannot be loaded.
    pub(super) async fn open(what: &str, path: &Path, image: &ContainerImage, host: Host<'_>, task: &Task) -> Result<Self, SourceError> {
        let file = VerifiedFile::of(what, path, image.sha256, host.store, task).await?;
        let sha256 = file.sha256();
        // If recalling or remembering fails, the archive is read again.
        let known = host.store.recall(KIND, &sha256).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let images: Vec<PackedImage> = match known {
            Some(images) => images,
            None => {
                let images = inspect(what, path, task).await?;
                if let Ok(bytes) = serde_json::to_vec(&images) {
                    host.store.remember(KIND, &sha256, &bytes);
                }
                images
            }
        };
        if let (Some(_), [first, _, ..]) = (&image.run, &images[..]) {
            let names: Vec<&str> = images.iter().map(|packed| packed.image.name()).collect();
            return Err(refused(
                what,
                path,
                &[Fault {
                    what: format!("it has {} images ({}), and `run` is of one", images.len(), names.join(", ")),
                    remedy: format!(
                        "save that image alone, or write a check: command = {{ run = \"docker run --rm --network none {} PROGRAM\" }}",
                        first.image.name()
                    ),
                }],
            ));
        }
        Ok(Self { what: what.to_owned(), file, at: image.at.clone(), images, run: image.run.clone() })
    }

    /// The archive as an input.
    pub fn pin(&self) -> Pin {
        let name = self.file.path().file_name().unwrap_or_default().to_string_lossy();
        Pin { name: format!("container_image {name}"), sha256: self.file.sha256(), urls: Vec::new() }
    }
}

/// The images of `archives`, each once, with the tags of all.
pub fn all_images(archives: &[ContainerArchive]) -> Vec<DockerImage> {
    merged(archives).into_iter().map(|packed| packed.image).collect()
}

/// The containers to run from `archives`, each with the name of its image.
pub fn container_runs(archives: &[ContainerArchive]) -> Vec<(String, ContainerRun)> {
    let run = |archive: &ContainerArchive| Some((archive.images.first()?.image.name().to_owned(), archive.run.clone()?));
    archives.iter().filter_map(run).collect()
}

fn merged(archives: &[ContainerArchive]) -> Vec<PackedImage> {
    let mut images: Vec<PackedImage> = Vec::new();
    archives.iter().flat_map(|archive| &archive.images).for_each(|packed| add(&mut images, packed.clone()));
    images
}

/// The tags that two archives have for different images: one would replace the other without a message.
pub(super) fn clashes(archives: &[ContainerArchive]) -> Vec<SourceError> {
    let mut seen: BTreeMap<&str, (&ContainerArchive, Sha256Digest)> = BTreeMap::new();
    let mut errors = Vec::new();
    for archive in archives {
        let mut faults = Vec::new();
        for (tag, id) in tags_of(archive) {
            let (first, known) = *seen.entry(tag).or_insert((archive, id));
            if known != id {
                faults.push(Fault {
                    what: format!("its {tag} is image {}, and that of {} is image {}", id.short(), first.what, known.short()),
                    remedy: "remove one of the archives, or give one of the images another tag and save it again".to_owned(),
                });
            }
        }
        if !faults.is_empty() {
            errors.push(placed(refused(&archive.what, archive.file.path(), &faults), archive.at.as_ref()));
        }
    }
    errors
}

/// Each tag of an archive, with the image it leads to.
fn tags_of(archive: &ContainerArchive) -> impl Iterator<Item = (&str, Sha256Digest)> {
    archive.images.iter().flat_map(|packed| packed.image.tags.iter().map(|tag| (tag.as_str(), packed.image.id)))
}

/// Write the images of `archives` to the new file `dest`: an archive of `docker save`, with plain layers.
///
/// # Errors
/// An archive is not the one that was read any more, or `dest` cannot be written.
pub async fn write(archives: &[ContainerArchive], dest: &Path, task: &Task) -> Result<(), SourceError> {
    let images = merged(archives);
    let mut volume = volume::Volume::create(dest).map_err(SourceError::unwritable(dest))?;
    for archive in archives {
        let (what, path) = (&archive.what, archive.file.path().to_owned());
        let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let (wanted, source) = (archive.images.clone(), path.clone());
        let written = aside(task, &format!("write the images of {what}"), bytes, move |meter| volume.add(&source, &wanted, meter)).await;
        volume = written.map_err(|stop| failed(what, &path, stop))?;
    }
    volume.finish(&images).map_err(SourceError::unwritable(dest))
}

/// Bytes that [`write()`] will write, or a few more.
pub fn written_bytes(archives: &[ContainerArchive]) -> u64 {
    const DOCUMENTS: u64 = 1 << 20;
    merged(archives).iter().fold(DOCUMENTS, |sum, image| sum.saturating_add(image.bytes()).saturating_add(image.config_bytes))
}

async fn inspect(what: &str, path: &Path, task: &Task) -> Result<Vec<PackedImage>, SourceError> {
    let (bytes, archive) = (std::fs::metadata(path).map_or(0, |metadata| metadata.len()), path.to_owned());
    let contents = aside(task, &format!("inspect {what}"), bytes, move |meter| Contents::of(&archive, meter)).await;
    let contents = contents.map_err(|stop| failed(what, path, stop))?;
    documents::images(&contents).map_err(|faults| refused(what, path, &faults))
}

/// The error, with the line of the recipe that it is about.
pub(super) fn placed(error: SourceError, at: Option<&Passage>) -> SourceError {
    match at {
        Some(at) => SourceError::InRecipe { at: Box::new(at.clone()), source: Box::new(error) },
        None => error,
    }
}

fn refused(what: &str, path: &Path, faults: &[Fault]) -> SourceError {
    let mut remedies: Vec<&str> = faults.iter().map(|fault| fault.remedy.as_str()).collect();
    remedies.dedup();
    SourceError::BadImages {
        what: what.to_owned(),
        path: path.to_owned(),
        problems: faults.iter().map(|fault| crate::base::text::printable(&fault.what)).collect(),
        remedy: remedies.join("; "),
    }
}

fn failed(what: &str, path: &Path, stop: Stop) -> SourceError {
    let (what, path): (String, PathBuf) = (what.to_owned(), path.to_owned());
    match stop {
        Stop::NotAnArchive(head) => match magic::identify(&path) {
            Err(source) => SourceError::Unreadable { what, path, source },
            Ok(is) if is.contains(" data of ") => {
                SourceError::WrongKind { what, kind: WANTED, path, is: format!("{is}, which hold {}", magic::kind_of(&head)) }
            }
            Ok(is) => SourceError::WrongKind { what, kind: WANTED, path, is },
        },
        Stop::Packing(problems) | Stop::Metadata(problems) => {
            SourceError::BadImages { what, path, problems: problems.lines(), remedy: SAVE_AGAIN.to_owned() }
        }
        Stop::Unreadable(source) => SourceError::Unreadable { what, path, source },
        Stop::Unwritable { path, source } => SourceError::Scratch { path, source },
    }
}
