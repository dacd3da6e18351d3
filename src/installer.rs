//! Turns a recipe into what one installer reads: answers, kernel arguments, volumes, phases, failure signatures. Pure.

pub mod accounts;
pub mod anaconda;
pub mod deploy;

/// The shell function `make_directory PATH`, which reads `$target`. Works in the guests of both installers.
pub const MAKE_DIRECTORY: &str = include_str!("../kickstart/directory.sh");
