//! The header structure of an RPM package, of which it has two after its lead: the signature, and the header.
//!
//! As in "RPM Package File Format" of the LSB Core 5.0 (chapter 22). The crate `rpm` was considered: it brings 31 crates, and it trusts the
//! offsets of a header and panics on a wrong one (0.30.2, src/rpm/headers/header.rs), so all of these checks would still be needed before
//! it.

use std::io::{self, Read};

use crate::base::size::rounded;

/// Bytes of the lead. It is not read, because the header has the same data in more detail.
pub const LEAD_BYTES: usize = 96;
/// How every package begins.
pub const LEAD_MAGIC: &[u8] = b"\xed\xab\xee\xdb";
const HEADER_MAGIC: &[u8] = b"\x8e\xad\xe8\x01";
/// Bytes before the index: magic, four reserved bytes, the number of entries, and the bytes of data.
const INTRO_BYTES: usize = 16;
/// The most entries, and bytes of data, of a header: rpm 4.11 refuses more (`hdrchkTags` and `hdrchkData` of its headers).
const ENTRIES: u32 = 0xffff;
const DATA_BYTES: u32 = 0x00ff_ffff;
const ENTRY_BYTES: usize = 16;
/// Bytes of one of the texts that are read.
const TEXT_BYTES: usize = 256;

/// Bytes, one for each value (rpm 4.18, include/rpm/rpmtag.h, `rpmTagType`).
pub const CHAR: u32 = 1;
/// A 16-bit number.
pub const INT16: u32 = 3;
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
/// A text in several languages, one after the other; the first is that of the locale `C`.
pub const I18N_STRING: u32 = 9;
/// The tags of a region: entries that stand first and belong together, of which a signature or digest may be made (rpm 4.18, lib/header.c).
const IMAGE_REGION: u32 = 61;
const IMMUTABLE_REGION: u32 = 63;
/// Bytes of the number of entries and of the bytes of data.
const SIZES_BYTES: usize = 8;

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
    /// Bytes of the index that belong to a region. What follows was added at the installation and replaces what the region has of the same tag.
    region: usize,
}

/// An entry of the index.
struct Entry<'a> {
    kind: u32,
    count: u64,
    /// The data from where the entry's begins.
    data: &'a [u8],
}

impl Section {
    /// Read one. Memory is only taken for bytes that are there, at most 17 MiB. The inner error is in words that fit after the package's
    /// name.
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
        Header { index: &self.index, data: &self.data, region: self.index.len() }
    }
}

impl<'a> Header<'a> {
    /// A header as package databases keep it: numbers of entries and of bytes of data, the index, the data. A package has a magic number
    /// before these (rpm 4.18, lib/header.c, `hdrblobInit`).
    ///
    /// # Errors
    /// `blob` is not exactly one header, or its region is damaged; in words that fit after "the header of package 7".
    pub fn stored(blob: &'a [u8]) -> Result<Self, String> {
        let (sizes, rest) = blob.split_at_checked(SIZES_BYTES).ok_or("is damaged: it ends within its first 8 bytes")?;
        let (entries, data) = (number(&sizes[..4]), number(&sizes[4..]));
        if entries == 0 || entries > u64::from(ENTRIES) {
            return Err(format!("is damaged: it says that it has {entries} entries, and rpm takes 1 to {ENTRIES}"));
        }
        let whole = SIZES_BYTES as u64 + entries * ENTRY_BYTES as u64 + data;
        if whole != blob.len() as u64 {
            return Err(format!("is damaged: it has {} bytes, and {whole} by the sizes that it begins with", blob.len()));
        }
        // OK to cast: 65,535 entries have 1 MiB.
        let (index, data) = rest.split_at(entries as usize * ENTRY_BYTES);
        let region = match number(&index[..4]) as u32 {
            IMAGE_REGION | IMMUTABLE_REGION => {
                region(index, data).ok_or("is damaged: the end of its region is not where its first entry says")?
            }
            _ => index.len(),
        };
        Ok(Self { index, data, region })
    }

