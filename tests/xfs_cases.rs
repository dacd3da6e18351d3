//! XFS, compared with other implementations: mkfs.xfs, the kernel through a loop mount, xfs_db, xfs_logprint, xfs_repair.
//!
//! Version 5 is filled by the kernel. Linux 6.18 no longer mounts version 4, so mkfs.xfs fills it from a prototype, and xfs_db adds attributes.

mod filled;
mod version4;
mod damage;

use std::fs::{self, File};
use std::path::Path;

use goldsmith::base::digest::Sha256Digest;
use goldsmith::image::{Disk, FreeSpace, Root};
use tempfile::TempDir;

use crate::faults::possible;
use crate::mounted_tree::*;

/// Whether this host allows mounting an XFS. Prints a message if not.
fn can_mount(dir: &TempDir) -> bool {
    run(dir, "truncate -s 32M @/tried && mkfs.xfs -q -f @/tried && mkdir -p @/m");
    let _loops = loop_devices();
    let line = format!("mount -o loop {0}/tried {0}/m && umount {0}/m", dir.path().display());
    possible(&["sh", "-c", &line], "only root can mount an XFS")
}

/// Check that the free runs are those of xfs_db, which lists an extent a line: group, block of the group, count.
#[track_caller]
fn assert_free_space(dir: &TempDir, what: &str) {
    let number = |name: &str| {
        let text = run(dir, &format!("xfs_db -r -c 'sb 0' -c 'print {name}' @/disk"));
        text.trim().rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let (block, group) = (number("blocksize"), number("agblocks"));
    let text = run(dir, "xfs_db -r -c 'freesp -d' @/disk");
    let lines = text.lines().skip(1).map(|line| line.split_whitespace().map_while(|word| word.parse::<u64>().ok()).collect::<Vec<_>>());
    let mut runs = Vec::new();
    for line in lines {
        let [number, start, count] = line[..] else { break };
        let start = (number * group + start) * block;
        runs.push(start..start + count * block);
    }
    runs.sort_by_key(|run| run.start);
    let mut joined: Vec<std::ops::Range<u64>> = Vec::new();
    for run in runs {
        match joined.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => joined.push(run),
        }
    }
    let disk = Disk::open(&dir.path().join("disk")).unwrap();
    let free = FreeSpace::of(&disk).unwrap();
    assert_eq!(free.runs, joined, "{what}");
    assert!(free.unread.is_empty() && joined.len() > 1, "{what}: {:?}", free.unread);
    let usage = Root::open(&disk).unwrap().usage().unwrap();
    assert_eq!((usage.size, usage.free), (number("dblocks") * block, number("fdblocks") * block), "{what}");
}
