//! Copies of an image as files, each with its own identity: a directory of overlays with the image under them, or of whole images.
//!
//! ```text
//! DIR/base/IMAGE.qcow2    the image: a hard link where that can be, else a copy
//! DIR/anna.qcow2          an overlay over it; with `full` all of a disk, and no base
//! DIR/anna.xml            a domain of libvirt
//! DIR/Vagrantfile         all of them for Vagrant
//! DIR/proxmox.sh          with `full`: what makes machines of them elsewhere
//! DIR/openstack.sh
//! ```

mod documents;
mod plan;
mod wanted;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::RunError;
use super::name::Name;
use super::own_files::Texts;
use super::source::Source;
use crate::base::aside::{Meter, aside, beside};
use crate::base::atomic::{Existing, NewDir};
use crate::base::event::{Task, Unit};
use crate::base::host::allocated_bytes;
use crate::image::export::{Backing, ExportFormat, export, unused};
use crate::image::{Compress, Disk, Editor, Format, FreeSpace, ImageError, Root, Seen, require_space};
use documents::documents;
pub use documents::usual_kind;
use plan::{Planned, no_clones, plan};
pub use wanted::{ClonedFile, WantedFiles};

/// The directory of the image under overlays.
const BASE: &str = "base";
/// The directory of temporary files.
const WORK: &str = ".work";
/// An overlay there that becomes a whole image.
const OVERLAY: &str = "overlay.qcow2";

/// Make the directory `dir` with copies of the image or artifact at `path`. It appears whole or not at all.
///
/// # Errors
/// `dir` is there, the image is no disk that files can be put into, names or addresses contradict each other, or the host lacks space or debugfs.
pub async fn clone_files(
    path: &Path,
    wanted: &WantedFiles,
    dir: &Path,
    store: Option<&Path>,
    task: &Task,
) -> Result<Vec<ClonedFile>, RunError> {
    let source = Source::find(path, store)?;
    let disk = Disk::open_as(&source.image, source.format, store)?;
    if !disk.info().backing.is_empty() && !wanted.full {
        return Err(no_clones("the image lies over another file", "make one file of the two, `goldsmith image export`, or add --full"));
    }
    require_new(dir)?;
    let size = source.disk_size(wanted.disk)?.unwrap_or(source.size);
    let opened = disk.clone();
    let (texts, guest) = beside(move |_| Ok::<_, ImageError>((Texts::read(&Root::open(&opened)?)?, Seen::of(&opened).guest))).await?;
    let name = wanted.name.clone().unwrap_or_else(|| Name::after(&source.name));
    let planned = plan(wanted, name, &texts)?;
    if let Some(warning) = texts.warning() {
        task.events().warn(warning);
    }
    let failed = |source| ImageError::Write { path: dir.to_owned(), source };
    let final_dir = std::path::absolute(dir).map_err(failed)?;
    // The documents come before the disks, which may take minutes.
    let named: Vec<_> = planned.iter().map(|planned| (planned, final_dir.join(file_of(&planned.name)))).collect();
    let documents = documents(&source, size, &guest, wanted, &named).await?;
    let new = NewDir::beside(dir).map_err(failed)?;
    let making = Making { disk: &disk, source: &source, size, dir: new.path(), full: wanted.full, task };
    let cloned = making.all(planned, &final_dir).await?;
    for (name, text) in documents {
        fs::write(new.path().join(name), text).map_err(failed)?;
    }
    match new.publish(Existing::Keep) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(ImageError::Exists(dir.to_owned()).into()),
        result => result.map(|()| cloned).map_err(|source| failed(source).into()),
    }
}

/// The disk of the copy `name`, in the directory of all.
fn file_of(name: &Name) -> String {
    format!("{name}.qcow2")
}

/// Make sure that nothing has the name `dir`.
///
/// # Errors
/// There is.
pub fn require_new(dir: &Path) -> Result<(), RunError> {
    if fs::symlink_metadata(dir).is_ok() { Err(ImageError::Exists(dir.to_owned()).into()) } else { Ok(()) }
}

