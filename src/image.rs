//! Disk files at rest: create, overlay, partition tables, filesystems, inspect.
//!
//! Everything here works on plain files without a mount, without root and without a machine: readers on anything that is [`ReadAt`],
//! writers on a [`std::fs::File`]. Images come from elsewhere: whatever they hold, reading them ends with a value or a typed error.

mod cache;
mod crc32c;
mod error;

mod disk;
mod foreign;
mod nbd;
mod qcow2;
mod read_at;
mod served;

mod kernels;
mod layout;
mod lvm;
mod partition;

mod create;
pub mod ext4;
pub mod fat;

mod automount;
mod boot;
mod boot_files;
mod edit;
mod filesystem;
mod extract;
pub mod export;
mod free;
mod fstab;
mod guest;
mod open_file;
mod owners;
mod root;
mod volume;
pub mod mount;
mod replay;
mod superblock;

pub mod inspect;

pub use crate::base::read_at::ReadAt;
pub use crate::hardware::{Firmware, Format, OutputFormat, TableKind};
pub use boot::{BootEntry, BootFile, Fallback, Mechanism, Part};
pub use boot_files::BootFiles;
pub use create::{
    Compress, check, create_overlay, create_overlay_of, create_overlay_unchecked, create_raw, free_bytes, overlay_size, rebase_unchecked,
    require_space,
};
pub use disk::{Disk, DiskInfo};
pub use edit::{Editor, PutFile};
pub use error::ImageError;
pub use extract::{Copied, copy_out, permissions_of_a_copy};
pub use filesystem::{Entry, FileKind, Identity, Metadata, Usage, Xattr};
pub use foreign::ImageFormat;
pub use free::FreeSpace;
pub use guest::Seen;
pub use kernels::kernels;
pub use layout::{Layout, PlannedPartition, Role};
pub use open_file::OpenFile;
pub use owners::Owners;
pub use partition::{Partition, PartitionTable, gpt_type, mbr_type};
pub use read_at::Slice;
pub use replay::{replay, replayed};
pub use root::{Place, Root, Walk};
pub use superblock::FilesystemType;
