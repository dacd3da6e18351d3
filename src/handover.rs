//! The documents that hypervisors, clouds and registries need beside or around an image.
//!
//! Pure: facts of an image in, text out. `image::export` puts such documents into files, and the command line prints them.

mod guest;
pub mod libvirt;
mod machine;
pub mod oci;
pub mod openstack;
pub mod proxmox;
pub mod vagrant;

pub use guest::{Architecture, Guest, Receiver};
pub use machine::Machine;
