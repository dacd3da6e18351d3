//! VHDX: whether a file holds all of its disk.
//!
//! After Microsoft's "[MS-VHDX]: Virtual Hard Disk v2 File Format", chapter 2. All numbers are little-endian. A disk with a parent says so in its
//! metadata; where those are is said by the region table.

use std::path::Path;

use crate::base::read_at::ReadAt;
use crate::image::crc32c::crc32c;
use crate::image::error::ImageError;

/// How the file begins (2.2.1).
pub(super) const MAGIC: &[u8] = b"vhdxfile";
/// Where the region tables are, how long each is, and how it begins (2.2.3.1). The second is a copy.
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const TABLE_BYTES: usize = 64 << 10;
const REGION_TABLE: &[u8] = b"regi";
/// How the metadata table begins (2.6.1.1).
const METADATA_TABLE: &[u8] = b"metadata";
/// Bytes of an entry of either table, and the most that there may be ("MUST be less than or equal to 2,047").
const ENTRY_BYTES: usize = 32;
const MAX_ENTRIES: usize = 2047;
/// GUIDs as they are written: region "Metadata" (2.2.3.2), items "File Parameters" and "Parent Locator" (2.6.2).
const METADATA: [u8; 16] = uuid::Uuid::from_u128(0x8B7CA206_4790_4B9A_B8FE_575F050F886E).to_bytes_le();
const FILE_PARAMETERS: [u8; 16] = uuid::Uuid::from_u128(0xCAA16737_FA36_4D43_B3B6_33F0AA44E76B).to_bytes_le();
const PARENT_LOCATOR: [u8; 16] = uuid::Uuid::from_u128(0xA8D35F2D_B30B_454D_ABF7_D3D84834AB0C).to_bytes_le();
/// `HasParent` of the file parameters (2.6.2.1).
const HAS_PARENT: u32 = 1 << 1;

/// Make sure that the VHDX `file` has no parent, so that QEMU can be given it.
///
/// # Errors
/// It has one, or is damaged.
pub(super) fn check(file: &dyn ReadAt, path: &Path) -> Result<(), ImageError> {
    let mut sound = 0;
    // Both are checked, because another reader may use either.
    for place in REGION_TABLES {
        if let Some(table) = region_table(file, place, path)? {
            sound += 1;
            check_metadata(file, metadata(&table, place, path)?, path)?;
        }
    }
    match sound {
        0 => Err(ImageError::corrupt(path, REGION_TABLES[0], "it has no sound VHDX region table")),
        _ => Ok(()),
    }
}

/// The region table at `place`; `None` when it is damaged: the copy is used then.
fn region_table(file: &dyn ReadAt, place: u64, path: &Path) -> Result<Option<Vec<u8>>, ImageError> {
    let mut table = table(file, place, "region table", path)?;
    // "The checksum is computed over the entire 64 KB table", its own field being 0.
    let checksum = number(&table, 4);
    table[4..8].fill(0);
    Ok((table.starts_with(REGION_TABLE) && !crc32c(!0, &table) == checksum).then_some(table))
}

/// Where the metadata region is, in the region table `table`, which begins at `place`.
fn metadata(table: &[u8], place: u64, path: &Path) -> Result<u64, ImageError> {
    let count = entries(table, 8, 4, place, path)?;
    let found = (0..count).map(|entry| &table[16 + entry * ENTRY_BYTES..]).find(|entry| entry.starts_with(&METADATA));
    found.map(|entry| long(entry, 16)).ok_or_else(|| ImageError::corrupt(path, place, "its VHDX region table names no metadata"))
}

/// Look for a parent in the metadata at byte `region`.
fn check_metadata(file: &dyn ReadAt, region: u64, path: &Path) -> Result<(), ImageError> {
    let table = table(file, region, "metadata", path)?;
    if !table.starts_with(METADATA_TABLE) {
        return Err(ImageError::corrupt(path, region, "there is no VHDX metadata"));
    }
    let has_parent = |what: &str| Err(ImageError::incompatible(path, region, format!("it is over a parent disk ({what})")));
    let mut has_parameters = false;
    for entry in 0..entries(&table, 10, 2, region, path)? {
        let entry = &table[ENTRY_BYTES + entry * ENTRY_BYTES..];
        if entry.starts_with(&PARENT_LOCATOR) {
            return has_parent("it has a parent locator");
        }
        if entry.starts_with(&FILE_PARAMETERS) {
            has_parameters = true;
            let place = region.saturating_add(u64::from(number(entry, 16)));
            let mut item = [0; 8];
            if place.checked_add(8).is_none_or(|end| end > file.len()) {
                return Err(ImageError::corrupt(path, place, "its VHDX file parameters lie outside the file"));
            }
            file.read_at(place, &mut item).map_err(|source| ImageError::read(path, source))?;
            if number(&item, 4) & HAS_PARENT != 0 {
                return has_parent("its file parameters say so");
            }
        }
    }
    if has_parameters { Ok(()) } else { Err(ImageError::corrupt(path, region, "its VHDX metadata lacks the file parameters")) }
}

