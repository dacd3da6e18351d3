//! Kickstart as a typed language: what the installer of RHEL 7 reads, as values that cannot be an invalid file.
//!
//! [`Kickstart`] holds a file's commands and sections, its fields are of types that check what they hold, and its `Display` is the
//! file. The order of the text is fixed, so equal values are equal bytes. Knows nothing of recipes or machines.
//!
//! The dialect is that of pykickstart 1.99.66.18, the parser of CentOS 7.5. Where today's `ksvalidator -v RHEL7` (pykickstart 3.78)
//! judges otherwise, the construct is not in the model: `sshkey`, `sshpw --sshkey`, `mount`, `upgrade`, `reboot --kexec`,
//! `firewall --use-system-defaults`, `%packages --nobase`.

mod model;
mod render;
mod value;

pub use model::*;
pub use value::*;
