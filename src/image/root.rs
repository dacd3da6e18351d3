//! The files of a disk image as its system sees them: links resolved, filesystems mounted in their places.
//!
//! Filesystems of the disk that `/etc/fstab` names are seen in their places, and those that systemd mounts by itself. Symbolic links are followed inside the image and
//! nowhere else. btrfs and LUKS are refused by name, and LVM's volumes that are
//! neither linear nor striped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::automount;
use super::disk::Disk;
use super::error::ImageError;
use super::filesystem::{Entry, FileKind, Filesystem, FsError, Identity, Metadata, Usage, Xattr};
use super::fstab;
use super::open_file::OpenFile;
use super::superblock::FilesystemType;
use super::volume::Volume;

/// Links followed for one path (Linux: 40, `MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// Directories one in the other that a walk enters. A real system has some 30; a damaged directory can contain itself.
const MAX_DEPTH: usize = 128;
/// Entries that one walk sees. A damaged directory can contain itself; a real system has some 100 000.
const MAX_WALK_ENTRIES: usize = 1_000_000;
/// `/etc/fstab` that is read.
const MAX_FSTAB_BYTES: u64 = 64 << 10;

/// The files of a disk image. It is not [`Send`]: open and use it within one blocking task.
pub struct Root {
    disk: PathBuf,
    root: Mounted,
    /// Filesystems on directories, by their paths.
    mounts: Vec<(PathBuf, Mounted)>,
    unmounted: Vec<String>,
    /// The directory in which a path was resolved last, as it was named and where it really is: a walk asks for many in one directory.
    last: RefCell<Option<(PathBuf, PathBuf)>>,
}

/// Where a filesystem is mounted, and how full it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The directory.
    pub path: PathBuf,
    /// Index of its partition, or of the one where its logical volume begins; 0 on a disk without a partition table.
    pub partition: u32,
    /// The type of the filesystem.
    pub filesystem: FilesystemType,
    /// Its label; may be empty.
    pub label: String,
    /// Its room.
    pub usage: Usage,
}

/// A filesystem in its place.
struct Mounted {
    filesystem: Box<dyn Filesystem>,
    /// Index of its partition; 0 on a disk without a partition table.
    partition: u32,
    /// Byte of the disk at which it begins.
    start: u64,
}

impl Mounted {
    /// Open what `volume` holds; `None` when that cannot be read.
    fn open(volume: &Volume) -> Result<Option<Self>, ImageError> {
        let filesystem = volume.open()?;
        Ok(filesystem.map(|filesystem| Self { filesystem, partition: volume.partition(), start: volume.start() }))
    }

