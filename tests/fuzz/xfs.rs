//! The fuzz target `xfs`: a small filesystem as text. It is damaged, wrong checksums are corrected, and it is read completely.

use std::collections::BTreeSet;

use goldsmith::image::Disk;

use crate::looked::all_over;

/// Bytes of the disk.
const SIZE: usize = 16 << 20;
/// Sizes of the seeds' blocks and inodes. Checksums are corrected only for these sizes.
const BLOCK: usize = 4096;
const INODE: usize = 512;

/// Read the filesystem in `text`; xfs.py explains its form.
pub fn read(text: &[u8]) -> String {
    let mut disk = vec![0; SIZE];
    let mut touched = BTreeSet::new();
    for line in text.split(|byte| *byte == b'\n') {
        put(&mut disk, &mut touched, &String::from_utf8_lossy(line));
    }
    mend(&mut disk, &touched);
    all_over(&Disk::in_memory("disk", disk))
}

/// Put the sector in `line` into `disk`. Any other line is ignored.
fn put(disk: &mut [u8], touched: &mut BTreeSet<usize>, line: &str) {
    let mut words = line.split(' ');
    let Some(sector) = words.next().and_then(|word| usize::from_str_radix(word, 16).ok()).filter(|sector| *sector < SIZE / 512) else {
        return;
    };
    touched.insert(sector);
    for (offset, digits) in words.filter_map(|word| word.split_once(':')) {
        let Ok(offset) = usize::from_str_radix(offset, 16) else { continue };
        let bytes = digits.as_bytes().chunks(2).map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        for (at, byte) in (offset.min(512)..512).zip(bytes) {
            disk[sector * 512 + at] = byte;
        }
    }
}

/// Correct the checksums of the first sectors, of inodes, and of blocks, wherever a magic shows that there is one.
fn mend(disk: &mut [u8], touched: &BTreeSet<usize>) {
    for sector in touched {
        let place = sector * 512;
        let magic: [u8; 10] = disk[place..place + 10].try_into().unwrap();
        let (len, sum) = match &magic {
            [b'X', b'F', b'S', b'B', ..] => (512, 224),
            [b'X', b'A', b'G', b'F', ..] => (512, 216),
            [b'X', b'A', b'F', b'L', ..] => (512, 32),
            [b'I', b'N', _, _, 3, ..] => (INODE, 100),
            _ => continue,
        };
        mend_one(&mut disk[place..place + len], sum);
    }
    for block in touched.iter().map(|sector| sector * 512 / BLOCK).collect::<BTreeSet<_>>() {
        let bytes = &mut disk[block * BLOCK..(block + 1) * BLOCK];
        let magic: [u8; 10] = bytes[..10].try_into().unwrap();
        let sum = match &magic {
            [b'X', b'D', b'B' | b'D', b'3', ..] => 4,
            [b'B', b'M', b'A', b'3', ..] => 64,
            [b'A', b'B', b'3', b'B', ..] => 52,
            [b'X', b'S', b'L', b'M', ..] | [b'X', b'A', b'R', b'M', ..] | [.., 0x3b, 0xee] | [.., 0x3e, 0xbe] => 12,
            _ => continue,
        };
        mend_one(bytes, sum);
    }
}

fn mend_one(bytes: &mut [u8], sum: usize) {
    bytes[sum..sum + 4].fill(0);
    let crc = !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    });
    bytes[sum..sum + 4].copy_from_slice(&crc.to_le_bytes());
}
