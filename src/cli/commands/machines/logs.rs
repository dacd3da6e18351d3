//! `goldsmith logs NAME`.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek};
use std::time::Duration;

use crate::base::failure::{AnyFailure, Class, Failure};
use crate::base::text::printable;
use crate::cli::args::Logs;
use crate::cli::{Context, printer};
use crate::machine::evidence::CONSOLE_LOG;

/// The wait before the next read of a console without new output.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes of one read.
const PIECE: usize = 64 << 10;

/// Print the output of a machine's console since its last boot.
///
/// # Errors
/// There is no such machine, or its log cannot be read.
pub async fn logs(args: &Logs, context: &Context) -> Result<(), AnyFailure> {
    let place = super::place(&args.name, context)?;
    let path = place.boot().join(CONSOLE_LOG);
    let cannot = |source| NoLog { name: place.name().to_string(), source };
    let mut log: Option<File> = None;
    let mut buffer = vec![0; PIECE];
    // A line is shown when it is complete, so that half of an escape sequence never reaches the terminal.
    let mut line = Vec::new();
    loop {
        let runs = args.follow && place.runs()?;
        if log.is_none() {
            log = match File::open(&path) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound && runs => None,
                Err(error) => return Err(cannot(error).into()),
            };
        }
        let count = log.as_mut().map_or(Ok(0), |log| log.read(&mut buffer)).map_err(cannot)?;
        line.extend_from_slice(&buffer[..count]);
        let whole = line.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let shown = if count == 0 { line.len() } else { whole };
        let text: Vec<u8> = line.drain(..shown).collect();
        if !show(&text)? || (count == 0 && !runs) {
            return Ok(());
        }
        if count == 0 {
            // A reboot starts a new log.
            if let Some(file) = &mut log
                && file.stream_position().map_err(cannot)? > file.metadata().map_err(cannot)?.len()
            {
                file.rewind().map_err(cannot)?;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Whether standard output is still open.
fn show(text: &[u8]) -> Result<bool, AnyFailure> {
    if !printer::stdout_is_terminal() {
        return Ok(printer::pass(text)?);
    }
    let text = String::from_utf8_lossy(text);
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    Ok(printer::pass(lines.join("\n").as_bytes())?)
}

#[derive(Debug, thiserror::Error)]
#[error("the console's log of `{name}` cannot be read: {source}")]
struct NoLog {
    name: String,
    source: std::io::Error,
}

impl Failure for NoLog {
    fn class(&self) -> Class {
        Class::Host
    }

    fn remedy(&self) -> Option<String> {
        let never_booted = self.source.kind() == ErrorKind::NotFound;
        never_booted.then(|| format!("start it: goldsmith start {}", self.name))
    }
}
