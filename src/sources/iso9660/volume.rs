//! Volume descriptors (ECMA-119 8).

use std::io;

use super::error::IsoError;
use super::extent::{BLOCK, Extent};
use super::record::Record;
use crate::base::read_at::ReadAt;

/// The sector of the first descriptor (ECMA-119 6.2.1).
const FIRST: u64 = 16;
/// Descriptors that are read before the set counts as endless. Images have three to five.
const LIMIT: u64 = 64;
/// The identifier of every descriptor (ECMA-119 8.1.2).
const STANDARD_IDENTIFIER: &[u8] = b"CD001";
/// Escape sequences of the three Joliet levels.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// An image's volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its identifier, without padding. Not trusted: it may hold any character.
    pub id: String,
    /// Its label as libblkid of util-linux 2.23.2 tells it (libblkid/src/superblocks/iso9660.c): the identifier's bytes, or that of Joliet if
    /// the two begin differently. Without blanks at its end; not trusted either.
    pub label: Vec<u8>,
    /// Its size in bytes. The file is as long or longer.
    pub bytes: u64,
}

/// The data of the descriptors.
#[derive(Debug)]
pub(super) struct Found {
    pub volume: Volume,
    pub root: Extent,
    pub joliet: Option<Extent>,
}

/// Read the set of descriptors.
pub(super) fn read(bytes: &dyn ReadAt) -> Result<Found, IsoError> {
    let corrupt = |what| IsoError::Corrupt { at: "volume descriptor".to_owned(), what };
    let mut primary: Option<(Volume, Extent)> = None;
    let mut joliet = None;
    let mut joliet_id: Option<[u8; 32]> = None;
    let mut sector = [0; BLOCK as usize];
    for index in 0..LIMIT {
        match bytes.read_at((FIRST + index) * BLOCK, &mut sector) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            result => result?,
        }
        if &sector[1..6] != STANDARD_IDENTIFIER {
            break;
        }
        match sector[0] {
            1 if primary.is_none() => {
                if le16(&sector, 128) != BLOCK as u16 {
                    return Err(corrupt("its blocks are not of 2048 bytes, which is not supported"));
                }
                let id = String::from_utf8_lossy(&sector[40..72]).trim_end_matches([' ', '\0']).to_owned();
                let volume = Volume { id, label: sector[40..72].to_vec(), bytes: u64::from(le32(&sector, 80)) * BLOCK };
                primary = Some((volume, root(&sector).map_err(corrupt)?));
            }
            2 if JOLIET.contains(&&sector[88..91]) => {
                joliet = Some(root(&sector).map_err(corrupt)?);
                joliet_id = joliet_id.or_else(|| sector[40..72].try_into().ok());
            }
            255 => break,
            _ => {}
        }
    }
    let (mut volume, root) = primary.ok_or(IsoError::NotAnImage)?;
    volume.label = label(&volume.label, joliet_id);
    Ok(Found { volume, root, joliet })
}

/// The label, out of the 32 bytes of the volume's identifier and those of Joliet's.
fn label(id: &[u8], joliet: Option<[u8; 32]>) -> Vec<u8> {
    let mut label = id.to_vec();
    if let Some(joliet) = joliet {
        let units: Vec<u16> = joliet.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        // Joliet's has room for 16 characters, so it may be the beginning of the other.
        if !id.iter().map(|byte| u16::from(*byte)).take(units.len()).eq(units.iter().copied()) {
            label = units.into_iter().take_while(|unit| *unit != 0).flat_map(utf8).collect();
        }
    }
    let end = label.iter().position(|byte| *byte == 0).unwrap_or(label.len());
    label.truncate(end);
    // `isspace` of C's locale.
    while label.last().is_some_and(|byte| matches!(byte, b' ' | b'\t'..=b'\r')) {
        label.pop();
    }
    label
}

/// One unit of UTF-16 in UTF-8. Halves of a surrogate pair are not joined, as `blkid_encode_to_utf8` does not join them.
#[expect(clippy::cast_possible_truncation, reason = "the bits above are masked or shifted away")]
fn utf8(unit: u16) -> Vec<u8> {
    let last = 0x80 | (unit & 0x3f) as u8;
    match unit {
        0..0x80 => vec![unit as u8],
        0x80..0x800 => vec![0xc0 | (unit >> 6) as u8, last],
        _ => vec![0xe0 | (unit >> 12) as u8, 0x80 | (unit >> 6 & 0x3f) as u8, last],
    }
}

/// The root directory's record is a part of the descriptor (ECMA-119 8.4.18).
fn root(sector: &[u8]) -> Result<Extent, &'static str> {
    Record::parse(&sector[156..190]).map(|record| record.extent)
}

/// The little-endian half of a 16-bit number in both byte orders (ECMA-119 7.2.3).
fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The little-endian half of a 32-bit number in both byte orders (ECMA-119 7.3.3).
fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_is_the_one_that_libblkid_tells() {
        let id = |text: &str| [text.as_bytes(), &[b' '; 32][text.len()..]].concat();
        let joliet = |text: &str, pad: u16| {
            let mut units: Vec<u16> = text.encode_utf16().collect();
            units.resize(16, pad);
            Some(units.iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>().try_into().unwrap())
        };
        let odd = ["Größe 日本 ".as_bytes(), b"\xed\xa0\xbd\xed\xb2\xbf"].concat();
        for (primary, joliet, expected) in [
            (id("CentOS 7 x86_64"), None, &b"CentOS 7 x86_64"[..]),
            (id("CentOS 7 x86_64"), joliet("CentOS 7 x86_64", 32), b"CentOS 7 x86_64"),
            (id("CentOS 7 x86_64"), joliet("CentOS 7 x86_64", 0), b"CentOS 7 x86_64"),
            // The characters that do not fit into Joliet are not lost.
            (id("RHEL-7.5 Server.x86_64"), joliet("RHEL-7.5 Server.", 0), b"RHEL-7.5 Server.x86_64"),
            (id("CENTOS_7"), joliet("CentOS 7", 0), b"CentOS 7"),
            // The two halves of a surrogate pair (the character is a disc), each on its own.
            (id("CENTOS_7"), joliet("Größe 日本 \u{1f4bf}", 0), &odd),
            (id("CENTOS_7"), joliet("", 0), b""),
            (id("  a b  "), None, b"  a b"),
            (id(""), None, b""),
            (b"a\0b\0".to_vec(), None, b"a"),
            (vec![0xff; 32], None, &[0xff; 32]),
        ] {
            let found = label(&primary, joliet);
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(&primary));
        }
    }
}
