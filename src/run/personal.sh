#!/bin/sh
# What makes a machine one of its own: its host name, who logs in by ssh and at its consoles, directories of the host, its address on a private
# network, the names of the others there.
# Usage: run                         at boot, before the system's own services
#        run own, then run card      the same in two parts, where the network cards come later
#        run names ADDRESS=NAME …    when machines have come or gone
#
# Beside it, what there is: `hostname`, `keys` (lines of authorized_keys), `autologin`, `card` (the card's address, then the machine's address with its prefix length), `names` (as the arguments above), `volumes` (lines of a tag, options and a place).

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
here=/run/goldsmith/tasks/personal

fail() {
    echo "goldsmith: $*" > /dev/console
    echo "$*" > /run/goldsmith/failed
    exit 1
}

# The block of names in /etc/hosts, as text is written over it: a new file would lack the SELinux label. What the image calls 127.0.1.1 is the
# name that it had, and may be another machine's now.
write_names() {
    others=$(sed -e '/^# goldsmith: names of this network$/,/^# goldsmith: end$/d' -e '/^127\.0\.1\.1[[:space:]]/d' /etc/hosts)
    {
        printf '%s\n' "$others" '# goldsmith: names of this network'
        for entry; do printf '%s %s\n' "${entry%%=*}" "$(echo "${entry#*=}" | tr , ' ')"; done
        echo '# goldsmith: end'
    } > /etc/hosts
}

# A block in root's authorized_keys. sshd reads no file that others may write to.
write_keys() {
    keys=/root/.ssh/authorized_keys
    mkdir -p /root/.ssh && chmod 700 /root/.ssh && touch "$keys" || return
    others=$(sed '/^# goldsmith: keys of this machine$/,/^# goldsmith: end$/d' "$keys")
    {
        [ -z "$others" ] || printf '%s\n' "$others"
        echo '# goldsmith: keys of this machine'
        cat "$here/keys"
        echo '# goldsmith: end'
    } > "$keys" && chmod 600 "$keys" || return
    # New files have the label of the directory they are in, which sshd may not read.
    [ ! -d /sys/fs/selinux ] || restorecon -R /root/.ssh
}

# A console is root's without a log-in, until the machine is off. agetty(8) leaves the password to login(1), which does not ask then.
open_console() { # UNIT WORDS
    mkdir -p "/run/systemd/system/$1.d" || return
    printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root %s %%I $TERM\n' "$2" > "/run/systemd/system/$1.d/goldsmith.conf"
}

card_of() { # MAC
    for file in /sys/class/net/*/address; do
        read -r found < "$file"
        [ "$found" = "$1" ] || continue
        file=${file%/address}
        echo "${file##*/}"
        return 0
    done
    return 1
}

# Those that would ask for an address by DHCP on each card they find leave this one alone.
claim() { # MAC
    mkdir -p /run/NetworkManager/conf.d /run/systemd/network
    printf '[keyfile]\nunmanaged-devices=mac:%s\n' "$1" > /run/NetworkManager/conf.d/90-goldsmith.conf
    printf '[Match]\nMACAddress=%s\n\n[Link]\nUnmanaged=yes\n' "$1" > /run/systemd/network/05-goldsmith.network
}

connect() { # MAC ADDRESS/PREFIX
    claim "$1"
    # A card is given its name while it is down.
    udevadm settle --timeout=30
    tries=0
    until card=$(card_of "$1"); do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "no network card has the address $1"
        sleep 0.2
    done
    said=$(ip link set dev "$card" up 2>&1 && ip address add "$2" dev "$card" 2>&1) || fail "$card cannot have the address $2: $said"
}

be_oneself() {
    if read -r name < "$here/hostname"; then
        echo "$name" > /proc/sys/kernel/hostname && echo "$name" > /etc/hostname || fail "the host name cannot be set"
    fi
    if [ -e "$here/autologin" ]; then
        # The words are those of the units themselves (systemd 219 and 252).
        open_console getty@.service --noclear && open_console serial-getty@.service '--keep-baud 115200,57600,38400,9600' &&
            systemctl daemon-reload || fail "the consoles cannot be opened"
    fi
    if [ -e "$here/keys" ]; then
        write_keys || fail "the keys cannot be written to /root/.ssh/authorized_keys"
    fi
    if [ -e "$here/names" ]; then
        set -f
        write_names $(cat "$here/names") || fail "the names cannot be written to /etc/hosts"
        set +f
    fi
    mount_volumes
}

mount_volumes() {
    [ -e "$here/volumes" ] || return 0
    # It may be built in.
    modprobe virtiofs 2> /dev/null
    while read -r tag options place; do
        said=$(mkdir -p "$place" 2>&1 && mount -t virtiofs -o "$options" "$tag" "$place" 2>&1) || fail "$place cannot have a directory of the host: $said"
    done < "$here/volumes"
}

join_network() {
    [ -e "$here/card" ] || return 0
    read -r mac address < "$here/card"
    connect "$mac" "$address"
}

case $1 in
names)
    shift
    write_names "$@"
    ;;
own) be_oneself ;;
card) join_network ;;
*) be_oneself && join_network ;;
esac
