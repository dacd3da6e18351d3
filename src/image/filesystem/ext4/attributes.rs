//! Extended attributes of ext4: in the inode, in a block of their own, and values in inodes of their own.
//!
//! Layouts are those of Linux 6.12: fs/ext4/xattr.h, struct `ext4_xattr_header`; the access lists' fs/ext4/acl.h.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::super::{FsError, Xattr};
use super::content::Bytes;
use super::entries::{MAGIC, Value, entries, in_inode};
use super::geometry::{Geometry, u16_in, u32_in};
use super::inodes::Inode;
use crate::image::crc32c::crc32c;

/// Bytes of a block before the entries.
const BLOCK_HEAD_BYTES: usize = 32;
/// Bytes of a value (`XATTR_SIZE_MAX`, include/uapi/linux/limits.h), and of all values of a file that are read.
const MAX_VALUE_BYTES: u64 = 64 << 10;
const MAX_ALL_BYTES: usize = 16 << 20;
/// `EXT4_XATTR_INDEX_…` of what Linux shows, with what it puts before the names. The name of an access list is the prefix alone.
const PREFIXES: [(u8, &str); 6] = [
    (1, "user."),
    (POSIX_ACL_ACCESS, "system.posix_acl_access"),
    (POSIX_ACL_DEFAULT, "system.posix_acl_default"),
    (4, "trusted."),
    (6, "security."),
    (10, "gnu."),
];
const POSIX_ACL_ACCESS: u8 = 2;
const POSIX_ACL_DEFAULT: u8 = 3;

/// The attributes of `inode`, sorted by name.
///
/// # Errors
/// They are damaged.
pub(super) fn read(geometry: &Geometry, inode: &Inode) -> Result<Vec<Xattr>, FsError> {
    let block = match inode.attribute_block() {
        0 => Vec::new(),
        number => read_block(geometry, inode, number)?,
    };
    let mut found = Vec::new();
    let mut bytes = 0;
    for entry in in_inode(inode)?.into_iter().chain(entries(inode, &block, BLOCK_HEAD_BYTES, 0)?) {
        let Some((_, prefix)) = PREFIXES.iter().find(|(index, _)| *index == entry.index) else { continue };
        let name = OsString::from_vec([prefix.as_bytes(), entry.name].concat());
        let value = match entry.value {
            Value::Here(value) => value.to_vec(),
            Value::In(number) => value_in(geometry, inode, number)?,
        };
        let is_list = matches!(entry.index, POSIX_ACL_ACCESS | POSIX_ACL_DEFAULT);
        let value = if is_list { access_list(&value).ok_or_else(|| inode.corrupt("its access list is damaged"))? } else { value };
        bytes += value.len();
        if bytes > MAX_ALL_BYTES {
            return Err(inode.corrupt("its attributes have more than 16 MiB"));
        }
        found.push((name, value));
    }
    found.sort();
    Ok(found)
}

/// The block `number` with attributes of `inode`, and perhaps of others.
fn read_block(geometry: &Geometry, inode: &Inode, number: u64) -> Result<Vec<u8>, FsError> {
    let block = geometry.block(number)?;
    if u32_in(&block, 0) != MAGIC {
        return Err(inode.corrupt(format!("block {number} holds no attributes")));
    }
    // `ext4_xattr_block_csum`: of the block's number, and of the block with zeros for the checksum.
    let sum = |seed| [&number.to_le_bytes()[..], &block[..0x10], &[0; 4], &block[0x14..]].into_iter().fold(seed, crc32c);
    if geometry.seed().is_some_and(|seed| sum(seed) != u32_in(&block, 0x10)) {
        return Err(inode.corrupt(format!("its attributes in block {number} fail their checksum")));
    }
    Ok(block)
}

/// The value of an attribute of `owner` that is the content of the inode `number`.
fn value_in(geometry: &Geometry, owner: &Inode, number: u32) -> Result<Vec<u8>, FsError> {
    let inode = Inode::read(geometry, number)?;
    if !inode.is_attribute() || inode.is_inline() {
        return Err(owner.corrupt(format!("an attribute is in inode {number}, which holds none")));
    }
    Bytes::of(geometry, &inode)?.whole(&inode, MAX_VALUE_BYTES)
}

/// An access list as getxattr(2) gives it, from the shorter form on the disk: `posix_acl_xattr_entry` of
/// include/uapi/linux/posix_acl_xattr.h, from `ext4_acl_entry`. `None` when it is damaged.
fn access_list(raw: &[u8]) -> Option<Vec<u8>> {
    const USER: u16 = 0x2;
    const GROUP: u16 = 0x8;
    let (version, mut left) = raw.split_at_checked(4)?;
    if version != 1u32.to_le_bytes() {
        return None;
    }
    let mut list = 2u32.to_le_bytes().to_vec();
    while !left.is_empty() {
        let (head, rest) = left.split_at_checked(4)?;
        let (id, rest) = if matches!(u16_in(head, 0), USER | GROUP) { rest.split_at_checked(4)? } else { (&[0xff; 4][..], rest) };
        list.extend_from_slice(head);
        list.extend_from_slice(id);
        left = rest;
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_list_is_as_getxattr_gives_it() {
        let raw = [1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 0xe8, 3, 0, 0, 32, 0, 0, 0];
        let expected = [2, 0, 0, 0, 1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, 2, 0, 4, 0, 0xe8, 3, 0, 0, 32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(access_list(&raw).as_deref(), Some(&expected[..]));
        for damaged in [&raw[..0], &raw[..3], &raw[..7], &raw[..14], &[2, 0, 0, 0]] {
            assert_eq!(access_list(damaged), None, "{damaged:?}");
        }
        assert_eq!(access_list(&raw[..4]), Some(vec![2, 0, 0, 0]));
    }
}
