//! Disks in formats that goldsmith does not read itself: `qemu-nbd` shows them.
//!
//! ```text
//! the file, open already ─/proc/self/fd─→ qemu-nbd ─NBD, on a private socket─→ ReadAt
//! ```
//!
//! QEMU is given the driver, and the file that was checked as an open descriptor. So it does not guess the format, does not follow names in
//! the file, and does not open another file that is put in the place of this one meanwhile. We make the socket and connect to it, and its
//! name is removed before the child starts: there is nothing to wait for and nothing to clean up. The child ends when the connection does,
//! and dies with us.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use super::cache::Cache;
use super::error::ImageError;
use super::nbd::{Client, NbdError};
use super::read_at::RawFile;
use crate::base::failure::{Class, Failure};
use crate::base::process::{Invocation, ProcessError, Server, Tool};
use crate::base::read_at::ReadAt;

/// How long one answer may take. QEMU starts within a second and reads a cluster in milliseconds; a sleeping disk takes some seconds to wake.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that a small read fetches and that are kept: the grain of a VMDK, which QEMU unpacks again for each read of it.
const BLOCK_BYTES: u64 = 64 << 10;

/// The names that QEMU's messages have for the file.
struct Names {
    /// The user's name of it.
    path: PathBuf,
    /// The descriptor.
    file: String,
    /// The arguments about it for QEMU.
    node: String,
}

impl Names {
    /// `text` with the user's name of the file.
    fn readable(&self, text: &str) -> String {
        let path = self.path.to_string_lossy();
        [&self.node, &self.file].into_iter().fold(text.to_owned(), |text, name| text.replace(&format!("'{name}'"), &path))
    }
}

/// A disk that `qemu-nbd` shows.
pub(super) struct Served {
    client: Client,
    server: Mutex<Server>,
    names: Names,
    blocks: Mutex<Cache>,
}

impl Served {
    /// Have `file`, which is called `path` in errors, shown by QEMU's driver `driver`. The caller has made sure that the file needs no
    /// other file. The child dies with the thread that calls this.
    ///
    /// # Errors
    /// `qemu-nbd` is not there, does not answer, or cannot read it.
    pub(super) fn new(file: &RawFile, path: &Path, driver: &str) -> Result<Self, ImageError> {
        let failed = |source| ImageError::read(path, source);
        let descriptor = file.descriptor().map_err(failed)?;
        let (listener, stream) = connected().map_err(failed)?;
        let name = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        // A QEMU that writes to the image holds a lock on it, which must not stop us: reading does no harm. No backing file is opened,
        // whatever the format says.
        let opened = json!({"driver": "file", "filename": name, "locking": "off"});
        let node = format!("json:{}", json!({"driver": driver, "read-only": true, "backing": null, "file": opened}));
        let invocation = Invocation::new(Tool::QemuNbd).args(["--read-only", "--shared=1"]).arg(&node);
        let names = Names { path: path.to_owned(), file: name, node };
        let mut server = invocation.inherit(descriptor).serve(listener.into())?;
        match Client::new(stream, PATIENCE) {
            Ok(client) => Ok(Self { client, server: Mutex::new(server), names, blocks: Mutex::default() }),
            Err(error) => Err(not_shown(&names, &error, &mut server)),
        }
    }

    fn error(&self, error: NbdError) -> io::Error {
        match error {
            NbdError::Unreadable(source) => ImageError::Read { path: self.names.path.clone(), source },
            error => {
                let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
                not_shown(&self.names, &error, &mut server)
            }
        }
        .into()
    }

    /// The block that begins at byte `start` of the disk.
    fn block(&self, start: u64) -> io::Result<Arc<[u8]>> {
        let locked = || self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = locked().get((0, start)) {
            return Ok(block);
        }
        // OK to truncate: at most 64 KiB.
        let mut block = vec![0; (self.len() - start).min(BLOCK_BYTES) as usize];
        self.client.read(start, &mut block).map_err(|error| self.error(error))?;
        let block: Arc<[u8]> = block.into();
        locked().put((0, start), Arc::clone(&block));
        Ok(block)
    }
}

/// A listening socket, and a connection that waits in its queue for the server. The socket's name is already removed.
fn connected() -> io::Result<(UnixListener, UnixStream)> {
    // Private: there is no other connection.
    let dir = tempfile::Builder::new().prefix("goldsmith-").tempdir()?;
    let path = dir.path().join("nbd");
    let listener = UnixListener::bind(&path)?;
    let stream = UnixStream::connect(&path)?;
    Ok((listener, stream))
}

/// Why a disk is not shown. If `server` ended by itself, this is its last message, else the error of the connection. `server` is ended
/// here.
fn not_shown(names: &Names, error: &NbdError, server: &mut Server) -> ImageError {
    let ended = server.end();
    let said = ended.evidence().iter().map(|line| names.readable(line)).collect();
    let (what, class) = match (error, ended) {
        (NbdError::Ended, ProcessError::Failed { status, tail, .. }) if status.code().is_some_and(|code| code != 0) => {
            // A message may have lines of advice behind it.
            let lines = || tail.lines().rev().filter(|line| !line.trim().is_empty());
            let message = lines().find_map(|line| line.strip_prefix("qemu-nbd: ")).or_else(|| lines().next());
            (names.readable(message.unwrap_or("it says nothing")), Class::Input)
        }
        (NbdError::Ended, ended @ ProcessError::Failed { .. }) => (ended.to_string(), Class::Host),
        (error, _) => (error.to_string(), Class::Host),
    };
    ImageError::NotShown { path: names.path.clone(), what, said, class }
}

impl ReadAt for Served {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(buf.len() as u64).filter(|end| *end <= self.len());
        end.ok_or(io::ErrorKind::UnexpectedEof)?;
        // A reader of whole blocks goes on and does not come back: nothing is remembered.
        if buf.len() as u64 >= BLOCK_BYTES {
            return self.client.read(offset, buf).map_err(|error| self.error(error));
        }
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let start = at / BLOCK_BYTES * BLOCK_BYTES;
            let block = self.block(start)?;
            // OK to truncate: less than 64 KiB.
            let there = &block[(at - start) as usize..];
            let (part, later) = rest.split_at_mut(there.len().min(rest.len()));
            part.copy_from_slice(&there[..part.len()]);
            at += part.len() as u64;
            rest = later;
        }
        Ok(())
    }

    fn is_hole(&self, offset: u64, len: u64) -> io::Result<bool> {
        let end = offset.checked_add(len).filter(|end| *end <= self.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.client.is_hole(offset, end).map_err(|error| self.error(error))
    }

    fn len(&self) -> u64 {
        self.client.size()
    }
}
