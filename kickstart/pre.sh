# %pre: the volume must be mounted before the installer reads its repositories. Reads $nonce, $label, $volume.

# A failing %pre does not end the installation, and with --erroronfail it kills the installer before it can power off.
after_failure() {
    sync
    systemctl --no-wall poweroff --force --force
}

check_nonce() {
    at 'reading the nonce'
    [ -s "$nonce" ] || fail "$nonce did not come over from the initramfs"
}

mount_volume() {
    at "mounting the volume $label"
    mkdir -p "$volume"
    # The disk is known only once udev has seen it.
    tries=0
    while [ ! -e "/dev/disk/by-label/$label" ] && [ "$tries" -lt 30 ]; do
        udevadm settle
        sleep 1
        tries=$((tries + 1))
    done
    # FAT has no permissions: without masks everything on it would be executable, and so would its copies.
    mount -t vfat -o ro,fmask=0133,dmask=0022 "/dev/disk/by-label/$label" "$volume" || fail "there is no volume $label"
}

# expect_repository ID
expect_repository() {
    at "looking for the repository $1"
    [ -f "$volume/$1/repodata/repomd.xml" ] || fail "it has no repodata/repomd.xml"
}
