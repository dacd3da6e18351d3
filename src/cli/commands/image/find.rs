//! `goldsmith image find IMAGE [PATH]`.

use std::path::Path;

use serde_json::json;

use super::listing::Listing;
use super::opened::{absolute, root};
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::cli::args::ImageFind;
use crate::cli::{Context, printer};
use crate::image::{FileKind, Metadata};

/// After this many files, other work has a turn, and the found files are printed.
const FILES_PER_TURN: usize = 256;

/// Print the files below the directory that match.
///
/// # Errors
/// The image cannot be read, or there is no such directory.
pub(super) async fn run(args: &ImageFind, context: &Context) -> Result<(), AnyFailure> {
    let root = root(&args.image, context)?;
    let listing = Listing::new(&root, args.long)?;
    let (mut objects, mut text) = (Vec::new(), Vec::new());
    for (count, found) in root.walk(absolute(&args.path))?.enumerate() {
        let (path, file) = found?;
        if fits(args, &path, &file) {
            if context.json {
                objects.push(listing.object(&path, &file)?);
            } else {
                text.extend(listing.line(&path, &path, &file)?);
            }
        }
        if count % FILES_PER_TURN == 0 {
            if !printer::pass(&std::mem::take(&mut text))? {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
    if context.json {
        text = format!("{:#}\n", json!({"schema": SCHEMA, "files": objects})).into_bytes();
    }
    Ok(printer::pass(&text).map(drop)?)
}

fn fits(args: &ImageFind, path: &Path, file: &Metadata) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    args.name.as_ref().is_none_or(|pattern| pattern.matches(&name))
        && args.kind.is_none_or(|kind| kind == file.kind)
        && args.at_least.is_none_or(|size| file.size >= size.bytes())
        // The mode bits of a link have no meaning.
        && args.mode.is_none_or(|bits| file.kind != FileKind::Symlink && file.mode & bits != 0)
}
