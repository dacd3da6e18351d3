//! The disk a local machine writes to: an overlay, thrown away with the machine or kept beside the image.
//!
//! ```text
//! NAME.qcow2          the image, only read
//! NAME.run.qcow2      what a kept machine has changed
//! NAME.run.json       the image it changed: its name, size and time
//! NAME.run.vars.raw   UEFI variables, in the firmware's own format
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::source::Source;
use crate::base::aside::beside;
use crate::base::atomic;
use crate::base::digest::Sha256Digest;
use crate::base::lock::Lock;
use crate::image::{self, Disk, Firmware, ImageError};
use crate::machine::MachineError;
use crate::machine::firmware::find_uefi;
use crate::machine::spec::{Drive, Durability, FirmwareFiles, FlashFile, Format};

/// Version of the record's form.
const SCHEMA: u32 = 1;
/// Endings of image files that their overlay's name leaves out.
const ENDINGS: [&str; 3] = ["qcow2", "raw", "img"];

/// An overlay that is kept after its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub overlay: PathBuf,
    /// Whether an earlier machine made it.
    pub continued: bool,
}

/// A machine's own disk, and the firmware that boots it.
#[derive(Debug)]
pub(super) struct LocalDisk {
    pub(super) drive: Drive,
    pub(super) firmware: FirmwareFiles,
    pub(super) kept: Option<Kept>,
    /// Held while the machine runs: QEMU's own lock names the file only in the middle of a long sentence.
    _lock: Option<Lock>,
}

/// Make a disk in `dir`, which is removed with it.
pub(super) async fn throw_away(source: &Source, dir: &Path) -> Result<LocalDisk, RunError> {
    let overlay = dir.join("disk.qcow2");
    image::create_overlay(&source.image, source.format, &overlay).await?;
    let firmware = firmware(source.firmware, false, |format| dir.join(format!("vars.{format}")))?;
    Ok(LocalDisk { drive: Drive::scratch(overlay, Format::Qcow2, "disk"), firmware, kept: None, _lock: None })
}

/// The disk beside the image, made now or continued.
pub(super) async fn kept(source: &Source) -> Result<LocalDisk, RunError> {
    let files = Files::beside(&source.image);
    let made = if files.overlay.exists() { false } else { files.make(source).await? };
    let lock = Lock::try_exclusive(&files.overlay).map_err(unwritable(&files.overlay, true))?;
    let Some(lock) = lock else { return Err(RunError::InUse { overlay: files.overlay }) };
    files.check(source).await?;
    let firmware = firmware(source.firmware, true, |format| files.vars(format))?;
    let drive = Drive { durability: Durability::Flushed, ..Drive::scratch(&files.overlay, Format::Qcow2, "disk") };
    Ok(LocalDisk { drive, firmware, kept: Some(Kept { overlay: files.overlay, continued: !made }), _lock: Some(lock) })
}

/// The image an overlay was made over. Over another image, even a rebuilt one, it would show garbage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Base {
    schema: u32,
    /// File name.
    file: String,
    bytes: u64,
    /// To the nanosecond, UTC.
    modified: String,
    /// Digest of the file, as the artifact's manifest said it; nothing for a bare image, and from an earlier goldsmith.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Sha256Digest>,
}

impl Base {
    pub(super) fn of(source: &Source) -> Result<Self, RunError> {
        let image = &source.image;
        let read = |source| ImageError::read(image, source);
        let metadata = fs::metadata(image).map_err(read)?;
        let modified = metadata.modified().map_err(read)?;
        let (file, modified) = (file_name(image), time(modified));
        Ok(Self { schema: SCHEMA, file, bytes: metadata.len(), modified, sha256: source.sha256 })
    }

