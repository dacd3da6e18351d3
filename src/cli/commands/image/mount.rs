//! `goldsmith image mount IMAGE DIR`.

use std::path::Path;

use serde_json::json;

use super::opened::disk;
use crate::base::failure::AnyFailure;
use crate::base::text::shell_line;
use crate::cli::{Context, printer};
use crate::image::mount::Mount;

/// Show the files of the image in `dir` until it is unmounted or a signal arrives.
///
/// # Errors
/// The image cannot be read, or the kernel does not mount in `dir`.
pub(super) async fn run(image: &Path, dir: &Path, context: &Context) -> Result<(), AnyFailure> {
    let mount = Mount::new(&disk(image, context)?, dir)?;
    let text = if context.json {
        context.record(&json!({"event": "mounted", "directory": dir.to_string_lossy()}))
    } else {
        let unmount = shell_line(["fusermount3", "-u", &dir.to_string_lossy()]);
        format!("{}: the files of {}; ctrl-C ends it, or `{unmount}`\n", dir.display(), image.display())
    };
    printer::out(&text)?;
    Ok(mount.serve().await?)
}
