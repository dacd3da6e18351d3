//! Work that keeps a processor busy for seconds, done beside the runtime's thread, which goes on listening for ctrl-C.
//!
//! No program may be started there: see [`super::process`].

use std::io::{self, Read};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::event::{Task, Unit};

/// How often progress is told.
const TELL: Duration = Duration::from_millis(100);

/// What the work and its waiter know of each other.
#[derive(Debug, Default)]
pub struct Meter {
    done: AtomicU64,
    stopped: AtomicBool,
}

impl Meter {
    /// Count what is read from `reader`, and end it with an error when nobody waits any more.
    pub fn measure<R: Read>(self: &Arc<Self>, reader: R) -> Measured<R> {
        Measured { reader, meter: Arc::clone(self) }
    }

    /// Count `bytes` that were worked on.
    ///
    /// # Errors
    /// Nobody waits any more ([`io::ErrorKind::ConnectionAborted`]): the work has to end.
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

/// The same in silence, for work that is one of many.
pub async fn beside<T: Send + 'static>(work: impl FnOnce(&Arc<Meter>) -> T + Send + 'static) -> T {
    metered(Arc::default(), work).await
}

async fn metered<T: Send + 'static>(meter: Arc<Meter>, work: impl FnOnce(&Arc<Meter>) -> T + Send + 'static) -> T {
    let _stop = StopOnDrop(Arc::clone(&meter));
    match tokio::task::spawn_blocking(move || work(&meter)).await {
        Ok(result) => result,
        // It panicked, and so do we; nobody else can abort it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
