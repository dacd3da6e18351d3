//! The serial console as lines and prompts. A prompt waits for an answer, so it never becomes a line.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::broadcast;

use crate::base::text::printable_screen;

/// Lines that are kept for evidence.
const TAIL_LINES: usize = 60;
/// Bytes of one line that are kept; a guest may write without line ends.
const LINE_BYTES: usize = 4096;
/// Pieces of up to 4 KiB that wait for a slow onlooker, who misses the oldest of more.
const PIECES: usize = 256;
/// Silence after which an unfinished line is a prompt.
const PROMPT_AFTER: Duration = Duration::from_millis(200);

/// Output of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A whole line, without its end and without what would drive a terminal.
    Line(String),
    /// An unfinished line after which nothing came: `login: `, `(initramfs) `. The line may still grow and be reported again.
    Prompt(String),
}

/// Reads a console.
#[derive(Debug)]
pub(super) struct Console<R> {
    reader: Option<R>,
    /// Read, but not reported yet.
    buffer: Vec<u8>,
    /// Bytes at the start of `buffer` that were reported as a prompt.
    prompted: usize,
    tail: VecDeque<String>,
    /// For onlookers.
    heard: Option<broadcast::Sender<Vec<u8>>>,
    /// Bytes that were read.
    bytes: u64,
}

impl<R: AsyncRead + Unpin> Console<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: Some(reader), buffer: Vec::new(), prompted: 0, tail: VecDeque::new(), heard: None, bytes: 0 }
    }

    /// Bytes that came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Give the stream away. From now on there are no lines and prompts.
    pub(super) fn take(&mut self) -> Option<R> {
        self.reader.take()
    }

    /// Look on: the unfinished line, as its bytes came, and all bytes that come from now on.
    pub(super) fn listen(&mut self) -> (Vec<u8>, broadcast::Receiver<Vec<u8>>) {
        let heard = self.heard.get_or_insert_with(|| broadcast::Sender::new(PIECES));
        (self.buffer.clone(), heard.subscribe())
    }

    /// The last lines, oldest first, with the unfinished one.
    pub(super) fn tail(&self) -> Vec<String> {
        let unfinished = (!self.buffer.is_empty()).then(|| shown(&self.buffer));
        self.tail.iter().cloned().chain(unfinished).filter(|line| !line.trim().is_empty()).collect()
    }

    /// The next output; `None` when the console is gone. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(line) = self.line() {
                return Some(Said::Line(line));
            }
            let Some(reader) = &mut self.reader else {
                return self.last_words();
            };
            let mut chunk = [0; 4096];
            let read = reader.read(&mut chunk);
            let read = if self.buffer.len() > self.prompted {
                match tokio::time::timeout(PROMPT_AFTER, read).await {
                    Ok(read) => read,
                    Err(_) => {
                        self.prompted = self.buffer.len();
                        let prompt = shown(&self.buffer);
                        if prompt.trim().is_empty() {
                            continue;
                        }
                        return Some(Said::Prompt(prompt));
                    }
                }
            } else {
                read.await
            };
            match read {
                Ok(bytes @ 1..) => {
                    self.bytes = self.bytes.saturating_add(bytes as u64);
                    self.buffer.extend_from_slice(&chunk[..bytes]);
                    // If there is no onlooker, the bytes are dropped.
                    let _ = self.heard.as_ref().map(|heard| heard.send(chunk[..bytes].to_vec()));
                }
                Ok(0) | Err(_) => self.reader = None,
            }
        }
    }

    /// The first whole line of the buffer. A carriage return ends a line too, else a progress meter is one line for ever.
    fn line(&mut self) -> Option<String> {
        loop {
            let end = self.buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (length, used) = match end {
                Some(at) => (at.min(LINE_BYTES), if at <= LINE_BYTES { at + 1 } else { LINE_BYTES }),
                None if self.buffer.len() >= LINE_BYTES => (LINE_BYTES, LINE_BYTES),
                None => return None,
            };
            let line = shown(&self.buffer[..length]);
            self.buffer.drain(..used);
            self.prompted = 0;
            if !line.is_empty() {
                return Some(self.keep(line));
            }
        }
    }

    fn last_words(&mut self) -> Option<Said> {
        if self.buffer.is_empty() {
            return None;
        }
        let line = shown(&std::mem::take(&mut self.buffer));
        Some(Said::Line(self.keep(line)))
    }

    fn keep(&mut self, line: String) -> String {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.clone());
        line
    }
}

