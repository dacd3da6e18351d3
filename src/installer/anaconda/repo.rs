//! The recipe's repositories as Anaconda reads them from the volume.

use super::error::{AnacondaError, InField};
use super::names::VOLUME_DIR;
use crate::kickstart::{Repo, Url, Word};
use crate::recipe;

/// Ids that are taken: by Anaconda for its base repository, and by the files of centos-release 7.
const TAKEN_IDS: [&str; 8] = ["anaconda", "base", "updates", "extras", "centosplus", "cr", "fasttrack", "c7-media"];

pub(super) fn repo(repository: &recipe::Repository) -> Result<Repo, AnacondaError> {
    let id = &repository.id;
    let field = format!("repository `{}`", id.escape_debug());
    // The characters that yum allows in an id, without `:`, which a FAT volume cannot hold.
    if id.is_empty() || id.starts_with('.') || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(AnacondaError::refused(field, "its id is not of letters, digits, `-`, `_` and `.`", "rename it"));
    }
    if TAKEN_IDS.contains(&id.to_ascii_lowercase().as_str()) {
        return Err(AnacondaError::refused(field, "CentOS has a repository of this id already", "rename it"));
    }
    Ok(Repo {
        name: Word::new(&**id).in_field(&*field)?,
        baseurl: Url::new(format!("file://{VOLUME_DIR}/{id}")).in_field(&*field)?,
        // If a package is on the medium too, the recipe's copy is to be taken.
        cost: Some(10),
    })
}
