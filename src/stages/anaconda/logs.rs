//! The logs that a failed installation left on the half-installed disk, for its evidence.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::super::StageError;
use crate::base::event::Task;
use crate::base::text::counted;
use crate::image::{Disk, FileKind, Format, ImageError, Root, replayed};
use crate::installer::anaconda;

/// The directory of the evidence that they go to, each under its path in the installed system.
const DIR: &str = "disk-logs";
/// Files that are kept. Anaconda 7.5 leaves nine, and one for each script.
const MAX_FILES: usize = 16;
/// Bytes that are kept of one: its last ones.
const MAX_BYTES: u64 = 4 << 20;
/// Directories of logs, and how the names of the logs begin and end: Anaconda's, which it copies when the user's `%post` are done
/// (data/post-scripts/99-copy-logs.ks); yum's; those of scripts; the scripts themselves, which stay behind when one fails.
const PLACES: [(&str, &str, &str); 4] =
    [("/var/log/anaconda", "", ""), ("/var/log", "yum.log", ""), ("/root", "ks-post", ".log"), ("/tmp", "ks-script-", "")];

/// Add to a failed installation's `error` the logs on its `disk`, to which no process writes any more. The error itself is not changed,
/// whatever is on the disk. `scripts` are the logs of the kickstart's scripts, by their paths on the disk. `place` is the installation's scratch directory.
pub(super) async fn beside(error: StageError, disk: &Path, scripts: &[String], place: &Path, task: &Task) -> StageError {
    let StageError::Installation { cause, remedy, mut lines, dir } = error else { return error };
    task.step("read the logs on the disk");
    lines.extend(match keep(disk, scripts, place, &dir.join(DIR)).await {
        // Before there was a system on it.
        Ok(0) | Err(ImageError::Absent { .. }) => None,
        Ok(count) => Some(format!("{} from the disk: {DIR}/ in the evidence", counted(count, "log"))),
        Err(error) => Some(format!("the logs on the disk cannot be read: {error}")),
    });
    StageError::Installation { cause, remedy, lines, dir }
}

/// Copy the logs on `disk` to `dir`. Returns how many there were.
async fn keep(disk: &Path, scripts: &[String], place: &Path, dir: &Path) -> Result<usize, ImageError> {
    let opened = Disk::open_own(disk, Format::Raw)?;
    match copy(opened, scripts.to_vec(), dir).await {
        // Among others EL7's own journal, which is replayed in a copy.
        Err(ImageError::Incompatible { .. }) => copy(replayed(disk, place).await?, scripts.to_vec(), dir).await,
        copied => copied,
    }
}

async fn copy(disk: Disk, scripts: Vec<String>, dir: &Path) -> Result<usize, ImageError> {
    let (dir, path) = (dir.to_owned(), disk.path().to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        let root = Root::open(&disk)?;
        let mut kept = 0;
        for path in found(&root, &scripts)? {
            let bytes = root.read_end(&path, MAX_BYTES)?;
            kept += usize::from(write(&dir, &path, &bytes));
        }
        Ok(kept)
    });
    // The panic has been printed already. The installation's failure must still be reported.
    copying.await.unwrap_or_else(|_| Err(ImageError::incompatible(&path, None, "its reader gave up")))
}

