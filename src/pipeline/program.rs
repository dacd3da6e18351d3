//! The digest of this program: results that follow from its code are remembered under it.

use std::fs::File;

use tokio::sync::OnceCell;

use crate::base::aside::beside;
use crate::base::digest::Sha256Digest;

static DIGEST: OnceCell<Option<Sha256Digest>> = OnceCell::const_new();

/// What this program's file hashes to; `None` if it cannot be read. The link leads to the file even after it was replaced (proc(5)).
pub(super) async fn digest() -> Option<Sha256Digest> {
    let hash = || async {
        let read = beside(|meter| File::open("/proc/self/exe").and_then(|file| Sha256Digest::of_reader(meter.measure(file)))).await;
        read.ok().map(|(digest, _)| digest)
    };
    *DIGEST.get_or_init(hash).await
}