    /// What the image of `source` is now, if that is the same image. A build may have published it again under a new time, as after a change
    /// of the recipe's `[run]` alone: then its bytes are read, which takes a second for some 500 MB.
    pub(super) async fn still(&self, source: &Source) -> Result<Option<Self>, RunError> {
        let now = Self::of(source)?;
        let same_file = (&self.file, self.bytes) == (&now.file, now.bytes);
        if same_file && self.modified == now.modified {
            return Ok(Some(self.clone()));
        }
        // A manifest with another digest spares the reading; with the same, it does not tell what somebody did to the image.
        let Some(sha256) = self.sha256.filter(|_| same_file && self.sha256 == now.sha256) else { return Ok(None) };
        let image = source.image.clone();
        let read = beside(move |meter| File::open(image).and_then(|file| Sha256Digest::of_reader(meter.measure(file)))).await;
        let (read, _) = read.map_err(|error| ImageError::read(&source.image, error))?;
        Ok((read == sha256).then_some(now))
    }
}

fn time(time: SystemTime) -> String {
    // A time beyond the year 9999 does not convert; any text that differs from a real time will do.
    Timestamp::try_from(time).map_or_else(|_| "unknown".to_owned(), |time| time.to_string())
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

struct Files {
    overlay: PathBuf,
    record: PathBuf,
    /// The common part of the paths of its files.
    stem: String,
}

impl Files {
    fn beside(image: &Path) -> Self {
        let name = file_name(image);
        let stem = match name.rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() && ENDINGS.contains(&ending) => stem,
            _ => &name,
        };
        let stem = format!("{stem}.run");
        Self { overlay: image.with_file_name(format!("{stem}.qcow2")), record: image.with_file_name(format!("{stem}.json")), stem }
    }

    fn vars(&self, format: &str) -> PathBuf {
        self.overlay.with_file_name(format!("{}.vars.{format}", self.stem))
    }

    fn all(&self) -> Vec<PathBuf> {
        let vars = [Format::Raw, Format::Qcow2].map(|format| self.vars(format.name()));
        [self.overlay.clone(), self.record.clone()].into_iter().chain(vars.into_iter().filter(|path| path.exists())).collect()
    }

    /// Make the overlay under its name, whole; false when another process was quicker.
    async fn make(&self, source: &Source) -> Result<bool, RunError> {
        let dir = self.overlay.parent().unwrap_or(Path::new("/"));
        let staged = tempfile::Builder::new().prefix(&format!(".{}.", self.stem)).suffix(".new").tempfile_in(dir);
        let staged = staged.map_err(unwritable(&self.overlay, true))?.into_temp_path();
        // Relative, so that image and overlay can be moved together.
        image::create_overlay(Path::new(&file_name(&source.image)), source.format, &staged).await?;
        // The record comes before the overlay: an overlay without a record would always be refused.
        self.record(&Base::of(source)?)?;
        match staged.persist_noclobber(&self.overlay) {
            Ok(()) => Ok(true),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(unwritable(&self.overlay, true)(error.error)),
        }
    }

    fn record(&self, base: &Base) -> Result<(), RunError> {
        let text = format!("{:#}\n", serde_json::json!(base));
        atomic::write(&self.record, text.as_bytes()).map_err(unwritable(&self.record, true))
    }

    /// Make sure that the overlay still lies over `source`.
    async fn check(&self, source: &Source) -> Result<(), RunError> {
        let stale = |why: String| RunError::Stale { overlay: self.overlay.clone(), why, files: self.all() };
        let now = file_name(&source.image);
        let record = fs::read(&self.record).map_err(|error| stale(format!("{} cannot be read ({error})", self.record.display())))?;
        let then: Base = serde_json::from_slice(&record).map_err(|_| stale(format!("{} is damaged", self.record.display())))?;
        if then.file != now {
            return Err(stale(format!("it lies over {}, not over {now}", then.file)));
        }
        let Some(still) = then.still(source).await? else {
            let Base { bytes, modified, .. } = then;
            return Err(stale(format!("{now} has changed under it; it had {bytes} bytes and was modified at {modified}")));
        };
        if still != then {
            // The next start need not read the image again.
            self.record(&still)?;
        }
        for kept in self.all().iter().filter(|path| path.exists()) {
            let real = kept.canonicalize().map_err(unwritable(kept, true))?;
            if real.parent() != source.image.parent() {
                return Err(stale(format!("{} is a link to {}", file_name(kept), real.display())));
            }
        }
        // The overlay may come from elsewhere, like the image, so its chain is checked too.
        Disk::open_as(&self.overlay, image::Format::Qcow2, source.store.as_deref())?;
        let vars = self.vars(Format::Qcow2.name());
        if vars.exists() {
            Disk::open_as(&vars, image::Format::Qcow2, source.store.as_deref())?;
        }
        Ok(())
    }
}

