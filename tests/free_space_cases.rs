//! The free space of filesystems, as the programs that made them count it, and the data of deleted files, which must not get into an
//! export.

use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use goldsmith::base::event::Events;
use goldsmith::image::export::{ExportFormat, export};
use goldsmith::image::{Compress, Disk, FreeSpace};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// Run `line`, in which `@` stands for the directory. Returns its output; it must succeed.
#[track_caller]
fn run(dir: &TempDir, line: &str) -> String {
    let line = line.replace('@', dir.path().to_str().unwrap());
    let output = Command::new("sh").args(["-c", &line]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{line}: {text}");
    text
}

fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn sparse(path: &Path, bytes: u64) {
    fs::File::create(path).unwrap().set_len(bytes).unwrap();
}

/// The number after `label` in the output of dumpe2fs.
fn field(text: &str, label: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(label)).and_then(|rest| rest.trim().parse().ok()).unwrap_or_else(|| panic!("{label}"))
}

/// Free bytes by dumpe2fs, which lists them group by group: `  Free blocks: 10-20, 30`.
fn dumped(text: &str) -> Vec<Range<u64>> {
    let bytes = field(text, "Block size:");
    // With bigalloc it names the first block of the last cluster.
    let cluster = if text.contains("Cluster size:") { field(text, "Cluster size:") } else { bytes };
    let lists = text.lines().filter_map(|line| line.strip_prefix("  Free blocks: "));
    let parts = lists.flat_map(|list| list.split(", ")).filter(|part| !part.trim().is_empty());
    let mut runs: Vec<Range<u64>> = Vec::new();
    for part in parts {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let run = first.parse::<u64>().unwrap() * bytes..last.parse::<u64>().unwrap() * bytes + cluster;
        match runs.last_mut() {
            Some(before) if before.end == run.start => before.end = run.end,
            _ => runs.push(run),
        }
    }
    runs
}

#[test]
fn ext4s_free_blocks_are_those_of_dumpe2fs() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    for number in 0..300usize {
        fs::write(dir.path().join(format!("tree/{number}")), vec![7; number * 977]).unwrap();
    }
    // The features of mke2fs 1.42.9 of EL7, those of goldsmith, and those for which bitmaps and descriptors differ.
    let el7 = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,uninit_bg,\
               dir_nlink,extra_isize";
    for (size, options) in [
        ("600M", format!("-t ext4 -O {el7}")),
        ("600M", "-t ext4".to_owned()),
        ("4G", format!("-t ext4 -O {el7}")),
        ("600M", "-t ext4 -O ^64bit,^metadata_csum,uninit_bg".to_owned()),
        ("600M", "-t ext4 -O ^flex_bg,^metadata_csum,uninit_bg".to_owned()),
        ("600M", "-t ext4 -O ^uninit_bg,^metadata_csum".to_owned()),
        ("600M", "-t ext4 -O sparse_super2".to_owned()),
        ("600M", "-t ext4 -O ^sparse_super,^resize_inode".to_owned()),
        ("600M", "-t ext4 -O bigalloc -C 65536".to_owned()),
        ("601M", "-t ext4 -O bigalloc -C 16384".to_owned()),
        ("100M", "-t ext4 -b 1024".to_owned()),
        ("90001k", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg".to_owned()),
        ("100M", "-t ext3".to_owned()),
        ("100M", "-t ext2".to_owned()),
        ("200M", "-t ext4 -b 2048 -I 128".to_owned()),
    ] {
        let disk = dir.path().join("disk");
        let _ = fs::remove_file(&disk);
        run(&dir, &format!("mke2fs -q -F {options} -E lazy_itable_init=1 -d @/tree @/disk {size}"));
        // Free blocks between used ones, in a bitmap that was written.
        let commands: String = (0..300).step_by(3).map(|number| format!("rm /{number}\n")).collect();
        fs::write(dir.path().join("commands"), commands).unwrap();
        run(&dir, "debugfs -w -f @/commands @/disk");
        let dump = run(&dir, "dumpe2fs @/disk");
        let free = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap();
        assert_eq!(free.runs, dumped(&dump), "{size} {options}");
        assert!(free.runs.len() > 1 && free.unread.is_empty(), "{size} {options}");
    }
}

