//! FAT16, FAT32, XFS of version 4 and LVM, made by their own programs and filled by the kernel of a guest, which still supports them.
//! goldsmith must read every file as that kernel shows it.
//!
//! This host's kernel may have no FAT, no device mapper, and from Linux 6.18 on no XFS of version 4.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::base::event::{Event, Events};
use goldsmith::base::size::ByteSize;
use goldsmith::image::{self, BootFiles, Disk, FileKind, Format, Identity, Root};
use goldsmith::machine::MachineSpec;
use goldsmith::machine::probe::probe;
use goldsmith::machine::runner::{Guest, Mode, PORT, RunnerTask, append, nonce};
use goldsmith::machine::spec::{Begins, Boot, Drive, FirmwareFiles, NetworkSpec};
use goldsmith::machine::watch::Limits;

use crate::fixture::{fixture, machines};
use crate::mounted_tree::{Seen, Tree, assert_same, kind_of, run, shown_by_us};

/// Sizes of the partitions in MiB: FAT16, FAT32, XFS, XFS without types in directories, two physical volumes.
const PARTITIONS: [u64; 6] = [64, 120, 320, 320, 400, 400];
/// The programs that run there. Their libraries are added.
const PROGRAMS: [&str; 3] = ["/usr/sbin/lvm", "/usr/sbin/mkfs.fat", "/usr/sbin/mkfs.xfs"];

/// Files for the guest: scripts, programs of this host with their libraries, and the loader that starts them.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = BTreeMap::from([
        ("fill.pl".to_owned(), include_bytes!("guest_filled/fill.pl").to_vec()),
        ("list.pl".to_owned(), include_bytes!("guest_filled/list.pl").to_vec()),
    ]);
    for program in PROGRAMS {
        let output = Command::new("ldd").arg(program).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
        for path in libraries.chain([program]).map(Path::new) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = if name.starts_with("ld-linux") { "ld.so" } else { name };
            files.insert(name.to_owned(), fs::read(path).unwrap());
        }
    }
    files.into_iter().collect()
}

/// Run `script` in a guest that boots the fixture's system, with `disks` as `/dev/vdb` and so on.
async fn in_guest(dir: &Path, script: RunnerTask, disks: &[PathBuf]) {
    let overlay = dir.join("system.qcow2");
    image::create_overlay(&fixture().artifact.join("debian-12-docker.qcow2"), Format::Qcow2, &overlay).await.unwrap();
    let boot = BootFiles::extract(&overlay, Format::Qcow2, dir).await.unwrap();
    let (kernel, initrd, arguments) = boot.parts();
    let (nonce, with_runner) = (nonce(), dir.join("with-runner"));
    append(initrd, &with_runner, Mode::Offline, &nonce, std::slice::from_ref(&script)).unwrap();
    let arguments: Vec<_> = arguments.split_whitespace().filter(|word| !matches!(*word, "ro" | "quiet")).collect();
    let mut drives = vec![Drive::scratch(&overlay, Format::Qcow2, "disk")];
    drives.extend(disks.iter().enumerate().map(|(number, path)| Drive::scratch(path, Format::Raw, format!("disk{number}"))));
    let accelerator = probe().await.unwrap().accelerator;
    let spec = MachineSpec {
        name: "filled".into(),
        accelerator,
        cpus: 1,
        memory: ByteSize::mib(1024),
        drives,
        boot: Boot::Kernel {
            kernel: kernel.to_owned(),
            initrd: with_runner,
            command_line: format!("{} rw panic=-1", arguments.join(" ")),
            firmware: FirmwareFiles::Bios,
        },
        begins: Begins::Booting,
        ports: vec![PORT.to_owned()],
        network: NetworkSpec::None,
        cards: 0,
        segment: None,
        volumes: Vec::new(),
        reboots: false,
    };
    let limits = || Limits::new(Duration::from_secs(180), accelerator);
    let task = Events::new(vec![Box::new(|_: &Event| {})]).task("fill");
    let mut guest = Guest::boot(&spec, &dir.join("machine"), nonce, (limits(), limits()), None, &task).await.unwrap();
    let mut said = Vec::new();
    let status = guest.run(&script.name, &task, |line| said.push(line.to_owned())).await.unwrap();
    assert_eq!(status, 0, "{}", said.join("\n"));
    guest.end(&task).await.unwrap();
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// A path, name or value, as `list.pl` writes it behind an `x`.
fn path(field: &str) -> PathBuf {
    Path::new("/").join(PathBuf::from(std::ffi::OsString::from_vec(bytes(field.strip_prefix('x').unwrap()))))
}

/// The tree in the output of `list.pl`.
fn listed(text: &str) -> Tree {
    let mut tree = Tree::new();
    assert!(text.ends_with("\nend\n"), "the listing is cut off");
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let ["sha256", name, digest] = fields[..] {
            tree.get_mut(&path(name)).unwrap().content = Some(digest.parse().unwrap());
            continue;
        }
        let [name, kind, mode, uid, gid, links, size, modified, inode, target, attributes] = fields[..] else { continue };
        let number = |text: &str| text.parse::<u64>().unwrap();
        let kind = kind_of(number(kind) as u32);
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap();
            (std::ffi::OsString::from_vec(bytes(name)), bytes(value))
        };
        let attributes = attributes.strip_prefix('x').unwrap();
        let mut xattrs: Vec<_> = attributes.split(',').filter(|text| !text.is_empty()).map(pair).collect();
        xattrs.sort();
        let content = (kind == FileKind::Symlink).then(|| Sha256Digest::of(&bytes(&target[1..])));
        let numbers = (number(mode) as u32, number(uid) as u32, number(gid) as u32, number(size), modified.parse().unwrap());
        let identity = Identity { inode: number(inode), links: number(links) as u32 };
        tree.insert(path(name), Seen { kind, numbers, content, xattrs, identity });
    }
    tree
}

