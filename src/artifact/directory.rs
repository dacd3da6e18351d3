//! Artifacts that are there: finding, opening, checking them; and the place of a failed build's evidence.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::OFlags;

use super::error::ArtifactError;
use super::manifest::{FileRecord, Manifest};
use crate::base::aside::{Meter, aside};
use crate::base::digest::Sha256Digest;
use crate::base::event::Task;

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The digests' file name.
pub const SUMS_FILE: &str = "SHA256SUMS";
/// The event log's file name.
pub const EVENTS_FILE: &str = "build.ndjson";
/// The file name of the page for people. Artifacts of earlier versions have none.
pub const PAGE_FILE: &str = "report.html";
/// The files that an artifact can have beside those that hold the disk.
pub(super) const FILES: [&str; 4] = [MANIFEST_FILE, SUMS_FILE, EVENTS_FILE, PAGE_FILE];

/// Bytes of the largest manifest that is read. A real one is some hundred kilobytes: it lists the packages.
const MANIFEST_BYTES: u64 = 16 << 20;

/// The content of an artifact's place.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing, as far as can be seen, or an empty directory.
    None,
    /// The artifact that was asked for.
    SameId(Box<Manifest>),
    /// An artifact of another content id.
    OtherId {
        /// Its content id.
        id: Sha256Digest,
    },
    /// Something that is not an artifact.
    NotOurs {
        /// Why it is not taken for one.
        why: String,
    },
}

/// A published artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its directory.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What is at `target`, seen from a build of the content `id`.
pub fn existing(target: &Path, id: &Sha256Digest) -> Found {
    match fs::metadata(target) {
        // [`super::Place`] reports why nothing can be seen there, and so nothing can be made.
        Err(_) if fs::symlink_metadata(target).is_err() => return Found::None,
        Err(error) => return Found::NotOurs { why: format!("it cannot be read: {error}") },
        Ok(metadata) if !metadata.is_dir() => return Found::NotOurs { why: "it is not a directory".into() },
        Ok(_) => {}
    }
    if fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none()) {
        return Found::None;
    }
    match read_manifest(target) {
        Ok(manifest) if manifest.content_id == *id => Found::SameId(Box::new(manifest)),
        Ok(manifest) => Found::OtherId { id: manifest.content_id },
        Err(why) => Found::NotOurs { why },
    }
}

/// Open the artifact at `path`, which is its directory or the image in it. The image's bytes are not looked at: see [`Artifact::check_image`].
///
/// # Errors
/// There is no artifact, or it is another file of its directory than the image.
pub fn open(path: &Path) -> Result<Artifact, ArtifactError> {
    let metadata = fs::metadata(path).map_err(ArtifactError::io(path, "opened"))?;
    let not = |why: String| ArtifactError::NotAnArtifact { path: path.to_owned(), why };
    if metadata.is_dir() {
        let manifest = read_manifest(path).map_err(not)?;
        return Ok(Artifact { dir: path.to_owned(), manifest });
    }
    let dir = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let manifest = read_manifest(dir).map_err(|why| not(format!("no manifest of it lies beside it ({why})")))?;
    if path.file_name() != Some(manifest.image.file.as_ref()) {
        return Err(not(format!("the manifest beside it is that of {}", manifest.image.file)));
    }
    Ok(Artifact { dir: dir.to_owned(), manifest })
}

impl Artifact {
    /// The image file.
    pub fn image_path(&self) -> PathBuf {
        self.dir.join(&self.manifest.image.file)
    }

    /// Read the whole image and compare it with the manifest. Other work goes on meanwhile, and `task` tells how far it is.
    ///
    /// # Errors
    /// It differs, or cannot be read.
    pub async fn check_image(&self, task: &Task) -> Result<(), ArtifactError> {
        self.check(self.manifest.image.as_file(), task).await
    }

    /// As [`Artifact::check_image`], of every file that holds the disk, and of a saved state.
    ///
    /// # Errors
    /// One differs, or cannot be read.
    pub async fn check_files(&self, task: &Task) -> Result<(), ArtifactError> {
        for file in self.manifest.files() {
            self.check(file, task).await?;
        }
        Ok(())
    }

    async fn check(&self, file: FileRecord, task: &Task) -> Result<(), ArtifactError> {
        let dir = self.dir.clone();
        let (step, bytes) = (format!("check {}", file.file), file.bytes);
        aside(task, &step, bytes, move |meter| check_file(&dir, &file, meter).map(drop)).await
    }
}

/// Make a new directory beside `target` for what a failed build leaves: `NAME.failed-20261123T121900Z`, readable by the user alone.
///
/// # Errors
/// The place cannot be written.
pub fn evidence_dir(target: &Path) -> Result<PathBuf, ArtifactError> {
    evidence_dir_at(target, Timestamp::now())
}

fn evidence_dir_at(target: &Path, time: Timestamp) -> Result<PathBuf, ArtifactError> {
    let mut stem = target.file_name().unwrap_or("build".as_ref()).to_owned();
    stem.push(format!(".failed-{}", time.strftime("%Y%m%dT%H%M%SZ")));
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(ArtifactError::io(parent, "made"))?;
    }
    let mut attempt = 1;
    loop {
        let mut name = stem.clone();
        if attempt > 1 {
            name.push(format!("-{attempt}"));
        }
        let dir = target.with_file_name(name);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
            Err(error) => return Err(ArtifactError::io(&dir, "made")(error)),
        }
    }
}

