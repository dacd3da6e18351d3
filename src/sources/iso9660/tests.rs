//! Images made by hand, with content that real writers never make. Images of real writers are read in the integration tests.

use std::io::Read;

use proptest::prelude::*;

use super::*;

/// Sectors of the image below.
const ROOT: usize = 18;
const CONTINUATION: usize = 19;
const FILE: usize = 20;
const SECTORS: usize = 22;

fn both(number: u32) -> Vec<u8> {
    [number.to_le_bytes(), number.to_be_bytes()].concat()
}

/// A directory record (ECMA-119 9.1).
fn record(block: u32, bytes: u32, flags: u8, identifier: &[u8], system_use: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both(block));
    record.extend(both(bytes));
    record.extend([0; 7]);
    record.extend([flags, 0, 0, 1, 0, 0, 1, u8::try_from(identifier.len()).unwrap()]);
    record.extend(identifier);
    if record.len() % 2 == 1 {
        record.push(0);
    }
    record.extend(system_use);
    record[0] = u8::try_from(record.len()).unwrap();
    record
}

/// An entry of a system use area.
fn entry(signature: &[u8; 2], data: &[u8]) -> Vec<u8> {
    [&signature[..], &[u8::try_from(data.len() + 4).unwrap(), 1], data].concat()
}

fn continuation(block: u32, offset: u32, length: u32) -> Vec<u8> {
    entry(b"CE", &[both(block), both(offset), both(length)].concat())
}

fn sp() -> Vec<u8> {
    [entry(b"SP", &[0xbe, 0xef, 0]), entry(b"RR", &[0])].concat()
}

/// An image whose root directory has these records after its own two.
fn image(in_root_itself: &[u8], records: &[Vec<u8>]) -> Vec<u8> {
    let mut image = vec![0; SECTORS * 2048];
    let mut put = |sector: usize, at: usize, bytes: &[u8]| image[sector * 2048 + at..][..bytes.len()].copy_from_slice(bytes);
    put(16, 0, b"\x01CD001\x01");
    put(16, 40, &[b"A LABEL", &[b' '; 25][..]].concat());
    put(16, 80, &both(SECTORS as u32));
    put(16, 128, &[0, 8, 8, 0]);
    put(16, 156, &record(ROOT as u32, 2048, 2, &[0], &[]));
    put(17, 0, b"\xffCD001\x01");
    let itself = record(ROOT as u32, 2048, 2, &[0], in_root_itself);
    let root = [itself, record(ROOT as u32, 2048, 2, &[1], &[])].iter().chain(records).flatten().copied().collect::<Vec<u8>>();
    put(ROOT, 0, &root);
    put(FILE, 0, b"first");
    put(FILE + 1, 0, b"second");
    image
}

fn open(image: &[u8]) -> Result<Iso, IsoError> {
    Iso::open(Arc::new(image.to_vec()))
}

