//! `goldsmith screenshot NAME`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::base::atomic;
use crate::base::failure::AnyFailure;
use crate::cli::args::Screenshot;
use crate::cli::file_error::FileError;
use crate::cli::{Context, printer};
use crate::run;

/// Write a picture of a machine's screen.
///
/// # Errors
/// There is no such machine, it does not run, or the file cannot be written.
pub async fn screenshot(args: &Screenshot, context: &Context) -> Result<(), AnyFailure> {
    let place = super::place(&args.name, context)?;
    let picture = run::screenshot(&place).await?;
    // PNG, or the format that QEMU has instead.
    let usual = || PathBuf::from(args.name.as_str()).with_added_extension(picture.extension().unwrap_or_default());
    let target = args.file.clone().unwrap_or_else(usual);
    copy(&picture, &target)?;
    let text = if context.json {
        context.record(&json!({ "event": "screenshot", "name": args.name, "file": target.to_string_lossy() }))
    } else {
        format!("{}\n", target.display())
    };
    Ok(printer::out(&text)?)
}

fn copy(picture: &Path, target: &Path) -> Result<(), FileError> {
    let copied = fs::read(picture).and_then(|bytes| atomic::write(target, &bytes));
    copied.map_err(|source| FileError::new(target, source, "name another file: goldsmith screenshot NAME FILE"))
}
