//! The root filesystem of a disk image, read without a mount: ext4 by `ext4-view`, which replays a journal in memory.
//!
//! `/boot` on a partition of its own is seen in its place when `/etc/fstab` names it. Symbolic links are followed inside the image and
//! nowhere else. xfs, btrfs, LVM and LUKS are refused by name.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use ext4_view::{Ext4, Ext4Error};
use serde::Serialize;

use super::disk::Disk;
use super::error::ImageError;
use super::partition::{Partition, PartitionTable};
use super::superblock::{FilesystemType, Superblock};

/// Links followed for one path (Linux: 40, `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// Entries that one walk sees. A damaged directory can contain itself; a real system has some 100 000.
const MAX_WALK_ENTRIES: usize = 1_000_000;
/// `/etc/fstab` that is read.
const MAX_FSTAB_BYTES: u64 = 64 << 10;

/// The root filesystem of a disk image. It is not [`Send`]: open and use it within one blocking task.
pub struct Root {
    disk: PathBuf,
    root: Volume,
    boot: Option<Volume>,
    /// Index of its partition; 0 on a disk without a partition table.
    partition: u32,
}

struct Volume {
    ext4: Ext4,
    superblock: Superblock,
}

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Device,
    Pipe,
    Socket,
}

/// What a file's inode says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, with set-uid, set-gid and sticky: 12 bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
}

impl Root {
    /// Find and open the root filesystem: the first ext4 partition that holds a system, or the whole disk without a partition table.
    ///
    /// # Errors
    /// There is none that can be read, or the disk is damaged.
    pub fn open(disk: &Disk) -> Result<Self, ImageError> {
        let table = PartitionTable::read(disk)?;
        let whole = [Partition::whole(disk)];
        let partitions = table.as_ref().map_or(&whole[..], |table| &table.partitions);
        let mut unread = Vec::new();
        for partition in partitions {
            match FilesystemType::detect(&disk.slice(partition.start, partition.size)) {
                Some(FilesystemType::Ext4) => {
                    let root = Volume::open(disk, partition)?;
                    if root.holds_a_system(disk)? {
                        let mut found = Self { disk: disk.path().to_owned(), root, boot: None, partition: partition.index };
                        found.boot = found.find_boot(disk, partitions)?;
                        return Ok(found);
                    }
                }
                Some(kind @ (FilesystemType::Xfs | FilesystemType::Btrfs | FilesystemType::Lvm | FilesystemType::Luks)) => {
                    unread.push((partition.start, kind));
                }
                _ => {}
            }
        }
        match unread.first() {
            Some((start, kind)) => {
                let what = format!("its root filesystem may be in {}, which cannot be read yet; ext4 can", kind.name());
                Err(ImageError::incompatible(disk.path(), *start, what))
            }
            None => Err(ImageError::absent(disk.path(), "root filesystem: no ext4 partition holds /etc/os-release or /etc/fstab")),
        }
    }

    /// Whether it was unmounted cleanly: nothing waits in the journal and no error is on record.
    pub fn is_clean(&self) -> bool {
        self.root.superblock.is_clean && self.boot.as_ref().is_none_or(|boot| boot.superblock.is_clean)
    }

    /// The filesystem's label; may be empty.
    pub fn label(&self) -> &str {
        &self.root.superblock.label
    }

    /// The filesystem's UUID, as `root=UUID=` writes it.
    pub fn uuid(&self) -> String {
        self.root.superblock.uuid.to_string()
    }

    /// Index of its partition; 0 on a disk without a partition table.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The disk image it is in.
    pub fn disk(&self) -> &Path {
        &self.disk
    }

