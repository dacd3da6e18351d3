//! A machine that is off, and stays off while its disk is read.

use std::path::{Path, PathBuf};

use super::error::RunError;
use super::impersonal::{self, Texts};
use super::record::{Place, Record};
use super::source::Source;
use super::warm;
use crate::base::aside::beside;
use crate::base::lock::Lock;
use crate::image::{Disk, Format, Root};
use crate::machine::runner::RunnerTask;

/// A machine that is off. It cannot be started while this lives.
#[derive(Debug)]
pub struct AtRest {
    place: Place,
    record: Record,
    source: Source,
    _lock: Lock,
}

/// Hold the machine at `place` at rest. Files under its image may lie in `store`.
///
/// # Errors
/// It runs, or the image under its disk is another one now, or is gone.
pub async fn at_rest(place: &Place, store: Option<&Path>) -> Result<AtRest, RunError> {
    let Some(lock) = place.take_soon().await? else { return Err(RunError::Runs { name: place.name().clone() }) };
    let (mut record, source) = place.fitting_record(store).await?;
    if record.warm.is_some() {
        // Its disk belongs to a saved state that many machines share.
        warm::forget(place, &mut record, &source).await?;
    }
    Ok(AtRest { place: place.clone(), record, source, _lock: lock })
}

impl AtRest {
    /// The path that it was made from: an artifact's directory, or an image.
    pub fn made_from(&self) -> &Path {
        &self.record.source
    }

    /// Its disk, a qcow2 over the image: what it has changed.
    pub fn disk(&self) -> PathBuf {
        self.place.disk()
    }

    /// Bytes of its disk as the guest sees it, when that is larger than its image's.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn grown(&self) -> Result<Option<u64>, RunError> {
        let size = Disk::open_own(&self.disk(), Format::Qcow2)?.info().virtual_size;
        Ok((size != self.source.size).then_some(size))
    }

    /// The task that takes out of a copy of its disk what `up` gave the machine. `None` when there is nothing of that in it.
    ///
    /// # Errors
    /// A filesystem of the disk was not unmounted, or cannot be read.
    pub async fn impersonal(&self) -> Result<Option<RunnerTask>, RunError> {
        let (disk, record, source) = (self.disk(), self.record.clone(), self.source.clone());
        beside(move |_| {
            let root = Root::open(&Disk::open_own(&disk, Format::Qcow2)?)?;
            let unclean = root.unclean();
            if !unclean.is_empty() {
                return Err(RunError::Unclean { name: record.name, what: unclean });
            }
            let image = Disk::open_as(&source.image, source.format, source.store.as_deref())?;
            Ok(impersonal::task(&record, &Texts::read(&root)?, &Texts::read(&Root::open(&image)?)?))
        })
        .await
    }
}
