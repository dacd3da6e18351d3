//! SQLite databases, as far as rpm needs them: rpm keeps its headers in them since rpm 4.16 (`rpmdb.sqlite`; EL9, Fedora, Amazon Linux
//! 2023).
//!
//! After "Database File Format" of SQLite (sqlite.org/fileformat2.html; section numbers below are its own), version 3.40. A table is a tree of pages;
//! a row that does not fit into a page goes on in overflow pages. Every page is visited once at most, so that neither a cycle nor a shared page
//! costs more than the file is long. Pages that were written to the write-ahead log and not yet moved into the file are read from
//! there ([`super::wal`]).
//!
//! The crate `rusqlite` was considered (0.40, SQLite bundled). It costs 20 s of compiling and adds 6 MB of C, which would read hostile
//! bytes in goldsmith's own process. And for a database in memory SQLite ignores the write-ahead log, which may hold all of the last
//! installation.

use super::error::Fault;
use super::wal::Log;

const MAGIC: &[u8] = b"SQLite format 3\0";
/// The magic number of a rollback journal that is to be played back (section 3).
const JOURNAL_MAGIC: &[u8] = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
const FILE_HEADER_BYTES: usize = 100;
/// Types of pages of a table (section 1.6).
const INTERIOR: u8 = 5;
const LEAF: u8 = 13;
/// Bytes of a row, at most: rpm takes no header that is larger (rpm 4.18, lib/header.c, `HEADER_DATA_MAX`).
const ROW_BYTES: u64 = 256 << 20;
/// The number of a text encoding (section 1.3.13).
const UTF8: u32 = 1;
/// The table with the headers (rpm 4.18, lib/backend/sqlite.c): its columns are `hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL`.
const TABLE: &[u8] = b"Packages";
const BLOB_COLUMN: usize = 1;

/// Whether `bytes` begin as a database of SQLite does.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Hand the number and the header of each package to `each`, with the byte of the file where its row is. `log` is the write-ahead log beside the file,
/// empty when there is none, and `journal` the rollback journal.
pub(super) fn each(bytes: &[u8], log: &[u8], journal: &[u8], each: &mut super::EachBlob<'_>) -> Result<(), Fault> {
    if journal.starts_with(JOURNAL_MAGIC) {
        return Err(Fault::incompatible("rpm was interrupted while it wrote: a rollback journal is beside it"));
    }
    let mut file = File::open(bytes, log)?;
    let mut root = None;
    // The table of tables is the one at page 1 (section 2.6): type, name, table, root page, text.
    file.rows(1, &mut |at, _, row| {
        let columns = Columns::of(row).ok_or_else(|| Fault::corrupt(at, "a row of the table of tables is damaged"))?;
        if columns.get(0) == Some(b"table") && columns.get(1).is_some_and(|name| name.eq_ignore_ascii_case(TABLE)) {
            root = columns.number(3);
        }
        Ok(())
    })?;
    let root = root.ok_or_else(|| Fault::incompatible("it is a database of SQLite without rpm's table `Packages`"))?;
    let root = u32::try_from(root).map_err(|_| Fault::corrupt(0, format!("the table `Packages` cannot be at page {root}")))?;
    file.rows(root, &mut |at, number, row| {
        let blob =
            Columns::of(row).and_then(|columns| columns.get(BLOB_COLUMN)).ok_or("is damaged: its row has no second column".to_owned());
        let number = u32::try_from(number).map_err(|_| Fault::corrupt(at, format!("a package cannot have the number {number}")))?;
        each(number, at, blob)
    })
}

/// Called for a row, with the byte of the file where it is, its number, and its bytes.
type EachRow<'a> = dyn FnMut(u64, i64, &[u8]) -> Result<(), Fault> + 'a;

struct File<'a> {
    bytes: &'a [u8],
    log: Log<'a>,
    page_size: usize,
    /// Bytes of a page that are used for the tree (section 1.3.4).
    usable: usize,
    visited: Vec<bool>,
}

