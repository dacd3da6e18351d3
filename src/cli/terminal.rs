//! The user's terminal, connected to a serial console.
//!
//! Standard input and output are blocking, and stay so, because a shell shares them with this program. So each has a separate thread, and
//! the end of the program need not wait for it.

use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::printer::{self, PrintError};
use super::signals::Ended;
use crate::base::failure::{Class, Failure};
use crate::machine::seat::{Size, Streams};

/// The size of a terminal that does not report one: that of the VT220.
const USUAL_SIZE: Size = Size { rows: 24, columns: 80 };
/// The most pieces in the queue, for each direction.
const PIECES: usize = 16;
/// The time for a slow reader to take the rest of the output.
const FLUSH: Duration = Duration::from_secs(2);

/// A terminal, or streams in place of one. On drop, the terminal is restored.
#[derive(Debug)]
pub struct Terminal {
    raw: Option<Raw>,
    written: oneshot::Receiver<Result<(), PrintError>>,
}

/// The terminal could not be used.
#[derive(Debug, thiserror::Error)]
#[error("the terminal cannot be used: {0}")]
pub struct TerminalError(io::Error);

impl Failure for TerminalError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        Some("run it with standard input from /dev/null to see the console only".into())
    }
}

/// The size of the terminal.
pub fn size() -> Size {
    // A pseudo-terminal reports 0 until a size is set.
    let known = tcgetwinsize(io::stdin()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
    known.map_or(USUAL_SIZE, |size| Size { rows: size.ws_row, columns: size.ws_col })
}

/// Whether there is a terminal, on which ctrl-] can be typed.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

impl Terminal {
    /// Take standard input and output. A terminal becomes raw: each key goes to the guest, ctrl-C too, except ctrl-].
    ///
    /// # Errors
    /// The terminal cannot be set, or a thread cannot be started.
    pub fn open() -> Result<(Self, Streams), TerminalError> {
        Self::with(if is_there() { Some(Raw::enter().map_err(TerminalError)?) } else { None })
    }

    /// As [`Terminal::open`], for a program without a terminal: input comes in lines, and ctrl-C ends goldsmith.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn open_lines() -> Result<(Self, Streams), TerminalError> {
        Self::with(None)
    }

    fn with(raw: Option<Raw>) -> Result<(Self, Streams), TerminalError> {
        let (keys, input) = mpsc::channel(PIECES);
        let (output, shown) = mpsc::channel(PIECES);
        let (tell, written) = oneshot::channel();
        let thread = |name: &str| thread::Builder::new().name(name.into());
        thread("keyboard").spawn(move || read(&keys)).map_err(TerminalError)?;
        // The receiver may be gone, so an error of the send is ignored.
        thread("screen").spawn(move || drop(tell.send(write(shown)))).map_err(TerminalError)?;
        let escape = raw.is_some();
        Ok((Self { raw, written }, Streams { input, output, escape }))
    }

    /// Print a text about the console while the terminal is raw.
    pub fn say(&self, text: &str) {
        let end = if self.raw.is_some() { "\r\n" } else { "\n" };
        printer::err(&format!("{end}{text}{end}"));
    }

    /// Write the rest of the output, and restore the terminal.
    ///
    /// # Errors
    /// Standard output could not be written, now or earlier.
    pub async fn close(self, streams: Streams) -> Result<(), PrintError> {
        drop(streams);
        let written = timeout(FLUSH, self.written).await;
        if self.raw.is_some() {
            drop(self.raw);
            // The guest's last line may have no line end.
            printer::err("\n");
        }
        match written {
            Ok(Ok(result)) => result,
            // The reader has stopped reading, or the writer is gone. Neither is an error.
            _ => Ok(()),
        }
    }
}

/// Wait for SIGHUP, when the terminal is closed, or for SIGQUIT. Their default action would leave the terminal raw.
pub async fn hung_up() -> Ended {
    if let (Ok(mut hangup), Ok(mut quit)) = (signal(SignalKind::hangup()), signal(SignalKind::quit())) {
        tokio::select! {
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
        return Ended::TERMINATED;
    }
    // Signals that cannot be received keep their default action.
    std::future::pending().await
}

fn read(keys: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(io::stdin(), &mut buffer) {
            Ok(count @ 1..) => {
                if keys.blocking_send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            // The end of the input, or the terminal is gone.
            Ok(0) | Err(_) => return,
        }
    }
}

fn write(mut shown: mpsc::Receiver<Vec<u8>>) -> Result<(), PrintError> {
    while let Some(bytes) = shown.blocking_recv() {
        if !printer::pass(&bytes)? {
            break;
        }
    }
    Ok(())
}

/// Standard input in raw mode. On drop, the old mode is restored.
#[derive(Debug)]
struct Raw {
    before: Termios,
}

impl Raw {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        // `Now` keeps the text that was typed ahead, for the guest.
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to restore.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
