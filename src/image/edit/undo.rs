//! Reads an undo file of e2fsprogs: the bytes of a filesystem that a program has written.
//!
//! `lib/ext2fs/undo_io.c` of e2fsprogs 1.47.0 writes it, and e2undo(8) reads it: a header, then blocks of keys, each followed by the old bytes that
//! its keys name. All numbers are little-endian.

use std::ops::Range;

/// `E2UNDO_MAGIC`.
const MAGIC: &[u8] = b"E2UNDO02";
/// `KEYBLOCK_MAGIC`.
const KEY_BLOCK_MAGIC: u64 = 0xcade_cade;
/// Places in `struct undo_header` of the fields that are read.
const NUM_KEYS: usize = 8;
const KEY_OFFSET: usize = 24;
const BLOCK_SIZE: usize = 32;
const STATE: usize = 44;
const INCOMPATIBLE: usize = 52;
/// `E2UNDO_STATE_FINISHED`: the program has closed the filesystem.
const FINISHED: u64 = 1;
/// Bytes of `struct undo_key_block` before its keys, and of `struct undo_key`.
const KEY_BLOCK_HEAD: u64 = 16;
const KEY_BYTES: u64 = 16;
/// Sizes that a block of a filesystem can have (ext4's documentation, `s_log_block_size`).
const BLOCK_SIZES: Range<u64> = 1024..65537;
/// The superblock, of which the file keeps a copy and has no key.
const SUPERBLOCK: Range<u64> = 1024..2048;

/// The bytes of the filesystem that were perhaps changed, in no order; runs may touch.
///
/// # Errors
/// The fault of the file.
pub(super) fn changed(undo: &[u8]) -> Result<Vec<Range<u64>>, String> {
    let number = |at: usize, bytes: usize| {
        let part = undo.get(at..at.saturating_add(bytes)).ok_or_else(|| format!("it ends before byte {at}"))?;
        Ok::<_, String>(part.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)))
    };
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    if !undo.starts_with(MAGIC) {
        return Err("it does not begin as an undo file".to_owned());
    }
    let (keys, block_size) = (number(NUM_KEYS, 8)?, number(BLOCK_SIZE, 4)?);
    if !BLOCK_SIZES.contains(&block_size) {
        return Err(format!("its blocks have {block_size} bytes"));
    }
    if number(STATE, 4)? & FINISHED == 0 || number(INCOMPATIBLE, 4)? != 0 {
        return Err("it is not complete, or has features that are not known".to_owned());
    }
    let mut runs = vec![SUPERBLOCK];
    let mut key_block = number(KEY_OFFSET, 8)?.checked_mul(block_size).ok_or("its keys are at an impossible place")?;
    let mut left = keys;
    while left > 0 {
        if number(place(key_block), 4)? != KEY_BLOCK_MAGIC {
            return Err(format!("there are no keys at byte {key_block}"));
        }
        let here = left.min((block_size - KEY_BLOCK_HEAD) / KEY_BYTES);
        let mut data_blocks = 0;
        for index in 0..here {
            let key = place(key_block + KEY_BLOCK_HEAD + index * KEY_BYTES);
            let (block, size) = (number(key, 8)?, number(key.saturating_add(12), 4)?);
            let start = block.checked_mul(block_size).ok_or("a key is for an impossible block")?;
            runs.push(start..start.saturating_add(size));
            data_blocks += size.div_ceil(block_size);
        }
        left -= here;
        key_block = key_block.saturating_add((1 + data_blocks).saturating_mul(block_size));
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An undo file whose blocks have 1024 bytes and whose keys name these blocks and sizes.
    fn file(keys: &[(u64, u32)]) -> Vec<u8> {
        let mut file = vec![0; 2048];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(NUM_KEYS, &(keys.len() as u64).to_le_bytes());
        put(KEY_OFFSET, &2u64.to_le_bytes());
        put(BLOCK_SIZE, &1024u32.to_le_bytes());
        put(STATE, &1u32.to_le_bytes());
        for keys in keys.chunks(63) {
            let mut block = (KEY_BLOCK_MAGIC as u32).to_le_bytes().to_vec();
            block.resize(16, 0);
            for (number, size) in keys {
                block.extend(number.to_le_bytes());
                block.extend([0; 4]);
                block.extend(size.to_le_bytes());
            }
            block.resize(1024, 0);
            block.resize(keys.iter().fold(1024, |end, (_, size)| end + (*size as usize).next_multiple_of(1024)), 7);
            file.extend(block);
        }
        file
    }

    #[test]
    fn every_key_names_a_run() {
        let runs = changed(&file(&[(9, 1024), (20, 3000)])).unwrap();
        assert_eq!(runs, [SUPERBLOCK, 9216..10240, 20480..23480]);
        assert_eq!(changed(&file(&[])).unwrap(), [SUPERBLOCK]);
        let many: Vec<(u64, u32)> = (0..200).map(|number| (number, 2048)).collect();
        assert_eq!(changed(&file(&many)).unwrap().len(), 201);
    }

    #[test]
    fn what_is_no_undo_file_is_refused() {
        let good = file(&(0..100).map(|number| (number, 1024)).collect::<Vec<_>>());
        for (at, bytes, why) in [
            (0, &b"E2UNDO01"[..], "does not begin"),
            (NUM_KEYS, &[0xff; 8], "ends before"),
            (KEY_OFFSET, &[0xff; 8], "impossible place"),
            (KEY_OFFSET, &[1], "no keys"),
            (BLOCK_SIZE, &[0; 4], "0 bytes"),
            (STATE, &[0], "not complete"),
            (INCOMPATIBLE, &[1], "features"),
            (2048 + 16, &[0xff; 8], "impossible block"),
        ] {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            let said = changed(&bad).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        for length in 0..good.len() {
            drop(changed(&good[..length]));
        }
    }
}
