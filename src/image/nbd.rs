//! Reads a disk that a server exports over NBD.
//!
//! After `doc/proto.md` of the project NetworkBlockDevice/nbd: the fixed newstyle handshake, structured replies, the context `base:allocation`.
//! Nothing is written, no second export asked for, and the server is not trusted: each length is bounded, and each answer has to come in
//! time.

mod error;
mod wire;

use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(super) use error::NbdError;
use wire::Wire;

/// Bytes that are asked for at once. A server has to take 32 MiB ("Size constraints").
const READ_BYTES: usize = 4 << 20;
/// Bytes of which one question asks where there are zeros.
const STATUS_BYTES: u64 = 1 << 30;
/// Runs of zeros that are kept, 16 bytes each, and questions that are asked for them. What is beyond counts as data.
const MAX_RUNS: usize = 1 << 20;
const MAX_QUESTIONS: usize = 1 << 17;

/// Runs of a disk's bytes that are zeros, rising.
type Zeros = Arc<[Range<u64>]>;

/// A connection to a server. Concurrent questions take turns.
pub(super) struct Client {
    wire: Mutex<Wire>,
    size: u64,
    zeros: Mutex<Option<Zeros>>,
}

impl Client {
    /// Agree with the server at the other end of `stream`, each of whose answers has to come within `patience`.
    ///
    /// # Errors
    /// They cannot agree: see [`NbdError`].
    pub(super) fn new(stream: UnixStream, patience: Duration) -> Result<Self, NbdError> {
        let mut wire = Wire::new(stream, patience)?;
        let size = wire.agree()?;
        Ok(Self { wire: Mutex::new(wire), size, zeros: Mutex::new(None) })
    }

    /// Bytes of the disk.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fill `buf` with the bytes from `offset` on, which are within the disk.
    ///
    /// # Errors
    /// See [`NbdError`].
    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), NbdError> {
        let mut at = offset;
        for piece in buf.chunks_mut(READ_BYTES) {
            locked(&self.wire).read(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Whether the server says that the bytes from `start` to `end` are zeros. It is asked only once, for the whole disk.
    ///
    /// # Errors
    /// See [`NbdError`].
    pub(super) fn is_hole(&self, start: u64, end: u64) -> Result<bool, NbdError> {
        let mut known = locked(&self.zeros);
        let zeros = match &*known {
            Some(zeros) => Arc::clone(zeros),
            None => Arc::clone(known.insert(self.ask_for_zeros()?)),
        };
        drop(known);
        // The first run that ends behind the start.
        let run = zeros.get(zeros.partition_point(|run| run.end <= start));
        Ok(start >= end || run.is_some_and(|run| run.start <= start && end <= run.end))
    }

    fn ask_for_zeros(&self) -> Result<Zeros, NbdError> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        let (mut at, mut questions) = (0, 0);
        while at < self.size && questions < MAX_QUESTIONS && runs.len() < MAX_RUNS {
            questions += 1;
            let length = (self.size - at).min(STATUS_BYTES);
            for (length, zero) in locked(&self.wire).status(at, length)? {
                let end = at.saturating_add(length).min(self.size);
                match runs.last_mut() {
                    Some(last) if zero && last.end == at => last.end = end,
                    _ if zero && at < end => runs.push(at..end),
                    _ => {}
                }
                at = end;
            }
        }
        Ok(runs.into())
    }
}

/// OK to ignore poison: after a panic the wire still knows whether an answer was read to its end.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
