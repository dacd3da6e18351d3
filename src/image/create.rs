//! Makes and checks image files: overlays by `qemu-img`, raw disks by ourselves.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::error::ImageError;
use super::qcow2::Header;
use super::read_at::RawFile;
use crate::base::host;
use crate::base::process::{Invocation, ProcessError, Tool};

use crate::hardware::Format;

/// Whether the clusters of a qcow2 are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compress {
    /// With deflate, which every reader of qcow2 knows.
    Zlib,
    /// With zstd (QEMU 5.1 and later read it).
    Zstd,
    /// With zstd, for a file that is written once and read often: three times the work, 5 % less.
    ZstdSmall,
    /// Not at all.
    Never,
}

/// Bytes an ordinary user can still write to the filesystem of `dir`.
///
/// # Errors
/// `dir` is not there.
pub fn free_bytes(dir: &Path) -> Result<u64, ImageError> {
    host::free_bytes(dir).map_err(|error| ImageError::read(dir, error))
}

/// Make sure that `needed` bytes can be written below `dir`.
///
/// # Errors
/// [`ImageError::NoSpace`] with the numbers, or `dir` is not there.
pub fn require_space(dir: &Path, needed: u64) -> Result<(), ImageError> {
    let free = free_bytes(dir)?;
    if free < needed {
        return Err(ImageError::NoSpace { path: dir.to_owned(), needed, free });
    }
    Ok(())
}

/// Make a new raw disk of `size` bytes of zeros at `path`. It is sparse; `expected` bytes of it are going to be written, and must be free.
///
/// # Errors
/// There is no space, something of that name is there, or it cannot be written.
pub fn create_raw(path: &Path, size: u64, expected: u64) -> Result<File, ImageError> {
    require_space(directory_of(path), expected)?;
    let failed = |source| ImageError::write(path, source);
    let file = File::options().read(true).write(true).create_new(true).open(path).map_err(failed)?;
    file.set_len(size).map_err(failed)?;
    Ok(file)
}

/// Make the qcow2 overlay `overlay` over `backing`, which has the format `format`. A relative `backing` is relative to the overlay's
/// directory and is written so: both can be moved together.
///
/// # Errors
/// The backing file is not there, or `qemu-img` is not there or failed.
pub async fn create_overlay(backing: &Path, format: Format, overlay: &Path) -> Result<(), ImageError> {
    create_overlay_of(backing, format, None, overlay).await
}

/// As [`create_overlay`], with a disk of `size` bytes; without a size it is that of the backing file.
///
/// # Errors
/// As [`create_overlay`].
pub async fn create_overlay_of(backing: &Path, format: Format, size: Option<u64>, overlay: &Path) -> Result<(), ImageError> {
    // qemu-img would not name it.
    let there = directory_of(overlay).join(backing);
    there.metadata().map_err(|source| ImageError::read(&there, source))?;
    let invocation = Invocation::new(Tool::QemuImg)
        .args(["create", "-q", "-f", "qcow2", "-F", format.name(), "-b"])
        .arg(local(backing))
        .arg(local(overlay))
        .args(size.map(|size| size.to_string()));
    Ok(invocation.run_with(|_| {}).await?)
}

/// As [`create_overlay`], for a backing file that is not in its place yet: nothing looks at it. `size` bytes are the disk's.
///
/// # Errors
/// `qemu-img` is not there or failed.
pub async fn create_overlay_unchecked(backing: &Path, format: Format, size: u64, overlay: &Path) -> Result<(), ImageError> {
    let invocation = Invocation::new(Tool::QemuImg)
        .args(["create", "-q", "-u", "-f", "qcow2", "-F", format.name(), "-b"])
        .arg(local(backing))
        .arg(local(overlay))
        .arg(size.to_string());
    Ok(invocation.run_with(|_| {}).await?)
}

/// Bytes of the disk in the qcow2 `overlay`, of which only the header is read. One that QEMU may not open, because its header names further files
/// beside a backing file, is refused.
///
/// # Errors
/// It is no qcow2 file, is damaged, or needs what only a file with data beside it has.
pub fn overlay_size(overlay: &Path) -> Result<u64, ImageError> {
    Header::read(&RawFile::open(overlay)?, overlay).map(|header| header.size)
}

/// Let the qcow2 `overlay` lie over `backing`, a file of this format with the same bytes as the one before it. Neither file is looked at.
///
/// # Errors
/// `qemu-img` is not there or failed.
pub async fn rebase_unchecked(overlay: &Path, backing: &Path, format: Format) -> Result<(), ImageError> {
    let invocation = Invocation::new(Tool::QemuImg)
        .args(["rebase", "-q", "-u", "-f", "qcow2", "-F", format.name(), "-b"])
        .arg(local(backing))
        .arg(local(overlay));
    Ok(invocation.run_with(|_| {}).await?)
}

/// Have `qemu-img check` look at the qcow2 `path`.
///
/// # Errors
/// It is damaged or leaks clusters, or the check could not be run.
pub async fn check(path: &Path) -> Result<(), ImageError> {
    let invocation = Invocation::new(Tool::QemuImg).args(["check", "-q", "-f", "qcow2"]).arg(local(path));
    match invocation.run_with(|_| {}).await {
        // qemu-img(1): 2 is corruption, 3 leaked clusters, 1 could not be completed.
        Err(ProcessError::Failed { status, tail, .. }) if matches!(status.code(), Some(2 | 3)) && status.signal().is_none() => {
            let what = tail.lines().find(|line| !line.trim().is_empty()).unwrap_or("qemu-img check found errors");
            Err(ImageError::corrupt(path, None, what))
        }
        result => Ok(result?),
    }
}

/// `path` so that QEMU takes it as a file and nothing else: a colon before the first slash would make it a protocol, a dash an option.
pub(super) fn local(path: &Path) -> OsString {
    if path.is_absolute() || path.starts_with(".") || path.starts_with("..") {
        return path.into();
    }
    [OsStr::new("./"), path.as_os_str()].into_iter().collect()
}

/// The directory that `path` is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn names_cannot_become_options_or_protocols() {
        for (path, expected) in
            [("/a/b", "/a/b"), ("-x", "./-x"), ("nbd:x", "./nbd:x"), ("../x", "../x"), ("./x", "./x"), ("dir/x", "./dir/x")]
        {
            assert_eq!(local(Path::new(path)), expected);
        }
    }

    #[test]
    fn a_raw_disk_is_sparse_and_space_is_asked_for_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let free = free_bytes(dir.path()).unwrap();
        let error = create_raw(&path, 1 << 40, u64::MAX).unwrap_err();
        assert!(matches!(&error, ImageError::NoSpace { needed: u64::MAX, free: now, .. } if *now > 0 && free > 0), "{error}");
        assert!(!path.exists());
        let file = create_raw(&path, 1 << 40, 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 1 << 40);
        let error = create_raw(&path, 1, 0).unwrap_err();
        assert!(matches!(&error, ImageError::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists), "{error}");
        assert!(free_bytes(&dir.path().join("gone")).is_err());
    }
}