    /// Open the one of `volumes` that fstab(5) calls `source`. When none has that name, and one could not be opened, the error says why.
    fn find(volumes: &[Volume], source: &str) -> Result<Option<Self>, ImageError> {
        let mut failed = None;
        for volume in volumes {
            match Self::open(volume) {
                Ok(Some(mounted)) if volume.is_named(&*mounted.filesystem, source) => return Ok(Some(mounted)),
                Ok(_) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }
}

impl Root {
    /// Find and open the root filesystem: the first that holds a system.
    ///
    /// # Errors
    /// There is none that can be read, or the disk is damaged.
    pub fn open(disk: &Disk) -> Result<Self, ImageError> {
        let volumes = Volume::all(disk)?;
        let mut unread = Vec::new();
        for volume in &volumes {
            // A FAT has no owners and links, so it is no root.
            if volume.kind() == Some(FilesystemType::Vfat) {
                continue;
            }
            if let Some(root) = Mounted::open(volume)? {
                let mut found =
                    Self { disk: disk.path().to_owned(), root, mounts: Vec::new(), unmounted: Vec::new(), last: RefCell::default() };
                if found.holds_a_system()? {
                    found.mount(&volumes)?;
                    return Ok(found);
                }
            } else if let Some(what) = volume.unread() {
                unread.push((volume.start(), what));
            }
        }
        match unread.first() {
            Some((start, what)) => {
                let what =
                    format!("its root filesystem may be in {what}; ext4 and XFS on partitions or linear and striped LVM can be read");
                Err(ImageError::incompatible(disk.path(), *start, what))
            }
            None => Err(ImageError::absent(disk.path(), "root filesystem: no ext4 or XFS partition holds /etc/os-release or /etc/fstab")),
        }
    }

    /// Whether its filesystems were unmounted cleanly: nothing waits in a journal and no error is on record.
    pub fn is_clean(&self) -> bool {
        self.unclean().is_empty()
    }

    /// Where those of its filesystems are mounted that were not unmounted cleanly, each with its type: `/boot/efi (vfat)`.
    pub fn unclean(&self) -> Vec<String> {
        let unclean = self.all().filter(|(_, mounted)| !mounted.filesystem.is_clean());
        unclean.map(|(place, mounted)| format!("{} ({})", place.display(), mounted.filesystem.kind().name())).collect()
    }

    /// Entries of `/etc/fstab` that are not mounted here, each with the reason: `/srv (/dev/sdb1): no readable filesystem of this disk has
    /// that name`.
    pub fn unmounted(&self) -> &[String] {
        &self.unmounted
    }

    /// The type of the root filesystem.
    pub fn kind(&self) -> FilesystemType {
        self.root.filesystem.kind()
    }

    /// The filesystem's label; may be empty.
    pub fn label(&self) -> &str {
        self.root.filesystem.label()
    }

    /// The filesystem's UUID, as `root=UUID=` writes it.
    pub fn uuid(&self) -> String {
        self.root.filesystem.uuid()
    }

    /// The root filesystem, and those that are mounted in it, in the order of fstab(5).
    ///
    /// # Errors
    /// One is damaged.
    pub fn places(&self) -> Result<Vec<Place>, ImageError> {
        let place = |(path, mounted): (&Path, &Mounted)| {
            let Mounted { filesystem, partition, .. } = mounted;
            let usage = filesystem.usage().map_err(|error| self.failed(mounted, path, error))?;
            let label = filesystem.label().to_owned();
            Ok(Place { path: path.to_owned(), partition: *partition, filesystem: filesystem.kind(), label, usage })
        };
        self.all().map(place).collect()
    }

    /// Every filesystem, with the directory where it is mounted.
    fn all(&self) -> impl Iterator<Item = (&Path, &Mounted)> {
        let root = (Path::new("/"), &self.root);
        [root].into_iter().chain(self.mounts.iter().map(|(place, mounted)| (place.as_path(), mounted)))
    }

    /// Whether a filesystem of its own is mounted on `path`.
    pub(super) fn is_mount_point(&self, path: &Path) -> bool {
        self.mounts.iter().any(|(point, _)| point == path)
    }

    /// Whether `real`, a path without links, is on the root filesystem itself.
    pub(super) fn is_on_root(&self, real: &Path) -> bool {
        std::ptr::eq(self.locate(real).0, &self.root)
    }

    /// Where the filesystem is seen whose UUID is `uuid`, or whose label is `label`.
    pub(super) fn place_of(&self, uuid: Option<&str>, label: Option<&str>) -> Option<&Path> {
        let is_it = |Mounted { filesystem, .. }: &Mounted| {
            uuid.is_some_and(|uuid| filesystem.uuid().eq_ignore_ascii_case(uuid))
                || label.is_some_and(|label| !label.is_empty() && filesystem.label() == label)
        };
        self.all().find(|(_, mounted)| is_it(mounted)).map(|(place, _)| place)
    }

    /// How much room the root filesystem has.
    ///
    /// # Errors
    /// It is damaged.
    pub fn usage(&self) -> Result<Usage, ImageError> {
        self.root.filesystem.usage().map_err(|error| self.failed(&self.root, Path::new("/"), error))
    }

    /// Index of its partition; 0 on a disk without a partition table.
    pub fn partition(&self) -> u32 {
        self.root.partition
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

    /// The `size` bytes of the regular file `path` that begin at byte `offset`, links followed.
    ///
    /// # Errors
    /// It is not there, no regular file, ends before, or is damaged.
    pub fn read_range(&self, path: impl AsRef<Path>, offset: u64, size: u64) -> Result<Vec<u8>, ImageError> {
        let path = path.as_ref();
        self.read_part(path, |whole| match offset.checked_add(size) {
            Some(end) if end <= whole => Ok(offset..end),
            _ => {
                let what = format!("{} has {whole} bytes, {size} from byte {offset} on are wanted", path.display());
                Err(ImageError::corrupt(&self.disk, None, what))
            }
        })
    }

    /// Open the regular file `path`, links followed.
    ///
    /// # Errors
    /// It is not there, no regular file, or damaged.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<OpenFile<'_>, ImageError> {
        let path = path.as_ref().to_owned();
        let (mounted, inner) = self.locate(&self.real_of_kind(&path, FileKind::File)?);
        let content = mounted.filesystem.open(&inner).map_err(|error| self.failed(mounted, &path, error))?;
        Ok(OpenFile::new(content, Box::new(move |error| self.failed(mounted, &path, error))))
    }

    /// The bytes of what `path` leads to that `part` gives for its size.
    fn read_part(&self, path: &Path, part: impl FnOnce(u64) -> Result<Range<u64>, ImageError>) -> Result<Vec<u8>, ImageError> {
        let mut file = self.open_file(path)?;
        let part = part(file.size())?;
        let length = part.end.saturating_sub(part.start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.skip(part.start);
        file.take(length).read_to_end(&mut bytes).map_err(|source| ImageError::read(&self.disk, source))?;
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
        let (mounted, inner) = self.resolve(path, false)?;
        mounted.filesystem.read_link(&inner).map_err(|error| self.failed(mounted, path, error))
    }

    /// Which inode `path` itself is, of its filesystem, and how many names lead to it; a link at its end is not followed.
    ///
    /// # Errors
    /// It is not there, the filesystem is damaged, or its journal must be replayed first.
    pub fn identity(&self, path: impl AsRef<Path>) -> Result<Identity, ImageError> {
        let path = path.as_ref();
        let (mounted, inner) = self.resolve(path, false)?;
        mounted.filesystem.identity(&inner).map_err(|error| self.failed(mounted, path, error))
    }

    /// The extended attributes of `path` itself, sorted by name; a link at its end is not followed.
    ///
    /// # Errors
    /// It is not there, or the filesystem is damaged.
    pub fn xattrs(&self, path: impl AsRef<Path>) -> Result<Vec<Xattr>, ImageError> {
        let path = path.as_ref();
        let (mounted, inner) = self.resolve(path, false)?;
        mounted.filesystem.xattrs(&inner).map_err(|error| self.failed(mounted, path, error))
    }

    /// The names in the directory `path`, sorted, without `.` and `..`.
    ///
    /// # Errors
    /// It is not there, no directory, or damaged.
    pub fn read_dir(&self, path: impl AsRef<Path>) -> Result<Vec<OsString>, ImageError> {
        Ok(self.entries(path)?.into_iter().map(|entry| entry.name).collect())
    }

    /// The entries of the directory `path`, sorted by name, without `.` and `..`. Links are not followed.
    ///
    /// # Errors
    /// It is not there, no directory, or damaged.
    pub fn entries(&self, path: impl AsRef<Path>) -> Result<Vec<Entry>, ImageError> {
        let path = path.as_ref();
        self.entries_of(path, &self.real_of_kind(path, FileKind::Directory)?)
    }

    /// The entries of the directory `path`, which is really at `real`. A walk knows that, and need not resolve each part again.
    fn entries_of(&self, path: &Path, real: &Path) -> Result<Vec<Entry>, ImageError> {
        let (mounted, inner) = self.locate(real);
        let mut entries = mounted.filesystem.read_dir(&inner).map_err(|error| self.failed(mounted, path, error))?;
        // A filesystem that is mounted on a directory hides it, also in a listing.
        for (point, mounted) in self.mounts.iter().filter(|(point, _)| point.parent() == Some(real)) {
            if let Some(entry) = entries.iter_mut().find(|entry| Some(entry.name.as_os_str()) == point.file_name()) {
                entry.metadata = mounted.filesystem.metadata(Path::new("/")).map_err(|error| self.failed(mounted, point, error))?;
            }
        }
        // Callers join these names to paths.
        match entries.iter().find(|entry| !is_name(&entry.name)) {
            Some(entry) => {
                let what = format!("{} holds the name {:?}, which no file can have", path.display(), entry.name);
                Err(ImageError::corrupt(&self.disk, None, what))
            }
            None => Ok(entries),
        }
    }

    /// Everything below `path`, in the order of names, a directory before what it holds. Links are listed, not followed.
    ///
    /// # Errors
    /// `path` is not there, no directory, or damaged. An item is an error when a directory below cannot be read; it is the last one then.
    pub fn walk(&self, path: impl AsRef<Path>) -> Result<Walk<'_>, ImageError> {
        let path = path.as_ref();
        let real = self.real_of_kind(path, FileKind::Directory)?;
        let mut walk = Walk { root: self, base: path.to_owned(), real, waiting: Vec::new(), seen: 0 };
        walk.enter(path)?;
        Ok(walk)
    }

    /// Where `path` really is, links followed; it must be a `wanted`.
    fn real_of_kind(&self, path: &Path, wanted: FileKind) -> Result<PathBuf, ImageError> {
        let real = self.real_path(path, true)?;
        let (mounted, inner) = self.locate(&real);
        let found = mounted.filesystem.metadata(&inner).map_err(|error| self.failed(mounted, path, error))?.kind;
        if found == wanted {
            Ok(real)
        } else {
            Err(ImageError::OtherKind { path: self.disk.clone(), file: path.to_owned(), found, wanted })
        }
    }

    fn metadata_of(&self, path: &Path, follow: bool) -> Result<Metadata, ImageError> {
        let (mounted, inner) = self.resolve(path, follow)?;
        mounted.filesystem.metadata(&inner).map_err(|error| self.failed(mounted, path, error))
    }

    /// The filesystem that holds `path`, and the path in it: absolute, without dots and without links, except that the last part may be a
    /// link unless `follow`.
    fn resolve(&self, path: &Path, follow: bool) -> Result<(&Mounted, PathBuf), ImageError> {
        Ok(self.locate(&self.real_path(path, follow)?))
    }

    /// `path` without dots and without links, except that the last part may be a link unless `follow`.
    pub(super) fn real_path(&self, path: &Path, follow: bool) -> Result<PathBuf, ImageError> {
        let mut left: VecDeque<OsString> = components(path);
        let mut real = PathBuf::from("/");
        let parent = path.parent();
        let known = self.last.borrow().as_ref().filter(|(known, _)| Some(known.as_path()) == parent).map(|(_, real)| real.clone());
        let mut is_told = known.is_some();
        if let Some(known) = known {
            left.drain(..left.len().saturating_sub(1));
            real = known;
        }
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if left.is_empty() && !is_told {
                *self.last.borrow_mut() = parent.map(|parent| (parent.to_owned(), real.clone()));
                is_told = true;
            }
            if part == ".." {
                real.pop();
                continue;
            }
            real.push(&part);
            if left.is_empty() && !follow {
                break;
            }
            let (mounted, inner) = self.locate(&real);
            let metadata = mounted.filesystem.metadata(&inner).map_err(|error| self.failed(mounted, path, error))?;
            if metadata.kind != FileKind::Symlink {
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(ImageError::absent(&self.disk, format!("{}: its links lead nowhere", path.display())));
            }
            let target = mounted.filesystem.read_link(&inner).map_err(|error| self.failed(mounted, path, error))?;
            real.pop();
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            let mut target = components(&target);
            target.append(&mut left);
            left = target;
        }
        Ok(real)
    }

    fn locate(&self, real: &Path) -> (&Mounted, PathBuf) {
        let mounts = self.mounts.iter().filter_map(|(point, mounted)| Some((point, mounted, real.strip_prefix(point).ok()?)));
        // The innermost; of two on one directory the last hides the first, as `mount -a` leaves them.
        match mounts.max_by_key(|(point, ..)| point.components().count()) {
            Some((_, mounted, inner)) => (mounted, Path::new("/").join(inner)),
            None => (&self.root, real.to_owned()),
        }
    }

    /// Mount what `/etc/fstab` mounts and one of `volumes` holds.
    fn mount(&mut self, volumes: &[Volume]) -> Result<(), ImageError> {
        let text = self.read_if_there("/etc/fstab", MAX_FSTAB_BYTES)?.unwrap_or_default();
        for mount in fstab::mounts(&String::from_utf8_lossy(&text)) {
            let is_boot = mount.point == Path::new("/boot");
            let what = || format!("{} ({})", mount.point.display(), mount.source);
            if mount.is_manual && !is_boot {
                self.unmounted.push(format!("{}: it is mounted on demand", what()));
                continue;
            }
            match Mounted::find(volumes, &mount.source) {
                Ok(Some(mounted)) => self.mounts.push((mount.point, mounted)),
                // `/boot` must not be left out: the kernel and its arguments would not be found.
                Err(error) if is_boot => return Err(error),
                Ok(None) if is_boot => {
                    let what = format!("its /boot is {}, which is no ext4, XFS or FAT partition of this disk", mount.source);
                    return Err(ImageError::incompatible(&self.disk, None, what));
                }
                Ok(None) => self.unmounted.push(format!("{}: no readable filesystem of this disk has that name", what())),
                Err(error) => self.unmounted.push(format!("{}: no readable filesystem of this disk has that name; {error}", what())),
            }
        }
        let seen: Vec<_> = self.mounts.iter().map(|(point, mounted)| (point.clone(), mounted.start)).collect();
        let names = |dir: &Path| match self.read_dir(dir) {
            Err(ImageError::Absent { .. } | ImageError::OtherKind { .. }) => Ok(None),
            names => names.map(Some),
        };
        for (point, volume) in automount::mounts(volumes, &seen, &names)? {
            let mounted = Mounted::open(volume)?;
            self.mounts.extend(mounted.map(|mounted| (point, mounted)));
        }
        // A filesystem that is mounted now may hide a directory that was looked at before.
        self.last.take();
        Ok(())
    }

    fn holds_a_system(&self) -> Result<bool, ImageError> {
        for path in ["/etc/os-release", "/usr/lib/os-release", "/etc/fstab"] {
            // A link counts too: /etc/os-release is one, and it may lead out of this filesystem.
            match self.root.filesystem.metadata(Path::new(path)) {
                Ok(_) => return Ok(true),
                Err(FsError::Absent) => {}
                Err(error) => return Err(self.failed(&self.root, Path::new(path), error)),
            }
        }
        Ok(false)
    }

    fn failed(&self, mounted: &Mounted, path: &Path, error: FsError) -> ImageError {
        ImageError::filesystem(&self.disk, mounted.start, Some((mounted.filesystem.kind().name(), path)), error)
    }
}

/// Everything below a directory: see [`Root::walk`].
pub struct Walk<'a> {
    root: &'a Root,
    /// Where it began, as it was named.
    base: PathBuf,
    /// Where that really is. Below it no link is followed.
    real: PathBuf,
    /// The entries that are still to come, the next one last.
    waiting: Vec<(PathBuf, Metadata)>,
    seen: usize,
}

