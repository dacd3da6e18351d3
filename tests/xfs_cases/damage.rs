//! XFS that was not unmounted, or is damaged: this is reported, and the filesystem is never read as if it were intact.

use std::os::unix::fs::FileExt;

use super::*;

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0u32, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 }))
}

/// Correct the checksum of the `size` bytes at byte `place`. It is at byte `at` of them.
fn mend(disk: &Path, place: u64, size: usize, at: usize) {
    let file = File::options().read(true).write(true).open(disk).unwrap();
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, place).unwrap();
    bytes[at..at + 4].fill(0);
    file.write_all_at(&crc32c(&bytes).to_le_bytes(), place + at as u64).unwrap();
}

pub fn mend_superblock(disk: &Path) {
    mend(disk, 0, 512, 224);
}

#[test]
fn a_log_that_holds_changes_is_refused_and_every_other_is_not() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    for options in ["-l size=8m", "-l size=8m,su=32k", "-l size=20m,su=256k", "-s size=4096 -l size=8m"] {
        run(&dir, &format!("rm -f @/disk; truncate -s 128M @/disk; mkfs.xfs -q {options} @/disk"));
        let (mut clean, mut dirty) = (0, 0);
        // The log is a ring buffer, and this writes around it several times.
        for round in 0..6 {
            for step in 0..2 {
                {
                    let mount = Mount::new(&dir, "");
                    fs::create_dir_all(mount.path().join("etc")).unwrap();
                    fs::write(mount.path().join("etc/fstab"), "\n").unwrap();
                    for number in 0..300 {
                        let file = File::create(mount.path().join(format!("{round}-{step}-{number}"))).unwrap();
                        if number % 4 == 0 {
                            file.sync_all().unwrap();
                        }
                        if number == 250 {
                            run(&dir, "cp --sparse=always @/disk @/copy");
                            let verdict = assert_judged_alike(&dir, "copy", options);
                            *(if verdict { &mut clean } else { &mut dirty }) += 1;
                        }
                    }
                    if step == 1 {
                        run(&dir, "xfs_io -x -c 'shutdown -f' @/m");
                    }
                }
                let verdict = assert_judged_alike(&dir, "disk", options);
                assert_eq!(verdict, step == 0, "{options}: round {round}");
                *(if verdict { &mut clean } else { &mut dirty }) += 1;
            }
        }
        assert!(clean >= 6 && dirty >= 6, "{options}: {clean} clean, {dirty} not");
        // After the kernel has recovered it, it can be read.
        drop(Mount::new(&dir, ""));
        assert_eq!(open(&dir).read("/etc/fstab", 10).unwrap(), b"\n");
        run(&dir, "xfs_repair -L @/disk");
        assert!(assert_judged_alike(&dir, "disk", "emptied"));
    }
}

/// Whether the log of `name` is clean. goldsmith must agree with xfs_logprint.
#[track_caller]
fn assert_judged_alike(dir: &TempDir, name: &str, what: &str) -> bool {
    let printed = tried(dir, &format!("xfs_logprint -t @/{name}")).1;
    let theirs = printed.contains("state: <CLEAN>");
    assert!(theirs || printed.contains("state: <DIRTY>"), "{what}: {printed}");
    let disk = Disk::open(&dir.path().join(name)).unwrap();
    let refused = "it was not unmounted cleanly, and its log cannot be replayed here";
    let ours = match Root::open(&disk) {
        Ok(_) => true,
        Err(error) if error.to_string().contains(refused) => false,
        // A new directory may be missing or only partly on the disk while the log has it.
        Err(error) => panic!("{what}: {error}"),
    };
    assert_eq!(ours, theirs, "{what}: {printed}");
    let unread = FreeSpace::of(&disk).unwrap().unread;
    let expected = ["partition 0 (xfs: it was not unmounted cleanly, so its record of free blocks may be wrong)"];
    assert_eq!(unread, if ours { &[][..] } else { &expected }, "{what}");
    ours
}

