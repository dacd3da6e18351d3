# Assembles a Debian tree and makes the root filesystem of it.
# Runs as root of namespaces that die with goldsmith; everything it makes lies below $GS_WORK.
#
#   $GS_SUITE     release to assemble
#   $GS_PACKAGES  packages beside the essential ones, separated by commas
#   $GS_WORK      scratch directory; holds sources.list, which names the repository of gathered packages, and settings/ (apply.sh, files/)
#   "$@"          the command that makes the filesystem of $GS_WORK/tree
#
# The image gets mmdebstrap's default sources.list. Nothing is fetched: all packages were gathered and verified before.
set -eu
export TMPDIR="$GS_WORK"

# What maintainer scripts take for the system's name (installer/hostname.rs): without it, this host's. The settings bring both files again.
export GS_NAME=unnamed-image
# /proc/sys/kernel/hostname is the host's root's alone to write, even in a namespace of one's own (kernel/utsname_sysctl.c). Perl and this
# file of it are there: mmdebstrap needs them.
perl -e 'require "syscall.ph"; my $name = shift; syscall(&SYS_sethostname, $name, length $name) == 0 or die "sethostname: $!\n"' "$GS_NAME"

# dpkg's log tells of each package that is set up (dpkg(1), FILES): how far the installation is. Some are set up twice.
follow() {
    tail -q -n +1 -F --pid=$$ "$GS_WORK/tree/var/log/dpkg.log" 2>/dev/null |
        awk '$3 == "status" && $4 == "installed" && !seen[$5]++ { print "goldsmith: package " (++count); fflush() }'
}
follow &

# This package only wants to see that /bin, /sbin and /lib are links. Where it is named, they are made first; a record of it keeps apt from
# taking the package that makes them, and apt brings the real one then. mmdebstrap's own hook merged-usr is not used: where this host has
# debootstrap, that decides which links there are.
merge=:
case ,$GS_PACKAGES, in *,usr-is-merged,*)
    merge='set -e; for dir in bin sbin lib lib64; do mkdir -p "$1/usr/$dir"; ln -s "usr/$dir" "$1/$dir"; done
        : > "$1/var/lib/dpkg/info/usr-is-merged.list"
        printf "%s\n" "Package: usr-is-merged" "Status: install ok installed" "Maintainer: goldsmith" "Architecture: all" \
            "Multi-Arch: foreign" "Version: 1" "Description: replaced by the real one" "" >> "$1/var/lib/dpkg/status"'
    ;;
esac

mmdebstrap --format=directory --variant=apt --include="$GS_PACKAGES" \
    --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io \
    --setup-hook='cp "$1/etc/apt/sources.list" "$GS_WORK/sources.default"' \
    --setup-hook='cp "$GS_WORK/sources.list" "$1/etc/apt/sources.list"' \
    --setup-hook="$merge" \
    --setup-hook='echo "$GS_NAME" > "$1/etc/hostname"' \
    --setup-hook='printf "%s\n" "127.0.0.1 localhost" "127.0.1.1 $GS_NAME" > "$1/etc/hosts"' \
    --customize-hook='cp "$GS_WORK/sources.default" "$1/etc/apt/sources.list"' \
    --customize-hook='rm -f "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/etc/dpkg/dpkg.cfg.d/99mmdebstrap"' \
    --customize-hook='cp -R "$GS_WORK/settings" "$1/goldsmith" && chroot "$1" /bin/sh /goldsmith/apply.sh && rm -r "$1/goldsmith"' \
    "$GS_SUITE" "$GS_WORK/tree"

echo "goldsmith: tree of $(du -sm "$GS_WORK/tree" | cut -f1) MiB"
"$@"
echo "goldsmith: removing the tree"
rm -rf "$GS_WORK/tree"
