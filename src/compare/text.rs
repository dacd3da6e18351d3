//! How the text of a configuration file differs.

use similar::TextDiff;

use super::difference::{Fate, FileChange};
use crate::image::{FileKind, ImageError, Root};

/// Bytes of a text that is compared line by line.
const MAX_BYTES: u64 = 1 << 20;
/// Lines around a change, as `diff -u` shows.
const CONTEXT: usize = 3;

/// The difference of `file` as `diff -u` writes it. `None` for a file outside `/etc`, a large one, and one with bytes that are no text. A
/// file that not everybody may read is not shown either: passwords and keys would get into logs.
pub(super) fn unified(before: &Root, after: &Root, file: &FileChange) -> Result<Option<String>, ImageError> {
    if !file.path.starts_with("/etc") || (file.fate == Fate::Changed && !file.what.iter().any(|what| what == "content")) {
        return Ok(None);
    }
    let (Some(old), Some(new)) = (text(before, file, Fate::Added)?, text(after, file, Fate::Removed)?) else { return Ok(None) };
    let path = file.path.to_string_lossy();
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().context_radius(CONTEXT).header(&format!("before{path}"), &format!("after{path}")).to_string();
    Ok((!text.is_empty()).then_some(text))
}

/// The text of one side; empty when the file's fate is that it is not there, `None` when it is not shown.
fn text(root: &Root, file: &FileChange, absent: Fate) -> Result<Option<String>, ImageError> {
    if file.fate == absent {
        return Ok(Some(String::new()));
    }
    let metadata = root.symlink_metadata(&file.path)?;
    if metadata.kind != FileKind::File || metadata.size > MAX_BYTES || metadata.mode & 0o004 == 0 {
        return Ok(None);
    }
    let text = String::from_utf8(root.read(&file.path, MAX_BYTES)?);
    Ok(text.ok().filter(|text| !text.contains('\0')))
}
