//! The third condition of a successful installation: the disk is as planned, and boots with only its own content.

use std::path::Path;

use super::super::StageError;
use crate::base::event::Task;
use crate::base::text::counted;
use crate::image::inspect::{Inspection, System, inspect_disk};
use crate::image::{self, Fallback, FilesystemType, Format, ImageError, Root, TableKind, gpt_type, replay};
use crate::plan::AnacondaWork;
use crate::recipe::{Disk, FilesystemKind, Firmware};

/// Look at the `disk` that was installed. `dir` keeps the installation's evidence, `scratch` temporary copies.
///
/// Anaconda 7.5 powers off without unmounting (systemctl poweroff; dracut-shutdown is to unmount). Everything was synced before the
/// installer said that it was done, so a journal that is left only has to be replayed.
///
/// # Errors
/// It is not what was planned, or cannot be read.
pub(super) async fn inspect(disk: &Path, work: &AnacondaWork, dir: &Path, scratch: &Path, task: &Task) -> Result<(), StageError> {
    let replayed = replay(disk, scratch).await?;
    if replayed > 0 {
        let filesystems = counted(replayed, "filesystem");
        task.events().note(format!(
            "the installer powered off without unmounting {filesystems}; journals were replayed, and FAT is marked as clean"
        ));
    }
    let path = disk.to_owned();
    // Reading ext4 is processor work. The disk is raw whatever it looks like: the installer may have written anything at its beginning.
    let firmware = work.disk.firmware;
    let look = move || look(&image::Disk::open_own(&path, Format::Raw)?, firmware);
    let (found, fallback) = match tokio::task::spawn_blocking(look).await {
        Ok(found) => found?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    let planned = (!work.own_kickstart).then_some(&work.disk);
    let (what, remedy) = match (wrong(&found, planned), fallback) {
        (None, None) => return Ok(()),
        (Some(what), _) => (what, "read installer.log in the evidence; if it says nothing, report this"),
        (None, Some(why)) => (why, "have shim-x64 and grub2-efi-x64 installed: their files are what a machine boots that is new"),
    };
    Err(StageError::Installation {
        cause: format!("the installer said that all was done, and on the disk {what}"),
        remedy: remedy.to_owned(),
        lines: found.problems,
        dir: dir.to_owned(),
    })
}

/// The inspection of the disk. If UEFI is to boot it: also the reason why a machine without remembered boot entries would not, if any.
fn look(disk: &image::Disk, firmware: Firmware) -> Result<(Inspection, Option<String>), ImageError> {
    let found = inspect_disk(disk);
    let fallback = match firmware {
        // If there is no system, that is the error to report.
        Firmware::Uefi if found.system.is_some() => Fallback::of(&Root::open(disk)?)?,
        _ => return Ok((found, None)),
    };
    let why = match fallback {
        Fallback::Leads(_) => None,
        Fallback::Ends(why) => Some(format!("a new machine does not boot from it: {why}")),
    };
    Ok((found, why))
}

/// What is wrong with a disk, in words that follow "on the disk"; `planned` when the recipe laid it out.
fn wrong(found: &Inspection, planned: Option<&Disk>) -> Option<String> {
    let Some(table) = &found.partition_table else { return Some("there is no partition table".to_owned()) };
    if let Some(planned) = planned {
        let kind = planned.table;
        if table.kind != kind {
            return Some(format!("the partition table is {}, and {} was planned", named(table.kind), named(kind)));
        }
        let has = |filesystem| match planned.lvm {
            true => found.logical_volumes.iter().any(|volume| volume.filesystem == Some(filesystem)),
            false => found.filesystems.iter().any(|(_, is)| *is == Some(filesystem)),
        };
        if planned.swap.bytes() > 0 && !has(FilesystemType::Swap) {
            return Some("there is no swap space".to_owned());
        }
        let root = match planned.filesystem {
            FilesystemKind::Ext4 => FilesystemType::Ext4,
            FilesystemKind::Xfs => FilesystemType::Xfs,
        };
        if !has(root) {
            let place = if planned.lvm { "logical volume" } else { "partition" };
            return Some(format!("no {place} holds {}, which was planned", root.name()));
        }
        let biosboot = |kind: TableKind| kind == TableKind::Gpt && planned.firmware == Firmware::Bios;
        if biosboot(kind) && !table.partitions.iter().any(|partition| partition.type_id == gpt_type::BIOS_BOOT) {
            return Some("there is no partition for the boot loader".to_owned());
        }
    }
    let Some(system) = &found.system else { return Some("no system can be read".to_owned()) };
    if !system.root.clean {
        return Some("the root filesystem is marked as having errors".to_owned());
    }
    if planned.is_some_and(|planned| planned.boot.is_some() || planned.lvm) && !is_mounted(system, "/boot") {
        return Some("/boot is no filesystem of its own, which was planned".to_owned());
    }
    system.boot.is_none().then(|| "the boot loader has no entry that is understood".to_owned())
}

fn is_mounted(system: &System, path: &str) -> bool {
    system.mounts.iter().any(|place| place.path == Path::new(path))
}

fn named(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Gpt => "GPT",
        TableKind::Mbr => "MBR",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::size::ByteSize;
    use crate::image::inspect::{LogicalVolume, MachineId, RootFilesystem};
    use crate::image::{BootEntry, BootFile, DiskInfo, ImageFormat, Mechanism, Partition, PartitionTable, Place, Usage};
    use crate::recipe::TableKind as Planned;

    fn good() -> Inspection {
        let partition = |index: u32, type_id: &str| Partition {
            index,
            start: u64::from(index) << 20,
            size: 1 << 20,
            type_id: type_id.to_owned(),
            name: String::new(),
            uuid: String::new(),
        };
        let root = RootFilesystem { partition: 2, filesystem: FilesystemType::Ext4, label: "root".into(), uuid: "u".into(), clean: true };
        Inspection {
            path: "/d".into(),
            disk: DiskInfo {
                format: ImageFormat::Raw,
                virtual_size: 8 << 30,
                file_size: 8 << 30,
                allocated_size: 1 << 30,
                compression: None,
                backing: Vec::new(),
            },
            partition_table: Some(PartitionTable {
                kind: TableKind::Gpt,
                id: text("i"),
                partitions: vec![partition(1, gpt_type::BIOS_BOOT), partition(2, gpt_type::ROOT_X86_64)],
            }),
            filesystems: vec![(1, None), (2, Some(FilesystemType::Ext4))],
            logical_volumes: Vec::new(),
            system: Some(System {
                root,
                os_release: None,
                hostname: None,
                kernels: Vec::new(),
                enabled_units: Vec::new(),
                machine_id: MachineId::Set,
                ssh_host_keys: Vec::new(),
                boot: Some(BootEntry {
                    mechanism: Mechanism::Grub,
                    configuration: text("/c"),
                    title: text("t"),
                    kernel: BootFile::whole("/k"),
                    initrds: vec![BootFile::whole("/i")],
                    arguments: String::new(),
                }),
                mounts: vec![place("/"), place("/boot")],
                unmounted: Vec::new(),
                accounts: Vec::new(),
                docker: None,
            }),
            problems: Vec::new(),
        }
    }

    fn place(path: &str) -> Place {
        let usage = Usage { size: 1 << 30, free: 1 << 29 };
        Place { path: path.into(), partition: 2, filesystem: FilesystemType::Ext4, label: String::new(), usage }
    }

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn a_disk_is_as_planned_or_the_difference_is_told() {
        let planned = Disk {
            size: ByteSize::gib(8),
            table: Planned::Gpt,
            firmware: Firmware::Bios,
            filesystem: FilesystemKind::Ext4,
            lvm: false,
            boot: None,
            swap: ByteSize(0),
            grow: false,
        };
        let with = |change: &dyn Fn(&mut Inspection)| {
            let mut found = good();
            change(&mut found);
            found
        };
        let system = |found: &mut Inspection, change: &dyn Fn(&mut System)| found.system.iter_mut().for_each(change);
        assert_eq!(wrong(&good(), Some(&planned)), None);
        assert!(wrong(&good(), Some(&Disk { table: Planned::Mbr, ..planned.clone() })).unwrap().contains("was planned"));
        assert!(wrong(&good(), Some(&Disk { swap: ByteSize::gib(1), ..planned.clone() })).unwrap().contains("swap"));
        let xfs = Disk { filesystem: FilesystemKind::Xfs, ..planned.clone() };
        assert!(wrong(&good(), Some(&xfs)).unwrap().contains("no partition holds xfs"));
        let lvm = Disk { lvm: true, swap: ByteSize::gib(1), ..planned.clone() };
        let volume = |filesystem| LogicalVolume { name: text("/dev/system/x"), partition: 3, size: 1 << 30, filesystem: Some(filesystem) };
        let on_lvm = |filesystems: &[FilesystemType]| {
            with(&|found| found.logical_volumes = filesystems.iter().map(|filesystem| volume(*filesystem)).collect())
        };
        for (volumes, words) in [
            (&[FilesystemType::Ext4][..], Some("no swap space")),
            (&[FilesystemType::Swap, FilesystemType::Xfs], Some("no logical volume holds ext4")),
            (&[FilesystemType::Swap, FilesystemType::Ext4], None),
        ] {
            let told = wrong(&on_lvm(volumes), Some(&lvm));
            assert!(told.as_deref().map_or(words.is_none(), |told| words.is_some_and(|words| told.contains(words))), "{told:?}");
        }
        assert_eq!(wrong(&good(), None), None);
        let without_boot = with(&|found| system(found, &|system| system.mounts.truncate(1)));
        let with_boot = Disk { boot: Some(ByteSize::gib(1)), ..planned.clone() };
        assert_eq!((wrong(&good(), Some(&with_boot)), wrong(&without_boot, Some(&planned))), (None, None));
        assert!(wrong(&without_boot, Some(&with_boot)).unwrap().starts_with("/boot is no filesystem of its own"));
        for (found, words) in [
            (with(&|found| found.partition_table = None), "no partition table"),
            (with(&|found| found.system = None), "no system"),
            (with(&|found| system(found, &|system| system.root.clean = false)), "marked as having errors"),
            (with(&|found| system(found, &|system| system.boot = None)), "no entry"),
        ] {
            for planned in [None, Some(&planned)] {
                assert!(wrong(&found, planned).unwrap().contains(words), "{words}");
            }
        }
        let no_biosboot = with(&|found| found.partition_table.iter_mut().for_each(|table| drop(table.partitions.remove(0))));
        assert!(wrong(&no_biosboot, Some(&planned)).unwrap().contains("boot loader"));
        assert_eq!(wrong(&no_biosboot, None), None);
    }
}
