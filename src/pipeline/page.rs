//! Makes `report.html` of a build from the results of the flow.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::published::HostPaths;
use crate::artifact::{EVENTS_FILE, Manifest, PAGE_FILE};
use crate::base::atomic;
use crate::base::event::Events;
use crate::base::failure::AnyFailure;
use crate::base::size::rounded;
use crate::image::inspect::{Inspection, inspect_disk};
use crate::image::{Disk, Root};
use crate::inventory;
use crate::report::{Changes, Command, DiskMap, Evidence, Failed, Log, PackageSize, Page, Recorded, Recorder, Screen};
use crate::verify::Report;

/// Screens of a failed build that the page shows, at most.
const SCREENS: usize = 8;
/// Texts of a failed build that the page shows, at most.
const LOGS: usize = 24;
/// Bytes of a text that are shown: its end.
const LOG_BYTES: u64 = 32 << 10;
/// Bytes of a picture that is read, at most.
const SCREEN_BYTES: u64 = 4 << 20;
/// Directories below that of the evidence that are looked into.
const DEPTH: usize = 3;

/// Write the page of a build that was proved into the directory `dir` of its artifact. If the page cannot be made, this is only a warning:
/// the image does not depend on it.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(
    dir: &Path,
    manifest: &Manifest,
    recorder: &Recorder,
    changes: Changes,
    paths: &HostPaths,
    events: &Events,
) -> io::Result<()> {
    let mut recorded = recorder.recorded().with_texts(|text| paths.hide(text));
    // Tasks that have not ended are part of the publishing itself.
    recorded.tasks.retain(|task| task.ended.is_some());
    match published(&dir.join(&manifest.image.file), manifest, recorded, changes).and_then(|page| Ok(page.render()?)) {
        Ok(html) => atomic::write(&dir.join(PAGE_FILE), html.as_bytes()),
        Err(error) => {
            events.warn(format!("the artifact has no report: {error}"));
            Ok(())
        }
    }
}

fn published(image: &Path, manifest: &Manifest, recorded: Recorded, changes: Changes) -> Result<Page, AnyFailure> {
    let disk = Disk::open(image)?;
    let found = inspect_disk(&disk);
    let packages = match found.system {
        Some(_) => packages(&disk)?,
        None => Vec::new(),
    };
    Ok(Page {
        name: manifest.name.clone(),
        failed: None,
        facts: facts(manifest, &found),
        recorded,
        checks: manifest.checks.clone(),
        disk: Some(DiskMap::of(&found)),
        packages,
        changes,
        evidence: Evidence::default(),
        commands: commands(&manifest.image.file),
    })
}

fn packages(disk: &Disk) -> Result<Vec<PackageSize>, AnyFailure> {
    let found = inventory::installation(&Root::open(disk)?)?;
    let packages = found.into_iter().flat_map(|found| found.packages).filter(|package| !package.is_key);
    Ok(packages
        .map(|package| PackageSize { name: package.name, version: package.version, bytes: package.installed_size.unwrap_or(0) })
        .collect())
}

fn facts(manifest: &Manifest, found: &Inspection) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Made", manifest.created.to_string())];
    for image in manifest.images() {
        facts.push(("Image", format!("{}, {}, disk of {}", image.file, rounded(image.bytes), rounded(image.virtual_bytes))));
        facts.push(("sha256", image.sha256.to_string()));
    }
    if let Some(state) = &manifest.warm {
        let (file, size) = (&state.file.file, rounded(state.file.bytes));
        facts.push(("Saved state", format!("{file}, {size}, for `up --warm` with {} of memory and QEMU {}", state.memory, state.qemu)));
    }
    facts.push(("Content id", manifest.content_id.to_string()));
    if let Some(parent) = &manifest.parent {
        facts.push((
            "Parent",
            format!("{}, image {}; changed by hand since, so no build makes this image again", parent.name, parent.image),
        ));
    }
    if let Some(system) = &found.system {
        facts.extend(system.os_release.as_ref().map(|release| ("System", release.pretty_name.clone())));
        facts.extend(system.boot.as_ref().map(|boot| ("Boots", format!("{} {}", boot.kernel, boot.arguments))));
    }
    facts.push(("goldsmith", manifest.goldsmith.clone()));
    facts
}

