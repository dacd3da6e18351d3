//! ext4, ext3 and ext2, compared with other implementations: mke2fs, the kernel through a loop mount, debugfs, e2fsck.

mod damage;
mod filled;

use std::fs;
use std::path::Path;

use goldsmith::image::{Disk, Root, Usage};
use tempfile::TempDir;

use crate::faults::possible;
use crate::mounted_tree::*;

/// Whether this host allows mounting an ext4. Prints a message if not.
fn can_mount(dir: &TempDir) -> bool {
    run(dir, "truncate -s 8M @/tried && mke2fs -q -F -t ext4 @/tried && mkdir -p @/m");
    let _loops = loop_devices();
    let line = format!("mount -o loop {0}/tried {0}/m && umount {0}/m", dir.path().display());
    possible(&["sh", "-c", &line], "only root can mount an ext4")
}

/// The free and used bytes in goldsmith, as statfs(2) counts them: it does not count the metadata blocks of the filesystem, except free
/// ones.
fn free_by_kernel(top: &Path) -> u64 {
    let counted = rustix::fs::statvfs(top).unwrap();
    counted.f_bfree * counted.f_frsize
}
