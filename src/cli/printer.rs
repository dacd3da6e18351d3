//! The only writer to standard output and standard error (bars excepted, which indicatif draws).
//!
//! A reader that closes the pipe early (`goldsmith schema | head -1`) has what it wanted: that is no error.

use std::io::{self, IsTerminal, Write};

use super::environment::Environment;
use super::exit;
use crate::base::failure::{Class, Failure};

/// Standard output could not be written, for another reason than a reader that went away.
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

/// Write `bytes` to standard output as they are; tells whether anybody still reads there.
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

/// Write `bytes` to standard error as they are. When that fails there is nobody to tell.
pub fn pass_err(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(bytes);
}

/// Write `text` to standard error. When that fails there is nobody to tell.
pub fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Show what clap has to say (an error of usage, a help text, the version) and give its exit code.
pub fn usage(said: &clap::Error) -> u8 {
    // clap chooses stream and colours, and obeys NO_COLOR.
    match said.print() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => exit::HOST,
        _ if said.use_stderr() => exit::USAGE,
        _ => exit::DONE,
    }
}

/// Standard output for listeners that write while a run goes on.
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

/// The columns of the terminal that standard output goes to; nothing for a file or a pipe, whose lines are not broken.
pub fn stdout_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Whether standard output goes to a terminal, which would act on what an image holds.
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
