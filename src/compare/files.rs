//! The files of two images, walked together. Content that both have from one file under them is not read.

use std::cmp::Ordering;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::difference::{Bytes, Fate, FileChange};
use super::error::CompareError;
use crate::base::aside::Meter;
use crate::image::{FileKind, ImageError, Metadata, Owners, Root};

/// Bytes of two files that are compared at once.
const PIECE_BYTES: usize = 256 << 10;

/// Directories whose content does not last. Files that an image has there were left by accident, and the audit reports them.
const PASSING: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// One of the two images.
struct Side<'a> {
    root: &'a Root,
    owners: Owners,
}

/// All files that differ, in the order of their paths.
pub(super) fn changes(before: &Root, after: &Root, meter: &Arc<Meter>) -> Result<Vec<FileChange>, CompareError> {
    let side = |root| Ok::<_, ImageError>(Side { root, owners: Owners::of(root)? });
    let (old_side, new_side) = (side(before)?, side(after)?);
    // Both walks are in the order of paths, component by component: they are merged as they go.
    let (mut old_walk, mut new_walk) = (before.walk("/")?, after.walk("/")?);
    let (mut old, mut new) = (old_walk.next().transpose()?, new_walk.next().transpose()?);
    let mut found = Vec::new();
    loop {
        let order = match (&old, &new) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        let (gone, come) = (old.take_if(|_| order != Ordering::Greater), new.take_if(|_| order != Ordering::Less));
        let change = match (&gone, &come) {
            (Some((path, old)), Some((_, new))) => changed(&old_side, &new_side, path, old, new, meter)?,
            (Some((path, old)), None) => Some(only(path, Fate::Removed, old, None)),
            (None, Some((path, new))) => Some(only(path, Fate::Added, new, Some(new))),
            (None, None) => None,
        };
        found.extend(change.filter(|change| !PASSING.iter().any(|dir| change.path.starts_with(dir))));
        if gone.is_some() {
            old = old_walk.next().transpose()?;
        }
        if come.is_some() {
            new = new_walk.next().transpose()?;
        }
    }
    Ok(found)
}

/// A file that one image has.
fn only(path: &Path, fate: Fate, there: &Metadata, after: Option<&Metadata>) -> FileChange {
    let bytes = size(there);
    let size = if after.is_some() { Bytes { before: 0, after: bytes } } else { Bytes { before: bytes, after: 0 } };
    FileChange { path: path.to_owned(), fate, what: Vec::new(), size, because: None, text: None }
}

fn size(metadata: &Metadata) -> u64 {
    if metadata.kind == FileKind::File { metadata.size } else { 0 }
}

/// What differs of a file that both have; `None` when nothing does.
fn changed(
    before: &Side,
    after: &Side,
    path: &Path,
    old: &Metadata,
    new: &Metadata,
    meter: &Arc<Meter>,
) -> Result<Option<FileChange>, CompareError> {
    let mut what = Vec::new();
    if old.kind != new.kind {
        what.push(format!("a {}, was a {}", new.kind.name(), old.kind.name()));
    } else if !is_same_content(before.root, after.root, path, old, new, meter)? {
        what.push("content".to_owned());
    }
    // The mode of a link means nothing (chmod(2)).
    if old.mode != new.mode && new.kind != FileKind::Symlink {
        what.push(format!("mode {:o}, was {:o}", new.mode, old.mode));
    }
    let owner = |side: &Side, metadata: &Metadata| format!("{}:{}", side.owners.user(metadata.uid), side.owners.group(metadata.gid));
    if (old.uid, old.gid) != (new.uid, new.gid) {
        what.push(format!("owner {}, was {}", owner(after, new), owner(before, old)));
    }
    let (old_attributes, new_attributes) = (before.root.xattrs(path)?, after.root.xattrs(path)?);
    if old_attributes != new_attributes {
        for (name, _) in old_attributes.iter().chain(&new_attributes) {
            let of = |all: &[(std::ffi::OsString, Vec<u8>)]| all.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let word = attribute(&name.to_string_lossy());
            if of(&old_attributes) != of(&new_attributes) && !what.contains(&word) {
                what.push(word);
            }
        }
    }
    let size = Bytes { before: size(old), after: size(new) };
    Ok((!what.is_empty()).then(|| FileChange { path: path.to_owned(), fate: Fate::Changed, what, size, because: None, text: None }))
}

/// What people call an attribute (xattr(7), capabilities(7), selinux(8), acl(5)).
fn attribute(name: &str) -> String {
    match name {
        "security.selinux" => "label".to_owned(),
        "security.capability" => "capabilities".to_owned(),
        "system.posix_acl_access" | "system.posix_acl_default" => "access list".to_owned(),
        other => format!("attribute {other}"),
    }
}

/// Whether what two files of one kind hold is the same.
fn is_same_content(
    before: &Root,
    after: &Root,
    path: &Path,
    old: &Metadata,
    new: &Metadata,
    meter: &Arc<Meter>,
) -> Result<bool, CompareError> {
    match new.kind {
        FileKind::Symlink => Ok(before.read_link(path)? == after.read_link(path)?),
        FileKind::File if old.size != new.size => Ok(false),
        FileKind::File => {
            let (mut old, mut new) = (before.open_file(path)?, after.open_file(path)?);
            let mut pieces = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
            loop {
                let ((old_count, old_place), (new_count, new_place)) = (old.stored()?, new.stored()?);
                let shared = old_count.min(new_count);
                if shared > 0 && old_place.is_some() && old_place == new_place {
                    old.skip(shared);
                    new.skip(shared);
                    continue;
                }
                let counts = (filled(&mut old, &mut pieces.0, before)?, filled(&mut new, &mut pieces.1, after)?);
                meter.count((counts.0 + counts.1) as u64).map_err(|source| ImageError::read(after.disk(), source))?;
                if pieces.0[..counts.0] != pieces.1[..counts.1] {
                    return Ok(false);
                }
                if counts.0 < PIECE_BYTES {
                    return Ok(true);
                }
            }
        }
        FileKind::Directory | FileKind::Device | FileKind::Pipe | FileKind::Socket => Ok(true),
    }
}

/// Fill `piece` from `file`, as far as it goes.
fn filled(file: &mut impl Read, piece: &mut [u8], root: &Root) -> Result<usize, ImageError> {
    let mut count = 0;
    while count < piece.len() {
        match file.read(&mut piece[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ImageError::read(root.disk(), error)),
        }
    }
    Ok(count)
}