/// A page: its number, where it is in the file, its bytes.
#[derive(Clone, Copy)]
struct Page<'a> {
    number: u32,
    at: u64,
    bytes: &'a [u8],
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8], log: &'a [u8]) -> Result<Self, Fault> {
        if bytes.len() < FILE_HEADER_BYTES || !is_one(bytes) {
            return Err(Fault::corrupt(0, "it does not begin as a database of SQLite does"));
        }
        let page_size = match u16_at(bytes, 16) {
            1 => 65536,
            size if size >= 512 && size.is_power_of_two() => size,
            size => return Err(Fault::corrupt(16, format!("pages of {size} bytes cannot be; they have 512 to 65536, a power of two"))),
        };
        let log = Log::open(log, page_size)?;
        // The first page may stand in the log in a newer version.
        let first = log.page(1).map_or(bytes, |page| page);
        let usable = page_size - usize::from(first[20]);
        if usable < 480 {
            return Err(Fault::corrupt(20, format!("{usable} usable bytes of a page are too few")));
        }
        if !matches!(u32_at(first, 56), 0 | UTF8) {
            return Err(Fault::incompatible("its texts are UTF-16, and rpm writes UTF-8"));
        }
        // The number of pages in the first page counts only when no older SQLite wrote the file (section 1.3.7).
        let pages = log.pages().map_or(bytes.len() / page_size, |pages| pages as usize);
        // Every page is in the file or in the log.
        let there = bytes.len() / page_size + log.frames();
        Ok(Self { bytes, log, page_size, usable, visited: vec![false; pages.min(there)] })
    }

    /// A page that was not visited before. Pages count from 1.
    fn visit(&mut self, number: u32) -> Result<Page<'a>, Fault> {
        let at = u64::from(number).saturating_sub(1) * self.page_size as u64;
        let visited = (number as usize).checked_sub(1).and_then(|position| self.visited.get_mut(position));
        match visited {
            None => return Err(Fault::corrupt(at, format!("page {number} is not in the file"))),
            Some(true) => return Err(Fault::corrupt(at, format!("page {number} is used more than once"))),
            Some(visited) => *visited = true,
        }
        let start = (number as usize - 1) * self.page_size;
        let bytes = self.log.page(number).or_else(|| self.bytes.get(start..start + self.page_size));
        let bytes = bytes.ok_or_else(|| Fault::corrupt(at, format!("page {number} is neither in the file nor in its log")))?;
        Ok(Page { number, at, bytes: &bytes[..self.usable] })
    }

    /// Hand every row of the table at page `root` to `each`, in the order of their numbers.
    fn rows(&mut self, root: u32, each: &mut EachRow<'_>) -> Result<(), Fault> {
        let mut left = vec![root];
        let mut row = Vec::new();
        while let Some(number) = left.pop() {
            let page = self.visit(number)?;
            // The first page begins with the file's header.
            let start = if number == 1 { FILE_HEADER_BYTES } else { 0 };
            let (kind, cells) = (page.bytes[start], usize::from(u16::from_be_bytes([page.bytes[start + 3], page.bytes[start + 4]])));
            let header = match kind {
                INTERIOR => 12,
                LEAF => 8,
                _ => {
                    return Err(Fault::corrupt(page.at + start as u64, format!("page {number} is of type {kind}, and not one of a table")));
                }
            };
            let pointers = page.bytes.get(start + header..start + header + 2 * cells);
            let pointers =
                pointers.ok_or_else(|| Fault::corrupt(page.at + start as u64 + 3, format!("page {number} cannot have {cells} cells")))?;
            if kind == LEAF {
                for pointer in pointers.chunks_exact(2) {
                    let cell = u16_at(pointer, 0);
                    let number = self.row(page, cell, &mut row)?;
                    each(page.at + cell as u64, number, &row)?;
                }
            } else {
                left.push(u32_at(page.bytes, start + 8));
                // The last is visited first.
                for pointer in pointers.chunks_exact(2).rev() {
                    let cell = u16_at(pointer, 0);
                    let child = page.bytes.get(cell..cell + 4).ok_or_else(|| page.no_cell(cell))?;
                    left.push(u32_at(child, 0));
                }
            }
        }
        Ok(())
    }

    /// The number and the bytes of the row at `cell` of `page` (section 1.6, "Table B-Tree Leaf Cell").
    fn row(&mut self, page: Page<'a>, cell: usize, into: &mut Vec<u8>) -> Result<i64, Fault> {
        into.clear();
        let rest = page.bytes.get(cell..).unwrap_or_default();
        let (length, rest) = varint(rest).ok_or_else(|| page.no_cell(cell))?;
        let (number, rest) = varint(rest).ok_or_else(|| page.no_cell(cell))?;
        if length > ROW_BYTES {
            return Err(Fault::corrupt(page.at + cell as u64, format!("a row of {length} bytes is larger than a header can be")));
        }
        let length = length as usize;
        let local = self.local(length);
        into.extend_from_slice(rest.get(..local).ok_or_else(|| page.no_cell(cell))?);
        let mut next = match rest.get(local..local + 4) {
            _ if local == length => 0,
            Some(next) => u32_at(next, 0),
            None => return Err(page.no_cell(cell)),
        };
        while into.len() < length {
            let overflow = self.visit(next)?;
            next = u32_at(overflow.bytes, 0);
            let there = overflow.bytes.len() - 4;
            into.extend_from_slice(&overflow.bytes[4..4 + there.min(length - into.len())]);
        }
        // OK to cast: the number is a signed one of 64 bits.
        Ok(number as i64)
    }

    /// How many of the `length` bytes of a row are in the leaf itself.
    fn local(&self, length: usize) -> usize {
        let most = self.usable - 35;
        let least = (self.usable - 12) * 32 / 255 - 23;
        let fits = least + length.saturating_sub(least) % (self.usable - 4);
        if length <= most {
            length
        } else if fits <= most {
            fits
        } else {
            least
        }
    }
}

