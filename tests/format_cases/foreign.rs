//! VMDK, VHDX and VHD: the files that QEMU and goldsmith write show the disk, and a file that needs other files is never passed to QEMU.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use goldsmith::image::Disk;
use rustix::process::Signal;

use super::shows;
use crate::export_cases::{KIB, MIB, Place, noise, text};
use crate::support::{GOLDSMITH, goldsmith};

/// A disk with a partition table and an ext4 with files, `disk`.
fn place() -> Place {
    let place = Place::new();
    fs::create_dir_all(place.at("tree/etc")).unwrap();
    fs::write(place.at("tree/etc/os-release"), "ID=debian\nPRETTY_NAME=\"Debian of a test\"\n").unwrap();
    fs::write(place.at("tree/noise"), noise(3 * MIB)).unwrap();
    for number in 0..50 {
        fs::write(place.at(format!("tree/file{number}")), text(1000 + number * 700)).unwrap();
    }
    place.shows("mke2fs -q -t ext4 -d tree root 32M");
    place.disk("disk", 40 * MIB, &[(MIB, fs::read(place.at("root")).unwrap())]);
    let mut table = Command::new("/usr/sbin/sfdisk");
    table.args(["-q", "--no-reread", "--wipe", "never", "--wipe-partitions", "never"]).arg(place.at("disk"));
    let mut table = table.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut table.stdin.take().unwrap(), b"2048,65536,83\n").unwrap();
    assert!(table.wait().unwrap().success());
    place
}

/// The output of `inspect` for the image, without the part about the file itself.
fn inspected(place: &Place, name: &str) -> (serde_json::Value, String) {
    let text = place.shows(&format!("goldsmith image inspect {name} --json")).replace(&format!("/{name} has"), "/IMAGE has");
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    let format = document["disk"]["format"].as_str().unwrap().to_owned();
    for key in ["path", "disk"] {
        document.as_object_mut().unwrap().remove(key).unwrap();
    }
    (document, format)
}

#[test]
fn what_qemu_writes_shows_the_disk() {
    let place = place();
    let raw = inspected(&place, "disk").0;
    let found = place.shows("goldsmith image find disk");
    assert!(found.contains("/file49\n") && raw["system"]["os_release"]["pretty_name"] == "Debian of a test", "{raw}");
    for (driver, options, format) in [
        ("vmdk", "subformat=monolithicSparse", "vmdk"),
        ("vmdk", "subformat=streamOptimized", "vmdk"),
        ("vhdx", "subformat=dynamic", "vhdx"),
        ("vhdx", "subformat=fixed", "vhdx"),
        ("vpc", "subformat=dynamic,force_size=on", "vhd"),
        ("vpc", "subformat=fixed,force_size=on", "vhd"),
    ] {
        place.shows(&format!("qemu-img convert -f raw -O {driver} -o {options} disk image"));
        let holes = shows(&Disk::open(&place.at("image")).unwrap(), &place.at("disk"));
        // QEMU's driver for VHDX does not report holes.
        assert!(holes > 1000 || options.contains("fixed") || format == "vhdx", "{options}: {holes}");
        assert_eq!(inspected(&place, "image"), (raw.clone(), format.to_owned()), "{options}");
        assert_eq!(place.shows("goldsmith image find image"), found, "{options}");
        assert_eq!(place.shows("goldsmith image cat image /file7").as_bytes(), text(1000 + 7 * 700), "{options}");
        place.shows("goldsmith image export image back.raw");
        // mke2fs left no data in the free space.
        place.shows("cmp disk back.raw");
        fs::remove_file(place.at("back.raw")).unwrap();
    }
}

