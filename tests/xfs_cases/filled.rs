//! Version 5, filled by the kernel: goldsmith reads what the kernel shows.

use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use goldsmith::image::inspect::inspect;
use rustix::fs::{XattrFlags, lsetxattr};

use super::*;
use crate::mounted_tree::fill::*;

/// Fill the tree `top`: `many` names in one directory, a file in `pieces` extents.
fn fill(top: &Path, many: usize, pieces: u64) {
    fs::create_dir_all(top.join("etc")).unwrap();
    fs::write(top.join("etc/fstab"), "# nothing\n").unwrap();
    fill_directories(top, many);
    fill_files(top, pieces, 1 << 62);
    fill_kinds(top);
    fill_attributes(top);
}

fn fill_attributes(top: &Path) {
    let set = |path: &str, name: &str, value: &[u8]| {
        lsetxattr(top.join(path), name, value, XattrFlags::empty()).unwrap_or_else(|error| panic!("{path} {name}: {error}"));
    };
    for name in ["attributes-inside", "attributes-leaf", "attributes-many", "attributes-large", "attributes-apart", "attributes-gone"] {
        fs::write(top.join(name), name).unwrap();
    }
    symlink("nowhere", top.join("attributes-link")).unwrap();
    fs::create_dir(top.join("attributes-directory")).unwrap();
    for (name, value) in
        [("user.a", &b"1"[..]), ("user.empty", b""), ("trusted.b", b"\0\xff"), ("security.selinux", b"system_u:object_r:etc_t:s0\0")]
    {
        set("attributes-inside", name, value);
    }
    for path in ["attributes-link", "attributes-directory"] {
        set(path, "security.selinux", b"system_u:object_r:bin_t:s0\0");
        set(path, "trusted.overlay.opaque", b"y");
    }
    for number in 0..12usize {
        set("attributes-leaf", &format!("user.leaf-{number}"), &vec![number as u8; number * 20]);
    }
    // Names in a tree of leaves, with several levels when blocks are small.
    for number in 0..400usize {
        let prefix = ["user", "trusted", "security"][number % 3];
        set("attributes-many", &format!("{prefix}.{number}-{}", "n".repeat(number % 200)), &vec![number as u8; number % 250]);
    }
    for (number, size) in [256usize, 1000, 3000, 4096, 5000, 65_535, 65_536].into_iter().enumerate() {
        set("attributes-large", &format!("user.{number}"), &vec![number as u8 + 1; size]);
    }
    // The removal of every second value frees its blocks, so the fork has an extent for each other one, wherever the kernel put them.
    for number in 0..80 {
        for path in ["attributes-apart", "attributes-gone"] {
            set(path, &format!("user.apart-{number}"), &[number; 5000]);
        }
    }
    set("attributes-gone", "user.gone", &[7; 3000]);
    let remove = |path: &str, name: &str| rustix::fs::lremovexattr(top.join(path), name).unwrap();
    remove("attributes-gone", "user.gone");
    for number in (1..80).step_by(2) {
        remove("attributes-apart", &format!("user.apart-{number}"));
    }
    // An access list: owner, user 1000, group, mask, others (include/uapi/linux/posix_acl_xattr.h).
    let entry = |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    let list = [entry(1, 6, !0), entry(2, 4, 1000), entry(4, 4, !0), entry(16, 6, !0), entry(32, 0, !0)].concat();
    set("attributes-inside", "system.posix_acl_access", &[&2u32.to_le_bytes()[..], &list].concat());
}

/// Check that the disk has all the forms under test.
fn assert_forms(dir: &TempDir) {
    for (path, field, form) in [
        ("names-few", "core.format", "1 (local)"),
        ("names-block", "core.size", "4096"),
        ("names-many", "core.format", "3 (btree)"),
        ("file-large", "core.format", "2 (extents)"),
        ("file-fragments", "u3.bmbt.level", "2"),
        ("link-1", "core.format", "1 (local)"),
        ("link-6", "core.format", "2 (extents)"),
        ("attributes-inside", "core.aformat", "1 (local)"),
        ("attributes-leaf", "core.naextents", "1"),
        ("attributes-apart", "core.aformat", "3 (btree)"),
        ("time-0", "v3.bigtime", "1"),
    ] {
        let printed = run(dir, &format!("xfs_db -r -c 'path /{path}' -c 'print {field}' @/disk"));
        assert_eq!(printed.trim(), format!("{field} = {form}"), "{path}");
    }
}

