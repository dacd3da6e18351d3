//! Local machines from images: start one, sit at its serial console, end it.
//!
//! ```text
//! path ─Source::find→ image, firmware ─overlay→ disk of its own ─launch→ LocalVm ─attend→ powered off | escaped
//! ```
//!
//! The image is never written: the machine's disk is an overlay, thrown away or kept beside it. This module does not depend on recipes, nor
//! on the terminal at the other end of the console.

mod at_rest;
mod client;
mod cloned;
mod clones;
mod control;
mod copy;
mod disk;
mod error;
mod finished;
mod host_keys;
mod impersonal;
mod logins;
mod name;
mod neighbours;
mod network;
mod own_files;
mod personal;
mod record;
mod service;
mod snapshots;
mod socket;
mod source;
mod supervisor;
mod switch;
mod table;
mod told;
mod until;
mod up;
mod vm;
mod volume;
mod wait;
mod wanted;
mod warm;

pub use at_rest::{AtRest, at_rest};
pub use client::{Command, Feed, Heard, Hearing, command, console, screenshot, status, stop};
pub use cloned::{ClonedFile, WantedFiles, clone_files, require_new, usual_kind};
pub use clones::{Likeness, Own, WarmFrom, compare};
pub use control::{State, Status};
pub use copy::{Transferred, copy_in, copy_out};
pub use disk::Kept;
pub use error::{PortOf, RunError};
pub use logins::Logins;
pub use name::Name;
pub use network::{Address, Membership};
pub use record::{Ended, Machines, Place, Record};
pub use snapshots::{Snapshot, remove as remove_snapshot, restore as restore_snapshot, save as save_snapshot, snapshots};
pub use source::{Packed, Source};
pub use supervisor::supervise;
pub use until::Until;
pub use up::{Supervisor, Wanted, begin, make, warm};
pub use vm::{Attended, Facts, LocalVm, Options, start};
pub use volume::Volume;
pub use wait::wait;
pub use wanted::{Many, Personal, Table};
pub use warm::{SUFFIX as STATE_SUFFIX, Warm, Warmth, write as write_state};
