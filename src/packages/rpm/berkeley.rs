//! Reads the values of a hash database of Berkeley DB, which RPM kept its packages in until 4.15: EL 7's `/var/lib/rpm/Packages`.
//!
//! Layouts and names are those of Berkeley DB 5.3, src/dbinc/db_page.h. Pages are read from the first to the last, whatever bucket they
//! belong to: all values are wanted, and none is looked up. The file may come from anywhere: every page is taken once.

/// `DB_HASHMAGIC`.
const MAGIC: u32 = 0x0006_1561;
/// `P_HASHMETA`; pages of a hash, its items in no order (`P_HASH_UNSORTED`, of Berkeley DB 4.5 and older) and in order; a value's next part.
const META: u8 = 8;
const HASH_UNSORTED: u8 = 2;
const HASH: u8 = 13;
const OVERFLOW: u8 = 7;
/// `H_KEYDATA`: the bytes themselves. `H_OFFPAGE`: they are on pages of their own. `H_BLOB` and duplicates are in no database of RPM's.
const KEYDATA: u8 = 1;
const OFFPAGE: u8 = 3;
/// `SIZEOF_PAGE`: bytes before the items of a page.
const PAGE_HEAD: usize = 26;
/// Sizes of a page.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65536;

/// A key and its value.
type Item = (Vec<u8>, Vec<u8>);

/// A database in memory.
struct Database<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
    page_bytes: usize,
    /// Which pages a value has been read from.
    taken: Vec<bool>,
}

