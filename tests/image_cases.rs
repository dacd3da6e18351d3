//! `goldsmith::image`, compared with established tools: qemu-img, qemu-io, mke2fs, e2fsck, sgdisk, sfdisk, fsck.vfat, blkid, mtools.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::event::Events;
use goldsmith::base::failure::{Class, Failure};
use goldsmith::base::uuid::Uuid;
use goldsmith::image::export::{ExportFormat, export};
use goldsmith::image::ext4::Mke2fs;
use goldsmith::image::inspect::{MachineId, inspect};
use goldsmith::image::{
    self, BootEntry, Compress, Disk, FileKind, Firmware, Format, FreeSpace, ImageError, Layout, PartitionTable, Role, Root, TableKind, fat,
};
use tempfile::TempDir;

use crate::support::goldsmith;

const MIB: u64 = 1 << 20;

/// Run a command line with words split at spaces; `@` stands for the directory, `~` for a space inside a word. Returns its output.
fn run(dir: &TempDir, line: &str) -> String {
    let line = line.replace('@', dir.path().to_str().unwrap());
    let mut words = line.split(' ').map(|word| word.replace('~', " "));
    let program = words.next().unwrap();
    let output = Command::new(&program).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().expect(&program);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{line}: {text}");
    text
}

fn on_runtime<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A system of a few files.
fn tree(dir: &TempDir) -> PathBuf {
    let tree = dir.path().join("tree");
    let put = |path: &str, content: &str| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    };
    put("usr/lib/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n");
    put("etc/hostname", "master\n");
    put("etc/machine-id", "");
    put("etc/ssh/ssh_host_ed25519_key", "secret");
    put("usr/lib/systemd/system/docker.service", "[Unit]\n");
    put("boot/vmlinuz-6.1.0-30-cloud-amd64", "kernel");
    put("boot/initrd.img-6.1.0-30-cloud-amd64", "initrd");
    put("boot/grub/grub.cfg", include_str!("../src/image/boot/testdata/debian-12.cfg"));
    fs::create_dir_all(tree.join("etc/systemd/system/multi-user.target.wants")).unwrap();
    symlink("/usr/lib/systemd/system/docker.service", tree.join("etc/systemd/system/multi-user.target.wants/docker.service")).unwrap();
    symlink("../usr/lib/os-release", tree.join("etc/os-release")).unwrap();
    symlink("/../../../etc", tree.join("outside")).unwrap();
    symlink("usr/lib", tree.join("lib")).unwrap();
    symlink("loop", tree.join("loop")).unwrap();
    symlink("/boot/vmlinuz-6.1.0-30-cloud-amd64", tree.join("vmlinuz")).unwrap();
    fs::set_permissions(tree.join("etc/hostname"), fs::Permissions::from_mode(0o640)).unwrap();
    // Some MiB can be compressed and some cannot, so that qcow2 has clusters of both kinds.
    let noise: Vec<u8> = (0..100_000u32).flat_map(|n| Sha256Digest::of(&n.to_le_bytes()).as_bytes()[..20].to_vec()).collect();
    fs::write(tree.join("noise"), noise).unwrap();
    fs::write(tree.join("text"), "the same again and again\n".repeat(100_000)).unwrap();
    tree
}

fn mke2fs(offset: u64, size: u64) -> Mke2fs {
    let seed = Sha256Digest::of(b"seed");
    let uuid = Uuid::derived(&seed, "filesystem root");
    Mke2fs { offset, size, label: "root".into(), uuid, hash_seed: Uuid::derived(&seed, "hash"), epoch: 1_600_000_000 }
}