/// FAT has no inodes, no links and no sizes of directories. The kernel invents these values, so they are not compared.
fn without_what_fat_lacks(tree: &mut Tree) {
    for (_, seen) in tree.iter_mut().filter(|(path, _)| path.starts_with("/fat16") || path.starts_with("/fat32")) {
        seen.identity = Identity { inode: 0, links: 1 };
        if seen.kind == FileKind::Directory {
            seen.numbers.3 = 0;
        }
    }
}

#[test]
#[ignore = "a guest writes and reads a gigabyte: ci/full runs it"]
fn what_a_guest_wrote_is_read_back() {
    let _machines = machines();
    let dir = tempfile::tempdir().unwrap();
    run(&dir, "truncate -s 1700M @/disk && truncate -s 32M @/listing");
    let sizes: Vec<_> = PARTITIONS.iter().map(|size| format!("-n 0:0:+{size}M")).collect();
    run(&dir, &format!("sgdisk {} @/disk", sizes.join(" ")));
    let disks = ["disk", "listing"].map(|name| dir.path().join(name));
    let script = RunnerTask { name: "fill".into(), script: include_bytes!("guest_filled/run").to_vec(), files: files() };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(in_guest(dir.path(), script, &disks));
    let listing = fs::read(&disks[1]).unwrap();
    let mut theirs = listed(String::from_utf8(listing).unwrap().trim_end_matches('\0'));
    let root = Root::open(&Disk::open(&disks[0]).unwrap()).unwrap();
    assert_eq!(root.unmounted(), [""; 0]);
    assert!(root.is_clean(), "{:?}", root.unclean());
    let mut ours = shown_by_us(&root);
    [&mut ours, &mut theirs].into_iter().for_each(without_what_fat_lacks);
    for place in ["filled", "old", "striped", "linear", "fat16", "fat32"] {
        let below = |tree: &Tree| tree.keys().filter(|path| path.starts_with(Path::new("/").join(place))).count();
        assert!(below(&theirs) > 2_300, "{place}: {}", below(&theirs));
    }
    assert_same(&ours, &theirs, "what the guest's kernel shows");
    let files = theirs.values().filter(|seen| seen.content.is_some()).count();
    assert!(files > 12_000, "{files}");
}