/// The regular files that are logs, each once.
fn found(root: &Root, scripts: &[String]) -> Result<Vec<PathBuf>, ImageError> {
    let mut paths: Vec<PathBuf> = scripts.iter().map(PathBuf::from).collect();
    for (place, begin, end) in PLACES {
        let names = match root.read_dir(place) {
            Err(ImageError::Absent { .. } | ImageError::OtherKind { .. }) => continue,
            names => names?,
        };
        let names = names.iter().filter_map(|name| name.to_str()).filter(|name| name.starts_with(begin) && name.ends_with(end));
        paths.extend(names.map(|name| Path::new(place).join(name)));
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        if found.len() < MAX_FILES && is_plain(&path) && !found.contains(&path) && is_file(root, &path)? {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether `path` is absolute and leads nowhere else when it is appended to a directory. Names of a damaged filesystem can be anything.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components();
    let readable = path.to_str().is_some_and(|path| !path.contains(char::is_control));
    readable && parts.next() == Some(Component::RootDir) && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Whether `path` is a regular file that is not empty. A link does not count.
fn is_file(root: &Root, path: &Path) -> Result<bool, ImageError> {
    match root.symlink_metadata(path) {
        Err(ImageError::Absent { .. }) => Ok(false),
        metadata => metadata.map(|metadata| metadata.kind == FileKind::File && metadata.size > 0),
    }
}

/// Keep a log, with hashes of passwords hidden as in the kickstart. Returns whether it was written: as with all evidence, a file that
/// cannot be written is left out.
fn write(dir: &Path, path: &Path, bytes: &[u8]) -> bool {
    let target = dir.join(path.strip_prefix("/").unwrap_or(path));
    let Some(parent) = target.parent() else { return false };
    fs::create_dir_all(parent).is_ok() && fs::write(&target, anaconda::without_secrets(bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, symlink};

    use super::*;
    use crate::base::event::Events;
    use crate::base::failure::{Class, Failure};
    use crate::base::process::{Invocation, Tool};

    const SCRIPTS: [&str; 4] = ["/root/mine.log", "/var/log/theirs.log", "/root/../etc/passwd", "/root/mine.log"];

    fn on_runtime<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    /// A disk of one ext4, without the checksums that EL7 does not know, from `files`: paths and contents, or links when they begin with `->`.
    fn disk(dir: &Path, files: &[(&str, &str)]) -> PathBuf {
        let (tree, disk) = (dir.join("tree"), dir.join("disk,1.raw"));
        for (path, content) in files {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match content.strip_prefix("->") {
                Some(target) => symlink(target, path).unwrap(),
                None => fs::write(path, content).unwrap(),
            }
        }
        let make = Invocation::new(Tool::Mke2fs).args(["-q", "-F", "-t", "ext4", "-O", "^metadata_csum,^metadata_csum_seed,^orphan_file"]);
        on_runtime(make.arg("-d").arg(&tree).arg(&disk).arg("32M").run_with(|_| {})).unwrap();
        disk
    }

    /// Let an installation with `disk` fail. Returns the lines about it, and where its evidence is.
    fn fail(dir: &Path, disk: &Path) -> (Vec<String>, PathBuf) {
        let evidence = dir.join("evidence");
        let error = StageError::Installation { cause: "c".into(), remedy: "r".into(), lines: vec!["last".into()], dir: evidence.clone() };
        let told = on_runtime(beside(error, disk, &SCRIPTS.map(str::to_owned), dir, &Events::none().task("install")));
        assert_eq!((told.to_string().as_str(), told.class()), ("the installation failed: c", Class::Machine));
        (told.evidence(), evidence)
    }

    #[test]
    fn logs_come_off_the_disk_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let long = format!("{}end\n", "0123456789abcde\n".repeat((5 << 20) / 16));
        let mut files = vec![
            ("etc/fstab", "/dev/vda1 / ext4"),
            ("root/mine.log", "mine\n"),
            ("var/log/theirs.log", "theirs\n"),
            ("var/log/yum.log", "Installed: bash\n"),
            ("var/log/messages", "no"),
            ("var/log/anaconda/program.log", "usermod -p $6$salt$hash root\n"),
            ("var/log/anaconda/packaging.log", long.as_str()),
            ("var/log/anaconda/empty.log", ""),
            ("var/log/anaconda/link.log", "->/etc/fstab"),
            ("var/log/anaconda/sub/x", "no"),
            ("root/ks-post-1.log", "post\n"),
            ("root/ks-post", "no"),
            ("tmp/ks-script-Ab1", "rootpw hunter\nexit 1\n"),
            ("etc/passwd", "no"),
        ];
        let expected = "root/ks-post-1.log root/mine.log tmp/ks-script-Ab1 var/log/anaconda/packaging.log var/log/anaconda/program.log \
            var/log/theirs.log var/log/yum.log";
        for unclean in [false, true] {
            let dir = dir.path().join(unclean.to_string());
            let disk = disk(&dir, &files);
            let whole = fs::read(&disk).unwrap();
            if unclean {
                // `needs_recovery` (s_feature_incompat): as a kernel of EL7 leaves it. The journal has no checksums.
                let file = fs::File::options().read(true).write(true).open(&disk).unwrap();
                let mut flags = [0];
                file.read_exact_at(&mut flags, 1024 + 0x60).unwrap();
                file.write_all_at(&[flags[0] | 4], 1024 + 0x60).unwrap();
                let root = Root::open(&Disk::open_own(&disk, Format::Raw).unwrap());
                assert!(matches!(root.err(), Some(ImageError::Incompatible { .. })));
            }
            let (lines, evidence) = fail(&dir, &disk);
            assert_eq!(lines, ["last", "7 logs from the disk: disk-logs/ in the evidence"]);
            let kept = evidence.join(DIR);
            let mut names = Vec::new();
            let mut waiting = vec![kept.clone()];
            while let Some(next) = waiting.pop() {
                for entry in fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                    if entry.is_dir() { waiting.push(entry) } else { names.push(entry.strip_prefix(&kept).unwrap().display().to_string()) }
                }
            }
            names.sort();
            assert_eq!(names.join(" "), expected);
            let text = |path: &str| fs::read_to_string(kept.join(path)).unwrap();
            assert_eq!(text("var/log/anaconda/program.log"), "usermod -p $6$********* root\n");
            assert_eq!(text("tmp/ks-script-Ab1"), "rootpw ******\nexit 1\n");
            let packaging = text("var/log/anaconda/packaging.log");
            assert!(packaging.len() as u64 == MAX_BYTES && packaging.ends_with("abcde\nend\n"));
            // A disk that is kept for a look is as the guest left it.
            assert!(unclean || fs::read(&disk).unwrap() == whole);
        }
        // Of very many logs only some are kept.
        let names: Vec<_> = (0..40).map(|number| format!("var/log/anaconda/{number}.log")).collect();
        files.extend(names.iter().map(|name| (name.as_str(), "x")));
        let many = dir.path().join("many");
        let disk = disk(&many, &files);
        assert_eq!(fail(&many, &disk).0[1], "16 logs from the disk: disk-logs/ in the evidence");
    }

    #[test]
    fn a_disk_without_logs_stays_the_installers_failure() {
        let dir = tempfile::tempdir().unwrap();
        let disk = disk(dir.path(), &[("etc/hostname", "no system yet")]);
        assert_eq!(fail(dir.path(), &disk).0, ["last"]);
        let file = fs::File::options().write(true).open(&disk).unwrap();
        for (at, bytes, told) in [
            (1024 + 0x20, &[0; 4][..], Some("its superblock makes no sense")),
            (1024 + 0x38, &[0; 2], None),
            (0, b"XFSB", Some("XFS of version 0 is not read")),
            // A table of one partition that lies outside.
            (446, &[0, 0, 0, 0, 0x83, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0, 0], Some("XFS of version 0 is not read")),
            (510, &[0x55, 0xaa], Some("")),
        ] {
            file.write_all_at(bytes, at).unwrap();
            let lines = fail(dir.path(), &disk).0;
            let second = lines.get(1).map(|line| line.strip_prefix("the logs on the disk cannot be read: ").unwrap());
            assert_eq!(
                (lines[0].as_str(), second.map(|line| told.is_some_and(|told| line.contains(told)))),
                ("last", told.map(|_| true)),
                "{lines:?}"
            );
        }
        assert_eq!(fail(dir.path(), Path::new("/nonexistent")).0.len(), 2);
    }
}
