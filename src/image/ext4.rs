//! Makes ext4 from a directory tree, by `mke2fs`, inside a partition of a disk file.
//!
//! The same tree gives the same bytes on any host and at any time: time, UUID and hash seed are given; features, sizes and ratios are
//! spelled out and the host's `/etc/mke2fs.conf` is not read (Debian's and upstream's 1.47.0 differ); nothing is left to be initialised by
//! the first kernel that mounts it. One thing cannot be set by options of `mke2fs` before 1.47.1: it copies the access and change times of
//! the files, which differ whenever the tree is read or made. [`Mke2fs::settle_times`] corrects them afterwards.

mod times;

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use super::error::ImageError;
use crate::base::uuid::Uuid;

/// Block size in bytes: what every ext4 of some size has.
const BLOCK_BYTES: u64 = 4096;
/// All of Debian 12's features for ext4. GRUB 2.06, Linux since 3.18 and ext4-view can read them.
const FEATURES: &str = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,\
                        dir_nlink,extra_isize,metadata_csum";

/// An ext4 filesystem to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mke2fs {
    /// Byte of the disk file it begins at.
    pub offset: u64,
    /// Size in bytes; a rest that does not fill a block is not used.
    pub size: u64,
    /// Label, at most 16 bytes.
    pub label: String,
    /// UUID: what `root=UUID=` names.
    pub uuid: Uuid,
    /// Seed of the directory hashes.
    pub hash_seed: Uuid,
    /// The time of making, in seconds since 1970.
    pub epoch: u64,
}

impl Mke2fs {
    /// The words after `mke2fs` that make the filesystem in the file `disk` from the directory `tree`. The place must hold zeros.
    /// Run as root of a user namespace it keeps the tree's owners as that namespace sees them.
    pub fn args(&self, tree: &Path, disk: &Path) -> Vec<OsString> {
        let extended = format!(
            // Without these options mke2fs asks the running kernel whether to initialise lazily, and discards beyond the partition.
            "offset={},hash_seed={},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard",
            self.offset, self.hash_seed
        );
        let mut args: Vec<OsString> = ["-q", "-F", "-t", "ext4"].map(OsString::from).into();
        for (flag, value) in [
            ("-b", BLOCK_BYTES.to_string()),
            ("-I", "256".to_owned()),
            ("-i", "16384".to_owned()),
            ("-m", "5".to_owned()),
            ("-O", FEATURES.to_owned()),
            ("-L", self.label.clone()),
            ("-U", self.uuid.to_string()),
            ("-E", extended),
        ] {
            args.extend([flag.into(), value.into()]);
        }
        args.extend(["-d".into(), tree.into(), disk.into(), (self.size / BLOCK_BYTES).to_string().into()]);
        args
    }

    /// The environment that `mke2fs` needs.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            // libext2fs before 1.47.1 knows only the first; later versions know the second, and clamp the tree's times to it.
            ("E2FSPROGS_FAKE_TIME", self.epoch.to_string()),
            ("SOURCE_DATE_EPOCH", self.epoch.to_string()),
            // The file does not exist, so mke2fs takes its compiled-in values. An empty file would make it warn.
            ("MKE2FS_CONFIG", "/nonexistent".to_owned()),
        ]
    }

    /// After `mke2fs`: set the inodes' access and change times to the epoch, and every modification time that is later too (what
    /// `SOURCE_DATE_EPOCH` asks for). `disk` is called `path` in errors.
    ///
    /// # Errors
    /// The disk cannot be read or written, or there is another filesystem than the one that was made.
    pub fn settle_times(&self, disk: &File, path: &Path) -> Result<(), ImageError> {
        times::settle(disk, self.offset, self.size, self.epoch).map_err(|source| ImageError::write(path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_leaves_nothing_to_the_host() {
        let filesystem = Mke2fs {
            offset: 2 << 20,
            size: (1 << 30) + 100,
            label: "root".into(),
            uuid: Uuid([1; 16]),
            hash_seed: Uuid([2; 16]),
            epoch: 1,
        };
        let words: Vec<_> =
            filesystem.args(Path::new("/tree"), Path::new("disk.raw")).into_iter().map(|arg| arg.into_string().unwrap()).collect();
        assert_eq!(
            words.join(" "),
            "-q -F -t ext4 -b 4096 -I 256 -i 16384 -m 5 -O none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
             sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum -L root -U 01010101-0101-0101-0101-010101010101 \
             -E offset=2097152,hash_seed=02020202-0202-0202-0202-020202020202,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,\
             nodiscard -d /tree disk.raw 262144"
        );
        assert_eq!(filesystem.env()[0], ("E2FSPROGS_FAKE_TIME", "1".to_owned()));
    }
}
