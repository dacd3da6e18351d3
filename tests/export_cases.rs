//! `goldsmith image export`: other programs accept the files and show the disk that they were made from.

mod ova;
mod vhd;
mod vhdx;
mod vmdk;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::{GOLDSMITH, goldsmith};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const TIB: u64 = 1 << 40;

/// A directory, and programs that run in it.
pub struct Place(TempDir);

impl Place {
    /// A new one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in this place.
    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    /// Run the words of `line` here.
    pub fn run(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        let program = words.next().unwrap();
        let program = if program == "goldsmith" { GOLDSMITH } else { program };
        Command::new(program).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir(&self.0).output().unwrap()
    }

    /// The output of a program that must succeed.
    #[track_caller]
    pub fn shows(&self, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A raw disk of `size` bytes with `parts` (offset, bytes). The rest is a hole.
    pub fn disk(&self, name: &str, size: u64, parts: &[Part]) {
        let file = File::create(self.at(name)).unwrap();
        file.set_len(size).unwrap();
        for (offset, bytes) in parts {
            file.write_all_at(bytes, *offset).unwrap();
        }
    }

    /// Check that the disk `disk` exported as `format` gives the same bytes on all processors and on one, and that `form`, another form of
    /// the disk, gives them too.
    #[track_caller]
    pub fn gives_the_same(&self, form: &str, format: &str) {
        let sources =
            ["goldsmith image export disk", "taskset -c 0 GOLDSMITH image export disk", &format!("goldsmith image export {form}")];
        for (number, line) in sources.iter().enumerate() {
            self.shows(&format!("{} to.{number} --format {format}", line.replace("GOLDSMITH", GOLDSMITH)));
        }
        self.shows("cmp to.0 to.1");
        self.shows("cmp to.0 to.2");
        for number in 0..3 {
            fs::remove_file(self.at(format!("to.{number}"))).unwrap();
        }
    }

    /// The names in this place, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Bytes that cannot be compressed.
pub fn noise(length: u64) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ state >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length as usize).collect()
}

pub fn text(length: u64) -> Vec<u8> {
    (0u64..).flat_map(|number| format!("line {number}, {}\n", number * number).into_bytes()).take(length as usize).collect()
}

/// An offset and the bytes there.
pub type Part = (u64, Vec<u8>);

/// Disks at the limits of a writer of clusters, tables and frames.
pub fn disks() -> Vec<(&'static str, u64, Vec<Part>)> {
    let gib = 1024 * MIB;
    vec![
        ("nothing", 0, vec![]),
        ("one byte", 1, vec![(0, vec![7])]),
        ("one sector", 512, vec![(0, text(512))]),
        ("no whole sector", 1000, vec![(0, noise(1000))]),
        ("a cluster and a byte", 64 * KIB + 1, vec![(0, text(64 * KIB + 1))]),
        ("a hole at the end", 3 * MIB + 512, vec![(0, text(10))]),
        ("data at the end", 3 * MIB + 512, vec![(3 * MIB, text(512))]),
        ("zeros that are stored", 5 * MIB, vec![(0, vec![0; 5 * MIB as usize])]),
        ("incompressible", 5 * MIB + 3 * 512, vec![(0, noise(5 * MIB + 3 * 512))]),
        ("mixed", 9 * MIB, (0..36).map(|part| (part * 256 * KIB, if part % 2 == 0 { noise(70 * KIB) } else { text(200 * KIB) })).collect()),
        // More than one frame, piece and L2 table (512 MiB).
        ("tables", 2 * gib + 700 * KIB, (0..30).map(|part| (part * 70 * MIB + 5000, text(80 * KIB))).collect()),
        // More than one cluster of L1 table (4 TiB).
        ("far", 9 * TIB + 512, vec![(0, text(100)), (4 * TIB - 5, noise(10)), (9 * TIB, vec![1; 512])]),
        // More clusters that share one cluster of the file than any other content makes.
        ("the same everywhere", 64 * MIB, vec![(0, vec![0x55; 64 * MIB as usize])]),
    ]
}

