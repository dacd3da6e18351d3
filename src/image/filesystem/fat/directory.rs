//! Directories of a FAT: records of 32 bytes, several of which hold a long name, before the one that describes the file.

use super::super::{FileKind, FsError, Metadata};
use super::volume::{Chain, Volume};

/// Bytes of a record.
const RECORD_BYTES: usize = 32;
/// `DIR_Attr`.
const ATTRIBUTE_READ_ONLY: u8 = 0x01;
const ATTRIBUTE_VOLUME_ID: u8 = 0x08;
const ATTRIBUTE_DIRECTORY: u8 = 0x10;
const ATTRIBUTES_LONG_NAME: u8 = 0x0f;
/// `DIR_Name[0]`: the record is free, or it and all behind it are.
const FREE: u8 = 0xe5;
const END: u8 = 0;
/// `DIR_NTRes`: name and extension are shown in lower case (Linux, fs/fat/fat.h, `CASE_LOWER_BASE`).
const LOWER_BASE: u8 = 0x08;
const LOWER_EXTENSION: u8 = 0x10;
/// Bit of `LDIR_Ord` in the first record of a long name, which holds its end.
const LAST_LONG: u8 = 0x40;
/// Records of a long name at most: 20 of 13 characters.
const LONG_RECORDS: usize = 20;
/// Where a long name's characters stand in a record.
const LONG_PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

/// The data of a file in its directory.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) name: String,
    /// The name of eleven characters, when there is another.
    short: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) cluster: u32,
    /// Byte of the volume at which the record is.
    pub(super) place: u64,
}

impl Record {
    /// Whether Linux opens it as `name`.
    pub(super) fn is_named(&self, name: &str) -> bool {
        let is_same = |other: &str| other.chars().flat_map(char::to_lowercase).eq(name.chars().flat_map(char::to_lowercase));
        is_same(&self.name) || self.short.as_deref().is_some_and(is_same)
    }
}

/// The entries of the directory in `chain`, without `.` and `..`.
pub(super) fn read(volume: &Volume, chain: Chain) -> Result<Vec<Record>, FsError> {
    let mut found = Vec::new();
    let mut long = LongName::default();
    visit(volume, &chain, |raw, place| {
        if raw[11] & 0x3f == ATTRIBUTES_LONG_NAME {
            long.add(raw);
            return Ok(());
        }
        let long = std::mem::take(&mut long).finish(raw);
        if raw[11] & ATTRIBUTE_VOLUME_ID != 0 || raw[0] == FREE || raw[0] == b'.' {
            return Ok(());
        }
        let short = short_name(raw);
        let (name, short) = match long {
            Some(long) => (long, Some(short)),
            None => (short, None),
        };
        let high = if volume.is_wide() { u32::from(u16_in(raw, 20)) } else { 0 };
        let cluster = high << 16 | u32::from(u16_in(raw, 26));
        found.push(Record { name, short, metadata: metadata(raw), cluster, place });
        Ok(())
    })?;
    Ok(found)
}

/// The volume's label: a record of its root directory. Empty when there is none.
pub(super) fn label(volume: &Volume) -> Result<String, FsError> {
    let mut label = String::new();
    visit(volume, &volume.root()?, |raw, _| {
        if raw[11] & 0x3f != ATTRIBUTES_LONG_NAME && raw[11] & ATTRIBUTE_VOLUME_ID != 0 && raw[0] != FREE && label.is_empty() {
            label = text(&raw[..11]);
        }
        Ok(())
    })?;
    Ok(label)
}

/// Call `tell` with each record up to the end of the directory, and its place.
fn visit(volume: &Volume, chain: &Chain, mut tell: impl FnMut(&[u8], u64) -> Result<(), FsError>) -> Result<(), FsError> {
    let mut bytes = vec![0; 4096];
    let mut at = 0;
    while at < chain.bytes() {
        let count = volume.read_chain(chain, at, &mut bytes)?;
        if count == 0 {
            break;
        }
        for (index, raw) in bytes[..count].chunks_exact(RECORD_BYTES).enumerate() {
            if raw[0] == END {
                return Ok(());
            }
            tell(raw, Volume::place(chain, at + (index * RECORD_BYTES) as u64))?;
        }
        at += count as u64;
    }
    Ok(())
}

fn metadata(raw: &[u8]) -> Metadata {
    let is_directory = raw[11] & ATTRIBUTE_DIRECTORY != 0;
    let kind = if is_directory { FileKind::Directory } else { FileKind::File };
    // Linux' vfat without options: umask 022, and what is read-only cannot be written (`fat_make_mode`).
    let mode = if raw[11] & ATTRIBUTE_READ_ONLY != 0 && !is_directory { 0o555 } else { 0o755 };
    let size = if is_directory { 0 } else { u64::from(u32::from(u16_in(raw, 30)) << 16 | u32::from(u16_in(raw, 28))) };
    Metadata { kind, mode, uid: 0, gid: 0, size, modified: seconds(u16_in(raw, 24), u16_in(raw, 22)) }
}

