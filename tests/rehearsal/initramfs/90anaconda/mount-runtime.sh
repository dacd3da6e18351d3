#!/bin/sh
# The runtime is read from the medium; what it writes stays in memory. Sourced by dracut-mount.

if ! ismounted "$NEWROOT" && [ -e /dev/root ]; then
    mkdir -p /run/rootfsbase /run/overlayfs
    mount -o ro -t squashfs /dev/root /run/rootfsbase \
        && mount -t tmpfs overlay /run/overlayfs \
        && mkdir -p /run/overlayfs/upper /run/overlayfs/work \
        && mount -t overlay -o lowerdir=/run/rootfsbase,upperdir=/run/overlayfs/upper,workdir=/run/overlayfs/work anaconda "$NEWROOT"
fi
