//! The settings of a machine's hardware in a Vagrantfile for vagrant-libvirt.

use crate::hardware::Firmware;

/// The code of OVMF, without its variables. A machine with a file of variables has it as flash memory.
const CODE: &[&str] = &[
    "/usr/share/OVMF/OVMF_CODE_4M.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
    "/usr/share/edk2/x64/OVMF_CODE.fd",
    "/usr/share/qemu/ovmf-x86_64-code.bin",
];
/// OVMF as a ROM: whole, or code of a length that QEMU takes as one (`hw/i386/x86-common.c`: a multiple of 64 KiB, which that of
/// OVMF_CODE_4M.fd is not). It keeps its variables in memory until the machine is off.
const ROM: &[&str] = &[
    "/usr/share/ovmf/OVMF.fd",
    "/usr/share/edk2/x64/OVMF.4m.fd",
    "/usr/share/OVMF/OVMF_CODE.fd",
    "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.fd",
    "/usr/share/qemu/ovmf-x86_64.bin",
];

/// What keeps the variables of a machine's UEFI firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    /// A file, which the Vagrantfile names. libvirt finds its template by itself (qemu.conf, `nvram`).
    File,
    /// Nothing: vagrant-libvirt makes the firmware a ROM (0.11.2, `templates/domain.xml.erb`).
    Nothing,
}

/// Lines of the block of `config.vm.provider :libvirt`. They are Ruby, and so the firmware is looked for on the host that runs the machine: the
/// file has another place on each distribution.
pub(super) fn hardware(firmware: Firmware, variables: Variables) -> String {
    let files = match variables {
        Variables::File => CODE,
        Variables::Nothing => ROM,
    };
    let loader = match firmware {
        Firmware::Bios => String::new(),
        Firmware::Uefi => format!(
            "    # The disk boots through UEFI only.\n    libvirt.loader = %w[\n      {}\n    ].find {{ |path| File.exist?(path) }}\n",
            files.join("\n      ")
        ),
    };
    format!(
        "\x20   libvirt.machine_type = \"q35\"\n\
         \x20   libvirt.disk_bus = \"virtio\"\n\
         \x20   libvirt.nic_model_type = \"virtio\"\n\
         \x20   # GRUB hangs without a display adapter that it knows.\n\
         \x20   libvirt.video_type = \"vga\"\n\
         {loader}"
    )
}
