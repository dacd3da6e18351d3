//! Hash databases of Berkeley DB: rpm kept its headers in them until rpm 4.16 (EL7 and EL8, SUSE until 15, Fedora until 32).
//!
//! After dbinc/db_page.h, hash/hash_page.c and dbinc/hash.h of Berkeley DB 5.3.28. A page begins with 26 bytes: log number, page number (8),
//! previous and next page (12, 16), number of items (20), where the items begin or how long a piece of an overflow item is (22), level (24) and
//! type (25). Then come the offsets of the items, which fill the page from its end. The first page describes the rest. Every page is
//! visited once at most, so that neither a cycle nor a shared piece costs more than the file is long.

use super::error::Fault;

/// The magic number in the first page of a hash database (`DB_HASHMAGIC`).
const MAGIC: u32 = 0x0006_1561;
const MAGIC_AT: usize = 12;
/// Bytes of the first page that are used here: up to the last of the 32 spare numbers.
const META_BYTES: usize = 224;
const PAGE_HEADER_BYTES: usize = 26;
/// Types of pages: hash pages of version 8 and of versions 9 and 10, pieces of an overflow item.
const UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const SORTED: u8 = 13;
/// Kinds of items: in the page, in overflow pages.
const KEY_DATA: u8 = 1;
const OFF_PAGE: u8 = 3;
/// Bytes of an item that lies in overflow pages: its kind, three unused bytes, the first page, the length.
const OFF_PAGE_BYTES: usize = 12;

/// Whether `bytes` begin as a hash database does, in either byte order.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    Order::of(bytes).is_some()
}

/// Hand the number and the header of each package to `each`, with the byte of the file where its entry is.
pub(super) fn each(bytes: &[u8], each: &mut super::EachBlob<'_>) -> Result<(), Fault> {
    let mut file = File::open(bytes)?;
    let mut value = Vec::new();
    for bucket in 0..=file.last_bucket {
        let mut page = file.first_page(bucket)?;
        while page != 0 {
            let Some(items) = file.hash_page(page)? else { break };
            for pair in 0..items.count / 2 {
                let (start, key) = items.item(2 * pair)?;
                let number = file.key(start, key)?;
                let (start, item) = items.item(2 * pair + 1)?;
                // Number 0 has the highest number of a package instead of a package (rpm 4.11, lib/backend/db3.c, `dbiCursorNewKey`).
                if number != 0 {
                    file.value(start, item, &mut value)?;
                    each(number, start, Ok(&value))?;
                }
            }
            page = items.next;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn of(bytes: &[u8]) -> Option<Self> {
        let magic = bytes.get(MAGIC_AT..MAGIC_AT + 4)?;
        [Self::Little, Self::Big].into_iter().find(|order| order.u32(magic, 0) == MAGIC)
    }

    /// The number at `at`, which must be there.
    fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let bytes = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    fn u16(self, bytes: &[u8], at: usize) -> usize {
        let bytes = [bytes[at], bytes[at + 1]];
        usize::from(match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        })
    }
}

struct File<'a> {
    bytes: &'a [u8],
    order: Order,
    page_size: usize,
    last_bucket: u32,
    /// Where the buckets lie: bucket b is page b + the number at position log2(b), rounded up (dbinc/hash.h, `BS_TO_PAGE`).
    spares: [u32; 32],
    visited: Vec<bool>,
}

/// The items of a hash page.
struct Items<'a> {
    order: Order,
    page: &'a [u8],
    /// Where the page begins in the file.
    start: u64,
    count: usize,
    next: u32,
}

