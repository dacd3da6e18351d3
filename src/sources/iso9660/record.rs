//! Directory records (ECMA-119 9.1).

use super::error::Problem;
use super::extent::{BLOCK, Extent};
use crate::base::read_at::ReadAt;

/// Bytes of a record before the identifier.
const FIXED: usize = 33;
/// Bits of the file flags (ECMA-119 9.1.6).
const DIRECTORY: u8 = 1 << 1;
const ASSOCIATED: u8 = 1 << 2;
const MULTI_EXTENT: u8 = 1 << 7;

/// One record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub extent: Extent,
    pub identifier: &'a [u8],
    pub system_use: &'a [u8],
    flags: u8,
    interleaved: bool,
}

impl<'a> Record<'a> {
    /// Parse the record that `bytes` are.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let short = "a record in it is shorter than its parts";
        let fixed = bytes.get(..FIXED).ok_or(short)?;
        let number = |at: usize| u64::from(u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]));
        let identifier_end = FIXED + usize::from(fixed[32]);
        let identifier = bytes.get(FIXED..identifier_end).filter(|identifier| !identifier.is_empty()).ok_or(short)?;
        // The system use area begins at an even byte (ECMA-119 9.1.12).
        let system_use = bytes.get(identifier_end + identifier_end % 2..).unwrap_or_default();
        // OK to add and multiply: two 32-bit numbers at most.
        let extent = Extent { start: (number(2) + u64::from(fixed[1])) * BLOCK, bytes: number(10) };
        Ok(Self { extent, identifier, system_use, flags: fixed[25], interleaved: fixed[26] != 0 || fixed[27] != 0 })
    }

    /// `.` and `..` are the bytes 0 and 1 (ECMA-119 7.6.2).
    pub(super) fn is_self_or_parent(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags & DIRECTORY != 0
    }

    pub(super) fn is_associated(&self) -> bool {
        self.flags & ASSOCIATED != 0
    }

    pub(super) fn is_continued(&self) -> bool {
        self.flags & MULTI_EXTENT != 0
    }

    pub(super) fn is_interleaved(&self) -> bool {
        self.interleaved
    }
}

/// The records of a directory. None crosses the end of a sector; the rest of a sector is zeros (ECMA-119 6.8.1.1).
pub(super) fn records(directory: &[u8]) -> impl Iterator<Item = Result<Record<'_>, &'static str>> {
    directory.chunks(BLOCK as usize).flat_map(|sector| {
        let mut rest = sector;
        std::iter::from_fn(move || {
            let length = usize::from(*rest.first()?);
            if length == 0 {
                return None;
            }
            let Some((record, after)) = rest.split_at_checked(length) else {
                rest = &[];
                return Some(Err("a record in it crosses the end of a sector"));
            };
            rest = after;
            Some(Record::parse(record))
        })
    })
}

/// The extent of the directory that begins at `block`, as its own first record says.
pub(super) fn itself(bytes: &dyn ReadAt, block: u32) -> Result<Extent, Problem> {
    let mut record = [0; FIXED + 1];
    bytes.read_at(u64::from(block) * BLOCK, &mut record)?;
    let record = Record::parse(&record).map_err(Problem::What)?;
    if record.is_directory() && record.is_self_or_parent() {
        Ok(record.extent)
    } else {
        Err(Problem::What("a relocated directory in it is none"))
    }
}

/// A name in the Joliet set: UCS-2, in practice UTF-16, in big-endian order.
pub(super) fn joliet_name(identifier: &[u8]) -> String {
    let units = identifier.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let name: String = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    without_version(&name).to_owned()
}

/// A name of ISO 9660 itself. A file without an extension keeps its dot there (ECMA-119 7.5.1).
pub(super) fn plain_name(identifier: &[u8]) -> String {
    let name = String::from_utf8_lossy(identifier);
    let name = without_version(&name);
    name.strip_suffix('.').unwrap_or(name).to_owned()
}

fn without_version(name: &str) -> &str {
    match name.rsplit_once(';') {
        Some((stem, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_version_and_empty_extension() {
        for (raw, name) in
            [("VMLINUZ.;1", "VMLINUZ"), ("INITRD.IMG;1", "INITRD.IMG"), ("A;B", "A;B"), ("_TREEINFO.;12", "_TREEINFO"), ("X", "X")]
        {
            assert_eq!(plain_name(raw.as_bytes()), name);
            let joliet: Vec<u8> = raw.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(joliet_name(&joliet).trim_end_matches('.'), name);
        }
        assert_eq!(joliet_name(&[0xd8, 0x00, 0x00]), "\u{fffd}");
    }

    #[test]
    fn a_record_is_as_long_as_its_parts_or_refused() {
        for (bytes, fits) in [(&[0; 10][..], false), (&[0; 33], false), (&[0; 34], false)] {
            assert_eq!(Record::parse(bytes).is_ok(), fits);
        }
        let mut record = [0; 34];
        record[32] = 2;
        assert!(Record::parse(&record).is_err());
        record[32] = 1;
        assert!(Record::parse(&record).unwrap().is_self_or_parent());
    }
}