#[test]
fn every_structure_of_version_5_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    run(&dir, "truncate -s 64M @/disk; mkfs.xfs -q -b size=1k @/disk");
    {
        let mount = Mount::new(&dir, "");
        run(&dir, "mkdir @/m/etc @/m/names; echo > @/m/etc/fstab; cd @/m/names; touch $(seq 1000 1399)");
        std::os::unix::fs::symlink("l".repeat(900), mount.path().join("link")).unwrap();
        let fragments = File::create(mount.path().join("fragments")).unwrap();
        (0..200).for_each(|piece| fragments.write_all_at(&[1; 1024], piece * 2048).unwrap());
        for (name, len) in [("user.leaf", 300), ("user.long", 5000)] {
            rustix::fs::lsetxattr(mount.path().join("etc/fstab"), name, &vec![b'v'; len], rustix::fs::XattrFlags::empty()).unwrap();
        }
    }
    let disk = dir.path().join("disk");
    let whole = fs::read(&disk).unwrap();
    let find = |magic: &[u8], from: usize| {
        whole[from..].chunks(512).position(|chunk| chunk.starts_with(magic)).map(|at| from as u64 + at as u64 * 512)
    };
    // The content of each may be in the log as well, but blocks of the log do not begin with one of these magics.
    let inode = |path: &str| {
        let number = run(&dir, &format!("xfs_db -r -c 'path {path}' -c addr @/disk"));
        number.lines().find_map(|line| line.trim().strip_prefix("byte offset ")?.split(',').next()?.parse::<u64>().ok()).unwrap()
    };
    let reads: [fn(&Root) -> Option<String>; 6] = [
        |root| root.read_dir("/names").err().map(|error| error.to_string()),
        |root| root.read("/fragments", 1 << 20).err().map(|error| error.to_string()),
        |root| root.read_link("/link").err().map(|error| error.to_string()),
        |root| root.xattrs("/etc/fstab").err().map(|error| error.to_string()),
        |root| root.metadata("/names").err().map(|error| error.to_string()),
        |_| None,
    ];
    for (what, place, read) in [
        ("directory", find(b"XDD3", 0).unwrap(), 0),
        ("extent tree", find(b"BMA3", 0).unwrap(), 1),
        ("link", find(b"XSLM", 0).unwrap(), 2),
        ("attributes", find(b"\0\0\0\0\0\0\0\0\x3b\xee", 0).unwrap(), 3),
        ("attribute's value", find(b"XARM", 0).unwrap(), 3),
        ("inode", inode("/names"), 4),
        ("superblock", 0, 5),
    ] {
        for byte in [20, 30, 45, 60, 100, 150, 400] {
            let file = File::options().write(true).open(&disk).unwrap();
            let changed = whole[place as usize + byte] ^ 0x10;
            file.write_all_at(&[changed], place + byte as u64).unwrap();
            let error = match Root::open(&Disk::open(&disk).unwrap()) {
                Ok(root) => reads[read](&root),
                Err(error) => Some(error.to_string()),
            };
            let error = error.unwrap_or_else(|| panic!("{what}: byte {byte} was changed, and nobody minded"));
            assert!(error.contains(what), "{what}, byte {byte}: {error}");
            file.write_all_at(&whole[place as usize + byte..][..1], place + byte as u64).unwrap();
        }
    }
    assert!(reads.iter().all(|read| read(&open(&dir)).is_none()));
    // The free space has separate structures.
    for (what, place) in
        [("header of a group's free space", 512), ("tree of free blocks", find(b"AB3B", 0).unwrap()), ("reserve of a group", 3 * 512)]
    {
        let file = File::options().write(true).open(&disk).unwrap();
        file.write_all_at(&[whole[place as usize + 70] ^ 1], place + 70).unwrap();
        let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("its checksum is wrong"), "{error}");
        file.write_all_at(&whole[place as usize + 70..][..1], place + 70).unwrap();
    }
    // A wrong counter, with a correct checksum.
    File::options().write(true).open(&disk).unwrap().write_all_at(&[0, 0, 0, 9], 512 + 52).unwrap();
    mend(&disk, 512, 512, 216);
    let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
    assert!(error.contains("group 0 says that 9 blocks are free, and its tree says "), "{error}");
}

#[test]
fn a_directory_is_in_its_parent_only() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let (root, etc) = ("/dev/null\n0 0\nd--755 0 0\n", format!("etc d--755 0 0\nfstab ---644 0 0 {}\n$\n", empty.display()));
    let nested = "a d--755 0 0\nb d--755 0 0\nc d--755 0 0\n$\n$\n$\n";
    fs::write(dir.path().join("proto"), format!("{root}{nested}{etc}$\n")).unwrap();
    let number = |path: &str| {
        let text = run(&dir, &format!("xfs_db -r -c 'path {path}' -c inode @/disk"));
        text.trim().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    for (from, to) in [("/a/b", "/a"), ("/a/b", "/a/b"), ("/a", "/"), ("/a/b", "/etc"), ("/", "/")] {
        run(&dir, "rm -f @/disk; truncate -s 64M @/disk; mkfs.xfs -q -m crc=0 -n ftype=0 -p @/proto @/disk");
        let target = number(to);
        let before = shown_by_us(&open(&dir)).len();
        run(&dir, &format!("xfs_db -x -c 'path {from}' -c 'write -d u.sfdir2.list[0].inumber.i4 {target}' @/disk"));
        let error = open(&dir).walk("/").unwrap().take(10 * before).find_map(Result::err).expect("an endless directory").to_string();
        assert!(error.contains("and says that its parent is"), "{from} to {to}: {error}");
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    for (at, bytes, expected) in [
        (120, vec![20], "a block of 4096 bytes is not possible, or is not 2^20"),
        (120, vec![200], "is not possible"),
        (4, vec![0; 4], "a block of 0 bytes"),
        (122, vec![15], "an inode"),
        (123, vec![9], "its sizes do not fit together"),
        (192, vec![8], "a directory's block has more than 64 KiB"),
        (192, vec![255], "a directory's block has more than 64 KiB"),
        (84, vec![0; 4], "its groups have 0 blocks"),
        (124, vec![63], "which 63 bits cannot count"),
        (88, vec![0xff; 4], "are not"),
        (8, vec![0xff; 8], "are not"),
        (8, vec![0; 8], "are not 0 blocks"),
        (48, vec![0xff; 8], "its log lies outside the filesystem"),
        (96, vec![0; 4], "its log lies outside the filesystem"),
        (144, vec![0x7f; 8], "more blocks are free than there are"),
        (56, vec![0xff; 8], "lies outside the filesystem"),
    ] {
        run(&dir, "rm -f @/disk; truncate -s 64M @/disk; mkfs.xfs -q -m crc=0 @/disk");
        File::options().write(true).open(&disk).unwrap().write_all_at(&bytes, at).unwrap();
        let error = match Root::open(&Disk::open(&disk).unwrap()) {
            Ok(_) => panic!("{at}: it opened"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(expected) || expected == "an inode" && error.contains("a inode"), "{at}: {error}");
    }
    run(&dir, "rm -f @/disk; truncate -s 64M @/disk; mkfs.xfs -q @/disk; truncate -s 63M @/disk");
    let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
    assert!(error.contains("it has 16384 blocks of 4096 bytes, its partition only 66060288 bytes"), "{error}");
}
