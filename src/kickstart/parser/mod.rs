//! Reads and checks anybody's kickstart as the installer of CentOS 7.5 does.
//!
//! The verdict is that of Anaconda 21.48.22.134 with pykickstart 1.99.66.18 on Python 2.7: what they take has no error here, what they
//! refuse has one. Unlike them, all errors of a file are found, each with its place. No file is read here: included files come from the
//! caller ([`Includes`]); those that are made or fetched during the installation are marked [`Included::Unknown`].
//!
//! ```text
//! text ─machine→ lines ─shlex→ words ─optparse, by the rows of storage and system→ options ─rules→ Document
//! ```
//!
//! The rows are data: a command, its class in pykickstart, its options with their types, what excludes what. `rules` has the odd ones.
//!
//! What the verdict rests on: the 91 cases judged by the parser of 7.5 itself, pykickstart 3.78 (which keeps the old classes), the public
//! sources of 1.99.66's mount.py, snapshot.py and timezone.py, older versions of the other files, and the changelog of the RPM.
//! 1.99.66.18 as a whole was not at hand. Inferred, and to be looked at first when a verdict is doubted: the options
//! `logvol --cache…` and `--hibernation`, which commands drop words left over, `autopart` after `mount`, and the details of `keyboard`,
//! `url`, `updates`, `iscsiname`, `unsupported_hardware` and `pwpolicy`.
//!
//! Not judged: what Anaconda finds only when it acts (disks, packages, time zones that do not exist), and the lines of `%addon`.

mod diagnostic;
mod document;
mod findings;
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
pub use machine::Includes;
pub use secrets::without_secrets;
pub use shlex::Argument;
pub use span::{SourceFile, Span};
pub use view::{Addon, PackageSelection, ScriptSection};

/// Read the kickstart `text`. `name` is what messages call it, and what [`Includes::read`] is told as the file an `%include` is in.
///
/// Takes time and memory in proportion to the text, whatever it is; 256 files and 16 MiB are included at most.
pub fn parse(name: &str, text: &str, includes: &dyn Includes) -> Document {
    let mut machine = machine::Machine::new(includes);
    let items = machine.read(name, text);
    let (files, diagnostics) = machine.findings.finish();
    Document { files, items, diagnostics }
}
