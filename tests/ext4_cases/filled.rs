//! Filesystems filled by the kernel or by mke2fs: goldsmith reads what they show.

use std::fs::File;
use std::os::unix::fs::symlink;

use rustix::fs::{XattrFlags, lsetxattr};

use super::*;
use crate::mounted_tree::fill::*;

/// The features of mke2fs 1.42.9 of EL7.
const EL7: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,uninit_bg,\
                   dir_nlink,extra_isize";

/// Names of a directory whose index of hashes has two levels.
const MANY: usize = 20_000;

/// A filesystem to fill.
struct Case {
    options: String,
    /// Names in one directory, extents of one file, size of the longest file as a power of two.
    many: usize,
    pieces: u64,
    end: u32,
    /// Values of attributes that do not fit into a block.
    large: bool,
}

fn case(options: &str, many: usize, pieces: u64, end: u32) -> Case {
    Case { options: options.to_owned(), many, pieces, end, large: options.contains("ea_inode") }
}

fn fill(top: &Path, case: &Case) {
    fs::create_dir_all(top.join("etc")).unwrap();
    fs::write(top.join("etc/fstab"), "# nothing\n").unwrap();
    fill_directories(top, case.many);
    fill_files(top, case.pieces, 1 << case.end);
    fill_kinds(top);
    fill_attributes(top, case.large);
    fill_sizes(top);
}

/// Files, links and directories with sizes around the limit of inline content.
fn fill_sizes(top: &Path) {
    for size in (0..200).step_by(7).chain([59, 60, 61, 255, 400]) {
        let content: Vec<u8> = (1..=size).map(|byte: usize| byte as u8).collect();
        fs::write(top.join(format!("size-{size}")), &content).unwrap();
        fs::write(top.join(format!("size-labelled-{size}")), &content).unwrap();
        label(top, &format!("size-labelled-{size}"), "security.selinux", b"system_u:object_r:etc_t:s0\0");
        symlink("s".repeat(size.max(1)), top.join(format!("size-link-{size}"))).unwrap();
    }
    for count in 0..12 {
        let directory = top.join(format!("size-directory-{count}"));
        fs::create_dir(&directory).unwrap();
        for number in 0..count {
            fs::write(directory.join("n".repeat(1 + number * 3)), "").unwrap();
        }
        let _ = fs::remove_file(directory.join("nnnn"));
    }
    // The file is longer than the written data, and the rest is zeros.
    let grown = File::create(top.join("size-grown")).unwrap();
    grown.set_len(50).unwrap();
}

fn label(top: &Path, path: &str, name: &str, value: &[u8]) {
    lsetxattr(top.join(path), name, value, XattrFlags::empty()).unwrap_or_else(|error| panic!("{path} {name}: {error}"));
}