/// The firmware's files. For UEFI the machine has its own variables, at the place that `vars` gives for their format. They are made when
/// they are missing.
pub(super) fn firmware(firmware: Firmware, kept: bool, vars: impl Fn(&str) -> PathBuf) -> Result<FirmwareFiles, RunError> {
    if firmware == Firmware::Bios {
        return Ok(FirmwareFiles::Bios);
    }
    let found = find_uefi().map_err(MachineError::from)?;
    let path = vars(found.vars_template.format.name());
    if !path.exists() {
        fs::read(&found.vars_template.path).and_then(|bytes| atomic::write(&path, &bytes)).map_err(unwritable(&path, kept))?;
    }
    Ok(FirmwareFiles::Uefi { code: found.code, vars: FlashFile { path, format: found.vars_template.format } })
}

pub(super) fn unwritable(path: &Path, kept: bool) -> impl FnOnce(io::Error) -> RunError {
    let path = path.to_owned();
    move |source| RunError::Unwritable { path, source, kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::Equipment;

    #[test]
    fn kept_files_are_named_after_the_image() {
        for (image, overlay) in [
            ("/d/debian-12.qcow2", "/d/debian-12.run.qcow2"),
            ("/d/a.raw", "/d/a.run.qcow2"),
            ("/d/disk-12.5", "/d/disk-12.5.run.qcow2"),
            ("/d/.img", "/d/.img.run.qcow2"),
        ] {
            assert_eq!(Files::beside(Path::new(image)).overlay, Path::new(overlay));
        }
    }

    #[test]
    fn an_overlay_is_made_once_continued_and_refused_over_another_image() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let dir = dir.path().canonicalize().unwrap();
            let image = dir.join("d.raw");
            fs::write(&image, [1; 4096]).unwrap();
            let source = |image: &Path| Source {
                name: "d".into(),
                image: image.into(),
                format: image::Format::Raw,
                size: 4096,
                firmware: Firmware::Bios,
                store: None,
                sha256: None,
                subnet: None,
                cards: 0,
                usual: Equipment::default(),
                packed: None,
            };
            let first = kept(&source(&image)).await.unwrap();
            let overlay = dir.join("d.run.qcow2");
            assert_eq!(first.kept, Some(Kept { overlay: overlay.clone(), continued: false }));
            assert!(matches!(kept(&source(&image)).await, Err(RunError::InUse { .. })));
            drop(first);
            assert!(kept(&source(&image)).await.unwrap().kept.unwrap().continued);
            let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            assert_eq!(names, ["d.raw", "d.run.json", "d.run.qcow2"]);

            let refused = async |image: &Path| match kept(&source(image)).await {
                Err(RunError::Stale { why, .. }) => why,
                other => panic!("{other:?}"),
            };
            let other = dir.join("d.img");
            fs::write(&other, [1; 4096]).unwrap();
            assert_eq!(refused(&other).await, "it lies over d.raw, not over d.img");
            let modified = fs::metadata(&image).unwrap().modified().unwrap();
            fs::write(&image, [2; 4096]).unwrap();
            assert!(refused(&image).await.starts_with("d.raw has changed under it; it had 4096 bytes and was modified at 2"));
            fs::File::options().write(true).open(&image).unwrap().set_modified(modified).unwrap();
            kept(&source(&image)).await.unwrap();
            // Files that came with an image may lead anywhere; a machine would write to them.
            fs::write(dir.join("secret"), [3; 4096]).unwrap();
            let inside = dir.join("images");
            fs::create_dir(&inside).unwrap();
            for name in ["d.raw", "d.run.json"] {
                fs::rename(dir.join(name), inside.join(name)).unwrap();
            }
            let image = inside.join("d.raw");
            std::os::unix::fs::symlink(dir.join("d.run.qcow2"), inside.join("d.run.qcow2")).unwrap();
            assert!(refused(&image).await.starts_with("d.run.qcow2 is a link to "));
            for planted in ["d.run.qcow2", "d.run.vars.qcow2"] {
                fs::remove_file(inside.join("d.run.qcow2")).unwrap();
                image::create_overlay(Path::new("d.raw"), image::Format::Raw, &inside.join("d.run.qcow2")).await.unwrap();
                image::create_overlay(&dir.join("secret"), image::Format::Raw, &inside.join(planted)).await.unwrap();
                let refused = kept(&source(&image)).await;
                assert!(matches!(refused, Err(RunError::Image(ImageError::NotFollowed { .. }))), "{planted}: {refused:?}");
            }
            fs::remove_file(inside.join("d.run.vars.qcow2")).unwrap();
            kept(&source(&image)).await.unwrap();
            for name in ["d.raw", "d.run.json", "d.run.qcow2"] {
                fs::rename(inside.join(name), dir.join(name)).unwrap();
            }
            let image = dir.join("d.raw");
            fs::write(dir.join("d.run.json"), "{").unwrap();
            assert!(refused(&image).await.ends_with("d.run.json is damaged"));
            fs::remove_file(dir.join("d.run.json")).unwrap();
            assert!(refused(&image).await.contains("No such file"));
        });
    }

    #[test]
    fn an_image_that_was_published_again_is_known_by_its_bytes() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("d.raw");
        let source = |said: Option<&[u8]>| Source {
            name: "d".into(),
            image: image.clone(),
            format: image::Format::Raw,
            size: 4096,
            firmware: Firmware::Bios,
            store: None,
            sha256: said.map(Sha256Digest::of),
            subnet: None,
            cards: 0,
            usual: Equipment::default(),
            packed: None,
        };
        let (mine, other) = (&[1; 4096][..], &[2; 4096][..]);
        let written = |bytes: &[u8], second: u64| {
            fs::write(&image, bytes).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            File::options().write(true).open(&image).unwrap().set_modified(time).unwrap();
        };
        written(mine, 1);
        let (known, bare) = (Base::of(&source(Some(mine))).unwrap(), Base::of(&source(None)).unwrap());
        for (what, base, bytes, said, same) in [
            ("the same bytes", &known, mine, Some(mine), true),
            ("other bytes, and a manifest that says so", &known, other, Some(other), false),
            ("other bytes, and the manifest of the first", &known, other, Some(mine), false),
            ("more bytes", &known, &[1; 8192][..], Some(mine), false),
            ("the same bytes, and a manifest of others", &known, mine, Some(other), false),
            ("a machine of a bare image", &bare, mine, None, false),
            ("a machine of an earlier goldsmith", &bare, mine, Some(mine), false),
        ] {
            written(bytes, 2);
            let still = runtime.block_on(base.still(&source(said))).unwrap();
            let now = Base::of(&source(said)).unwrap();
            assert_eq!(still, same.then_some(now), "{what}");
        }
        // The time alone decides while it is the same: no bytes are read.
        written(other, 1);
        assert_eq!(runtime.block_on(known.still(&source(Some(mine)))).unwrap(), Some(known.clone()));
        // What an earlier goldsmith wrote is read.
        let older = serde_json::json!(bare);
        assert_eq!(older.get("sha256"), None);
        assert_eq!(serde_json::from_value::<Base>(older).unwrap(), bare);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let source = Source {
            name: "version".into(),
            image: "/proc/version".into(),
            format: image::Format::Raw,
            size: 0,
            firmware: Firmware::Bios,
            store: None,
            sha256: None,
            subnet: None,
            cards: 0,
            usual: Equipment::default(),
            packed: None,
        };
        let error = runtime.block_on(kept(&source)).unwrap_err();
        assert!(matches!(error, RunError::Unwritable { kept: true, .. }), "{error:?}");
        assert!(error.to_string().starts_with("/proc/version.run.qcow2 cannot be written: "), "{error}");
    }
}