fn content(iso: &Iso, path: &str) -> String {
    let entry = iso.find(path).unwrap().unwrap_or_else(|| panic!("no {path}"));
    let mut text = String::new();
    iso.open_file(&entry).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn names(iso: &Iso) -> Vec<String> {
    iso.list("/").unwrap().unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_name_goes_on_in_its_continuation_area() {
    let long = "n".repeat(250);
    let (head, tail) = long.split_at(100);
    let more = entry(b"NM", &[&[0], tail.as_bytes()].concat());
    let system_use = [entry(b"NM", &[&[1], head.as_bytes()].concat()), continuation(CONTINUATION as u32, 7, more.len() as u32)].concat();
    let mut image = image(&sp(), &[record(FILE as u32, 5, 0, b"N.;1", &system_use)]);
    image[CONTINUATION * 2048 + 7..][..more.len()].copy_from_slice(&more);
    let iso = open(&image).unwrap();
    assert_eq!((names(&iso), iso.volume().id.as_str(), iso.volume().bytes), (vec![long.clone()], "A LABEL", SECTORS as u64 * 2048));
    assert_eq!(content(&iso, &long), "first");
}

#[test]
fn extents_are_joined_and_read_across() {
    let image = image(&[], &[record(FILE as u32, 5, 0x80, b"F.;1", &[]), record(FILE as u32 + 1, 6, 0, b"F.;1", &[])]);
    let iso = open(&image).unwrap();
    assert_eq!((content(&iso, "/f"), names(&iso)), ("firstsecond".to_owned(), vec!["F".to_owned()]));
    let mut file = iso.open_file(&iso.find("F").unwrap().unwrap()).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(-8)).unwrap();
    let mut tail = String::new();
    file.read_to_string(&mut tail).unwrap();
    assert_eq!((tail.as_str(), file.size()), ("stsecond", 11));
}

#[test]
fn what_rock_ridge_hides_moves_or_links_is_no_file() {
    let links = [entry(b"NM", b"\0link"), entry(b"SL", &[0, 0, 1, b'x'])].concat();
    let moved = [entry(b"NM", b"\0gone"), entry(b"RE", &[])].concat();
    let child = [entry(b"NM", b"\0child"), entry(b"CL", &both(ROOT as u32))].concat();
    let device = [entry(b"NM", b"\0device"), entry(b"PX", &both(0o020_644).repeat(4))].concat();
    let image = image(
        &sp(),
        &[
            record(FILE as u32, 0, 0, b"L.;1", &links),
            record(ROOT as u32, 2048, 2, b"M", &moved),
            record(FILE as u32, 0, 0, b"C.;1", &child),
            record(FILE as u32, 0, 0, b"D.;1", &device),
        ],
    );
    let iso = open(&image).unwrap();
    let kinds: Vec<_> = iso.list("").unwrap().unwrap().into_iter().map(|entry| (entry.name, entry.kind)).collect();
    let expected = [("link", EntryKind::Other), ("child", EntryKind::Directory), ("device", EntryKind::Other)];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
    // A directory may lead to itself: but a path still ends.
    assert_eq!(iso.list("child/child/child").unwrap().unwrap().len(), 3);
    assert!(iso.open_file(&iso.find("link").unwrap().unwrap()).is_err());
    assert_eq!((iso.list("link").unwrap(), iso.find("child/none").unwrap(), iso.find("none/x").unwrap()), (None, None, None));
}

#[test]
fn hostile_images_end_with_an_error_that_names_the_place() {
    let rock = |system_use: &[u8]| image(&sp(), &[record(FILE as u32, 5, 0, b"F.;1", system_use)]);
    let patched = |at: usize, bytes: &[u8]| {
        let mut image = image(&[], &[record(FILE as u32, 5, 0, b"F.;1", &[])]);
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    let loops = {
        let next = continuation(CONTINUATION as u32, 0, 28);
        let mut image = rock(&next);
        image[CONTINUATION * 2048..][..28].copy_from_slice(&next);
        image
    };
    let root = ROOT * 2048;
    // A file's record begins after those of `.` and `..`, 34 bytes each.
    let file = root + 68;
    for (image, expected) in [
        (Vec::new(), "it is no ISO 9660 image"),
        (vec![0; 100_000], "it is no ISO 9660 image"),
        (rock(&[])[..SECTORS * 2048 - 1].to_vec(), "it is cut short: it has 45055 of 45056 bytes"),
        (patched(16 * 2048 + 128, &[0, 2]), "it is damaged at volume descriptor: its blocks are not of 2048 bytes, which is not supported"),
        (patched(16 * 2048 + 166, &[0xff; 4]), "it is damaged at directory /: it claims to be larger than 16 MiB"),
        (patched(16 * 2048 + 158, &[0xff; 4]), "it is damaged at directory /: it points past the end of the image"),
        (patched(root, &[0]), "it is damaged at directory /: a record in it is shorter than its parts"),
        (patched(file, &[33]), "it is damaged at directory /: a record in it is shorter than its parts"),
        (patched(file, &[0xff]), ""),
        (patched(file + 25, &[0x80]), "it is damaged at directory /: a file in it lacks its last extent"),
        (patched(file + 26, &[1]), "it is damaged at directory /: a file in it is interleaved, which is not supported"),
        (patched(file + 2, &[0xff; 4]), "it is cut short: it has 45056 of 8796093020165 bytes"),
        (patched(file + 10, &[0xff; 4]), "it is cut short: it has 45056 of 4295008255 bytes"),
        (
            rock(&continuation(CONTINUATION as u32, 0, 2049)),
            "it is damaged at directory /: a continuation area in it is larger than a block",
        ),
        (rock(&continuation(u32::MAX, u32::MAX, 10)), "it is damaged at directory /: it points past the end of the image"),
        (loops, "it is damaged at directory /: its continuation areas have no end"),
        (rock(&entry(b"CL", &both(FILE as u32))), "it is damaged at directory /: a record in it is shorter than its parts"),
        (rock(&entry(b"CL", &both(u32::MAX))), "it is damaged at directory /: it points past the end of the image"),
    ] {
        let read = || -> Result<(), IsoError> {
            let iso = open(&image)?;
            for entry in iso.list("/")?.unwrap() {
                iso.open_file(&entry)?;
            }
            Ok(())
        };
        let said = read().map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(said, expected);
    }
    let crossing = record(FILE as u32, 5, 0, &[b'F'; 150], &[0; 50]);
    let records: Vec<_> = std::iter::repeat_n(crossing, 9).collect();
    let mut image = image(&[], &records[..8]);
    let end = root + 68 + 8 * records[0].len();
    image[end] = 0xfe;
    assert!(open(&image).unwrap().list("/").unwrap_err().to_string().ends_with("crosses the end of a sector"));
}

proptest! {
    /// Reading all of an image ends, whatever is changed in it.
    #[test]
    fn any_damage_ends_with_a_value_or_an_error(changes in prop::collection::vec((16 * 2048..21 * 2048_usize, any::<u8>()), 1..40)) {
        let system_use = [entry(b"NM", b"\0name"), continuation(CONTINUATION as u32, 0, 50)].concat();
        let mut image = image(&sp(), &[record(FILE as u32, 5, 0, b"F.;1", &system_use), record(ROOT as u32, 2048, 2, b"D", &entry(b"NM", b"\0d"))]);
        for (at, byte) in changes {
            image[at] = byte;
        }
        if let Ok(iso) = open(&image) {
            for path in ["", "d", "d/d", "name"] {
                for entry in iso.list(path).ok().flatten().unwrap_or_default() {
                    if let Ok(file) = iso.open_file(&entry) {
                        let bytes = file.size();
                        let mut all = Vec::new();
                        file.take(1 << 20).read_to_end(&mut all).unwrap();
                        prop_assert_eq!(all.len() as u64, bytes.min(1 << 20));
                    }
                }
            }
        }
    }
}
