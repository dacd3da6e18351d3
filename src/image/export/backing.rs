//! The file under an overlay.

use crate::hardware::Format;
use crate::image::qcow2::{MAX_BACKING_NAME_BYTES, is_protocol};

/// The file under an overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backing<'a> {
    /// Its path from the overlay's directory.
    pub(super) name: &'a str,
    /// How it keeps the disk.
    pub(super) format: Format,
}

impl<'a> Backing<'a> {
    /// The file `name`, a path relative to the overlay's directory; none when a qcow2 cannot hold that name, or QEMU would take it for a
    /// protocol.
    pub fn new(name: &'a str, format: Format) -> Option<Self> {
        (!name.is_empty() && name.len() <= MAX_BACKING_NAME_BYTES && !is_protocol(name)).then_some(Self { name, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_qemu_takes_for_something_else_is_none() {
        let long = "a".repeat(MAX_BACKING_NAME_BYTES + 1);
        for (name, is_one) in
            [("base/d.qcow2", true), ("d", true), ("./nbd:x", true), ("base/a:b", true), ("nbd:x", false), ("", false), (&long, false)]
        {
            assert_eq!(Backing::new(name, Format::Raw).is_some(), is_one, "{name}");
        }
    }
}