fn fill_attributes(top: &Path, large: bool) {
    for name in ["attributes-inside", "attributes-block", "attributes-same", "attributes-list", "attributes-gone"] {
        fs::write(top.join(name), name).unwrap();
    }
    symlink("nowhere", top.join("attributes-link")).unwrap();
    fs::create_dir(top.join("attributes-directory")).unwrap();
    for (name, value) in
        [("user.a", &b"1"[..]), ("user.empty", b""), ("trusted.b", b"\0\xff"), ("security.selinux", b"system_u:object_r:etc_t:s0\0")]
    {
        label(top, "attributes-inside", name, value);
    }
    // VFS_CAP_REVISION_2, effective; CAP_NET_RAW permitted (include/uapi/linux/capability.h).
    label(top, "attributes-inside", "security.capability", &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for path in ["attributes-link", "attributes-directory"] {
        label(top, path, "security.selinux", b"system_u:object_r:bin_t:s0\0");
        label(top, path, "trusted.overlay.opaque", b"y");
    }
    // The second shares its block with the first.
    for path in ["attributes-block", "attributes-same"] {
        for number in 0..12usize {
            label(top, path, &format!("user.block-{number}"), &vec![number as u8; number * 4]);
        }
    }
    label(top, "attributes-gone", "user.gone", &[7; 300]);
    rustix::fs::lremovexattr(top.join("attributes-gone"), "user.gone").unwrap();
    // An access list: owner, user 1000, group, group 7, mask, others (include/uapi/linux/posix_acl_xattr.h).
    let entry = |tag: u16, bits: u16, id: u32| [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat();
    let list = [entry(1, 6, !0), entry(2, 4, 1000), entry(4, 4, !0), entry(8, 1, 7), entry(16, 6, !0), entry(32, 0, !0)].concat();
    let list = [&2u32.to_le_bytes()[..], &list].concat();
    label(top, "attributes-list", "system.posix_acl_access", &list);
    label(top, "attributes-directory", "system.posix_acl_default", &list);
    if large {
        fs::write(top.join("attributes-large"), "").unwrap();
        for (number, size) in [1usize, 100, 1000, 4096, 5000, 65_535, 65_536].into_iter().enumerate() {
            label(top, "attributes-large", &format!("user.{number}"), &vec![number as u8 + 1; size]);
        }
    }
}

#[test]
fn what_the_kernel_wrote_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    if !can_mount(&dir) {
        return;
    }
    for case in [
        case("-t ext4", MANY, 3_000, 43),
        case(&format!("-t ext4 -O {EL7}"), 300, 400, 43),
        case("-t ext4 -b 1024 -O verity", 1_000, 3_000, 41),
        case("-t ext4 -b 2048 -I 1024", 300, 400, 41),
        case("-t ext4 -O bigalloc -C 65536", 300, 400, 43),
        case("-t ext3", 300, 40, 40),
        case("-t ext2 -b 1024 -I 128", 300, 400, 34),
        case("-t ext4 -O large_dir", 300, 400, 43),
        case("-t ext4 -O inline_data -I 1024", 300, 400, 42),
        case("-t ext4 -O inline_data,metadata_csum_seed", 300, 400, 42),
        case("-t ext4 -O ea_inode -I 512", 300, 400, 43),
        case("-t ext4 -O ea_inode,inline_data -b 1024", 1_000, 400, 34),
        case("-t ext4 -O meta_bg,^resize_inode", 300, 400, 43),
        case("-t ext4 -O meta_bg,^resize_inode,^64bit,^flex_bg -b 1024", 1_000, 3_000, 41),
        case("-t ext4 -O meta_bg,^resize_inode,^sparse_super,sparse_super2 -b 1024", 300, 40, 41),
        case("-t ext4 -O mmp,bigalloc -C 16384 -b 1024", 300, 400, 41),
        case(&format!("-t ext4 -O {EL7},mmp"), 300, 400, 43),
        case("-t ext3 -O mmp", 300, 400, 40),
        case("-t ext2 -b 1024 -I 128 -O ^filetype", 1_000, 400, 34),
        case("-t ext2 -b 2048 -O mmp,^dir_index,^large_file", 300, 400, 30),
    ] {
        let options = &case.options;
        run(&dir, &format!("rm -f @/disk && truncate -s 600M @/disk && mke2fs -q -F -L name {options} @/disk"));
        {
            let mount = Mount::new(&dir, "");
            if case.many == MANY {
                // Fill the free space with old bytes, which new files then overwrite.
                tried(&dir, r"tr '\0' '\245' < /dev/zero > @/m/old; sync; rm @/m/old");
            }
            fill(&mount.path(), &case);
        }
        let (expected, free) = {
            let mount = Mount::new(&dir, ",ro");
            (shown_by_kernel(&mount.path()), free_by_kernel(&mount.path()))
        };
        run(&dir, "e2fsck -fn @/disk");
        let root = open(&dir);
        assert_same(&shown_by_us(&root), &expected, options);
        assert_eq!(root.usage().unwrap(), Usage { size: 600 << 20, free }, "{options}");
        let blkid = run(&dir, "blkid -p -o value -s UUID -s LABEL @/disk");
        assert_eq!(blkid, format!("name\n{}\n", root.uuid()), "{options}");
        assert_eq!((root.label(), root.is_clean(), root.kind().name()), ("name", true, "ext4"), "{options}");
    }
}
