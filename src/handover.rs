//! What is handed over with an image: the documents that hypervisors, clouds and registries want beside it, or around it.
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
