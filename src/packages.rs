//! The packages of repositories, and which of them a system gets: versions, indexes, dependency closure.
//!
//! Pure: bytes come in as readers, nothing is fetched and nothing is run. RPM and Debian share one [`model`]; where they differ,
//! [`version::Scheme`] says which of the two rules holds.

pub mod debian;
pub mod openpgp;
pub mod rpm;

mod brought;
mod checksum;
mod error;
mod grouped;
mod input;
pub mod installed;
pub mod model;
pub mod solve;
pub mod version;
pub mod yum;

pub use brought::Brought;
pub use checksum::{Checksum, NotAChecksum};
pub use error::{At, IndexError, Problem};
pub use input::{Input, Listed};
pub use model::{Environment, Group, Name, Names, Need, Package, PackageFile, PackageId, Relation, Repository, Universe};
pub use solve::{Asked, Closure, Notice, Question, Refused, What, missing_files, resolve};
pub use version::{Op, Scheme};
