//! The bundle: a repository of packages as the user has it, packed (`Docker.tar.gz`) or as a directory.
//!
//! ```text
//! archive ─each_file→ Listing: files, package headers, the directory around repodata ─→ Inspection ─(remembered by digest)
//!                        └ without repodata, or with one that yum of EL 7 cannot use: unpacked once, made by createrepo_c
//! what repodata lists (the caller reads it) ─compare→ Comparison
//! ```
//!
//! Bundles come from elsewhere. Reading one takes bounded memory, and no disk space before all of it has been checked. Names, sizes and
//! kinds of files that could not travel on a FAT32 volume, files that are no packages though they are called so, and metadata that is about
//! other files, are refused with the entry's name, all of them at once.
//!
//! The result for an archive is remembered under its digest, so the next run need not unpack it to plan.

mod archive;
mod compare;
mod header;
mod inspection;
mod listing;
mod make;
mod memory;
mod names;
mod problem;
mod traps;
mod unpack;
pub(super) mod yum;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::verified::refuse_other;
use super::{SourceError, VerifiedFile, magic};
use crate::base::aside::aside;
use crate::base::atomic::{Existing, NewDir};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::process::ProcessError;
use crate::cache::Store;

pub use compare::{Comparison, Listed};
pub use header::PackageHeader;
pub use listing::FileRecord;
pub use traps::{Target, Trap, TrapKind};

pub(super) use archive::{FILE_BYTES, Found, Holds, allowance, cut_off, each_file, too_much};
pub use inspection::Maker;
pub(super) use listing::digest_of;
pub(super) use make::repodata;
pub(super) use problem::{Problem, Stop};
pub(super) use unpack::TIME;

use inspection::{Inspection, Summary};
use listing::Listing;

/// A repository's bundle, inspected.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its role in the recipe.
    what: String,
    place: Place,
    sha256: Sha256Digest,
    inspection: Inspection,
}

/// Where a bundle's files are.
#[derive(Debug, Clone)]
enum Place {
    Archive(PathBuf),
    Directory(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Directory(path) => path,
        }
    }
}

impl Bundle {
    /// Inspect the archive or directory at `path`, or recall the result of an earlier inspection of an archive. `what` is its name in the
    /// recipe, which pins its digest or takes any. `scratch` is used when there is no metadata.
    ///
    /// # Errors
    /// It is not the pinned one, is no archive, is damaged or hostile; or it has no metadata, and none can be made.
    pub async fn open(
        what: &str,
        path: &Path,
        pinned: Option<Sha256Digest>,
        store: &Store,
        scratch: &Path,
        task: &Task,
    ) -> Result<Self, SourceError> {
        let is_directory = path.is_dir();
        let place = if is_directory { Place::Directory(path.to_owned()) } else { Place::Archive(path.to_owned()) };
        let (sha256, listing) = if is_directory {
            let listing = list_directory(what, path, task).await?;
            let sha256 = listing::digest(&listing.files);
            refuse_other(what, path, sha256, pinned)?;
            (sha256, Some(listing))
        } else {
            (VerifiedFile::of(what, path, pinned, store, task).await?.sha256(), None)
        };
        let inspection = match (memory::recall(store, &sha256), listing) {
            (Some(inspection), None) => inspection,
            // The same files may be in another directory of the bundle.
            (Some(known), Some(Listing { top, .. })) => Inspection { summary: Summary { top, ..known.summary }, ..known },
            (None, listing) => {
                let listing = match listing {
                    Some(listing) => listing,
                    None => list_archive(what, path, task).await?,
                };
                let inspection = inspect(what, &place, listing, scratch, task).await?;
                memory::remember(store, &sha256, &inspection);
                inspection
            }
        };
        Ok(Self { what: what.to_owned(), place, sha256, inspection })
    }

    /// Its role in the recipe.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Where the archive or directory is.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Its digest: the archive's, or of a directory the one over its files' digests, sizes and paths, in the order of the paths.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// The directory in it that is the repository; empty for its own.
    pub fn top(&self) -> &str {
        &self.inspection.summary.top
    }

    /// The files it unpacks to, in the order of their paths, seen from the directory around `repodata`; with the metadata, whether it was
    /// carried or made.
    pub fn files(&self) -> &[FileRecord] {
        &self.inspection.summary.files
    }

