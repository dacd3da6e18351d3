//! Passes bytes between a thread that blocks and a task that does not.

use std::io::{self, Read, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

/// Pieces on their way.
const PIECES: usize = 16;
/// Bytes of a piece: a tar writer writes blocks of 512, which are sent in fewer pieces.
const PIECE: usize = 64 << 10;

/// The task's end of a thread's output.
pub(super) type Receiver = mpsc::Receiver<Vec<u8>>;

/// A pipe from a thread to a task.
pub(super) fn pipe() -> (Writer, Receiver) {
    let (sender, receiver) = mpsc::channel(PIECES);
    (Writer { sender, piece: Vec::new() }, receiver)
}

/// Writes pieces. The last one goes with [`Write::flush`]. For a thread that may block.
#[derive(Debug)]
pub(super) struct Writer {
    sender: mpsc::Sender<Vec<u8>>,
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

/// A thread that reads what a task gives it. When it is dropped, the thread's input ends and the thread is waited for, so that it leaves
/// nothing behind.
#[derive(Debug)]
pub(super) struct Fed<T> {
    /// `None` once the input has ended.
    sender: Option<mpsc::Sender<Vec<u8>>>,
    thread: Option<thread::JoinHandle<()>>,
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> Fed<T> {
    /// Begin `work`.
    ///
    /// # Errors
    /// The host cannot start a thread.
    pub(super) fn begin(work: impl FnOnce(Reader) -> T + Send + 'static) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(PIECES);
        let reader = Reader { receiver, piece: Vec::new(), read: 0 };
        let (tell, result) = oneshot::channel();
        // If the caller is gone, the result is dropped.
        let thread = thread::Builder::new().spawn(move || drop(tell.send(work(reader))))?;
        Ok(Self { sender: Some(sender), thread: Some(thread), result })
    }

    /// Give it the next bytes. If the thread reads no more, its result tells why.
    pub(super) async fn give(&self, bytes: Vec<u8>) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(bytes).await;
        }
    }

    /// End the input, and wait for the result.
    pub(super) async fn result(mut self) -> T {
        self.sender = None;
        match (&mut self.result).await {
            Ok(result) => result,
            Err(_) => match self.thread.take().map(thread::JoinHandle::join) {
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                _ => unreachable!("a thread that ends has told its result"),
            },
        }
    }
}

impl<T> Drop for Fed<T> {
    fn drop(&mut self) {
        self.sender = None;
        // A panic of the thread was already printed.
        self.thread.take().map(thread::JoinHandle::join);
    }
}
