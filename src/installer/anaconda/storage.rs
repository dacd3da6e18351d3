//! The disk's layout for Anaconda.

use crate::base::size::ByteSize;
use crate::kickstart::{DiskLabel, Filesystem, FsType, LogicalVolume, Part, Purpose, Storage, VolumeGroup, Word};
use crate::recipe::{Disk, EL7, FilesystemKind, Firmware, TableKind};

use super::error::{AnacondaError, constant};

/// The system disk: the first on virtio. Its name follows the order of the PCI slots.
const DISK: &str = "vda";
/// MiB. `core` with Docker takes 1.5 GB.
const LEAST_ROOT: u32 = 2560;
/// MiB: kernels and their initramfs, when the recipe gives no size. Only LVM needs it, so that firmware and GRUB need not read LVM.
const BOOT: u32 = 1024;
/// MiB: what the Installation Guide of RHEL 7 recommends; Anaconda takes 50 and more.
const EFI_SYSTEM: u32 = 200;
/// MiB lost to partition tables, alignment and LVM's metadata.
const OVERHEAD: u32 = 16;

/// The partitions, `/` last so that it can be grown.
pub(super) fn storage(disk: &Disk) -> Result<Storage, AnacondaError> {
    if disk.grow {
        return Err(AnacondaError::refused(
            "disk.grow",
            format!("CentOS {} cannot grow `/`: {}", EL7.major, EL7.no_growth),
            "set grow = false",
        ));
    }
    if (disk.firmware, disk.table) == (Firmware::Uefi, TableKind::Mbr) {
        return Err(AnacondaError::refused("disk.table", "Anaconda boots UEFI from a GPT", "set table = \"gpt\""));
    }
    let swap = mib_rounded_up("disk.swap", "a swap space", disk.swap)?;
    let boot = match disk.boot {
        Some(boot) => mib_rounded_up("disk.boot", "/boot", boot)?,
        None if disk.lvm => BOOT,
        None => 0,
    };
    let kind = match disk.filesystem {
        FilesystemKind::Ext4 => FsType::Ext4,
        FilesystemKind::Xfs => FsType::Xfs,
    };
    let root = Filesystem { mountpoint: constant("/")?, kind, label: Some(constant("root")?) };

    let mut parts = Vec::new();
    let mut part = |purpose, size_mib, grow| parts.push(Part { purpose, size_mib, grow });
    match (disk.firmware, disk.table) {
        (Firmware::Uefi, _) => part(Purpose::EfiSystem, EFI_SYSTEM, false),
        (Firmware::Bios, TableKind::Gpt) => part(Purpose::BiosBoot, 1, false),
        (Firmware::Bios, TableKind::Mbr) => {}
    }
    if boot > 0 {
        part(Purpose::Filesystem(Filesystem { mountpoint: constant("/boot")?, kind, label: None }), boot, false);
    }
    let mut groups = Vec::new();
    if disk.lvm {
        part(Purpose::PhysicalVolume(1), LEAST_ROOT.saturating_add(swap), true);
        groups.push(volume_group(root, swap)?);
    } else {
        if swap > 0 {
            part(Purpose::Swap, swap, false);
        }
        part(Purpose::Filesystem(root), LEAST_ROOT, true);
    }
    fits(disk.size, &parts)?;
    let label = match disk.table {
        TableKind::Gpt => DiskLabel::Gpt,
        TableKind::Mbr => DiskLabel::Msdos,
    };
    Ok(Storage { disk: constant(DISK)?, label, parts, groups })
}

fn volume_group(root: Filesystem, swap: u32) -> Result<VolumeGroup, AnacondaError> {
    let volume = |name: &str, filesystem, size_mib, grow| -> Result<LogicalVolume, AnacondaError> {
        Ok(LogicalVolume { name: constant(name)?, filesystem, size_mib, grow })
    };
    let mut volumes = Vec::new();
    if swap > 0 {
        volumes.push(volume("swap", None, swap, false)?);
    }
    volumes.push(volume("root", Some(root), LEAST_ROOT - OVERHEAD, true)?);
    let name: Word = constant("system")?;
    Ok(VolumeGroup { name, physical: vec![1], volumes })
}

/// Check this here, because the installer would fail only minutes later.
fn fits(size: ByteSize, parts: &[Part]) -> Result<(), AnacondaError> {
    let needed = parts.iter().map(|part| u64::from(part.size_mib)).sum::<u64>() + u64::from(OVERHEAD);
    if size >= ByteSize::mib(needed) {
        return Ok(());
    }
    let why = format!("{size} is too small for this layout, which needs {}", ByteSize::mib(needed));
    Err(AnacondaError::refused("disk.size", why, "make the disk larger"))
}

fn mib_rounded_up(field: &str, what: &str, size: ByteSize) -> Result<u32, AnacondaError> {
    u32::try_from(size.bytes().div_ceil(1 << 20))
        .map_err(|_| AnacondaError::refused(field, format!("{size} is no size of {what}"), "make it smaller"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(size: ByteSize, swap: ByteSize) -> Disk {
        let (table, firmware, filesystem) = (TableKind::Gpt, Firmware::Bios, FilesystemKind::Ext4);
        Disk { size, table, firmware, filesystem, lvm: false, boot: None, swap, grow: false }
    }

    #[test]
    fn layouts_that_cannot_be_are_refused() {
        let ok = disk(ByteSize::gib(8), ByteSize(0));
        assert!(storage(&ok).is_ok());
        for (wrong, field) in [
            (Disk { grow: true, ..ok.clone() }, "disk.grow"),
            (Disk { firmware: Firmware::Uefi, table: TableKind::Mbr, ..ok.clone() }, "disk.table"),
            (disk(ByteSize::mib(2576), ByteSize(0)), "disk.size"),
            (disk(ByteSize::gib(8), ByteSize::gib(7)), "disk.size"),
            (disk(ByteSize::gib(8), ByteSize(u64::MAX)), "disk.swap"),
            (disk(ByteSize::gib(8), ByteSize::mib(u32::MAX.into())), "disk.size"),
            (Disk { boot: Some(ByteSize::gib(6)), ..ok.clone() }, "disk.size"),
            (Disk { boot: Some(ByteSize(u64::MAX)), ..ok.clone() }, "disk.boot"),
        ] {
            let error = storage(&wrong).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
        assert!(storage(&disk(ByteSize::mib(2577), ByteSize(0))).is_ok());
    }

    #[test]
    fn boot_is_a_filesystem_of_its_own_where_it_has_to_be_or_is_wanted() {
        for (lvm, boot, expected) in
            [(false, None, None), (true, None, Some(1024)), (false, Some(256), Some(256)), (true, Some(512), Some(512))]
        {
            let plain = disk(ByteSize::gib(8), ByteSize(0));
            let storage = storage(&Disk { lvm, boot: boot.map(ByteSize::mib), ..plain }).unwrap();
            let is_boot = |part: &&Part| matches!(&part.purpose, Purpose::Filesystem(made) if made.mountpoint.as_str() == "/boot");
            assert_eq!(storage.parts.iter().find(is_boot).map(|part| part.size_mib), expected, "{lvm} {boot:?}");
        }
    }

    #[test]
    fn an_odd_swap_is_rounded_up() {
        let storage = storage(&disk(ByteSize::gib(8), ByteSize((512 << 20) + 1))).unwrap();
        assert_eq!(storage.parts[1], Part { purpose: Purpose::Swap, size_mib: 513, grow: false });
    }
}