    /// The bytes of data.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// All numbers with this tag, which are of type `kind`: [`CHAR`], [`INT16`], [`INT32`] or [`INT64`]. None when there is no such tag.
    ///
    /// # Errors
    /// They are of another type or go on beyond the data; in words that fit after "the header of package 7".
    pub fn numbers(&self, tag: u32, kind: u32) -> Result<Option<Numbers<'a>>, String> {
        let Some(entry) = self.entry(tag)? else { return Ok(None) };
        if entry.kind != kind {
            return Err(format!("is damaged: its tag {tag} is of type {}, and not {kind}", entry.kind));
        }
        let width = match kind {
            CHAR => 1,
            INT16 => 2,
            INT64 => 8,
            _ => 4,
        };
        let bytes = usize::try_from(entry.count).ok().and_then(|count| entry.data.get(..count.checked_mul(width)?));
        bytes.map(|bytes| Some(Numbers { bytes, width })).ok_or_else(|| beyond(tag))
    }

    /// All texts with this tag, whatever type of text they are. None when there is no such tag. The texts need not be UTF-8.
    ///
    /// # Errors
    /// They are no texts or go on beyond the data; in words that fit after "the header of package 7".
    pub fn texts(&self, tag: u32) -> Result<Option<Texts<'a>>, String> {
        let Some(entry) = self.entry(tag)? else { return Ok(None) };
        let count = match entry.kind {
            STRING => 1,
            STRING_ARRAY | I18N_STRING => entry.count,
            other => return Err(format!("is damaged: its tag {tag} is of type {other}, which is no text")),
        };
        // Each ends with a zero byte.
        let there = memchr::memchr_iter(0, entry.data).take(usize::try_from(count).unwrap_or(usize::MAX)).count();
        if (there as u64) < count {
            return Err(beyond(tag));
        }
        Ok(Some(Texts { rest: entry.data, left: there }))
    }

    /// The only text with this tag, or the first of several.
    ///
    /// # Errors
    /// As [`Self::texts`].
    pub fn first_text(&self, tag: u32) -> Result<Option<&'a [u8]>, String> {
        Ok(self.texts(tag)?.and_then(|mut texts| texts.next()))
    }

    fn entry(&self, tag: u32) -> Result<Option<Entry<'a>>, String> {
        let is = |entry: &&[u8]| number(&entry[..4]) == u64::from(tag);
        self.find(is).map(|found| self.resolved(found).ok_or_else(|| beyond(tag))).transpose()
    }

    fn find(&self, is: impl Fn(&&'a [u8]) -> bool) -> Option<&'a [u8]> {
        let (region, added) = self.index.split_at(self.region);
        added.chunks_exact(ENTRY_BYTES).find(&is).or_else(|| region.chunks_exact(ENTRY_BYTES).find(&is))
    }

    fn resolved(&self, entry: &[u8]) -> Option<Entry<'a>> {
        let data = self.data.get(usize::try_from(number(&entry[8..12])).ok()?..)?;
        // OK to cast: 4 bytes.
        Some(Entry { kind: number(&entry[4..8]) as u32, count: number(&entry[12..16]), data })
    }

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
        self.resolved(self.find(is)?)
    }
}

/// Numbers of one tag.
#[derive(Debug, Clone, Copy)]
pub struct Numbers<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Numbers<'_> {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.width
    }

    /// The one at `position`, from 0.
    pub fn get(&self, position: usize) -> Option<u64> {
        let start = position.checked_mul(self.width)?;
        self.bytes.get(start..start.checked_add(self.width)?).map(number)
    }
}

/// Texts of one tag, without the zero bytes after them.
#[derive(Debug, Clone)]
pub struct Texts<'a> {
    rest: &'a [u8],
    left: usize,
}

impl Texts<'_> {
    /// How many are left.
    pub fn count_left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (text, rest) = self.rest.split_at_checked(memchr::memchr(0, self.rest)?)?;
        self.rest = &rest[1..];
        Some(text)
    }
}

/// Bytes of the index that belong to the region whose entry is the first: the entry leads to a copy of itself behind the region's data, in which
/// the size of the index stands, negative, where the offset was. A region that was never signed has no copy (rpm 4.18, lib/header.c,
/// `hdrblobVerifyRegion`).
fn region(index: &[u8], data: &[u8]) -> Option<usize> {
    let offset = usize::try_from(number(&index[8..12])).ok()?;
    if offset == 0 {
        return Some(index.len());
    }
    let trailer = data.get(offset..offset.checked_add(ENTRY_BYTES)?)?;
    // OK to cast: 4 bytes, which are a signed number.
    let bytes = (number(&trailer[8..12]) as u32 as i32).checked_neg()?;
    usize::try_from(bytes).ok().filter(|bytes| *bytes <= index.len() && bytes.is_multiple_of(ENTRY_BYTES))
}

