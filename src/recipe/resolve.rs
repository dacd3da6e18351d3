//! From a recipe as written to a recipe that cannot be wrong: every value is spelled right, none contradicts another, every file it needs is read.
//!
//! The types fit already. Each function takes a written part and its path, tells the [`judge::Judge`] what is wrong, and gives the resolved part,
//! with anything in the place of what is wrong: once there is an error, the result is thrown away.

mod checks;
mod containers;
mod content;
mod docker;
mod fields;
mod judge;
mod keys;
mod own_kickstart;
mod parts;
mod published;
mod repositories;
mod system;

pub(super) use judge::{Judge, cannot_read};
pub(super) use parts::recipe;
