//! What a disk image is, at a glance: the file, its partitions, the system in it. Words for people are made elsewhere.

mod accounts;
mod docker;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::boot::BootEntry;
use super::disk::{Disk, DiskInfo};
use super::error::ImageError;
use super::filesystem::FileKind;
use super::partition::PartitionTable;
use super::root::{Place, Root};
use super::superblock::FilesystemType;
use super::volume::Volume;

pub use accounts::Account;
pub use docker::Docker;

/// Small text files of a system that are read.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// A disk image at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The data that the file has about its disk.
    pub disk: DiskInfo,
    /// The partition table, if there is one.
    pub partition_table: Option<PartitionTable>,
    /// What each partition holds: its index, and the filesystem when it is known. Index 0 is a disk without partitions.
    pub filesystems: Vec<(u32, Option<FilesystemType>)>,
    /// The logical volumes of LVM.
    pub logical_volumes: Vec<LogicalVolume>,
    /// The root filesystem and the system in it.
    pub system: Option<System>,
    /// Facts that could not be determined, with the reasons: one sentence each.
    pub problems: Vec<String>,
}

/// A logical volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogicalVolume {
    /// `/dev/VG/LV`.
    pub name: String,
    /// Index of the partition where it begins; 0 on a disk without partitions.
    pub partition: u32,
    /// Bytes of it; 0 when it cannot be read.
    pub size: u64,
    /// The type of its filesystem, if that is known.
    pub filesystem: Option<FilesystemType>,
}

/// A system on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct System {
    /// The root filesystem.
    pub root: RootFilesystem,
    /// Which distribution it is.
    pub os_release: Option<OsRelease>,
    /// `/etc/hostname`.
    pub hostname: Option<String>,
    /// Versions of the kernels in `/boot`.
    pub kernels: Vec<String>,
    /// Units that something in `/etc/systemd/system` wants or requires.
    pub enabled_units: Vec<String>,
    /// `/etc/machine-id`.
    pub machine_id: MachineId,
    /// File names of the private ssh host keys.
    pub ssh_host_keys: Vec<String>,
    /// The default boot entry.
    pub boot: Option<BootEntry>,
    /// The root filesystem, and those that are mounted in it.
    pub mounts: Vec<Place>,
    /// Entries of `/etc/fstab` that are not mounted here, with the reason.
    pub unmounted: Vec<String>,
    /// The accounts that can log in.
    pub accounts: Vec<Account>,
    /// Docker, when the disk has something of it.
    pub docker: Option<Docker>,
}

/// The root filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RootFilesystem {
    /// Index of its partition; 0 on a disk without partitions.
    pub partition: u32,
    /// Its type.
    pub filesystem: FilesystemType,
    /// Its label; may be empty.
    pub label: String,
    /// Its UUID.
    pub uuid: String,
    /// It was unmounted cleanly.
    pub clean: bool,
}

/// os-release(5), as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsRelease {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`.
    pub version_id: String,
    /// `PRETTY_NAME`: `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: String,
}

/// State of `/etc/machine-id` (machine-id(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MachineId {
    /// There is no file: the first boot makes an id, if `/etc` can be written.
    Absent,
    /// The file is empty: every copy gets its own id at its first boot.
    Empty,
    /// It says `uninitialized`: as empty, and the first boot counts as one for `ConditionFirstBoot`.
    Uninitialized,
    /// An id is in it, which every copy would share.
    Set,
}

/// Look at the image `path`. Files under it may lie beside it, or in `store`. A part that cannot be read becomes a problem of the
/// inspection, not an error.
///
/// # Errors
/// The file is not there, is no readable disk image, or lies over a file that is somewhere else.
pub fn inspect(path: &Path, store: Option<&Path>) -> Result<Inspection, ImageError> {
    // A machine that runs it is given this path, and files under it are named relative to that.
    let real = fs::canonicalize(path).map_err(|source| ImageError::read(path, source))?;
    Ok(Inspection { path: path.to_owned(), ..inspect_disk(&Disk::open_with(&real, store)?) })
}

/// Look at `disk`, as [`inspect`] does.
pub fn inspect_disk(disk: &Disk) -> Inspection {
    let mut problems = Vec::new();
    let partition_table = noted(PartitionTable::read(disk), &mut problems).flatten();
    let places = match &partition_table {
        Some(table) => table.partitions.iter().map(|partition| (partition.index, partition.start, partition.size)).collect(),
        None => vec![(0, 0, disk.info().virtual_size)],
    };
    let filesystems = places.iter().map(|(index, start, size)| (*index, FilesystemType::detect(&disk.slice(*start, *size)))).collect();
    // The problem of the table has been reported already.
    let logical_volumes = Volume::all(disk).map(|volumes| volumes.iter().filter_map(LogicalVolume::of).collect()).unwrap_or_default();
    // If the table cannot be read, there is no use in looking for a root: the problem is the same.
    let system = if problems.is_empty() {
        let system = Root::open(disk).and_then(|root| inspect_system(&root, &mut problems));
        noted(system, &mut problems)
    } else {
        None
    };
    Inspection { path: disk.path().to_owned(), disk: disk.info().clone(), partition_table, filesystems, logical_volumes, system, problems }
}

