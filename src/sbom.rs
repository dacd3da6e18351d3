//! A software bill of materials: the packages of an image, as SPDX and as CycloneDX.
//!
//! ```text
//! Installation ─entry→ Entry: a package, its package URL, its licence ─┬─ spdx ──────→ SPDX 2.3, JSON
//!                                                                      └─ cyclonedx ─→ CycloneDX 1.6, JSON
//! ```
//!
//! Pure, and deterministic: the same subject with the same packages gives the same bytes. The bill only states what the package database
//! says: a licence that is no SPDX expression is quoted, not translated.

mod cyclonedx;
mod entry;
mod identity;
mod license;
mod maker;
mod purl;
mod spdx;
mod subject;

pub use cyclonedx::cyclonedx;
pub use entry::last_installed;
pub use spdx::spdx;
pub use subject::{Subject, System};