    /// Its packages, in the order of their paths.
    pub fn packages(&self) -> impl Iterator<Item = (&FileRecord, &PackageHeader)> {
        self.files().iter().filter_map(|file| Some((file, file.package.as_ref()?)))
    }

    /// Its metadata: path (`repodata/repomd.xml`) to content as it is, 64 MiB at most. SQLite databases are left out.
    pub fn repodata(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.inspection.repodata
    }

    /// The maker of the metadata.
    pub fn maker(&self) -> Maker {
        self.inspection.summary.maker
    }

    /// Notes on the metadata. If it was carried: mismatches that yum tolerates. If it was made anew: why yum could not use the old one.
    pub fn said_of_metadata(&self) -> &[String] {
        &self.inspection.summary.said
    }

    /// Bytes of all files when unpacked.
    pub fn unpacked_bytes(&self) -> u64 {
        self.files().iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Compare the files that its metadata lists (in repomd.xml or primary.xml) with its own files. Errors call the metadata `by`.
    ///
    /// # Errors
    /// All that does not fit.
    pub fn compare<'a>(&self, by: &str, listed: impl IntoIterator<Item = Listed<'a>>) -> Result<Comparison, SourceError> {
        compare::compare(self.files(), by, listed).map_err(|problems| failed(&self.what, self.path(), Stop::Metadata(problems)))
    }

    /// Its packages that cannot serve `target`, or are of no use there.
    pub fn traps(&self, target: Target<'_>) -> Vec<Trap> {
        let of = |(file, package): (&FileRecord, &PackageHeader)| {
            traps::of(package, target).into_iter().map(|kind| Trap { path: file.path.clone(), kind }).collect::<Vec<_>>()
        };
        self.packages().flat_map(of).collect()
    }

    /// Unpack it to the directory `dest`, which must not exist and appears whole: `dest/repodata/repomd.xml` is there then. Every file is
    /// compared with what was inspected.
    ///
    /// # Errors
    /// `dest` is there or cannot be written, or the bundle is not the one that was inspected any more.
    pub async fn unpack(&self, dest: &Path, task: &Task) -> Result<(), SourceError> {
        let unwritable = |source| SourceError::Scratch { path: dest.to_owned(), source };
        let new = NewDir::beside(dest).map_err(unwritable)?;
        let step = format!("unpack {}", self.what);
        let (made, files): (Vec<_>, Vec<_>) = self.files().iter().cloned().partition(|file| self.is_made(file));
        unpack_files(&step, &self.place, self.top(), files, new.path(), task)
            .await
            .map_err(|stop| failed(&self.what, self.path(), stop))?;
        if !made.is_empty() {
            unpack::write_files(new.path(), self.repodata()).map_err(|stop| failed(&self.what, self.path(), stop))?;
        }
        new.publish(Existing::Keep).map_err(unwritable)
    }

    fn is_made(&self, file: &FileRecord) -> bool {
        self.maker() != Maker::Carried && names::parent(&file.path) == listing::REPODATA
    }
}

async fn list_archive(what: &str, path: &Path, task: &Task) -> Result<Listing, SourceError> {
    let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let archive = path.to_owned();
    let listing = aside(task, &format!("inspect {what}"), bytes, move |meter| Listing::of_archive(&archive, meter)).await;
    listing.map_err(|stop| failed(what, path, stop))
}

async fn list_directory(what: &str, path: &Path, task: &Task) -> Result<Listing, SourceError> {
    let walked = listing::walk(path).map_err(|stop| failed(what, path, stop))?;
    let (bytes, root) = (walked.bytes(), path.to_owned());
    let listing = aside(task, &format!("inspect {what}"), bytes, move |meter| Listing::of_directory(&root, &walked, meter)).await;
    listing.map_err(|stop| failed(what, path, stop))
}

async fn unpack_files(step: &str, place: &Place, top: &str, files: Vec<FileRecord>, dest: &Path, task: &Task) -> Result<(), Stop> {
    let (place, top, dest) = (place.clone(), top.to_owned(), dest.to_owned());
    let total = match &place {
        Place::Archive(path) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
        Place::Directory(_) => files.iter().map(|file| file.bytes).sum(),
    };
    aside(task, step, total, move |meter| match &place {
        Place::Archive(path) => unpack::from_archive(path, &top, &files, &dest, meter),
        Place::Directory(root) => unpack::from_directory(&root.join(&top), &files, &dest, meter),
    })
    .await
}