fn make_ext4(filesystem: &Mke2fs, tree: &Path, disk: &Path) {
    let output = Command::new("/usr/sbin/mke2fs").args(filesystem.args(tree, disk)).envs(filesystem.env()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = File::options().read(true).write(true).open(disk).unwrap();
    filesystem.settle_times(&file, disk).unwrap();
}

/// A disk as the deploy installer makes it: table, ext4 from the tree.
fn make_disk(dir: &TempDir, name: &str, firmware: Firmware, table: TableKind, tree: &Path) -> (PathBuf, Layout) {
    let path = dir.path().join(name);
    let layout = Layout::plan(512 * MIB, firmware, table, 16 * MIB).unwrap();
    let mut file = image::create_raw(&path, layout.disk_size, MIB).unwrap();
    layout.write_table(&mut file, &path, &Sha256Digest::of(b"seed")).unwrap();
    make_ext4(&mke2fs(layout.root().start, layout.root().size), tree, &path);
    (path, layout)
}

/// Compare the whole disk as qemu-img reads it and as goldsmith does.
fn assert_same_as_qemu(dir: &TempDir, name: &str) {
    run(dir, &format!("qemu-img convert -O raw @/{name} @/oracle"));
    let ours = Disk::open(&dir.path().join(name)).unwrap();
    let oracle = File::open(dir.path().join("oracle")).unwrap();
    assert_eq!(ours.info().virtual_size, oracle.metadata().unwrap().len(), "{name}");
    let (mut a, mut b) = (vec![0; MIB as usize + 4096], vec![0; MIB as usize + 4096]);
    let mut at = 0;
    while at < ours.info().virtual_size {
        let length = (ours.info().virtual_size - at).min(a.len() as u64) as usize;
        ours.bytes().read_at(at, &mut a[..length]).unwrap();
        oracle.read_exact_at(&mut b[..length], at).unwrap();
        assert!(a[..length] == b[..length], "{name}: differs after byte {at}");
        at += length as u64;
    }
}

#[test]
fn qcow2_reads_as_qemu_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let raw = image::create_raw(&dir.path().join("raw"), 64 * MIB + 512, 0).unwrap();
    make_ext4(&mke2fs(0, 64 * MIB), &tree, &dir.path().join("raw"));
    raw.write_all_at(b"end", 64 * MIB + 509).unwrap();
    for (name, options) in [
        ("plain", ""),
        ("version-2", "-o compat=0.10 "),
        ("zlib", "-c -o compression_type=zlib "),
        ("zlib-2", "-c -o compat=0.10 "),
        ("zstd", "-c -o compression_type=zstd "),
        ("zstd-small", "-c -o compression_type=zstd,cluster_size=512 "),
        ("zlib-large", "-c -o cluster_size=2M "),
        ("metadata", "-o preallocation=metadata "),
    ] {
        run(&dir, &format!("qemu-img convert -f raw -O qcow2 {options}@/raw @/{name}"));
        assert_same_as_qemu(&dir, name);
    }
    // Overlays with data, zeros, discarded clusters and a disk larger than the one below.
    let overlay = |backing: &str, format, name: &str| {
        on_runtime(image::create_overlay(Path::new(backing), format, &dir.path().join(name))).unwrap();
    };
    overlay("zstd", Format::Qcow2, "one");
    run(&dir, "qemu-img resize -q @/one 80M");
    run(&dir, "qemu-io -f qcow2 -c write~-P~7~1000000~300000 -c write~-z~5M~3M -c discard~20M~1M -c write~-P~9~64M~1M @/one");
    overlay("one", Format::Qcow2, "two");
    run(&dir, "qemu-io -f qcow2 -c write~-P~8~1100000~100 -c write~-z~30M~64k @/two");
    overlay("raw", Format::Raw, "none");
    for name in ["one", "two", "none"] {
        assert_same_as_qemu(&dir, name);
    }
    let backing = Disk::open(&dir.path().join("two")).unwrap().info().backing.clone();
    assert_eq!(backing, ["one", "zstd"].map(|name| dir.path().join(name)));
}

