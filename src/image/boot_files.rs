//! Kernel and initramfs of a disk, copied out so that it can be booted directly.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::boot::{BootFile, Mechanism};
use super::{BootEntry, Disk, Format, ImageError, Root};

/// Kernels have some 15 MB, initramfs images up to 100.
const MAX_BYTES: u64 = 512 << 20;

/// A kernel, its initramfs, and the arguments the disk's boot loader would give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFiles {
    kernel: PathBuf,
    initrd: PathBuf,
    arguments: String,
}

impl BootFiles {
    /// Copy what goldsmith's own disk at `path` boots by default into the directory `into`. A disk that has no boot loader yet has its newest kernel.
    ///
    /// Reading ext4 is processor work: it is done on a thread that may block.
    ///
    /// # Errors
    /// The disk or its root filesystem cannot be read, it has no kernel, or the copies cannot be written.
    pub async fn extract(path: &Path, format: Format, into: &Path) -> Result<Self, ImageError> {
        let (path, into) = (path.to_owned(), into.to_owned());
        match tokio::task::spawn_blocking(move || Self::extract_now(&path, format, &into)).await {
            Ok(files) => files,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Kernel, initramfs, arguments.
    pub fn parts(&self) -> (&Path, &Path, &str) {
        (&self.kernel, &self.initrd, &self.arguments)
    }

    fn extract_now(path: &Path, format: Format, into: &Path) -> Result<Self, ImageError> {
        let disk = Disk::open_own(path, format)?;
        let root = Root::open(&disk)?;
        let entry = match BootEntry::read(&root) {
            Ok(entry) => entry,
            Err(error) => newest_kernel(&root)?.ok_or(error)?,
        };
        let copy = |from: &[BootFile], name: &str| -> Result<PathBuf, ImageError> {
            let to = into.join(name);
            let mut file = File::create(&to).map_err(|source| ImageError::write(&to, source))?;
            let mut written = 0;
            for part in from {
                // Each archive of an initramfs begins at a multiple of four bytes (Linux, init/initramfs.c, `unpack_to_rootfs`).
                let mut bytes = vec![0; usize::next_multiple_of(written, 4) - written];
                bytes.append(&mut part.read(&root, MAX_BYTES)?);
                file.write_all(&bytes).map_err(|source| ImageError::write(&to, source))?;
                written += bytes.len();
            }
            Ok(to)
        };
        Ok(Self { kernel: copy(&[entry.kernel], "kernel")?, initrd: copy(&entry.initrds, "initrd")?, arguments: entry.arguments })
    }
}

/// The kernel in `/boot` that sorts last and has an initramfs: right for one kernel, which is what a new disk has.
fn newest_kernel(root: &Root) -> Result<Option<BootEntry>, ImageError> {
    let mut names: Vec<String> = root.read_dir("/boot")?.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    for version in names.iter().rev().filter_map(|name| name.strip_prefix("vmlinuz-")) {
        for initrd in [format!("/boot/initrd.img-{version}"), format!("/boot/initramfs-{version}.img")] {
            if root.exists(&initrd)? {
                let arguments = format!("root=UUID={}", root.uuid());
                return Ok(Some(BootEntry {
                    mechanism: Mechanism::Grub,
                    configuration: String::new(),
                    title: version.to_owned(),
                    kernel: BootFile::whole(format!("/boot/vmlinuz-{version}")),
                    initrds: vec![BootFile::whole(initrd)],
                    arguments,
                }));
            }
        }
    }
    Ok(None)
}