fn commands(image: &str) -> Vec<Command> {
    let command = |purpose, line: String| Command { purpose, line };
    vec![
        command("Check the files", "sha256sum -c SHA256SUMS".to_owned()),
        command("Start a copy on this terminal", format!("goldsmith run {image}")),
        command("Prove it again", format!("goldsmith verify {image}")),
        command("See what is in it", format!("goldsmith image inspect {image}")),
        command("Write it for VMware, VirtualBox, Hyper-V, Azure, Vagrant, KubeVirt", format!("goldsmith image export {image} NEW.vmdk")),
        command("Define it in libvirt", format!("goldsmith image describe {image} --for libvirt > domain.xml && virsh define domain.xml")),
        command("Compare it with another image", format!("goldsmith image diff OTHER.qcow2 {image}")),
    ]
}

/// Write the page of a run that failed into `dir`, which has its evidence; `report` is the file that has the checks, if there were any. As
/// with all evidence, a file that cannot be written is left out: the failure matters more.
pub(super) fn write_failed(dir: &Path, name: &str, cause: &AnyFailure, report: &Path, recorder: &Recorder) {
    let report = fs::read(report).ok().and_then(|json| serde_json::from_slice::<Report>(&json).ok());
    let cause = cause.get();
    let page = Page {
        name: name.to_owned(),
        failed: Some(Failed { what: cause.to_string(), evidence: cause.evidence(), remedy: cause.remedy() }),
        facts: vec![("Failed", Manifest::now().to_string()), ("goldsmith", env!("CARGO_PKG_VERSION").to_owned())],
        recorded: recorder.recorded(),
        checks: report.map(|report| report.checks).unwrap_or_default(),
        evidence: evidence(dir),
        ..Page::default()
    };
    if let Ok(html) = page.render() {
        let _ = fs::write(dir.join(PAGE_FILE), html);
    }
}

/// The screens and texts in `dir`, by name.
fn evidence(dir: &Path) -> Evidence {
    let mut files = Vec::new();
    walk(dir, DEPTH, &mut files);
    files.sort();
    let mut found = Evidence::default();
    for path in files {
        let title = path.strip_prefix(dir).unwrap_or(&path).to_string_lossy().into_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("png") if found.screens.len() < SCREENS => {
                let machine = Path::new(&title).parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
                found.screens.extend(end(&path, SCREEN_BYTES).ok().map(|png| Screen { machine, png }));
            }
            Some("log" | "txt") if found.logs.len() < LOGS => {
                let text = end(&path, LOG_BYTES).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                found.logs.extend(text.filter(|text| !text.trim().is_empty()).map(|text| Log { title, text }));
            }
            _ => {}
        }
    }
    found
}

fn walk(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => walk(&entry.path(), depth - 1, files),
            Ok(kind) if kind.is_file() && entry.file_name() != EVENTS_FILE => files.push(entry.path()),
            _ => {}
        }
    }
}

/// The last `limit` bytes of a file, or all of a shorter one.
fn end(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageError;
    use crate::verify::CheckResult;

    #[test]
    fn a_failed_run_shows_its_checks_its_screens_and_the_ends_of_its_texts() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::create_dir_all(at("verify-boot/a/b/c/d")).unwrap();
        fs::write(at("verify-boot/screen.png"), b"\x89PNG\r\n\x1a\nrest").unwrap();
        fs::write(at("verify-boot/console.log"), format!("begin\n{}\n<b>end</b>\n", "x".repeat(LOG_BYTES as usize))).unwrap();
        fs::write(at("verify-boot/a/b/c/d/deep.log"), "too deep").unwrap();
        fs::write(at("verify-boot/stderr.txt"), "\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("verify-boot/link.txt")).unwrap();
        let report = Report { checks: vec![CheckResult::failed("docker", "it is not there")], docker_info: None };
        fs::write(at("report.json"), serde_json::to_vec(&report).unwrap()).unwrap();
        let cause = ImageError::read(Path::new("/some/image"), io::Error::other("it is gone")).into();
        write_failed(temp.path(), "lab", &cause, &at("report.json"), &Recorder::new());
        let page = fs::read_to_string(at(PAGE_FILE)).unwrap();
        for part in ["lab", "it is gone", "it is not there", "1 check failed", "&lt;b&gt;end&lt;", "data:image/png;base64,iVBORw0KGg"] {
            assert!(page.contains(part), "{part}: {page}");
        }
        for part in ["begin\n", "too deep", "stderr.txt", "root:x:"] {
            assert!(!page.contains(part), "{part}: {page}");
        }
    }
}