#[test]
fn what_goldsmith_writes_is_read_again() {
    let place = Place::new();
    place.disk("disk", 9 * MIB, &[(0, text(70 * KIB)), (3 * MIB + 5, noise(2 * MIB)), (9 * MIB - 3, b"end".to_vec())]);
    for name in ["to.vmdk", "to.vhdx", "to.vhd"] {
        place.shows(&format!("goldsmith image export disk {name}"));
        place.shows(&format!("goldsmith image export {name} {name}.raw"));
        // A VHD has whole cylinders.
        place.shows(&format!("qemu-img compare -f raw -F raw disk {name}.raw"));
        // An image of one of these formats can be exported like any other.
        place.shows(&format!("goldsmith image export {name} {name}.qcow2 --format qcow2"));
        place.shows(&format!("qemu-img compare -f raw -F qcow2 disk {name}.qcow2"));
    }
}

/// A `qemu-nbd` that must not be started: it leaves a file.
const UNWANTED: &str = "touch started; exit 1";

#[test]
fn what_needs_another_file_is_given_to_nobody() {
    let place = place();
    let from = |line: &str| place.shows(line);
    from("qemu-img convert -f raw -O vmdk disk plain.vmdk");
    from("qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat disk flat.vmdk");
    from("qemu-img convert -f raw -O vmdk -o subformat=twoGbMaxExtentSparse disk split.vmdk");
    from("qemu-img create -q -f vmdk -F vmdk -b plain.vmdk over.vmdk");
    from("qemu-img convert -f raw -O vhdx disk plain.vhdx");
    from("qemu-img convert -f raw -O vpc disk plain.vhd");
    let changed = |from: &str, to: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(place.at(from)).unwrap();
        change(&mut bytes);
        fs::write(place.at(to), bytes).unwrap();
    };
    let replaced = |bytes: &mut Vec<u8>, from: &str, to: &str| {
        let descriptor = String::from_utf8_lossy(&bytes[512..1024]).trim_end_matches('\0').replace(from, to);
        bytes[512..2048].fill(0);
        bytes[512..512 + descriptor.len()].copy_from_slice(descriptor.as_bytes());
    };
    changed("plain.vmdk", "shadow.vmdk", &|bytes| replaced(bytes, "plain.vmdk", "/etc/shadow"));
    changed("plain.vmdk", "up.vmdk", &|bytes| replaced(bytes, "plain.vmdk", "../x"));
    changed("plain.vmdk", "two.vmdk", &|bytes| replaced(bytes, "\n# The Disk", "RW 1 FLAT \"disk\" 0\n# The Disk"));
    // A capacity of 0 makes QEMU take the descriptor as a list of files.
    changed("plain.vmdk", "list.vmdk", &|bytes| bytes[12..20].fill(0));
    changed("plain.vmdk", "cut.vmdk", &|bytes| bytes.truncate(700));
    changed("plain.vmdk", "huge.vmdk", &|bytes| bytes[36..44].fill(0x7f));
    // HasParent, in the file parameters, which QEMU puts at the beginning of the items (3 MiB + 64 KiB).
    changed("plain.vhdx", "over.vhdx", &|bytes| {
        let at = (3 << 20) + (64 << 10) + 4;
        assert!([0, 1].contains(&bytes[at]));
        bytes[at] |= 2;
    });
    changed("plain.vhdx", "cut.vhdx", &|bytes| bytes.truncate(1 << 20));
    changed("plain.vhd", "over.vhd", &|bytes| {
        // Differencing, and the sum is larger by one.
        bytes[63] = 4;
        bytes[67] -= 1;
    });
    let before = place.names();
    for (name, status, said) in [
        ("flat.vmdk", 3, "cannot read [DIR]/flat.vmdk at byte 0: it is the descriptor of a VMDK, whose disk is in other files"),
        ("split.vmdk", 3, "cannot read [DIR]/split.vmdk at byte 0: it is the descriptor of a VMDK, whose disk is in other files"),
        ("over.vmdk", 3, "[DIR]/over.vmdk is not read: its parent `plain.vmdk` has the rest of its disk"),
        ("shadow.vmdk", 3, "[DIR]/shadow.vmdk is not read: its extent `/etc/shadow` is another file"),
        ("up.vmdk", 3, "[DIR]/up.vmdk is not read: its extent `../x` is another file"),
        ("two.vmdk", 3, "[DIR]/two.vmdk is not read: its extent `disk` is another file"),
        ("list.vmdk", 3, "[DIR]/list.vmdk is damaged at byte 12: its VMDK header says that the disk has no bytes"),
        ("cut.vmdk", 3, "[DIR]/cut.vmdk is damaged at byte 512: its VMDK descriptor is cut short"),
        ("huge.vmdk", 3, "[DIR]/huge.vmdk is damaged at byte 36: a descriptor of 9187201950435737471 sectors is too long"),
        ("over.vhdx", 3, "cannot read [DIR]/over.vhdx at byte 3145728: it is over a parent disk (its file parameters say so)"),
        ("cut.vhdx", 3, "its VHDX metadata lies outside the file; it may have been cut short"),
        ("over.vhd", 3, "[DIR]/over.vhd is not read: its parent `` has the rest of its disk"),
    ] {
        let path = place.at(name);
        let ended = goldsmith(["image", "ls", path.to_str().unwrap()]).stub("qemu-nbd", UNWANTED).end();
        let stderr = ended.stderr.replace(place.at("").to_str().unwrap().trim_end_matches('/'), "[DIR]");
        assert!(ended.status == status && stderr.contains(said) && stderr.contains("\n  help: "), "{name}: {stderr}");
        assert!(!ended.dir().join("started").exists(), "{name}");
    }
    assert_eq!(place.names(), before);
    // The stub would be started in place of qemu-nbd.
    let ended = goldsmith(["image", "ls", place.at("plain.vmdk").to_str().unwrap()]).stub("qemu-nbd", UNWANTED).end();
    assert!(ended.dir().join("started").exists(), "{}", ended.stderr);
}

