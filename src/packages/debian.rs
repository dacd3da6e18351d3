//! Debian package repositories.

mod installed;
mod packages;
mod pick;
mod record;
mod relation;
mod release;
mod stanza;

pub use installed::installed;
pub use packages::add_packages;
pub use pick::{Picked, pick};
pub use release::{IndexFile, Release};
