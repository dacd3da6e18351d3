//! FAT, compared with mtools and mkfs.vfat: goldsmith reads the files that mcopy copies out, at the directory where the system mounts it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use goldsmith::image::{Disk, FileKind, FreeSpace, Root, replay};
use tempfile::TempDir;

use crate::mounted_tree::run;

/// The offsets on the disk of the FAT, and of the ext4 behind it.
const FAT_START: u64 = 1 << 20;
const ROOT_START: u64 = 101 << 20;

/// A disk whose root mounts a FAT of `megabytes` on `/boot/efi`, with the content of `tree`.
fn disk(dir: &TempDir, bits: u32, megabytes: u64, options: &str) -> PathBuf {
    run(dir, "rm -rf @/disk @/fat @/root; mkdir -p @/root/etc @/root/boot/efi; truncate -s 150M @/disk");
    run(dir, &format!("truncate -s {megabytes}M @/fat && mkfs.vfat -F {bits} -n GOLD -i 1234abcd {options} @/fat"));
    run(dir, "LC_ALL=C.UTF-8 mcopy -s -m -Q -i @/fat @/tree/* ::");
    fs::write(dir.path().join("root/etc/fstab"), "LABEL=r / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n").unwrap();
    run(dir, "sgdisk -n 1:1M:100M -n 2:101M:0 @/disk");
    run(dir, &format!("mke2fs -q -F -t ext4 -L r -d @/root -E offset={ROOT_START} @/disk 40M"));
    run(dir, "dd if=@/fat of=@/disk bs=1M seek=1 conv=notrunc status=none");
    dir.path().join("disk")
}

