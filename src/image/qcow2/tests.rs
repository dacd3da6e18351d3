//! Tests of the module beside this file.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const CLUSTER: usize = 4096;
/// What the test image holds: the kinds of cluster in order, then nothing.
const CLUSTERS: usize = 16;

fn put(bytes: &mut Vec<u8>, offset: usize, value: &[u8]) {
    bytes.resize(bytes.len().max(offset + value.len()), 0);
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// A cluster that compresses: its number, over and over.
fn content(index: usize) -> Vec<u8> {
    (0..CLUSTER).map(|at| (index * 7 + at / 100) as u8).collect()
}

fn packed(index: usize, zstd: bool) -> Vec<u8> {
    if zstd {
        return zstd::bulk::compress(&content(index), 3).unwrap();
    }
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&content(index)).unwrap();
    encoder.finish().unwrap()
}

/// Header, L1, L2, one plain cluster (0), one zero cluster (1), two compressed ones (2, 3), the rest unallocated.
fn image(zstd: bool, backing: Option<(&str, &str)>) -> Vec<u8> {
    let mut bytes = vec![0; 4 * CLUSTER];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 4, &3u32.to_be_bytes());
    put(&mut bytes, 20, &12u32.to_be_bytes());
    put(&mut bytes, 24, &((CLUSTERS * CLUSTER) as u64).to_be_bytes());
    put(&mut bytes, 36, &1u32.to_be_bytes());
    put(&mut bytes, 40, &(CLUSTER as u64).to_be_bytes());
    put(&mut bytes, 72, &(u64::from(zstd) << 3).to_be_bytes());
    put(&mut bytes, 100, &112u32.to_be_bytes());
    put(&mut bytes, 104, &[u8::from(zstd)]);
    if let Some((name, format)) = backing {
        put(&mut bytes, 112, &0xe279_2acau32.to_be_bytes());
        put(&mut bytes, 116, &(format.len() as u32).to_be_bytes());
        put(&mut bytes, 120, format.as_bytes());
        put(&mut bytes, 8, &512u64.to_be_bytes());
        put(&mut bytes, 16, &(name.len() as u32).to_be_bytes());
        put(&mut bytes, 512, name.as_bytes());
    }
    put(&mut bytes, CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    let mut entries = vec![3 * CLUSTER as u64, ZERO];
    put(&mut bytes, 3 * CLUSTER, &content(0));
    for index in [2, 3] {
        let offset = bytes.len();
        let data = packed(index, zstd);
        let last_sector = (offset + data.len() - 1) / 512;
        let more_sectors = (last_sector - offset / 512) as u64;
        entries.push(COMPRESSED | more_sectors << (62 - 4) | offset as u64);
        put(&mut bytes, offset, &data);
    }
    for (index, entry) in entries.into_iter().enumerate() {
        put(&mut bytes, 2 * CLUSTER + 8 * index, &entry.to_be_bytes());
    }
    bytes
}

fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    let qcow2 = Qcow2::open(path, &Reach::Anywhere)?;
    // A mutated size must not make the test allocate that much.
    let mut bytes = vec![0; usize::try_from(qcow2.len().min(1 << 20)).unwrap()];
    qcow2.read_at(0, &mut bytes)?;
    if let Some(end) = qcow2.len().checked_sub(5000) {
        qcow2.read_at(end, &mut [0; 5000])?;
    }
    Ok(bytes)
}

fn expected(rest: u8) -> Vec<u8> {
    let mut bytes = [content(0), vec![0; CLUSTER], content(2), content(3)].concat();
    bytes.resize(CLUSTERS * CLUSTER, rest);
    bytes
}

