//! `goldsmith image export` to VHDX: QEMU reads and checks it, and a script goes through its checksums and its table of blocks.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{KIB, MIB, Place, TIB, disks, shown_by_qemu, stored};

/// Checks the dynamic VHDX argv[1] of a disk with argv[2] bytes by [MS-VHDX]: signatures, CRC-32C, overlaps, and that only blocks with data
/// have an entry in the table, and argv[3] has the same data. Prints the numbers of those blocks.
const CHECK: &str = r#"
import os, struct, sys, uuid
file, size, MIB = open(sys.argv[1], "rb"), int(sys.argv[2]), 1 << 20
def at(place, length):
    file.seek(place)
    return file.read(length).ljust(length, b"\0")
def crc32c(data):
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
assert crc32c(b"123456789") == 0xE3069283
def summed(data, signature):
    assert data[:4] == signature and struct.unpack("<I", data[4:8])[0] == crc32c(data[:4] + b"\0\0\0\0" + data[8:])
    return data
assert at(0, 8) == b"vhdxfile" and at(8, 512).decode("utf-16-le").startswith("goldsmith ")
sequences = []
for place in (64 << 10, 128 << 10):
    header = summed(at(place, 4096), b"head")
    sequence, file_write, data_write, log, log_version, version, log_length, log_place = struct.unpack("<Q16s16s16sHHIQ", header[8:80])
    assert file_write.strip(b"\0") and data_write.strip(b"\0") and file_write != data_write and log == bytes(16)
    assert (log_version, version, log_length % MIB, log_place % MIB) == (0, 1, 0, 0) and log_length and not at(log_place, log_length).strip(b"\0")
    sequences.append(sequence)
assert len(set(sequences)) == 2
regions = summed(at(192 << 10, 64 << 10), b"regi")
assert regions == at(256 << 10, 64 << 10) and struct.unpack("<II", regions[8:16]) == (2, 0)
found, used = {}, [(0, MIB), (log_place, log_length)]
for entry in range(2):
    guid, place, length, required = struct.unpack("<16sQII", regions[16 + 32 * entry:48 + 32 * entry])
    assert required == 1 and place % MIB == 0 and length % MIB == 0
    found[str(uuid.UUID(bytes_le=guid))] = (place, length)
    used.append((place, length))
bat, bat_length = found["2dc27766-f623-4200-9d64-115e9bfd4a08"]
meta, _ = found["8b7ca206-4790-4b9a-b8fe-575f050f886e"]
signature, count = struct.unpack("<8s2xH", at(meta, 12))
assert (signature, count) == (b"metadata", 5)
items = {}
for entry in range(count):
    guid, place, length, flags, _ = struct.unpack("<16sIIII", at(meta + 32 + 32 * entry, 32))
    assert place >= 64 << 10 and flags & 4 and not flags & 1
    items[str(uuid.UUID(bytes_le=guid))] = (at(meta + place, length), flags >> 1 & 1)
