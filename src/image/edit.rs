//! Puts files into overlays of an image, without root, a mount or a boot.
//!
//! The root filesystem, an ext4, is expanded into a file once. debugfs(8) writes the files of one copy there and notes in an undo file which blocks it
//! has written: these become the overlay, and are put back for the next copy.

mod put;
mod script;
mod undo;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{self, File, Permissions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::Disk;
use super::error::ImageError;
use super::export::overlay::{self, OVERLAY_CLUSTER};
use super::export::{Backing, ExportFormat, export, unused};
use super::filesystem::FileKind;
use super::root::Root;
use super::superblock::FilesystemType;
use super::volume::Volume;
use crate::base::aside::beside;
use crate::base::atomic::NewFile;
use crate::base::event::Task;
use crate::base::process::{Invocation, Tool};
use crate::base::read_at::ReadAt;
use crate::base::text::printable;
use crate::hardware::Format;
pub use put::PutFile;
use script::{Expected, LABEL, Script, Spot};

/// How long debugfs may take for the files of one copy. It took 12 ms.
const PATIENCE: Duration = Duration::from_secs(60);
/// Names of files in the scratch directory.
const EXPANDED: &str = "root.raw";
const COMMANDS: &str = "commands";
const UNDO: &str = "undo";
/// How lines begin that debugfs writes without a failure (e2fsprogs 1.47.0).
const TALK: [&str; 4] = ["Overwriting existing filesystem", "e2undo", "debugfs", "Allocated inode"];
/// Bytes of a file that is put into an image.
const MAX_BYTES: u64 = 64 << 20;

/// An image whose copies get files of their own.
pub struct Editor {
    disk: Disk,
    /// That of the root filesystem.
    uuid: String,
    /// A directory that holds the expanded filesystem.
    scratch: PathBuf,
}

impl Editor {
    /// Expand the root filesystem of `disk` into the directory `scratch`, which nothing else uses.
    ///
    /// # Errors
    /// The root filesystem is no ext4 or was not unmounted, the disk cannot be read, or the host lacks space.
    pub async fn new(disk: &Disk, scratch: &Path, task: &Task) -> Result<Self, ImageError> {
        let opened = disk.clone();
        let (uuid, root) = beside(move |_| editable(&opened)).await?;
        let free = unused(&root, task).await?;
        export(&root, free, ExportFormat::Raw, &scratch.join(EXPANDED), task).await?;
        Ok(Self { disk: disk.clone(), uuid, scratch: scratch.to_owned() })
    }

    /// Make the overlay `target` over `backing`, which is the image, with `files` in it. Its disk has `size` bytes, no fewer than the image's.
    ///
    /// # Errors
    /// A file cannot be put there, debugfs is missing or did not do it, or `target` is there or cannot be written.
    pub async fn overlay(&mut self, files: &[PutFile], backing: Backing<'_>, size: u64, target: &Path) -> Result<(), ImageError> {
        let (expected, said) = self.change(files).await?;
        let refused = || self.refused(&said);
        let new = NewFile::beside(target).map_err(|source| ImageError::write(target, source))?;
        if !self.scratch.join(UNDO).exists() {
            return Err(refused());
        }
        self.write(new, backing, size, target)?;
        let overlay = target.to_owned();
        if beside(move |_| verify(&overlay, &expected)).await? { Ok(()) } else { Err(refused()) }
    }

    /// An error with debugfs's own message that it did not follow a command.
    fn refused(&self, said: &[String]) -> ImageError {
        // debugfs mentions the undo file, repeats each command after `debugfs:`, and names what it allocates. All other lines are failures;
        // the first one is the cause of the others.
        let is_talk = |line: &str| line.is_empty() || TALK.iter().any(|begins| line.starts_with(begins));
        let cause = said.iter().map(|line| line.trim()).find(|line| !is_talk(line)).unwrap_or("it did not write what it was told");
        ImageError::NotEditable { path: self.disk.path().to_owned(), what: format!("debugfs failed: {}", printable(cause)) }
    }

    /// Have debugfs put `files` into the expanded filesystem. Returns the planned files, and debugfs's output.
    async fn change(&self, files: &[PutFile]) -> Result<(Vec<Expected>, Vec<String>), ImageError> {
        let (disk, files) = (self.disk.clone(), files.to_vec());
        let Script { commands, sources, expected } = beside(move |_| script(&disk, &files)).await?;
        let sources = sources.into_iter().chain([(COMMANDS.to_owned(), commands.into_bytes())]);
        for (name, bytes) in sources {
            let path = self.scratch.join(name);
            fs::write(&path, bytes).map_err(|source| ImageError::write(&path, source))?;
        }
        // The exit status does not tell when a command fails, so the overlay is read afterwards.
        let debugfs = Invocation::new(Tool::Debugfs).args(["-w", "-z", UNDO, "-f", COMMANDS, EXPANDED]).current_dir(&self.scratch);
        let mut said = Vec::new();
        debugfs.within(PATIENCE).run_with(|line| said.push(line.to_owned())).await?;
        Ok((expected, said))
    }