/// The three commands that accept a foreign image refuse one that names files of the host, and print which.
#[test]
fn files_of_the_host_are_not_read_for_a_foreign_image() {
    let (foreign, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(own.path().join("secret"), vec![7; MIB as usize]).unwrap();
    fs::write(foreign.path().join("beside"), vec![7; MIB as usize]).unwrap();
    let secret = own.path().join("secret").display().to_string();
    run(&foreign, &format!("qemu-img create -q -f qcow2 -F raw -b {secret} @/overlay"));
    run(&foreign, "qemu-img create -q -f qcow2 -F qcow2 -b overlay @/nested");
    run(&foreign, &format!("qemu-img create -q -f qcow2 -o data_file={}/data,data_file_raw=on @/data-file 1M", own.path().display()));
    run(&foreign, "qemu-img create -q -f qcow2 -F raw -b beside @/honest");
    let data = own.path().join("data").display().to_string();
    for (image, of, what, name) in
        [("overlay", "overlay", "backing", &secret), ("nested", "overlay", "backing", &secret), ("data-file", "data-file", "data", &data)]
    {
        let (path, of) = (foreign.path().join(image), foreign.path().canonicalize().unwrap().join(of));
        let path = path.to_str().unwrap();
        for words in [&["image", "inspect", path][..], &["run", path], &["verify", path, "--recipe", "debian-12-docker"]] {
            let ended = goldsmith(words.iter().copied()).end();
            let cause = format!("error: {} is not read: its {what} file `{name}` ", of.display());
            assert!(ended.status == 3 && ended.stderr.contains(&cause), "{words:?}: {}", ended.stderr);
            assert!(ended.stderr.contains("is not to be trusted"), "{words:?}: {}", ended.stderr);
        }
    }
    let honest = foreign.path().join("honest").display().to_string();
    assert_eq!(goldsmith(["image", "inspect", &honest]).end().status, 0);
    // In the store of the user, everything may be read.
    let inspect = goldsmith(["image", "inspect", foreign.path().join("nested").to_str().unwrap()]);
    assert_eq!(inspect.env("GOLDSMITH_STORE", own.path()).end().status, 0);
}

#[test]
fn qcow2_features_that_are_not_read_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |complaint: &str| {
        let error = Disk::open(&dir.path().join("d")).err().unwrap();
        assert!(matches!(error, ImageError::Incompatible { .. }) && error.to_string().ends_with(complaint), "{error}");
        assert_eq!(error.class(), Class::Input);
    };
    run(&dir, "qemu-img create -q --object secret,id=s,data=x -f qcow2 -o encrypt.format=aes,encrypt.key-secret=s @/d 16M");
    refused("it is encrypted");
    // LUKS, crypt_method 2 at byte 32 (docs/interop/qcow2.txt). qemu-img makes one only after a benchmark, which the clocks of some hosts fail.
    File::options().write(true).open(dir.path().join("d")).unwrap().write_all_at(&2_u32.to_be_bytes(), 32).unwrap();
    refused("it is encrypted");
}

