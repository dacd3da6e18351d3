# The guest's end of the runner: does what the host says over one virtio-serial port, and answers with the nonce.
# Usage: sh serve.sh PORT MODE
#
#   host    run TASK | freeze | thaw | end
#   guest   hello MODE | exit TASK STATUS | frozen | thawed | bye
#
# Whatever a task writes goes over the port as it is; our own lines start with the record separator (octal 36).
# While the filesystem is frozen nothing here may write to it: builtins and what is in the page cache only.

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export GOLDSMITH_TASKS=/run/goldsmith/tasks
exec 3<> "$1" 0< /dev/null
read -r nonce < /run/goldsmith/nonce

say() {
    printf '\n\036goldsmith %s %s\n' "$nonce" "$*" >&3
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
        if fsfreeze -f /; then say frozen; else say failed to freeze; fi
        ;;
    thaw)
        if fsfreeze -u /; then say thawed; else say failed to thaw; fi
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