#[test]
fn every_kind_of_cluster_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    for zstd in [false, true] {
        std::fs::write(&path, image(zstd, None)).unwrap();
        assert!(read_all(&path).unwrap() == expected(0), "zstd: {zstd}");
        let qcow2 = Qcow2::open(&path, &Reach::Anywhere).unwrap();
        let mut odd = vec![0; 2 * CLUSTER];
        qcow2.read_at(3 * CLUSTER as u64 - 100, &mut odd).unwrap();
        assert!(odd[..] == expected(0)[3 * CLUSTER - 100..5 * CLUSTER - 100]);
        assert_eq!(qcow2.read_at(qcow2.len() - 1, &mut [0; 2]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[test]
fn an_overlay_reads_its_backing_file_and_zeros_beyond_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    std::fs::write(dir.path().join("base"), vec![9; 6 * CLUSTER + 10]).unwrap();
    std::fs::write(&path, image(true, Some(("base", "raw")))).unwrap();
    let mut wanted = expected(0);
    wanted[4 * CLUSTER..6 * CLUSTER + 10].fill(9);
    assert!(read_all(&path).unwrap() == wanted);

    // An overlay over the overlay, with the same clusters, found relative to itself.
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let upper = dir.path().join("sub/upper");
    std::fs::write(&upper, image(false, Some(("../disk", "qcow2")))).unwrap();
    assert!(read_all(&upper).unwrap() == wanted);
    assert_eq!(
        Qcow2::open(&upper, &Reach::Anywhere).unwrap().backing_paths(),
        ["sub/../disk", "sub/../base"].map(|name| dir.path().join(name))
    );
}

#[test]
fn backing_files_we_must_not_open_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    for (name, format, complaint) in [
        ("disk", "qcow2", "its backing chain is longer than 64 files, or a loop"),
        ("nbd:localhost:1", "raw", "its backing file `nbd:localhost:1` is not a local file"),
        ("json:{}", "raw", "its backing file `json:{}` is not a local file"),
        ("base", "vmdk", "its backing file `base` has the format `vmdk`"),
        (".", "raw", "it is neither a file nor a block device"),
        ("gone", "raw", "No such file or directory"),
    ] {
        std::fs::write(&path, image(true, Some((name, format)))).unwrap();
        let error = Qcow2::open(&path, &Reach::Anywhere).err().unwrap().to_string();
        assert!(error.contains(complaint), "{name}: {error}");
    }
    let mut silent = image(true, Some(("base", "raw")));
    put(&mut silent, 112, &[0; 16]);
    std::fs::write(&path, silent).unwrap();
    assert!(Qcow2::open(&path, &Reach::Anywhere).err().unwrap().to_string().contains("does not say which format"));
}

/// An image of unknown origin may name any file as the one under it. Links, nested overlays and names with `..` do not reach other
/// directories.
#[test]
fn a_foreign_image_reaches_its_own_directory_and_the_store() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    for dir in ["images/below", "store/layer", "host"] {
        std::fs::create_dir_all(at(dir)).unwrap();
    }
    for file in ["images/base", "images/below/base", "store/layer/base", "host/shadow", "images-base"] {
        std::fs::write(at(file), vec![9; CLUSTER]).unwrap();
    }
    std::os::unix::fs::symlink(at("host/shadow"), at("images/link")).unwrap();
    std::os::unix::fs::symlink(at("host"), at("images/dir")).unwrap();
    std::os::unix::fs::symlink(at("images/below/base"), at("images/inner")).unwrap();
    let overlay = |place: &str, name: &str, format: &str| std::fs::write(at(place), image(true, Some((name, format)))).unwrap();
    overlay("images/below/honest", "../base", "raw");
    overlay("images/below/nested", at("host/shadow").to_str().unwrap(), "raw");
    overlay("store/layer/nested", "../../host/shadow", "raw");
    let absolute = |name: &str| at(name).to_str().unwrap().to_owned();
    let refused = "is neither in the directory of the image nor below it, nor in goldsmith's store";
    for (name, format, expected) in [
        ("base".to_owned(), "raw", None),
        ("below/base".to_owned(), "raw", None),
        ("inner".to_owned(), "raw", None),
        (absolute("images/base"), "raw", None),
        ("below/../base".to_owned(), "raw", None),
        // Under it is a file that is beside the image, though not beside the overlay.
        ("below/honest".to_owned(), "qcow2", None),
        (absolute("store/layer/base"), "raw", None),
        ("../store/layer/base".to_owned(), "raw", None),
        (absolute("host/shadow"), "raw", Some(refused)),
        ("/etc/passwd".to_owned(), "raw", Some(refused)),
        ("../host/shadow".to_owned(), "raw", Some(refused)),
        ("link".to_owned(), "raw", Some(refused)),
        ("dir/shadow".to_owned(), "raw", Some(refused)),
        ("../images-base".to_owned(), "raw", Some(refused)),
        ("below/nested".to_owned(), "qcow2", Some(refused)),
        ("../store/layer/nested".to_owned(), "qcow2", Some(refused)),
        ("json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}".to_owned(), "raw", Some("is not a local file")),
        ("file:/etc/passwd".to_owned(), "raw", Some("is not a local file")),
        ("nbd+unix:///x?socket=/run/x".to_owned(), "raw", Some("is not a local file")),
    ] {
        overlay("images/top", &name, format);
        let path = at("images/top");
        let found = Qcow2::open(&path, &Reach::of_foreign(&path, Some(&at("store"))).unwrap());
        match (found.err(), expected) {
            (None, None) => {}
            (Some(ImageError::NotFollowed { kind: BACKING, why, .. }), Some(expected)) => assert_eq!(why, expected, "{name}"),
            (found, expected) => panic!("{name}: {found:?}, {expected:?}"),
        }
    }
    // If no store is given, its layers count as foreign.
    overlay("images/top", "../store/layer/base", "raw");
    let error = Qcow2::open(&at("images/top"), &Reach::of_foreign(&at("images/top"), None).unwrap()).err().unwrap();
    assert!(error.to_string().contains("its backing file `../store/layer/base` is neither"), "{error}");
}

