"""Disks: what is there, what the kickstart wants, and making it so. Partitions, and one group of linear volumes; ext4, xfs, swap, and the EFI
system partition."""

import os
import time
from dataclasses import dataclass, field

from . import endings, lines, programs

MIB = 1 << 20
# What Anaconda goes by (blivet/arch.py: isEfi).
IS_EFI = os.path.exists("/sys/firmware/efi")
# pyanaconda/kickstart.py, PartitionData.execute: /boot/efi.
EFI_OPTIONS = "defaults,uid=0,gid=0,umask=0077,shortname=winnt"


@dataclass
class Partition:
    """One, as it will be."""

    number: int
    mountpoint: str
    kind: str
    size: int
    label: str
    options: str
    device: str = ""


@dataclass
class Plan:
    """A disk, its partitions in their order, and the volumes of the group on one of them."""

    disk: str
    table: str
    zap: bool
    partitions: list = field(default_factory=list)
    group: str = ""
    volumes: list = field(default_factory=list)

    def at(self, mountpoint):
        """The partition or volume that is mounted there."""
        return next((part for part in self.partitions + self.volumes if part.mountpoint == mountpoint), None)


def disk_names():
    """The names of all disks, in order."""
    return sorted(name for name in os.listdir("/sys/block") if name.startswith(("vd", "sd", "hd")))


def disk_bytes(name):
    """How large a disk is."""
    with open(f"/sys/block/{name}/size") as size:
        return int(size.read()) * 512


def scan(data):
    """The disks that the kickstart lets us use, with their sizes in bytes."""
    programs.run("udevadm", "settle", "--timeout=300", check=False)
    names = disk_names()
    only = [os.path.basename(name) for name in data.ignoredisk.onlyuse or []]
    ignored = [os.path.basename(name) for name in data.ignoredisk.ignoredisk or []]
    return {name: disk_bytes(name) for name in names if (name in only if only else name not in ignored)}


def _failed(error):
    lines.log("storage.failed", error=error)
    print(f"The following errors occurred with your partitioning:\n\n{error}", flush=True)
    endings.spokes(["Installation Destination"])


def plan(data, disks):
    """Fit the wanted partitions on the disk."""
    wanted = data.partition.partitions
    if not wanted or not disks:
        _failed("No usable disks, or no partitions, were found.")
    if len(data.volgroup.vgList) > 1 or data.raid.raidList or data.autopart.seen:
        _failed("this stand-in makes partitions and one volume group alone")
    disk = os.path.basename(wanted[0].disk or next(iter(disks)))
    if disk not in disks:
        _failed(f"Disk {disk} does not exist or may not be used.")
    table = getattr(data.clearpart, "disklabel", "") or ("gpt" if IS_EFI or "inst.gpt" in open("/proc/cmdline").read().split() else "msdos")
    _check_stage1(wanted, table)
    made = Plan(disk, table, bool(data.zerombr.zerombr or data.clearpart.initAll))
    room = disks[disk] // MIB - 2
    rest = room - sum(part.size for part in wanted)
    growing = [part for part in wanted if part.grow]
    if rest < 0:
        lines.log("partition.error")
        _failed("Unable to allocate requested partition scheme.")
    for number, part in enumerate(wanted, 1):
        grown = rest // len(growing) if part.grow else 0
        if part.maxSizeMB:
            grown = min(grown, part.maxSizeMB - part.size)
        made.partitions.append(_planned(part, number, part.size + grown))
        lines.log("partition.new", name=f"{disk}{number}", number=number)
    _plan_volumes(data, made)
    if made.at("/") is None:
        _failed("You have not defined a root partition (/), which is required for installation of CentOS to continue.")
    return made


def _check_stage1(wanted, table):
    """Whether the firmware will find a boot loader (pyanaconda/platform.py, `EFI` and `X86`: `_boot_stage1_missing_error`)."""
    if IS_EFI and (table != "gpt" or not any(part.mountpoint == "/boot/efi" for part in wanted)):
        lines.log("bootloader.setup", error="failed to find a suitable stage1 device")
        _failed("For a UEFI installation, you must include an EFI System Partition on a GPT-formatted disk, mounted at /boot/efi.")
    if not IS_EFI and table == "gpt" and not any(part.fstype == "biosboot" or part.mountpoint == "biosboot" for part in wanted):
        _failed(
            "Your BIOS-based system needs a special partition to boot from a GPT disk label. "
            "To continue, please create a 1MiB 'biosboot' type partition."
        )


def _planned(wanted, number, size):
    """A partition or a volume as a line of the kickstart wants it."""
    fixed = {"biosboot": "biosboot", "swap": "swap"}.get(wanted.mountpoint)
    kind = fixed or ("lvmpv" if wanted.mountpoint.startswith("pv.") else wanted.fstype or "xfs")
    if kind not in ("biosboot", "efi", "swap", "ext4", "xfs", "lvmpv"):
        _failed(f"this stand-in makes no {kind}")
    return Partition(number, wanted.mountpoint if wanted.mountpoint.startswith("/") else "", kind, size, wanted.label, wanted.fsopts)


