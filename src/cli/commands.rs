//! One file per command: it calls the other modules and prints their results.

mod copies;
pub mod init;
pub mod check;
pub mod plan;
pub mod build;
pub mod kickstart;
pub mod verify;
pub mod image;
pub mod run;
pub mod machines;
pub mod cache;
pub mod doctor;
pub mod completions;
pub mod man;
pub mod help;
