//! Copies between a serial console and its user, without one direction ever waiting for the other.

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{Receiver, Sender};

/// ctrl-], as telnet and virsh have it.
pub const ESCAPE: u8 = 0x1d;
/// Bytes typed and not yet taken by the guest; more are not read until it takes some.
const PENDING_BYTES: usize = 64 << 10;

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
}

/// The user's end: what is typed, and what is shown. Pieces of any size.
#[derive(Debug)]
pub struct Streams {
    /// What is typed. When it ends, the console is only shown.
    pub input: Receiver<Vec<u8>>,
    /// What is shown. When the receiver is dropped, the user is gone.
    pub output: Sender<Vec<u8>>,
    /// Whether ctrl-] in the input is a command to us. Otherwise it goes to the guest, like every other byte.
    pub escape: bool,
}

/// Why the copying ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The user typed ctrl-].
    Escaped,
    /// The receiver of the output is gone.
    Unheard,
    /// The console is gone, and QEMU with it.
    Closed,
}

/// The console's end.
#[derive(Debug)]
pub struct Console {
    stream: UnixStream,
    pending: Vec<u8>,
    typing: bool,
}

impl Console {
    /// The far end of `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, pending: Vec::new(), typing: true }
    }

    /// Copy until there is a reason not to. Safe to cancel and to call again: nothing is lost.
    pub async fn copy(&mut self, user: &mut Streams) -> Left {
        // Borrowed halves do not hang up when they are dropped. They must not: QEMU drops what it has not read when the console hangs up.
        let (mut said, mut heard) = self.stream.split();
        let mut buffer = [0; 4096];
        loop {
            let listen = async {
                // Reserve the place before reading: bytes that waited here for a place would be lost with a cancelled call.
                let place = user.output.reserve().await.map_err(|_| Left::Unheard)?;
                match said.read(&mut buffer).await {
                    Ok(count @ 1..) => Ok((place, count)),
                    _ => Err(Left::Closed),
                }
            };
            tokio::select! {
                result = listen => match result {
                    Ok((place, count)) => place.send(buffer[..count].to_vec()),
                    Err(left) => return left,
                },
                typed = user.input.recv(), if self.typing && self.pending.len() < PENDING_BYTES => match typed {
                    None => self.typing = false,
                    Some(bytes) => {
                        let escape = bytes.iter().position(|byte| user.escape && *byte == ESCAPE);
                        self.pending.extend_from_slice(&bytes[..escape.unwrap_or(bytes.len())]);
                        if escape.is_some() {
                            return Left::Escaped;
                        }
                    }
                },
                written = heard.write(&self.pending), if !self.pending.is_empty() => match written {
                    Ok(count) => drop(self.pending.drain(..count)),
                    Err(_) => return Left::Closed,
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::channel;
    use tokio::time::timeout;

    use super::*;

    struct Desk {
        console: Console,
        guest: UnixStream,
        user: Streams,
        keys: Sender<Vec<u8>>,
        screen: Receiver<Vec<u8>>,
    }

    fn desk(escape: bool) -> Desk {
        let (ours, guest) = UnixStream::pair().unwrap();
        let ((keys, input), (output, screen)) = (channel(4), channel(1));
        Desk { console: Console::new(ours), guest, user: Streams { input, output, escape }, keys, screen }
    }

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        let limited = async { timeout(Duration::from_secs(60), work).await.expect("the test hangs") };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(limited)
    }

    #[test]
    fn bytes_go_both_ways_as_they_are_until_the_escape() {
        on_runtime(async {
            let mut desk = desk(true);
            desk.guest.write_all(b"login: \xff\x1d").await.unwrap();
            desk.keys.send(b"root\x03".to_vec()).await.unwrap();
            desk.keys.send(b"!\x1dlost".to_vec()).await.unwrap();
            assert_eq!(desk.console.copy(&mut desk.user).await, Left::Escaped);
            // What was typed before the escape is not lost: the next call writes it.
            assert!(timeout(Duration::from_millis(100), desk.console.copy(&mut desk.user)).await.is_err());
            assert_eq!(desk.screen.recv().await.unwrap(), b"login: \xff\x1d");
            let mut typed = [0; 6];
            desk.guest.read_exact(&mut typed).await.unwrap();
            assert_eq!(&typed, b"root\x03!");
            drop(desk.guest);
            assert_eq!(desk.console.copy(&mut desk.user).await, Left::Closed);
        });
    }

    #[test]
    fn the_escape_is_the_guests_when_no_terminal_is_there_and_the_end_of_input_is_no_end() {
        on_runtime(async {
            let mut desk = desk(false);
            desk.keys.send(b"a\x1db".to_vec()).await.unwrap();
            drop(desk.keys);
            desk.guest.write_all(b"still here").await.unwrap();
            assert!(timeout(Duration::from_millis(100), desk.console.copy(&mut desk.user)).await.is_err());
            let mut typed = [0; 3];
            desk.guest.read_exact(&mut typed).await.unwrap();
            assert_eq!((&typed, desk.screen.recv().await.unwrap().as_slice()), (b"a\x1db", &b"still here"[..]));
            drop(desk.screen);
            assert_eq!(desk.console.copy(&mut desk.user).await, Left::Unheard);
        });
    }

    #[test]
    fn a_deaf_guest_is_still_shown_and_a_frozen_screen_still_typed_at() {
        on_runtime(async {
            // More than any socket buffer is typed at a guest that reads nothing; what it says is shown, and the escape works.
            let mut deaf = desk(true);
            deaf.guest.write_all(b"talking").await.unwrap();
            let typist = tokio::spawn(async move { while deaf.keys.send(vec![b'x'; 32 << 10]).await.is_ok() {} });
            assert!(timeout(Duration::from_millis(200), deaf.console.copy(&mut deaf.user)).await.is_err());
            assert_eq!(deaf.screen.recv().await.unwrap(), b"talking");
            assert!(deaf.console.pending.len() < PENDING_BYTES + (32 << 10));
            typist.abort();

            let mut frozen = desk(true);
            for piece in [&b"1"[..], b"2", b"3"] {
                frozen.guest.write_all(piece).await.unwrap();
                assert!(timeout(Duration::from_millis(20), frozen.console.copy(&mut frozen.user)).await.is_err());
            }
            frozen.keys.send(vec![ESCAPE]).await.unwrap();
            assert_eq!(frozen.console.copy(&mut frozen.user).await, Left::Escaped);
            // Nothing was lost while the screen stood still.
            let mut shown = frozen.screen.recv().await.unwrap();
            while shown.len() < 3 {
                let more = timeout(Duration::from_millis(20), frozen.console.copy(&mut frozen.user)).await;
                assert!(more.is_err());
                shown.extend(frozen.screen.recv().await.unwrap());
            }
            assert_eq!(shown, b"123");
        });
    }
}
