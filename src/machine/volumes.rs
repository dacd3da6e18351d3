//! Directories of the host in a guest: virtiofs, which a `virtiofsd` of ours serves for each.
//!
//! ```text
//!   directory ── virtiofsd, as root of namespaces of its own ── a socket ── QEMU ── virtiofs in the guest
//! ```
//!
//! In the namespaces of an ordinary user, root of the guest is that user, and other accounts have its subordinate ids (subuid(5)). Nothing
//! outside the directory is reached: it is mounted at a directory of ours, and virtiofsd changes its root to that (`sandbox=chroot`). A volume
//! that is only to be read is mounted so: the virtiofsd of QEMU 7.2 has no option for that, and root of the guest can mount its side anew. Its
//! options are separated by commas, which the name of a user's directory may have, and a relative name would be one below `/`.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::error::MachineError;
use super::sockets::Sockets;
use super::spec::Volume;
use crate::base::process::{Invocation, Lines, Running, Tool};

/// Flags of a mount that a user namespace keeps (mount_namespaces(7)): the second mount of the directory must have them, too.
const KEPT: [(StatVfsMountFlags, &str); 3] =
    [(StatVfsMountFlags::NOSUID, ",nosuid"), (StatVfsMountFlags::NODEV, ",nodev"), (StatVfsMountFlags::NOEXEC, ",noexec")];
/// Mount the directory `$1` at `$2`, with the options `$3` if there are such, and become the rest.
const MOUNT: &str = "mount --bind \"$1\" \"$2\" && { [ -z \"$3\" ] || mount -o \"remount,bind,$3\" \"$2\"; } && shift 3 && exec \"$@\"";
/// Lines of a virtiofsd that are kept, the last ones.
const LINES: usize = 5;

/// A directory that is served. Dropping it ends its virtiofsd.
#[derive(Debug)]
pub(super) struct Served {
    dir: String,
    running: Running,
}

/// Serve the directories of `volumes` for the machine `machine`. Gives a connection to each, which is QEMU's.
///
/// # Errors
/// One is no directory that can be read, or virtiofsd is not there.
pub(super) fn serve(machine: &str, volumes: &[Volume], sockets: &Sockets) -> Result<(Vec<Served>, Vec<OwnedFd>), MachineError> {
    let served = |(index, volume): (usize, &Volume)| {
        let dir = volume.dir.display().to_string();
        let cannot = |source| MachineError::File { machine: machine.to_owned(), what: format!("the volume {dir}"), source };
        fs::read_dir(&volume.dir).map_err(cannot)?;
        let (listener, connection) = sockets.pair(&format!("volume{index}")).map_err(cannot)?;
        let options = if volume.read_only { read_only(&volume.dir).map_err(cannot)? } else { String::new() };
        let place = sockets.path(&format!("volume{index}.dir"));
        let source = format!("source={}", place.display());
        if source.contains(',') {
            return Err(cannot(io::Error::new(io::ErrorKind::InvalidInput, "the directory of temporary files has a comma in its name")));
        }
        fs::create_dir(&place).map_err(cannot)?;
        let invocation = Invocation::new(Tool::Shell).args(["-c", MOUNT, "sh"]).arg(&volume.dir).arg(&place).arg(options);
        let invocation = invocation.arg(Tool::Virtiofsd.find()?).arg(format!("--fd={}", listener.as_raw_fd()));
        let invocation = invocation.args(["-o", &source, "-o", "sandbox=chroot"]);
        let running = invocation.inherit(listener).contained().spawn()?;
        Ok((Served { dir, running }, connection))
    };
    volumes.iter().enumerate().map(served).collect()
}

/// The options of a mount of `dir` that is only read.
fn read_only(dir: &Path) -> io::Result<String> {
    let flags = statvfs(dir)?.f_flag;
    let kept = KEPT.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, option)| option);
    Ok(std::iter::once("ro").chain(kept).collect())
}

impl Served {
    /// Read what virtiofsd says as long as it lives.
    pub(super) fn keep(mut self) -> Running {
        let child = self.running.child_mut();
        let (mut output, mut errors) = (Lines::new(child.stdout.take()), Lines::new(child.stderr.take()));
        tokio::spawn(async move { while output.next().await.is_some() {} });
        tokio::spawn(async move { while errors.next().await.is_some() {} });
        self.running
    }

    /// Why QEMU could not use it: the last words of a virtiofsd that has ended. `None` when it runs.
    pub(super) async fn failure(&mut self) -> Option<(String, String)> {
        let child = self.running.child_mut();
        child.try_wait().ok()??;
        let mut errors = Lines::new(child.stderr.take());
        let mut said = Vec::new();
        while let Some(line) = errors.next().await {
            said.push(line);
        }
        Some((self.dir.clone(), said.split_off(said.len().saturating_sub(LINES)).join("; ")))
    }
}