#[test]
fn partition_tables_please_sgdisk_and_sfdisk() {
    let dir = tempfile::tempdir().unwrap();
    let seed = Sha256Digest::of(b"seed");
    for (firmware, kind) in [(Firmware::Bios, TableKind::Gpt), (Firmware::Uefi, TableKind::Gpt), (Firmware::Bios, TableKind::Mbr)] {
        let path = dir.path().join("d");
        let layout = Layout::plan(3000 * MIB, firmware, kind, 100 * MIB).unwrap();
        let mut file = image::create_raw(&path, layout.disk_size, 0).unwrap();
        layout.write_table(&mut file, &path, &seed).unwrap();
        if kind == TableKind::Gpt {
            assert!(run(&dir, "sgdisk -v @/d").contains("No problems found"));
            // The protective MBR covers the disk.
            assert!(run(&dir, "sfdisk -d -Y mbr @/d").contains("size=     6143999, type=ee"), "{}", run(&dir, "sfdisk -d -Y mbr @/d"));
        }
        run(&dir, "sfdisk --verify @/d");
        let json: serde_json::Value = serde_json::from_str(&run(&dir, "sfdisk --json @/d")).unwrap();
        let theirs = json["partitiontable"]["partitions"].as_array().unwrap();
        let ours = PartitionTable::read(&Disk::open(&path).unwrap()).unwrap().unwrap();
        assert_eq!(theirs.len(), ours.partitions.len());
        for (theirs, ours) in theirs.iter().zip(&ours.partitions) {
            assert_eq!((theirs["start"].as_u64(), theirs["size"].as_u64()), (Some(ours.start / 512), Some(ours.size / 512)));
            if kind == TableKind::Gpt {
                assert_eq!(theirs["uuid"].as_str().unwrap().to_lowercase(), ours.uuid);
                assert_eq!(theirs["type"].as_str().unwrap().to_lowercase(), ours.type_id);
                assert_eq!(theirs["name"].as_str().unwrap(), ours.name);
            } else {
                assert_eq!(format!("0x{}", theirs["type"].as_str().unwrap()), ours.type_id);
            }
        }
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_gpt_is_read_by_its_backup_and_with_large_sectors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    let layout = Layout::plan(600 * MIB, Firmware::Bios, TableKind::Gpt, 0).unwrap();
    let mut file = image::create_raw(&path, layout.disk_size, 0).unwrap();
    layout.write_table(&mut file, &path, &Sha256Digest::of(b"seed")).unwrap();
    let whole = PartitionTable::read(&Disk::open(&path).unwrap()).unwrap();
    file.write_all_at(&[0xff; 92], 512).unwrap();
    assert_eq!(PartitionTable::read(&Disk::open(&path).unwrap()).unwrap(), whole);
    file.write_all_at(&[0xff; 92], layout.disk_size - 512).unwrap();
    let error = PartitionTable::read(&Disk::open(&path).unwrap()).unwrap_err();
    assert!(matches!(error, ImageError::Corrupt { offset: Some(512), .. }), "{error}");
    // An entry size that no program uses is refused.
    layout.write_table(&mut file, &path, &Sha256Digest::of(b"seed")).unwrap();
    file.write_all_at(&256u32.to_le_bytes(), 512 + 84).unwrap();
    let error = PartitionTable::read(&Disk::open(&path).unwrap()).unwrap_err();
    assert!(error.to_string().contains("a GPT of 128 entries of 256 bytes"), "{error}");
}

#[test]
fn an_efi_system_partition_pleases_fsck_and_blkid_and_is_the_same_twice() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let path = dir.path().join(name);
        let disk = image::create_raw(&path, 70 * MIB, 0).unwrap();
        fat::format(&disk, &path, MIB, 64 * MIB, "ESP", 0x1234_abcd).unwrap();
    }
    run(&dir, "cmp @/a @/b");
    run(&dir, "dd if=@/a of=@/fat bs=1M skip=1 count=64 status=none");
    let fsck = run(&dir, "fsck.vfat -n -v @/fat");
    assert!(fsck.contains("FATs, 32 bit entries") && !fsck.to_lowercase().contains("dirty"), "{fsck}");
    let blkid = run(&dir, "blkid -p -o export @/fat");
    assert!(blkid.contains("LABEL=ESP") && blkid.contains("UUID=1234-ABCD") && blkid.contains("VERSION=FAT32"), "{blkid}");
}

