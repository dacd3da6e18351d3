//! One file per command: it asks the other modules and says what they answered.

pub mod completions;
pub mod doctor;
pub mod init;
pub mod man;
pub mod build;
pub mod kickstart;
pub mod plan;
pub mod image;
pub mod verify;