def _plan_volumes(data, made):
    """Fit the volumes into their group: extents of 4 MiB, the first MiB of the partition is LVM's own."""
    for group in data.volgroup.vgList:
        physical = [part for part in made.partitions if part.kind == "lvmpv"]
        if len(physical) != 1 or len(group.physvols) != 1:
            _failed("this stand-in makes a group of one physical volume")
        made.group = group.vgname
        wanted = [volume for volume in data.logvol.lvList if volume.vgname == group.vgname]
        rounded = [-(-volume.size // 4) * 4 for volume in wanted]
        rest = (physical[0].size - 1) // 4 * 4 - sum(rounded)
        growing = sum(volume.grow for volume in wanted)
        if rest < 0:
            lines.log("partition.error")
            _failed("not enough free space in volume group")
        for volume, size in zip(wanted, rounded):
            part = _planned(volume, 0, size + (rest // growing // 4 * 4 if volume.grow else 0))
            part.device = f"/dev/mapper/{group.vgname}-{volume.name}"
            made.volumes.append(part)


def turn_on(made):
    """Write the table, make the filesystems, mount them and what a chroot needs."""
    disk = f"/dev/{made.disk}"
    if made.zap:
        programs.run("wipefs", "--all", "--force", disk)
    if made.table == "gpt":
        codes = {"biosboot": "ef02", "efi": "ef00", "swap": "8200", "lvmpv": "8e00"}
        words = ["sgdisk", "--clear"]
        for part in made.partitions:
            words += [f"--new={part.number}:0:+{part.size}M", f"--typecode={part.number}:{codes.get(part.kind, '8300')}"]
        programs.run(*words, disk)
    else:
        codes = {"swap": "82", "lvmpv": "8e"}
        text = "label: dos\n" + "".join(f"size={part.size}MiB, type={codes.get(part.kind, '83')}\n" for part in made.partitions)
        programs.run("sfdisk", "--no-reread", disk, stdin=text)
    programs.run("udevadm", "settle", "--timeout=300", check=False)
    for part in made.partitions:
        part.device = f"{disk}{part.number}"
        for _ in range(100):
            if os.path.exists(part.device):
                break
            time.sleep(0.1)
        _format(part)
    _make_group(made)
    for part in sorted((part for part in made.partitions + made.volumes if part.mountpoint), key=lambda part: part.mountpoint):
        place = programs.SYSROOT + part.mountpoint
        os.makedirs(place, exist_ok=True)
        kind, options = ("vfat", ["-o", EFI_OPTIONS]) if part.kind == "efi" else (part.kind, [])
        programs.run("mount", "-t", kind, *options, part.device, place)
    for directory in ("dev", "proc", "sys", "run"):
        place = f"{programs.SYSROOT}/{directory}"
        os.makedirs(place, exist_ok=True)
        programs.run("mount", "--bind", f"/{directory}", place)
    programs.run("mount", "--bind", "/dev/pts", f"{programs.SYSROOT}/dev/pts")
    if IS_EFI:
        # blivet/__init__.py, FSSet.efivars.
        programs.run("mount", "-t", "efivarfs", "efivarfs", f"{programs.SYSROOT}/sys/firmware/efi/efivars")


# No udev rule of LVM's is in this runtime, so that it makes its nodes itself.
LVM = ["--config", "activation { udev_sync=0 udev_rules=0 }"]


def _make_group(made):
    physical = next((part for part in made.partitions if part.kind == "lvmpv"), None)
    if not made.group or physical is None:
        return
    programs.run("modprobe", "dm-mod")
    programs.run("lvm", "pvcreate", "-ff", "-y", *LVM, physical.device)
    programs.run("lvm", "vgcreate", *LVM, made.group, physical.device)
    for part in made.volumes:
        name = part.device.rpartition("-")[2]
        programs.run("lvm", "lvcreate", "-y", "-Wn", "-L", f"{part.size}m", "-n", name, *LVM, made.group)
        _format(part)


def _format(part):
    if part.kind in ("biosboot", "lvmpv"):
        return
    lines.log("step", message=f"Creating {part.kind} on {part.device}")
    label = ["-L", part.label] if part.label else []
    if part.kind == "ext4":
        # The features of e2fsprogs 1.42.9 (el7-facts F): group checksums, none of the metadata.
        programs.run("mke2fs", "-F", "-t", "ext4", "-O", "^metadata_csum,^orphan_file,uninit_bg,64bit", *label, part.device)
    elif part.kind == "xfs":
        # What xfsprogs 4.5.0 makes (el7-facts F): checksums and file types; its successors' features are beyond Linux 3.10.
        features = ["-m", "crc=1,finobt=1,rmapbt=0,reflink=0,bigtime=0,inobtcount=0", "-i", "sparse=0,nrext64=0"]
        programs.run("mkfs.xfs", "-f", *features, *label, part.device)
    elif part.kind == "efi":
        programs.run("mkdosfs", "-F", "16", part.device)
    else:
        programs.run("mkswap", *label, part.device)


def turn_off():
    """What Anaconda leaves to systemd's own shutdown: unmounting. Here only the data is made safe."""
    programs.run("sync", check=False)


def uuid(device):
    """The UUID of what is on a device."""
    return programs.run("blkid", "-o", "value", "-s", "UUID", device)[1].strip()
