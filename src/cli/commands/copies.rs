//! The target of copies on this host: an existing directory, or a new name.

use std::path::{Path, PathBuf};

use crate::base::failure::{Class, Failure};

/// The reason why nothing was copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTarget {
    #[error("{} is no directory, so it cannot take several files", .0.display())]
    NoDirectory(PathBuf),
    #[error("{} has no name of its own", .0.display())]
    Nameless(PathBuf),
}

impl Failure for NoTarget {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn remedy(&self) -> Option<String> {
        Some(match self {
            Self::NoDirectory(_) => "make that directory first".to_owned(),
            Self::Nameless(_) => "give a new name as the target".to_owned(),
        })
    }
}

/// The target of copies.
#[derive(Debug)]
pub(super) struct Target<'a> {
    path: &'a Path,
    is_directory: bool,
}

impl<'a> Target<'a> {
    /// The target `path`, for this number of copies.
    ///
    /// # Errors
    /// `path` is not a directory, and there are several copies.
    pub(super) fn new(path: &'a Path, copies: usize) -> Result<Self, NoTarget> {
        let is_directory = path.is_dir();
        if copies > 1 && !is_directory { Err(NoTarget::NoDirectory(path.to_owned())) } else { Ok(Self { path, is_directory }) }
    }

    /// The place of the copy of `source`.
    ///
    /// # Errors
    /// The target is a directory, and `source` has no file name (`/`, `..`).
    pub(super) fn place(&self, source: &Path) -> Result<PathBuf, NoTarget> {
        match (self.is_directory, source.file_name()) {
            (true, Some(name)) => Ok(self.path.join(name)),
            (true, None) => Err(NoTarget::Nameless(source.to_owned())),
            (false, _) => Ok(self.path.to_owned()),
        }
    }
}
