# The guest's end of the runner: does what the host says over one virtio-serial port, and answers with the nonce.
# Usage: sh serve.sh PORT MODE
#
#   host    run TASK | freeze | thaw | end
#   guest   hello MODE | exit TASK STATUS | frozen | thawed | bye
#
# Whatever a task writes goes over the port as it is; our own lines start with the record separator (octal 36).
# While filesystems are frozen nothing here may write to them: builtins and what is in the page cache only.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export GOLDSMITH_TASKS=/run/goldsmith/tasks
exec 3<> "$1" 0< /dev/null
read -r nonce < /run/goldsmith/nonce

say() {
    printf '\n\036goldsmith %s %s\n' "$nonce" "$*" >&3
}

# The filesystems on disks that are mounted writable, each once: `mounted`, the root last, and `fat`. One of the first that is not frozen
# would be left with its journal unclean when the machine ends. FAT cannot be frozen; while it is mounted writable it is marked as not
# unmounted, and once that mark outlives a boot no later mount takes it away.
list_mounted() {
    mounted= fat= seen=
    while read -r source target type options rest; do
        case ,$options, in *,rw,*) ;; *) continue ;; esac
        # A bind mount is the same filesystem again. A space in a path is written as \040, which nobody mounts on.
        case " $seen " in *" $source "*) continue ;; esac
        case $target in *\\*) continue ;; esac
        case $type in
        ext2 | ext3 | ext4 | xfs) [ "$target" = / ] || mounted="$mounted $target" ;;
        vfat | msdos) fat="$fat $target" ;;
        *) continue ;;
        esac
        seen="$seen $source"
    done < /proc/mounts
    mounted="$mounted /"
}

freeze() {
    list_mounted
    frozen= readonly=
    # Before the others freeze: mount has to be read from the disk.
    for target in $fat; do
        mount -o remount,ro "$target" || { thaw; return 1; }
        readonly="$readonly $target"
    done
    for target in $mounted; do
        fsfreeze -f "$target" || { thaw; return 1; }
        # The root first when they thaw.
        frozen="$target $frozen"
    done
}

thaw() {
    failed=
    for target in $frozen; do fsfreeze -u "$target" || failed=yes; done
    for target in $readonly; do mount -o remount,rw "$target" || failed=yes; done
    frozen= readonly=
    [ -z "$failed" ]
}

say hello "$2"
while read -r verb task <&3; do
    case $verb in
    run)
        (cd "$GOLDSMITH_TASKS/$task" && exec ./run 3>&-) >&3 2>&1
        say exit "$task" $?
        ;;
    freeze)
        sync
        if freeze; then say frozen; else say failed to freeze; fi
        ;;
    thaw)
        if thaw; then say thawed; else say failed to thaw; fi
        ;;
    end)
        say bye
        exit 0
        ;;
    *)
        say unknown "$verb"
        ;;
    esac
done
exit 1
