# The runner's way in: sourced by the initramfs once the real root is mounted, writable, at $gs_root.
# klibc's tools (initramfs-tools without busybox) and dash must do: no cp, no find, no grep, no [[.
#
# /goldsmith holds the payload. It is copied to a tmpfs of its own below /run: that survives the switch to the real root,
# may execute (initramfs-tools mounts /run noexec) and is not bound by the size of /run.

gs_port() {
    for gs_name in /sys/class/virtio-ports/*/name; do
        [ -r "$gs_name" ] || continue
        read -r gs_value < "$gs_name"
        [ "$gs_value" = org.goldsmith.runner.0 ] || continue
        gs_dir=${gs_name%/name}
        echo "/dev/${gs_dir##*/}"
        return 0
    done
    return 1
}

# SysRq works whoever is PID 1, and asks nobody; poweroff is there should the kernel have none.
gs_off() {
    sync
    echo o > /proc/sysrq-trigger
    sleep 5
    poweroff -f
    # Should that return, the host's deadline ends this.
    while :; do sleep 60; done
}

gs_fail() {
    echo "goldsmith: runner: $*" > /dev/console
    gs_node=$(gs_port) && printf '\036goldsmith %s failed %s\n' "$gs_nonce" "$*" > "$gs_node"
    gs_off
}

gs_enter() {
    # dracut's initramfs may lack chroot (059 does); the real root's needs nothing but the C library that is here too.
    PATH=$PATH:$gs_root/usr/sbin:$gs_root/usr/bin
    read -r gs_nonce < /goldsmith/nonce
    read -r gs_mode < /goldsmith/mode
    mount -t proc proc "$gs_root/proc" || gs_fail "mount proc"
    mount -t sysfs sysfs "$gs_root/sys" || gs_fail "mount sysfs"
    mount -o bind /dev "$gs_root/dev" || gs_fail "mount dev"
    # The driver may be built in, or in the initramfs already.
    chroot "$gs_root" modprobe virtio_console 2>/dev/null
    gs_tries=0
    until gs_node=$(gs_port) && [ -c "$gs_node" ]; do
        gs_tries=$((gs_tries + 1))
        [ "$gs_tries" -lt 50 ] || gs_fail "no virtio-serial port"
        sleep 0.1 2>/dev/null || sleep 1
    done
    mkdir -p /run/goldsmith
    mount -t tmpfs -o mode=0700 goldsmith /run/goldsmith || gs_fail "mount tmpfs"
    mount -o bind /run/goldsmith "$gs_root/run" || gs_fail "mount run"
    # In the tmpfs, because no directory but the few that every system has is sure to be there to mount on, /mnt neither.
    mkdir -p "$gs_root/run/payload"
    mount -o bind /goldsmith "$gs_root/run/payload" || gs_fail "mount payload"
    chroot "$gs_root" cp -a /run/payload/. /run/ || gs_fail "copy payload"
    umount "$gs_root/run/payload" || gs_fail "unmount payload"
    umount "$gs_root/run" || gs_fail "unmount run"
    case $gs_mode in
    offline) gs_offline ;;
    live) gs_live ;;
    *) gs_fail "mode $gs_mode" ;;
    esac
}

# Work in a chroot of a system of which nothing has started, then unmount and power off. The root is writable: `rw` is among our
# kernel arguments.
gs_offline() {
    mount -t tmpfs -o mode=0755 run "$gs_root/run" || gs_fail "mount run"
    mkdir -p "$gs_root/run/goldsmith"
    mount -o bind /run/goldsmith "$gs_root/run/goldsmith" || gs_fail "mount goldsmith"
    chroot "$gs_root" /bin/sh /run/goldsmith/serve.sh "$gs_node" offline || gs_fail "serve ended with $?"
    sync
    for gs_dir in run/goldsmith run dev sys proc; do
        umount "$gs_root/$gs_dir" || gs_fail "unmount $gs_dir"
    done
    umount "$gs_root" || gs_fail "unmount root: something is still running in it"
    printf '\036goldsmith %s unmounted\n' "$gs_nonce" > "$gs_node"
    gs_off
}

# Leave units below /run for the real system and let the boot go on.
gs_live() {
    mkdir -p /run/systemd/system
    mount -o bind /run "$gs_root/run" || gs_fail "mount run"
    # The bind of /run shows the directory there, not what is mounted on it.
    mount -o bind /run/goldsmith "$gs_root/run/goldsmith" || gs_fail "mount goldsmith"
    chroot "$gs_root" cp -a /run/goldsmith/units/. /run/systemd/system/ || gs_fail "copy units"
    umount "$gs_root/run/goldsmith" || gs_fail "unmount goldsmith"
    for gs_dir in run dev sys proc; do
        umount "$gs_root/$gs_dir" || gs_fail "unmount $gs_dir"
    done
}
