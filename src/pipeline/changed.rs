//! Tells what differs from an artifact that is there: the one that a build replaces.

use std::path::Path;
use std::sync::Arc;

use crate::artifact::{self, Artifact};
use crate::base::aside::{Meter, aside};
use crate::base::digest::Sha256Digest;
use crate::base::event::Events;
use crate::compare::{CompareError, Comparison, compare};
use crate::image::Disk;
use crate::report::Changes;

/// Tell in some notes what differs between `image` and the artifact at `target`, if there is one of another content than `id`, and give the
/// lines. If the old image cannot be read, this is a warning: it is replaced anyway.
pub(super) async fn tell(target: &Path, id: &Sha256Digest, image: &Path, events: &Events) -> Changes {
    let Ok(old) = artifact::open(target) else { return Changes::default() };
    if old.manifest.content_id == *id {
        return Changes::default();
    }
    since(&old, "the replaced image", image, events).await
}

/// Tell in some notes what differs between `image` and that of the artifact `old`, which is called `what`, and give the lines. If the old image
/// cannot be read, this is a warning.
pub(super) async fn since(old: &Artifact, what: &'static str, image: &Path, events: &Events) -> Changes {
    let task = events.task(format!("compare with {what}"));
    let paths = (old.image_path(), image.to_owned());
    let compared = aside(&task, "read the files", sizes(old), move |meter| both(&paths.0, &paths.1, meter)).await;
    let mut lines = Vec::new();
    match compared {
        Ok(found) if found.is_same() => events.note(format!("nothing but times differs from {what}")),
        Ok(found) => lines = found.summary(),
        Err(error) => events.warn(format!("what changed since {what} cannot be told: {error}")),
    }
    lines.iter().for_each(|line| events.note(format!("changed {line}")));
    task.done();
    Changes { since: what, lines }
}

/// Bytes of files that are read: those of two images as large as the old one.
fn sizes(old: &Artifact) -> u64 {
    old.manifest.image.bytes.saturating_mul(2)
}

fn both(old: &Path, new: &Path, meter: &Arc<Meter>) -> Result<Comparison, CompareError> {
    compare(&Disk::open(old)?, &Disk::open(new)?, false, meter)
}
