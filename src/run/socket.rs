//! Unix sockets at paths of any length.
//!
//! A socket's address has room for 107 bytes (unix(7), `sun_path`), and a state directory may be deeper. So a socket is named through the open
//! descriptor of its directory.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use tokio::net::{UnixDatagram, UnixListener, UnixStream};

/// Listen at `path`, for this user alone: its directory must not be open to others.
///
/// # Errors
/// Something has that name, or the directory cannot be opened.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    let (dir, short) = short(path)?;
    let listener = UnixListener::bind(short);
    drop(dir);
    listener
}

/// Connect to the socket at `path`.
///
/// # Errors
/// No process listens there.
pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let (dir, short) = short(path)?;
    let stream = UnixStream::connect(short).await;
    drop(dir);
    stream
}

/// Take datagrams at `path`, of this user alone: its directory must not be open to others.
///
/// # Errors
/// As [`bind`].
pub(super) fn datagrams(path: &Path) -> io::Result<UnixDatagram> {
    let (dir, short) = short(path)?;
    let socket = UnixDatagram::bind(short);
    drop(dir);
    socket
}

/// Send datagrams to the socket at `path`.
///
/// # Errors
/// No process takes them.
pub(super) fn to_datagrams(path: &Path) -> io::Result<UnixDatagram> {
    let (dir, short) = short(path)?;
    let socket = UnixDatagram::unbound()?;
    socket.connect(short)?;
    drop(dir);
    Ok(socket)
}

fn short(path: &Path) -> io::Result<(File, PathBuf)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let dir = File::open(parent)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
    Ok((dir, short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_has_room_for_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let path = deep.join("s");
            let listener = bind(&path).unwrap();
            assert!(path.exists() && bind(&path).is_err());
            let (client, served) = tokio::join!(connect(&path), listener.accept());
            assert!(client.is_ok() && served.is_ok());
        });
    }
}