impl Walk<'_> {
    fn enter(&mut self, dir: &Path) -> Result<(), ImageError> {
        if dir.components().count() > MAX_DEPTH {
            let what = format!("{MAX_DEPTH} directories lie in each other, as if one held itself");
            return Err(ImageError::corrupt(&self.root.disk, None, what));
        }
        let real = dir.strip_prefix(&self.base).map_or_else(|_| dir.to_owned(), |below| self.real.join(below));
        let entries = self.root.entries_of(dir, &real)?;
        self.seen += entries.len();
        if self.seen > MAX_WALK_ENTRIES {
            let what = format!("{} holds more than {MAX_WALK_ENTRIES} files", dir.display());
            return Err(ImageError::corrupt(&self.root.disk, None, what));
        }
        self.waiting.extend(entries.into_iter().rev().map(|entry| (dir.join(&entry.name), entry.metadata)));
        Ok(())
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(PathBuf, Metadata), ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (path, metadata) = self.waiting.pop()?;
        if metadata.kind == FileKind::Directory
            && let Err(error) = self.enter(&path)
        {
            self.waiting.clear();
            return Some(Err(error));
        }
        Some(Ok((path, metadata)))
    }
}

/// Whether a directory can hold `name`.
fn is_name(name: &OsStr) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.as_bytes().iter().any(|byte| matches!(byte, b'/' | 0))
}

fn components(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        _ => None,
    });
    parts.collect()
}