#[test]
fn ext4_that_is_not_understood_or_not_at_rest_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    run(&dir, "mke2fs -q -F -t ext4 -O meta_bg,^resize_inode @/disk 200M");
    assert_eq!(FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap().unread, ["partition 0 (ext4: feature meta_bg)"]);

    run(&dir, "mke2fs -q -F -t ext4 @/disk 200M; debugfs -w -R 'feature needs_recovery' @/disk");
    let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
    assert!(error.contains("it was not unmounted cleanly"), "{error}");

    run(&dir, "mke2fs -q -F -t ext4 @/disk 200M; debugfs -w -R 'set_block_group 0 free_blocks_count 1' @/disk");
    let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
    assert!(error.contains("group 0 says that 1 blocks are free, and its bitmap says"), "{error}");

    // Values that would cost memory: more groups than the other count has, descriptors that are too large.
    for (at, bytes) in [(0x24, 1_u32.to_le_bytes().to_vec()), (0xfe, 1024_u16.to_le_bytes().to_vec()), (0x58, vec![0, 0])] {
        run(&dir, "mke2fs -q -F -t ext4 @/disk 200M");
        fs::File::options().write(true).open(&disk).unwrap().write_all_at(&bytes, 1024 + at).unwrap();
        let error = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap_err().to_string();
        assert!(error.contains("its superblock holds values that cannot be"), "{at:#x}: {error}");
    }
}

#[test]
fn fats_free_clusters_are_those_of_fsck() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), vec![7; 100_000]).unwrap();
    for (bits, size) in [(12, MIB), (12, 4 * MIB), (16, 32 * MIB), (32, 64 * MIB)] {
        let disk = dir.path().join("disk");
        let _ = fs::remove_file(&disk);
        sparse(&disk, size);
        run(&dir, &format!("mkfs.vfat -F {bits} @/disk && mcopy -i @/disk @/file ::a && mcopy -i @/disk @/file ::b && mdel -i @/disk ::a"));
        let free = FreeSpace::of(&Disk::open(&disk).unwrap()).unwrap();
        // `disk: 1 files, 49/32689 clusters`, after `2048 bytes per cluster`.
        let fsck = run(&dir, "fsck.vfat -n -v @/disk");
        let number = |end: &str| fsck.lines().find_map(|line| line.trim().strip_suffix(end)?.trim().parse::<u64>().ok()).unwrap();
        let counts = fsck.lines().last().unwrap().split(' ').rev().nth(1).unwrap();
        let (used, all) = counts.split_once('/').unwrap();
        let clusters = all.parse::<u64>().unwrap() - used.parse::<u64>().unwrap();
        assert_eq!(free.bytes(), clusters * number("bytes per cluster"), "{bits}: {fsck}");
        // `a` is deleted: its clusters are among the free ones; those of `b` are not.
        let bytes = fs::read(&disk).unwrap();
        let sevens = |bytes: &[u8]| bytes.chunks_exact(512).filter(|sector| *sector == [7; 512]).count();
        let there: usize = free.runs.iter().map(|run| sevens(&bytes[run.start as usize..run.end as usize])).sum();
        assert_eq!((there, sevens(&bytes)), (100_000 / 512, 2 * (100_000 / 512)));
    }
}

/// The number of times that `marker` is in `path`, as qemu-img reads it.
fn count(dir: &TempDir, path: &str, marker: &[u8]) -> usize {
    run(dir, &format!("qemu-img convert -O raw {path} @/raw"));
    let bytes = fs::read(dir.path().join("raw")).unwrap();
    bytes.windows(marker.len()).filter(|window| *window == marker).count()
}

