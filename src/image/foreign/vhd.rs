//! VHD: whether a file is one, and holds all of its disk.
//!
//! After Microsoft's "Virtual Hard Disk Image Format Specification" 1.0, "Hard Disk Footer Format". All numbers are big-endian. The footer ends the
//! file; a file that grows has a copy of it at its beginning.

use std::path::Path;

use crate::base::read_at::ReadAt;
use crate::image::error::ImageError;

/// How a footer begins.
const COOKIE: &[u8] = b"conectix";
/// How the header of a disk that grows begins ("Dynamic Disk Header Format").
const DYNAMIC_COOKIE: &[u8] = b"cxsparse";
const FOOTER_BYTES: usize = 512;
/// "Disk Type".
const FIXED: u32 = 2;
const DYNAMIC: u32 = 3;
const DIFFERENCING: u32 = 4;

/// How a VHD keeps its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The disk's bytes from the file's beginning on, `size` of them.
    Fixed { size: u64 },
    /// Only the blocks that have data are stored.
    Dynamic,
}

/// The kind of VHD of `file`; `None` when it is not a VHD.
///
/// # Errors
/// It is damaged, or needs another file.
pub(super) fn check(file: &dyn ReadAt, path: &Path) -> Result<Option<Kind>, ImageError> {
    let Some(end) = file.len().checked_sub(FOOTER_BYTES as u64) else { return Ok(None) };
    // As QEMU has it: a copy at the beginning counts more than the footer, and without one the disk is fixed (block/vpc.c, `vpc_open`).
    let (first, last) = (footer(file, 0, path)?, footer(file, end, path)?);
    let damaged = |place: u64, what: &str| Err(ImageError::corrupt(path, place, what));
    let (place, footer) = match (first.starts_with(COOKIE), is_sound(&last)) {
        (true, _) if is_sound(&first) => (0, first),
        (true, _) => return damaged(0, "the checksum of its VHD footer is wrong"),
        (false, true) => (end, last),
        (false, false) => return Ok(None),
    };
    match number(&footer, 60) {
        DIFFERENCING => Err(ImageError::not_followed(path, "parent", &parent(file, &footer), "has the rest of its disk")),
        DYNAMIC if place == 0 => Ok(Some(Kind::Dynamic)),
        DYNAMIC => damaged(0, "it lacks the VHD footer at its beginning, which a dynamic disk has"),
        FIXED if place == end => {
            let size = long(&footer, 48);
            if size > end { damaged(end, "its VHD footer names more bytes than there are") } else { Ok(Some(Kind::Fixed { size })) }
        }
        other => Err(ImageError::incompatible(path, place + 60, format!("a VHD of the type {other}; 2 (fixed) and 3 (dynamic) are known"))),
    }
}

type Footer = [u8; FOOTER_BYTES];

fn footer(file: &dyn ReadAt, place: u64, path: &Path) -> Result<Footer, ImageError> {
    let mut footer = [0; FOOTER_BYTES];
    file.read_at(place, &mut footer).map_err(|source| ImageError::read(path, source))?;
    Ok(footer)
}

/// Whether it is a footer: "a one's complement of the sum of all the bytes in the footer without the checksum field".
fn is_sound(footer: &Footer) -> bool {
    let sum: u32 = footer.iter().enumerate().filter(|(at, _)| !(64..68).contains(at)).map(|(_, byte)| u32::from(*byte)).sum();
    footer.starts_with(COOKIE) && number(footer, 64) == !sum
}

/// The parent's name in the header of a disk that grows, as far as it can be read.
fn parent(file: &dyn ReadAt, footer: &Footer) -> String {
    let mut header = [0; 576];
    if file.read_at(long(footer, 16), &mut header).is_err() || !header.starts_with(DYNAMIC_COOKIE) {
        return String::new();
    }
    let units = header[64..].as_chunks().0.iter().map(|unit| u16::from_be_bytes(*unit)).take_while(|unit| *unit != 0);
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

fn number(footer: &Footer, at: usize) -> u32 {
    footer[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes)).unwrap_or_default()
}

fn long(footer: &Footer, at: usize) -> u64 {
    footer[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer(kind: u32, size: u64) -> Footer {
        let mut footer = [0; FOOTER_BYTES];
        footer[..8].copy_from_slice(COOKIE);
        footer[16..24].copy_from_slice(&512_u64.to_be_bytes());
        footer[48..56].copy_from_slice(&size.to_be_bytes());
        footer[60..64].copy_from_slice(&kind.to_be_bytes());
        let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
        footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
        footer
    }

    #[test]
    fn kinds_are_told_and_what_needs_a_parent_is_refused() {
        let mut header = vec![0; 1024];
        header[..8].copy_from_slice(DYNAMIC_COOKIE);
        for (at, byte) in "/etc/shadow".bytes().enumerate() {
            header[65 + 2 * at] = byte;
        }
        let data = vec![1; 4096];
        let mut spoilt = footer(FIXED, 4096);
        spoilt[100] = 1;
        for (bytes, expected) in [
            (data.clone(), Ok(None)),
            (vec![0; 100], Ok(None)),
            ([&data[..], &footer(FIXED, 4096)].concat(), Ok(Some(Kind::Fixed { size: 4096 }))),
            ([&data[..], &footer(FIXED, 1000)].concat(), Ok(Some(Kind::Fixed { size: 1000 }))),
            ([&data[..], &spoilt].concat(), Ok(None)),
            ([&data[..], &footer(FIXED, 4097)].concat(), Err("d is damaged at byte 4096: its VHD footer names more bytes than there are")),
            ([&footer(DYNAMIC, 9)[..], &data].concat(), Ok(Some(Kind::Dynamic))),
            ([&spoilt[..], &data].concat(), Err("d is damaged at byte 0: the checksum of its VHD footer is wrong")),
            (
                [&data[..], &footer(DYNAMIC, 9)].concat(),
                Err("d is damaged at byte 0: it lacks the VHD footer at its beginning, which a dynamic disk has"),
            ),
            (
                [&footer(DIFFERENCING, 9)[..], &header, &footer(DIFFERENCING, 9)].concat(),
                Err("d is not read: its parent `/etc/shadow` has the rest of its disk"),
            ),
            ([&data[..], &footer(DIFFERENCING, 9)].concat(), Err("d is not read: its parent `` has the rest of its disk")),
            (
                [&footer(7, 9)[..], &data].concat(),
                Err("cannot read d at byte 60: a VHD of the type 7; 2 (fixed) and 3 (dynamic) are known"),
            ),
            (
                [&footer(FIXED, 9)[..], &data].concat(),
                Err("cannot read d at byte 60: a VHD of the type 2; 2 (fixed) and 3 (dynamic) are known"),
            ),
        ] {
            let found = check(&bytes, Path::new("d")).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}