#[test]
fn what_qemu_cannot_read_is_told_in_its_words() {
    let place = place();
    place.shows("qemu-img convert -f raw -O vmdk disk disk.vmdk");
    place.shows("qemu-img convert -f raw -O vhdx disk disk.vhdx");
    let change = |name: &str, at: u64, bytes: &[u8]| {
        File::options().write(true).open(place.at(name)).unwrap().write_all_at(bytes, at).unwrap();
    };
    // Grains of 2 GiB, and VHDX files with no sound header.
    change("disk.vmdk", 20, &(1_u64 << 22).to_le_bytes());
    change("disk.vhdx", 64 << 10, b"x");
    change("disk.vhdx", 128 << 10, b"x");
    for (name, said) in [("disk.vmdk", "Invalid granularity, image may be corrupt"), ("disk.vhdx", "No valid VHDX header found")] {
        let output = place.run(&format!("goldsmith image ls {name}"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let (begin, end) =
            (format!("error: cannot read {}/{name} with qemu-nbd: Failed to", real(&place)), format!("{said}\n  help: get "));
        assert!(output.status.code() == Some(3) && stderr.contains(&begin) && stderr.contains(&end), "{stderr}");
        assert!(!stderr.contains("json:"), "{stderr}");
    }
    // Data that was cut off must never be read as zeros. QEMU shows zeros there for a VMDK, so goldsmith looks for its grains itself.
    for (driver, name) in
        [("vmdk", "cut.vmdk"), ("vhdx", "cut.vhdx"), ("vpc", "cut.vhd"), ("vmdk -o subformat=streamOptimized", "stream.vmdk")]
    {
        place.shows(&format!("qemu-img convert -f raw -O {driver} disk {name}"));
        let file = File::options().write(true).open(place.at(name)).unwrap();
        file.set_len(file.metadata().unwrap().len() - 100 * KIB).unwrap();
        let output = place.run(&format!("goldsmith image export {name} to.raw"));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(3) && stderr.contains(&format!("{name} ")), "{name}: {stderr}");
        assert!(!place.names().contains(&"to.raw".to_owned()));
    }
}

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| bit(sum)))
}