/// Bytes that the host may need for `parts`: blocks of 4 KiB, of which one more may be touched at each end.
fn stored(parts: &[Part]) -> u64 {
    parts.iter().filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0)).map(|(_, bytes)| bytes.len() as u64 + 8192).sum()
}

/// Check that QEMU shows `disk` in the file `name` of the format `format`, with zeros behind it, as a disk of `size` bytes. Returns QEMU's
/// information about the file.
#[track_caller]
fn shown_by_qemu(place: &Place, format: &str, name: &str, size: u64) -> serde_json::Value {
    place.shows(&format!("qemu-img compare -f raw -F {format} disk {name}"));
    let info: serde_json::Value = serde_json::from_str(&place.shows(&format!("qemu-img info -f {format} --output=json {name}"))).unwrap();
    assert_eq!(info["virtual-size"], size, "{name}");
    info
}

#[test]
fn qcow2_shows_the_disk_and_qemu_finds_no_fault() {
    let place = Place::new();
    for (name, size, parts) in disks() {
        place.disk("disk", size, &parts);
        for compression in ["zlib", "zstd", "none"] {
            place.shows(&format!("goldsmith image export disk to.qcow2 --compression {compression}"));
            let check = place.shows("qemu-img check -f qcow2 to.qcow2");
            assert!(check.starts_with("No errors were found on the image.\n"), "{name} {compression}: {check}");
            place.shows("qemu-img compare -f raw -F qcow2 disk to.qcow2");
            let info: serde_json::Value = serde_json::from_str(&place.shows("qemu-img info --output=json to.qcow2")).unwrap();
            assert_eq!(info["virtual-size"], size.next_multiple_of(512), "{name}");
            let kind = if compression == "zstd" { "zstd" } else { "zlib" };
            assert_eq!(info["format-specific"]["data"]["compression-type"], kind, "{name}");
            // goldsmith's reader shows it as well.
            place.shows("goldsmith image export to.qcow2 back.raw");
            place.shows("qemu-img compare -f raw -F raw disk back.raw");
            fs::remove_file(place.at("to.qcow2")).unwrap();
            fs::remove_file(place.at("back.raw")).unwrap();
        }
    }
}

/// Inflates every compressed cluster of the qcow2 files with a window of 4 KiB, by steps of 100 bytes, so that zlib finds no match in its
/// earlier output. Prints the number of inflated clusters.
const WINDOW: &str = r#"
import struct, sys, zlib
def stream(packed, bits):
    state, size = zlib.decompressobj(-bits), 0
    while not state.eof:
        size += len(state.decompress(packed, 100))
        packed = state.unconsumed_tail
    return size
wide = zlib.compressobj(6, zlib.DEFLATED, -15)
try:
    noise = open(sys.argv[1], "rb").read(8000)
    stream(wide.compress(noise + noise) + wide.flush(), 12)
    sys.exit("the judge takes a larger window")
except zlib.error:
    pass
for name in sys.argv[2:]:
    file, count = open(name, "rb").read(), 0
    l1_size, l1 = struct.unpack(">IQ", file[36:48])
    for table in struct.unpack(">%dQ" % l1_size, file[l1:l1 + 8 * l1_size]):
        table &= (1 << 56) - 512
        for entry in struct.unpack(">8192Q", file[table:table + 65536]) if table else []:
            if entry >> 62 & 1:
                offset = entry & (1 << 54) - 1
                assert stream(file[offset:(offset & ~511) + ((entry >> 54 & 255) + 1) * 512], 12) == 65536
                count += 1
    print(count)
"#;

#[test]
fn clusters_are_inflated_with_a_window_of_4_kib() {
    let place = Place::new();
    fs::write(place.at("noise"), noise(8000)).unwrap();
    let cluster = |distance: u64| noise(distance).into_iter().cycle().take(64 * KIB as usize).collect::<Vec<u8>>();
    let near: Vec<_> = [1, 100, 3000, 3700, 3800, 3834].iter().zip(0..).map(|(distance, at)| (at * 64 * KIB, cluster(*distance))).collect();
    let far =
        [4000, 4096, 4097, 8000, 20_000].map(|distance| text(300).into_iter().chain(cluster(distance)).take(64 * KIB as usize).collect());
    let far: Vec<_> = far.into_iter().zip(0..).map(|(bytes, at)| (at * 64 * KIB + MIB, bytes)).collect();
    place.disk("disk", 12 * MIB, &[near, far, vec![(2 * MIB, text(10 * MIB))]].concat());
    place.shows("goldsmith image export disk to.qcow2");
    fs::write(place.at("window.py"), WINDOW).unwrap();
    let count: u64 = place.shows("python3 -B window.py noise to.qcow2").trim().parse().unwrap();
    assert!(count >= 6 + 160, "{count}");
}

