#!/bin/sh
# anaconda-diskroot DEVICE STAGE2: mount the medium, find the runtime's image as .treeinfo says, and make it /dev/root.

type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh

[ -e /tmp/anaconda-diskroot.tried ] && exit 0
: > /tmp/anaconda-diskroot.tried

mkdir -p /run/install/repo
if ! mount -o ro -t iso9660 "$1" /run/install/repo; then
    warn "anaconda: failed to fetch stage2 from $2"
    exit 0
fi
image=$(sed -n 's/^mainimage *= *//p' /run/install/repo/.treeinfo 2> /dev/null)
if [ -z "$image" ]; then
    warn "anaconda: no .treeinfo, or no stage2 in it; trying LiveOS/squashfs.img"
    image=LiveOS/squashfs.img
fi
if [ ! -f "/run/install/repo/$image" ]; then
    warn "anaconda: failed to fetch stage2 from $2"
    exit 0
fi
loop=$(losetup --find --show --read-only "/run/install/repo/$image") || exit 0
ln -s "$loop" /dev/root