/// Key and value of each item, in the order of the pages.
///
/// # Errors
/// What is wrong with the database, in words.
pub(super) fn items(bytes: &[u8]) -> Result<Vec<Item>, String> {
    let mut database = Database::open(bytes)?;
    let mut items = Vec::new();
    for page in 1..database.taken.len() {
        database.read_page(page, &mut items)?;
    }
    Ok(items)
}

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let magic = bytes.get(12..16).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).unwrap_or_default();
        let is_big_endian = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (MAGIC, _) => false,
            (_, MAGIC) => true,
            _ => return Err("it is no hash database of Berkeley DB".to_owned()),
        };
        let mut database = Self { bytes, is_big_endian, page_bytes: 0, taken: Vec::new() };
        let (page_bytes, version) = (database.u32_at(20)?, database.u32_at(16)?);
        if bytes.get(24) != Some(&0) || bytes.get(25) != Some(&META) {
            return Err("it is encrypted, or its first page is no hash's".to_owned());
        }
        if !PAGE_BYTES.contains(&page_bytes) || !page_bytes.is_power_of_two() || !(7..=10).contains(&version) {
            return Err(format!("version {version} with pages of {page_bytes} bytes is not read"));
        }
        database.page_bytes = page_bytes as usize;
        if !bytes.len().is_multiple_of(database.page_bytes) {
            return Err(format!("its {} bytes are no whole number of pages", bytes.len()));
        }
        database.taken = vec![false; bytes.len() / database.page_bytes];
        Ok(database)
    }

    /// Add the items of the page, when it is one of a hash.
    fn read_page(&mut self, page: usize, items: &mut Vec<Item>) -> Result<(), String> {
        let start = page * self.page_bytes;
        if !matches!(self.bytes[start + 25], HASH | HASH_UNSORTED) {
            return Ok(());
        }
        let count = usize::from(self.u16_at(start + 20)?);
        let index_end = PAGE_HEAD + 2 * count;
        if index_end > self.page_bytes || !count.is_multiple_of(2) {
            return Err(format!("page {page} has {count} items"));
        }
        // Items lie from the end of the page down, each before the one that it follows.
        let (mut end, mut key) = (self.page_bytes, None);
        for item in 0..count {
            let at = usize::from(self.u16_at(start + PAGE_HEAD + 2 * item)?);
            if at < index_end || at >= end {
                return Err(format!("item {item} of page {page} lies outside its place"));
            }
            let value = self.read_item(&self.bytes[start + at..start + end])?;
            end = at;
            match key.take() {
                None => key = Some(value),
                Some(key) => items.push((key, value)),
            }
        }
        Ok(())
    }

    fn read_item(&mut self, item: &'a [u8]) -> Result<Vec<u8>, String> {
        match item.first() {
            Some(&KEYDATA) => Ok(item[1..].to_vec()),
            Some(&OFFPAGE) if item.len() >= 12 => {
                let number = |at: usize| self.number(&item[at..at + 4]);
                self.read_overflow(number(4), number(8) as usize)
            }
            kind => Err(format!("an item of type {kind:?} is in no database of RPM's")),
        }
    }

    /// The `length` bytes that lie on the page `page` and those that follow it.
    fn read_overflow(&mut self, mut page: u32, length: usize) -> Result<Vec<u8>, String> {
        let mut value = Vec::new();
        while page != 0 {
            let taken = self.taken.get_mut(page as usize).ok_or_else(|| format!("page {page} lies outside the file"))?;
            if std::mem::replace(taken, true) {
                return Err(format!("page {page} belongs to two values"));
            }
            let start = page as usize * self.page_bytes;
            // `OV_LEN`: the bytes on this page stand in the place of the offset of its items.
            let bytes = usize::from(self.u16_at(start + 22)?);
            if self.bytes[start + 25] != OVERFLOW || bytes > self.page_bytes - PAGE_HEAD {
                return Err(format!("page {page} holds no part of a value"));
            }
            value.extend_from_slice(&self.bytes[start + PAGE_HEAD..start + PAGE_HEAD + bytes]);
            page = self.u32_at(start + 16)?;
        }
        if value.len() == length { Ok(value) } else { Err(format!("a value has {} bytes instead of {length}", value.len())) }
    }

    fn u16_at(&self, at: usize) -> Result<u16, String> {
        let bytes: [u8; 2] = self.bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).ok_or("it is cut short")?;
        Ok(if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32_at(&self, at: usize) -> Result<u32, String> {
        Ok(self.number(self.bytes.get(at..at + 4).ok_or("it is cut short")?))
    }

    /// A number of four bytes.
    fn number(&self, bytes: &[u8]) -> u32 {
        let fold = |number, byte: &u8| number << 8 | u32::from(*byte);
        if self.is_big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of one hash page with a short value, and one value on a page of its own.
    fn database() -> Vec<u8> {
        let mut bytes = vec![0u8; 3 * 512];
        bytes[12..16].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[16] = 9;
        bytes[20..24].copy_from_slice(&512u32.to_le_bytes());
        bytes[25] = META;
        let page = &mut bytes[512..1024];
        page[20] = 4;
        page[25] = HASH;
        for (index, (at, item)) in
            [(510u16, &b"\x01a"[..]), (505, b"\x01bcde"), (503, b"\x01f"), (491, &[OFFPAGE, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0])]
                .into_iter()
                .enumerate()
        {
            page[PAGE_HEAD + 2 * index..PAGE_HEAD + 2 * index + 2].copy_from_slice(&at.to_le_bytes());
            page[usize::from(at)..usize::from(at) + item.len()].copy_from_slice(item);
        }
        let page = &mut bytes[1024..];
        page[22] = 3;
        page[25] = OVERFLOW;
        page[PAGE_HEAD..PAGE_HEAD + 3].copy_from_slice(b"xyz");
        bytes
    }

    #[test]
    fn values_are_read_on_their_page_and_on_others() {
        let found = items(&database()).unwrap();
        assert_eq!(found, [(b"a".to_vec(), b"bcde".to_vec()), (b"f".to_vec(), b"xyz".to_vec())]);
    }

    #[test]
    fn a_damaged_database_ends_in_words() {
        for (at, byte, why) in [
            (12, 0, "no hash database"),
            (16, 1, "version 1 with pages of 512 bytes is not read"),
            (22, 1, "is not read"),
            (24, 1, "encrypted"),
            (512 + 20, 3, "page 1 has 3 items"),
            (512 + 21, 9, "page 1 has 2308 items"),
            (512 + PAGE_HEAD + 2, 0xff, "lies outside its place"),
            (512 + 505, 9, "an item of type Some(9)"),
            (512 + 491 + 4, 9, "page 9 lies outside the file"),
            (512 + 491 + 8, 4, "a value has 3 bytes instead of 4"),
            (1024 + 16, 2, "page 2 belongs to two values"),
            (1024 + 23, 9, "page 2 holds no part of a value"),
        ] {
            let mut bytes = database();
            bytes[at] = byte;
            let error = items(&bytes).unwrap_err();
            assert!(error.contains(why), "{at} {byte}: {error}");
        }
        assert!(items(&database()[..1000]).unwrap_err().contains("no whole number of pages"));
        assert!(items(&[]).is_err());
    }

    #[test]
    fn mutations_never_panic() {
        let bytes = database();
        for at in 0..bytes.len() {
            for byte in [0, 1, 3, 7, 13, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = byte;
                let _ = items(&bytes);
            }
        }
    }
}
