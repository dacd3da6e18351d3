//! The only writer to standard output and standard error, except for the bars, which indicatif draws.
//!
//! A reader that closes the pipe early (`goldsmith schema | head -1`) has the text it needs, so that is not an error.

use std::io::{self, IsTerminal, Write};

use super::environment::Environment;
use super::exit;
use crate::base::failure::{Class, Failure};

/// Standard output could not be written, for another reason than a closed pipe.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written: {0}")]
pub struct PrintError(io::Error);

impl Failure for PrintError {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        (self.0.kind() == io::ErrorKind::StorageFull).then(|| "free some space where standard output goes".into())
    }
}

/// Write `text`, all of it, to standard output.
///
/// # Errors
/// See [`PrintError`].
pub fn out(text: &str) -> Result<(), PrintError> {
    pass(text.as_bytes()).map(drop)
}

/// Write `bytes` to standard output unchanged. Returns whether its reader is still there.
///
/// # Errors
/// See [`PrintError`].
pub fn pass(bytes: &[u8]) -> Result<bool, PrintError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(PrintError(error)),
    }
}

/// Write `bytes` to standard error unchanged. An error cannot be shown anywhere, so it is ignored.
pub fn pass_err(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// Write `text` to standard error. An error cannot be shown anywhere, so it is ignored.
pub fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Print clap's message (an error of usage, a help text, the version) and return its exit code.
pub fn usage(said: &clap::Error) -> u8 {
    // clap chooses the stream and the colours, and it respects NO_COLOR.
    match said.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit::HOST,
        _ if said.use_stderr() => exit::USAGE,
        _ => exit::DONE,
    }
}

/// Standard output for listeners that write during a run.
#[derive(Debug, Clone, Copy)]
pub struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// The columns of the terminal that standard output goes to. `None` for a file or a pipe, where lines are not broken.
pub fn stdout_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Whether standard output goes to a terminal. Control sequences from an image must not reach it.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard error can show bars: a terminal that can move its cursor.
pub fn stderr_shows_bars(environment: &Environment) -> bool {
    io::stderr().is_terminal() && !environment.dumb_terminal
}

/// Whether standard error may be coloured.
pub fn stderr_has_colour(environment: &Environment) -> bool {
    stderr_shows_bars(environment) && !environment.no_colour
}