/// A table of 64 KiB at `place`.
fn table(file: &dyn ReadAt, place: u64, what: &str, path: &Path) -> Result<Vec<u8>, ImageError> {
    if place.checked_add(TABLE_BYTES as u64).is_none_or(|end| end > file.len()) {
        return Err(ImageError::corrupt(path, place, format!("its VHDX {what} lies outside the file; it may have been cut short")));
    }
    let mut table = vec![0; TABLE_BYTES];
    file.read_at(place, &mut table).map_err(|source| ImageError::read(path, source))?;
    Ok(table)
}

/// How many entries `table` has: a number of `size` bytes at `at`. So many fit into it.
fn entries(table: &[u8], at: usize, size: usize, place: u64, path: &Path) -> Result<usize, ImageError> {
    let count = if size == 2 { number(table, at) & 0xffff } else { number(table, at) };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    // The last one ends at byte 65,520 or 65,536.
    let fits = |count: &usize| *count <= MAX_ENTRIES;
    Some(count).filter(fits).ok_or_else(|| ImageError::corrupt(path, place, format!("a VHDX table of {count} entries is too long")))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default()
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: usize = 1 << 20;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// Both region tables, whose checksums are right, and metadata with file parameters that have these flags, and maybe one more item.
    fn vhdx(flags: u32, item: Option<[u8; 16]>) -> Vec<u8> {
        let mut bytes = vec![0; 2 << 20];
        put(&mut bytes, 0, MAGIC);
        let mut table = vec![0; TABLE_BYTES];
        put(&mut table, 0, REGION_TABLE);
        put(&mut table, 8, &1_u32.to_le_bytes());
        put(&mut table, 16, &METADATA);
        put(&mut table, 32, &(REGION as u64).to_le_bytes());
        let sum = !crc32c(!0, &table);
        put(&mut table, 4, &sum.to_le_bytes());
        for place in REGION_TABLES {
            put(&mut bytes, place as usize, &table);
        }
        put(&mut bytes, REGION, METADATA_TABLE);
        put(&mut bytes, REGION + 10, &[1 + u8::from(item.is_some())]);
        put(&mut bytes, REGION + 32, &FILE_PARAMETERS);
        put(&mut bytes, REGION + 48, &(64_u32 << 10).to_le_bytes());
        put(&mut bytes, REGION + 64, &item.unwrap_or_default());
        put(&mut bytes, REGION + TABLE_BYTES + 4, &flags.to_le_bytes());
        bytes
    }

    fn said(bytes: &[u8]) -> String {
        check(&bytes.to_vec(), Path::new("d")).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_parent_is_found_wherever_it_is_told() {
        assert_eq!(said(&vhdx(0, None)), "");
        assert_eq!(said(&vhdx(1, Some([7; 16]))), "");
        assert_eq!(said(&vhdx(2, None)), "cannot read d at byte 1048576: it is over a parent disk (its file parameters say so)");
        let located = "cannot read d at byte 1048576: it is over a parent disk (it has a parent locator)";
        assert_eq!(said(&vhdx(0, Some(PARENT_LOCATOR))), located);
        // A second set of parameters, and one of two tables alone.
        let mut twice = vhdx(0, Some(FILE_PARAMETERS));
        put(&mut twice, REGION + 80, &(65_u32 << 10).to_le_bytes());
        put(&mut twice, REGION + (65 << 10) + 4, &[2]);
        assert_eq!(said(&twice), "cannot read d at byte 1048576: it is over a parent disk (its file parameters say so)");
        let mut one = vhdx(2, None);
        one[REGION_TABLES[0] as usize + 100] = 1;
        assert_eq!(said(&one), "cannot read d at byte 1048576: it is over a parent disk (its file parameters say so)");
    }

    #[test]
    fn damage_is_named() {
        type Change = (usize, &'static [u8]);
        let tables = REGION_TABLES.map(|place| place as usize);
        let cases: &[(&[Change], &str)] = &[
            (&[(tables[0], b"x"), (tables[1] + 4, &[0])], "d is damaged at byte 196608: it has no sound VHDX region table"),
            (&[(REGION, b"x")], "d is damaged at byte 1048576: there is no VHDX metadata"),
            (&[(REGION + 10, &[0])], "d is damaged at byte 1048576: its VHDX metadata lacks the file parameters"),
            (&[(REGION + 10, &[0xff; 2])], "d is damaged at byte 1048576: a VHDX table of 65535 entries is too long"),
            (&[(REGION + 48, &[0xff; 4])], "d is damaged at byte 4296015871: its VHDX file parameters lie outside the file"),
        ];
        for (changes, expected) in cases {
            let mut bytes = vhdx(0, None);
            for (at, value) in *changes {
                put(&mut bytes, *at, value);
            }
            assert_eq!(said(&bytes), *expected);
        }
        for length in [8, 64 << 10, 200 << 10, 300 << 10, REGION + 100] {
            let error = said(&vhdx(0, None)[..length]);
            assert!(error.ends_with("lies outside the file; it may have been cut short"), "{length}: {error}");
        }
    }
}
