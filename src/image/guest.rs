//! Facts from the image's files for a receiver, such as a cloud.

use std::path::Path;

use super::disk::Disk;
use super::error::ImageError;
use super::inspect::os_release;
use super::root::Root;
use crate::base::text::printable;
use crate::handover::{Architecture, Guest, Receiver};

/// Where distributions and pip put cloud-init.
const CLOUD_INIT: [&str; 2] = ["/usr/bin/cloud-init", "/usr/local/bin/cloud-init"];
/// QEMU's guest agent, of Debian and of Red Hat's; EL6 has it in the second place, too.
const GUEST_AGENT: [&str; 3] = ["/usr/sbin/qemu-ga", "/usr/bin/qemu-ga", "/usr/local/bin/qemu-ga"];
/// A program of every system.
const SHELL: &str = "/bin/sh";
/// Bytes of /etc/passwd that are read, and of a list of keys.
const MAX_BYTES: u64 = 4 << 20;
/// The system that is assumed when an image does not name one, because goldsmith builds no other.
const UNKNOWN: Guest = Guest {
    os_id: String::new(),
    os_version: String::new(),
    architecture: Architecture::X86_64,
    cloud_init: false,
    guest_agent: false,
    vagrant: false,
};

/// The system of an image, or the reason why it is not known.
#[derive(Debug)]
pub struct Seen {
    /// The system; a property that is not known has the value of most images.
    pub guest: Guest,
    unread: Option<ImageError>,
}

impl Seen {
    /// Look at the files of `disk`.
    pub fn of(disk: &Disk) -> Self {
        match Root::open(disk).and_then(|root| look(&root)) {
            Ok(guest) => Self { guest, unread: None },
            Err(error) => Self { guest: UNKNOWN, unread: Some(error) },
        }
    }

    /// A warning of what `receiver` may not accept about the image: one sentence.
    pub fn warning(&self, receiver: Receiver) -> Option<String> {
        match &self.unread {
            Some(error) => Some(format!("whether the image {} cannot be told: {}", receiver.wish(), printable(&error.to_string()))),
            None => receiver.missing(&self.guest),
        }
    }
}

fn look(root: &Root) -> Result<Guest, ImageError> {
    let has_one = |paths: &[&str]| paths.iter().try_fold(false, |found, path| Ok::<_, ImageError>(found || root.exists(path)?));
    let release = os_release(root)?;
    let (os_id, os_version) = release.map(|found| (found.id, found.version_id)).unwrap_or_default();
    let program = if root.exists(SHELL)? { root.read_start(SHELL, 20)? } else { Vec::new() };
    Ok(Guest {
        os_id,
        os_version,
        architecture: Architecture::of_elf(&program).unwrap_or(UNKNOWN.architecture),
        cloud_init: has_one(&CLOUD_INIT)?,
        guest_agent: has_one(&GUEST_AGENT)?,
        vagrant: has_vagrant(root)?,
    })
}

/// Whether the account `vagrant` has a list of keys with something in it (sshd(8), `AUTHORIZED_KEYS FILE FORMAT`).
fn has_vagrant(root: &Root) -> Result<bool, ImageError> {
    let accounts = root.read_if_there("/etc/passwd", MAX_BYTES)?.unwrap_or_default();
    let accounts = String::from_utf8_lossy(&accounts);
    let Some(home) = accounts.lines().find(|line| line.starts_with("vagrant:")).and_then(|line| line.split(':').nth(5)) else {
        return Ok(false);
    };
    let keys = root.read_if_there(Path::new("/").join(home).join(".ssh/authorized_keys"), MAX_BYTES)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&keys).lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')))
}
