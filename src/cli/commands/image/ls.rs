//! `goldsmith image ls IMAGE [PATH]`.

use std::path::Path;

use serde_json::json;

use super::listing::Listing;
use super::opened::{absolute, root};
use crate::base::event::SCHEMA;
use crate::base::failure::AnyFailure;
use crate::cli::args::ImageLs;
use crate::cli::{Context, printer};
use crate::image::FileKind;

/// List the directory, or only the file.
///
/// # Errors
/// The image cannot be read, or there is nothing of that name.
pub(super) fn run(args: &ImageLs, context: &Context) -> Result<(), AnyFailure> {
    let root = root(&args.image, context)?;
    let path = absolute(&args.path);
    let listing = Listing::new(&root, args.long)?;
    let file = root.metadata(&path)?;
    let mut found = Vec::new();
    if file.kind == FileKind::Directory {
        for entry in root.entries(&path)? {
            found.push((entry.name.clone().into(), path.join(&entry.name), entry.metadata));
        }
    } else {
        found.push((args.path.clone(), path.clone(), root.symlink_metadata(&path)?));
    }
    if context.json {
        let entries = found.iter().map(|(_, path, file)| listing.object(path, file)).collect::<Result<Vec<_>, _>>()?;
        return Ok(printer::out(&format!("{:#}\n", json!({"schema": SCHEMA, "path": path.to_string_lossy(), "entries": entries})))?);
    }
    let mut text = Vec::new();
    for (name, path, file) in &found {
        text.extend(listing.line(Path::new(name), path, file)?);
    }
    Ok(printer::pass(&text).map(drop)?)
}