impl<'a> File<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let order = Order::of(bytes).ok_or_else(|| Fault::corrupt(MAGIC_AT as u64, "there is no magic number of a Berkeley DB hash"))?;
        if bytes.len() < META_BYTES {
            return Err(Fault::corrupt(0, "it ends within its first page"));
        }
        let version = order.u32(bytes, 16);
        if !(8..=10).contains(&version) {
            return Err(Fault::incompatible(format!("it is a Berkeley DB hash of version {version}, and versions 8 to 10 are read")));
        }
        let page_size = order.u32(bytes, 20);
        if !(512..=65536).contains(&page_size) || !page_size.is_power_of_two() {
            return Err(Fault::corrupt(20, format!("pages of {page_size} bytes cannot be; they have 512 to 65536, a power of two")));
        }
        if bytes[24] != 0 {
            return Err(Fault::incompatible("it is an encrypted Berkeley DB"));
        }
        // DBMETA_CHKSUM and DBMETA_PART_*. Pages with checksums have longer headers.
        if bytes[26] != 0 {
            return Err(Fault::incompatible(format!(
                "it is a Berkeley DB with checksums or in parts (flags {:#x}), as rpm makes none",
                bytes[26]
            )));
        }
        let page_size = page_size as usize;
        let pages = u64::from(order.u32(bytes, 32)) + 1;
        let there = (bytes.len() / page_size) as u64;
        if pages > there {
            return Err(Fault::corrupt(
                bytes.len() as u64,
                format!("it is cut short: it says that it has {pages} pages, and {there} are there"),
            ));
        }
        let spares = std::array::from_fn(|position| order.u32(bytes, 96 + 4 * position));
        // OK to cast: there are as many pages.
        Ok(Self { bytes, order, page_size, last_bucket: order.u32(bytes, 72), spares, visited: vec![false; pages as usize] })
    }

    fn first_page(&self, bucket: u32) -> Result<u32, Fault> {
        let spare = self.spares.get((u32::BITS - bucket.leading_zeros()) as usize);
        let page = spare.and_then(|spare| bucket.checked_add(*spare)).filter(|page| *page != 0);
        page.ok_or_else(|| Fault::corrupt(72, format!("bucket {bucket} has no page")))
    }

    /// A page that was not visited before, and where it begins.
    fn visit(&mut self, number: u32) -> Result<(u64, &'a [u8]), Fault> {
        let start = u64::from(number) * self.page_size as u64;
        match self.visited.get_mut(number as usize) {
            None => return Err(Fault::corrupt(start, format!("page {number} is beyond the last one"))),
            Some(true) => return Err(Fault::corrupt(start, format!("page {number} is used more than once"))),
            Some(visited) => *visited = true,
        }
        // OK to cast and slice: the page is there, as `open` found out.
        let start_in_memory = number as usize * self.page_size;
        Ok((start, &self.bytes[start_in_memory..start_in_memory + self.page_size]))
    }

    fn check(&self, start: u64, page: &[u8], number: u32) -> Result<(), Fault> {
        match self.order.u32(page, 8) {
            found if found == number => Ok(()),
            found => Err(Fault::corrupt(start + 8, format!("page {number} says that it is page {found}"))),
        }
    }

    /// A page of a bucket; nothing when it was reserved and never used, and so has only zeros (hash/hash_page.c, `__ham_get_page` and
    /// `__ham_init_meta`).
    fn hash_page(&mut self, number: u32) -> Result<Option<Items<'a>>, Fault> {
        let (start, page) = self.visit(number)?;
        if page[..PAGE_HEADER_BYTES].iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        self.check(start, page, number)?;
        let kind = page[25];
        if !matches!(kind, UNSORTED | SORTED) {
            return Err(Fault::corrupt(start + 25, format!("page {number} is of type {kind}, and not one of a hash")));
        }
        let count = self.order.u16(page, 20);
        if !count.is_multiple_of(2) || PAGE_HEADER_BYTES + 2 * count > page.len() {
            return Err(Fault::corrupt(start + 20, format!("page {number} cannot have {count} items")));
        }
        Ok(Some(Items { order: self.order, page, start, count, next: self.order.u32(page, 16) }))
    }

    /// The number of a package: in the byte order of the file.
    fn key(&self, start: u64, item: &[u8]) -> Result<u32, Fault> {
        match item {
            [KEY_DATA, number @ ..] if number.len() == 4 => Ok(self.order.u32(number, 0)),
            [kind, rest @ ..] => {
                Err(Fault::corrupt(start, format!("a key is of kind {kind} and has {} bytes; rpm's keys are numbers of 4", rest.len())))
            }
            [] => Err(Fault::corrupt(start, "a key is empty")),
        }
    }

    /// The value of a key.
    fn value(&mut self, start: u64, item: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
        into.clear();
        match item {
            [KEY_DATA, data @ ..] => into.extend_from_slice(data),
            [OFF_PAGE, ..] if item.len() == OFF_PAGE_BYTES => return self.overflow(start, item, into),
            [kind, ..] => {
                // 2 and 4 are duplicates, 5 is a file of its own.
                return Err(Fault::corrupt(start, format!("an item of {} bytes is of kind {kind}, as rpm makes none", item.len())));
            }
            [] => return Err(Fault::corrupt(start, "an item is empty")),
        }
        Ok(())
    }

    fn overflow(&mut self, start: u64, item: &[u8], into: &mut Vec<u8>) -> Result<(), Fault> {
        let (mut page, length) = (self.order.u32(item, 4), self.order.u32(item, 8) as usize);
        while into.len() < length {
            let number = page;
            let (start, bytes) = self.visit(number)?;
            self.check(start, bytes, number)?;
            if bytes[25] != OVERFLOW {
                return Err(Fault::corrupt(start + 25, format!("page {number} is of type {}, and not one of an overflow item", bytes[25])));
            }
            let piece = bytes.get(PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + self.order.u16(bytes, 22));
            into.extend_from_slice(piece.ok_or_else(|| Fault::corrupt(start + 22, format!("page {number} has less than it says")))?);
            page = self.order.u32(bytes, 16);
            if page == 0 {
                break;
            }
        }
        if into.len() != length {
            return Err(Fault::corrupt(start, format!("an item has {} bytes, and says that it has {length}", into.len())));
        }
        Ok(())
    }
}

