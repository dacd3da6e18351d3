//! The lines that a child or a guest writes, each bounded.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Bytes of one output line that are kept; a guest or a tool may write without line ends.
pub(super) const LINE_BYTES: usize = 16 * 1024;

/// The lines of a child's output, cut at a length that bounds our memory. A carriage return ends a line too: progress meters use it.
#[derive(Debug)]
pub struct Lines<R> {
    reader: Option<BufReader<R>>,
    partial: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Read lines from `reader`.
    pub fn new(reader: Option<R>) -> Self {
        Self { reader: reader.map(BufReader::new), partial: Vec::new() }
    }

    /// The next line without its end; `None` at the end of the output. Safe to cancel: what was read is kept.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let reader = self.reader.as_mut()?;
            let Ok(bytes) = reader.fill_buf().await else {
                self.reader = None;
                return self.take();
            };
            if bytes.is_empty() {
                self.reader = None;
                return self.take();
            }
            let room = LINE_BYTES.saturating_sub(self.partial.len());
            let window = &bytes[..bytes.len().min(room.max(1))];
            let end = window.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let used = end.map_or(window.len(), |at| at + 1);
            self.partial.extend_from_slice(&window[..end.unwrap_or(window.len())]);
            reader.consume(used);
            if (end.is_some() || self.partial.len() >= LINE_BYTES)
                && let Some(line) = self.take()
            {
                return Some(line);
            }
        }
    }

    fn take(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned())
    }
}
