//! Copies files and trees of an image to the host.
//!
//! Copies belong to the user who copies. Permission bits are kept, except that the owner may always read and write. Set-uid, set-gid and
//! sticky bits are dropped, because they would act for another owner. Links are copied as they are and never followed on the host: a tree
//! is made in a new directory, in which every file is new.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::error::ImageError;
use super::filesystem::{FileKind, Metadata};
use super::root::Root;
use crate::base::atomic::{Existing, NewDir, NewFile};

/// Bytes that are read at once. Zeros of this size become a hole.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks after which other tasks get a turn, for example the one that listens for signals.
const CHUNKS_PER_TURN: u32 = 16;

/// The result of a copy.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Files, directories and links.
    pub files: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Devices, pipes and sockets, which are not copied, in the order of their paths.
    pub left_out: Vec<(PathBuf, FileKind)>,
}

/// Copy `path`, links followed, and what is below it, to the new `target`, whose directory must be there. The target appears whole or not
/// at all.
///
/// # Errors
/// `path` is not there, or is a device, pipe or socket; the image is damaged; the target is there already or cannot be written.
pub async fn copy_out(root: &Root, path: &Path, target: &Path) -> Result<Copied, ImageError> {
    let failed = |source| ImageError::write(target, source);
    let metadata = root.metadata(path)?;
    let mut copied = Copied::default();
    if fs::symlink_metadata(target).is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    match metadata.kind {
        FileKind::File => {
            let new = NewFile::beside(target).map_err(failed)?;
            copy_content(root, path, new.file(), target, &mut copied).await?;
            set_mode(new.file(), &metadata).map_err(failed)?;
            new.publish().map_err(failed)?;
        }
        FileKind::Directory => {
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::metadata(parent).map_err(failed)?;
            let new = NewDir::beside(target).map_err(failed)?;
            copy_tree(root, path, new.path(), &mut copied).await?;
            fs::set_permissions(new.path(), permissions(&metadata)).map_err(failed)?;
            new.publish(Existing::Keep).map_err(failed)?;
        }
        found => {
            let (path, file) = (root.disk().to_owned(), path.to_owned());
            return Err(ImageError::OtherKind { path, file, found, wanted: FileKind::File });
        }
    }
    copied.files += 1;
    Ok(copied)
}

/// Copy what is below the directory `path` into the directory `into`, which is empty.
async fn copy_tree(root: &Root, path: &Path, into: &Path, copied: &mut Copied) -> Result<(), ImageError> {
    let mut directories = Vec::new();
    for found in root.walk(path)? {
        let (source, metadata) = found?;
        let target = into.join(source.strip_prefix(path).unwrap_or(&source));
        let failed = |source| ImageError::write(&target, source);
        match metadata.kind {
            FileKind::File => {
                let file = File::options().write(true).create_new(true).mode(0o600).open(&target).map_err(failed)?;
                copy_content(root, &source, &file, &target, copied).await?;
                set_mode(&file, &metadata).map_err(failed)?;
            }
            FileKind::Directory => {
                DirBuilder::new().mode(0o700).create(&target).map_err(failed)?;
                directories.push((target, metadata));
            }
            FileKind::Symlink => symlink(root.read_link(&source)?, &target).map_err(failed)?,
            FileKind::Device | FileKind::Pipe | FileKind::Socket => {
                copied.left_out.push((source, metadata.kind));
                continue;
            }
        }
        copied.files += 1;
        tokio::task::yield_now().await;
    }
    for (directory, metadata) in directories {
        fs::set_permissions(&directory, permissions(&metadata)).map_err(|source| ImageError::write(&directory, source))?;
    }
    Ok(())
}

/// Copy the content of the regular file `path` to `file`, which is called `target` in errors; holes stay holes.
async fn copy_content(root: &Root, path: &Path, file: &File, target: &Path, copied: &mut Copied) -> Result<(), ImageError> {
    let failed = |source| ImageError::write(target, source);
    let mut content = root.open_file(path)?;
    let (mut chunk, mut at, mut turn) = (Vec::with_capacity(CHUNK_BYTES), 0, 0);
    loop {
        chunk.clear();
        let read = content.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk);
        if read.map_err(|source| ImageError::read(root.disk(), source))? == 0 {
            break;
        }
        if chunk.iter().any(|byte| *byte != 0) {
            file.write_all_at(&chunk, at).map_err(failed)?;
        }
        at += chunk.len() as u64;
        turn += 1;
        if turn % CHUNKS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    copied.bytes += at;
    file.set_len(at).map_err(failed)
}

fn set_mode(file: &File, metadata: &Metadata) -> io::Result<()> {
    file.set_permissions(permissions(metadata))
}

fn permissions(metadata: &Metadata) -> Permissions {
    permissions_of_a_copy(metadata.mode, metadata.kind == FileKind::Directory)
}

/// The mode of a copy of a guest's file or directory: without set-uid, set-gid and sticky bits, and the user who copied it may read and
/// write it.
pub fn permissions_of_a_copy(mode: u32, is_directory: bool) -> Permissions {
    let owner = if is_directory { 0o700 } else { 0o600 };
    Permissions::from_mode(mode & 0o777 | owner)
}
