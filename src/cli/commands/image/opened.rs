//! Images as users name them, opened.

use std::fs;
use std::path::{Path, PathBuf};

use crate::artifact;
use crate::base::failure::AnyFailure;
use crate::cli::{Context, host, subject};
use crate::image::{Disk, ImageError, Root};

/// The image file that `named` stands for: the image of an artifact's directory, or itself.
///
/// # Errors
/// It is known to be no image.
pub(super) fn file(named: &Path) -> Result<PathBuf, AnyFailure> {
    subject::require_image(named)?;
    Ok(artifact::open(named).map_or_else(|_| named.to_owned(), |artifact| artifact.image_path()))
}

/// The disk that `named` stands for.
///
/// # Errors
/// The image cannot be read.
pub(super) fn disk(named: &Path, context: &Context) -> Result<Disk, AnyFailure> {
    let path = file(named)?;
    // Files under an overlay are named relative to where it really is.
    let real = fs::canonicalize(&path).map_err(|source| ImageError::read(&path, source))?;
    Ok(Disk::open_with(&real, host::store_place(context).as_deref())?)
}

/// The files of the image that `named` stands for.
///
/// # Errors
/// The image cannot be read, or holds no system.
pub(super) fn root(named: &Path, context: &Context) -> Result<Root, AnyFailure> {
    Ok(Root::open(&disk(named, context)?)?)
}

/// `path` from the root of the image on, as a user may write it without the first `/`.
pub(super) fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
