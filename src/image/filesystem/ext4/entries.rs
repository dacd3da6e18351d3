//! Entries of extended attributes of ext4, and content that stands in the inode, of which an attribute is a part.
//!
//! Layouts are those of Linux 6.12: fs/ext4/xattr.h, structs `ext4_xattr_ibody_header` and `ext4_xattr_entry`; fs/ext4/inline.c.

use super::super::FsError;
use super::geometry::{u16_in, u32_in};
use super::inodes::Inode;

/// `EXT4_XATTR_MAGIC`.
pub(super) const MAGIC: u32 = 0xea02_0000;
/// Bytes of an inode before the entries in it.
const INODE_HEAD_BYTES: usize = 4;
/// Bytes of an entry before its name.
const ENTRY_BYTES: usize = 16;
/// `EXT4_XATTR_INDEX_SYSTEM`, under which the rest of inline content has the name `data`.
const SYSTEM: u8 = 7;

/// The content of an inode with inline data: what `i_block` holds, and the attribute with the rest.
///
/// # Errors
/// The attributes are damaged.
pub(super) fn inline_content(inode: &Inode) -> Result<Vec<u8>, FsError> {
    let mut content = inode.block().to_vec();
    for entry in in_inode(inode)? {
        if let (SYSTEM, b"data", Value::Here(value)) = (entry.index, entry.name, &entry.value) {
            content.extend_from_slice(value);
        }
    }
    Ok(content)
}

/// An attribute as it is on the disk.
pub(super) struct Entry<'a> {
    pub(super) index: u8,
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

/// Where a value is.
pub(super) enum Value<'a> {
    Here(&'a [u8]),
    /// It is the content of this inode (`ea_inode`).
    In(u32),
}

/// The attributes in the inode itself. Their values' offsets count from the first entry on.
///
/// # Errors
/// They are damaged.
pub(super) fn in_inode(inode: &Inode) -> Result<Vec<Entry<'_>>, FsError> {
    let bytes = inode.attributes();
    if bytes.len() < INODE_HEAD_BYTES || u32_in(bytes, 0) != MAGIC {
        return Ok(Vec::new());
    }
    entries(inode, bytes, INODE_HEAD_BYTES, INODE_HEAD_BYTES)
}

/// The entries that begin at byte `first` of `bytes` and end with four zeros. Offsets of values count from `base` on.
///
/// # Errors
/// They are damaged.
pub(super) fn entries<'a>(inode: &Inode, bytes: &'a [u8], first: usize, base: usize) -> Result<Vec<Entry<'a>>, FsError> {
    let damaged = || inode.corrupt("its attributes are damaged");
    let mut found = Vec::new();
    let mut at = first;
    while bytes.get(at..at + 4).is_some_and(|head| head != [0; 4]) {
        let entry = bytes.get(at..at + ENTRY_BYTES).ok_or_else(damaged)?;
        let (name_bytes, index) = (usize::from(entry[0]), entry[1]);
        let name = bytes.get(at + ENTRY_BYTES..at + ENTRY_BYTES + name_bytes).ok_or_else(damaged)?;
        let value = match u32_in(entry, 4) {
            0 => {
                let start = base + usize::from(u16_in(entry, 2));
                let end = usize::try_from(u32_in(entry, 8)).ok().and_then(|size| start.checked_add(size)).ok_or_else(damaged)?;
                // The offset of an empty value has no meaning.
                Value::Here(if end == start { &[] } else { bytes.get(start..end).ok_or_else(damaged)? })
            }
            number => Value::In(number),
        };
        found.push(Entry { index, name, value });
        at += (ENTRY_BYTES + name_bytes).next_multiple_of(4);
    }
    Ok(found)
}
