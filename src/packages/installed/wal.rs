//! The write-ahead log of SQLite: pages that were written and not yet moved into the database.
//!
//! After "WAL-mode File Format" of SQLite (sqlite.org/walformat.html) and section 4 of "Database File Format". A log has 32 bytes of header, then
//! frames: 24 bytes, and a page. A frame counts when its two salts are those of the header, its checksum follows from all frames before
//! it, and a frame at or after it commits. Other frames are the rest of an older log or of an interrupted write; SQLite leaves them out,
//! too.

use std::collections::HashMap;

use super::error::Fault;

/// The magic number, without its last bit: that says in which byte order the checksums are.
const MAGIC: u32 = 0x377f_0682;
/// The only version there is.
const VERSION: u32 = 3_007_000;
const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The frames of a log that count.
pub(super) struct Log<'a> {
    /// The newest version of each page.
    frames: HashMap<u32, &'a [u8]>,
    /// How many pages the database has after the last commit.
    pages: Option<u32>,
}

impl<'a> Log<'a> {
    /// Read the log of a database with such pages. A log that is empty or does not begin as one has no frames: SQLite does not use it.
    pub(super) fn open(bytes: &'a [u8], page_size: usize) -> Result<Self, Fault> {
        let mut log = Self { frames: HashMap::new(), pages: None };
        let Some((header, frames)) = bytes.split_at_checked(HEADER_BYTES) else { return Ok(log) };
        let magic = number(header, 0);
        let big = magic & 1 == 1;
        let mut sums = checksum(big, [0, 0], &header[..24]);
        if magic & !1 != MAGIC || sums != [number(header, 24), number(header, 28)] {
            return Ok(log);
        }
        if number(header, 4) != VERSION {
            return Err(Fault::incompatible(format!("its write-ahead log is of version {}, and {VERSION} is read", number(header, 4))));
        }
        if number(header, 8) as usize != page_size {
            return Err(Fault::incompatible("the pages of its write-ahead log have another size than its own"));
        }
        // Frames that no commit follows.
        let mut pending = Vec::new();
        for frame in frames.chunks_exact(FRAME_HEADER_BYTES + page_size) {
            let (head, page) = frame.split_at(FRAME_HEADER_BYTES);
            sums = checksum(big, checksum(big, sums, &head[..8]), page);
            if head[8..16] != header[16..24] || sums != [number(head, 16), number(head, 20)] {
                break;
            }
            pending.push((number(head, 0), page));
            let pages = number(head, 4);
            if pages != 0 {
                log.frames.extend(pending.drain(..));
                log.pages = Some(pages);
            }
        }
        Ok(log)
    }

    /// The newest version of a page, when the log has one.
    pub(super) fn page(&self, number: u32) -> Option<&'a [u8]> {
        self.frames.get(&number).copied()
    }

    /// How many pages the database has after the last commit; nothing when there is none in the log.
    pub(super) fn pages(&self) -> Option<u32> {
        self.pages
    }

    /// How many pages the log has.
    pub(super) fn frames(&self) -> usize {
        self.frames.len()
    }
}

/// Two sums over words of 32 bits, taken in pairs.
fn checksum(big: bool, [mut first, mut second]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    for pair in bytes.chunks_exact(8) {
        let word = |at: usize| if big { number(pair, at) } else { number(pair, at).swap_bytes() };
        first = first.wrapping_add(word(0)).wrapping_add(second);
        second = second.wrapping_add(word(4)).wrapping_add(first);
    }
    [first, second]
}

/// The number at `at`, which must be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