#[test]
fn ext4_from_a_tree_is_the_same_twice_and_clean() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
    File::open(tree.join("text")).unwrap().set_modified(old).unwrap();
    make_disk(&dir, "a", Firmware::Bios, TableKind::Gpt, &tree);
    // The tree has been read, and its times of change and modification get later.
    let day_after = std::time::SystemTime::now() + std::time::Duration::from_secs(86_400);
    for name in ["etc/hostname", "noise"] {
        let times = fs::FileTimes::new().set_accessed(day_after).set_modified(day_after);
        File::open(tree.join(name)).unwrap().set_times(times).unwrap();
    }
    make_disk(&dir, "b", Firmware::Bios, TableKind::Gpt, &tree);
    run(&dir, "cmp @/a @/b");
    run(&dir, &format!("e2fsck -fn @/a?offset={}", 18 * MIB));
    for (path, mtime) in [("/text", "0x59682f00"), ("/noise", "0x5f5e1000")] {
        let inode = run(&dir, &format!("debugfs -R stat~{path} @/a?offset={}", 18 * MIB));
        assert!(inode.contains(&format!("mtime: {mtime}")) && inode.contains("ctime: 0x5f5e1000"), "{inode}");
    }
    let superblock = run(&dir, &format!("dumpe2fs -h @/a?offset={}", 18 * MIB));
    let uuid = Uuid::derived(&Sha256Digest::of(b"seed"), "filesystem root").to_string();
    for line in ["Filesystem volume name:   root", &format!("Filesystem UUID:          {uuid}"), "Default mount options:    user_xattr acl"]
    {
        assert!(superblock.contains(line), "{superblock}");
    }
}

#[test]
fn the_root_filesystem_is_read_with_links_kept_inside() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let (path, _) = make_disk(&dir, "d", Firmware::Uefi, TableKind::Gpt, &tree);
    run(&dir, "qemu-img convert -f raw -O qcow2 -c -o compression_type=zstd @/d @/q");
    for path in [path, dir.path().join("q")] {
        let root = Root::open(&Disk::open(&path).unwrap()).unwrap();
        assert_eq!((root.label(), root.partition(), root.is_clean()), ("root", 3, true));
        for path in ["/etc/hostname", "/outside/hostname", "/../etc/./hostname", "/etc/../etc/hostname"] {
            assert_eq!(root.read(path, 100).unwrap(), b"master\n", "{path}");
        }
        assert_eq!(root.read("/vmlinuz", 100).unwrap(), b"kernel");
        assert!(root.read("/noise", 4 << 20).unwrap() == fs::read(tree.join("noise")).unwrap());
        let metadata = root.metadata("/etc/hostname").unwrap();
        assert_eq!((metadata.kind, metadata.mode, metadata.size), (FileKind::File, 0o640, 7));
        assert_eq!(root.symlink_metadata("/lib").unwrap().kind, FileKind::Symlink);
        assert_eq!(root.read_link("/outside").unwrap(), Path::new("/../../../etc"));
        assert_eq!(root.read_dir("/lib/systemd/system").unwrap(), ["docker.service"]);
        for path in ["/gone", "/loop", "/etc/hostname/x"] {
            assert!(!root.exists(path).unwrap(), "{path}");
        }
        assert!(root.read("/noise", 1000).unwrap_err().to_string().contains("/noise has 2000000 bytes, 1000 at most are read"));
        assert!(root.read("/etc", 1000).is_err());

        let found = root.walk("/").unwrap().map(Result::unwrap);
        let mut ours: Vec<_> = found.map(|(path, file)| (path, file.size * u64::from(file.kind == FileKind::File))).collect();
        ours.retain(|(path, _)| path != Path::new("/lost+found"));
        ours.sort();
        let mut theirs: Vec<_> = run(&dir, "find @/tree -mindepth 1 -printf /%P~%y~%s\\n")
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .map(|words| (PathBuf::from(words[0]), words[2].parse::<u64>().unwrap() * u64::from(words[1] == "f")))
            .collect();
        theirs.sort();
        assert_eq!(ours, theirs);
    }
}