    /// The whole of the regular file `path`, links followed.
    ///
    /// # Errors
    /// It is not there, no regular file, larger than `max_bytes`, or damaged.
    pub fn read(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>, ImageError> {
        let path = path.as_ref();
        self.read_part(path, |size| {
            if size <= max_bytes {
                return Ok(0..size);
            }
            let what = format!("{} has {size} bytes, {max_bytes} at most are read", path.display());
            Err(ImageError::incompatible(&self.disk, None, what))
        })
    }

    /// The last `max_bytes` of the regular file `path`, links followed; all of it, when it has no more.
    ///
    /// # Errors
    /// It is not there, no regular file, or damaged.
    pub fn read_end(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>, ImageError> {
        self.read_part(path.as_ref(), |size| Ok(size.saturating_sub(max_bytes)..size))
    }

    /// The first `max_bytes` of the regular file `path`, links followed; all of it, when it has no more.
    ///
    /// # Errors
    /// It is not there, no regular file, or damaged.
    pub fn read_start(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Vec<u8>, ImageError> {
        self.read_part(path.as_ref(), |size| Ok(0..size.min(max_bytes)))
    }

    /// The bytes of what `path` leads to that `part` gives for its size.
    fn read_part(&self, path: &Path, part: impl FnOnce(u64) -> Result<Range<u64>, ImageError>) -> Result<Vec<u8>, ImageError> {
        let (volume, inner) = self.resolve(path, true)?;
        let failed = |error| self.failed(path, error);
        let mut file = volume.ext4.open(inner.as_path()).map_err(failed)?;
        let size = file.metadata().len();
        let part = part(size)?;
        file.seek_to(part.start).map_err(failed)?;
        let mut bytes = vec![0; usize::try_from(part.end.saturating_sub(part.start)).unwrap_or_default()];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_bytes(&mut bytes[filled..]).map_err(failed)? {
                0 => break,
                count => filled += count,
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// As [`Root::read`], but `None` when there is nothing of that name.
    ///
    /// # Errors
    /// As [`Root::read`].
    pub fn read_if_there(&self, path: impl AsRef<Path>, max_bytes: u64) -> Result<Option<Vec<u8>>, ImageError> {
        match self.read(path, max_bytes) {
            Err(ImageError::Absent { .. }) => Ok(None),
            result => result.map(Some),
        }
    }

    /// Whether `path` leads to something, links followed.
    ///
    /// # Errors
    /// The filesystem is damaged.
    pub fn exists(&self, path: impl AsRef<Path>) -> Result<bool, ImageError> {
        match self.metadata(path) {
            Err(ImageError::Absent { .. }) => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// What `path` leads to, links followed.
    ///
    /// # Errors
    /// It is not there, or the filesystem is damaged.
    pub fn metadata(&self, path: impl AsRef<Path>) -> Result<Metadata, ImageError> {
        self.metadata_of(path.as_ref(), true)
    }

    /// What `path` itself is; a link at its end is not followed.
    ///
    /// # Errors
    /// As [`Root::metadata`].
    pub fn symlink_metadata(&self, path: impl AsRef<Path>) -> Result<Metadata, ImageError> {
        self.metadata_of(path.as_ref(), false)
    }

    /// Where the link `path` points, as written.
    ///
    /// # Errors
    /// It is not there, no link, or the filesystem is damaged.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<PathBuf, ImageError> {
        let path = path.as_ref();
        let (volume, inner) = self.resolve(path, false)?;
        volume.ext4.read_link(inner.as_path()).map(PathBuf::from).map_err(|error| self.failed(path, error))
    }

    /// The names in the directory `path`, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// It is not there, no directory, or damaged.
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Result<Vec<OsString>, ImageError> {
        let entries = self.entries(path.as_ref())?;
        Ok(entries.iter().map(|entry| OsStr::from_bytes(entry.file_name().as_ref()).to_owned()).collect())
    }

    /// Visit everything below `path`, in the order of names, a directory before what it holds. Links are visited, not followed.
    ///
    /// # Errors
    /// As [`Root::read_dir`].
    pub fn walk(&self, path: impl AsRef<Path>, mut visit: impl FnMut(&Path, &Metadata)) -> Result<(), ImageError> {
        let mut waiting = vec![path.as_ref().to_owned()];
        let mut seen = 0;
        while let Some(dir) = waiting.pop() {
            let mut below = Vec::new();
            // A directory's entries are visited when it is, so that parents come first; its directories follow, depth first.
            for entry in self.entries(&dir)? {
                let path = dir.join(OsStr::from_bytes(entry.file_name().as_ref()));
                let metadata = metadata_from(&entry.metadata().map_err(|error| self.failed(&path, error))?);
                visit(&path, &metadata);
                if metadata.kind == FileKind::Directory {
                    below.push(path);
                }
                seen += 1;
                if seen > MAX_WALK_ENTRIES {
                    return Err(self.endless(&dir));
                }
            }
            waiting.extend(below.into_iter().rev());
        }
        Ok(())
    }

    fn metadata_of(&self, path: &Path, follow: bool) -> Result<Metadata, ImageError> {
        let (volume, inner) = self.resolve(path, follow)?;
        let raw = volume.ext4.symlink_metadata(inner.as_path()).map_err(|error| self.failed(path, error))?;
        Ok(metadata_from(&raw))
    }

    /// What a directory holds, by name, without `.` and `..`.
    fn entries(&self, path: &Path) -> Result<Vec<ext4_view::DirEntry>, ImageError> {
        let (volume, inner) = self.resolve(path, true)?;
        let failed = |error| self.failed(path, error);
        let mut entries = Vec::new();
        for entry in volume.ext4.read_dir(inner.as_path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if !matches!(entry.file_name().as_ref(), b"." | b"..") {
                entries.push(entry);
            }
            if entries.len() > MAX_WALK_ENTRIES {
                return Err(self.endless(path));
            }
        }
        entries.sort_by(|a, b| a.file_name().as_ref().cmp(b.file_name().as_ref()));
        Ok(entries)
    }

    /// The filesystem that holds `path`, and the path in it: absolute, without links (but for the last part, unless `follow`) and dots.
    fn resolve(&self, path: &Path, follow: bool) -> Result<(&Volume, PathBuf), ImageError> {
        let mut left: VecDeque<OsString> = components(path);
        let mut real = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                real.pop();
                continue;
            }
            real.push(&part);
            if left.is_empty() && !follow {
                break;
            }
            let (volume, inner) = self.locate(&real);
            let metadata = volume.ext4.symlink_metadata(inner.as_path()).map_err(|error| self.failed(path, error))?;
            if !metadata.is_symlink() {
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(ImageError::absent(&self.disk, format!("{}: its links lead nowhere", path.display())));
            }
            let target = PathBuf::from(volume.ext4.read_link(inner.as_path()).map_err(|error| self.failed(path, error))?);
            real.pop();
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            let mut target = components(&target);
            target.append(&mut left);
            left = target;
        }
        let (volume, inner) = self.locate(&real);
        Ok((volume, inner))
    }

    fn locate(&self, real: &Path) -> (&Volume, PathBuf) {
        match (&self.boot, real.strip_prefix("/boot")) {
            (Some(boot), Ok(inner)) => (boot, Path::new("/").join(inner)),
            _ => (&self.root, real.to_owned()),
        }
    }

    /// The filesystem that `/etc/fstab` mounts on `/boot`, when it is an ext4 partition of this disk.
    fn find_boot(&self, disk: &Disk, partitions: &[Partition]) -> Result<Option<Volume>, ImageError> {
        let fstab = self.read_if_there("/etc/fstab", MAX_FSTAB_BYTES)?.unwrap_or_default();
        let fstab = String::from_utf8_lossy(&fstab);
        // fstab(5): a line that begins with `#` is a comment. Debian's installer writes `# /boot was on /dev/vda1 during installation`.
        let entries = fstab.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
        let mut lines = entries.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(source) =
            lines.find(|words| words.get(1) == Some(&"/boot")).and_then(|words| words.first().map(|word| (*word).to_owned()))
        else {
            return Ok(None);
        };
        for partition in partitions {
            if FilesystemType::detect(&disk.slice(partition.start, partition.size)) != Some(FilesystemType::Ext4) {
                continue;
            }
            let volume = Volume::open(disk, partition)?;
            let names = [
                format!("UUID={}", volume.superblock.uuid),
                format!("LABEL={}", volume.superblock.label),
                format!("PARTUUID={}", partition.uuid),
                format!("/dev/vda{}", partition.index),
                format!("/dev/sda{}", partition.index),
            ];
            if names.iter().any(|name| name.eq_ignore_ascii_case(source.trim_matches('"'))) {
                return Ok(Some(volume));
            }
        }
        Err(ImageError::incompatible(&self.disk, None, format!("its /boot is {source}, which is no ext4 partition of this disk")))
    }

    fn failed(&self, path: &Path, error: Ext4Error) -> ImageError {
        failed(&self.disk, path, error)
    }

    fn endless(&self, path: &Path) -> ImageError {
        ImageError::corrupt(&self.disk, None, format!("{} holds more than {MAX_WALK_ENTRIES} files", path.display()))
    }
}

impl Volume {
    fn open(disk: &Disk, partition: &Partition) -> Result<Self, ImageError> {
        let slice = disk.slice(partition.start, partition.size);
        let superblock = Superblock::read(&slice).map_err(|what| ImageError::corrupt(disk.path(), partition.start, what))?;
        let ext4 = Ext4::load(Box::new(slice)).map_err(|error| match error {
            // Journals without checksums (EL7's) and those that no kernel has seen yet. `replay` says what can be done.
            Ext4Error::Incompatible(what) if !superblock.is_clean => {
                let what = format!("it was not unmounted cleanly, and its journal cannot be replayed here ({what})");
                ImageError::incompatible(disk.path(), partition.start, what)
            }
            error => failed(disk.path(), Path::new("/"), error),
        })?;
        Ok(Self { ext4, superblock })
    }

    fn holds_a_system(&self, disk: &Disk) -> Result<bool, ImageError> {
        for path in ["/etc/os-release", "/usr/lib/os-release", "/etc/fstab"] {
            // A link is as good: /etc/os-release is one, and it may lead out of this filesystem.
            match self.ext4.symlink_metadata(path) {
                Ok(_) => return Ok(true),
                Err(Ext4Error::NotFound | Ext4Error::NotADirectory) => {}
                Err(error) => return Err(failed(disk.path(), Path::new(path), error)),
            }
        }
        Ok(false)
    }
}

fn components(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        _ => None,
    });
    parts.collect()
}

fn metadata_from(raw: &ext4_view::Metadata) -> Metadata {
    Metadata { kind: kind_of(raw.file_type()), mode: u32::from(raw.mode()) & 0o7777, uid: raw.uid(), gid: raw.gid(), size: raw.len() }
}

fn kind_of(kind: ext4_view::FileType) -> FileKind {
    match kind {
        ext4_view::FileType::Regular => FileKind::File,
        ext4_view::FileType::Directory => FileKind::Directory,
        ext4_view::FileType::Symlink => FileKind::Symlink,
        ext4_view::FileType::BlockDevice | ext4_view::FileType::CharacterDevice => FileKind::Device,
        ext4_view::FileType::Fifo => FileKind::Pipe,
        ext4_view::FileType::Socket => FileKind::Socket,
    }
}

fn failed(disk: &Path, path: &Path, error: Ext4Error) -> ImageError {
    match error {
        Ext4Error::NotFound | Ext4Error::NotADirectory | Ext4Error::TooManySymlinks => ImageError::absent(disk, path.display().to_string()),
        Ext4Error::Io(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => ImageError::read(disk, *source),
            Err(source) => ImageError::read(disk, std::io::Error::other(source)),
        },
        Ext4Error::Corrupt(what) => ImageError::corrupt(disk, None, format!("ext4, {}: {what}", path.display())),
        other => ImageError::incompatible(disk, None, format!("{}: {other}", path.display())),
    }
}
