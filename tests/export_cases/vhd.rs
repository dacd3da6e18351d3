//! `goldsmith image export` to a fixed VHD: the disk, and the footer that Azure reads.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::{MIB, Place, disks, shown_by_qemu, stored};

/// The footer of a file.
fn footer(place: &Place, name: &str) -> [u8; 512] {
    let (file, mut footer) = (File::open(place.at(name)).unwrap(), [0; 512]);
    file.read_exact_at(&mut footer, file.metadata().unwrap().len() - 512).unwrap();
    footer
}

#[test]
fn vhd_is_the_disk_with_holes_and_a_right_footer() {
    let place = Place::new();
    let mut ids = Vec::new();
    for (name, size, parts) in disks().into_iter().filter(|(name, ..)| *name != "far") {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.vhd");
        let whole = size.max(1).next_multiple_of(MIB);
        // QEMU takes the size from the footer and not from the geometry, which cannot express every size.
        shown_by_qemu(&place, "vpc", "to.vhd", whole);
        let metadata = fs::metadata(place.at("to.vhd")).unwrap();
        assert_eq!(metadata.len(), whole + 512, "{name}");
        assert!(metadata.blocks() * 512 <= stored(&parts) + 4096, "{name}");

        let footer = footer(&place, "to.vhd");
        let number = |at: usize, length: usize| footer[at..at + length].iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        assert_eq!(&footer[..8], b"conectix");
        // Version 1.0, no dynamic header, no time, original and current size, fixed.
        assert_eq!((number(12, 4), number(16, 8), number(24, 4)), (0x1_0000, u64::MAX, 0), "{name}");
        assert_eq!((number(40, 8), number(48, 8), number(60, 4)), (whole, whole, 2), "{name}");
        let (cylinders, heads, sectors) = (number(56, 2), number(58, 1), number(59, 1));
        assert!(cylinders * heads * sectors * 512 <= whole && cylinders > 0, "{name}");
        let sum: u64 =
            footer.iter().map(|byte| u64::from(*byte)).sum::<u64>() - footer[64..68].iter().map(|byte| u64::from(*byte)).sum::<u64>();
        assert_eq!(number(64, 4), u64::from(!u32::try_from(sum).unwrap()), "{name}");
        ids.push(number(68, 8));
        fs::remove_file(place.at("to.vhd")).unwrap();
    }
    // Every disk has a different id.
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn a_spoilt_footer_is_refused_by_qemu() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, vec![1; 512])]);
    place.shows("goldsmith image export disk to.vhd");
    let mut spoilt = footer(&place, "to.vhd");
    spoilt[0] ^= 1;
    let file = File::options().write(true).open(place.at("to.vhd")).unwrap();
    file.write_all_at(&spoilt, MIB).unwrap();
    assert!(!place.run("qemu-img compare -f raw -F vpc disk to.vhd").status.success());
}