#[test]
fn boot_on_its_own_partition_is_seen_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let boot = dir.path().join("boot");
    fs::rename(tree.join("boot"), &boot).unwrap();
    let config = fs::read_to_string(boot.join("grub/grub.cfg")).unwrap().replace("/boot/", "/");
    fs::write(boot.join("grub/grub.cfg"), config).unwrap();
    fs::create_dir(tree.join("boot")).unwrap();
    fs::set_permissions(tree.join("boot"), fs::Permissions::from_mode(0o700)).unwrap();
    let uuid = Uuid::derived(&Sha256Digest::of(b"seed"), "boot");
    fs::write(
        tree.join("etc/fstab"),
        format!("# /boot was on /dev/vda1 during installation\n\t# /boot too\nUUID={uuid} /boot ext4 defaults 0 2\n"),
    )
    .unwrap();
    let path = dir.path().join("d");
    image::create_raw(&path, 512 * MIB, 0).unwrap();
    run(&dir, "sgdisk -n 1:1M:+100M -n 2:0:0 @/d");
    make_ext4(&Mke2fs { label: "boot".into(), uuid, ..mke2fs(MIB, 100 * MIB) }, &boot, &path);
    make_ext4(&mke2fs(101 * MIB, 400 * MIB), &tree, &path);
    let root = Root::open(&Disk::open(&path).unwrap()).unwrap();
    assert_eq!((root.partition(), root.read("/vmlinuz", 100).unwrap()), (2, b"kernel".to_vec()));
    assert_eq!(BootEntry::read(&root).unwrap().kernel.path, "/boot/vmlinuz-6.1.0-30-cloud-amd64");
    assert!(root.read_dir("/boot").unwrap().contains(&"grub".into()));
    // A list shows the mounted directory, as its path does. The directory below the mount has another mode.
    let entries = root.entries("/").unwrap();
    let boot = entries.iter().find(|entry| entry.name == "boot").unwrap();
    assert_eq!(boot.metadata, root.metadata("/boot").unwrap());
}

#[test]
fn a_deployed_disk_is_inspected() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    for (name, table) in [("gpt", TableKind::Gpt), ("mbr", TableKind::Mbr)] {
        let (path, layout) = make_disk(&dir, name, Firmware::Bios, table, &tree);
        let inspection = inspect(&path, None).unwrap();
        assert_eq!(inspection.problems, [""; 0]);
        assert_eq!(inspection.partition_table.unwrap().kind, table);
        let system = inspection.system.unwrap();
        assert_eq!((system.root.partition, system.root.clean, system.root.label.as_str()), (layout.root().index, true, "root"));
        assert_eq!(system.os_release.unwrap().pretty_name, "Debian GNU/Linux 12 (bookworm)");
        assert_eq!((system.hostname.as_deref(), system.machine_id), (Some("master"), MachineId::Empty));
        assert_eq!(system.kernels, ["6.1.0-30-cloud-amd64"]);
        assert_eq!((system.enabled_units, system.ssh_host_keys), (vec!["docker.service".into()], vec!["ssh_host_ed25519_key".into()]));
        let boot = system.boot.unwrap();
        assert_eq!(boot.kernel.path, "/boot/vmlinuz-6.1.0-30-cloud-amd64");
        assert_eq!(boot.initrds[0].path, "/boot/initrd.img-6.1.0-30-cloud-amd64");
        assert!(layout.partition(Role::Swap).is_some());
    }
}

