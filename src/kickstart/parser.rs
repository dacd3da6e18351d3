//! Reads and checks any kickstart as the installer of CentOS 7.5 does.
//!
//! The verdict is that of Anaconda 21.48.22.134 with pykickstart 1.99.66.18 on Python 2.7: a file that they accept has no error here, and a
//! file that they refuse has one. They stop at the first error; this parser finds all errors of a file, each with its place. It reads no
//! file: included files come from the caller ([`Includes`]), and those that are made or fetched during the installation are marked
//! [`Included::Unknown`].
//!
//! ```text
//! text ─machine→ lines ─shlex→ words ─optparse, by the rows of storage and system→ options ─rules→ Document
//! ```
//!
//! The rows are data: a command, its class in pykickstart, its options with their types, and the options that exclude each other. `rules`
//! has the conditions that need code.
//!
//! The verdict is based on the sources of pykickstart r1.99.66.18-1 and of Anaconda 21.48.22.134-1, and on tens of thousands of generated
//! kickstarts that were judged by that parser itself on Python 2.7.18 (tests/kickstart_parser/verdicts.rs, with a table of the files that
//! are judged otherwise on purpose).
//!
//! Two things are not judged: errors that Anaconda finds only when it acts (missing disks, packages and time zones; `anaconda` has those
//! that need no machine), and the lines of `%addon`.

mod advice;
mod anaconda;
mod diagnostic;
mod dialect;
mod document;
mod findings;
mod include;
mod machine;
mod optparse;
mod packages;
mod rules;
mod secrets;
mod shlex;
mod span;
mod spec;
mod storage;
mod system;
mod view;

pub use diagnostic::{Diagnostic, Severity};
pub use document::*;
pub use include::{Found, Includes};
pub use secrets::without_secrets;
pub use shlex::Argument;
pub use span::{SourceFile, Span};
pub use view::{Addon, PackageSelection, ScriptSection};

/// Read the kickstart `text`. `name` is its name in messages, and [`Includes::read`] gets it as the file that an `%include` is in.
///
/// Time and memory are in proportion to the length of any text; 256 files and 16 MiB are included at most.
pub fn parse(name: &str, text: &str, includes: &dyn Includes) -> Document {
    let mut machine = machine::Machine::new(includes);
    let items = machine.read(name, text);
    let (files, diagnostics) = machine.findings.finish();
    let mut document = Document { files, items, diagnostics };
    let refusals = anaconda::refusals(&document);
    document.diagnostics.extend(refusals);
    document.diagnostics.sort_by_key(|found| found.span);
    document
}
