//! Turns a recipe into what one installer reads: answers, kernel arguments, volumes, phases, failure signatures. Pure.

pub mod accounts;
pub mod anaconda;
pub mod deploy;
