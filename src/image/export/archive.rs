//! Parts of tar archives that do not depend on user and time.

use tar::{EntryType, Header};

/// Unit of an archive (GNU tar manual 1.34, "Basic Tar Format").
pub(super) const BLOCK: u64 = 512;
/// Two blocks of zeros end an archive.
pub(super) const END: [u8; 1024] = [0; 1024];

/// The header of a file or, when `path` ends with a slash, a directory: of root and of 1970. Sizes from 8 GiB on are written in base 256, as GNU
/// tar and all later readers do.
///
/// # Errors
/// `path` has more than 100 bytes.
pub(super) fn header(path: &str, size: u64, mode: u32, owner: u64) -> std::io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(path)?;
    header.set_entry_type(if path.ends_with('/') { EntryType::Directory } else { EntryType::Regular });
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

/// A file, with its header and filled up to a whole block.
///
/// # Errors
/// `path` has more than 100 bytes.
pub(super) fn file(path: &str, content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut bytes = header(path, content.len() as u64, 0o644, 0)?.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    Ok(bytes)
}