#[test]
fn qcow2_has_nothing_but_data() {
    let place = Place::new();
    let length = |name: &str| fs::metadata(place.at(name)).unwrap().len();
    place.disk("zeros", 100 * MIB, &[(0, vec![0; 100 * MIB as usize])]);
    place.shows("goldsmith image export zeros zeros.qcow2");
    // Header, L1 table, refcount block and table.
    assert_eq!(length("zeros.qcow2"), 4 * 64 * KIB);
    place.disk("noise", MIB, &[(0, noise(MIB))]);
    place.shows("goldsmith image export noise noise.qcow2");
    assert_eq!(length("noise.qcow2"), MIB + 5 * 64 * KIB);
    place.disk("text", 8 * MIB, &[(0, text(8 * MIB))]);
    place.shows("goldsmith image export text text.qcow2");
    place.shows("qemu-img convert -O qcow2 -c text theirs.qcow2");
    let (ours, theirs) = (length("text.qcow2"), length("theirs.qcow2"));
    assert!(ours < theirs + theirs / 25, "{ours} {theirs}");
}

#[test]
fn raw_is_the_disk_with_holes() {
    let place = Place::new();
    for (name, size, parts) in disks() {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.img");
        place.shows("qemu-img compare -f raw -F raw disk to.img");
        let metadata = fs::metadata(place.at("to.img")).unwrap();
        // The file has exactly the length of the disk, and on the host it takes no more space than the data that is not zeros.
        assert_eq!(metadata.len(), size, "{name}");
        assert!(metadata.blocks() * 512 <= stored(&parts), "{name}");
        fs::remove_file(place.at("to.img")).unwrap();
    }
}

#[test]
fn raw_zst_is_unpacked_by_zstd_and_has_a_table_of_its_frames() {
    let place = Place::new();
    // Disks with terabytes of zeros are left out, because unpacking them would take too long.
    for (name, size, parts) in disks().into_iter().filter(|(_, size, _)| *size < TIB) {
        place.disk("disk", size, &parts);
        place.shows("goldsmith image export disk to.raw.zst");
        place.shows("zstd -q -d --sparse to.raw.zst -o back");
        assert_eq!(fs::metadata(place.at("back")).unwrap().len(), size, "{name}");
        place.shows("cmp disk back");

        let file = fs::read(place.at("to.raw.zst")).unwrap();
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        let end = file.len();
        assert_eq!((number(end - 4), file[end - 5]), (0x8f92_eab1, 0), "{name}");
        let frames = number(end - 9);
        let table = end - 9 - 8 * frames;
        assert_eq!((number(table - 8), number(table - 4)), (0x184d_2a5e, 8 * frames + 9), "{name}");
        // Each frame is unpacked separately, using only the table.
        let (mut packed, mut unpacked) = (0, 0);
        let disk = File::open(place.at("disk")).unwrap();
        for frame in 0..frames {
            let (from, to) = (number(table + 8 * frame), number(table + 8 * frame + 4));
            let bytes = zstd::bulk::decompress(&file[packed..packed + from], to).unwrap();
            let mut expected = vec![0; to];
            disk.read_exact_at(&mut expected, unpacked).unwrap();
            assert!(bytes == expected, "{name} {frame}");
            packed += from;
            unpacked += to as u64;
        }
        assert_eq!((packed, unpacked), (table - 8, size), "{name}");
        fs::remove_file(place.at("to.raw.zst")).unwrap();
        fs::remove_file(place.at("back")).unwrap();
    }
}

