//! Repositories of RPM packages as createrepo makes them.

mod comps;
mod filelists;
pub mod header;
mod href;
mod primary;
mod repomd;
pub mod signed;
mod xml;

pub use comps::add_comps;
pub use filelists::add_filelists;
pub use href::{address, local_path};
pub use primary::add_primary;
pub use repomd::{Data, Entry, Kind, Repomd};