/// Seconds since 1970 of a date and a time of day, which are taken for UTC: a FAT does not say of which time zone they are.
fn seconds(date: u16, time: u16) -> i64 {
    let (year, month, day) = (i64::from(date >> 9) + 1980, i64::from(date >> 5 & 0xf).clamp(1, 12), i64::from(date & 0x1f).max(1));
    // Days of the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    let (hours, minutes, pairs) = (i64::from(time >> 11), i64::from(time >> 5 & 0x3f), i64::from(time & 0x1f));
    days * 86_400 + hours * 3600 + minutes * 60 + pairs * 2
}

/// The name of eleven characters: `NAME.EXT`, in lower case as far as the record says so.
fn short_name(raw: &[u8]) -> String {
    let mut base = raw[..8].to_vec();
    // A name whose first byte would mark a free record has 0x05 in its place (`DIR_Name[0]`).
    if base[0] == 0x05 {
        base[0] = FREE;
    }
    let lower = |text: String, bit: u8| if raw[12] & bit != 0 { text.to_lowercase() } else { text };
    let (base, extension) = (lower(text(&base), LOWER_BASE), lower(text(&raw[8..11]), LOWER_EXTENSION));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// Characters of a short name or label. Other characters than ASCII are of a code page that the volume does not name.
fn text(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER }).collect();
    text.trim_end_matches(' ').to_owned()
}

/// A long name. The record with its end comes first.
#[derive(Default)]
struct LongName {
    parts: Vec<[u16; 13]>,
    /// Records that are still to come, and the checksum of the short name that all of them hold.
    left: u8,
    sum: u8,
}

impl LongName {
    fn add(&mut self, raw: &[u8]) {
        let number = raw[0] & !LAST_LONG;
        if raw[0] & LAST_LONG != 0 && raw[0] != FREE {
            *self = Self { parts: Vec::new(), left: number, sum: raw[13] };
        } else if number != self.left || raw[13] != self.sum {
            *self = Self::default();
        }
        if number == 0 || usize::from(number) > LONG_RECORDS || self.left == 0 {
            *self = Self::default();
            return;
        }
        self.parts.push(LONG_PLACES.map(|at| u16_in(raw, at)));
        self.left -= 1;
    }

    /// The name, when it is whole and belongs to the record `raw`.
    fn finish(self, raw: &[u8]) -> Option<String> {
        let sum = raw[..11].iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        if self.left != 0 || self.parts.is_empty() || sum != self.sum {
            return None;
        }
        let units: Vec<u16> = self.parts.into_iter().rev().flatten().take_while(|unit| *unit != 0).collect();
        let name = String::from_utf16_lossy(&units);
        // These are no valid names, whatever the record says.
        (!name.is_empty() && name != "." && name != ".." && !name.contains('/')).then_some(name)
    }
}

fn u16_in(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_counted_in_seconds() {
        // date -u -d '…' +%s
        for (date, time, expected) in [
            ((1, 1, 0), (0, 0, 0), 315_532_800),
            ((29, 2, 2024 - 1980), (12, 34, 56), 1_709_210_096),
            ((31, 12, 127), (23, 59, 58), 4_354_819_198),
            ((0, 0, 0), (0, 0, 0), 315_532_800),
        ] {
            let date: u16 = date.2 << 9 | date.1 << 5 | date.0;
            let time: u16 = time.0 << 11 | time.1 << 5 | (time.2 / 2);
            assert_eq!(seconds(date, time), expected);
        }
    }

    #[test]
    fn a_long_name_belongs_to_one_record_only() {
        let mut long = [0xff; 32];
        long[0] = LAST_LONG | 1;
        for (at, unit) in LONG_PLACES.into_iter().zip("name.of.file\0".encode_utf16()) {
            long[at..at + 2].copy_from_slice(&unit.to_le_bytes());
        }
        let mut short = [0; 32];
        short[..11].copy_from_slice(b"NAMEOF~1FIL");
        long[13] = short[..11].iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte));
        let named = |long: &[u8], short: &[u8]| {
            let mut name = LongName::default();
            name.add(long);
            name.finish(short)
        };
        assert_eq!(named(&long, &short).as_deref(), Some("name.of.file"));
        let mut other = short;
        other[0] = b'X';
        assert_eq!(named(&long, &other), None);
        let mut second = long;
        second[0] = LAST_LONG | 2;
        assert_eq!(named(&second, &short), None);
        assert_eq!(short_name(&short), "NAMEOF~1.FIL");
    }
}
