//! Debian package repositories.

mod packages;
mod record;
mod relation;
mod release;
mod stanza;

pub use packages::add_packages;
pub use release::{IndexFile, Release};
