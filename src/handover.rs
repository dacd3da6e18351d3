//! What is handed over with an image: the documents that hypervisors, clouds and registries want beside it, or around it.
//!
//! Pure: facts of an image in, text out. `image::export` puts such documents into files, and the command line prints them.

mod guest;
pub mod oci;
pub mod vagrant;

pub use guest::{Architecture, Guest, Receiver};

/// Whole units of `unit` bytes that `bytes` need.
fn units(bytes: u64, unit: u64) -> u64 {
    bytes.div_ceil(unit)
}

/// Bytes of a gibibyte.
const GIB: u64 = 1 << 30;

#[cfg(test)]
mod examples {
    use super::*;

    pub(super) fn guest() -> Guest {
        Guest {
            os_id: "debian".into(),
            os_version: "12".into(),
            architecture: Architecture::X86_64,
            cloud_init: false,
            guest_agent: false,
            vagrant: false,
        }
    }
}