#[test]
fn a_log_that_was_not_replayed_is_told_with_what_replays_it() {
    let place = place();
    place.shows("qemu-img convert -f raw -O vhdx disk disk.vhdx");
    let mut bytes = fs::read(place.at("disk.vhdx")).unwrap();
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    // The current header names a log ([MS-VHDX] 2.2.2), and that has an entry without descriptors (2.3.1.1).
    let header = [64 << 10, 128 << 10].into_iter().max_by_key(|at| number(&bytes, at + 8)).unwrap();
    let log = number(&bytes, header + 72) as usize;
    let length = bytes.len() as u64;
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(header + 48, &[7; 16]);
    put(log, &[0; 4096]);
    put(log, b"loge");
    put(log + 8, &4096_u32.to_le_bytes());
    put(log + 16, &1_u64.to_le_bytes());
    put(log + 32, &[7; 16]);
    put(log + 48, &[length.to_le_bytes(), length.to_le_bytes()].concat());
    for at in [header, log] {
        bytes[at + 4..at + 8].fill(0);
        let sum = crc32c(&bytes[at..at + 4096]);
        bytes[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
    }
    fs::write(place.at("disk.vhdx"), bytes).unwrap();
    let output = place.run("goldsmith image find disk.vhdx");
    let (stderr, path) = (String::from_utf8(output.stderr).unwrap(), format!("{}/disk.vhdx", real(&place)));
    let said = format!("VHDX image file {path} opened read-only, but contains a log that needs to be replayed\n");
    let help = format!("\n  help: have it replayed, which writes to the image: qemu-img check -r all {path}\n");
    assert!(output.status.code() == Some(3) && stderr.contains(&said) && stderr.ends_with(&help), "{stderr}");
    place.run(&format!("qemu-img check -r all {path}"));
    assert!(place.shows("goldsmith image find disk.vhdx").contains("/file49\n"));
}

fn real(place: &Place) -> String {
    fs::canonicalize(place.at("")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn machines_are_not_given_them_and_the_way_is_named() {
    let place = place();
    place.shows("qemu-img convert -f raw -O vmdk disk disk.vmdk");
    let image = format!("{}/disk.vmdk", real(&place));
    for words in [&["run", &image][..], &["verify", &image, "--recipe", "debian-12-docker"]] {
        let stderr = format!(
            "error: {image} is vmdk, and machines are given raw and qcow2 only\n  help: make a qcow2 of it, and take that: goldsmith image \
             export --format qcow2 {image} {}\n",
            image.replace(".vmdk", ".qcow2")
        );
        let ended = goldsmith(words.iter().copied()).end();
        assert!(ended.status == 2 && ended.stderr.contains(&stderr), "{words:?}: {}", ended.stderr);
    }
    place.shows("goldsmith image export --format qcow2 disk.vmdk disk.qcow2");
    place.shows("qemu-img compare -f raw -F qcow2 disk disk.qcow2");
}

/// A VMDK in a new place.
fn vmdk() -> (Place, PathBuf) {
    let place = Place::new();
    place.disk("disk", 4 * MIB, &[(0, text(MIB))]);
    place.shows("qemu-img convert -f raw -O vmdk disk disk.vmdk");
    let path = place.at("disk.vmdk");
    (place, path)
}

#[test]
fn without_qemu_nbd_its_package_is_named() {
    let (_place, image) = vmdk();
    let ended = goldsmith(["image", "inspect", image.to_str().unwrap()]).stub("other", "").path_only().end();
    ended.is(7, "", "error: qemu-nbd is not installed\n  help: install it: apt-get install qemu-utils\n");
}

/// Speaks NBD until the first request, then prints a message and dies.
const DIES: &str = r#"exec /usr/bin/python3 -c '
import socket, struct, sys
peer = socket.socket(fileno=3).accept()[0]
def reply(option, kind, data=b""):
    peer.sendall(struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data)) + data)
peer.sendall(b"NBDMAGICIHAVEOPT\0\3")
reply(8, 1)
reply(10, 4, b"\0\0\0\1base:allocation")
reply(10, 1)
reply(7, 3, struct.pack(">HQH", 0, 4 << 20, 0))
reply(7, 1)
seen = b""
while b"\x25\x60\x95\x13" not in seen:
    seen += peer.recv(4096)
sys.exit("qemu-nbd: something has happened")
'"#;

#[test]
fn a_server_that_dies_or_talks_nonsense_is_told() {
    let (_place, image) = vmdk();
    for (script, status, said) in [
        (DIES, 3, "with qemu-nbd: something has happened\n"),
        ("echo 'qemu-nbd: no memory' >&2; exit 1", 3, "with qemu-nbd: no memory\n"),
        ("kill -9 $$", 7, "with qemu-nbd: qemu-nbd was killed by signal 9\n"),
        (
            "exec /usr/bin/python3 -c 'import socket; socket.socket(fileno=3).accept()[0].sendall(b\"x\" * 100)'",
            7,
            "with qemu-nbd: it does not speak NBD: it does not greet\n",
        ),
    ] {
        let ended = goldsmith(["image", "ls", image.to_str().unwrap()]).stub("qemu-nbd", script).end();
        assert!(ended.status == status && ended.stderr.contains(said), "{script}: {} {}", ended.status, ended.stderr);
    }
}

#[test]
fn a_server_that_never_answers_dies_with_us_and_leaves_nothing() {
    let (_place, image) = vmdk();
    for (signal, status) in [(Signal::INT, 130), (Signal::KILL, -9)] {
        let run =
            goldsmith(["image", "ls", image.to_str().unwrap()]).stub("qemu-nbd", "echo $$ > pid.new; mv pid.new pid; exec sleep 7200");
        let temp = run.dir().join("temp");
        fs::create_dir(&temp).unwrap();
        let started = run.env("TMPDIR", &temp).start();
        let patience = Instant::now() + Duration::from_secs(60);
        let wait = |what: &str, is_so: &dyn Fn() -> bool| {
            while !is_so() {
                assert!(Instant::now() < patience, "{what}");
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let file = started.dir().join("pid");
        wait("it never started", &|| file.exists());
        let child = fs::read_to_string(&file).unwrap().trim().to_owned();
        assert!(lives(&child));
        // No file is left when the process is killed without time to clean up.
        assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
        started.signal(signal);
        let ended = started.end();
        assert_eq!(ended.status, status, "{}", ended.stderr);
        wait("the child outlived us", &|| !lives(&child));
        assert_eq!(fs::read_dir(ended.dir().join("temp")).unwrap().count(), 0);
    }
}

/// Whether the process runs: it exists, and it is not a zombie.
fn lives(pid: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(pid).join("status"));
    status.is_ok_and(|status| !status.contains("\nState:\tZ"))
}

#[test]
fn the_file_that_was_looked_at_is_the_one_that_is_read() {
    let (place, image) = vmdk();
    // Before QEMU opens the file, its name is changed to lead to a list of other files.
    let other = place.at("list.vmdk");
    let list = format!(
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicFlat\"\nRW 8 FLAT \"{}\" 0\n",
        GOLDSMITH
    );
    fs::write(&other, list).unwrap();
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v qemu-nbd"]).output().unwrap().stdout).unwrap();
    let script = format!("mv {} {}; exec {} \"$@\"", other.display(), image.display(), real.trim());
    let ended = goldsmith(["image", "export", image.to_str().unwrap(), "to.raw"]).stub("qemu-nbd", &script).end();
    assert_eq!((ended.status, other.exists()), (0, false), "{}", ended.stderr);
    assert!(fs::read(ended.dir().join("to.raw")).unwrap() == fs::read(place.at("disk")).unwrap());
}