fn beyond(tag: u32) -> String {
    format!("is damaged: its tag {tag} goes on beyond its data")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Tag, type, count, content.
    type Written<'a> = (u32, u32, u32, &'a [u8]);

    /// A header as a database has it: the entries of a region, with the region itself, and those that were added.
    fn stored(region: &[Written<'_>], added: &[Written<'_>]) -> Vec<u8> {
        let words = |words: [u32; 4]| words.map(u32::to_be_bytes).concat();
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let put = |index: &mut Vec<u8>, data: &mut Vec<u8>, (tag, kind, count, content): &Written<'_>| {
            index.extend(words([*tag, *kind, data.len() as u32, *count]));
            data.extend_from_slice(content);
        };
        region.iter().for_each(|entry| put(&mut index, &mut data, entry));
        let size = 16 * (region.len() as u32 + 1);
        let first = words([IMMUTABLE_REGION, BIN, data.len() as u32, 16]);
        data.extend(words([IMMUTABLE_REGION, BIN, size.wrapping_neg(), 16]));
        added.iter().for_each(|entry| put(&mut index, &mut data, entry));
        let entries = (region.len() + added.len() + 1) as u32;
        [&entries.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), &first, &index, &data].concat()
    }

    #[test]
    fn what_was_added_replaces_what_the_region_has() {
        let blob = stored(&[(1000, STRING, 1, b"old\0"), (1001, STRING, 1, b"1\0")], &[(1000, STRING, 1, b"new\0")]);
        let header = Header::stored(&blob).unwrap();
        assert_eq!(header.first_text(1000), Ok(Some(&b"new"[..])));
        assert_eq!(header.first_text(1001), Ok(Some(&b"1"[..])));
        assert_eq!(header.first_text(1002), Ok(None));
    }

    #[test]
    fn values_are_read_by_their_types_and_counts() {
        let entries: [Written<'_>; 4] =
            [(1, INT16, 2, &[0, 7, 1, 0]), (2, CHAR, 3, &[0, 1, 255]), (3, STRING_ARRAY, 3, b"a\0\0\xff\0"), (4, I18N_STRING, 1, b"C\0")];
        let blob = stored(&entries, &[]);
        let header = Header::stored(&blob).unwrap();
        let numbers = |tag, kind| {
            header.numbers(tag, kind).map(|numbers| numbers.map(|numbers| (0..4).map(|at| numbers.get(at)).collect::<Vec<_>>()))
        };
        assert_eq!(numbers(1, INT16), Ok(Some(vec![Some(7), Some(256), None, None])));
        assert_eq!(numbers(2, CHAR), Ok(Some(vec![Some(0), Some(1), Some(255), None])));
        assert_eq!(header.texts(3).unwrap().unwrap().collect::<Vec<_>>(), [&b"a"[..], b"", b"\xff"]);
        assert_eq!(header.first_text(4), Ok(Some(&b"C"[..])));
        assert_eq!(numbers(1, INT32).unwrap_err(), "is damaged: its tag 1 is of type 3, and not 4");
        assert_eq!(header.texts(1).unwrap_err(), "is damaged: its tag 1 is of type 3, which is no text");
    }

    #[test]
    fn a_header_that_lies_is_damaged() {
        let good = stored(&[(1000, STRING, 1, b"name\0")], &[]);
        let changed = |at: usize, byte: u8| {
            let mut blob = good.clone();
            blob[at] = byte;
            Header::stored(&blob).map(|_| ()).unwrap_err()
        };
        assert_eq!(Header::stored(&good[..7]).unwrap_err(), "is damaged: it ends within its first 8 bytes");
        assert_eq!(Header::stored(&[0; 8]).unwrap_err(), "is damaged: it says that it has 0 entries, and rpm takes 1 to 65535");
        assert_eq!(changed(3, 3), "is damaged: it has 61 bytes, and 77 by the sizes that it begins with");
        assert_eq!(changed(0, 1), "is damaged: it says that it has 16777218 entries, and rpm takes 1 to 65535");
        let region = "is damaged: the end of its region is not where its first entry says";
        // Where the end is; how many entries come before it.
        assert_eq!([changed(19, 200), changed(19, 6), changed(56, 0)], [region, region, region]);
        for entry in [(1, STRING_ARRAY, 2, &b"a\0b"[..]), (1, STRING, 1, b"a"), (1, STRING_ARRAY, u32::MAX, b"a\0")] {
            // The end of a region has zero bytes, which would end a text. So the entry is the last one, after the region.
            let blob = stored(&[], &[entry]);
            assert_eq!(Header::stored(&blob).unwrap().texts(1).unwrap_err(), "is damaged: its tag 1 goes on beyond its data", "{entry:?}");
        }
        let blob = stored(&[], &[(1, INT64, u32::MAX, &[0; 8])]);
        assert_eq!(Header::stored(&blob).unwrap().numbers(1, INT64).unwrap_err(), "is damaged: its tag 1 goes on beyond its data");
    }
}
