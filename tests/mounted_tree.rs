//! Trees of files that the kernel writes through a loop mount, as shown by the kernel and by goldsmith.

pub mod fill;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use goldsmith::base::digest::Sha256Digest;
use goldsmith::image::{Disk, FileKind, Identity, Root, Xattr};
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use tempfile::TempDir;

/// The end of a file that is compared when the file is too long to be read.
const END: u64 = 1 << 20;
/// A file that is longer is compared at its end only.
const LONG: u64 = 1 << 30;

/// Run `line`, in which `@` stands for the directory. Returns its output; it must succeed.
#[track_caller]
pub fn run(dir: &TempDir, line: &str) -> String {
    let (success, text) = tried(dir, line);
    assert!(success, "{line}: {text}");
    text
}

/// As [`run`], but it may fail.
pub fn tried(dir: &TempDir, line: &str) -> (bool, String) {
    let line = line.replace('@', dir.path().to_str().unwrap());
    let mut command = Command::new("sh");
    // mkfs.xfs makes small filesystems and small logs only when these variables show that xfstests calls it (`validate_supported`,
    // mkfs/xfs_mkfs.c).
    command.args(["-c", &line]).envs([("TEST_DIR", "x"), ("TEST_DEV", "x"), ("QA_CHECK_FS", "x")]);
    let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The right to take or give back loop devices. Without it, another program may take a device between the moment it is found free and the
/// mount.
pub fn loop_devices() -> MutexGuard<'static, ()> {
    static LOOP_DEVICES: Mutex<()> = Mutex::new(());
    LOOP_DEVICES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Give this thread and its children a separate mount namespace. Programs that other tests start copy the mounts that they see. A
/// filesystem in such a copy stays in use until the program ends, and cannot be mounted in another way.
fn own_mounts() {
    // SAFETY: only parting with file descriptors would harm other threads, and these are kept.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
}

/// A mounted `disk` of the directory, at `m`.
pub struct Mount<'a>(&'a TempDir);

impl<'a> Mount<'a> {
    pub fn new(dir: &'a TempDir, options: &str) -> Self {
        own_mounts();
        let _loops = loop_devices();
        run(dir, &format!("mkdir -p @/m && mount -o loop{options} @/disk @/m"));
        Self(dir)
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("m")
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _loops = loop_devices();
        // A child that another test starts has the files of this process open for a moment.
        let mut unmounted = tried(self.0, "umount @/m");
        for _ in 0..100 {
            if unmounted.0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            unmounted = tried(self.0, "umount @/m");
        }
        assert!(unmounted.0 || std::thread::panicking(), "{}", unmounted.1);
    }
}

/// Everything that a reader returns about a path.
#[derive(PartialEq, Eq)]
pub struct Seen {
    pub kind: FileKind,
    /// Mode, owner, group, size, time of the last change.
    pub numbers: (u32, u32, u32, u64, i64),
    /// Digest of a file's content, or of a link's target.
    pub content: Option<Sha256Digest>,
    pub xattrs: Vec<Xattr>,
    pub identity: Identity,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let xattrs: Vec<_> = self.xattrs.iter().map(|(name, value)| (name, value.len(), Sha256Digest::of(value).to_string())).collect();
        write!(f, "{:?} {:?} {:?} {:?} {xattrs:?}", self.kind, self.identity, self.numbers, self.content.map(|content| content.to_string()))
    }
}

pub type Tree = BTreeMap<PathBuf, Seen>;

/// The kind in the upper four bits of a mode (inode(7), `S_IFMT`).
pub fn kind_of(bits: u32) -> FileKind {
    match bits {
        0o4 => FileKind::Directory,
        0o10 => FileKind::File,
        0o12 => FileKind::Symlink,
        0o1 => FileKind::Pipe,
        0o14 => FileKind::Socket,
        _ => FileKind::Device,
    }
}

/// The tree below `top`, as the kernel shows it.
pub fn shown_by_kernel(top: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let kind = kind_of(metadata.mode() >> 12);
        let content = match kind {
            FileKind::Symlink => Some(fs::read_link(&path).unwrap().into_os_string().into_vec()),
            FileKind::File => {
                let mut file = File::open(&path).unwrap();
                if metadata.len() > LONG {
                    file.seek(SeekFrom::End(-(END as i64))).unwrap();
                }
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).unwrap();
                Some(bytes)
            }
            _ => None,
        };
        if kind == FileKind::Directory {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let numbers = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid(), metadata.len(), metadata.mtime());
        let content = content.map(|content| Sha256Digest::of(&content));
        let identity = Identity { inode: metadata.ino(), links: metadata.nlink() as u32 };
        let seen = Seen { kind, numbers, content, xattrs: xattrs_by_kernel(&path), identity };
        tree.insert(Path::new("/").join(path.strip_prefix(top).unwrap()), seen);
    }
    tree
}

/// Attributes of `path` itself. Linux shows an access list of XFS as `system.posix_acl_access`, and to root also in the form on the disk,
/// as `trusted.SGI_ACL_FILE`. goldsmith shows the second.
fn xattrs_by_kernel(path: &Path) -> Vec<Xattr> {
    let mut list = vec![0; 1 << 16];
    let count = rustix::fs::llistxattr(path, &mut list[..]).unwrap();
    let names: Vec<&[u8]> = list[..count].split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    let is_xfs = names.iter().any(|name| name.starts_with(b"trusted.SGI_ACL"));
    let names = names.into_iter().filter(|name| !is_xfs || !name.starts_with(b"system."));
    let mut found: Vec<Xattr> = names
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let count = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
            value.truncate(count);
            (OsStr::from_bytes(name).to_owned(), value)
        })
        .collect();
    found.sort();
    found
}

/// The tree, as goldsmith's reader shows it.
pub fn shown_by_us(root: &Root) -> Tree {
    let mut tree = Tree::new();
    let top = ("/".into(), root.symlink_metadata("/").unwrap());
    for (path, metadata) in std::iter::once(top).chain(root.walk("/").unwrap().map(Result::unwrap)) {
        let path: PathBuf = path;
        let content = match metadata.kind {
            FileKind::Symlink => Some(root.read_link(&path).unwrap().into_os_string().into_vec()),
            FileKind::File if metadata.size > LONG => Some(root.read_end(&path, END).unwrap()),
            FileKind::File => {
                let mut bytes = Vec::new();
                root.open_file(&path).unwrap().read_to_end(&mut bytes).unwrap();
                Some(bytes)
            }
            _ => None,
        };
        // The metadata of a name in a list and of the path itself are equal.
        assert_eq!(root.symlink_metadata(&path).unwrap(), metadata, "{}", path.display());
        let numbers = (metadata.mode, metadata.uid, metadata.gid, metadata.size, metadata.modified);
        let content = content.map(|content| Sha256Digest::of(&content));
        let seen =
            Seen { kind: metadata.kind, numbers, content, xattrs: root.xattrs(&path).unwrap(), identity: root.identity(&path).unwrap() };
        tree.insert(path, seen);
    }
    tree
}

pub fn assert_same(ours: &Tree, theirs: &Tree, what: &str) {
    for (path, theirs) in theirs {
        assert_eq!(ours.get(path), Some(theirs), "{what}: {}", path.display());
    }
    let more: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    assert!(more.is_empty(), "{what}: {more:?}");
}

/// The root on `disk` in the directory.
pub fn open(dir: &TempDir) -> Root {
    Root::open(&Disk::open(&dir.path().join("disk")).unwrap()).unwrap()
}

pub fn name(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
