#!/bin/sh
# Sealing: takes out what must not be shared by the machines made of an image, and what the build left behind.
# Runs offline, in a chroot of a system nothing of which has started; so nothing rewrites what is wiped here.
# Works on Debian and EL 7; what is not there is passed over. verify/offline.rs looks afterwards for what would do harm.
set -eu

wipe() { rm -rf -- "$@"; }
# Only what a directory holds, dot files too.
hollow() {
    for dir in "$@"; do
        [ ! -d "$dir" ] || find "$dir" -xdev -mindepth 1 -delete
    done
}

# Identity. machine-id is to be empty, not missing: a missing one makes systemd apply its presets again.
: > /etc/machine-id
chmod 0444 /etc/machine-id
wipe /var/lib/dbus/machine-id
wipe /etc/ssh/ssh_host_*
wipe /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/urandom/random-seed
wipe /var/lib/NetworkManager/secret_key /var/lib/NetworkManager/seen-bssids
# yum 3.4's own name of the machine (yum/config.py, get_uuid), and where rsyslog is in a journal that goes.
wipe /var/lib/yum/uuid /var/lib/rsyslog/imjournal.state
wipe /etc/docker/key.json /var/lib/docker/engine-id /var/lib/docker/swarm
wipe /etc/udev/rules.d/70-persistent-net.rules /etc/udev/rules.d/70-persistent-cd.rules
# Debian's open-iscsi makes its initiator's name when it is installed, and at the next start of iscsid when told so (startup-checks.sh of
# 2.1.8). A name that the recipe wrote has not the package's head, and stays.
name=/etc/iscsi/initiatorname.iscsi
if grep -qs 'GenerateName=yes' /lib/open-iscsi/startup-checks.sh && grep -qs '^## DO NOT EDIT OR REMOVE THIS FILE!' "$name"; then
    echo 'GenerateName=yes' > "$name"
fi

# The recipe's host name, wherever /etc has the one that systems are made under (installer/hostname.rs). So a name that a file of the recipe or
# a step gave stays, and packages that write the name down when they are installed (Debian's postfix, exim4 and nullmailer, and debconf for
# them) have the right one. ./names: the name; then what 127.0.1.1 is called, perhaps nothing. Neither has a letter that means something to sed.
if [ -e ./names ]; then
    { read -r name && read -r own; } < ./names
    for dir in /etc /var/cache/debconf; do
        [ -d "$dir" ] || continue
        # That there is none is no failure.
        find "$dir" -xdev -type f -exec grep -FIls unnamed-image {} + > ./named || true
        while IFS= read -r file; do
            sed -e "s/^127[.]0[.]1[.]1 unnamed-image\$/127.0.1.1 $own/" -e '/^127[.]0[.]1[.]1 $/d' -e "s/unnamed-image/$name/g" "$file" > ./text
            # Not sed -i: that makes another file, without the label this one has.
            cat ./text > "$file"
        done < ./named
    done
fi

# The recipe's passwords, NAME:HASH. Not by chpasswd: that would write the day of the build beside them, and make another file, without the
# label that this one has. A hash is of letters, digits, `$`, `.` and `/`, which mean nothing to sed here.
if [ -e ./passwords ]; then
    while IFS=: read -r name hash; do
        name=$(printf '%s' "$name" | sed 's/[.]/[.]/g')
        if ! grep -q "^$name:" /etc/shadow; then
            echo "the account $name is not in /etc/shadow: a step of the build must have removed it" >&2
            exit 1
        fi
        text=$(sed "s|^\\($name\\):[^:]*:|\\1:$hash:|" /etc/shadow)
        printf '%s\n' "$text" > /etc/shadow
    done < ./passwords
fi

# The recipe's address, in the place of DHCP, which systems are made with (installer/address.rs). Where a file or a step said something else,
# that stays. ./address: what takes the place of the line that says DHCP; what stands below that still counts. IPv6 is off beside a fixed
# address on EL7, and what its installer wrote of it with DHCP goes.
if [ -e ./address ]; then
    for config in /etc/network/interfaces /etc/sysconfig/network-scripts/ifcfg-eth0; do
        grep -qsxE 'iface eth0 inet dhcp|BOOTPROTO="?dhcp"?' "$config" || continue
        sed -r -e '/^(iface eth0 inet dhcp|BOOTPROTO="?dhcp"?)$/{' -e 'r ./address' -e 'd' -e '}' \
            -e '/^IPV6(INIT|_AUTOCONF|_DEFROUTE|_FAILURE_FATAL|_ADDR_GEN_MODE)=/d' "$config" > ./text
        # Not sed -i: that makes another file, without the label this one has.
        cat ./text > "$config"
    done
