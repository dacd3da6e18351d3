//! The header structure of an RPM package, of which it has two after its lead: the signature, and the header.
//!
//! As in "RPM Package File Format" of the LSB Core 5.0 (chapter 22). The crate `rpm` was weighed: it brings 31 crates, takes the offsets of
//! a header for true and panics on a wrong one (0.30.2, src/rpm/headers/header.rs), so that all of this would have to stand before it.

use std::io::{self, Read};

use crate::base::size::rounded;

/// Bytes of the lead, which says nothing that the header does not say better.
pub const LEAD_BYTES: usize = 96;
/// How every package begins.
pub const LEAD_MAGIC: &[u8] = b"\xed\xab\xee\xdb";
const HEADER_MAGIC: &[u8] = b"\x8e\xad\xe8\x01";
/// Bytes before the index: magic, four reserved bytes, the number of entries, and the bytes of data.
const INTRO_BYTES: usize = 16;
/// What a header may have of entries, and bytes of data: rpm 4.11 refuses more (`hdrchkTags` and `hdrchkData` of its headers).
const ENTRIES: u32 = 0xffff;
const DATA_BYTES: u32 = 0x00ff_ffff;
const ENTRY_BYTES: usize = 16;
/// Bytes of one of the texts that are read.
const TEXT_BYTES: usize = 256;

/// A 32-bit number (rpm 4.11, lib/rpmtag.h, `rpmTagType`).
pub const INT32: u32 = 4;
/// A 64-bit number.
pub const INT64: u32 = 5;
/// A text that ends with a zero byte.
pub const STRING: u32 = 6;
/// Bytes, as many as the entry counts.
pub const BIN: u32 = 7;
/// Several texts, one after the other.
pub const STRING_ARRAY: u32 = 8;

/// A header: an index, and the data it points into.
#[derive(Debug)]
pub struct Section {
    intro: [u8; INTRO_BYTES],
    index: Vec<u8>,
    data: Vec<u8>,
}

/// The index and the data of a header, wherever they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

/// An entry of the index.
struct Entry<'a> {
    count: u64,
    /// The data from where the entry's begins.
    data: &'a [u8],
}

impl Section {
    /// Read one. Memory is only taken for bytes that are there, at most 17 MiB. What is wrong with it is said in words that fit after the
    /// package's name.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(reader: &mut impl Read) -> io::Result<Result<Self, String>> {
        let cut = || Ok(Err("is cut short: it ends within its header".to_owned()));
        let Some(intro) = exactly(reader, INTRO_BYTES as u64)? else { return cut() };
        let (entries, data) = (number(&intro[8..12]), number(&intro[12..16]));
        if !intro.starts_with(HEADER_MAGIC) {
            return Ok(Err("is damaged: its header does not begin as one does".to_owned()));
        }
        if entries > u64::from(ENTRIES) || data > u64::from(DATA_BYTES) {
            return Ok(Err(format!("is damaged: a header of {entries} entries and {} is more than rpm takes", rounded(data))));
        }
        let Some(index) = exactly(reader, entries * ENTRY_BYTES as u64)? else { return cut() };
        let Some(data) = exactly(reader, data)? else { return cut() };
        // OK to default: there are as many bytes as were asked for.
        Ok(Ok(Self { intro: intro.try_into().unwrap_or_default(), index, data }))
    }

    /// Bytes it takes in the package.
    pub fn bytes(&self) -> usize {
        INTRO_BYTES + self.index.len() + self.data.len()
    }

    /// Bytes between a signature of this size and the header, which begins at a multiple of 8.
    pub fn padding(&self) -> usize {
        self.bytes().next_multiple_of(8) - self.bytes()
    }

    /// All of it, as it is in the package.
    pub fn into_bytes(self) -> Vec<u8> {
        [&self.intro[..], &self.index, &self.data].concat()
    }

    /// Its entries.
    pub fn entries(&self) -> Header<'_> {
        Header { index: &self.index, data: &self.data }
    }
}

impl<'a> Header<'a> {
    /// How many entries have this tag.
    pub fn count_of(&self, tag: u32) -> usize {
        self.index.chunks_exact(ENTRY_BYTES).filter(|entry| number(&entry[..4]) == u64::from(tag)).count()
    }

    /// The first number with this tag and type, which is [`INT32`] or [`INT64`].
    pub fn number(&self, tag: u32, kind: u32) -> Option<u64> {
        Some(number(self.at(tag, kind)?.data.get(..if kind == INT64 { 8 } else { 4 })?))
    }

    /// The first text with this tag and type, which is [`STRING`], or [`STRING_ARRAY`] for the first of several. None when it is empty, has
    /// more than 256 bytes, or is not UTF-8.
    pub fn text(&self, tag: u32, kind: u32) -> Option<&'a str> {
        let data = self.at(tag, kind)?.data;
        let end = data.iter().take(TEXT_BYTES).position(|byte| *byte == 0)?;
        std::str::from_utf8(&data[..end]).ok().filter(|text| !text.is_empty())
    }

    /// The first bytes ([`BIN`]) with this tag. None when they go on beyond the data.
    pub fn blob(&self, tag: u32) -> Option<&'a [u8]> {
        let entry = self.at(tag, BIN)?;
        entry.data.get(..usize::try_from(entry.count).ok()?)
    }

    fn at(&self, tag: u32, kind: u32) -> Option<Entry<'a>> {
        let is = |entry: &&[u8]| number(&entry[..4]) == u64::from(tag) && number(&entry[4..8]) == u64::from(kind);
        let entry = self.index.chunks_exact(ENTRY_BYTES).find(is)?;
        Some(Entry { count: number(&entry[12..16]), data: self.data.get(usize::try_from(number(&entry[8..12])).ok()?..)? })
    }
}

/// Exactly `bytes` bytes, or nothing when there are fewer. Memory is only taken for those that are there.
fn exactly(reader: &mut impl Read, bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let mut read = Vec::new();
    reader.take(bytes).read_to_end(&mut read)?;
    Ok((read.len() as u64 == bytes).then_some(read))
}

/// A number in network order.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