/// A disk with a swap area, an ESP and an ext4, from each of which something was deleted: 4 KiB within a cluster of qcow2 that stays in
/// use, and 1 MiB.
fn disk_with_deleted_markers(dir: &TempDir, marker: &[u8]) -> PathBuf {
    let small = marker.repeat(4096 / marker.len());
    fs::create_dir(dir.path().join("tree")).unwrap();
    for number in 0..64 {
        // Neighbouring files that stay: each fills a block, so that sixteen share a cluster of 64 KiB.
        let content = if number % 16 == 5 { small.clone() } else { vec![b'x'; 4096] };
        fs::write(dir.path().join(format!("tree/{number:02}")), content).unwrap();
    }
    fs::write(dir.path().join("tree/large"), marker.repeat(MIB as usize / marker.len())).unwrap();
    fs::write(dir.path().join("small"), &small).unwrap();
    sparse(&dir.path().join("disk"), 300 * MIB);
    run(dir, "sgdisk -n 1:1M:+64M -t 1:ef00 -n 2:0:+16M -t 2:8200 -n 3:0:0 @/disk");
    run(dir, "mke2fs -q -F -t ext4 -b 4096 -d @/tree -E offset=84934656 @/disk 200M");
    let deleted: String = ["05", "21", "37", "53", "large"].map(|name| format!("rm /{name}\n")).concat();
    fs::write(dir.path().join("commands"), deleted).unwrap();
    run(dir, "debugfs -w -f @/commands '@/disk?offset=84934656'");
    run(
        dir,
        "truncate -s 64M @/esp && mkfs.vfat -F 32 @/esp && mcopy -i @/esp @/small ::a && mcopy -i @/esp @/small ::b && mdel -i @/esp ::a",
    );
    run(dir, "dd if=@/esp of=@/disk bs=1M seek=1 conv=notrunc status=none");
    run(dir, "truncate -s 16M @/swap && mkswap @/swap && dd if=@/small of=@/swap bs=4096 seek=9 conv=notrunc status=none");
    run(dir, "dd if=@/swap of=@/disk bs=1M seek=65 conv=notrunc status=none");
    run(dir, "qemu-img convert -f raw -O qcow2 @/disk @/sealed");
    dir.path().join("sealed")
}

#[test]
fn what_was_deleted_is_nowhere_in_the_flat_image() {
    let dir = tempfile::tempdir().unwrap();
    let marker = b"a secret of the build machine 64";
    let sealed = disk_with_deleted_markers(&dir, marker);
    let per_page = 4096 / marker.len();
    // The file on the ESP that stays.
    assert_eq!(count(&dir, "@/sealed", marker), 7 * per_page + MIB as usize / marker.len());

    let disk = Disk::open(&sealed).unwrap();
    let free = FreeSpace::of(&disk).unwrap();
    assert!(free.first_leftover(&disk).unwrap().is_some() && free.unread.is_empty());
    let task = Events::none().task("flatten");
    for (name, compress) in [("flat", Compress::ZstdSmall), ("plain", Compress::Never)] {
        let target = dir.path().join(name);
        on_runtime(export(&disk, free.clone(), ExportFormat::Qcow2(compress), &target, &task)).unwrap();
    }
    for name in ["flat", "plain"] {
        assert_eq!(count(&dir, &format!("@/{name}"), marker), per_page, "{name}");
        let disk = Disk::open(&dir.path().join(name)).unwrap();
        assert_eq!(FreeSpace::of(&disk).unwrap(), free);
        assert_eq!(free.first_leftover(&disk).unwrap(), None);
    }
    // The marker is not in bytes that no guest reads either: those of the file itself, outside of its clusters.
    let bytes = fs::read(dir.path().join("plain")).unwrap();
    assert_eq!(bytes.windows(marker.len()).filter(|window| window == marker).count(), per_page);

    // The other files are unchanged.
    run(&dir, "qemu-img convert -O raw @/flat @/raw && e2fsck -fn '@/raw?offset=84934656'");
    run(&dir, "dd if=@/raw of=@/esp bs=1M skip=1 count=64 conv=notrunc status=none && mcopy -n -i @/esp ::b @/b && cmp @/b @/small");
    run(&dir, "dd if=@/raw of=@/swap bs=1M skip=65 count=16 conv=notrunc status=none && blkid -p -s TYPE @/swap | grep swap");
    for number in (0..64).filter(|number| number % 16 != 5) {
        run(&dir, &format!("debugfs -R 'dump /{number:02} @/out' '@/raw?offset=84934656' && cmp @/out @/tree/{number:02}"));
    }
}
