//! Fills a mounted filesystem with files of every form.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, SystemTime};

use goldsmith::base::digest::Sha256Digest;
use rustix::fs::{CWD, FallocateFlags, FileType, Mode, mknodat};

use super::name;

const KIB: u64 = 1 << 10;

/// Directories of every form: `many` names in one of them, and names of every kind.
pub fn fill_directories(top: &Path, many: usize) {
    // Names in the inode, in one block, in a leaf, and in a tree of leaves, with gaps of removed names.
    for (directory, count) in [("names-none", 0), ("names-few", 3), ("names-block", 40), ("names-leaf", 400), ("names-many", many)] {
        fs::create_dir(top.join(directory)).unwrap();
        for number in 0..count {
            fs::write(top.join(directory).join(format!("{number:0width$}", width = 1 + number % 97)), "").unwrap();
        }
    }
    for number in (0..many).step_by(3).chain(many / 4..many / 2) {
        let _ = fs::remove_file(top.join("names-many").join(format!("{number:0width$}", width = 1 + number % 97)));
    }
    fs::create_dir(top.join("names-odd")).unwrap();
    for odd in [&b"\xff\xfe\x80"[..], b"new\nline", b" ", b"...", b"\x01", &[b'n'; 255], &[0xc3; 254]] {
        fs::write(top.join("names-odd").join(name(odd)), odd).unwrap();
    }
    let mut deep = top.to_owned();
    for level in 0..40 {
        deep.push(format!("deep-{level}"));
        fs::create_dir(&deep).unwrap();
    }
    fs::write(deep.join("bottom"), "bottom").unwrap();
}

/// Files of every form: empty, with holes, in `pieces` extents, up to byte `end`, reserved and never written.
pub fn fill_files(top: &Path, pieces: u64, end: u64) {
    let noise: Vec<u8> = (0..40_000u32).flat_map(|number| *Sha256Digest::of(&number.to_le_bytes()).as_bytes()).collect();
    fs::write(top.join("file-empty"), "").unwrap();
    fs::write(top.join("file-small"), "x").unwrap();
    fs::write(top.join("file-large"), &noise).unwrap();
    let holes = File::create(top.join("file-holes")).unwrap();
    for (at, len) in [(0, 10), (100 * KIB + 7, 5000), (5 << 20, 1), (9 << 20, 70_000)] {
        holes.write_all_at(&noise[..len], at).unwrap();
    }
    holes.set_len(10 << 20).unwrap();
    File::create(top.join("file-hole")).unwrap().set_len(3 << 20).unwrap();
    let endless = File::create(top.join("file-endless")).unwrap();
    endless.write_all_at(b"begin", 0).unwrap();
    endless.write_all_at(b"far", end - 100_000).unwrap();
    endless.set_len(end).unwrap();
    // Every second block of 4 KiB is written, so that each is an extent.
    let fragments = File::create(top.join("file-fragments")).unwrap();
    for piece in 0..pieces {
        fragments.write_all_at(&noise[piece as usize * 16..][..4096], piece * 2 * 4 * KIB).unwrap();
    }
    // Space that is reserved and has old bytes, or was partly written.
    let reserved = File::create(top.join("file-reserved")).unwrap();
    reserve(&reserved, FallocateFlags::empty(), 8 << 20);
    reserved.write_all_at(&noise[..100_000], 3 << 20).unwrap();
    let behind = File::create(top.join("file-reserved-behind")).unwrap();
    behind.write_all_at(b"end", 0).unwrap();
    reserve(&behind, FallocateFlags::KEEP_SIZE, 4 << 20);
    fs::hard_link(top.join("file-large"), top.join("file-second-name")).unwrap();
    for (index, len) in [1usize, 59, 60, 300, 700, 1000, 1023].into_iter().enumerate() {
        symlink("l".repeat(len), top.join(format!("link-{index}"))).unwrap();
    }
    for (index, seconds) in [-2_000_000_000i64, -1, 0, 1_600_000_000, 2_147_483_647, 2_147_483_648, 10_000_000_000].into_iter().enumerate()
    {
        let path = top.join(format!("time-{index}"));
        fs::write(&path, "").unwrap();
        let duration = Duration::new(seconds.unsigned_abs(), 0);
        let time = if seconds < 0 { SystemTime::UNIX_EPOCH - duration } else { SystemTime::UNIX_EPOCH + duration };
        let nanoseconds = if index % 2 == 0 { Duration::from_nanos(999_999_999) } else { Duration::ZERO };
        File::options().write(true).open(&path).unwrap().set_times(FileTimes::new().set_modified(time + nanoseconds)).unwrap();
    }
}

/// Reserve `len` bytes for `file`, where the filesystem can: ext2 and ext3 cannot.
fn reserve(file: &File, flags: FallocateFlags, len: u64) {
    match rustix::fs::fallocate(file, flags, 0, len) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Special files, and files with different modes and owners.
pub fn fill_kinds(top: &Path) {
    let mode = |bits: u32| Mode::from_raw_mode(bits);
    let nodes = [
        ("kind-block", FileType::BlockDevice, 0x0801),
        ("kind-character", FileType::CharacterDevice, 0x0103),
        ("kind-pipe", FileType::Fifo, 0),
    ];
    for (name, kind, device) in nodes {
        mknodat(CWD, top.join(name), kind, mode(0o640), device).unwrap();
    }
    drop(UnixListener::bind(top.join("kind-socket")).unwrap());
    for (name, bits) in [("mode-setuid", 0o4755), ("mode-setgid", 0o2711), ("mode-none", 0o0), ("mode-all", 0o7777)] {
        fs::write(top.join(name), name).unwrap();
        lchown(top.join(name), Some(4_000_000_000), Some(123_456)).unwrap();
        fs::set_permissions(top.join(name), Permissions::from_mode(bits)).unwrap();
    }
    fs::create_dir(top.join("mode-sticky")).unwrap();
    fs::set_permissions(top.join("mode-sticky"), Permissions::from_mode(0o1777)).unwrap();
}
