//! Images written by other programs: goldsmith reads the bytes that QEMU shows.

mod foreign;
mod subclusters;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use goldsmith::image::Disk;

/// Check that `disk` shows the bytes of the file `raw`, and that its holes and the places of its stored bytes are correct. Returns the
/// number of holes.
#[track_caller]
fn shows(disk: &Disk, raw: &Path) -> usize {
    let expected = std::fs::read(raw).unwrap();
    let bytes = disk.bytes();
    assert_eq!(bytes.len(), expected.len() as u64);
    // The pieces have an odd size, so that their borders are not those of the format.
    let (mut at, mut piece) = (0, vec![0; 100_003]);
    while at < expected.len() {
        let count = piece.len().min(expected.len() - at);
        bytes.read_at(at as u64, &mut piece[..count]).unwrap();
        assert!(piece[..count] == expected[at..][..count], "the bytes from {at} on");
        at += count;
    }
    let file = File::open(disk.path()).unwrap();
    let length = file.metadata().unwrap().len();
    let (mut at, mut holes) = (0, 0);
    while at < expected.len() {
        let part = (expected.len() - at).min(3000);
        if bytes.is_hole(at as u64, part as u64).unwrap() {
            holes += 1;
            assert!(expected[at..][..part].iter().all(|byte| *byte == 0), "the hole at {at}");
        }
        let (count, stored) = bytes.stored(at as u64, part as u64).unwrap();
        let count = count as usize;
        assert!((1..=part).contains(&count), "{at}: {count}");
        let own = id(&file);
        if let Some(stored) = stored.filter(|stored| stored.unpacked.is_none() && stored.file == own) {
            let mut there = vec![0; count.min(length.saturating_sub(stored.offset) as usize)];
            file.read_exact_at(&mut there, stored.offset).unwrap();
            assert!(there == expected[at..][..there.len()], "what is stored of {at}");
        }
        at += count;
    }
    holes
}

fn id(file: &File) -> (u64, u64) {
    let metadata = file.metadata().unwrap();
    (std::os::unix::fs::MetadataExt::dev(&metadata), std::os::unix::fs::MetadataExt::ino(&metadata))
}
