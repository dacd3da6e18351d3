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

# The filesystems on disks that are mounted writable, each once, the root last: `mounted`. One that is not frozen would be left with its
# journal unclean when the machine ends. FAT cannot be frozen, and needs no more than a sync.
list_mounted() {
    mounted= seen=
    while read -r source target type options rest; do
        case $type in ext2 | ext3 | ext4 | xfs) ;; *) continue ;; esac
        case ,$options, in *,rw,*) ;; *) continue ;; esac
        # A bind mount is the same filesystem again. A space in a path is written as \040, which nobody mounts on.
        case " $seen " in *" $source "*) continue ;; esac
        case $target in *\\*) continue ;; esac
        seen="$seen $source"
        [ "$target" = / ] || mounted="$mounted $target"
    done < /proc/mounts
    mounted="$mounted /"
}

freeze() {
    list_mounted
    frozen=
    for target in $mounted; do
        fsfreeze -f "$target" || { thaw; return 1; }
        # The root first when they thaw.
        frozen="$target $frozen"
    done
}

thaw() {
    failed=
    for target in $frozen; do fsfreeze -u "$target" || failed=yes; done
    frozen=
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
