//! Local machines from images: start one, sit at its serial console, end it.
//!
//! ```text
//! path ─Source::find→ image, firmware ─overlay→ disk of its own ─launch→ LocalVm ─attend→ powered off | escaped
//! ```
//!
//! The image is never written: the machine's disk is an overlay, thrown away or kept beside it. Knows nothing of recipes, nor of
//! the terminal at the other end of the console.

mod disk;
mod error;
mod logins;
mod source;
mod vm;

pub use disk::Kept;
pub use error::RunError;
pub use logins::Logins;
pub use source::Source;
pub use vm::{Attended, Facts, LocalVm, Options, start};