impl LogicalVolume {
    /// The volume, if it is a logical one.
    fn of(volume: &Volume<'_>) -> Option<Self> {
        let name = volume.logical_name()?.to_owned();
        Some(Self { name, partition: volume.partition(), size: volume.size(), filesystem: volume.kind() })
    }
}

/// The distribution of the system in `root`, if its files name one.
///
/// # Errors
/// The file cannot be read.
pub fn os_release(root: &Root) -> Result<Option<OsRelease>, ImageError> {
    let found = match text(root, "/etc/os-release")? {
        Some(found) => Some(found),
        None => text(root, "/usr/lib/os-release")?,
    };
    Ok(found.map(|text| parse_os_release(&text)))
}

fn text(root: &Root, path: &str) -> Result<Option<String>, ImageError> {
    let bytes = root.read_if_there(path, MAX_TEXT_BYTES)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Look at the system in `root`. A boot entry that is not understood is added to `problems`.
fn inspect_system(root: &Root, problems: &mut Vec<String>) -> Result<System, ImageError> {
    let text = |path: &str| text(root, path);
    let is_key = |name: &String| name.starts_with("ssh_host_") && name.ends_with("_key");
    Ok(System {
        root: RootFilesystem {
            partition: root.partition(),
            filesystem: root.kind(),
            label: root.label().to_owned(),
            uuid: root.uuid(),
            clean: root.is_clean(),
        },
        os_release: os_release(root)?,
        hostname: text("/etc/hostname")?.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        kernels: names(root, "/boot")?.iter().filter_map(|name| name.strip_prefix("vmlinuz-")).map(str::to_owned).collect(),
        enabled_units: enabled_units(root)?,
        machine_id: match text("/etc/machine-id")?.as_deref().map(str::trim) {
            None => MachineId::Absent,
            Some("") => MachineId::Empty,
            Some("uninitialized") => MachineId::Uninitialized,
            Some(_) => MachineId::Set,
        },
        ssh_host_keys: names(root, "/etc/ssh")?.into_iter().filter(is_key).collect(),
        boot: noted(BootEntry::read(root), problems),
        mounts: root.places()?,
        unmounted: root.unmounted().to_vec(),
        accounts: accounts::accounts(root)?,
        docker: Docker::of(root, problems)?,
    })
}

fn enabled_units(root: &Root) -> Result<Vec<String>, ImageError> {
    const DIR: &str = "/etc/systemd/system";
    let mut units = BTreeSet::new();
    for name in names(root, DIR)? {
        let dir = format!("{DIR}/{name}");
        if (name.ends_with(".wants") || name.ends_with(".requires")) && root.symlink_metadata(&dir)?.kind == FileKind::Directory {
            units.extend(names(root, &dir)?);
        }
    }
    Ok(units.into_iter().collect())
}

/// The names in a directory; none when there is no directory.
fn names(root: &Root, path: &str) -> Result<Vec<String>, ImageError> {
    match root.read_dir(path) {
        Err(ImageError::Absent { .. } | ImageError::OtherKind { .. }) => Ok(Vec::new()),
        result => Ok(result?.iter().map(|name| name.to_string_lossy().into_owned()).collect()),
    }
}

fn parse_os_release(text: &str) -> OsRelease {
    let value = |key: &str| {
        let mut values = text.lines().rev().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        // The last one counts, as in a shell; quotes are a shell's too.
        values.next().and_then(|value| shell_words::split(value).ok()).map(|words| words.join(" ")).unwrap_or_default()
    };
    OsRelease { id: value("ID"), version_id: value("VERSION_ID"), pretty_name: value("PRETTY_NAME") }
}

fn noted<T>(result: Result<T, ImageError>, problems: &mut Vec<String>) -> Option<T> {
    result.inspect_err(|error| problems.push(error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_as_a_shell_would() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n# ID=no\nID=debian\nID_LIKE=x\n";
        let expected = OsRelease { id: "debian".into(), version_id: "12".into(), pretty_name: "Debian GNU/Linux 12 (bookworm)".into() };
        assert_eq!(parse_os_release(text), expected);
        assert_eq!(parse_os_release("ID=\"open").id, "");
    }
}
