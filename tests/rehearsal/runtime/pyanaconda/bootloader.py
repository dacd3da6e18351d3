"""GRUB, as Anaconda writes it: /etc/default/grub, then the programs of grub2 and efibootmgr in the installed system."""

from . import endings, lines, payload, programs, storage

# Boot arguments that reach the installed system by themselves (pyanaconda/bootloader.py:261).
KEPT = (
    "speakup_synth", "apic", "noapic", "apm", "ide", "noht", "acpi", "video", "pci", "nodmraid", "nompath", "nomodeset", "noiswmd", "fips",
    "selinux", "biosdevname", "ipv6.disable", "net.ifnames",
)
# Not Anaconda's: Debian's systemd takes the unified control groups unless told otherwise, and EL7 knows only the old ones. Docker's
# driver follows from them.
OLD_CGROUPS = ["systemd.unified_cgroup_hierarchy=0", "systemd.legacy_systemd_cgroup_controller=1"]


def write(data, plan):
    """Install it on the kickstart's disk."""
    if data.bootloader.location == "none":
        return
    versions = payload.kernels()
    if not versions:
        lines.log("bootloader.kernel")
        return
    boot = open("/proc/cmdline").read().split()
    consoles = [word for word in boot if word.startswith("console=")]
    words = consoles[-1:] + [word for word in boot if word.split("=")[0] in KEPT]
    # What finds the root's volumes (blivet/devices.py, LVMLogicalVolumeDevice.dracutSetupArgs), by their names.
    words += [f"rd.lvm.lv={made.device.removeprefix('/dev/mapper/').replace('-', '/')}" for made in plan.volumes if made.mountpoint in ("/", "")]
    words += [word for word in (data.bootloader.appendLine or "").split() if word not in words] + OLD_CGROUPS
    if any(word.startswith("console=") for word in (data.bootloader.appendLine or "").split()):
        # The kickstart's own consoles, in their order: the last is /dev/console.
        words = [word for word in words if not word.startswith("console=")]
        words = [word for word in data.bootloader.appendLine.split() if word.startswith("console=")] + words
    serial = next((word for word in consoles[-1:] if word.startswith("console=ttyS")), None)
    text = f"GRUB_TIMEOUT={data.bootloader.timeout if data.bootloader.timeout is not None else 5}\n"
    text += 'GRUB_DISTRIBUTOR="$(sed \'s, release .*$,,g\' /etc/system-release)"\nGRUB_DEFAULT=saved\nGRUB_DISABLE_SUBMENU=true\n'
    if serial:
        unit, _, speed = serial.removeprefix("console=ttyS").partition(",")
        text += f'GRUB_TERMINAL="serial console"\nGRUB_SERIAL_COMMAND="serial --unit={unit} --speed={speed.rstrip("n8") or 9600}"\n'
    else:
        text += 'GRUB_TERMINAL="console"\n'
    text += f'GRUB_CMDLINE_LINUX="{" ".join(words)}"\nGRUB_DISABLE_RECOVERY="true"\n'
    with open(f"{programs.SYSROOT}/etc/default/grub", "w") as file:
        file.write(text)
    try:
        if storage.IS_EFI:
            add_efi_boot_target(plan)
        else:
            programs.run("grub2-install", "--no-floppy", f"/dev/{plan.disk}", root=programs.SYSROOT)
        programs.run("grub2-set-default", title(versions[-1]), root=programs.SYSROOT)
        config = "/boot/efi/EFI/centos/grub.cfg" if storage.IS_EFI else "/boot/grub2/grub.cfg"
        programs.run("grub2-mkconfig", "-o", config, root=programs.SYSROOT)
    except programs.ProgramError as error:
        lines.log("bootloader.write", error=error)
        print(f"The following error occurred while installing the boot loader. The system will not be bootable.\n\n{error}", flush=True)
        raise endings.Aborted from error


def add_efi_boot_target(plan):
    """A boot entry among the firmware's variables: all that is done for the loader, whose files are the packages' (pyanaconda/bootloader.py,
    EFIBase.add_efi_boot_target). Whether its file is there is not asked."""
    esp = plan.at("/boot/efi")
    words = ["-c", "-w", "-L", "CentOS Linux", "-d", f"/dev/{plan.disk}", "-p", esp.number, "-l", "\\EFI\\centos\\shimx64.efi"]
    programs.run("efibootmgr", *words, root=programs.SYSROOT)


def title(version):
    """What grub2-mkconfig calls the entry of a kernel."""
    release = {}
    with open(f"{programs.SYSROOT}/etc/os-release") as file:
        for line in file:
            name, _, value = line.strip().partition("=")
            release[name] = value.strip('"')
    return f"{release['NAME']} ({version}) {release.get('VERSION', '')}"