#[test]
fn the_same_disk_gives_the_same_bytes_on_any_number_of_processors() {
    let place = Place::new();
    let parts = (0..40).map(|part| (part * 700 * KIB, if part % 3 == 0 { noise(300 * KIB) } else { text(600 * KIB) })).collect::<Vec<_>>();
    place.disk("disk", 40 * MIB, &parts);
    // Another form of the same disk.
    place.shows("qemu-img convert -f raw -O qcow2 -c disk form.qcow2");
    for format in ["qcow2 --compression zlib", "qcow2 --compression zstd", "raw", "raw.zst", "vmdk", "vhd", "vhdx", "ova"] {
        place.gives_the_same("form.qcow2", format);
    }
}

#[test]
fn what_was_deleted_is_not_exported() {
    let place = Place::new();
    let marker = b"a secret of the build machine 64";
    fs::create_dir(place.at("tree")).unwrap();
    fs::write(place.at("tree/stays"), text(300 * KIB)).unwrap();
    for name in ["small", "large"] {
        let length = if name == "small" { 4096 } else { MIB as usize };
        fs::write(place.at("tree").join(name), marker.repeat(length / marker.len())).unwrap();
    }
    place.shows("mke2fs -q -F -t ext4 -d tree disk 64M");
    for name in ["small", "large"] {
        fs::write(place.at("command"), format!("rm /{name}\n")).unwrap();
        place.shows("debugfs -w -f command disk");
    }
    let count = |name: &str| fs::read(place.at(name)).unwrap().windows(marker.len()).filter(|window| *window == marker).count();
    assert_eq!(count("disk"), (4096 + MIB as usize) / marker.len());
    for (target, compression) in [("plain.qcow2", " --compression none"), ("to.qcow2", ""), ("to.raw", ""), ("to.raw.zst", "")] {
        place.shows(&format!("goldsmith image export disk {target}{compression}"));
    }
    place.shows("qemu-img convert -O raw to.qcow2 shown.raw");
    place.shows("zstd -q -d to.raw.zst -o unpacked.raw");
    for (format, target) in [("vmdk", "to.vmdk"), ("vpc", "to.vhd"), ("vhdx", "to.vhdx")] {
        place.shows(&format!("goldsmith image export disk {target}"));
        place.shows(&format!("qemu-img convert -f {format} -O raw {target} {format}.raw"));
        place.shows(&format!("cmp to.raw {format}.raw"));
    }
    for name in ["plain.qcow2", "shown.raw", "to.raw", "unpacked.raw", "to.vhd", "to.vhdx"] {
        assert_eq!(count(name), 0, "{name}");
    }
    place.shows("cmp to.raw shown.raw");
    place.shows("cmp to.raw unpacked.raw");
    place.shows("e2fsck -fn to.raw");
    fs::write(place.at("command"), "dump /stays out\n").unwrap();
    place.shows("debugfs -f command to.raw");
    place.shows("cmp out tree/stays");
}

