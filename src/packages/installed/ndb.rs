//! rpm's own database format: SUSE's rpm keeps its headers in it since 15.3 (`Packages.db`).
//!
//! After lib/backend/ndb/rpmpkg.c of rpm 4.18. All numbers are little-endian. 32 bytes of header, then slots of 16 bytes up to the end of the last
//! slot page, then blobs, each a multiple of 16 bytes long: a head, the package's header, zeros, and a tail with the Adler-32 of all before it.

use super::error::Fault;

const MAGIC: &[u8] = b"RpmP";
const SLOT_MAGIC: &[u8] = b"Slot";
const BLOB_MAGIC: &[u8] = b"BlbS";
const TAIL_MAGIC: &[u8] = b"BlbE";
const PAGE_BYTES: usize = 4096;
const SLOT_BYTES: usize = 16;
/// The first two slots are the file's header.
const FIRST_SLOT: usize = 2;
const BLOCK_BYTES: u64 = 16;
/// Bytes around a package's header.
const HEAD_BYTES: usize = 16;
const TAIL_BYTES: usize = 12;

/// Whether `bytes` begin as a database of this format does.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A slot that is in use.
struct Slot {
    /// Where it is in the file.
    at: u64,
    package: u32,
    /// The bytes of the file that its blob takes.
    start: u64,
    end: u64,
}

/// Hand the number and the header of each package to `each`, with the byte of the file where its blob is.
pub(super) fn each(bytes: &[u8], each: &mut super::EachBlob<'_>) -> Result<(), Fault> {
    for slot in slots(bytes)? {
        // OK to cast and slice: blobs that are not in the file were refused.
        let blob = &bytes[slot.start as usize..slot.end as usize];
        each(slot.package, slot.start, header(&slot, blob))?;
    }
    Ok(())
}

/// The slots in use, in the order of their blobs, which do not overlap.
fn slots(bytes: &[u8]) -> Result<Vec<Slot>, Fault> {
    if bytes.len() < FIRST_SLOT * SLOT_BYTES || !is_one(bytes) {
        return Err(Fault::corrupt(0, "it does not begin as a database of rpm's own format does"));
    }
    let version = number(bytes, 4);
    if version != 0 {
        return Err(Fault::incompatible(format!("it is of version {version} of rpm's own format, and version 0 is read")));
    }
    let pages = u64::from(number(bytes, 12));
    let slots_end = pages * PAGE_BYTES as u64;
    if slots_end > bytes.len() as u64 {
        return Err(Fault::corrupt(
            12,
            format!("it is cut short: its {pages} pages of slots end at {slots_end}, it has {} bytes", bytes.len()),
        ));
    }
    let mut slots = Vec::new();
    // OK to cast: the slots are in the file.
    for (position, slot) in bytes[..slots_end as usize].chunks_exact(SLOT_BYTES).enumerate().skip(FIRST_SLOT) {
        let at = (position * SLOT_BYTES) as u64;
        if !slot.starts_with(SLOT_MAGIC) {
            return Err(Fault::corrupt(at, format!("slot {position} does not begin as a slot does")));
        }
        let (package, block, blocks) = (number(slot, 4), u64::from(number(slot, 8)), u64::from(number(slot, 12)));
        if block == 0 {
            continue;
        }
        let (start, end) = (block * BLOCK_BYTES, (block + blocks) * BLOCK_BYTES);
        if package == 0 || start < slots_end || end > bytes.len() as u64 || end - start < (HEAD_BYTES + TAIL_BYTES) as u64 {
            return Err(Fault::corrupt(
                at,
                format!("slot {position} says that package {package} is in bytes {start} to {end}, which cannot be"),
            ));
        }
        slots.push(Slot { at, package, start, end });
    }
    slots.sort_by_key(|slot| slot.start);
    if let Some(pair) = slots.windows(2).find(|pair| pair[0].end > pair[1].start) {
        return Err(Fault::corrupt(pair[1].at, format!("packages {} and {} overlap", pair[0].package, pair[1].package)));
    }
    Ok(slots)
}

