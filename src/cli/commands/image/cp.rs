//! `goldsmith image cp IMAGE PATH… TARGET`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::opened::{absolute, root};
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::base::text::{counted, printable};
use crate::cli::commands::copies::Target;
use crate::cli::{Context, printer};
use crate::image::{self, Copied};

/// Copy the files and directories out of the image. The last of `words` is the target.
///
/// # Errors
/// The image cannot be read, a source is missing, or the target cannot be written or exists already.
pub(super) async fn run(image: &Path, words: &[PathBuf], context: &Context) -> Result<(), AnyFailure> {
    // clap asks for two words at least.
    let Some((target, paths)) = words.split_last() else { return Ok(()) };
    let places = Target::new(target, paths.len())?;
    let root = root(image, context)?;
    let mut all = Copied::default();
    for path in paths {
        let copied = image::copy_out(&root, &absolute(path), &places.place(path)?).await?;
        all.files += copied.files;
        all.bytes += copied.bytes;
        all.left_out.extend(copied.left_out);
    }
    for (path, kind) in &all.left_out {
        printer::err(&format!("warning: {} is a {}, which is not copied\n", printable(&path.to_string_lossy()), kind.name()));
    }
    let text = if context.json {
        let left_out: Vec<_> = all.left_out.iter().map(|(path, kind)| json!({"path": path.to_string_lossy(), "kind": kind})).collect();
        format!("{:#}\n", json!({"schema": SCHEMA, "files": all.files, "bytes": all.bytes, "left_out": left_out}))
    } else {
        let files = counted(usize::try_from(all.files).unwrap_or(usize::MAX), "file");
        format!("{}: {files}, {}\n", target.display(), rounded(all.bytes))
    };
    Ok(printer::out(&text)?)
}
