//! Kickstart as a language: what the installer of RHEL 7 reads, both ways.
//!
//! - To write: [`Kickstart`] holds a file's commands and sections as values that cannot be an invalid file, and its `Display` is the
//!   file. The order of the text is fixed, so equal values are equal bytes.
//! - To read: [`parse`] turns any text into a [`Document`] that keeps every byte of it, with typed options, the place of
//!   everything, and all [`Diagnostic`]s. `parser` says how.
//! - To advise: [`lint`] finds what the parser cannot see but what breaks the installation or the first boot; [`Lint::all`] is the table.
//!
//! The dialect is that of pykickstart 1.99.66.18, the parser of CentOS 7.5. Where today's `ksvalidator -v RHEL7` (pykickstart 3.78)
//! judges otherwise, the construct is not in the model: `sshkey`, `sshpw --sshkey`, `mount`, `upgrade`, `reboot --kexec`,
//! `firewall --use-system-defaults`, `%packages --nobase`. The parser takes them, as 7.5 does.
//!
//! This module does not use recipes or machines, and it reads no file.

mod lints;
mod model;
mod parser;
mod render;
mod value;

pub use lints::{Lint, LintFinding, NameAsked, NetworkCall, lint, names_asked, network_calls};
pub use model::*;
pub use parser::*;
pub use value::*;
