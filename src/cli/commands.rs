//! One file per command: it asks the other modules and says what they answered.

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
