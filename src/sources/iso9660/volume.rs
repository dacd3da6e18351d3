//! Volume descriptors (ECMA-119 8).

use std::io;

use super::record::Record;
use super::{BLOCK, Extent, IsoError};
use crate::base::read_at::ReadAt;

/// The sector of the first descriptor (ECMA-119 6.2.1).
const FIRST: u64 = 16;
/// Descriptors looked at before the set counts as endless. Images have three to five.
const LIMIT: u64 = 64;
/// What every descriptor says (ECMA-119 8.1.2).
const STANDARD_IDENTIFIER: &[u8] = b"CD001";
/// Escape sequences of the three Joliet levels.
const JOLIET: [&[u8]; 3] = [b"%/@", b"%/C", b"%/E"];

/// An image's volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its label, without padding. Not trusted: it may hold any character.
    pub id: String,
    /// Its size in bytes. The file is as long or longer.
    pub bytes: u64,
}

/// What the descriptors say.
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
                let volume = Volume { id, bytes: u64::from(le32(&sector, 80)) * BLOCK };
                primary = Some((volume, root(&sector).map_err(corrupt)?));
            }
            2 if JOLIET.contains(&&sector[88..91]) => joliet = Some(root(&sector).map_err(corrupt)?),
            255 => break,
            _ => {}
        }
    }
    let (volume, root) = primary.ok_or(IsoError::NotAnImage)?;
    Ok(Found { volume, root, joliet })
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
