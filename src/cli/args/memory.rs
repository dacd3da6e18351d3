//! The memory of a VM, as a user gives it.

use crate::base::size::{ByteSize, NotASize};
use crate::machine::spec::LEAST_MEMORY;

/// A size that a VM can have as memory.
///
/// # Errors
/// It is no size, or too little.
pub(super) fn vm_memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse().map_err(|error: NotASize| error.to_string())?;
    match size.bytes() {
        least if least >= LEAST_MEMORY.bytes() => Ok(size),
        bytes if text.trim().bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("without a unit this is {bytes} bytes, and {LEAST_MEMORY} is the least; write `{bytes}M` for MiB"))
        }
        _ => Err(format!("{LEAST_MEMORY} is the least")),
    }
}
