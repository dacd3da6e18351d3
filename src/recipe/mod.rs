//! Turns a TOML file into a checked description of the wanted image, with errors that point at the line.

mod resolved;

pub use resolved::*;
