#!/bin/bash
# dracut.modules(7): the installer's first stage. The hooks are ours, everything around them is dracut's own.

check() {
    # Only when asked for.
    return 255
}

depends() {
    echo systemd-initrd dracut-systemd kernel-modules udev-rules fs-lib base
}

installkernel() {
    hostonly='' instmods squashfs isofs loop overlay vfat nls_cp437 nls_iso8859-1 nls_ascii ext4 \
        virtio_pci virtio_blk virtio_scsi virtio_console virtio_net virtio_rng pvpanic
}

install() {
    inst_multiple cp mount umount losetup sed
    inst_hook cmdline 25 "$moddir/parse-anaconda.sh"
    inst_script "$moddir/anaconda-diskroot.sh" /sbin/anaconda-diskroot
    inst_hook mount 50 "$moddir/mount-runtime.sh"
    inst_hook pre-pivot 50 "$moddir/copy-ks.sh"
    # The medium is found by its disk's events; without this, nobody waits for them.
    dracut_need_initqueue
}