fn shown(bytes: &[u8]) -> String {
    printable_screen(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn lines_come_whole_and_without_terminal_codes() {
        on_runtime(async {
            let mut console = Console::new(&b"\x1b[1mone\x1b[0m\r\n\r\ntwo \xff\r10%\r20%\nlast"[..]);
            let mut said = Vec::new();
            while let Some(Said::Line(line)) = console.next().await {
                said.push(line);
            }
            assert_eq!(said, ["one", "two \u{fffd}", "10%", "20%", "last"]);
            assert_eq!(console.tail(), said);
        });
    }

    #[test]
    fn words_that_the_cursor_parts_stay_apart() {
        for (bytes, text) in [
            ("kickstart file:\x1b[3;1HUnknown command", "kickstart file: Unknown command"),
            ("\x1b[1;1Hone\x1b[0m\x1b[2;1f\x1b[1mtwo\x1b[24;1H", "one two"),
            ("one \x1b[5dtwo\x1b[10G three", "one two three"),
            ("\x1b[2J\x1b[Hone\x1b[Ktwo", "onetwo"),
            ("one\x1b[12", "one"),
            ("\x1b[H\x1b[1m\x1b[H", ""),
            ("\x1b[1m\x1b[Hone", "one"),
        ] {
            assert_eq!(shown(bytes.as_bytes()), text, "{bytes:?}");
        }
    }

    #[test]
    fn whoever_looks_on_has_the_unfinished_line_and_every_byte_after_it() {
        on_runtime(async {
            let (mut guest, ours) = tokio::io::duplex(64);
            let mut console = Console::new(ours);
            guest.write_all(b"one\r\n\x1b[1mlogin: ").await.unwrap();
            assert_eq!(console.next().await, Some(Said::Line("one".to_owned())));
            let (begun, mut heard) = console.listen();
            assert_eq!(begun, b"\n\x1b[1mlogin: ");
            guest.write_all(b"ro\xffot\r\n").await.unwrap();
            assert_eq!(console.next().await, Some(Said::Line("login: ro\u{fffd}ot".to_owned())));
            assert_eq!(heard.recv().await.unwrap(), b"ro\xffot\r\n");
        });
    }

    #[test]
    fn a_prompt_is_told_once_and_again_when_it_has_grown() {
        on_runtime(async {
            let (mut guest, ours) = tokio::io::duplex(64);
            let mut console = Console::new(ours);
            let prompt = |text: &str| Some(Said::Prompt(text.to_owned()));
            guest.write_all(b"master login: ").await.unwrap();
            assert_eq!(console.next().await, prompt("master login: "));
            assert_eq!(console.tail(), ["master login: "]);
            assert!(tokio::time::timeout(3 * PROMPT_AFTER, console.next()).await.is_err(), "told twice");
            guest.write_all(b"root").await.unwrap();
            assert_eq!(console.next().await, prompt("master login: root"));
            guest.write_all(b"\r\nx").await.unwrap();
            drop(guest);
            assert_eq!(console.next().await, Some(Said::Line("master login: root".into())));
            assert_eq!(console.next().await, Some(Said::Line("x".into())));
            assert_eq!(console.next().await, None);
        });
    }

    #[test]
    fn endless_lines_and_many_lines_do_not_fill_our_memory() {
        on_runtime(async {
            let bytes = [vec![b'x'; 3 * LINE_BYTES + 5], b"\n".to_vec(), b"y\n".repeat(2 * TAIL_LINES)].concat();
            let mut console = Console::new(&bytes[..]);
            let mut longest = 0;
            while let Some(Said::Line(line)) = console.next().await {
                longest = longest.max(line.len());
            }
            assert_eq!((longest, console.tail().len()), (LINE_BYTES, TAIL_LINES));
        });
    }
}
