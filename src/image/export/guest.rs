//! The needs of the system on a disk, as far as an OVA can express them.

use crate::image::disk::Disk;
use crate::image::error::ImageError;
use crate::image::inspect::os_release;
use crate::image::kernels::kernels;
use crate::image::partition::{PartitionTable, gpt_type};
use crate::image::root::Root;

/// Bytes of boot code in the first sector: a BIOS runs nothing else (UEFI specification 2.10, 5.2.1).
const BOOT_CODE: usize = 440;
/// MBR type of an EFI system partition (UEFI specification 2.10, 5.2.2).
const MBR_ESP: &str = "0xef";

/// A controller for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// LSI Logic's parallel SCSI, which VMware and VirtualBox emulate. VirtualBox takes it for any SCSI controller whose name it does not know
    /// (src/VBox/Main/src-server/ApplianceImplImport.cpp, `ovf::HardDiskController::SCSI`).
    LsiLogic,
    /// VMware's own.
    Pvscsi,
}

/// A network adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adapter {
    /// Intel's 82545EM, which VMware and VirtualBox emulate.
    E1000,
    /// VMware's own.
    Vmxnet3,
}

/// A system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guest {
    /// `ID` of os-release(5), if it is known.
    pub(super) distribution: Option<String>,
    pub(super) name: Option<String>,
    pub(super) controller: Controller,
    pub(super) adapter: Adapter,
    /// It boots by UEFI and in no other way.
    pub(super) uefi: bool,
}

impl Guest {
    /// The system on `disk`. A property that cannot be found out gets the value that most systems have.
    pub(super) fn of(disk: &Disk) -> Self {
        let mut guest = Self {
            distribution: None,
            name: None,
            controller: Controller::LsiLogic,
            adapter: Adapter::E1000,
            uefi: boots_by_uefi_only(disk).unwrap_or(false),
        };
        let Ok(root) = Root::open(disk) else { return guest };
        if let Ok(Some(release)) = os_release(&root) {
            guest.distribution = Some(release.id);
            guest.name = Some(release.pretty_name).filter(|name| !name.is_empty());
        }
        let kernels = kernels(&root).unwrap_or_default();
        let drives = |module: &str| kernels.iter().all(|kernel| kernel.has(module));
        // Debian's cloud kernel has VMware's own devices only, and no driver for what VirtualBox emulates.
        if !drives("mptspi") && drives("vmw_pvscsi") {
            guest.controller = Controller::Pvscsi;
        }
        if !drives("e1000") && drives("vmxnet3") {
            guest.adapter = Adapter::Vmxnet3;
        }
        guest
    }
}

/// There is an EFI system partition, and nothing that a BIOS could run.
fn boots_by_uefi_only(disk: &Disk) -> Result<bool, ImageError> {
    let table = PartitionTable::read(disk)?;
    let mut code = [0; BOOT_CODE];
    disk.bytes().read_at(0, &mut code).map_err(|source| ImageError::read(disk.path(), source))?;
    let has_esp = table.is_some_and(|table| table.partitions.iter().any(|one| [gpt_type::ESP, MBR_ESP].contains(&one.type_id.as_str())));
    Ok(has_esp && code.iter().all(|byte| *byte == 0))
}
