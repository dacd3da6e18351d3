//! Resolves a recipe's inputs to pins, and pins to verified local files.
//!
//! A [`Pins`] names every input by digest: it is what stage ids are made of. Only this module makes a [`VerifiedFile`], so code that has
//! one need not check the bytes again.

mod apt;
pub mod bundle;
mod containers;
mod debian;
mod error;
mod fetch;
mod host;
mod in_release;
mod indexes;
pub mod iso9660;
mod magic;
pub mod medium;
mod packing;
mod resolve;
mod resolved;
mod signatures;
mod unresolved;
mod upstream;
mod verified;

pub use apt::AptSource;
pub use containers::{ContainerArchive, PackedImage, all_images, container_runs, write as write_images, written_bytes as image_bytes};
pub use debian::{DebianChoice, DebianPackage, DebianRepository, gather_debian};
pub use error::SourceError;
pub(crate) use fetch::shown;
pub use fetch::{Awaited, Fetch, Proxies, Web};
pub use host::Host;
pub use indexes::{PackageIndex, contents, has_contents, index_digests, indexes};
pub use resolve::{resolve, resolve_containers};
pub use resolved::{Choice, Chosen, Gathered, Proved, Resolved, Suite, VerifiedMedium};
pub use signatures::{Proof, Signers};
pub use unresolved::Unresolved;
pub use upstream::{OnlinePackages, RemotePackage, Upstream, gather, prove};
pub use verified::VerifiedFile;

use serde::Serialize;

use crate::base::digest::Sha256Digest;

/// Every input of a build by digest, in the order of the recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pins(pub Vec<Pin>);

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// What it is to the recipe: `iso`, `archive kubernetes`, `packages kubernetes`, `debian bookworm-updates`, `container_image app.tar`.
    pub name: String,
    /// Its digest.
    pub sha256: Sha256Digest,
    /// The places in the recipe from which it can be fetched again.
    pub urls: Vec<String>,
}
