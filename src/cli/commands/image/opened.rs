//! Opens images by the names that users give.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact;
use crate::base::failure::AnyFailure;
use crate::cli::{Context, host, subject};
use crate::image::{Disk, ImageError, Root};

/// The image file for `named`: the image of an artifact's directory, or the file itself.
///
/// # Errors
/// The file is known not to be an image.
pub(super) fn file(named: &Path) -> Result<PathBuf, AnyFailure> {
    subject::require_image(named)?;
    Ok(artifact::open(named).map_or_else(|_| named.to_owned(), |artifact| artifact.image_path()))
}

/// The disk of the image `named`.
///
/// # Errors
/// The image cannot be read.
pub(super) fn disk(named: &Path, context: &Context) -> Result<Disk, AnyFailure> {
    let path = file(named)?;
    // An overlay names the files below it relative to its real place.
    let real = fs::canonicalize(&path).map_err(|source| ImageError::read(&path, source))?;
    Ok(Disk::open_with(&real, host::store_place(context).as_deref())?)
}

/// The files of the image `named`.
///
/// # Errors
/// The image cannot be read, or it has no operating system.
pub(super) fn root(named: &Path, context: &Context) -> Result<Root, AnyFailure> {
    Ok(Root::open(&disk(named, context)?)?)
}

/// `path` from the root of the image. A user may leave the first `/` out.
pub(super) fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
