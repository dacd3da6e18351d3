//! The differences of two images: packages, settings, users, files, sizes.
//!
//! ```text
//! two Disks ─facts→ what each system is set to ─┐
//!           ─inventory→ packages ───────────────┼→ Comparison ─summary→ a few lines
//!           ─files→ both trees, walked together ┘
//! ```
//!
//! A file is reported with the reason of its change, when the comparison knows one: when a package has another version, its files belong to
//! the change of the package. Times are not compared: they differ between any two builds.

mod difference;
mod error;
mod facts;
mod files;
mod ids;
mod packages;
mod reason;
mod summary;
mod text;

use std::sync::Arc;

use crate::base::aside::Meter;
use crate::image::{Disk, ImageError, Root};

pub use difference::{Bytes, Change, Comparison, Fate, FileChange, Sizes};
pub use error::CompareError;

use facts::Facts;

/// Compare the systems in two images. `with_text` asks for the differences in the text of configuration. `meter` counts the bytes of files
/// that were read, and ends the work once the waiter is gone.
///
/// # Errors
/// An image is damaged or holds no system, or the waiter is gone.
pub fn compare(before: &Disk, after: &Disk, with_text: bool, meter: &Arc<Meter>) -> Result<Comparison, CompareError> {
    let roots = (Root::open(before)?, Root::open(after)?);
    let facts = (Facts::of(before, &roots.0)?, Facts::of(after, &roots.1)?);
    let packages = packages::changes(&roots.0, &roots.1)?;
    let mut found = Comparison {
        system: facts::changes(&facts.0.system, &facts.1.system),
        units: facts::changes(&facts.0.units, &facts.1.units),
        users: facts::users(&facts.0, &facts.1),
        sysctls: facts::changes(&facts.0.sysctls, &facts.1.sysctls),
        kernel_arguments: facts::changes(&facts.0.kernel_arguments, &facts.1.kernel_arguments),
        packages: packages.changes,
        files: files::changes(&roots.0, &roots.1, meter)?,
        sizes: Sizes {
            disk: Bytes { before: before.info().virtual_size, after: after.info().virtual_size },
            file: Bytes { before: before.info().file_size, after: after.info().file_size },
            used: Bytes { before: used(&roots.0)?, after: used(&roots.1)? },
        },
    };
    reason::explain(&mut found, &packages.files);
    for file in found.files.iter_mut().filter(|file| file.because.is_none()) {
        if ids::is_all(&roots.0, &roots.1, file)? {
            file.because = Some(ids::REASON.to_owned());
        }
    }
    if with_text {
        for file in &mut found.files {
            file.text = text::unified(&roots.0, &roots.1, file)?;
        }
    }
    Ok(found)
}

fn used(root: &Root) -> Result<u64, ImageError> {
    let usage = root.usage()?;
    Ok(usage.size.saturating_sub(usage.free))
}
