//! `goldsmith image cat IMAGE PATH…`.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::opened::{absolute, root};
use crate::base::failure::AnyFailure;
use crate::base::text::printable;
use crate::cli::{Context, printer};
use crate::image::ImageError;

/// Bytes that are read and written at once. A longer line is shown in pieces.
const CHUNK_BYTES: usize = 256 << 10;

/// Write the files, one after the other. A file or a pipe gets their bytes. A terminal gets text without control sequences.
///
/// # Errors
/// The image cannot be read, or a file is missing or not a regular file.
pub(super) async fn run(image: &Path, paths: &[PathBuf], context: &Context) -> Result<(), AnyFailure> {
    let root = root(image, context)?;
    let is_terminal = printer::stdout_is_terminal();
    for path in paths {
        let mut reader = BufReader::with_capacity(CHUNK_BYTES, root.open_file(absolute(path))?);
        loop {
            let mut bytes = Vec::new();
            let mut limited = reader.by_ref().take(CHUNK_BYTES as u64);
            let read = if is_terminal { limited.read_until(b'\n', &mut bytes) } else { limited.read_to_end(&mut bytes) };
            if read.map_err(|source| ImageError::read(root.disk(), source))? == 0 {
                break;
            }
            if is_terminal {
                let text = String::from_utf8_lossy(&bytes);
                let end = if text.ends_with('\n') { "\n" } else { "" };
                bytes = format!("{}{end}", printable(text.trim_end_matches('\n'))).into_bytes();
            }
            if !printer::pass(&bytes)? {
                return Ok(());
            }
            // At this point a signal can interrupt the work.
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