#[test]
fn what_the_kernel_wrote_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    for (options, many, pieces) in [
        ("", 30_000, 6_000),
        // EL7's mkfs.xfs 4.5 makes these features.
        ("-m bigtime=0,finobt=0,rmapbt=0,reflink=0,inobtcount=0 -i sparse=0", 3_000, 400),
        ("-b size=1k -n size=16k -m rmapbt=1", 3_000, 3_000),
        ("-b size=2k -i size=1024,nrext64=1 -d agcount=9", 3_000, 400),
        ("-i size=2048,nrext64=1 -n size=64k -l su=64k -s size=4096", 3_000, 400),
        ("-b size=2k -m uuid=0f0e0d0c-0b0a-0908-0706-050403020100", 1_000, 30),
        ("-b size=64k -m reflink=0", 1_000, 30),
    ] {
        run(&dir, &format!("rm -f @/disk && truncate -s 400M @/disk && mkfs.xfs -q -f -L name {options} @/disk"));
        {
            let mount = Mount::new(&dir, "");
            // Fill the free space with old bytes, which new files then overwrite.
            tried(&dir, r"tr '\0' '\245' < /dev/zero > @/m/old; sync; rm @/m/old");
            fill(&mount.path(), many, pieces);
            if !options.contains("reflink=0") {
                run(&dir, "cp --reflink=always @/m/file-large @/m/file-shared && echo more >> @/m/file-shared");
            }
        }
        let mut expected = {
            let mount = Mount::new(&dir, ",ro");
            shown_by_kernel(&mount.path())
        };
        run(&dir, "xfs_repair -n @/disk");
        if options.is_empty() {
            assert_forms(&dir);
        }
        let root = open(&dir);
        assert_same(&shown_by_us(&root), &expected, options);
        let blkid = run(&dir, "blkid -p -o value -s UUID -s LABEL @/disk");
        assert_eq!(blkid, format!("name\n{}\n", root.uuid()), "{options}");
        assert_eq!((root.label(), root.is_clean(), root.kind().name()), ("name", true, "xfs"), "{options}");
        assert_free_space(&dir, options);
        // Overwriting the free space with zeros does no harm, even when the space is used again.
        let disk = dir.path().join("disk");
        let free = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap();
        let file = File::options().write(true).open(&disk).unwrap();
        for run in &free.runs {
            for start in (run.start..run.end).step_by(1 << 20) {
                file.write_all_at(&vec![0; (run.end - start).min(1 << 20) as usize], start).unwrap();
            }
        }
        run(&dir, "xfs_repair -n @/disk");
        let mount = Mount::new(&dir, "");
        run(&dir, "mkdir @/m/more && cp @/m/file-large @/m/more && touch $(seq -f @/m/more/%g 2000) && rm -r @/m/more");
        let mut after = shown_by_kernel(&mount.path());
        for tree in [&mut after, &mut expected] {
            tree.remove(Path::new("/"));
        }
        assert_same(&after, &expected, options);
    }
    let inspection = inspect(&dir.path().join("disk"), None).unwrap();
    assert_eq!(inspection.system.unwrap().root.label, "name");
    assert!(inspection.problems.iter().all(|problem| problem.contains("has no boot configuration")), "{:?}", inspection.problems);
}

#[test]
fn inodes_of_more_than_32_bits_are_read() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    // The file has 4 TiB, but takes only the space of the written data.
    run(&dir, "truncate -s 4T @/disk && mkfs.xfs -q -l size=64m @/disk");
    {
        let mount = Mount::new(&dir, "");
        run(&dir, "mkdir @/m/etc && echo > @/m/etc/fstab && cd @/m && mkdir -p $(seq -f %g/in/deeper 12) && touch $(seq -f %g/in/file 12)");
        let inode = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().metadata().unwrap().ino();
        assert!(fs::read_dir(mount.path()).unwrap().map(inode).any(|inode| inode > u64::from(u32::MAX)));
    }
    let expected = {
        let mount = Mount::new(&dir, ",ro");
        shown_by_kernel(&mount.path())
    };
    let root = open(&dir);
    assert_same(&shown_by_us(&root), &expected, "large");
    assert_free_space(&dir, "large");
}

#[test]
fn another_id_and_a_boot_partition_are_understood() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir, "truncate -s 600M @/disk && sgdisk -n 1:0:+250M -n 2:0:+300M @/disk");
    run(&dir, "mkdir @/root @/root/etc @/root/boot @/boot && echo kernel > @/boot/vmlinuz-1");
    run(&dir, "echo 'UUID=0f0e0d0c-0b0a-0908-0706-050403020100 /boot xfs defaults 0 0' > @/root/etc/fstab");
    // xfs_admin sets another id, but blocks keep the first one (meta_uuid).
    run(&dir, "truncate -s 250M @/first && mkfs.xfs -q -p @/proto-boot @/first 2>/dev/null || true");
    let prototype = |files: &str| format!("/dev/null\n0 0\nd--755 0 0\n{files}\n$\n");
    fs::write(dir.path().join("proto-boot"), prototype("vmlinuz-1 ---644 0 0 @/boot/vmlinuz-1").replace('@', dir.path().to_str().unwrap()))
        .unwrap();
    fs::write(
        dir.path().join("proto-root"),
        prototype("boot d--755 0 0\n$\netc d--755 0 0\nfstab ---644 0 0 @/root/etc/fstab\n$").replace('@', dir.path().to_str().unwrap()),
    )
    .unwrap();
    run(&dir, "rm @/first; truncate -s 250M @/first && mkfs.xfs -q -p @/proto-boot @/first");
    run(&dir, "xfs_admin -U 0f0e0d0c-0b0a-0908-0706-050403020100 @/first");
    assert!(run(&dir, "xfs_db -r -c version @/first").contains("META_UUID"));
    run(&dir, "truncate -s 300M @/second && mkfs.xfs -q -p @/proto-root @/second");
    run(&dir, "dd if=@/first of=@/disk bs=1M seek=1 conv=notrunc,sparse status=none");
    run(&dir, "dd if=@/second of=@/disk bs=1M seek=251 conv=notrunc,sparse status=none");
    let root = open(&dir);
    assert_eq!((root.partition(), root.read("/boot/vmlinuz-1", 100).unwrap()), (2, b"kernel\n".to_vec()));
    assert!(FreeSpace::of(&Disk::open(&dir.path().join("disk")).unwrap()).unwrap().unread.is_empty());
}
