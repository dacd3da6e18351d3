"""The initramfs: the installer's, and the one that the kernel package brings ready-made. Debian's dracut makes both."""

import re
import shutil

from . import debian, host

# What dracut puts into any initramfs here. Debian's own set is made for machines of every kind and takes minutes under emulation.
# What a virtual machine has a use for, of Debian's kernel for the cloud: less to write, and to look through, for an emulated processor.
MODULES = re.compile(
    r"/kernel/(arch/x86/crypto|crypto|lib|security)/"
    r"|/kernel/fs/(ext4|jbd2|fat|nls|isofs|overlayfs|squashfs|fuse|autofs|xfs|[^/]*\.ko)"
    r"|/kernel/net/(netfilter|ipv4|ipv6|bridge|802|8021q|llc|core|packet|unix|xfrm)/"
    r"|/kernel/drivers/(virtio|cdrom|input|ptp|ata/(libata|ahci|libahci|ata_piix)|block/(loop|virtio_blk)|char/(virtio_console|hw_random)"
    r"|scsi/(scsi_|sd_mod|sr_mod|sg|virtio_scsi)|md/(dm-(mod|thin-pool|bufio|bio-prison|snapshot|mirror|log|region-hash)|persistent-data)"
    r"|misc/pvpanic|firmware/qemu|net/(veth|dummy|macvlan|ipvlan|vxlan|virtio_net|net_failover|tun|tap|bonding|mii))"
    r"|/kernel/net/core/failover"
)
DIST_CONF = """\
# What EL7's own 01-dist.conf does for its systems, for this one: the parts that an EL7 initramfs has, and no search for others.
dracutmodules+=" bash systemd systemd-initrd dracut-systemd kernel-modules rootfs-block udev-rules fs-lib base "
filesystems+=" ext4 xfs vfat "
compress="zstd -1 -q"
do_strip="no"
do_hardlink="no"
early_microcode="no"
"""


def make(tree, kernel, target):
    """The installer's initramfs at `target`; the installed system's in the tree's /boot, where the kernel package takes it from."""
    thin(tree, kernel)
    shutil.copytree(host.HERE / "initramfs/90anaconda", tree / "usr/lib/dracut/modules.d/90anaconda")
    conf = tree / "usr/lib/dracut/dracut.conf.d/01-dist.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(DIST_CONF)
    empty = tree / "run/no-dracut-conf"
    empty.mkdir(exist_ok=True)
    with debian.mounted(tree):
        common = ["dracut", "--force", "--no-hostonly", "--kver", kernel]
        host.enter(tree, *common, "--confdir", "/run/no-dracut-conf", "--add", "anaconda", "/run/installer.img")
        host.enter(tree, *common, f"/boot/initramfs-{kernel}.img")
    shutil.move(tree / "run/installer.img", target)
    debian.remove(tree / "usr/lib/dracut/modules.d/90anaconda")


def thin(tree, kernel):
    """Take the modules away that nobody needs here, from what all of the medium is made of."""
    for path in (tree / "usr/lib/modules" / kernel).rglob("*.ko"):
        if not MODULES.search(str(path)):
            path.unlink()
    host.enter(tree, "depmod", kernel)