impl<'a> Items<'a> {
    /// An item and where it begins in the file. The first one ends where the page does, each other one where the one before begins.
    fn item(&self, position: usize) -> Result<(u64, &'a [u8]), Fault> {
        let offset = |position| self.order.u16(self.page, PAGE_HEADER_BYTES + 2 * position);
        let (start, end) = (offset(position), if position == 0 { self.page.len() } else { offset(position - 1) });
        let at = self.start + (PAGE_HEADER_BYTES + 2 * position) as u64;
        match self.page.get(start..end) {
            Some(item) if start >= PAGE_HEADER_BYTES + 2 * self.count => Ok((self.start + start as u64, item)),
            _ => Err(Fault::corrupt(at, format!("an item from {start} to {end} does not fit into its page"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;

    /// A database of one bucket: the first page, a hash page with a key and an item in overflow pages, and two of these.
    fn database() -> Vec<u8> {
        let mut file = vec![0; 4 * PAGE];
        let mut put = |at: usize, number: u32| file[at..at + 4].copy_from_slice(&number.to_le_bytes());
        for (at, number) in [(12, MAGIC), (16, 9), (20, PAGE as u32), (32, 3), (96, 1)] {
            put(at, number);
        }
        for (page, next, kind) in [(1, 0, SORTED), (2, 3, OVERFLOW), (3, 0, OVERFLOW)] {
            put(page * PAGE + 8, page as u32);
            put(page * PAGE + 16, next);
            put(page * PAGE + 22, u32::from(kind) << 24);
        }
        file[PAGE + 20] = 2;
        file[PAGE + 26..PAGE + 30].copy_from_slice(&[251, 1, 239, 1]);
        file[PAGE + 495..].iter_mut().zip([3, 0, 0, 0, 2, 0, 0, 0, 6, 0, 0, 0, 1, 7, 0, 0, 0]).for_each(|(to, byte)| *to = byte);
        (file[2 * PAGE + 22], file[3 * PAGE + 22]) = (4, 2);
        file[2 * PAGE + 26..2 * PAGE + 30].copy_from_slice(b"head");
        file[3 * PAGE + 26..3 * PAGE + 28].copy_from_slice(b"er");
        file
    }

    fn read(file: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, Fault> {
        let mut found = Vec::new();
        each(file, &mut |number, _, blob| {
            found.push((number, blob.unwrap().to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn an_item_in_overflow_pages_is_put_together() {
        assert_eq!(read(&database()), Ok(vec![(7, b"header".to_vec())]));
    }

    /// Which byte is changed, to what, and the error.
    #[test]
    fn whatever_lies_is_refused_with_its_place() {
        let page = PAGE as u64;
        for (at, byte, fault) in [
            (16, 7, Fault::incompatible("it is a Berkeley DB hash of version 7, and versions 8 to 10 are read")),
            (21, 3, Fault::corrupt(20, "pages of 768 bytes cannot be; they have 512 to 65536, a power of two")),
            (24, 1, Fault::incompatible("it is an encrypted Berkeley DB")),
            (26, 1, Fault::incompatible("it is a Berkeley DB with checksums or in parts (flags 0x1), as rpm makes none")),
            (32, 4, Fault::corrupt(4 * page, "it is cut short: it says that it has 5 pages, and 4 are there")),
            (72, 9, Fault::corrupt(page, "page 1 is used more than once")),
            (96, 9, Fault::corrupt(9 * page, "page 9 is beyond the last one")),
            (96, 0, Fault::corrupt(72, "bucket 0 has no page")),
            (PAGE + 8, 2, Fault::corrupt(page + 8, "page 1 says that it is page 2")),
            (PAGE + 25, 5, Fault::corrupt(page + 25, "page 1 is of type 5, and not one of a hash")),
            (PAGE + 20, 3, Fault::corrupt(page + 20, "page 1 cannot have 3 items")),
            (PAGE + 21, 255, Fault::corrupt(page + 20, "page 1 cannot have 65282 items")),
            (PAGE + 29, 255, Fault::corrupt(page + 28, "an item from 65519 to 507 does not fit into its page")),
            (PAGE + 16, 1, Fault::corrupt(page, "page 1 is used more than once")),
            (PAGE + 507, 3, Fault::corrupt(page + 507, "a key is of kind 3 and has 4 bytes; rpm's keys are numbers of 4")),
            (PAGE + 495, 2, Fault::corrupt(page + 495, "an item of 12 bytes is of kind 2, as rpm makes none")),
            (PAGE + 499, 1, Fault::corrupt(page, "page 1 is used more than once")),
            (PAGE + 503, 7, Fault::corrupt(page + 495, "an item has 6 bytes, and says that it has 7")),
            (PAGE + 503, 5, Fault::corrupt(page + 495, "an item has 6 bytes, and says that it has 5")),
            (2 * PAGE + 16, 2, Fault::corrupt(2 * page, "page 2 is used more than once")),
            (2 * PAGE + 25, 13, Fault::corrupt(2 * page + 25, "page 2 is of type 13, and not one of an overflow item")),
            (2 * PAGE + 23, 255, Fault::corrupt(2 * page + 22, "page 2 has less than it says")),
        ] {
            let mut file = database();
            file[at] = byte;
            assert_eq!(read(&file), Err(fault), "byte {at} is {byte}");
        }
    }
}
