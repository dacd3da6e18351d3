//! The request for a build, and its result.

use std::path::Path;

use super::published::HostPaths;
use crate::artifact::{Artifact, Overwrite};
use crate::cache::Store;
use crate::machine::visit::Visitor;
use crate::recipe::{Media, Recipe, Supply};
use crate::sources::Web;

/// A request for a build.
#[derive(Debug)]
pub struct Request<'a> {
    /// The recipe to build.
    pub recipe: &'a Recipe,
    /// Where layers are kept.
    pub store: &'a Store,
    /// How the network is reached.
    pub web: &'a Web,
    /// The directory of the artifact.
    pub target: &'a Path,
    /// The permission to replace another artifact there.
    pub overwrite: Overwrite,
    /// Directories of this host that are not named in what is published.
    pub host_paths: &'a HostPaths,
    /// The user who gets the console of a failed machine before it ends.
    pub visitor: Option<&'static dyn Visitor>,
}

impl Request<'_> {
    /// The directories of this host that a build's warnings and progress may name.
    pub(super) fn private_paths(&self) -> HostPaths {
        let recipe = self.recipe;
        let iso = match &recipe.media {
            Media::Anaconda { iso, .. } => iso.path.as_deref(),
            Media::Deploy { .. } => None,
        };
        let archives = recipe.repositories.iter().filter_map(|repository| match &repository.supply {
            Supply::Archive(archive) => archive.path.as_deref(),
            Supply::Upstream(_) => None,
        });
        let images = recipe.container_images.iter().map(|image| image.path.as_path());
        let inputs = iso.into_iter().chain(archives).chain(images).filter_map(Path::parent);
        inputs.fold(self.host_paths.of_run(self.store.root(), self.target), |known, dir| known.with(dir, "INPUT"))
    }
}

/// How a build succeeded.
#[derive(Debug)]
pub enum Built {
    /// It was there already.
    UpToDate(Artifact),
    /// It was made and proved.
    New(Artifact),
}
