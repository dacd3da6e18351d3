"""The initramfs: the installer's, and the one that the kernel package brings ready-made. Debian's dracut makes both."""

import re
import shutil

from . import debian, host

# What a virtual machine has a use for, of Debian's kernel for the cloud: less to write, and to look through, for an emulated processor.
KERNEL_MODULES = re.compile(
    r"/kernel/(arch/x86/crypto|crypto|lib|security)/"
    r"|/kernel/fs/(ext4|jbd2|fat|nls|efivarfs|isofs|overlayfs|squashfs|fuse|autofs|xfs|[^/]*\.ko)"
    r"|/kernel/net/(netfilter|ipv4|ipv6|bridge|802|8021q|llc|core|packet|tls|unix|xfrm)/"
    r"|/kernel/drivers/(virtio|cdrom|input|ptp|ata/(libata|ahci|libahci|ata_piix)|block/(loop|virtio_blk)|char/(virtio_console|hw_random)"
    r"|scsi/(scsi_|sd_mod|sr_mod|sg|virtio_scsi)|md/(dm-(mod|thin-pool|bufio|bio-prison|snapshot|mirror|log|region-hash)|persistent-data)"
    r"|misc/pvpanic|firmware/qemu|net/(veth|dummy|macvlan|ipvlan|vxlan|virtio_net|net_failover|tun|tap|bonding|mii))"
)
# dracut looks into every one of its modules, and each look costs an emulated processor a second.
DRACUT_MODULES = {
    "bash", "systemd", "systemd-initrd", "dracut-systemd", "kernel-modules", "kernel-modules-extra", "rootfs-block", "udev-rules", "fs-lib",
    "base", "dm", "lvm", "overlayfs", "qemu", "terminfo", "usrmount", "shutdown", "debug", "rescue", "fstab-sys", "selinux", "syslog",
}
# What Debian puts into any initramfs is made for machines of every kind.
DIST_CONF = """\
# What EL7's own 01-dist.conf does for its systems, for this one: the parts that an EL7 initramfs has, and no search for others.
dracutmodules+=" bash systemd systemd-initrd dracut-systemd kernel-modules rootfs-block udev-rules dm lvm fs-lib base "
filesystems+=" ext4 xfs vfat "
compress="zstd -1 -q"
do_strip="no"
do_hardlink="no"
early_microcode="no"
"""
# EL7's dracut 033 says some things in other words than Debian's 059 (el7-facts B3).
WORDS = [
    ("98dracut-systemd/dracut-initqueue.sh", "dracut-initqueue: starting timeout scripts", "dracut-initqueue timeout - starting timeout scripts"),
    ("98dracut-systemd/dracut-initqueue.sh", "dracut-initqueue: timeout, still waiting for following initqueue hooks:", "dracut-initqueue timeout"),
]


def make(tree, kernel, target):
    """The installer's initramfs at `target`; the installed system's in the tree's /boot, where the kernel package takes it from."""
    dracut = tree / "usr/lib/dracut"
    thin(tree, kernel, dracut / "modules.d")
    (dracut / "dracut.conf.d").mkdir(exist_ok=True)
    (dracut / "dracut.conf.d/01-dist.conf").write_text(DIST_CONF)
    (tree / "run/no-dracut-conf").mkdir()
    debian.copy(dracut, work := target.parent / "dracut")
    with debian.mounted(tree):
        common = ["dracut", "--force", "--no-hostonly", "--kver", kernel]
        host.enter(tree, *common, f"/boot/initramfs-{kernel}.img")
        shutil.copytree(host.HERE / "initramfs/90anaconda", dracut / "modules.d/90anaconda")
        for name, theirs, ours in WORDS:
            text = (dracut / "modules.d" / name).read_text()
            if theirs not in text:
                raise host.Unfit(f"dracut's {name} no longer says: {theirs}")
            (dracut / "modules.d" / name).write_text(text.replace(theirs, ours))
        host.enter(tree, *common, "--confdir", "/run/no-dracut-conf", "--add", "anaconda", "/run/installer.img")
    shutil.move(tree / "run/installer.img", target)
    debian.remove(dracut)
    shutil.move(work, dracut)


def thin_modules(directory):
    """Take away the modules of a kernel that a virtual machine has no use for."""
    for path in directory.rglob("*.ko"):
        if not KERNEL_MODULES.search(str(path)):
            path.unlink()


def thin(tree, kernel, dracut_modules):
    """Take away what nobody needs here, from what all of the medium is made of."""
    thin_modules(tree / "usr/lib/modules" / kernel)
    host.enter(tree, "depmod", kernel)
    for path in dracut_modules.iterdir():
        if path.name[2:] not in DRACUT_MODULES and not re.fullmatch(r"01systemd-(journald|modules-load|sysctl|tmpfiles|udevd|ask-password)", path.name):
            shutil.rmtree(path)
