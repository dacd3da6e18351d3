//! The kernel's view of an image's files. The kernel names files by number; each path that it asks for gets a number, which stays.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, Generation, INodeNo};

use crate::image::error::ImageError;
use crate::image::filesystem::{Entry, FileKind, Metadata, Xattr};
use crate::image::root::Root;

/// The time for which the kernel may cache answers. It is long, because an image does not change.
pub(super) const TTL: Duration = Duration::from_secs(3600);
/// Numbers are never given twice.
pub(super) const GENERATION: Generation = Generation(0);
/// Bytes of a block, as statfs(2) and stat(2) tell it.
const BLOCK_BYTES: u64 = 4096;

/// A root, and the numbers of its paths.
pub(super) struct Tree {
    root: Root,
    /// The path with the number `n` is at `n - 1`: the root of the image has fuser's number for it, 1.
    paths: Vec<PathBuf>,
    numbers: HashMap<PathBuf, u64>,
    /// The directory that was listed last: a large one is asked for in parts.
    listed: Option<(u64, Vec<Entry>)>,
}

impl Tree {
    pub(super) fn new(root: Root) -> Self {
        let top = PathBuf::from("/");
        Self { root, paths: vec![top.clone()], numbers: HashMap::from([(top, u64::from(INodeNo::ROOT))]), listed: None }
    }

    pub(super) fn lookup(&mut self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        let path = self.path(parent)?.join(name);
        let metadata = self.root.symlink_metadata(&path).map_err(errno)?;
        Ok(attributes(self.number(path), metadata))
    }

    pub(super) fn attributes(&self, number: INodeNo) -> Result<FileAttr, Errno> {
        let metadata = self.root.symlink_metadata(self.path(number)?).map_err(errno)?;
        Ok(attributes(number, metadata))
    }

    pub(super) fn link(&self, number: INodeNo) -> Result<OsString, Errno> {
        Ok(self.root.read_link(self.path(number)?).map_err(errno)?.into_os_string())
    }

    /// At most `size` bytes of a file from `offset` on.
    pub(super) fn read(&self, number: INodeNo, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let mut file = self.root.open_file(self.path(number)?).map_err(errno)?;
        file.skip(offset);
        let mut bytes = Vec::new();
        file.take(u64::from(size)).read_to_end(&mut bytes).map_err(|_| Errno::EIO)?;
        Ok(bytes)
    }

    /// Call `each` with the entries of a directory from the place `offset` on, and with the place of the next entry, until it has no more
    /// space.
    pub(super) fn list(
        &mut self,
        number: INodeNo,
        offset: u64,
        each: &mut dyn FnMut(INodeNo, u64, FileType, &OsStr) -> bool,
    ) -> Result<(), Errno> {
        let path = self.path(number)?.to_owned();
        let entries = match self.listed.take() {
            Some((listed, entries)) if listed == u64::from(number) => entries,
            _ => self.root.entries(&path).map_err(errno)?,
        };
        let parent = path.parent().and_then(|parent| self.numbers.get(parent)).map_or(number, |parent| INodeNo(*parent));
        let own = [(number, OsStr::new(".")), (parent, OsStr::new(".."))];
        let mut place = 0;
        let mut is_full = false;
        for (inode, name) in own {
            place += 1;
            is_full = is_full || (place > offset && each(inode, place, FileType::Directory, name));
        }
        for entry in &entries {
            place += 1;
            if is_full {
                break;
            }
            if place > offset {
                is_full = each(self.number(path.join(&entry.name)), place, kind(entry.metadata.kind), &entry.name);
            }
        }
        self.listed = Some((u64::from(number), entries));
        Ok(())
    }

    pub(super) fn xattrs(&self, number: INodeNo) -> Result<Vec<Xattr>, Errno> {
        self.root.xattrs(self.path(number)?).map_err(errno)
    }

    /// Blocks of the root filesystem, those of them that are free, and the bytes of one.
    pub(super) fn usage(&self) -> Result<(u64, u64, u32), Errno> {
        let usage = self.root.usage().map_err(errno)?;
        Ok((usage.size / BLOCK_BYTES, usage.free / BLOCK_BYTES, BLOCK_BYTES as u32))
    }

    fn path(&self, number: INodeNo) -> Result<&Path, Errno> {
        let place = usize::try_from(u64::from(number)).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| self.paths.get(place)).map(PathBuf::as_path).ok_or(Errno::ENOENT)
    }

    fn number(&mut self, path: PathBuf) -> INodeNo {
        let next = self.paths.len() as u64 + 1;
        let number = *self.numbers.entry(path.clone()).or_insert(next);
        if number == next {
            self.paths.push(path);
        }
        INodeNo(number)
    }
}

fn errno(error: ImageError) -> Errno {
    match error {
        ImageError::Absent { .. } => Errno::ENOENT,
        ImageError::OtherKind { .. } => Errno::EINVAL,
        _ => Errno::EIO,
    }
}

fn attributes(number: INodeNo, metadata: Metadata) -> FileAttr {
    let modified = time(metadata.modified);
    FileAttr {
        ino: number,
        size: metadata.size,
        // stat(2) counts blocks of 512 bytes.
        blocks: metadata.size.div_ceil(512),
        atime: modified,
        mtime: modified,
        ctime: modified,
        crtime: modified,
        kind: kind(metadata.kind),
        // 12 bits.
        perm: (metadata.mode & 0o7777) as u16,
        nlink: 1,
        uid: metadata.uid,
        gid: metadata.gid,
        rdev: 0,
        blksize: BLOCK_BYTES as u32,
        flags: 0,
    }
}

/// Readers do not tell character from block devices; the mount opens neither.
fn kind(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Directory => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Device => FileType::CharDevice,
        FileKind::Pipe => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
    }
}

fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}
