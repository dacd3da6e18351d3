//! The catalogue of Vagrant boxes beside an exported one.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::base::aside::aside;
use crate::base::atomic;
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;
use crate::base::failure::{Class, Failure};
use crate::base::text::printable;
use crate::cli::host::read_at_most;
use crate::handover::vagrant::{Catalogue, CatalogueError, file_url, is_version};

/// At most this many bytes of a catalogue are read.
const MAX_BYTES: u64 = 16 << 20;

/// The reason why a box cannot be added to its catalogue.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotEntered {
    #[error("`{}` is no version: Vagrant takes numbers and words with dots between, a number first", printable(.0))]
    Version(String),
    #[error("{}: {source}", path.display())]
    Refused { path: PathBuf, source: CatalogueError },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl Failure for NotEntered {
    fn class(&self) -> Class {
        match self {
            Self::Version(_) => Class::Usage,
            Self::Refused { .. } => Class::Input,
            Self::Read { .. } | Self::Write { .. } => Class::Host,
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            Self::Version(_) => Some("give one like 1.2.0".to_owned()),
            Self::Refused { source: CatalogueError::Version(_), .. } => Some("give the box another version".to_owned()),
            Self::Refused { .. } => Some("write the box to another directory, or move that file away".to_owned()),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

/// A box that is to be added.
pub(super) struct Entry {
    path: PathBuf,
    name: String,
    version: String,
    url: String,
}

impl Entry {
    /// Check that `version` can be added to the catalogue of the box `name` beside `target`, or that there is no catalogue yet. Nothing is
    /// written; the check finds errors before the long work. Without `url`, the catalogue names the place of the written file.
    ///
    /// # Errors
    /// `version` is not a version or is already in the catalogue, or the file is not a catalogue.
    pub(super) fn prepare(target: &Path, name: &str, version: &str, url: Option<&str>) -> Result<Self, NotEntered> {
        if !is_version(version) {
            return Err(NotEntered::Version(version.to_owned()));
        }
        let path = target.with_file_name(format!("{name}.json"));
        if path == target {
            let source = CatalogueError::Other("the box is to be written there".to_owned());
            return Err(NotEntered::Refused { path, source });
        }
        let url = match url {
            Some(url) => url.to_owned(),
            None => {
                let absolute = std::path::absolute(target).map_err(|source| NotEntered::Read { path: target.to_owned(), source })?;
                file_url(absolute.as_os_str().as_encoded_bytes())
            }
        };
        let entry = Self { path, name: name.to_owned(), version: version.to_owned(), url };
        entry.catalogue()?;
        Ok(entry)
    }

    /// The catalogue as it is now.
    fn catalogue(&self) -> Result<Catalogue, NotEntered> {
        match File::open(&self.path).and_then(|file| read_at_most(file, MAX_BYTES)) {
            Ok(text) => {
                Catalogue::parse(&text, &self.name, &self.version).map_err(|source| NotEntered::Refused { path: self.path.clone(), source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Catalogue::new(&self.name)),
            Err(source) => Err(NotEntered::Read { path: self.path.clone(), source }),
        }
    }

    /// Add the box that is in `target` now. Returns the catalogue's path.
    ///
    /// # Errors
    /// The box cannot be read, it can no longer be added to the catalogue, or the catalogue cannot be written. The catalogue is then
    /// unchanged.
    pub(super) async fn complete(self, target: &Path, task: &Task) -> Result<PathBuf, NotEntered> {
        let read = |source| NotEntered::Read { path: target.to_owned(), source };
        let file = File::open(target).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let digest = aside(task, "find the box's sha256", length, move |meter| Sha256Digest::of_reader(meter.measure(file))).await;
        let digest = digest.map_err(read)?.0;
        // The catalogue is read again, because another export may have added its version since the first read.
        let text = self.catalogue()?.with(&self.version, &self.url, &digest);
        atomic::write(&self.path, text.as_bytes()).map_err(|source| NotEntered::Write { path: self.path.clone(), source })?;
        Ok(self.path)
    }
}