/// The package's header in a slot's blob; or what is wrong with it, in words that fit after "the header of package 7". rpm does not compare
/// the checksum when it reads a header, so a wrong one only makes this package damaged.
fn header<'a>(slot: &Slot, blob: &'a [u8]) -> Result<&'a [u8], String> {
    let (head, rest) = blob.split_at(HEAD_BYTES);
    let (padded, tail) = rest.split_at(rest.len() - TAIL_BYTES);
    if !head.starts_with(BLOB_MAGIC) || number(head, 4) != slot.package || !tail.ends_with(TAIL_MAGIC) {
        return Err("is damaged: its blob does not begin or end as one does".to_owned());
    }
    // OK to cast: usize has no fewer bits.
    let length = number(head, 12) as usize;
    let header = padded.get(..length).filter(|_| padded.len() - length < BLOCK_BYTES as usize && number(tail, 4) as usize == length);
    let header = header.ok_or("is damaged: its blob has another length than it says")?;
    if adler2::adler32_slice(&blob[..blob.len() - TAIL_BYTES]) != number(tail, 0) {
        return Err("is damaged: its blob does not have the checksum that it says".to_owned());
    }
    Ok(header)
}

/// The number at `at`, which must be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of two packages, each of whose blobs has two blocks: `one` and `two`, at bytes 4096 and 4128.
    fn database() -> Vec<u8> {
        let words = |magic: &[u8], words: [u32; 3]| [magic, &words.map(u32::to_le_bytes).concat()].concat();
        let mut file = [words(MAGIC, [0, 1, 1]), vec![0; 16], words(SLOT_MAGIC, [1, 256, 2]), words(SLOT_MAGIC, [2, 258, 2])].concat();
        while file.len() < PAGE_BYTES {
            file.extend(words(SLOT_MAGIC, [0; 3]));
        }
        for (package, header) in [(1, b"one\0"), (2, b"two\0")] {
            let blob = [&words(BLOB_MAGIC, [package, 1, 3])[..], header].concat();
            let tail = [&adler2::adler32_slice(&blob).to_le_bytes()[..], &3_u32.to_le_bytes(), TAIL_MAGIC].concat();
            file.extend([blob, tail].concat());
        }
        file
    }

    /// A package's number, and its header or what is wrong with it.
    type Found = (u32, Result<Vec<u8>, String>);

    fn read(file: &[u8]) -> Result<Vec<Found>, Fault> {
        let mut found = Vec::new();
        each(file, &mut |number, _, blob| {
            found.push((number, blob.map(<[u8]>::to_vec)));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn slots_lead_to_headers() {
        assert_eq!(read(&database()), Ok(vec![(1, Ok(b"one".to_vec())), (2, Ok(b"two".to_vec()))]));
    }

    #[test]
    fn whatever_lies_is_refused_with_its_place() {
        let outside = |slot: u32, package: u32, from: u32, to: u32| {
            let what = format!("slot {slot} says that package {package} is in bytes {from} to {to}, which cannot be");
            Fault::corrupt(u64::from(slot) * 16, what)
        };
        for (at, byte, fault) in [
            (0, 0, Fault::corrupt(0, "it does not begin as a database of rpm's own format does")),
            (4, 1, Fault::incompatible("it is of version 1 of rpm's own format, and version 0 is read")),
            (12, 2, Fault::corrupt(12, "it is cut short: its 2 pages of slots end at 8192, it has 4160 bytes")),
            (64, 0, Fault::corrupt(64, "slot 4 does not begin as a slot does")),
            (36, 0, outside(2, 0, 4096, 4128)),
            (41, 0, Fault::corrupt(16, "")),
            (44, 9, outside(2, 1, 4096, 4240)),
            (44, 1, outside(2, 1, 4096, 4112)),
            (44, 3, Fault::corrupt(48, "packages 1 and 2 overlap")),
            (56, 0, Fault::corrupt(48, "packages 1 and 2 overlap")),
        ] {
            let mut file = database();
            file[at] = byte;
            match read(&file) {
                // A slot without a block is free.
                Ok(found) => assert_eq!((at, found.len()), (41, 1)),
                Err(found) => assert_eq!(found, fault, "byte {at} is {byte}"),
            }
        }
    }

    #[test]
    fn a_damaged_blob_is_one_package_less() {
        for (at, what) in [
            (4096, "is damaged: its blob does not begin or end as one does"),
            (4100, "is damaged: its blob does not begin or end as one does"),
            (4127, "is damaged: its blob does not begin or end as one does"),
            (4108, "is damaged: its blob has another length than it says"),
            (4120, "is damaged: its blob has another length than it says"),
            (4112, "is damaged: its blob does not have the checksum that it says"),
        ] {
            let mut file = database();
            file[at] ^= 0x40;
            assert_eq!(read(&file), Ok(vec![(1, Err(what.to_owned())), (2, Ok(b"two".to_vec()))]), "byte {at}");
        }
    }
}