#[test]
fn damage_is_named_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let entry = |value: u64| (2 * CLUSTER, value.to_be_bytes().to_vec());
    for ((offset, value), complaint) in [
        ((CLUSTER, (1u64 << 40).to_be_bytes().to_vec()), "at byte 1099511627776: an L2 table lies outside the file"),
        (entry(1 << 40), "at byte 1099511627776: a cluster lies outside the file; it may have been cut short"),
        (entry(512), "at byte 8192: a cluster at 512 does not begin on a cluster boundary"),
        (entry(COMPRESSED | 1 << 40), "at byte 1099511627776: a compressed cluster lies outside the file"),
        (entry(COMPRESSED | CLUSTER as u64), "at byte 4096: a cluster cannot be decompressed"),
    ] {
        let mut bytes = image(true, None);
        put(&mut bytes, offset, &value);
        std::fs::write(&path, bytes).unwrap();
        let error = ImageError::read(&path, read_all(&path).unwrap_err());
        assert!(matches!(error, ImageError::Corrupt { .. }) && error.to_string().contains(complaint), "{error}");
    }
}

/// Clusters of 16 KiB in subclusters of 512 bytes: header, L1, L2, the data, and the packed cluster 1. The L2 entry of cluster 0 is `first`,
/// that of cluster 1 has the bitmap `packed_bitmap`.
fn extended(first: [u64; 2], packed_bitmap: u64) -> Vec<u8> {
    const LARGE: usize = 16 << 10;
    let mut bytes = vec![0; 4 * LARGE];
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 4, &3u32.to_be_bytes());
    put(&mut bytes, 20, &14u32.to_be_bytes());
    put(&mut bytes, 24, &(4 * LARGE as u64).to_be_bytes());
    put(&mut bytes, 36, &1u32.to_be_bytes());
    put(&mut bytes, 40, &(LARGE as u64).to_be_bytes());
    put(&mut bytes, 72, &(1u64 << 4).to_be_bytes());
    put(&mut bytes, 100, &104u32.to_be_bytes());
    put(&mut bytes, LARGE, &(2 * LARGE as u64).to_be_bytes());
    put(&mut bytes, 3 * LARGE, &(0..LARGE).map(|at| 1 + (at / 512) as u8).collect::<Vec<_>>());
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&[0x77; LARGE]).unwrap();
    let packed = encoder.finish().unwrap();
    put(&mut bytes, 4 * LARGE, &packed);
    let entries = [first[0], first[1], COMPRESSED | (4 * LARGE as u64), packed_bitmap];
    put(&mut bytes, 2 * LARGE, &entries.map(u64::to_be_bytes).concat());
    bytes
}

#[test]
fn subclusters_are_read_each_for_itself() {
    const LARGE: usize = 16 << 10;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    // In the file: 0, 1, 4 and 31; zeros: 2 and 5; the bit for a whole cluster of zeros has no meaning here.
    let bitmap = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 31 | 1 << (32 + 2) | 1 << (32 + 5);
    std::fs::write(&path, extended([(3 * LARGE as u64) | ZERO, bitmap], 0)).unwrap();
    let qcow2 = Qcow2::open(&path, &Reach::Anywhere).unwrap();
    let mut expected = vec![0; LARGE];
    for number in [0, 1, 4, 31] {
        expected[number * 512..][..512].fill(1 + number as u8);
    }
    expected.extend([0x77; LARGE]);
    expected.resize(4 * LARGE, 0);
    let mut found = vec![9; 4 * LARGE];
    qcow2.read_at(0, &mut found).unwrap();
    assert!(found == expected);
    for offset in [100, 512, 1000, 2 * 512 - 1, 31 * 512 - 7, LARGE as u64 - 3] {
        let mut part = [9; 700];
        qcow2.read_at(offset, &mut part).unwrap();
        assert!(part[..] == expected[offset as usize..][..700], "{offset}");
    }
    for (offset, len, hole) in [(0, 1, false), (1024, 1024, true), (1023, 2, false), (2048, 512, false), (2560, 13_312, true)] {
        assert_eq!(qcow2.is_hole(offset, len).unwrap(), hole, "{offset} {len}");
    }
    let stored = |offset, len| qcow2.stored(offset, len).map(|(count, stored)| (count, stored.map(|at| (at.offset, at.unpacked)))).unwrap();
    let large = LARGE as u64;
    assert_eq!(stored(10, large), (1014, Some((3 * large + 10, None))));
    assert_eq!(stored(1024, large), (512, None));
    assert_eq!(stored(1536, large), (512, None));
    assert_eq!(stored(31 * 512 + 1, large), (511, Some((3 * large + 31 * 512 + 1, None))));
    assert_eq!(stored(large + 5, large), (large - 5, Some((4 * large, Some(5)))));

    // The other subclusters come from the backing file, which may end within one.
    std::fs::write(dir.path().join("base"), vec![0xbb; 8 * 512 + 100]).unwrap();
    let mut overlay = extended([3 * LARGE as u64, bitmap], 0);
    put(&mut overlay, 104, &[0xe2, 0x79, 0x2a, 0xca, 0, 0, 0, 3]);
    put(&mut overlay, 112, b"raw");
    put(&mut overlay, 8, &512u64.to_be_bytes());
    put(&mut overlay, 16, &4u32.to_be_bytes());
    put(&mut overlay, 512, b"base");
    std::fs::write(&path, overlay).unwrap();
    for (range, value) in [(3 * 512..4 * 512, 0xbb), (6 * 512..8 * 512 + 100, 0xbb)] {
        expected[range].fill(value);
    }
    let qcow2 = Qcow2::open(&path, &Reach::Anywhere).unwrap();
    qcow2.read_at(0, &mut found).unwrap();
    assert!(found == expected);
}

