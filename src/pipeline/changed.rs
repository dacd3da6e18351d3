//! Tells what differs from an artifact that is there: the one that a build replaces.

use std::path::Path;
use std::sync::Arc;

use crate::artifact::{self, Artifact};
use crate::base::aside::{Meter, aside};
use crate::base::digest::Sha256Digest;
use crate::base::event::Events;
use crate::compare::{CompareError, Comparison, compare};
use crate::image::Disk;

/// Tell in some notes what differs between `image` and the artifact at `target`, if there is one of another content than `id`, and give the
/// lines. An image there that cannot be read costs a warning: it is replaced all the same.
pub(super) async fn tell(target: &Path, id: &Sha256Digest, image: &Path, events: &Events) -> Vec<String> {
    let Ok(old) = artifact::open(target) else { return Vec::new() };
    if old.manifest.content_id == *id {
        return Vec::new();
    }
    let task = events.task("compare with the image that is replaced");
    let paths = (old.image_path(), image.to_owned());
    let compared = aside(&task, "read the files", sizes(&old), move |meter| both(&paths.0, &paths.1, meter)).await;
    let mut lines = Vec::new();
    match compared {
        Ok(found) if found.is_same() => events.note("nothing but times differs from the image that is replaced"),
        Ok(found) => lines = found.summary(),
        Err(error) => events.warn(format!("what changed since the image that is replaced cannot be told: {error}")),
    }
    lines.iter().for_each(|line| events.note(format!("changed {line}")));
    task.done();
    lines
}

/// Bytes of files that are read: those of two images as large as the old one.
fn sizes(old: &Artifact) -> u64 {
    old.manifest.image.bytes.saturating_mul(2)
}

fn both(old: &Path, new: &Path, meter: &Arc<Meter>) -> Result<Comparison, CompareError> {
    compare(&Disk::open(old)?, &Disk::open(new)?, false, meter)
}
