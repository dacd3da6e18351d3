//! Work that keeps a processor busy for seconds. It runs on another thread than the runtime, which goes on listening for ctrl-C.
//!
//! No program may be started there: see [`super::process`].

use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::event::{Task, Unit};

/// The period of progress reports.
const TELL: Duration = Duration::from_millis(100);

/// What the work and its waiter share: a count of bytes, and whether the waiter still waits.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    stopped: AtomicBool,
}

impl Meter {
    /// Count what is read from `reader`, and end it with an error once the waiter is gone.
    pub fn measure<R: Read>(self: &Arc<Self>, reader: R) -> Measured<R> {
        Measured { reader, meter: Arc::clone(self) }
    }

    /// Count `bytes` that were worked on.
    ///
    /// # Errors
    /// The waiter is gone ([`io::ErrorKind::ConnectionAborted`]): the work has to end.
    pub fn count(&self, bytes: u64) -> io::Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.done.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// A reader that counts.
#[derive(Debug)]
pub struct Measured<R> {
    reader: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.meter.count(0)?;
        let read = self.reader.read(buf)?;
        self.meter.count(read as u64)?;
        Ok(read)
    }
}

struct StopOnDrop(Arc<Meter>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

/// Do `work` on another thread and tell how far it is: `step`, of `total` bytes. Dropped, the work ends at its next read.
pub async fn aside<T: Send + 'static>(task: &Task, step: &str, total: u64, work: impl FnOnce(&Arc<Meter>) -> T + Send + 'static) -> T {
    let meter = Arc::new(Meter::default());
    let mut working = pin!(metered(Arc::clone(&meter), work));
    loop {
        task.progress(step, meter.done.load(Ordering::Relaxed), Some(total), Unit::Bytes);
        if let Ok(result) = tokio::time::timeout(TELL, working.as_mut()).await {
            return result;
        }
    }
}

/// As [`aside`], without telling progress: for work that is one of many.
pub async fn beside<T: Send + 'static>(work: impl FnOnce(&Arc<Meter>) -> T + Send + 'static) -> T {
    metered(Arc::default(), work).await
}

async fn metered<T: Send + 'static>(meter: Arc<Meter>, work: impl FnOnce(&Arc<Meter>) -> T + Send + 'static) -> T {
    let _stop = StopOnDrop(Arc::clone(&meter));
    match tokio::task::spawn_blocking(move || work(&meter)).await {
        Ok(result) => result,
        // The work panicked, and so do we. It cannot have been aborted: no other code has its handle.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