    /// Write what debugfs has changed to `new` as an overlay, and put the expanded filesystem back as it was.
    fn write(&self, new: NewFile, backing: Backing<'_>, size: u64, target: &Path) -> Result<(), ImageError> {
        let (expanded, undo) = (self.scratch.join(EXPANDED), self.scratch.join(UNDO));
        let told = fs::read(&undo).map_err(|source| ImageError::read(&undo, source))?;
        let runs = undo::changed(&told).map_err(|what| ImageError::corrupt(&undo, None, what))?;
        fs::remove_file(&undo).map_err(|source| ImageError::write(&undo, source))?;
        let file = File::options().read(true).write(true).open(&expanded).map_err(|source| ImageError::write(&expanded, source))?;
        let volumes = Volume::all(&self.disk)?;
        let volume = root_volume(&self.disk, &volumes, &self.uuid)?;
        let clusters = changed_clusters(&self.disk, volume, &file, &runs).map_err(|source| ImageError::read(self.disk.path(), source))?;
        let failed = |source| ImageError::write(target, source);
        overlay::write(new.file(), size, backing, clusters).map_err(failed)?;
        // Others may read an image, but a file in the making is private.
        new.file().set_permissions(Permissions::from_mode(0o644)).map_err(failed)?;
        new.publish().map_err(failed)?;
        put_back(volume, &file, &runs).map_err(|source| ImageError::write(&expanded, source))
    }
}

/// The root filesystem of `disk`, when files can be put there: its UUID, and its bytes as a disk of its own.
fn editable(disk: &Disk) -> Result<(String, Disk), ImageError> {
    let root = Root::open(disk)?;
    let refused = |what: String| Err(ImageError::NotEditable { path: disk.path().to_owned(), what });
    let uuid = root.uuid();
    if root.kind() != FilesystemType::Ext4 {
        return refused(format!("its root filesystem is {}, and files can be put into ext4 only", root.kind().name()));
    }
    if !root.is_clean() {
        return refused(format!("it was not unmounted cleanly: {}", root.unclean().join(", ")));
    }
    let volumes = Volume::all(disk)?;
    let bytes = root_volume(disk, &volumes, &uuid)?.bytes().clone();
    Ok((uuid, disk.clone().showing(Arc::new(bytes))))
}

/// The one of `volumes`, which are those of `disk`, whose ext4 has this UUID.
fn root_volume<'a, 'b>(disk: &Disk, volumes: &'a [Volume<'b>], uuid: &str) -> Result<&'a Volume<'b>, ImageError> {
    for volume in volumes.iter().filter(|volume| volume.kind() == Some(FilesystemType::Ext4)) {
        if volume.open()?.is_some_and(|filesystem| filesystem.uuid() == uuid) {
            return Ok(volume);
        }
    }
    Err(ImageError::absent(disk.path(), "root filesystem"))
}

/// The commands with which debugfs puts `files` into the root filesystem of `disk`.
fn script(disk: &Disk, files: &[PutFile]) -> Result<Script, ImageError> {
    let root = Root::open(disk)?;
    let label = root.xattrs("/")?.into_iter().find(|(name, _)| name == LABEL).map(|(_, value)| value);
    let mut script = Script::default();
    // A directory that the commands for one file make must not be made again for another.
    let mut made: Vec<PathBuf> = Vec::new();
    for file in files {
        let mut spot = spot(&root, &file.path)?;
        spot.missing.retain(|dir| !made.contains(dir));
        made.extend(spot.missing.iter().cloned());
        script.put(file, &spot, label.as_deref()).map_err(|what| ImageError::NotEditable { path: disk.path().to_owned(), what })?;
    }
    Ok(script)
}

