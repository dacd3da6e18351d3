//! The published result: one directory, which is either complete or absent.
//!
//! ```text
//! NAME/
//!   NAME.qcow2      the image that was proved
//!   manifest.json   what it was made from, by what, and how it was proved
//!   report.html     the same for people, on one page
//!   SHA256SUMS      digests of the other files, for `sha256sum -c`
//!   build.ndjson    begins, ends, progress and warnings of the build, one event per line
//! NAME.failed-TIME/ what a failed build leaves instead: evidence, mode 0700
//! ```
//!
//! A build fills a [`Draft`]; publishing writes the manifest and the digests, checks the image's digest and gives the directory its name in
//! one step. It never replaces anything that is not an artifact, and replaces an artifact of another content id only on request.

mod directory;
mod draft;
mod error;
mod manifest;
mod place;

pub use directory::{Artifact, EVENTS_FILE, Found, MANIFEST_FILE, PAGE_FILE, SUMS_FILE, evidence_dir, existing, open, open_regular};
pub use draft::Draft;
pub use error::ArtifactError;
pub use manifest::{
    Changed, FileRecord, ImageRecord, InputRecord, Manifest, Parent, SCHEMA, SignatureRecord, StageRecord, StateRecord, Verification,
};
pub use place::{Overwrite, Place, replaces};
