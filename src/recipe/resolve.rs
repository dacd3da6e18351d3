//! Resolves a recipe as written to a checked recipe: every value is spelled right, none contradicts another, and every file it needs is
//! read.
//!
//! The types have been checked before. Each function takes a written part and its path, reports errors to the [`judge::Judge`], and returns
//! the resolved part. In place of a wrong value it may return anything, because with an error the result is thrown away.

mod authorities;
mod checks;
mod containers;
mod content;
mod docker;
mod fields;
mod interfaces;
mod judge;
mod keys;
mod network;
mod ntp;
mod own_kickstart;
mod parts;
mod proxy;
mod published;
mod repositories;
mod run;
mod system;
mod units;

pub(super) use judge::{Judge, cannot_read};
pub(super) use parts::recipe;