#[test]
fn a_power_cut_is_seen_and_the_journal_replayed_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let path = dir.path().join("d");
    image::create_raw(&path, 64 * MIB, 0).unwrap();
    make_ext4(&mke2fs(0, 64 * MIB), &tree, &path);
    let block = run(&dir, "debugfs -R blocks~/etc/hostname @/d");
    let block: u64 = block.lines().find_map(|line| line.trim().parse().ok()).unwrap();
    let mut content = b"changed".to_vec();
    content.resize(4096, 0);
    fs::write(dir.path().join("block"), content).unwrap();
    fs::write(dir.path().join("commands"), format!("jo -c -v 3\njw -b {block} {}/block\njc\n", dir.path().display())).unwrap();
    run(&dir, "debugfs -w -f @/commands @/d");
    let root = Root::open(&Disk::open(&path).unwrap()).unwrap();
    assert_eq!((root.is_clean(), root.read("/etc/hostname", 100).unwrap()), (false, b"changed".to_vec()));
    assert!(!inspect(&path, None).unwrap().system.unwrap().root.clean);

    // The journals of EL7 have no checksums, and neither has this one. That is reported, and nothing is guessed.
    let (path, layout) = make_disk(&dir, "e,1", Firmware::Bios, TableKind::Mbr, &tree);
    let filesystem = format!("@/e,1?offset={}", layout.root().start);
    let block = run(&dir, &format!("debugfs -R blocks~/etc/hostname {filesystem}"));
    let block: u64 = block.lines().find_map(|line| line.trim().parse().ok()).unwrap();
    fs::write(dir.path().join("commands"), format!("jo\njw -b {block} {}/block\njc\n", dir.path().display())).unwrap();
    run(&dir, &format!("debugfs -w -f @/commands {filesystem}"));
    let inspection = inspect(&path, None).unwrap();
    assert!(inspection.problems[0].contains("it was not unmounted cleanly, and its journal cannot be replayed here"));
    assert!(inspection.system.is_none());
    // With e2fsck it can be read, and the disk is not changed.
    let before = fs::read(&path).unwrap();
    let scratch = dir.path().join("scratch,1");
    fs::create_dir(&scratch).unwrap();
    let root = Root::open(&on_runtime(image::replayed(&path, &scratch)).unwrap()).unwrap();
    assert_eq!(
        (root.is_clean(), root.partition(), root.read("/etc/hostname", 100).unwrap()),
        (true, layout.root().index, b"changed".to_vec())
    );
    assert_eq!(
        (root.read_end("/usr/lib/os-release", 7).unwrap(), root.read_end("/etc/hostname", 100).unwrap().len()),
        (b"D=\"12\"\n".to_vec(), 7)
    );
    assert!(fs::read(&path).unwrap() == before);
    // The journal is replayed on the disk itself, and nothing else on it is changed.
    let copy = dir.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    assert_eq!([0; 2].map(|_| on_runtime(image::replay(&copy, &scratch)).unwrap()), [1, 0]);
    let root = Root::open(&Disk::open(&copy).unwrap()).unwrap();
    assert_eq!((root.is_clean(), root.read("/etc/hostname", 100).unwrap()), (true, b"changed".to_vec()));
    run(&dir, &format!("e2fsck -fn @/copy?offset={}", layout.root().start));
    let (after, root) = (fs::read(&copy).unwrap(), layout.root().start as usize..(layout.root().start + layout.root().size) as usize);
    assert!(after[..root.start] == before[..root.start] && after[root.end..] == before[root.end..]);
    // A journal with wrong data counts as no journal.
    let journal = File::options().write(true).open(&path).unwrap();
    journal.write_all_at(&[0xff; 4], layout.root().start + 1024 + 0xe0).unwrap();
    let error = on_runtime(image::replayed(&path, &scratch)).err().unwrap();
    assert!(error.to_string().contains("e2fsck"), "{error}");
}

#[test]
fn what_is_no_system_says_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d");
    let layout = Layout::plan(512 * MIB, Firmware::Bios, TableKind::Mbr, 0).unwrap();
    let mut disk = image::create_raw(&path, layout.disk_size, 0).unwrap();
    layout.write_table(&mut disk, &path, &Sha256Digest::of(b"")).unwrap();
    let complaint = |expected: &str| {
        let error = Root::open(&Disk::open(&path).unwrap()).err().unwrap();
        assert!(error.to_string().contains(expected) && error.class() == Class::Input, "{error}");
        assert_eq!(inspect(&path, None).unwrap().problems, [error.to_string()]);
    };
    complaint("has no root filesystem: no ext4 or XFS partition holds /etc/os-release or /etc/fstab");
    disk.write_all_at(b"_BHRfS_M", MIB + 0x1_0040).unwrap();
    complaint(
        "its root filesystem may be in btrfs, which cannot be read; ext4 and XFS on partitions or linear and striped LVM can be read",
    );
    for (name, content) in [("empty", &b""[..]), ("text", b"not a disk")] {
        fs::write(&path, content).unwrap();
        assert_eq!(inspect(&path, None).unwrap().problems.len(), 1, "{name}");
    }
}

