//! An artifact in the making.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::directory::{Artifact, FILES, MANIFEST_FILE, SUMS_FILE, check_file, open_regular};
use super::error::ArtifactError;
use super::manifest::{Manifest, is_file_name};
use super::place::{Overwrite, Place, replaces};
use crate::base::aside::Meter;
use crate::base::atomic::{self, NewDir};
use crate::base::digest::Sha256Digest;

/// A directory that becomes an artifact. If it is dropped unpublished, it disappears, and so do the directories that were made for it.
#[derive(Debug)]
pub struct Draft {
    // Dropped in this order: a directory is removed when nothing is in it any more.
    dir: NewDir,
    place: Made,
}

/// A place whose missing directories are made; dropped, it removes those that are empty.
#[derive(Debug)]
struct Made(Place);

impl Drop for Made {
    fn drop(&mut self) {
        self.0.remove_made();
    }
}

impl Draft {
    /// Start an artifact that is to be `target`, on the same file system; a link to a directory stands for that directory.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn begin(target: &Path) -> Result<Self, ArtifactError> {
        let place = Made(Place::find(target)?);
        let target = place.0.target();
        let dir = NewDir::beside(target).map_err(ArtifactError::io(target, "written"))?;
        Ok(Self { dir, place })
    }

    /// Where the images, the saved state, `build.ndjson` and `report.html` are made.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Complete the directory with manifest and digests, and give it its name.
    ///
    /// The files that hold the disk and the state are read once more, and `meter` counts their bytes: what is published is what the manifest says. An artifact of the
    /// same content id is replaced, one of another only with [`Overwrite::Force`]; what is not an artifact, or holds files that no
    /// artifact has, is never replaced.
    ///
    /// # Errors
    /// As said above, or the files cannot be written. The target is then as it was.
    pub fn publish(self, manifest: &Manifest, overwrite: Overwrite, meter: &Arc<Meter>) -> Result<Artifact, ArtifactError> {
        let replacing = replaces(self.place.0.target(), &manifest.content_id, overwrite)?;
        let text = manifest.to_json().map_err(|error| ArtifactError::BadDraft { why: error.to_string() })?;
        let manifest_path = self.path().join(MANIFEST_FILE);
        atomic::write(&manifest_path, text.as_bytes()).map_err(ArtifactError::io(&manifest_path, "written"))?;
        let sums_path = self.path().join(SUMS_FILE);
        let sums = sums(self.path(), manifest, meter)?;
        atomic::write(&sums_path, sums.as_bytes()).map_err(ArtifactError::io(&sums_path, "written"))?;
        let Self { dir, place } = self;
        let target = place.0.target().to_owned();
        let policy = if replacing { atomic::Existing::Replace } else { atomic::Existing::Keep };
        if !replacing {
            // An empty directory may be there. If something was put into it meanwhile, it stays, and the next line fails.
            let _ = fs::remove_dir(&target);
        }
        dir.publish(policy).map_err(ArtifactError::io(&target, "published"))?;
        Ok(Artifact { dir: target, manifest: manifest.clone() })
    }
}

