//! QEMU's sockets, bound and connected by us before QEMU starts.
//!
//! The listening ends are inherited by QEMU. Our connections already wait in their queues, so we need not wait for a file to appear, and no
//! other process can connect first. The files stay, in a directory only we may enter, so that a kept machine can be reached after we hang
//! up.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::base::claim::{self, ClaimedDir};

/// Longest path of a socket: `sun_path` of unix(7) has 108 bytes, the last one NUL.
const PATH_BYTES: usize = 107;

/// The prefix of the names of these directories.
const PREFIX: &str = "goldsmith-vm-";

/// A private directory of sockets. It is removed when this value is dropped; the one of a killed process is removed when the next one is
/// made.
#[derive(Debug)]
pub(super) struct Sockets {
    dir: ClaimedDir,
}

/// One connected line: our end, and the listening end for QEMU.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) ours: tokio::net::UnixStream,
    pub(super) listener: OwnedFd,
}

impl Line {
    /// The number QEMU will know the listening end by.
    pub(super) fn fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

impl Sockets {
    pub(super) fn new() -> io::Result<Self> {
        let parent = roomy(std::env::temp_dir());
        claim::sweep(&parent, PREFIX);
        Ok(Self { dir: ClaimedDir::new(&parent, PREFIX, 0o700)? })
    }

    /// Where the line `name` is or would be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Bind and connect the line `name`.
    pub(super) fn line(&self, name: &str) -> io::Result<Line> {
        let listener = UnixListener::bind(self.path(name))?;
        let ours = connect(&self.path(name))?;
        Ok(Line { ours, listener: listener.into() })
    }

    /// The two ends of the line `name`, for two children: one that listens, and one that is connected.
    pub(super) fn pair(&self, name: &str) -> io::Result<(OwnedFd, OwnedFd)> {
        let listener = UnixListener::bind(self.path(name))?;
        let connected = UnixStream::connect(self.path(name))?;
        Ok((listener.into(), connected.into()))
    }
}

/// `dir`, unless it leaves no room for our names.
fn roomy(dir: PathBuf) -> PathBuf {
    let room = PATH_BYTES - "/goldsmith-vm-123456/port99".len();
    if dir.as_os_str().len() <= room { dir } else { "/tmp".into() }
}

fn connect(path: &Path) -> io::Result<tokio::net::UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_long_directory_is_passed_over() {
        let [fits, long] = [80, 81].map(|length| PathBuf::from("/".repeat(length)));
        assert_eq!((roomy(fits.clone()), roomy(long)), (fits, PathBuf::from("/tmp")));
    }

    #[test]
    fn sockets_are_private_and_vanish() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let sockets = Sockets::new().unwrap();
        let line = sockets.line("port99").unwrap();
        let dir = sockets.dir.path().to_owned();
        assert!(line.fd() > 2 && sockets.path("port99").as_os_str().len() <= PATH_BYTES);
        assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        drop(sockets);
        assert!(!dir.exists());
    }
}