/// Copies in the making.
struct Making<'a> {
    disk: &'a Disk,
    source: &'a Source,
    /// Bytes of each disk.
    size: u64,
    /// The directory of all.
    dir: &'a Path,
    /// Whether each has all of its disk.
    full: bool,
    task: &'a Task,
}

impl Making<'_> {
    /// Make all of `planned`; they will be in the directory `final_dir`.
    async fn all(&self, planned: Vec<Planned>, final_dir: &Path) -> Result<Vec<ClonedFile>, ImageError> {
        let failed = |source| ImageError::Write { path: self.dir.to_owned(), source };
        let work = self.dir.join(WORK);
        fs::create_dir(&work).map_err(failed)?;
        let mut editor = Editor::new(self.disk, &work, self.task).await?;
        let image = self.source.image.to_string_lossy().into_owned();
        let base = if self.full { image } else { self.bring_base().await? };
        let named = || ImageError::incompatible(&self.source.image, None, "its name is too long for a file under a qcow2, or has a colon");
        let backing = Backing::new(&base, self.source.format).ok_or_else(named)?;
        let (mut made, total) = (Vec::new(), planned.len() as u64);
        for (number, Planned { name, hostname, address, files, .. }) in (0..).zip(planned) {
            self.task.progress("write the copies", number, Some(total), Unit::Steps);
            let file = file_of(&name);
            let target = self.dir.join(&file);
            if self.full {
                let overlay = work.join(OVERLAY);
                editor.overlay(&files, backing, self.size, &overlay).await?;
                self.flatten(&overlay, &target).await?;
                fs::remove_file(&overlay).map_err(failed)?;
            } else {
                editor.overlay(&files, backing, self.size, &target).await?;
            }
            let allocated = allocated_bytes(&fs::metadata(&target).map_err(failed)?);
            made.push(ClonedFile { file: final_dir.join(file), name, allocated, hostname, address });
        }
        fs::remove_dir_all(&work).map_err(failed)?;
        Ok(made)
    }

    /// Put the image into the directory, and return its path from there.
    async fn bring_base(&self) -> Result<String, ImageError> {
        let name = Path::new(BASE).join(self.source.image.file_name().unwrap_or_default());
        let base = self.dir.join(&name);
        let failed = |source| ImageError::Write { path: base.clone(), source };
        fs::create_dir(self.dir.join(BASE)).map_err(failed)?;
        // A link takes no space, and keeps the bytes when the image is built again. Another filesystem, or one without links, needs a copy.
        if fs::hard_link(&self.source.image, &base).is_err() {
            self.copy(&base).await?;
        }
        Ok(name.to_string_lossy().into_owned())
    }

    /// Copy the image. Of a raw one, holes stay holes.
    async fn copy(&self, target: &Path) -> Result<(), ImageError> {
        if self.source.format == Format::Raw {
            return export(self.disk, FreeSpace::default(), ExportFormat::Raw, target, self.task).await.map(drop);
        }
        let bytes = self.disk.info().file_size;
        require_space(self.dir, bytes)?;
        let (from, to) = (self.source.image.clone(), target.to_owned());
        let copying = move |meter: &Arc<Meter>| io::copy(&mut meter.measure(File::open(from)?), &mut File::create(to)?);
        let copied = aside(self.task, "copy the image", bytes, copying).await;
        copied.map(drop).map_err(|source| ImageError::Write { path: target.to_owned(), source })
    }

    /// Make one file of an overlay and the image.
    async fn flatten(&self, overlay: &Path, target: &Path) -> Result<(), ImageError> {
        let disk = Disk::open_own(overlay, Format::Qcow2)?;
        let free = unused(&disk, self.task).await?;
        export(&disk, free, ExportFormat::Qcow2(Compress::Zlib), target, self.task).await.map(drop)
    }
}