/// Files below `top`, by their paths, with their content; a directory has none.
fn on_host(top: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let (mut found, mut waiting) = (BTreeMap::new(), vec![top.to_owned()]);
    while let Some(path) = waiting.pop() {
        let is_directory = path.is_dir();
        if is_directory {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let content = (!is_directory).then(|| fs::read(&path).unwrap());
        found.insert(Path::new("/boot/efi").join(path.strip_prefix(top).unwrap()), content);
    }
    found.remove(Path::new("/boot/efi"));
    found
}

fn fill(dir: &TempDir) {
    let put = |path: &str, content: &[u8]| {
        let path = dir.path().join("tree").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("EFI/BOOT/BOOTX64.EFI", &[7; 70_000]);
    put("EFI/debian/grub.cfg", b"search.fs_uuid\n");
    put("EFI/a rather long name, with (signs) + more.txt", b"long");
    put("EFI/\u{e4}\u{f6}\u{fc} \u{20ac}", b"not ASCII");
    put("empty", b"");
    put("lower.txt", b"lower");
    put("UPPER.TXT", b"upper");
    for length in [1, 12, 13, 14, 26, 27, 200, 254, 255] {
        put(&format!("names/{}", "n".repeat(length)), length.to_string().as_bytes());
    }
    for number in 0..300usize {
        put(&format!("many/file number {number}"), &vec![number as u8; number * 3]);
    }
}

#[test]
fn what_mtools_wrote_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    for (bits, megabytes, options) in
        [(12, 3, ""), (12, 8, "-s 8"), (16, 32, ""), (16, 90, "-s 8 -r 1024"), (32, 90, "-s 2"), (32, 90, "-s 2 -f 1 -R 40")]
    {
        let what = format!("FAT{bits}, {megabytes} MiB, {options}");
        let disk = Disk::open(&disk(&dir, bits, megabytes, options)).unwrap();
        let root = Root::open(&disk).unwrap();
        assert_eq!(root.unmounted(), [""; 0], "{what}");
        let mut found = BTreeMap::new();
        for item in root.walk("/boot/efi").unwrap() {
            let (path, metadata) = item.unwrap();
            let content = (metadata.kind == FileKind::File).then(|| root.read(&path, 1 << 20).unwrap());
            let original = dir.path().join("tree").join(path.strip_prefix("/boot/efi").unwrap());
            let modified = fs::metadata(&original).unwrap_or_else(|_| panic!("{what}: {}", path.display())).modified().unwrap();
            let modified = modified.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
            // mtools writes times of files only, in local time, which is UTC here. A time has a resolution of two seconds.
            assert!(metadata.kind == FileKind::Directory || (modified - metadata.modified).abs() <= 2, "{what}: {}", path.display());
            assert_eq!((metadata.mode, metadata.uid, metadata.gid), (0o755, 0, 0), "{what}: {}", path.display());
            assert!(root.xattrs(&path).unwrap().is_empty());
            found.insert(path, content);
        }
        let expected = on_host(&dir.path().join("tree"));
        assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
        assert!(found == expected, "{what}");
        // Case does not matter, and the short name works too.
        for name in ["efi/boot/bootx64.efi", "EFI/Boot/BootX64.efi", "UPPER.txt", "LOWER.TXT", "many/FILENU~1", "names/N"] {
            assert!(root.exists(Path::new("/boot/efi").join(name)).unwrap(), "{what}: {name}");
        }
        assert!(!root.exists("/boot/efi/EFI/BOOT/BOOTX64").unwrap() && !root.exists("/boot/efi/empty/x").unwrap());
        assert!(root.is_clean());
        let free = FreeSpace::of(&disk).unwrap();
        assert!(free.runs.iter().any(|run| run.start >= FAT_START), "{what}");
    }
}

#[test]
fn chains_without_end_and_other_damage_are_said() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir);
    let path = disk(&dir, 16, 32, "-s 4");
    let bytes = fs::read(&path).unwrap();
    let u16_at = |at: usize| u16::from_le_bytes([bytes[FAT_START as usize + at], bytes[FAT_START as usize + at + 1]]);
    let table = u64::from(u16_at(14)) * 512;
    let first = |name: &str| -> u64 {
        let clusters = run(&dir, &format!("mshowfat -i @/fat ::{name}"));
        clusters.rsplit('<').next().unwrap().split(['-', '>']).next().unwrap().parse().unwrap()
    };
    let (directory, file) = (first("many"), first("EFI/BOOT/BOOTX64.EFI"));
    let entry = |cluster: u64| FAT_START + table + cluster * 2;
    for (at, value, reads, expected) in [
        // A directory and a file with a chain that leads back to its start, or out of the volume.
        (entry(directory), directory as u16, "/boot/efi/many/x", "begins a "),
        (entry(file), 0xfff0, "/boot/efi/EFI/BOOT/BOOTX64.EFI", "is no cluster of the volume"),
        (entry(file), 0, "/boot/efi/EFI/BOOT/BOOTX64.EFI", "is no cluster of the volume"),
        (entry(file), 0xffff, "/boot/efi/EFI/BOOT/BOOTX64.EFI", "BOOTX64.EFI has 70000 bytes, and its clusters 2048"),
    ] {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        file.write_all_at(&value.to_le_bytes(), at).unwrap();
        let error = Root::open(&Disk::open(&path).unwrap()).unwrap().read(reads, 1 << 20).unwrap_err().to_string();
        assert!(error.contains(expected), "{reads}: {error}");
    }
    // With an impossible boot sector, the rest of the disk is still readable.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    file.write_all_at(&[0], FAT_START + 13).unwrap();
    let root = Root::open(&Disk::open(&path).unwrap()).unwrap();
    assert!(root.exists("/etc/fstab").unwrap() && !root.exists("/boot/efi/EFI").unwrap());
    let [unmounted] = root.unmounted() else { panic!("{:?}", root.unmounted()) };
    assert!(unmounted.starts_with("/boot/efi (UUID=1234-ABCD): no readable filesystem of this disk has that name; "), "{unmounted}");
    assert!(unmounted.ends_with("its first sector holds values that cannot be"), "{unmounted}");
}

/// Linux sets a mark while a FAT is mounted writable. The mark is reported with its place. When everything was synced it is removed, and
/// nothing else on the disk changes. fsck.vfat checks the result.
#[test]
fn the_mark_of_a_fat_that_was_not_unmounted_is_told_and_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/grub.cfg"), "menuentry").unwrap();
    for (bits, megabytes, place) in [(16, 60, 37), (32, 90, 65)] {
        let path = disk(&dir, bits, megabytes, "");
        let before = fs::read(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[before[FAT_START as usize + place] | 1], FAT_START + place as u64).unwrap();
        assert_eq!(Root::open(&Disk::open(&path).unwrap()).unwrap().unclean(), ["/boot/efi (vfat)"]);
        let check = |path: &Path| {
            let fat = fs::read(path).unwrap()[FAT_START as usize..][..(megabytes << 20) as usize].to_vec();
            fs::write(dir.path().join("fat"), fat).unwrap();
            run(&dir, "fsck.vfat -n @/fat || true")
        };
        assert!(check(&path).contains("Dirty bit is set"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!([0; 2].map(|_| runtime.block_on(replay(&path, dir.path())).unwrap()), [1, 0]);
        assert!(Root::open(&Disk::open(&path).unwrap()).unwrap().is_clean());
        assert!(!check(&path).contains("Dirty bit is set"));
        assert!(fs::read(&path).unwrap() == before);
    }
}