/// `SHA256SUMS` of every file in `dir`, as sha256sum(1) reads it in text mode, sorted by name.
fn sums(dir: &Path, manifest: &Manifest, meter: &Arc<Meter>) -> Result<String, ArtifactError> {
    let bad = |why: String| ArtifactError::BadDraft { why };
    let record = |name: &str| manifest.files().find(|file| file.file == name);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(ArtifactError::io(dir, "read"))? {
        let name = entry.map_err(ArtifactError::io(dir, "read"))?.file_name().to_string_lossy().into_owned();
        if !is_file_name(&name) {
            return Err(bad(format!("`{name}` is not a portable file name")));
        }
        if record(&name).is_none() && (name == SUMS_FILE || !FILES.contains(&name.as_str())) {
            return Err(bad(format!("`{name}` is not a file of an artifact")));
        }
        names.push(name);
    }
    names.sort();
    if let Some(missing) = manifest.files().find(|file| !names.contains(&file.file)) {
        return Err(bad(format!("the file `{}` is not there", missing.file)));
    }
    let mut text = String::new();
    for name in names {
        let path = dir.join(&name);
        let digest = match record(&name) {
            Some(file) => check_file(dir, &file, meter)?,
            None => {
                let file = open_regular(&path).map_err(ArtifactError::io(&path, "read"))?;
                Sha256Digest::of_reader(file).map_err(ArtifactError::io(&path, "read"))?.0
            }
        };
        text.push_str(&format!("{digest}  {name}\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::directory::{EVENTS_FILE, PAGE_FILE};
    use super::super::manifest::ImageRecord;
    use super::super::manifest::tests::example;
    use super::*;
    use crate::base::event::Events;

    fn manifest(content: &str) -> Manifest {
        let mut manifest = example();
        manifest.content_id = Sha256Digest::of(content.as_bytes());
        manifest.image.sha256 = Sha256Digest::of(b"image");
        manifest
    }

    fn draft(target: &Path) -> Draft {
        let draft = Draft::begin(target).unwrap();
        fs::write(draft.path().join(example().image.file), "image").unwrap();
        fs::write(draft.path().join(EVENTS_FILE), "{}\n").unwrap();
        fs::write(draft.path().join(PAGE_FILE), "<!doctype html>\n").unwrap();
        draft
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_published_artifact_is_whole_and_sha256sum_accepts_it() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("out");
        let artifact = draft(&target).publish(&manifest("a"), Overwrite::Refuse, &Arc::default()).unwrap();
        assert_eq!(super::super::open(&target).unwrap(), artifact);
        assert_eq!(names(&target), [SUMS_FILE, EVENTS_FILE, "debian-12-docker.qcow2", MANIFEST_FILE, PAGE_FILE]);
        assert_eq!(names(temp.path()), ["out"]);
        let check = || Command::new("sha256sum").args(["--check", "--strict", SUMS_FILE]).current_dir(&target).output().unwrap();
        let output = check();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "build.ndjson: OK\ndebian-12-docker.qcow2: OK\nmanifest.json: OK\nreport.html: OK\n"
        );
        fs::write(target.join(EVENTS_FILE), "changed").unwrap();
        assert!(!check().status.success());
    }

    #[test]
    fn the_disk_in_other_formats_belongs_to_the_artifact() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("out");
        let mut manifest = manifest("a");
        let vmdk = ImageRecord {
            file: "debian-12-docker.vmdk".into(),
            sha256: Sha256Digest::of(b"vmdk"),
            bytes: 4,
            format: "vmdk".into(),
            ..manifest.image.clone()
        };
        manifest.exports.push(vmdk);
        let with = |content: &str| {
            let draft = draft(&target);
            fs::write(draft.path().join("debian-12-docker.vmdk"), content).unwrap();
            draft
        };
        for (draft, why) in [(draft(&target), "debian-12-docker.vmdk` is not there"), (with("vmdK"), "its sha256 is")] {
            let error = draft.publish(&manifest, Overwrite::Refuse, &Arc::default()).unwrap_err().to_string();
            assert!(error.contains(why) && !target.exists(), "{error}");
        }
        let artifact = with("vmdk").publish(&manifest, Overwrite::Refuse, &Arc::default()).unwrap();
        assert!(fs::read_to_string(target.join(SUMS_FILE)).unwrap().contains("  debian-12-docker.vmdk\n"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let task = Events::none().task("check");
        let check = || (runtime.block_on(artifact.check_image(&task)).is_ok(), runtime.block_on(artifact.check_files(&task)).is_ok());
        assert_eq!(check(), (true, true));
        fs::write(target.join("debian-12-docker.vmdk"), "vmdK").unwrap();
        assert_eq!(check(), (true, false));
        // The file goes when the artifact is replaced by one without such a file.
        draft(&target).publish(&self::manifest("b"), Overwrite::Force, &Arc::default()).unwrap();
        assert!(!target.join("debian-12-docker.vmdk").exists());
    }

    #[test]
    fn only_artifacts_are_replaced_and_others_only_by_force() {
        use Overwrite::{Force, Refuse};
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("out");
        let id = || super::super::open(&target).unwrap().manifest.content_id;
        fs::create_dir(&target).unwrap();
        draft(&target).publish(&manifest("a"), Refuse, &Arc::default()).unwrap();
        draft(&target).publish(&manifest("a"), Refuse, &Arc::default()).unwrap();
        let error = draft(&target).publish(&manifest("b"), Refuse, &Arc::default()).unwrap_err();
        assert!(matches!(error, ArtifactError::OtherId { .. }) && id() == manifest("a").content_id, "{error}");
        draft(&target).publish(&manifest("b"), Force, &Arc::default()).unwrap();
        assert_eq!(id(), manifest("b").content_id);
        fs::write(target.join("notes.txt"), "mine").unwrap();
        for (content, overwrite) in [("b", Refuse), ("b", Force), ("c", Force)] {
            let error = draft(&target).publish(&manifest(content), overwrite, &Arc::default()).unwrap_err();
            assert!(error.to_string().contains("`notes.txt`"), "{error}");
            assert!(matches!(error, ArtifactError::HoldsForeign { .. }), "{error}");
        }
        fs::remove_file(target.join(MANIFEST_FILE)).unwrap();
        let error = draft(&target).publish(&manifest("b"), Force, &Arc::default()).unwrap_err();
        assert!(matches!(error, ArtifactError::NotOurs { .. }), "{error}");
        assert_eq!(fs::read(target.join("notes.txt")).unwrap(), b"mine");
        assert_eq!(names(temp.path()), ["out"]);
    }

    #[test]
    fn a_draft_that_is_not_published_leaves_no_directory() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("new/deep/out");
        drop(Draft::begin(&target).unwrap());
        assert!(names(temp.path()).is_empty());
        // One in the making keeps the directories that another one was begun with.
        let (first, second) = (draft(&target), draft(&target));
        drop(first);
        second.publish(&manifest("a"), Overwrite::Refuse, &Arc::default()).unwrap();
        assert_eq!(names(target.parent().unwrap()), ["out"]);
        drop(Draft::begin(&target.with_file_name("other")).unwrap());
        assert_eq!(names(target.parent().unwrap()), ["out"]);
    }

    #[test]
    fn a_link_to_a_directory_stands_for_it() {
        let temp = tempfile::tempdir().unwrap();
        let link = temp.path().join("link");
        fs::create_dir(temp.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        draft(&link).publish(&manifest("a"), Overwrite::Refuse, &Arc::default()).unwrap();
        draft(&link).publish(&manifest("b"), Overwrite::Force, &Arc::default()).unwrap();
        assert!(link.is_symlink() && super::super::open(&temp.path().join("real")).is_ok());
    }

    #[test]
    fn an_incomplete_or_changed_draft_is_not_published() {
        let temp = tempfile::tempdir().unwrap();
        let target = temp.path().join("out");
        let image = example().image.file;
        type Spoil = fn(&Path, &str);
        let spoil: [(&str, Spoil); 5] = [
            ("is not there", |dir, image| fs::remove_file(dir.join(image)).unwrap()),
            ("sha256", |dir, image| fs::write(dir.join(image), "imagE").unwrap()),
            ("bytes instead of", |dir, image| fs::write(dir.join(image), "").unwrap()),
            ("not a portable file name", |dir, _| fs::write(dir.join("a\nb"), "").unwrap()),
            ("not a file of an artifact", |dir, _| fs::create_dir(dir.join("tmp")).unwrap()),
        ];
        for (why, spoil) in spoil {
            let draft = draft(&target);
            spoil(draft.path(), &image);
            let error = draft.publish(&manifest("a"), Overwrite::Refuse, &Arc::default()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
            assert!(names(temp.path()).is_empty());
        }
    }
}
