//! Ids of filesystems in files: goldsmith derives them from what an image is made of, so they differ between two images.

use super::difference::{Fate, FileChange};
use crate::image::{FileKind, ImageError, Root};

/// The reason of such a difference.
pub(super) const REASON: &str = "ids of filesystems";

/// Bytes of a file that is looked into.
const MAX_BYTES: u64 = 1 << 20;
/// The files that name filesystems: fstab(5), and what GRUB reads and makes.
const PLACES: [&str; 4] = ["/etc/fstab", "/boot/grub", "/boot/grub2", "/etc/default/grub"];

/// Whether `file` differs in nothing but the ids of each image's own root filesystem.
pub(super) fn is_all(before: &Root, after: &Root, file: &FileChange) -> Result<bool, ImageError> {
    let is_content = file.fate == Fate::Changed && file.what == ["content"];
    if !is_content || !PLACES.iter().any(|place| file.path.starts_with(place)) {
        return Ok(false);
    }
    let neutral = |root: &Root| -> Result<Option<String>, ImageError> {
        let metadata = root.symlink_metadata(&file.path)?;
        if metadata.kind != FileKind::File || metadata.size > MAX_BYTES {
            return Ok(None);
        }
        let text = String::from_utf8(root.read(&file.path, MAX_BYTES)?).ok();
        Ok(text.map(|text| text.replace(&root.uuid(), "")))
    };
    let (old, new) = (neutral(before)?, neutral(after)?);
    Ok(old.is_some() && old == new)
}
