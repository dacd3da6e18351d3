# Sourced by sessions.sh in a machine whose state is saved before its services start. Each machine that goes on from that state is made one of
# its own here, before anything else happens in it.
#
#   host    own MACHINE-ID BOOT-ID BYTES, the 88 bytes that renew reads, a tar          guest   hello MODE | failed WHY
#   host    go CARDS BYTES, a tar                                                       guest   started | failed WHY
#
# BYTES is the length of the tar. That of `own` has the files of the personal task, that of `go` the host keys of sshd. CARDS is the number of
# network cards that the host has plugged in. All services have started at `started`.

personal=/run/goldsmith/tasks/personal

# What services read at their start is in memory when the machine goes on: their programs, and modules of the kernel.
read_ahead() {
    cat $(sed -n 's/^Exec[A-Za-z]*=[-@:+!]*\([^ ]*\).*/\1/p' /etc/systemd/system/*.wants/*.service /usr/lib/systemd/system/*.wants/*.service |
        sort -u) /usr/bin/containerd* /usr/bin/docker /usr/sbin/runc /usr/bin/runc > /dev/null 2>&1
    [ ! -e /usr/bin/dockerd ] && [ ! -e /usr/sbin/dockerd ] ||
        modprobe -a overlay bridge br_netfilter xt_conntrack xt_MASQUERADE xt_addrtype nft_compat nft_chain_nat nf_conntrack_netlink 2> /dev/null
    return 0
}

# A kernel that cannot renew its generator, because it is too old or has no entropy yet, is told before its state is saved.
check_gate() {
    udevadm settle --timeout=60
    read_ahead
    /run/goldsmith/renew check ||
        { echo "its kernel cannot renew its random generator (step $?), which Linux can since 4.17" > /run/goldsmith/failed; return 1; }
}

receive() { # BYTES DIRECTORY
    [ "$1" -eq 0 ] || head -c "$1" <&3 | tar -x -C "$2"
}

own() { # MACHINE-ID BOOT-ID BYTES
    # The kernel keeps one boot id as long as it runs, so all machines of this state would share it.
    echo "$2" > /run/goldsmith/boot_id
    /run/goldsmith/renew <&3 || { echo "renew failed at step $?" > /run/goldsmith/failed; return 1; }
    receive "$3" "$personal" || { echo "its personal settings could not be read" > /run/goldsmith/failed; return 1; }
    read -r gs_saved < /etc/machine-id
    # PID 1 has made an id in /run and mounted it over the file, read-only; systemd-machine-id-commit.service then writes it to the file.
    [ ! -e /run/machine-id ] || echo "$1" > /run/machine-id
    read -r gs_id < /etc/machine-id
    [ "$gs_id" = "$1" ] || echo "$1" > /etc/machine-id || { echo "the machine-id cannot be written" > /run/goldsmith/failed; return 1; }
    gs_id=$1
    [ "$3" -eq 0 ] || sh "$personal/run" own || { [ -e /run/goldsmith/failed ] || echo "its personal settings failed" > /run/goldsmith/failed; return 1; }
}

# Keys of sshd that come from the host, unless the image has its own: to make them takes an emulated guest ten seconds.
take_host_keys() { # BYTES
    mkdir -p /run/goldsmith/keys && receive "$1" /run/goldsmith/keys || return
    [ -d /etc/ssh ] || return
    for gs_key in /etc/ssh/ssh_host_*; do [ ! -e "$gs_key" ] || return; done
    cp -p /run/goldsmith/keys/ssh_host_* /etc/ssh
    # New files have the label of the directory they are in, which sshd may not read.
    [ ! -d /sys/fs/selinux ] || restorecon /etc/ssh/ssh_host_*
} 2> /dev/null

count_cards() {
    gs_cards=0
    for gs_card in /sys/class/net/*/device; do [ ! -e "$gs_card" ] || gs_cards=$((gs_cards + 1)); done
}

# Start what the boot had left.
start_services() { # CARDS
    gs_tries=0
    while count_cards && [ "$gs_cards" -lt "$1" ] && [ "$gs_tries" -lt 300 ]; do
        gs_tries=$((gs_tries + 1))
        sleep 0.05
    done
    [ "$gs_cards" -ge "$1" ] || { say failed "its network cards did not appear"; return; }
    # The machine-id, and what was given so far.
    sync
    # A card is given its name while it is down.
    udevadm settle --timeout=30
    [ ! -e "$personal/card" ] || sh "$personal/run" card || { read -r gs_why < /run/goldsmith/failed; say failed "$gs_why"; return; }
    # journald has read the ids of the saved state. What it has logged so far goes on under the new one.
    if [ -d "/run/log/journal/$gs_saved" ]; then mv "/run/log/journal/$gs_saved" "/run/log/journal/$gs_id"; fi
    systemctl --no-block restart systemd-journald.service
    # As in a cold boot, a service that fails does not keep the machine from being up.
    systemctl start default.target
    # PID 1 remembers the boot id of the saved state, and would give it to units as %b.
    systemctl daemon-reexec
    say started
}