fi

# The build's network. An interface bound to the build machine's card would be none anywhere else (EL7: 60-net.rules reads HWADDR).
# Of eth0 and its like dracut 033-502 writes HWADDR alone, without DEVICE (modules.d/45ifcfg/write-ifcfg.sh, interface_bind), so a
# profile that loses HWADDR gets the name it is filed under: without either, initscripts brings no interface up. NETBOOT says that the
# initramfs brought this interface up, which is true of no system that boots from its disk.
for config in /etc/sysconfig/network-scripts/ifcfg-*; do
    [ -f "$config" ] || continue
    name=${config##*/ifcfg-}
    if grep -q '^[[:space:]]*HWADDR=' "$config" && ! grep -q '^[[:space:]]*DEVICE=' "$config"; then
        device="DEVICE=$name"
        # A profile may bear a title instead. The kernel's names have at most 15 characters, and no space.
        case $name in *[!A-Za-z0-9._-]* | ????????????????*) device= ;; esac
    else
        device=
    fi
    # Not sed -i: that makes another file, without the label this one has.
    text=$(sed -e '/^[[:space:]]*HWADDR=/d' -e '/^[[:space:]]*NETBOOT=/d' "$config")
    printf '%s\n' "$text" ${device:+"$device"} > "$config"
done
wipe /var/lib/dhcp/*.lease* /var/lib/dhclient/*.lease* /var/lib/NetworkManager/*.lease /var/lib/systemd/network
if [ -e ./resolv.conf ]; then
    # A link leads to what a service writes when it runs, from what it hears of DHCP.
    [ ! -L /etc/resolv.conf ] || wipe /etc/resolv.conf
    cat ./resolv.conf > /etc/resolv.conf
    chmod 0644 /etc/resolv.conf
elif [ ! -L /etc/resolv.conf ]; then
    : > /etc/resolv.conf
fi

# Logs keep their files, since some are made by packages with an owner of their own; what rotation left goes.
hollow /var/log/journal /var/log/anaconda
if [ -d /var/log ]; then
    find /var/log -xdev -type f \( -name '*.gz' -o -name '*.xz' -o -name '*.old' -o -name '*.[0-9]' \) -delete
    find /var/log -xdev -type f -exec sh -c 'for log; do : > "$log"; done' - {} +
fi

# Package managers' caches and indexes.
hollow /var/cache/apt/archives /var/lib/apt/lists /var/cache/yum /var/cache/dnf
wipe /var/cache/apt/pkgcache.bin /var/cache/apt/srcpkgcache.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/lib/rpm/__db.*
[ ! -d /var/lib/apt/lists ] || mkdir -p /var/lib/apt/lists/partial
[ ! -d /var/cache/apt/archives ] || mkdir -p /var/cache/apt/archives/partial

# Traces of people and of the build.
for home in /root /home/*; do
    wipe "$home"/.bash_history "$home"/.history "$home"/.viminfo "$home"/.lesshst "$home"/.wget-hsts "$home"/.python_history
    wipe "$home"/.ssh/known_hosts "$home"/.docker/config.json
done
wipe /root/anaconda-ks.cfg /root/original-ks.cfg /root/ks-post.log /root/install.log
wipe /etc/passwd- /etc/shadow- /etc/group- /etc/gshadow- /etc/subuid- /etc/subgid- /etc/.pwd.lock
hollow /tmp /var/tmp /var/crash /var/spool/mail

# SELinux's labels, of what steps left without one or with another. By EL7's kernel one can be set here only because the runner switches
# SELinux off. Without -F what an administrator chose stays (customizable_types of the policy).
if grep -Eqs '^SELINUX=(enforcing|permissive)' /etc/selinux/config; then
    policy=$(sed -n 's/^SELINUXTYPE=\([a-z]*\).*/\1/p' /etc/selinux/config)
    setfiles "/etc/selinux/$policy/contexts/files/file_contexts" / > /dev/null
fi

# Free blocks and swap still hold what was deleted and swapped out. The host clears both when it flattens the disk (image/free.rs).
sync
