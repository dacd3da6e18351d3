//! Values and tools that mean the same everywhere.
//!
//! Nothing here depends on images, machines or recipes; every other module may use it.

pub mod account;
pub mod aside;
pub mod atomic;
pub mod certificate;
pub mod claim;
pub mod digest;
pub mod event;
pub mod failure;
pub mod fault;
pub mod fingerprint;
pub mod gzip;
pub mod host;
pub mod host_name;
pub mod image_path;
pub mod ipv4;
pub mod journal;
pub mod kernel;
pub mod local_url;
pub mod lock;
pub mod namespaces;
pub mod package;
pub mod password_hash;
pub mod process;
pub mod public_key;
pub mod random;
pub mod read_at;
pub mod region;
pub mod repository_id;
pub mod secret;
pub mod size;
pub mod text;
pub mod unit;
pub mod unit_file;
pub mod uuid;
pub mod word;
