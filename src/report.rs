//! `report.html`: what was built, how long each part took, what was checked and what came out, on one page that needs no other file.
//!
//! ```text
//! events ─Recorder→ Recorded ─┐
//! manifest or failure ────────┤
//! disk map, packages ─────────┼→ Page ─render→ HTML
//! what changed, screens ──────┘
//! ```
//!
//! The template (`report/template.html`) escapes every value: a guest chooses many of them. It has no script, and its policy forbids to
//! load anything that is not in the file.

mod disk;
mod page;
mod recorder;
mod timeline;

pub use disk::DiskMap;
pub use page::{Changes, Command, Evidence, Failed, Log, PackageSize, Page, PageError, Screen};
pub use recorder::{Recorded, RecordedTask, Recorder};