#[test]
fn impossible_subclusters_are_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let place = 3 * (16 << 10);
    for (first, packed_bitmap, complaint) in [
        ([place, 1 | 1 << 32], 0, "at byte 32768: a subcluster is marked as stored and as zeros"),
        ([place, 1 << 31 | 1 << 63], 0, "at byte 32768: a subcluster is marked as stored and as zeros"),
        // An error of one subcluster is an error of the entry.
        ([0, 1 << 9], 0, "at byte 32768: a subcluster is marked as stored, and its cluster has no place"),
        ([ZERO, u64::MAX >> 32], 0, "at byte 32768: a subcluster is marked as stored, and its cluster has no place"),
        ([place + 512, 1], 0, "at byte 32768: a cluster at 49664 does not begin on a cluster boundary"),
        ([1 << 40, 1 << 32], 0, "at byte 1099511627776: a cluster lies outside the file"),
        ([place, 1], 1, "at byte 32768: a compressed cluster has subclusters"),
        ([place, 1], 1 << 63, "at byte 32768: a compressed cluster has subclusters"),
    ] {
        std::fs::write(&path, extended(first, packed_bitmap)).unwrap();
        let error = ImageError::read(&path, read_all(&path).unwrap_err());
        assert!(matches!(error, ImageError::Corrupt { .. }) && error.to_string().contains(complaint), "{error}");
    }
    // Zeros need no place.
    std::fs::write(&path, extended([0, u64::MAX << 32], 0)).unwrap();
    assert!(read_all(&path).unwrap()[..16 << 10].iter().all(|byte| *byte == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever is wrong with a file, reading it ends, with bytes or an error.
    #[test]
    fn mutations_never_panic(
        zstd: bool,
        changes in proptest::collection::vec((prop_oneof![0usize..128, 4096usize..4104, 8192usize..8232, 0usize..20000], any::<u8>()), 1..6),
        cut in 0usize..40_000,
    ) {
        let mut bytes = image(zstd, Some(("base", "raw")));
        for (offset, value) in changes {
            let offset = offset.min(bytes.len() - 1);
            bytes[offset] = value;
        }
        bytes.truncate(cut.max(1));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("base"), b"short").unwrap();
        std::fs::write(dir.path().join("disk"), bytes).unwrap();
        let _ = read_all(&dir.path().join("disk"));
    }
}

#[test]
fn holes_are_known_without_reading() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("base"), image(false, None)).unwrap();
    std::fs::write(dir.path().join("overlay"), image(true, Some(("base", "qcow2")))).unwrap();
    let cluster = CLUSTER as u64;
    for name in ["base", "overlay"] {
        let qcow2 = Qcow2::open(&dir.path().join(name), &Reach::Anywhere).unwrap();
        // Plain, zeros, two compressed ones, then nothing in either file.
        for (first, count, hole) in [(0, 1, false), (1, 1, true), (1, 2, false), (3, 1, false), (4, 12, true)] {
            assert_eq!(qcow2.is_hole(first * cluster, count * cluster).unwrap(), hole, "{name} {first} {count}");
        }
        assert!(qcow2.is_hole(15 * cluster, cluster + 1).is_err());
    }
}
