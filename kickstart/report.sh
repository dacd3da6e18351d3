# Tell the host what goes on, line by line, over a virtio-serial port: the installer's own log shows a script's output only after
# the script has ended. Reads $port. A script that ends with anything but 0 has reported where and why.

set -eu
umask 022
doing='starting'
reason=''

say() {
    if [ -e "$port" ]; then printf '%s\n' "$*" >> "$port"; fi
}

# at TEXT: what is done from here on.
at() {
    doing=$1
    echo "$doing"
    say "step $doing"
}

fail() {
    reason=$1
    exit 1
}

# What a failure does beyond the report; %pre has more to do. The logs on the disk are evidence, if they are on it.
after_failure() {
    sync
}

leave() {
    status=$?
    if [ "$status" -ne 0 ]; then
        say "fail $doing: ${reason:-exit status $status}"
        after_failure
    fi
}
trap leave EXIT