block, flags = struct.unpack("<II", items["caa16737-fa36-4d43-b3b6-33f0aa44e76b"][0])
assert (block, flags) == (MIB, 0) and not items["caa16737-fa36-4d43-b3b6-33f0aa44e76b"][1]
assert items["2fa54224-cd1b-4876-b211-5dbed83bf4b8"] == (struct.pack("<Q", size), 1)
assert len(items["beca12ab-b2e6-4523-93ef-c309e000c746"][0]) == 16
assert items["8141bf1d-a96f-4709-ba47-f233a8faab5f"] == (struct.pack("<I", 512), 1)
assert items["cda348c7-445d-4471-9cc9-e9885251c556"] == (struct.pack("<I", 4096), 1)
ratio, blocks = (1 << 23) * 512 // block, -(-size // block)
entries = blocks + (blocks - 1) // ratio
assert entries * 8 <= bat_length < entries * 8 + MIB
present, disk = [], open(sys.argv[3], "rb")
for start in range(0, entries, 131072):
    table = at(bat + 8 * start, 8 * min(131072, entries - start))
    if not table.strip(b"\0"):
        continue
    for index, entry in enumerate(struct.unpack("<%dQ" % (len(table) // 8), table), start):
        if entry:
            chunk, inside = divmod(index, ratio + 1)
            assert inside < ratio, "a bitmap of a disk that has none"
            assert entry & 0xFFFFF == 6
            used.append((entry >> 20 << 20, block))
            present.append(chunk * ratio + inside)
            disk.seek(present[-1] * block)
            assert at(entry >> 20 << 20, block) == disk.read(block).ljust(block, b"\0")
used.sort()
for (one, length), (next, _) in zip(used, used[1:]):
    assert one + length <= next, "two parts overlap"
assert sum(used[-1]) == os.path.getsize(sys.argv[1])
print(*present)
"#;

#[test]
fn vhdx_shows_the_disk_and_its_tables_are_right() {
    let place = Place::new();
    fs::write(place.at("check.py"), CHECK).unwrap();
    for (name, size, parts) in disks() {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.vhdx");
        let whole = size.max(1).next_multiple_of(512);
        if size < TIB {
            shown_by_qemu(&place, "vhdx", "to.vhdx", whole);
        }
        let check = place.shows("qemu-img check -f vhdx to.vhdx");
        assert!(check.starts_with("No errors were found on the image.\n"), "{name}: {check}");
        let blocks: Vec<u64> = place
            .shows(&format!("python3 -B check.py to.vhdx {whole} disk"))
            .split_whitespace()
            .map(|number| number.parse().unwrap())
            .collect();
        let mut expected: Vec<u64> = parts
            .iter()
            .filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))
            .flat_map(|(offset, bytes)| offset / MIB..=(offset + bytes.len() as u64 - 1) / MIB)
            .collect();
        expected.dedup();
        assert_eq!(blocks, expected, "{name}");
        // Blocks have holes as well. The rest is header, regions and table: 4 KiB for each 512 MiB with data.
        let metadata = fs::metadata(place.at("to.vhdx")).unwrap();
        assert!(metadata.blocks() * 512 <= stored(&parts) + (256 + 4 * parts.len() as u64) * KIB, "{name}: {}", metadata.blocks() * 512);
        fs::remove_file(place.at("to.vhdx")).unwrap();
    }
}

/// A chunk of the table covers 4 GiB. This tests the entries at its borders, with an entry of a bitmap between them.
#[test]
fn blocks_beside_the_borders_of_chunks_are_where_they_belong() {
    let place = Place::new();
    fs::write(place.at("check.py"), CHECK).unwrap();
    let gib = 1024 * MIB;
    let offsets = [0, 4 * gib - MIB, 4 * gib, 8 * gib - MIB, 8 * gib, 8 * gib + MIB, TIB - MIB, TIB];
    let parts: Vec<_> = offsets.iter().zip(1..).map(|(offset, number)| (*offset, vec![number; 512])).collect();
    fs::write(place.at("reads.sh"), "exec qemu-io -f vhdx -r to.vhdx <reads\n").unwrap();
    for size in [TIB + MIB, TIB + 4 * gib, TIB + 4 * gib + 512] {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.vhdx");
        // QEMU's driver does not report holes, so a comparison would read all of the disk.
        let reads = offsets.iter().zip(1..).map(|(at, byte)| format!("read -P {byte} {at} 512\nread -P 0 {} 512\n", at + 512));
        fs::write(place.at("reads"), reads.collect::<String>()).unwrap();
        let said = place.shows("sh reads.sh");
        assert_eq!(said.matches("read 512/512 bytes").count(), 2 * offsets.len(), "{said}");
        assert!(!said.contains("failed"), "{said}");
        let numbers = offsets.map(|offset| (offset / MIB).to_string()).join(" ");
        assert_eq!(place.shows(&format!("python3 -B check.py to.vhdx {size} disk")), numbers + "\n");
        fs::remove_file(place.at("to.vhdx")).unwrap();
    }
}
