//! Bytes between a thread that blocks and a task that does not.

use std::io::{self, Read, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// Pieces on their way.
const PIECES: usize = 16;
/// Bytes of a piece: what a tar writer says in blocks of 512 is sent in fewer.
const PIECE: usize = 64 << 10;

/// The task's end of what a thread writes.
pub(super) type Receiver = mpsc::Receiver<Vec<u8>>;
/// The task's end of what a thread reads.
pub(super) type Sender = mpsc::Sender<Vec<u8>>;

/// What a thread writes and a task takes.
pub(super) fn pipe() -> (Writer, Receiver) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Writer { sender, piece: Vec::new() }, receiver)
}

/// What a task gives and a thread reads.
pub(super) fn channel() -> (Sender, Reader) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (sender, Reader { receiver, piece: Vec::new(), read: 0 })
}

/// Writes pieces. The last one goes with [`Write::flush`]. For a thread that may block.
#[derive(Debug)]
pub(super) struct Writer {
    sender: Sender,
    piece: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::take(&mut self.piece);
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Reads pieces. For a thread that may block.
#[derive(Debug)]
pub(super) struct Reader {
    receiver: Receiver,
    piece: Vec<u8>,
    read: usize,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.piece.len() {
            let Some(piece) = self.receiver.blocking_recv() else { return Ok(0) };
            (self.piece, self.read) = (piece, 0);
        }
        let count = (&self.piece[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// A thread that does one thing. Dropped, it is waited for, so that it leaves nothing behind: what it reads must have ended by then.
#[derive(Debug)]
pub(super) struct Work<T> {
    thread: Option<thread::JoinHandle<()>>,
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Work<T> {
    /// Begin it.
    ///
    /// # Errors
    /// The host gives no thread.
    pub(super) fn begin(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (tell, result) = oneshot::channel();
        // A caller that has gone is told nothing.
        let thread = thread::Builder::new().spawn(move || drop(tell.send(work())))?;
        Ok(Self { thread: Some(thread), result })
    }

    /// What came of it.
    pub(super) async fn result(mut self) -> T {
        match (&mut self.result).await {
            Ok(result) => result,
            Err(_) => match self.thread.take().map(thread::JoinHandle::join) {
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                _ => unreachable!("a thread that ends has told its result"),
            },
        }
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        // A panic of it was told where it happened.
        self.thread.take().map(thread::JoinHandle::join);
    }
}
