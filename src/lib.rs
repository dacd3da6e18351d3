//! goldsmith turns one TOML recipe into a golden VM image that has been proved to work.

pub mod base;
pub mod recipe;
pub mod kickstart;
pub mod installer;
pub mod cache;
pub mod sources;
pub mod plan;
pub mod machine;
pub mod image;
pub mod stages;
pub mod verify;
pub mod artifact;
pub mod pipeline;
pub mod cli;
