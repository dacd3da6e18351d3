# %post: settings no kickstart command makes. Reads $target: empty, for paths begin at the installed system's root.

# decode FORM: standard input as it was before it was made fit for a here-document. `text` has a margin `|` before each line, so that
# no line can end the document or the section.
decode() {
    case $1 in
    text) sed 's/^|//' ;;
    base64) base64 -d ;;
    esac
}

# put PATH MODE OWNER FORM. The mode comes last: a change of owner takes setuid and setgid away (chown(2)).
put() {
    at "writing $1"
    make_directory "${1%/*}"
    decode "$4" > "$target$1"
    chown "$3" "$target$1"
    chmod "$2" "$target$1"
}

# authorized_keys USER FORM. Not by the command sshkey: today's validator does not know it for RHEL 7.
authorized_keys() {
    at "writing the ssh keys of $1"
    home=$(getent passwd "$1" | cut -d : -f 6)
    [ -n "$home" ] || fail 'there is no such user'
    mkdir -p "$target$home/.ssh"
    decode "$2" > "$target$home/.ssh/authorized_keys"
    chown -R "$1:" "$target$home/.ssh"
    chmod 0700 "$target$home/.ssh"
    chmod 0600 "$target$home/.ssh/authorized_keys"
}

# join_groups USER GROUP...: the command user does not say what becomes of a group that is not there.
join_groups() {
    user=$1
    shift
    for group; do
        at "adding $user to the group $group"
        groupadd -f "$group"
        usermod -a -G "$group" "$user"
    done
}

check_sudoers() {
    at 'checking the sudoers file'
    visudo -c -q -f "$target/etc/sudoers.d/90-goldsmith"
}

# Sections without an `enabled` line are enabled, so taking the 1 away is not enough.
disable_stock_repositories() {
    at 'disabling the stock repositories'
    for file in "$target"/etc/yum.repos.d/CentOS-*.repo; do
        [ -e "$file" ] || continue
        sed -i -e '/^[[:space:]]*enabled[[:space:]]*=/d' -e '/^\[/a enabled=0' "$file"
    done
}

# The mirror list is gone. The archive keeps every release under its full number.
stock_repositories_from_vault() {
    at 'pointing the stock repositories at the vault'
    release=$(sed -n 's/^CentOS.* release \([0-9][0-9.]*\) .*/\1/p' "$target/etc/centos-release")
    [ -n "$release" ] || fail '/etc/centos-release names no release'
    for file in "$target"/etc/yum.repos.d/CentOS-*.repo; do
        [ -e "$file" ] || continue
        sed -i -e 's/^mirrorlist=/#mirrorlist=/' \
            -e "s|^#*baseurl=http://mirror.centos.org/centos/\$releasever/|baseurl=http://vault.centos.org/$release/|" "$file"
    done
}

# upgrade REPOSITORY,... PACKAGE...: everything from these repositories alone (no other can be reached from here), but what the
# recipe asks for by version stays at that version.
upgrade() {
    at 'upgrading from the local repositories'
    enabled=$1
    shift
    pinned=''
    for package; do
        # rpm takes no epoch, and no globs: those name no version.
        package=${package#[0-9]*:}
        rpm -q --quiet "$package" || continue
        name=$(rpm -q --qf '%{NAME}\n' "$package" | sort -u | head -n 1)
        case $package in
        "$name" | "$name".x86_64 | "$name".i686 | "$name".noarch) ;;
        *) pinned="$pinned --exclude=$name" ;;
        esac
    done
    # $pinned is to be split; names of packages need no quoting.
    yum -y --disablerepo='*' --enablerepo="$enabled" $pinned upgrade
}

# The command services ignores errors and knows no units but services; here a unit that is not there ends the installation.
enable_units() {
    for unit; do
        at "enabling $unit"
        systemctl enable "$unit"
    done
}

# A unit that is not there is disabled enough.
disable_units() {
    for unit; do
        at "disabling $unit"
        systemctl disable "$unit" || ! systemctl --quiet is-enabled "$unit" || fail 'it is still enabled'
    done
}

# The installer made each initramfs for the machine it ran on, before this script; the image is to boot on others too. A processor's
# microcode is the host's to load: without hostonly the early archive would carry that of every processor.
# Not `uname -r`: that is the installer's kernel.
generic_initramfs() {
    put /etc/dracut.conf.d/90-goldsmith.conf 0644 root:root text <<'END'
|hostonly="no"
|early_microcode="no"
|add_drivers+=" virtio_blk virtio_scsi virtio_pci virtio_net virtio_console "
END
    kernels=0
    for image in "$target"/boot/vmlinuz-*; do
        version=${image##*/vmlinuz-}
        if [ ! -d "$target/lib/modules/$version" ]; then continue; fi
        at "making the initramfs of $version"
        dracut --force "$target/boot/initramfs-$version.img" "$version"
        kernels=$((kernels + 1))
    done
    [ "$kernels" -gt 0 ] || fail 'there is no kernel in /boot'
}

# What was written here has no right label, and whether the installer's kernel would set one is not known; setfiles does not ask it.
# It does not go from one filesystem into another.
relabel() {
    at 'setting SELinux labels'
    setfiles -F -e /proc -e /sys -e /dev -e /run /etc/selinux/targeted/contexts/files/file_contexts / /boot
}