/// Take a listing's metadata as it is, or make it.
async fn inspect(what: &str, place: &Place, listing: Listing, scratch: &Path, task: &Task) -> Result<Inspection, SourceError> {
    let carried = listing.repodata.contains_key(&format!("{}/{}", listing::REPODATA, listing::REPOMD));
    let yum::Judgement { unusable, mut damaged, misfits, idle } = yum::judge(&listing);
    if !damaged.is_empty() {
        damaged.extend(misfits);
        return Err(failed(what, place.path(), Stop::Metadata(damaged)));
    }
    if carried && unusable.is_empty() {
        let Listing { files, repodata, top, .. } = listing;
        return Ok(Inspection { summary: Summary { maker: Maker::Carried, top, files, said: idle }, repodata });
    }
    if !misfits.is_empty() {
        return Err(failed(what, place.path(), Stop::Metadata(misfits)));
    }
    let comps = yum::comps(&listing)?;
    task.events().note(match carried {
        true => format!("yum of EL 7 cannot use the metadata of {what}: {unusable}; createrepo_c makes it anew"),
        false => format!("{what} has no repodata; createrepo_c makes it"),
    });
    let maker = if carried { Maker::Remade } else { Maker::Made };
    let Listing { mut files, top, .. } = listing;
    // The other files in the directory are of no use without a repomd.xml that names them.
    files.retain(|file| names::parent(&file.path) != listing::REPODATA);
    let made = make(what, place, &top, &files, comps, scratch, task).await;
    let repodata = match made {
        Err(SourceError::Tool(ProcessError::Missing { .. })) if carried => {
            return Err(failed(what, place.path(), Stop::Metadata(unusable)));
        }
        made => made?,
    };
    files.extend(repodata.iter().map(|(path, bytes)| FileRecord {
        path: path.clone(),
        bytes: bytes.len() as u64,
        sha256: Sha256Digest::of(bytes),
        package: None,
        link_to: None,
    }));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Inspection { summary: Summary { maker, top, files, said: unusable.lines() }, repodata })
}

/// The metadata of packages, which are unpacked for it, and groups.
async fn make(
    what: &str,
    place: &Place,
    top: &str,
    files: &[FileRecord],
    comps: Option<Vec<u8>>,
    scratch: &Path,
    task: &Task,
) -> Result<BTreeMap<String, Vec<u8>>, SourceError> {
    let dir = scratch.join(format!("repository-{}", listing::digest(files).short()));
    // createrepo_c gives its copies this file's name.
    let aside = dir.with_extension("groups");
    let groups = comps.as_ref().map(|_| aside.join("comps.xml"));
    let made = async {
        unpack_files(&format!("unpack {what}"), place, top, files.to_owned(), &dir, task)
            .await
            .map_err(|stop| failed(what, place.path(), stop))?;
        if let (Some(path), Some(text)) = (&groups, &comps) {
            let written = std::fs::create_dir_all(&aside).and_then(|()| std::fs::write(path, text));
            written.map_err(|source| SourceError::Scratch { path: path.clone(), source })?;
        }
        task.step(&format!("make the metadata of {what}"));
        make::repodata(&dir, groups.as_deref()).await
    }
    .await;
    // The scratch directory goes away with the run, but the packages are not needed that long.
    let _ = std::fs::remove_dir_all(&dir);
    let _ = std::fs::remove_dir_all(&aside);
    made
}

fn failed(what: &str, path: &Path, stop: Stop) -> SourceError {
    let (what, path) = (what.to_owned(), path.to_owned());
    match stop {
        Stop::NotAnArchive(head) => match magic::identify(&path) {
            Err(source) => SourceError::Unreadable { what, path, source },
            Ok(is) => {
                let is = if is.contains(" data of ") { format!("{is}, which hold {}", magic::kind_of(&head)) } else { is };
                SourceError::WrongKind { what, kind: "a tar archive (plain, gzip, xz, zstd or bzip2)", path, is }
            }
        },
        Stop::Packing(problems) => SourceError::BadBundle { what, path, problems: problems.lines(), told: problems.to_string() },
        Stop::Metadata(problems) => SourceError::BadRepodata { what, path, problems: problems.lines(), told: problems.to_string() },
        Stop::Unreadable(source) => SourceError::Unreadable { what, path, source },
        Stop::Unwritable { path, source } => SourceError::Scratch { path, source },
    }
}