impl Page<'_> {
    fn no_cell(&self, cell: usize) -> Fault {
        Fault::corrupt(self.at + cell as u64, format!("a cell of page {} goes on beyond the page", self.number))
    }
}

/// The columns of a row (section 2.1).
struct Columns<'a> {
    /// Kind of each, by its number.
    kinds: &'a [u8],
    values: &'a [u8],
}

impl<'a> Columns<'a> {
    fn of(row: &'a [u8]) -> Option<Self> {
        let (header, rest) = varint(row)?;
        let kinds = usize::try_from(header).ok()?.checked_sub(row.len() - rest.len())?;
        let (kinds, values) = rest.split_at_checked(kinds)?;
        Some(Self { kinds, values })
    }

    /// The bytes of a text or blob.
    fn get(&self, position: usize) -> Option<&'a [u8]> {
        self.value(position).filter(|(kind, _)| *kind >= 12).map(|(_, value)| value)
    }

    /// A number that is not negative.
    fn number(&self, position: usize) -> Option<u64> {
        let (kind, value) = self.value(position)?;
        match kind {
            1..=6 if value[0] < 0x80 => Some(value.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))),
            8 => Some(0),
            9 => Some(1),
            _ => None,
        }
    }

    fn value(&self, position: usize) -> Option<(u64, &'a [u8])> {
        let (mut kinds, mut at) = (self.kinds, 0_usize);
        for _ in 0..position {
            let (kind, rest) = varint(kinds)?;
            (kinds, at) = (rest, at.checked_add(width(kind)?)?);
        }
        let (kind, _) = varint(kinds)?;
        Some((kind, self.values.get(at..at.checked_add(width(kind)?)?)?))
    }
}

/// Bytes that a value of this kind takes.
fn width(kind: u64) -> Option<usize> {
    Some(match kind {
        0 | 8 | 9 => 0,
        1..=4 => kind as usize,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return None,
        _ => usize::try_from((kind - 12) / 2).ok()?,
    })
}

/// A number of 1 to 9 bytes, and what follows it: 7 bits of each of the first eight as long as the highest is set, all of the ninth.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for position in 0..9 {
        let byte = *bytes.get(position)?;
        if position == 8 {
            return Some((number << 8 | u64::from(byte), &bytes[9..]));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, &bytes[position + 1..]));
        }
    }
    None
}

