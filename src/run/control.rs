//! The protocol of a machine's control socket.
//!
//! ```text
//!   client       one line of JSON: a Request        then, after Open or Console, frames: input, its end, another size
//!   supervisor   one line of JSON: an Answer        then, after Opened, frames: output, error output, and the exit status at last
//! ```
//!
//! A frame is one byte of kind, four of length (little-endian), and the bytes.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::name::Name;
use crate::machine::seat::Size;

/// Bytes of a request or an answer: the longest command of a shell fits.
const LINE_BYTES: u64 = 4 << 20;
/// Bytes of a frame.
pub(super) const FRAME_BYTES: usize = 64 << 10;

/// A request to a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// Ask for the machine's status.
    Status,
    /// Run a command, on a terminal of this size or on pipes.
    Open {
        /// The command and its arguments.
        words: Vec<String>,
        /// The terminal.
        size: Option<Size>,
    },
    /// Connect to the console, with frames.
    Console,
    /// Take a picture of the screen.
    Screen,
    /// Change the snapshots of its disk.
    Snapshot {
        /// How.
        change: Change,
        /// The snapshot's name.
        name: Name,
    },
    /// End the machine: by an orderly shutdown within so many seconds, or else by cutting its power.
    Stop {
        /// Seconds.
        seconds: u64,
    },
}

/// A change of a running machine's snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Change {
    /// It is taken.
    Save,
    /// It is removed.
    Remove,
}

/// An answer of a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    /// The machine's status.
    Status(Status),
    /// The command is under way, or the console is there.
    Opened,
    /// The picture is in this file of the machine's directory.
    Screen(PathBuf),
    /// It will be done.
    Done,
    /// It will not be done, for this reason.
    Refused(String),
}

/// The status of a running machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// More about that: the phase of a boot, the cause of a pause.
    pub detail: String,
    /// Process id of QEMU.
    pub qemu: Option<u32>,
    /// Why it has no runner, when it has none: then it can only be reached by its console and its network.
    pub unreachable: Option<String>,
    /// Whether its services are still starting although it is up: it went on from a saved state.
    #[serde(default)]
    pub services_start: bool,
    /// Why it was booted although it was to go on from a saved state.
    #[serde(default)]
    pub cold: Option<String>,
}

/// The state of a running machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its supervisor has started, or the guest boots.
    Starting,
    /// The system is up.
    Up,
    /// The guest has not come up in the time that a boot may take.
    Silent,
    /// The guest is paused.
    Paused,
    /// It was asked to end.
    Stopping,
}

impl State {
    /// The word that is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::Silent => "silent",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
        }
    }
}

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes for the command to read.
    Input,
    /// There will be no more of them.
    InputEnds,
    /// The terminal has another size: rows and columns, two bytes each.
    Resize,
    /// Bytes that the command wrote.
    Output,
    /// Bytes that it wrote to its standard error.
    Errors,
    /// Its exit status, four bytes. The last frame.
    Exit,
    /// Why there will be no exit status. The last frame.
    Broken,
}

impl Kind {
    const ALL: [Self; 7] = [Self::Input, Self::InputEnds, Self::Resize, Self::Output, Self::Errors, Self::Exit, Self::Broken];
}

/// Write a frame.
///
/// # Errors
/// The other end is gone.
pub(super) async fn write_frame(to: &mut (impl AsyncWrite + Unpin), kind: Kind, bytes: &[u8]) -> io::Result<()> {
    let mut frame = Vec::with_capacity(bytes.len() + 5);
    frame.push(kind as u8);
    frame.extend(u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_le_bytes());
    frame.extend_from_slice(bytes);
    to.write_all(&frame).await
}

/// Read a frame. Not safe to cancel.
///
/// # Errors
/// The other end is gone, or does not speak in frames.
pub(super) async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(Kind, Vec<u8>)> {
    let kind = from.read_u8().await?;
    let kind = *Kind::ALL.get(usize::from(kind)).ok_or(io::ErrorKind::InvalidData)?;
    let length = from.read_u32_le().await? as usize;
    if length > FRAME_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok((kind, bytes))
}

/// Write one value as a line.
///
/// # Errors
/// The other end is gone.
pub(super) async fn write_line(to: &mut (impl AsyncWrite + Unpin), value: &impl Serialize) -> io::Result<()> {
    to.write_all(format!("{}\n", serde_json::json!(value)).as_bytes()).await
}

/// Read one value from a line. What follows the line stays in `from`.
///
/// # Errors
/// The other end is gone, or says something else.
pub(super) async fn read_line<T: for<'a> Deserialize<'a>>(from: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<T> {
    let mut line = Vec::new();
    from.take(LINE_BYTES).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn lines_and_frames_go_through_as_they_are() {
        on_runtime(async {
            let (mut ours, theirs) = tokio::io::duplex(1 << 20);
            let mut theirs = BufReader::new(theirs);
            let request = Request::Open { words: vec!["a\nb".into(), "é".into()], size: Some(Size { rows: 24, columns: 80 }) };
            write_line(&mut ours, &request).await.unwrap();
            for (index, kind) in Kind::ALL.into_iter().enumerate() {
                write_frame(&mut ours, kind, &vec![b'\n'; index]).await.unwrap();
            }
            assert_eq!(read_line::<Request>(&mut theirs).await.unwrap(), request);
            for (index, kind) in Kind::ALL.into_iter().enumerate() {
                assert_eq!(read_frame(&mut theirs).await.unwrap(), (kind, vec![b'\n'; index]));
            }
        });
    }

    #[test]
    fn what_is_no_frame_and_no_line_is_refused() {
        on_runtime(async {
            for (bytes, kind) in [
                (&b"\x07\0\0\0\0"[..], io::ErrorKind::InvalidData),
                (b"\0\x01\0\x01\0", io::ErrorKind::InvalidData),
                (b"\0\x02\0\0\0a", io::ErrorKind::UnexpectedEof),
                (b"", io::ErrorKind::UnexpectedEof),
            ] {
                assert_eq!(read_frame(&mut &bytes[..]).await.unwrap_err().kind(), kind, "{bytes:?}");
            }
            for (bytes, kind) in [
                (&b"{\n"[..], io::ErrorKind::UnexpectedEof),
                (b"\"status\"", io::ErrorKind::UnexpectedEof),
                (b"\"x\"\n", io::ErrorKind::InvalidData),
            ] {
                assert_eq!(read_line::<Request>(&mut BufReader::new(bytes)).await.unwrap_err().kind(), kind, "{bytes:?}");
            }
        });
    }
}