#[test]
fn what_cannot_be_exported_is_told_and_nothing_is_left() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, text(1000))]);
    // ext4 has no file of that size; its header says what a qcow2 shows.
    place.shows("qemu-img create -q -f qcow2 large 65T");
    place.disk("there.raw", 5, &[(0, b"mine\n".to_vec())]);
    fs::write(place.at("damaged.qcow2"), b"QFI\xfb\0\0\0\x07").unwrap();
    std::os::unix::fs::symlink("nowhere", place.at("link.raw")).unwrap();
    let before = place.names();
    for (words, status, said) in [
        (
            "disk to.vdi",
            2,
            "error: the format of to.vdi is not known: its name ends with none of .oci.tar, .tar.gz, .box, .raw.zst, .img.zst, .qcow2, .vmdk, .vhd, .vhdx, .ova, .raw, .img\n  help: choose one with --format: qcow2, raw, raw.zst, vmdk, vhd, vhdx, ova, gce, vagrant or containerdisk\n",
        ),
        (
            "disk to.raw --compression zstd",
            2,
            "error: --compression is for qcow2, and to.raw is raw\n  help: leave it out, or write qcow2 with --format qcow2\n",
        ),
        (
            "disk to.vhdx --compression none",
            2,
            "error: --compression is for qcow2, and to.vhdx is vhdx\n  help: leave it out, or write qcow2 with --format qcow2\n",
        ),
        (
            "large to.vhd",
            2,
            "large is a disk of 65.0 TiB, and vhd holds at most 1.99 TiB\n  help: choose another format: raw and qcow2 hold any disk, vhdx holds 64 TiB\n",
        ),
        ("large to.vmdk", 2, "large is a disk of 65.0 TiB, and vmdk holds at most 2.00 TiB\n"),
        ("large to.ova", 2, "large is a disk of 65.0 TiB, and ova holds at most 2.00 TiB\n"),
        ("large to.vhdx", 2, "large is a disk of 65.0 TiB, and vhdx holds at most 64.0 TiB\n"),
        ("disk there.raw", 7, "error: there.raw is there already\n  help: give another name, or remove it first\n"),
        ("disk link.raw", 7, "error: link.raw is there already\n  help: give another name, or remove it first\n"),
        ("disk no/to.raw", 3, "error: cannot read no: No such file or directory (os error 2)\n  help: check the path no\n"),
        ("damaged.qcow2 to.raw", 3, "cannot read "),
        ("none to.raw", 3, "error: cannot read none: No such file or directory (os error 2)\n  help: check the path none\n"),
    ] {
        let output = place.run(&format!("goldsmith image export {words}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(status), true), "{words}: {stderr}");
        assert!(stderr.contains(said), "{words}: {stderr}");
        assert_eq!(place.names(), before, "{words}");
    }
    assert_eq!(fs::read(place.at("there.raw")).unwrap(), b"mine\n");
}

#[test]
fn a_disk_that_is_too_large_for_the_host_is_refused_before_anything_is_written() {
    let place = Place::new();
    // A filesystem of 8 MiB. The disk is not on it.
    fs::create_dir(place.at("small")).unwrap();
    place.disk("disk", 64 * MIB, &[(0, noise(20 * MIB))]);
    let script = format!("mount -t tmpfs -o size=8m none small && {GOLDSMITH} image export disk small/to.raw; echo $?; ls -A small");
    let output = Command::new("unshare").args(["-rm", "sh", "-c", &script]).current_dir(&place.0).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "7\n", "{stderr}");
    assert!(stderr.contains("error: small has 8.00 MiB free, 21.0 MiB needed\n"), "{stderr}");
}

#[test]
fn what_is_exported_is_told_to_machines_and_may_be_read_by_all() {
    let place = Place::new();
    place.disk("disk", MIB, &[(0, noise(64 * KIB))]);
    let lines = place.shows("goldsmith image export disk to.raw --json");
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["file"]), (&"export".into(), &"to.raw".into()));
    assert_eq!((&last["virtual_size"], &last["file_size"], &last["allocated_size"]), (&MIB.into(), &MIB.into(), &(64 * KIB).into()));
    assert_eq!(fs::metadata(place.at("to.raw")).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(place.shows("goldsmith image export disk to.img"), "to.img: 64.0 KiB for a disk of 1.00 MiB\n");
}

#[test]
fn a_signal_ends_an_export_and_leaves_nothing() {
    let (reads, writes) = std::io::pipe().unwrap();
    let run = goldsmith(["image", "export", "disk", "to.qcow2", "--json"]).stdout_to(writes);
    let file = File::create(run.dir().join("disk")).unwrap();
    let part = noise(8 * MIB);
    for number in 0..64 {
        file.write_all_at(&part, number * 8 * MIB).unwrap();
    }
    let started = run.start();
    let mut records = BufReader::new(reads).lines().map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    assert!(records.any(|record| record["step"] == "write the image" && record["done"].as_u64() > Some(0)));
    started.signal(Signal::INT);
    let ended = started.end();
    let end = records.find(|record| record["event"] == "end").expect("the end was forced");
    assert_eq!((&end["title"], &end["outcome"]), (&"export".into(), &"interrupted".into()));
    assert_eq!((ended.status, ended.stderr.contains("error: interrupted\n")), (130, true), "{}", ended.stderr);
    let names: Vec<_> = fs::read_dir(ended.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["disk"]);
}