/// The manifest in `dir`, or why there is none. A pipe, a link out of the directory or an endless file cannot make it wait.
pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, String> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => format!("it has no {MANIFEST_FILE}"),
        _ => format!("its {MANIFEST_FILE} cannot be read: {error}"),
    };
    let file = open_regular(&dir.join(MANIFEST_FILE)).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MANIFEST_BYTES {
        return Err(format!("its {MANIFEST_FILE} is larger than any manifest"));
    }
    Manifest::parse(&bytes)
}

/// The digest of `file` in `dir`, once it and its length are as recorded.
pub(super) fn check_file(dir: &Path, file: &FileRecord, meter: &Arc<Meter>) -> Result<Sha256Digest, ArtifactError> {
    let path = dir.join(&file.file);
    let damaged = |why: String| ArtifactError::Damaged { path: path.clone(), why };
    let opened = open_regular(&path).map_err(ArtifactError::io(&path, "read"))?;
    let bytes = opened.metadata().map_err(ArtifactError::io(&path, "read"))?.len();
    if bytes != file.bytes {
        return Err(damaged(format!("it has {bytes} bytes instead of {}", file.bytes)));
    }
    let (digest, _) = Sha256Digest::of_reader(meter.measure(opened)).map_err(ArtifactError::io(&path, "read"))?;
    if digest != file.sha256 {
        return Err(damaged(format!("its sha256 is {} instead of {}", digest.short(), file.sha256.short())));
    }
    Ok(digest)
}

/// Open a regular file that is no symbolic link, without waiting for a pipe's other end.
///
/// # Errors
/// It is another kind of file, or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::manifest::tests::example;
    use super::*;

    fn place(dir: &Path, manifest: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join(MANIFEST_FILE), manifest).unwrap();
    }

    fn not_ours(found: &Found) -> &str {
        match found {
            Found::NotOurs { why } => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_at_a_place_is_told_apart() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let (mine, other) = (example().content_id, Sha256Digest::of(b"other"));
        place(&at("artifact"), &example().to_json().unwrap());
        symlink(at("artifact"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("empty")).unwrap();
        for nothing in ["absent", "absent/x", "artifact/manifest.json/x", &"x".repeat(256)] {
            assert_eq!(existing(&at(nothing), &mine), Found::None, "{nothing}");
        }
        assert_eq!(existing(&at("empty"), &mine), Found::None);
        assert_eq!(existing(&at("artifact"), &mine), Found::SameId(Box::new(example())));
        assert_eq!(existing(&at("link"), &mine), Found::SameId(Box::new(example())));
        assert_eq!(existing(&at("artifact"), &other), Found::OtherId { id: mine });
        assert!(not_ours(&existing(&at("dangling"), &mine)).contains("cannot be read"));
        assert_eq!(not_ours(&existing(&at("artifact/manifest.json"), &mine)), "it is not a directory");
    }

    #[test]
    fn a_hostile_manifest_neither_hangs_nor_fills_memory_nor_leads_away() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir(at("bare")).unwrap();
        fs::write(at("bare/precious"), "").unwrap();
        place(&at("large"), "");
        File::options().write(true).open(at("large/manifest.json")).unwrap().set_len(1 << 40).unwrap();
        fs::create_dir(at("link")).unwrap();
        place(&at("real"), &example().to_json().unwrap());
        symlink(at("real/manifest.json"), at("link/manifest.json")).unwrap();
        fs::create_dir_all(at("directory/manifest.json")).unwrap();
        fs::create_dir(at("pipe")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe/manifest.json"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for (name, why) in [
            ("bare", "it has no manifest.json"),
            ("large", "larger than any manifest"),
            ("link", "cannot be read"),
            ("directory", "not a regular file"),
            ("pipe", "not a regular file"),
        ] {
            let found = existing(&at(name), &example().content_id);
            assert!(not_ours(&found).contains(why), "{name}: {found:?}");
        }
    }

    #[test]
    fn an_artifact_is_opened_by_its_directory_or_its_image_and_a_changed_image_is_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("out");
        let mut manifest = example();
        manifest.image.sha256 = Sha256Digest::of(b"image");
        place(&dir, &manifest.to_json().unwrap());
        let image = dir.join(&manifest.image.file);
        fs::write(&image, "image").unwrap();
        let artifact = open(&dir).unwrap();
        assert_eq!(open(&image).unwrap(), artifact);
        assert_eq!(artifact.image_path(), image);
        let check = || check_file(&artifact.dir, &artifact.manifest.image.as_file(), &Arc::default());
        check().unwrap();
        for (bytes, why) in [("imagE", "sha256"), ("images", "6 bytes instead of 5")] {
            fs::write(&image, bytes).unwrap();
            let error = check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        fs::write(dir.join("foreign.qcow2"), "").unwrap();
        let error = open(&dir.join("foreign.qcow2")).unwrap_err().to_string();
        assert!(error.ends_with("the manifest beside it is that of debian-12-docker.qcow2"), "{error}");
        assert!(matches!(open(&temp.path().join("absent")).unwrap_err(), ArtifactError::Io { .. }));
        assert!(matches!(open(temp.path()).unwrap_err(), ArtifactError::NotAnArtifact { .. }));
    }

    #[test]
    fn evidence_has_a_place_of_its_own_that_others_cannot_read() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("made/on/demand/out");
        let time = Timestamp::from_second(1_774_353_600).unwrap();
        let names: Vec<_> = (0..3).map(|_| evidence_dir_at(&target, time).unwrap().file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["out.failed-20260324T120000Z", "out.failed-20260324T120000Z-2", "out.failed-20260324T120000Z-3"]);
        let mode = fs::metadata(target.with_file_name(&names[0])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