/// Where `path` is, and what is there now.
fn spot(root: &Root, path: &Path) -> Result<Spot, ImageError> {
    let refused = |what: String| Err(ImageError::NotEditable { path: root.disk().to_owned(), what: format!("{} {what}", path.display()) });
    let mut missing = Vec::new();
    let mut dir = path.parent().unwrap_or(Path::new("/"));
    while !root.exists(dir)? {
        missing.push(dir);
        dir = dir.parent().unwrap_or(Path::new("/"));
    }
    let real_dir = root.real_path(dir, true)?;
    let rest = path.strip_prefix(dir).unwrap_or(path);
    let real = if root.exists(path)? {
        root.real_path(path, true)?
    } else if missing.is_empty() && root.symlink_metadata(path).is_ok() {
        return refused(format!("is a link to {}, which is not there", root.read_link(path)?.display()));
    } else {
        real_dir.join(rest)
    };
    if !root.is_on_root(&real) {
        return refused("is on a filesystem of its own, and files can be put into the root filesystem only".to_owned());
    }
    let now = if root.exists(&real)? { Some((root.metadata(&real)?, root.xattrs(&real)?)) } else { None };
    match &now {
        Some((now, _)) if now.kind != FileKind::File => refused(format!("is a {}", now.kind.name())),
        _ => {
            let outermost_first = missing.iter().rev().filter_map(|gone| Some(real_dir.join(gone.strip_prefix(dir).ok()?)));
            Ok(Spot { path: real, now, missing: outermost_first.collect() })
        }
    }
}

/// The clusters of `disk` in which `runs` of `volume` differ from what `expanded` has there, and what they are then.
fn changed_clusters(disk: &Disk, volume: &Volume, expanded: &File, runs: &[Range<u64>]) -> io::Result<BTreeMap<u64, Vec<u8>>> {
    const CLUSTER: u64 = OVERLAY_CLUSTER as u64;
    let mut clusters: BTreeMap<u64, (Vec<u8>, bool)> = BTreeMap::new();
    for run in within(volume, runs) {
        let mut bytes = vec![0; length(&run)];
        expanded.read_exact_at(&mut bytes, run.start)?;
        let mut bytes = bytes.as_slice();
        for place in volume.places(run) {
            let mut at = place.start;
            while at < place.end {
                let (index, inside) = (at / CLUSTER, at % CLUSTER);
                let (part, rest) = bytes.split_at(length(&(at..place.end.min(at - inside + CLUSTER))));
                let (cluster, changed) = match clusters.entry(index) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => entry.insert((cluster_of(disk, index)?, false)),
                };
                let inside = usize::try_from(inside).unwrap_or(usize::MAX);
                let there = &mut cluster[inside..inside + part.len()];
                *changed |= there != part;
                there.copy_from_slice(part);
                (bytes, at) = (rest, at + part.len() as u64);
            }
        }
    }
    Ok(clusters.into_iter().filter(|(_, (_, changed))| *changed).map(|(index, (bytes, _))| (index, bytes)).collect())
}

/// The cluster of the disk with this number; beyond its end there are zeros.
fn cluster_of(disk: &Disk, index: u64) -> io::Result<Vec<u8>> {
    let start = index * OVERLAY_CLUSTER as u64;
    let mut bytes = vec![0; OVERLAY_CLUSTER];
    let there = length(&(start..disk.bytes().len())).min(OVERLAY_CLUSTER);
    disk.bytes().read_at(start, &mut bytes[..there])?;
    Ok(bytes)
}

/// Restore `runs` of the expanded filesystem from `volume`.
fn put_back(volume: &Volume, expanded: &File, runs: &[Range<u64>]) -> io::Result<()> {
    for run in within(volume, runs) {
        let mut bytes = vec![0; length(&run)];
        volume.bytes().read_at(run.start, &mut bytes)?;
        expanded.write_all_at(&bytes, run.start)?;
    }
    Ok(())
}

/// `runs` as far as `volume` goes.
fn within(volume: &Volume, runs: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> {
    let end = volume.size();
    runs.iter().map(move |run| run.start.min(end)..run.end.min(end))
}

fn length(run: &Range<u64>) -> usize {
    usize::try_from(run.end.saturating_sub(run.start)).unwrap_or(usize::MAX)
}

/// Whether the overlay `target` has the files it should have. debugfs only prints failures, and goes on.
fn verify(target: &Path, expected: &[Expected]) -> Result<bool, ImageError> {
    let disk = Disk::open_own(target, Format::Qcow2)?;
    let root = Root::open(&disk)?;
    for file in expected {
        if root.read_if_there(&file.path, MAX_BYTES)?.as_ref() != Some(&file.content) {
            return Ok(false);
        }
        let now = root.symlink_metadata(&file.path)?;
        if (now.mode, now.uid, now.gid) != (file.mode, file.uid, file.gid) || root.xattrs(&file.path)? != file.xattrs {
            return Ok(false);
        }
    }
    Ok(true)
}