/// The number at `at`, which must be there.
fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_to_nine_bytes() {
        for (bytes, number, left) in [
            (&[0x00][..], 0, 0),
            (&[0x7f, 1], 127, 1),
            (&[0x81, 0x00], 128, 0),
            (&[0xff; 8], u64::MAX, usize::MAX),
            (&[0xff; 9], u64::MAX, 0),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x07], 7, 0),
        ] {
            let read = varint(bytes).map(|(number, rest)| (number, rest.len()));
            assert_eq!(read, (left != usize::MAX).then_some((number, left)), "{bytes:x?}");
        }
    }

    const PAGE: usize = 512;

    /// A database of four pages: the table of tables, the root of `Packages`, a leaf below it, and an overflow page of its only row.
    fn database() -> Vec<u8> {
        let mut file = vec![0; 4 * PAGE];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(16, &[2, 0, 1, 1, 0]);
        put(59, &[1]);
        put(100, &[LEAF, 0, 0, 0, 1, 0, 0, 0, 1, 200]);
        // Length, number; header; five columns: table, Packages, Packages, 2, nothing.
        put(456, &[28, 1, 6, 23, 29, 29, 1, 0]);
        put(464, b"tablePackagesPackages\x02");
        put(PAGE, &[INTERIOR, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        put(2 * PAGE, &[LEAF, 0, 0, 0, 1, 0, 0, 0, 1, 0]);
        // 600 bytes: two kinds, and a blob of 596. 92 are here (section 1.6), the others in page 4.
        put(2 * PAGE + 256, &[0x84, 0x58, 9, 4, 0, 0x89, 0x34]);
        put(2 * PAGE + 256 + 3 + 92, &[0, 0, 0, 4]);
        put(3 * PAGE + 4, &[7; 508]);
        file
    }

    /// A package's number, and the bytes of its header or what is wrong with it.
    type Found = (u32, Result<usize, String>);

    fn read(file: &[u8]) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::new();
        each(file, &[], &[], &mut |number, _, blob| {
            found.push((number, blob.map(<[u8]>::len)));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn a_row_goes_on_in_overflow_pages() {
        assert_eq!(read(&database()), Ok(vec![(9, Ok(596))]));
    }

    #[test]
    fn whatever_lies_is_refused_with_its_place() {
        let page = PAGE as u64;
        let cell = |at: u64, number: u32| Fault::corrupt(at, format!("a cell of page {number} goes on beyond the page"));
        for (at, byte, fault) in [
            (0, 0, Fault::corrupt(0, "it does not begin as a database of SQLite does")),
            (16, 3, Fault::corrupt(16, "pages of 768 bytes cannot be; they have 512 to 65536, a power of two")),
            (20, 33, Fault::corrupt(20, "479 usable bytes of a page are too few")),
            (59, 2, Fault::incompatible("its texts are UTF-16, and rpm writes UTF-8")),
            (100, 2, Fault::corrupt(100, "page 1 is of type 2, and not one of a table")),
            (103, 255, Fault::corrupt(103, "page 1 cannot have 65281 cells")),
            (108, 2, cell(712, 1)),
            (458, 99, Fault::corrupt(456, "a row of the table of tables is damaged")),
            (469, b'x', Fault::incompatible("it is a database of SQLite without rpm's table `Packages`")),
            (485, 1, Fault::corrupt(0, "page 1 is used more than once")),
            (485, 9, Fault::corrupt(8 * page, "page 9 is not in the file")),
            (485, 0, Fault::corrupt(0, "page 0 is not in the file")),
            (PAGE + 11, 2, Fault::corrupt(page, "page 2 is used more than once")),
            (2 * PAGE + 8, 2, cell(2 * page + 512, 3)),
            (2 * PAGE + 256, 0xff, Fault::corrupt(0, "page 0 is not in the file")),
            (2 * PAGE + 354, 3, Fault::corrupt(2 * page, "page 3 is used more than once")),
        ] {
            let mut file = database();
            file[at] = byte;
            let found = read(&file);
            assert_eq!(found, Err(fault), "byte {at} is {byte}");
        }
        let mut file = database();
        file[2 * PAGE + 261] = 0xff;
        assert_eq!(read(&file), Ok(vec![(9, Err("is damaged: its row has no second column".to_owned()))]));
    }
}
