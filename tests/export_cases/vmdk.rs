//! `goldsmith image export` to VMDK: QEMU reads it, and a script reads it as a stream, as VMware does.

use std::fs;

use super::{KIB, MIB, Part, Place, disks, noise, shown_by_qemu, text};

/// Reads the stream-optimized VMDK argv[1] from its beginning to its end by its markers alone (VMware's "Virtual Disk Format 5.0"), and
/// compares tables, directory and footer with the parts it has read. Writes the disk to argv[2] and prints the numbers of grains and
/// tables.
pub const STREAM: &str = r#"
import re, struct, sys, zlib
data = open(sys.argv[1], "rb").read()
out = open(sys.argv[2], "wb")
HEADER = struct.Struct("<4sIIQQQQIQQQB4sH433x")
assert HEADER.size == 512 and len(data) % 512 == 0
magic, version, flags, capacity, grain, text_at, text_size, entries, rgd, gd, overhead, unclean, ends, method = HEADER.unpack(data[:512])
assert (magic, version, flags, grain, entries, rgd, unclean, ends, method) == (b"KDMV", 3, 0x30001, 128, 512, 0, 0, b"\n \r\n", 1)
assert gd == 2**64 - 1 and text_at + text_size <= overhead and capacity % grain == 0
text = data[text_at * 512:(text_at + text_size) * 512].rstrip(b"\0").decode("ascii")
for line in ['version=1', 'parentCID=ffffffff', 'createType="streamOptimized"', 'ddb.adapterType = "lsilogic"', 'ddb.virtualHWVersion = "4"',
             'RDONLY %d SPARSE "disk.vmdk"' % capacity]:
    assert line in text.splitlines(), line
assert re.search(r"^CID=(?!ffff|00000000)[0-9a-f]{8}$", text, re.M), text
out.truncate(capacity * 512)
at, last, open_table, tables, grains, directory = overhead, -1, {}, {}, 0, None
while True:
    value, size, kind = struct.unpack("<QII", data[at * 512:at * 512 + 16])
    if size:
        assert value > last and value % grain == 0 and value < capacity
        stream = zlib.decompressobj()
        packed = data[at * 512 + 12:at * 512 + 12 + size]
        plain = stream.decompress(packed)
        assert stream.eof and not stream.unused_data and len(plain) == 65536 and plain.strip(b"\0")
        out.seek(value * 512)
        out.write(plain)
        assert not open_table or value // 65536 == last // 65536, "a table covers two tables' grains"
        open_table[value // grain % 512] = at
        last, grains, end = value, grains + 1, at * 512 + 12 + size
        at = (end + 511) // 512
        assert not data[end:at * 512].strip(b"\0")
        continue
    assert not data[at * 512 + 16:at * 512 + 512].strip(b"\0")
    body = data[(at + 1) * 512:(at + 1 + value) * 512]
    if kind == 1:
        assert value == 4 and open_table
        assert {index: place for index, place in enumerate(struct.unpack("<512I", body)) if place} == open_table
        tables[last // 65536], open_table = at + 1, {}
    elif kind == 2:
        assert not open_table
        directory, count = at + 1, -(-capacity // 65536)
        assert value == -(-count * 4 // 512)
        assert {index: place for index, place in enumerate(struct.unpack("<%dI" % count, body[:count * 4])) if place} == tables
    elif kind == 3:
        assert body == data[:56] + struct.pack("<Q", directory) + data[64:512]
    else:
        assert (kind, value) == (0, 0) and (at + 1) * 512 == len(data)
        break
    at += 1 + value
print(grains, len(tables))
"#;

#[test]
fn vmdk_shows_the_disk_and_every_marker_is_right() {
    let place = Place::new();
    fs::write(place.at("stream.py"), STREAM).unwrap();
    for (name, size, parts) in disks().into_iter().filter(|(name, ..)| *name != "far") {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.vmdk");
        let info = shown_by_qemu(&place, "vmdk", "to.vmdk", size.max(1).next_multiple_of(64 * KIB));
        assert_eq!(info["format-specific"]["data"]["create-type"], "streamOptimized", "{name}");
        let check = place.shows("qemu-img check -f vmdk to.vmdk");
        assert!(check.starts_with("No errors were found on the image.\n"), "{name}: {check}");
        place.shows("python3 -B stream.py to.vmdk back");
        place.shows("qemu-img compare -f raw -F raw disk back");
        fs::remove_file(place.at("to.vmdk")).unwrap();
    }
}

#[test]
fn vmdk_has_nothing_but_data() {
    let place = Place::new();
    fs::write(place.at("stream.py"), STREAM).unwrap();
    let length = |name: &str| fs::metadata(place.at(name)).unwrap().len();
    place.disk("zeros", 100 * MIB, &[(0, vec![0; 100 * MIB as usize])]);
    place.shows("goldsmith image export zeros zeros.vmdk");
    // Header and descriptor, a directory of four entries, the footer, the end: each except the first has a marker.
    assert_eq!(length("zeros.vmdk"), 64 * KIB + 5 * 512);
    assert_eq!(place.shows("python3 -B stream.py zeros.vmdk back"), "0 0\n");
    place.disk("noise", 40 * MIB, &[(33 * MIB, noise(MIB))]);
    place.shows("goldsmith image export noise noise.vmdk");
    // 16 grains that cannot be compressed, each with a further sector for the marker and zlib's frame; one table.
    assert_eq!(length("noise.vmdk"), 64 * KIB + 5 * 512 + 16 * (64 * KIB + 512) + 5 * 512);
    assert_eq!(place.shows("python3 -B stream.py noise.vmdk back"), "16 1\n");
    place.disk("text", 8 * MIB, &[(0, text(8 * MIB))]);
    place.shows("goldsmith image export text text.vmdk");
    place.shows("qemu-img convert -O vmdk -o subformat=streamOptimized text theirs.vmdk");
    let (ours, theirs) = (length("text.vmdk"), length("theirs.vmdk"));
    assert!(ours < theirs + theirs / 25, "{ours} {theirs}");
}

#[test]
fn the_content_id_is_that_of_the_disk() {
    let place = Place::new();
    let cid = |parts: &[Part]| {
        place.disk("disk", 2 * MIB, parts);
        place.shows("goldsmith image export disk to.vmdk");
        let info: serde_json::Value = serde_json::from_str(&place.shows("qemu-img info --output=json to.vmdk")).unwrap();
        fs::remove_file(place.at("to.vmdk")).unwrap();
        info["format-specific"]["data"]["cid"].as_u64().unwrap()
    };
    let one = cid(&[(0, vec![1])]);
    assert_eq!(one, cid(&[(0, vec![1]), (MIB, vec![0; MIB as usize])]));
    assert_ne!(one, cid(&[(0, vec![2])]));
    assert_ne!(one, cid(&[(1, vec![1])]));
}