#[test]
fn damaged_filesystems_end_in_values_or_errors() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    for big in ["noise", "text"] {
        fs::remove_file(tree.join(big)).unwrap();
    }
    let path = dir.path().join("d");
    image::create_raw(&path, 16 * MIB, 0).unwrap();
    make_ext4(&mke2fs(0, 16 * MIB), &tree, &path);
    let whole = fs::read(&path).unwrap();
    // Metadata of a small ext4 is at its beginning: superblock, descriptors, bitmaps, inodes, directories.
    let used: Vec<usize> = (0..whole.len()).step_by(64).filter(|at| whole[*at..at + 64].iter().any(|byte| *byte != 0)).collect();
    let mut random = 1u64;
    let mut next = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit
    };
    let mut errors = 0;
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=next(4) {
            let at = used[next(used.len())] + next(64);
            bytes[at] = next(256) as u8;
        }
        let read = Root::open(&Disk::in_memory("d", bytes)).and_then(|root| {
            root.walk("/")?.collect::<Result<Vec<_>, _>>()?;
            BootEntry::read(&root)
        });
        errors += usize::from(read.is_err());
    }
    assert!(errors > 50, "{errors}: the damage did not reach what is read");
}

#[test]
fn flat_copies_are_the_same_every_time_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let tree = tree(&dir);
    let (raw, _) = make_disk(&dir, "raw", Firmware::Bios, TableKind::Gpt, &tree);
    on_runtime(async {
        for (name, compress) in [("a", Compress::ZstdSmall), ("b", Compress::ZstdSmall), ("plain", Compress::Never)] {
            let target = dir.path().join(name);
            let disk = Disk::open(&raw).unwrap();
            let free = FreeSpace::of(&disk).unwrap();
            export(&disk, free, ExportFormat::Qcow2(compress), &target, &Events::none().task("flatten")).await.unwrap();
            image::check(&target).await.unwrap();
        }
        run(&dir, "cmp @/a @/b");
        let info = Disk::open(&dir.path().join("a")).unwrap().info().clone();
        assert_eq!((info.compression.as_deref(), info.virtual_size, info.backing.len()), (Some("zstd"), 512 * MIB, 0));
        assert!(info.file_size < Disk::open(&dir.path().join("plain")).unwrap().info().file_size);

        let empty = dir.path().join("empty");
        run(&dir, "qemu-img create -q -f qcow2 @/empty 10M");
        image::check(&empty).await.unwrap();
        let mut byte = [0; 100];
        Disk::open(&empty).unwrap().bytes().read_at(10 * MIB - 100, &mut byte).unwrap();
        assert_eq!(byte, [0; 100]);

        // The first refcount block is missing, so every cluster in use counts as free.
        let bytes = File::options().read(true).write(true).open(dir.path().join("a")).unwrap();
        let mut offset = [0; 8];
        bytes.read_exact_at(&mut offset, 48).unwrap();
        bytes.write_all_at(&[0; 8], u64::from_be_bytes(offset)).unwrap();
        let error = image::check(&dir.path().join("a")).await.unwrap_err();
        assert!(matches!(error, ImageError::Corrupt { .. }), "{error}");
        let error = image::check(&dir.path().join("gone")).await.unwrap_err();
        assert!(matches!(error, ImageError::Tool(_)) && error.class() == Class::Host, "{error}");
        let error = image::create_overlay(Path::new("gone"), Format::Qcow2, &dir.path().join("o")).await.unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    });
}
