//! Debian package repositories.

mod packages;
mod pick;
mod record;
mod relation;
mod release;
pub(super) mod stanza;

pub use packages::add_packages;
pub use pick::{Picked, pick};
pub use release::{IndexFile, Release};
