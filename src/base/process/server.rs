//! A child that serves a socket of ours, for code that holds up its thread.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStderr, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Invocation, ProcessError, TAIL_BYTES, Tool};

/// How long a child that has closed its socket may take to end by itself, so that its exit status is its own.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes that a pipe holds (pipe(7)): what is beyond them has made the child wait.
const PIPE_BYTES: u64 = 64 << 10;

/// A child that serves a listening socket. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Server {
    tool: Tool,
    command_line: String,
    child: Child,
    stderr: Option<ChildStderr>,
}

impl Invocation {
    /// Start it with the listening `socket`, as systemd hands one on (sd_listen_fds(3): descriptor 3, `LISTEN_FDS`, `LISTEN_PID`). It dies
    /// with the thread that calls this. Descriptors that it inherits must have numbers above 3.
    ///
    /// # Errors
    /// The program is not there or cannot be started.
    pub fn serve(mut self, socket: OwnedFd) -> Result<Server, ProcessError> {
        let (tool, command_line) = (self.tool, self.command_line());
        let failed = |source| ProcessError::Start { tool, source };
        // While something of ours has the number 3, nothing that the standard library opens to start the child can have it.
        let _three = rustix::io::fcntl_dupfd_cloexec(&socket, 3).map_err(|error| failed(error.into()))?;
        self.socket = Some(socket);
        let mut child = self.command()?.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed)?;
        let stderr = child.stderr.take();
        let server = Server { tool, command_line, child, stderr };
        if let Some(stderr) = &server.stderr {
            rustix::io::ioctl_fionbio(stderr, true).map_err(|error| failed(error.into()))?;
        }
        Ok(server)
    }
}

impl Server {
    /// End it, if it has not ended, and tell how: with its last words.
    pub fn end(&mut self) -> ProcessError {
        let patience = Instant::now() + LAST_WORDS;
        let ended = loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < patience => thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    self.kill();
                    break self.child.wait();
                }
                Ok(Some(status)) => break Ok(status),
                Err(error) => break Err(error),
            }
        };
        let tail = self.said();
        match ended {
            Ok(status) => ProcessError::Failed { tool: self.tool, command_line: self.command_line.clone(), status, tail },
            Err(source) => ProcessError::Start { tool: self.tool, source },
        }
    }

    /// The end of what it has written to its standard error and was not read yet. This does not wait.
    fn said(&mut self) -> String {
        let mut bytes = Vec::new();
        if let Some(stderr) = &mut self.stderr {
            // An error means only that there is no more to read now.
            let _: io::Result<usize> = stderr.take(PIPE_BYTES).read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned()
    }

    fn kill(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            // Gone already is as good as killed.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Once a child was waited for, another process may have its number.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
            // It was killed: this does not take long, and leaves no zombie.
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// A shell with a listening socket, and a client that has connected to it.
    fn shell(script: &str) -> (Server, UnixStream) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let server = Invocation::new(Tool::Shell).args(["-c", script]).serve(listener.into()).unwrap();
        (server, client)
    }

    #[test]
    fn the_child_has_the_socket_as_descriptor_3_and_its_last_words_are_kept() {
        let (mut server, mut client) =
            shell("test $LISTEN_PID = $$ && readlink /proc/self/fd/3 >&2; echo $LISTEN_FDS >&2; echo the cause >&2; exit 3");
        // It has ended: the socket is no longer listening.
        assert!(client.read(&mut [0]).is_err() || client.read(&mut [0]).is_ok_and(|count| count == 0));
        let ProcessError::Failed { tail, status, .. } = server.end() else { panic!() };
        assert_eq!(status.code(), Some(3));
        let lines: Vec<_> = tail.lines().collect();
        assert!(lines[0].starts_with("socket:[") && lines[1..] == ["1", "the cause"], "{tail}");
    }

    #[test]
    fn a_child_that_says_no_end_is_killed() {
        let (mut server, _client) = shell("while :; do echo and so on >&2; done");
        let ProcessError::Failed { tail, status, .. } = server.end() else { panic!() };
        assert_eq!(status.code(), None);
        assert!(tail.len() <= TAIL_BYTES && tail.contains("and so on"));
    }

    #[test]
    fn dropping_it_kills_it_and_its_children() {
        let (server, mut client) = shell("sleep 7200 & sleep 7200");
        drop(server);
        // All processes with the listening socket are gone, and so is the connection, which none of them had accepted.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let read = client.read(&mut [0]);
        assert!(!read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock), "{read:?}");
    }
}
